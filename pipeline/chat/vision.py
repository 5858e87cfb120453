"""Evidence and question -> an answer from a vision model, streamed.

Takes settings, evidence, conversation and the pictures' files; gives a Reply. Knows neither how evidence is
found, nor how requests travel (endpoint.py), nor how words are drawn.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.chat.call import Call, Deadlines
from pipeline.chat.endpoint import Endpoint, Refused, UnknownModel
from pipeline.chat.faults import Refusal
from pipeline.chat.pictures import data_url, png, size
from pipeline.chat.prompt import Prompt, Room, smaller, write
from pipeline.chat.reply import Reply
from pipeline.line import Line
from pipeline.settings import Settings
from pipeline.types import Evidence, Frame, Turn

if TYPE_CHECKING:
    import openai

IMAGES_PROBED = 16

log = logging.getLogger(__name__)

# What was learned of each (endpoint, model), for the life of the process.
_rooms: dict[tuple[str, str], Room] = {}


@dataclass(frozen=True)
class EndpointFacts:
    """What an endpoint says about itself."""

    models: tuple[str, ...]  # names it serves; empty when it does not say
    model_known: bool  # whether it answers to the model of the settings
    context_length: int | None  # tokens, prompt and answer; None when it does not say
    image_limit: int | None  # images in one prompt; 0 when the model sees none; None when it does not say
    image_limit_is_floor: bool = False  # it took that many, and may take more


def answer(
    settings: Settings,
    evidence: Evidence,
    titles: Mapping[str, str],
    history: Sequence[Turn],
    picture: Callable[[str, Frame], Path],
    deadlines: Deadlines = Deadlines(),  # noqa: B008 (frozen)
    added: bytes | None = None,
) -> Reply:
    """Answer from the evidence. Nothing is sent before the reply is iterated; that raises AnswerError.

    titles: media id -> title. history: oldest first. picture: (media id, Frame) -> JPEG file. added: the JPEG that
    came with the question; it goes first.
    A refusal as too long, or as too many images, is followed by one smaller try. A picture whose file is gone is
    passed over, and the reply's evidence says so.
    """
    endpoint = Endpoint(settings, deadlines)
    who = (settings.vllm_base_url, settings.vllm_model)

    def work(line: Line, say: Callable[[str], None]) -> str:
        there, files = _read(evidence, picture)

        def read(media: str, frame: Frame) -> bytes:
            return files[media, frame]

        def written(room: Room) -> Prompt:
            seen = size(added) if added else None
            prompt = write(there, titles, history, room, lambda media, frame: size(read(media, frame)), seen)
            reply.evidence, reply.sent = prompt.evidence, _with_pictures(prompt, _named)
            return prompt

        with endpoint.client(line) as client:
            room = _rooms.get(who) or _ask_room(endpoint, client, line)
            prompt = written(room)
            try:
                stream = endpoint.send(client, line, _messages(prompt, read, added), room.reserved)
            except Refused as refused:
                if refused.refusal.kind == "pictures":
                    raise
                # Remembered also where it is refused again: the next question then begins with less.
                room = _rooms[who] = _less(room, refused.refusal, prompt.tokens)
                stream = endpoint.send(client, line, _messages(written(room), read, added), room.reserved)
            _rooms[who] = room  # it fits
            return endpoint.listen(stream, say)

    call = Call(work, deadlines, f"The chat endpoint {endpoint.where}")
    reply = Reply(evidence, settings.vllm_model, call.pieces(), call.cut)
    return reply


def probe(settings: Settings, deadlines: Deadlines = Deadlines(first_word=60)) -> EndpointFacts:  # noqa: B008
    """Ask the endpoint for its models, then for one token about some tiny pictures. Raises AnswerError."""
    endpoint = Endpoint(settings, deadlines)

    def work(line: Line, _say: Callable[[str], None]) -> EndpointFacts:
        with endpoint.client(line) as client:
            models, context = endpoint.models(client, line)
            facts = EndpointFacts(models, True, context, None)
            image = {"type": "image_url", "image_url": {"url": data_url(png(64, 64), "image/png")}}
            content = [{"type": "text", "text": "Say yes."}, *[image] * IMAGES_PROBED]
            try:
                endpoint.send(client, line, [{"role": "user", "content": content}], 1).close()
            except UnknownModel:
                return dataclasses.replace(facts, model_known=False)
            except Refused as refused:
                limits = {"pictures": 0, "images": refused.refusal.limit}
                return dataclasses.replace(facts, image_limit=limits.get(refused.refusal.kind))
            return dataclasses.replace(facts, image_limit=IMAGES_PROBED, image_limit_is_floor=True)

    return Call(work, deadlines, f"The chat endpoint {endpoint.where}").result()


def _ask_room(endpoint: Endpoint, client: "openai.OpenAI", line: Line) -> Room:
    _, context = endpoint.models(client, line)
    return Room(context=context) if context else Room()


def _less(room: Room, refusal: Refusal, estimate: int) -> Room:
    """The room for the smaller try: what the endpoint names, where it names less than was thought.

    estimate: what the prompt was thought to cost, tokens. Where the endpoint counted more (another model's
    pictures may cost more than Pixtral's), the room shrinks by as much, to a quarter at most.
    """
    limit = refusal.limit
    if limit and refusal.kind == "images" and limit < room.images:
        return dataclasses.replace(room, images=limit)
    if limit and refusal.kind == "length":
        if refusal.sent and refusal.sent > estimate:
            limit = int(limit * max(0.25, 0.95 * estimate / refusal.sent))
        if limit < room.context:
            return dataclasses.replace(room, context=limit)
    return smaller(room)


def _messages(prompt: Prompt, read: Callable[[str, Frame], bytes], added: bytes | None = None) -> list[dict]:
    """The prompt's messages with each picture put in as a data address."""
    return list(_with_pictures(prompt, lambda part: _drawn(part, read, added)))


def _with_pictures(prompt: Prompt, put: Callable[[dict], dict]) -> tuple[dict, ...]:
    """The prompt's messages with what `put` makes of each part that is a picture."""
    return tuple(
        message
        if isinstance(message["content"], str)
        else message | {"content": [part if part["type"] == "text" else put(part) for part in message["content"]]}
        for message in prompt.messages
    )


def _drawn(part: dict, read: Callable[[str, Frame], bytes], added: bytes | None) -> dict:
    picture = added if part["type"] == "added" else read(part["media"], part["frame"])
    return {"type": "image_url", "image_url": {"url": data_url(picture, "image/jpeg")}}


def _named(part: dict) -> dict:
    """The picture by its name, as it is kept and shown."""
    if part["type"] == "added":
        return {"type": "picture", "added": True}
    return {"type": "picture", "media": part["media"], "time": part["frame"].start, "file": part["frame"].image}


def _read(evidence: Evidence, picture: Callable[[str, Frame], Path]) -> tuple[Evidence, dict[tuple[str, Frame], bytes]]:
    """The evidence without the pictures that cannot be read, and the JPEGs of the others."""
    files: dict[tuple[str, Frame], bytes] = {}
    gone = 0
    for media, frame in dict.fromkeys((moment.media, frame) for moment in evidence.moments for frame in moment.frames):
        try:
            files[media, frame] = picture(media, frame).read_bytes()
        except OSError as error:
            log.warning("The picture of %s at %.1f s cannot be read: %s", media, frame.start, error)
            gone += 1
    if not gone:
        return evidence, files
    moments = tuple(
        dataclasses.replace(moment, frames=tuple(frame for frame in moment.frames if (moment.media, frame) in files))
        for moment in evidence.moments
    )
    note = (
        f"{gone} {'picture' if gone == 1 else 'pictures'} that fit could not be read and went unseen by the model. "
        "If it stays so, remove the video from the library and read it again."
    )
    return dataclasses.replace(evidence, moments=moments, notes=(*evidence.notes, note)), files
