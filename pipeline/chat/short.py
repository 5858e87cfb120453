"""One short request to the chat endpoint, answered whole. Knows neither what is asked nor why."""

from collections.abc import Callable, Sequence

from pipeline.chat.call import Call, Deadlines
from pipeline.chat.endpoint import Endpoint
from pipeline.line import Line
from pipeline.settings import Settings

PATIENT = Deadlines(whole=300, pause=2)  # where nobody waits before the page


def complete(settings: Settings, messages: Sequence[dict], tokens: int, deadlines: Deadlines = PATIENT) -> str:
    """The answer, at most `tokens` long. Raises AnswerError; of these Wordless where the model had no words."""
    import openai  # noqa: F401 (loaded before the clock starts)

    endpoint = Endpoint(settings, deadlines)
    words: list[str] = []

    def work(line: Line, say: Callable[[str], None]) -> str:
        def hear(piece: str) -> None:
            words.append(piece)
            say(piece)

        with endpoint.client(line) as client:
            return endpoint.listen(endpoint.send(client, line, messages, tokens), hear)

    Call(work, deadlines, f"The chat endpoint {endpoint.where}").result()
    return "".join(words)
