"""A conversation of one person about one media, or about the whole library: kept on the disk, the same for every page.

In: questions, and what answers them. Out: exchanges, which pages poll. Answers arrive in threads of the library, so
that no click, reload or closed tab ends one. Knows neither how an answer is found nor how it is drawn.

    chat.json                 what was asked and answered: in the media folder, or for the whole library beside them
    chat-pictures/            pictures that were added to questions
    chat-<person>.json, chat-pictures-<person>/     the same of each person, where several use one library
"""

import contextlib
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pipeline.chat import exchange
from pipeline.chat.citations import uncited
from pipeline.chat.exchange import Exchange
from pipeline.chat.reply import Reply
from pipeline.disk import storage_errors, write_whole
from pipeline.errors import PipelineError, StorageError
from pipeline.media import added
from pipeline.media.source import USUAL
from pipeline.settings import Limits
from pipeline.types import Evidence, Turn

PERSON = re.compile("[0-9a-f]{32}|")  # stands in names of files
BUG = "This was not answered: a fault in this app. Its log says where."

log = logging.getLogger(__name__)


class Ask(Protocol):
    """What answers a question: Pipeline.ask for the media that the talk is about."""

    def __call__(
        self,
        question: str,
        history: list[Turn],
        at: float | None,
        picture: bytes | None,
        found: Callable[[Evidence], None],
    ) -> Reply: ...


@dataclass
class _Answering:
    """The exchange that is being answered, which is the last one."""

    reply: Reply | None = None
    done: threading.Event = field(default_factory=threading.Event)  # set when its thread ends


class Talk:
    """One conversation. Safe to share between threads.

    exchanges: oldest first; the last one may be arriving, and is another value each time it is looked at.
    problem: what was wrong with what was kept, or with keeping it, in words a person reads; "" for nothing.
    """

    def __init__(self, folder: Path, ask: Ask, limits: Limits = USUAL, person: str = "") -> None:
        """Take up the conversation that is kept in this folder, or begin one. Raises StorageError.

        person: whose it is, 32 hex digits; "" where one person uses the library.
        """
        if not PERSON.fullmatch(person):
            raise ValueError(f"{person!r} is no person")
        whose = f"-{person}" if person else ""
        self._file, self._pictures = folder / f"chat{whose}.json", folder / f"chat-pictures{whose}"
        self.problem = ""
        self.exchanges: tuple[Exchange, ...] = ()
        self._folder = folder
        self._ask = ask
        self._limits = limits  # of pictures that are added
        self._lock = threading.RLock()
        self._answering: _Answering | None = None
        self._closed = False
        self._was_kept = False  # the first question is shown a moment before it lies there
        self._load()

    # -- asking

    def ask(self, question: str, at: float | None = None, picture: bytes | Path | None = None) -> Exchange:
        """Ask, and return at once; the answer arrives in `exchanges`. What is being answered is stopped and kept.

        at: s, where the player stands. Raises SourceError for a picture that cannot be used, StorageError.
        """
        jpeg = added.to_jpeg(picture, self._limits) if picture is not None else None
        with self._lock:
            self.stop()
            name = self._keep_picture(jpeg) if jpeg else ""
            return self._begin(Exchange(question.strip(), at, name, len(self.exchanges)))

    def again(self, n: int) -> Exchange:
        """Ask the n-th question (from 0) once more, at the end: from the same time, after the same turns."""
        with self._lock:
            old = self.exchanges[n]
            return self._begin(Exchange(old.question, old.at, old.picture, old.before))

    def edit(self, n: int, question: str) -> Exchange:
        """Ask the n-th question (from 0) in other words. Where it is the last one, this takes its place."""
        with self._lock:
            self.stop()
            old = self.exchanges[n]
            if old is self.exchanges[-1]:
                self.exchanges = self.exchanges[:-1]
            return self._begin(Exchange(question.strip(), old.at, old.picture, old.before))

    def wait(self) -> None:
        """Return when nothing is being answered any more."""
        while answering := self._answering:
            answering.done.wait()

    def stop(self) -> None:
        """End the answer that is arriving; what has arrived is kept."""
        with self._lock:
            self._end(self._answering, "stopped")

    # -- forgetting

    def is_kept(self) -> bool:
        """Whether what was asked still lies on the disk, once it did."""
        return not self._was_kept or bool(self.problem) or self._file.exists()

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._silence()
            self.exchanges = ()
            self._save()

    def close(self) -> None:
        """End it and write nothing more: its folder is going."""
        with self._lock:
            self._closed = True
            self._end(self._answering, "stopped")  # pages that look at it see that it ended

    def picture(self, exchange: Exchange) -> Path | None:
        """The JPEG that was added to a question; None where there was none."""
        return self._pictures / exchange.picture if exchange.picture else None

    # -- answering

    def _begin(self, asked: Exchange) -> Exchange:
        self.stop()
        asked = replace(asked, asked=time.time())
        history = [turn for one in self.exchanges[: asked.before] if (turn := one.turn())]
        picture = self.picture(asked)
        self.exchanges = (*self.exchanges, asked)
        self._answering = answering = _Answering()
        self._save()
        threading.Thread(
            target=self._answer, args=(answering, asked, history, picture), daemon=True, name="answer"
        ).start()
        return asked

    def _answer(self, answering: _Answering, asked: Exchange, history: list[Turn], picture: Path | None) -> None:
        """What the thread does. Once `answering` is not the present one, nothing that arrives counts."""
        try:
            with storage_errors(picture or self._folder):
                jpeg = picture.read_bytes() if picture else None
            reply = self._ask(
                asked.question, history, asked.at, jpeg, lambda evidence: self._arrived(answering, evidence=evidence)
            )
            with self._lock:
                answering.reply = reply
                self._arrived(answering, answered_by=reply.answered_by, evidence=reply.evidence)
                if answering is not self._answering:
                    reply.stop()
            for _ in reply:
                self._arrived(answering, text=reply.text, evidence=reply.evidence, sent=reply.sent)
            self._end(answering, reply.finish)
        except PipelineError as error:
            self._end(answering, "interrupted", str(error))
        except Exception:
            log.exception("A question was not answered: %r", asked.question)
            self._end(answering, "interrupted", BUG)
        finally:
            answering.done.set()

    def _arrived(self, answering: _Answering, **fields: object) -> None:
        with self._lock:
            if answering is self._answering:
                self.exchanges = (*self.exchanges[:-1], replace(self.exchanges[-1], **fields))

    def _end(self, answering: _Answering | None, finish: str, error: str = "") -> None:
        with self._lock:
            if answering is None or answering is not self._answering:
                return
            if reply := answering.reply:
                reply.stop()  # it does nothing to one that has ended
                self._arrived(answering, text=reply.text, evidence=reply.evidence, sent=reply.sent)
                bare = () if reply.answered_by == "quotes" else uncited(reply.text, whole=finish == "stop")
                self._arrived(answering, citations=reply.citations, uncited=bare)
            self._arrived(answering, finish=finish, error=error)
            self._answering = None
            self._save()

    def _silence(self) -> None:
        """Let what is being answered come to nothing."""
        if self._answering and self._answering.reply:
            self._answering.reply.stop()
        self._answering = None

    # -- the disk

    def _load(self) -> None:
        path = self._file
        with storage_errors(path):
            try:
                self.exchanges = exchange.parse(path.read_bytes())
                self._was_kept = True
            except FileNotFoundError:
                pass
            except ValueError as error:
                aside = path.with_name(f"chat-damaged-{time.time_ns()}.json")
                path.rename(aside)
                log.warning("%s is damaged (%s) and was put aside.", path, error)
                self.problem = f"What was asked before cannot be read. It was put aside, whole: {aside}"

    def _save(self) -> None:
        """What cannot be kept is still shown: the answer matters more than its copy."""
        if self._closed:
            return
        try:
            try:
                write_whole(self._file, exchange.dump(self.exchanges))
            except StorageError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                # The folder was replaced in this very moment, by one that was read anew; or it is gone.
                write_whole(self._file, exchange.dump(self.exchanges))
            self._was_kept = True
            self._drop_pictures()
            self.problem = ""
        except StorageError as error:
            log.warning("A conversation was not kept: %s", error)
            self.problem = f"This conversation is shown but not kept. {error}"

    def _keep_picture(self, jpeg: bytes) -> str:
        """Its name is made of its content, so that the same picture is kept once."""
        folder = self._pictures
        name = f"{hashlib.sha256(jpeg).hexdigest()[:32]}.jpg"
        with storage_errors(folder):
            folder.mkdir(exist_ok=True)  # not its parents: a media that was removed meanwhile stays removed
        write_whole(folder / name, jpeg)
        return name

    def _drop_pictures(self) -> None:
        """Delete the pictures of questions that were forgotten."""
        kept = {one.picture for one in self.exchanges}
        with contextlib.suppress(FileNotFoundError), storage_errors(self._folder):
            for file in list(self._pictures.glob("[0-9a-f]*.jpg")):
                if file.name not in kept:
                    file.unlink(missing_ok=True)
