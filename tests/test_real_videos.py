"""Real videos through the whole path, no model configured: read, found, quoted. What stands on a slide is found there.

Needs ../shared. What each file holds, frame by frame, is looked at in test_video.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import read_here

from pipeline import build
from pipeline.errors import SourceError
from pipeline.settings import Settings
from pipeline.types import Media
from pipeline.workflow import Pipeline

pytestmark = pytest.mark.long
TALK, FILM, SPACE = "laion400m_slide_talk.mp4", "friday.mp4", "nasa_13013.mp4"
SOUND, CARTOON = "audio_only_speech_and_silence.mp4", "popeye_vobsub_no_audio.mkv"
SLIDES = [0, 7.1, 50.8, 69.9, 89.9, 92.8, 100.5, 113.7]  # s, the times at which the talk shows another one
LATE = 0.1  # s, how much later a slide may be dated: seen by eye, the times above are rounded down


@pytest.fixture(scope="module")
def real_library(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """All five in one library, so that every question has four wrong videos to fall for."""
    pipeline = build(Settings(data_dir=tmp_path_factory.mktemp("real") / "data"))
    for name in (TALK, CARTOON, FILM, SPACE, SOUND):
        # Text is looked for where there is some, and in one film that has none: that takes most of the time.
        settings = replace(pipeline.settings, screen_text=name in (TALK, FILM))
        read_here(shared / "media/video" / name, settings)
    yield pipeline
    pipeline.close()


def media(library: Pipeline, name: str) -> Media:
    (one,) = [one for one in library.everything()[0] if Path(one.source).name == name]
    return one


def states(one: Media) -> dict[str, str]:
    return {part: coverage.state for part, coverage in one.coverage.items()}


def test_every_slide_of_the_talk_is_kept_at_its_time_with_what_stands_on_it(real_library):
    talk = media(real_library, TALK)
    assert [frame.start for frame in talk.frames] == pytest.approx(SLIDES, abs=LATE)
    assert (talk.coverage["frames"].state, talk.coverage["frames"].note) == ("read", "")
    assert [frame.end for frame in talk.frames[:-1]] == [frame.start for frame in talk.frames[1:]]
    assert all(real_library.picture(talk.id, frame).is_file() for frame in talk.frames)
    written = [(p.start, p.end) for p in talk.passages if p.kind == "screen"]
    assert written == [(frame.start, frame.end) for frame in talk.frames]


def test_speech_that_nobody_could_hear_is_said_with_the_next_step(real_library):
    speech = media(real_library, TALK).coverage["speech"]
    assert speech.state == "off"
    assert "WHISPER_MODEL" in speech.note


@pytest.mark.parametrize(
    ("question", "slide", "answer"),
    [
        ("Which of the authors works at Gentec Data?", 0, "Richard Vencu"),
        ("How many image-text pairs does the dataset have?", 7.1, "413M"),
        ("What similarity between image and text embeddings is asked for?", 7.1, ">0.3"),
        ("Which crawl is the source of the data?", 7.1, "Common Crawl"),
        ("Whom is it meant to empower?", 50.8, "independent researchers"),
        ("Which large multi-modal models can be studied with it?", 50.8, "ALIGN"),
        ("Where are the fluffy kittens?", 69.9, "Fluffy Kitten"),
        ("pictures of Pikachu", 89.9, "pikachu winking"),  # on the screen for 2.9 s
        ("the Eiffel tower on the moon", 92.8, "28.53125"),
        ("What is the address of the img2dataset repository?", 100.5, "github.com/rom1504/img2dataset"),
        ("How do I get in touch by mail or Discord?", 113.7, "contact@laion.ai"),
    ],
)
def test_what_stands_on_a_slide_is_found_first_and_shown(real_library, question, slide, answer):
    talk = media(real_library, TALK)
    evidence = real_library.find(question)
    best = evidence.moments[0]
    assert best.media == talk.id
    assert best.start == pytest.approx(slide, abs=LATE)
    assert any(answer in " ".join(p.text.split()) for p in best.passages)
    media_id, frame = evidence.top_frame
    assert media_id == talk.id
    assert frame.start == pytest.approx(slide, abs=LATE)


def test_the_answer_quotes_the_slide_and_names_its_time(real_library):
    talk = media(real_library, TALK)
    reply = real_library.ask("Where is the code of img2dataset?", [talk.id])
    assert "rom1504/img2dataset" in "".join(reply)
    first = reply.citations[0]
    assert first.supported
    assert 100.5 - 1 <= first.time < 113.7  # a time in an answer is cut to whole seconds


def test_subtitles_beside_the_film_are_its_words(real_library):
    film = media(real_library, FILM)
    assert film.coverage["speech"].by == "friday.vtt"
    assert states(film) == {
        "frames": "read",
        "speech": "read",
        "screen": "absent",
        "text": "read",
        "pictures": "off",
        "chapters": "read",
    }
    best = real_library.find("Who has stolen the jewels of the crown?").moments[0]
    assert best.media == film.id
    assert best.start <= 4.3 < 6 <= best.end + 0.001


def test_subtitles_inside_the_file_are_its_words(real_library):
    space = media(real_library, SPACE)
    assert (space.coverage["speech"].by, space.language) == ("subtitles inside the file", "en")
    evidence = real_library.find("In which city is the cleanroom of the telescope?")
    assert evidence.moments[0].media == space.id
    assert "Greenbelt, Maryland" in evidence.moments[0].passages[0].text
    assert evidence.top_frame[0] == space.id


def test_sound_alone_is_in_the_library_with_what_was_not_read(real_library):
    sound = media(real_library, SOUND)
    assert sound.length == pytest.approx(60, abs=0.5)
    assert (sound.frames, sound.passages) == ((), ())
    assert states(sound) == {
        "frames": "absent",
        "speech": "off",
        "screen": "absent",
        "text": "absent",
        "pictures": "absent",
        "chapters": "read",
    }
    assert real_library.find("anything at all", [sound.id]).moments == ()
    assert "".join(real_library.ask("What is said?", [sound.id])).strip()  # that nothing was found is an answer too


def test_text_beside_a_film_goes_before_the_pictures_of_words_inside_it(real_library):
    cartoon = media(real_library, CARTOON)
    assert cartoon.coverage["speech"].state == "read"
    assert cartoon.coverage["speech"].by == "popeye_vobsub_no_audio.srt"
    best = real_library.find("Who took him in his beak?").moments[0]
    assert best.media == cartoon.id
    assert best.start <= 35.84 < 40.34 <= best.end
    assert "<i>" not in " ".join(p.text for p in cartoon.passages)
    assert best.frames[0].start < best.end
    assert best.frames[0].end > best.start


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("media/broken/real_aeneas_mono.zero.wav", "is empty"),
        ("media/decks/saas_slide.pdf", "not a video"),
        ("media/video", "is a folder"),
        ("https://example.org/talk.mp4", "Download"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_next_step_and_costs_nothing(real_library, shared, path, words):
    before = sorted(real_library.settings.data_dir.rglob("*"))
    with pytest.raises(SourceError, match=words) as refused:
        real_library.ingest(path if "://" in path else shared / path)
    assert "\n" not in str(refused.value)
    assert sorted(real_library.settings.data_dir.rglob("*")) == before
