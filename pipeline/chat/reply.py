"""An answer being given. Does not know where the words come from: a model, or quotes."""

from collections.abc import Callable, Generator, Iterator

from pipeline.chat.citations import check, uncited
from pipeline.types import Citation, Evidence


class Reply:
    """Iterate it, once, for pieces of text as they come.

    evidence: what the answer leans on; once a prompt was written, the part of it that was sent.
    answered_by: a model name, or "quotes".
    text: what has arrived so far; it stays when the answer breaks off.
    sent: the messages that went to the model, each picture named instead of sent; () for quotes. See Exchange.
    finish: None until it ends, then "stop", "length" (cut off at the length limit), "interrupted" (the
    endpoint broke off; the iteration raised AnswerError) or "stopped" (by stop(), or no longer iterated).
    """

    def __init__(
        self,
        evidence: Evidence,
        answered_by: str,
        pieces: Generator[str, None, str],
        cut: Callable[[], None] = lambda: None,
    ) -> None:
        """`pieces` yields text and returns how it finished; `cut` wakes it when it waits."""
        self.evidence = evidence
        self.answered_by = answered_by
        self.text = ""
        self.sent: tuple[dict, ...] = ()
        self.finish: str | None = None
        self._pieces = pieces
        self._cut = cut
        self._stopped = False

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The times cited in what has arrived, and whether the evidence bears each out."""
        return check(self.text, self.evidence)

    @property
    def uncited(self) -> tuple[str, ...]:
        """The sentences that state something without a time, once the answer has ended; of quotes, none."""
        if self.finish is None or self.answered_by == "quotes":
            return ()
        return uncited(self.text, whole=self.finish == "stop")

    def stop(self) -> None:
        """End it now, from any thread. Does nothing once it has finished."""
        if self.finish is None:
            self._stopped = True
            self._cut()

    def __iter__(self) -> Iterator[str]:
        """Raises AnswerError when the endpoint fails; `text` keeps what had arrived."""
        try:
            while not self._stopped:
                try:
                    piece = next(self._pieces)
                except StopIteration as end:
                    self.finish = "stopped" if self._stopped else end.value
                    return
                if not self._stopped:
                    self.text += piece
                    yield piece
            self.finish = "stopped"
        except GeneratorExit:
            self.finish = "stopped"
            raise
        except BaseException:
            self.finish = "stopped" if self._stopped else "interrupted"
            if not self._stopped:
                raise
        finally:
            self._pieces.close()
