"""Every part configured, the whole path: settings in, a real worker process, a real Milvus Lite, local servers.

What a named part promises: it is used, or it is an error that says how to mend it, and what was done is not done twice.
"""

import base64
import contextlib
import io
import json
import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import chat_server as chat_servers
import numpy as np
import pytest
from chat_server import MODEL, ChatServer, chat_server
from conftest import read_here
from embedding_servers import EmbeddingServer, serve_embeddings
from make_film import COLOURS, make_film
from PIL import Image
from tiny_clip import make_clip
from tiny_whisper import SAID, make_checkpoint

from pipeline import build
from pipeline.__main__ import main
from pipeline.chat.reply import Reply
from pipeline.doctor import check_all
from pipeline.errors import AnswerError, EmbeddingError, LibraryError, ModelError, PipelineError
from pipeline.settings import Settings
from pipeline.types import Evidence, Media
from pipeline.workflow import Pipeline

KEY = "sk-canary-5f2b81c6e0"  # every key of every test here
KEYS = dict.fromkeys(("mistral_api_key", "embedding_api_key", "milvus_token", "vllm_api_key"), KEY)
READING = {"frames", "speech", "screen"}  # the steps that cost minutes on a real video

# A talk of eleven minutes with more passages than are saved at once: each pair of words is said once.
HOW = ("amber", "brisk", "clever", "dusty", "eager", "frozen", "golden", "violet")
WHO = ("heron", "badger", "lizard", "otter", "pelican", "rabbit", "salmon", "turtle", "walrus")
EVERY = 9.0  # s from one to the next, with a silence between
CUES = [
    (number * EVERY, f"The {how} {who} sleeps.") for number, (how, who) in enumerate((h, w) for h in HOW for w in WHO)
]
SLIDE = 81.0  # s, each of them stands; its title is none of the words above


@dataclass
class Told:
    """A library with its parts configured, and what it said on the way there."""

    library: Pipeline
    media: Media | None = None  # at the end
    errors: list[PipelineError] = field(default_factory=list)
    kept: list[list[Media]] = field(default_factory=list)  # what the library held after each error
    stored: list[list[Path]] = field(default_factory=list)  # the files that were there then
    steps: list[set[str]] = field(default_factory=list)  # of each ingest

    def ingest(self, film: Path) -> None:
        self.steps.append(set())
        self.media = self.library.ingest(film, report=lambda progress: self.steps[-1].add(progress.step))

    def read(self, film: Path) -> None:
        """The same in this process, where models were loaded."""
        self.steps.append(set())
        self.media = read_here(film, self.library.settings, lambda progress: self.steps[-1].add(progress.step))

    def fail(self, action: Callable[[], object]) -> None:
        with pytest.raises(PipelineError) as caught:
            action()
        self.errors.append(caught.value)
        listed, problems = self.library.everything()
        assert not problems
        self.kept.append(list(listed))
        self.stored.append(sorted(self.library.settings.data_dir.rglob("*")))


def is_one_line_without_a_key(error: BaseException) -> bool:
    shown = "".join(traceback.format_exception(error))  # its causes too: a log prints them
    return "\n" not in str(error).strip() and KEY not in shown


def holds_no_key(data_dir: Path) -> bool:
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert any(path.name == "library.db" for path in files)
    return not [path for path in files if KEY.encode() in path.read_bytes()]


# -- the libraries, each made once


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(WHISPER_MODEL, CLIP_MODEL) of the real formats."""
    folder = tmp_path_factory.mktemp("models")
    return str(make_checkpoint(folder / "tiny.pt")), str(make_clip(folder / "tiny-clip"))


@pytest.fixture(scope="module")
def heard(film: Path, weights: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A film without subtitles: read with no Whisper there, then with no CLIP there, then with both."""
    whisper, clip = weights
    folder = tmp_path_factory.mktemp("heard")
    bare = Path(shutil.copy(film, folder / "bare.mp4"))
    models = {"whisper_model": whisper, "clip_model": clip, "text_embedding": "local"}
    named = Settings(folder / "data", screen_text=False, **models, **KEYS)
    told = Told(build(replace(named, whisper_model="/nowhere.pt")))
    told.fail(lambda: told.ingest(bare))
    told.library = build(replace(named, clip_model="/nowhere"))
    told.fail(lambda: told.read(bare))
    told.library.close()
    told.library = build(named)
    told.ingest(bare)
    yield told
    told.library.close()


@pytest.fixture(scope="module")
def mistral() -> Iterator[EmbeddingServer]:
    with serve_embeddings(1024) as server:
        yield server


@pytest.fixture(scope="module")
def pixtral() -> Iterator[ChatServer]:
    with chat_server(key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def talk(mistral: EmbeddingServer, pixtral: ChatServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A long film embedded by a server that refuses the key, then fails, then is well."""
    folder = tmp_path_factory.mktemp("talk")
    slides = [(number * SLIDE / 5, f"Chapter {number + 1}") for number in range(round(len(CUES) * EVERY / SLIDE))]
    film = make_film(
        folder / "talk.mp4", fps=1, seconds=len(CUES) * EVERY / 5, when=lambda number: number * 5.0,
        size=(1280, 720), slides=[(5 * at, title) for at, title in slides], counter=False, sound=False,
        codec_options={"preset": "ultrafast"},
    )  # fmt: skip
    film.with_suffix(".en.srt").write_text(
        "\n".join(f"{n}\n{clock(at)} --> {clock(at + 2)}\n{text}\n" for n, (at, text) in enumerate(CUES, 1))
    )
    services = {"mistral_base_url": mistral.url, "vllm_base_url": pixtral.base_url}
    told = Told(build(Settings(folder / "data", text_embedding="mistral", screen_text=False, **services, **KEYS)))
    mistral.faults = ["", "", "401"]  # with each fault the server repeats the key that it was sent
    told.fail(lambda: told.ingest(film))
    mistral.faults = ["500 retry-after 0"] * 5
    told.fail(lambda: told.read(film))
    assert not mistral.faults  # all five tries were made
    mistral.faults = ["400"]
    told.fail(told.library.reindex)
    told.library.reindex()
    ((told.media,), _) = told.library.everything()
    yield told
    told.library.close()


@pytest.fixture
def model(pixtral: ChatServer) -> ChatServer:
    """The chat server as it is when nothing was told to it."""
    pixtral.behaviour, pixtral.words = "answer", chat_servers.WORDS
    pixtral.gate.clear()
    pixtral.requests.clear()
    return pixtral


def clock(seconds: float) -> str:
    return f"00:{int(seconds) // 60:02}:{int(seconds) % 60:02},000"


def stamp(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# -- speech and pictures


def test_a_film_without_subtitles_is_heard_by_the_named_whisper(heard):
    speech = [p for p in heard.media.passages if p.kind == "speech"]
    words = " ".join(p.text for p in speech)
    assert all(said in words for said in SAID)
    assert heard.media.language == "en"
    assert (heard.media.coverage["speech"].state, heard.media.coverage["speech"].by) == ("read", "whisper tiny.pt")
    assert any("elephant" in p.text for p in heard.library.find("an elephant in the library").moments[0].passages)


def test_the_transcript_has_a_cue_for_each_thing_said(heard):
    vtt = (heard.library.folder(heard.media.id) / "transcript.vtt").read_text()
    cues = re.findall(r"00:(\d\d:\d\d\.\d{3}) --> 00:(\d\d:\d\d\.\d{3}).*\n(.+)", vtt)
    assert [text for *_, text in cues] == [*SAID]
    assert all(start < end <= "00:24.000" for start, end, _ in cues)


def test_frames_are_embedded_by_the_named_clip_and_found_by_it(heard):
    pictures = heard.media.coverage["pictures"]
    assert pictures.state == "read"
    assert pictures.by.startswith("tiny-clip")
    folder = heard.library.folder(heard.media.id)
    vectors = np.load(folder / "vectors" / f"{pictures.by}.npz")["vectors"]
    assert vectors.shape == (len(heard.media.frames), 512)
    assert f"{len(heard.media.frames)} pictures" in heard.library.index_facts()
    assert any("looks like the question" in moment.why for moment in heard.library.find("a green slide").moments)


def test_a_named_whisper_that_is_not_there_is_an_error_and_nothing_is_stored(heard):
    error = heard.errors[0]
    assert isinstance(error, ModelError)
    assert "/nowhere.pt" in str(error)
    assert "WHISPER_MODEL" in str(error)
    assert heard.kept[0] == []
    assert heard.stored[0] == []
    assert heard.stored[1]


def test_a_named_clip_that_is_not_there_is_an_error_and_what_was_read_is_not_read_again(heard):
    error = heard.errors[1]
    assert isinstance(error, ModelError)
    assert "/nowhere" in str(error)
    assert "CLIP_MODEL" in str(error)
    (kept,) = heard.kept[1]
    assert (kept.id, kept.frames, kept.passages) == (heard.media.id, heard.media.frames, heard.media.passages)
    _, before, after = heard.steps
    assert before >= {"frames", "speech"}
    assert "pictures" in after
    assert not after & READING


# -- mistral


def test_text_is_embedded_by_mistral_into_a_collection_named_for_it(talk, mistral):
    from pymilvus import MilvusClient

    assert talk.media.coverage["text"].by == "mistral-embed"
    assert set(mistral.keys) == {f"Bearer {KEY}"}
    folder = talk.library.folder(talk.media.id)
    assert np.load(folder / "vectors" / "mistral-embed.npz")["vectors"].shape[1] == 1024
    found = talk.library.find("The dusty otter").moments[0]
    assert "The dusty otter sleeps." in [p.text for p in found.passages]
    client = MilvusClient(str(talk.library.settings.data_dir / "library.db"))
    with contextlib.closing(client):
        assert client.list_collections() == ["text_mistral_embed_1024"]


def test_a_service_that_fails_after_reading_costs_one_line_and_nothing_twice(talk, mistral):
    assert {type(error) for error in talk.errors} == {EmbeddingError}
    refused, failed, odd = map(str, talk.errors)
    assert "MISTRAL_API_KEY" in refused
    assert "500" in failed
    assert "400" in odd
    for (kept,) in talk.kept:
        assert kept.passages == talk.media.passages
        assert kept.frames == talk.media.frames
    first, second = talk.steps
    assert "frames" in first
    assert "text" in second
    assert not second & READING
    sent = [text for text in mistral.inputs if text in {p.text for p in talk.media.passages}]
    assert len(sent) == len(set(sent)) == len({p.text for p in talk.media.passages}) > 64
    talk.library.reindex()
    assert len([text for text in mistral.inputs if text in set(sent)]) == len(sent)


# -- another embedding


def test_another_embedding_is_never_mixed_with_the_one_before(library, settings, tmp_path):
    question = "Which light does the pigment swallow?"
    (first,), _ = library.everything()
    before = library.find(question).moments
    library.close()
    local = library.folder(first.id) / "vectors" / f"{first.coverage['text'].by}.npz"
    saved = local.stat().st_mtime_ns
    with serve_embeddings(64) as server:
        endpoint = {"embedding_base_url": f"{server.url}/v1", "embedding_model": "BAAI/bge-small"}
        named = replace(settings, text_embedding="openai", screen_text=False, **endpoint, **KEYS)
        with contextlib.closing(build(named)) as other:
            with pytest.raises(LibraryError, match="reindex"):
                other.find(question)
            assert "reindex" in {check.part: check.next for check in check_all(other)}["vector store"]
            assert other.reindex() == (1, ())
            (moment,) = other.find("a pigment that swallows red and blue light", limit=1).moments
            assert any("pigment" in p.text for p in moment.passages)
            assert "close in meaning" in moment.why
            assert len(server.inputs) == len(set(server.inputs))
            assert {p.text for p in first.passages} <= set(server.inputs)

            transcript = tmp_path / "second.srt"
            transcript.write_text("1\n00:00:01,000 --> 00:00:04,000\nThe glacier moves slowly.\n")
            second = other.ingest(transcript)
            assert second.coverage["text"].by == other.get(first.id).coverage["text"].by == "BAAI-bge-small"
            assert other.find("which glacier moves").moments[0].media == second.id
            asked = len(server.inputs)
        with contextlib.closing(build(settings)) as back:
            assert back.find(question).moments == before
            assert {moment.media for moment in back.find("which glacier moves").moments} == {first.id}
        assert len(server.inputs) == asked
        assert set(server.keys) == {f"Bearer {KEY}"}
    assert local.stat().st_mtime_ns == saved
    assert holds_no_key(settings.data_dir)


# -- answers from a model


LATE = next(at for at, text in CUES if "violet walrus" in text)


def ask(talk: Told) -> Reply:
    return talk.library.ask("Does the violet walrus sleep?", [talk.media.id])


def test_what_was_found_is_told_while_the_model_still_says_what_is_asked(talk, model):
    model.behaviour = "waits"  # not a word before the gate opens
    told = []

    def found(evidence: Evidence) -> None:
        told.append((evidence, model.gate.is_set()))
        model.gate.set()

    talk.library.ask("Does the violet walrus sleep?", [talk.media.id], found=found)
    evidence, answered = told[0]
    assert evidence.moments[0].start <= LATE < evidence.moments[0].end
    assert not answered


def test_the_model_is_sent_the_evidence_in_the_order_of_the_video_and_its_best_frame(talk, model):
    reply = ask(talk)
    assert "".join(reply) == "".join(model.words)
    assert (reply.answered_by, reply.finish) == (MODEL, "stop")
    best = reply.evidence.moments[0]
    assert best.start <= LATE < best.end
    best_first = [moment.start for moment in reply.evidence.moments]
    assert best_first != sorted(best_first)

    decided, request = model.chats  # what the question asks for, in one short call, and then the answer
    assert "data:image" not in json.dumps(decided.body)
    times = {f'[{stamp(at)}] subtitle: "{text}"': at for at, text in CUES}
    sent = [times[line] for line in request.text.splitlines() if line in times]
    assert LATE in sent
    assert len(sent) > 3
    assert sent == sorted(sent)
    assert request.text.count(" subtitle: ") == len(sent)

    urls = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", json.dumps(request.body))
    pictures = [base64.b64decode(url) for url in urls]
    assert talk.library.picture(*reply.evidence.top_frame).read_bytes() in pictures
    found = [(moment.media, frame) for moment in reply.evidence.moments for frame in moment.frames]
    assert 1 < len(pictures) <= 4
    assert {talk.library.picture(*one).read_bytes() for one in found} >= {*pictures}  # looked at closer, too
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures]
    assert {image.format for image in opened} == {"JPEG"}
    assert {max(image.size) for image in opened} == {1024}  # of a film of 1280 x 720
    top = opened[pictures.index(talk.library.picture(*reply.evidence.top_frame).read_bytes())]
    colour = COLOURS[int(LATE // SLIDE) % len(COLOURS)]  # of the slide that stands while it is said
    assert np.allclose(top.convert("RGB").getpixel((5, 5)), colour, atol=12)


def test_a_cited_time_that_is_not_in_the_evidence_is_told_apart(talk, model):
    model.words = ("It sleeps ", f"[{stamp(LATE)}]", ", as said before [0:02] and after [59:00].")
    reply = ask(talk)
    list(reply)
    assert [(c.time, c.supported) for c in reply.citations] == [(LATE, True), (2.0, False), (3540.0, False)]


def test_an_answer_that_drops_in_mid_stream_keeps_what_had_arrived(talk, model, monkeypatch):
    def half_then_drop(handler) -> None:
        handler.half()
        handler.state.gate.wait()  # a reset throws away what was not read yet
        chat_servers._drop(handler)

    monkeypatch.setitem(chat_servers.BEHAVIOURS, "half, then drop", half_then_drop)
    model.behaviour = "half, then drop"
    reply = ask(talk)
    words = iter(reply)
    assert [next(words) for _ in range(3)] == list(chat_servers.WORDS[:3])
    model.gate.set()
    with pytest.raises(AnswerError) as broken:
        next(words)
    assert is_one_line_without_a_key(broken.value)
    assert (reply.text, reply.finish) == ("The diagram shows", "interrupted")


def test_an_endpoint_that_repeats_the_key_it_refuses_does_not_make_us_repeat_it(talk, model, monkeypatch):
    def refuse(handler) -> None:
        handler.refuse(401, {"error": {"message": f"no user has the key {handler.headers['Authorization']}"}})

    monkeypatch.setitem(chat_servers.BEHAVIOURS, "refuse", refuse)
    model.behaviour = "refuse"
    with pytest.raises(AnswerError, match="VLLM_API_KEY") as refused:
        list(ask(talk))
    assert KEY in model.chats[0].headers["authorization"]
    assert is_one_line_without_a_key(refused.value)


def test_the_command_line_gives_what_had_arrived_and_fails(library, monkeypatch, capfd):
    (media,), _ = library.everything()
    library.close()
    with chat_server("close midway", key=KEY) as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.base_url)
        monkeypatch.setenv("VLLM_API_KEY", KEY)
        code = main(["ask", "--json", media.id, "What about volcanoes?"])
    out, err = capfd.readouterr()
    (said,) = map(json.loads, out.splitlines())
    assert code == 1
    assert (said["answer"], said["answered_by"], said["finish"]) == ("The diagram shows", MODEL, "interrupted")
    assert said["moments"]
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert KEY not in out + err


# -- secrets, after all of that


def test_no_key_is_kept_or_told(heard, talk):
    assert all(is_one_line_without_a_key(error) for error in [*heard.errors, *talk.errors])
    for told in (heard, talk):
        list(told.library.find("anything at all").moments)
        told.library.close()
        assert holds_no_key(told.library.settings.data_dir)
