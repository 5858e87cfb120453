"""What is said of a part that was not looked at: every sentence, and that no door says more than was looked at."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pipeline import build, doctor, part_status
from pipeline.__main__ import main
from pipeline.chat import exchange, prompt
from pipeline.chat.exchange import Exchange
from pipeline.chat.export import to_markdown
from pipeline.media import folder as folders
from pipeline.media import subtitles
from pipeline.part_status import AGAIN, broken_off, lost, under_way
from pipeline.types import DOUBTFUL, SPOKEN, Coverage, Evidence, Frame, Listed, Moment, Passage
from pipeline.workflow import Pipeline

ABSENT = "This does not seem to be in the video."
NO_CLIP = "The weights of CLIP are not here. Set CLIP_MODEL to a folder that holds them."
CLIP_OFF = f"Pictures were not looked at. {NO_CLIP} Then run `python -m pipeline reindex`."
UNHEARD = "base.pt could not be fetched. Set WHISPER_MODEL to a .pt file."
HEARD, WRITTEN = Coverage("read", "whisper base"), Coverage("read", "talk.srt")
READ, NO_TEXT = Coverage("read", "rapidocr"), Coverage("absent", "rapidocr", "No text was seen on the screen.")
SEEN, BLIND = Coverage("read", "clip"), Coverage("off", note=NO_CLIP)
SILENT = Coverage("absent", note="The file has no sound.")
FRAME = Frame(0.0, 5.0, "frames/000000.000.jpg")


def media(number: int = 0, title: str = "talk", source: str = "/a/talk.mp4", **coverage: Coverage | None) -> Listed:
    """A minute whose parts were all looked at, but for those given."""
    whole = {"frames": Coverage("read", "0.2 pictures a second"), "speech": HEARD, "screen": READ, "pictures": SEEN}
    parts = {part: one for part, one in (whole | coverage).items() if one}
    frames = (FRAME,) if parts.get("frames", SILENT).state in ("read", "partly") else ()
    return Listed(f"{number:032x}", title, source, "second", 60.0, "en", frames, parts)


def evidence(*of: Listed, near: bool = False, kind: str = "local", words: bool = True, **known: object) -> Evidence:
    looked_at, gaps = part_status.look(of, **known)
    passages = (Passage(0.0, 5.0, "Hello.", "screen"),) if words else ()
    found = (Moment(of[0].id, 0.0, 5.0, 1.0, passages, (FRAME,)),)
    return Evidence("x?", found, kind, 0.0, near, asked=len(of), looked_at=looked_at, not_looked_at=gaps)


# What the page says where nothing near was found, by what there is of one video. This is the list of all of them.
SAID = [
    ({}, [ABSENT]),
    ({"speech": SILENT}, [ABSENT]),
    ({"speech": Coverage("absent", "whisper base", "No speech was heard.")}, [ABSENT]),
    ({"screen": NO_TEXT}, [ABSENT]),
    ({"pictures": BLIND, "captions": Coverage("read", "eyes")}, [ABSENT]),
    (
        {"frames": SILENT, "screen": SILENT, "pictures": SILENT, "speech": WRITTEN, "source": "/a/talk.srt"},
        ["This does not seem to be in the transcript."],
    ),
    (
        {"pictures": BLIND},
        ["This does not seem to be in the words of the video (speech and text on the screen).", CLIP_OFF],
    ),
    (
        {"pictures": BLIND, "speech": WRITTEN},
        ["This does not seem to be in the words of the video (subtitles and text on the screen).", CLIP_OFF],
    ),
    (
        {"pictures": BLIND, "captions": Coverage("partly", "eyes", "eyes had no words for 3 of 29 pictures.")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and descriptions of pictures).",
            "Pictures were looked at only in part. eyes had no words for 3 of 29 pictures.",
        ],
    ),
    (
        {"speech": Coverage("off", note=f"Speech was not heard. {UNHEARD} {AGAIN}")},
        [
            "I looked at text on the screen and pictures (by CLIP) only, and this does not seem to be there.",
            f"Speech was not heard. {UNHEARD} {AGAIN}",
        ],
    ),
    (
        {"speech": Coverage("off", note="The sound could not be read. It crashed."), "pictures": BLIND},
        [
            "I looked at text on the screen only, and this does not seem to be there.",
            f"Speech was not heard. The sound could not be read. It crashed. {AGAIN}",
            CLIP_OFF,
        ],
    ),
    (
        {"speech": under_way("speech", 0.0, 60.0)},
        [
            "This does not seem to be in what was looked at (text on the screen and pictures (by CLIP)).",
            "Speech was not heard yet. Ask again when it has been read.",
        ],
    ),
    (
        {"speech": under_way("speech", 12.0, 60.0, "whisper base")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Speech was heard to 0:12 of 1:00 so far. Ask again when it has been read.",
        ],
    ),
    (
        {"speech": broken_off("speech", 12.0, 60.0, "whisper base")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Speech was heard to 0:12 of 1:00. Read it again to go on.",
        ],
    ),
    (
        {"speech": broken_off("speech", 12.0, 60.0, "whisper base", f"{UNHEARD} {AGAIN}")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            f"Speech was heard to 0:12 of 1:00. {UNHEARD} {AGAIN}",
        ],
    ),
    (
        {"speech": Coverage("partly", "whisper base", "The sound after 0:30 was not read. Try another copy.")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Speech was heard only in part. The sound after 0:30 was not read. Try another copy.",
        ],
    ),
    (
        {"speech": lost("partly", "whisper base", "The sound after 0:30 was not read. It crashed.", 30.0)},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "The sound after 0:30 was not read. It crashed. Read it again to go on.",
        ],
    ),
    (
        {"speech": lost("off", "", "The sound could not be read. It crashed.", 0.0)},
        [
            "I looked at text on the screen and pictures (by CLIP) only, and this does not seem to be there.",
            "Speech was not heard. The sound could not be read. It crashed. Read it again to go on.",
        ],
    ),
    (
        {"subtitles": lost("off", "", "The subtitles inside the file were not read. It crashed.", 0.0)},
        [
            "I looked at speech, text on the screen and pictures (by CLIP) only, and this does not seem to be there.",
            "Subtitles were not read. It crashed. Read it again to go on.",
        ],
    ),
    (
        {"speech": Coverage("partly", "talk.srt", "talk.srt: 4 captions without a possible time left out.")},
        [
            "This does not seem to be in what was looked at (subtitles, text on the screen and pictures (by CLIP)).",
            "Subtitles were read only in part. talk.srt: 4 captions without a possible time left out.",
        ],
    ),
    (
        {"speech": Coverage("doubtful", "whisper base", "Set WHISPER_MODEL to a larger one.")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Whether somebody speaks is in doubt. Set WHISPER_MODEL to a larger one.",
        ],
    ),
    (
        {"screen": Coverage("off", note="Text on the screen was not read: SCREEN_TEXT is off. Set SCREEN_TEXT=on.")},
        [
            "I looked at speech and pictures (by CLIP) only, and this does not seem to be there.",
            f"Text on the screen was not read. SCREEN_TEXT is off. Set SCREEN_TEXT=on. {AGAIN}",
        ],
    ),
    (
        {"screen": under_way("screen", 12.0, 60.0, "rapidocr")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Text on the screen was read to 0:12 of 1:00 so far. Ask again when it has been read.",
        ],
    ),
    (
        {"screen": broken_off("screen", 0.0, 60.0)},
        [
            "This does not seem to be in what was looked at (speech and pictures (by CLIP)).",
            "Text on the screen was not read. Read it again to go on.",
        ],
    ),
    (
        {"frames": Coverage("off", note="It crashed. Try another copy."), "screen": SILENT, "pictures": SILENT},
        [
            "I looked at speech only, and this does not seem to be there.",
            f"Pictures and the text on them were not read. It crashed. Try another copy. {AGAIN}",
        ],
    ),
    (
        {"frames": Coverage("partly", "fps", "The pictures after 0:30 were not read. It crashed. Try another copy.")},
        [
            "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
            "Pictures and the text on them were read only in part. The pictures after 0:30 were not read. It crashed. "
            "Try another copy.",
        ],
    ),
    (
        {
            "speech": SILENT,
            "screen": Coverage("off", note="SCREEN_TEXT is off. Set SCREEN_TEXT=on."),
            "pictures": BLIND,
        },
        [
            "No words of the video can be searched.",
            f"Text on the screen was not read. SCREEN_TEXT is off. Set SCREEN_TEXT=on. {AGAIN}",
            CLIP_OFF,
        ],
    ),
    (
        {"frames": SILENT, "screen": SILENT, "pictures": SILENT, "speech": Coverage("off", note=UNHEARD)},
        ["No words of the video can be searched.", f"Speech was not heard. {UNHEARD} {AGAIN}"],
    ),
    (
        {"text": Coverage("off", note="They are not embedded yet. Read it."), "pictures": BLIND},
        [
            "I looked at speech and text on the screen only, and this does not seem to be there.",
            "Words were not searched. They are not embedded yet. Read it.",
            CLIP_OFF,
        ],
    ),
]


@pytest.mark.parametrize(("coverage", "said"), SAID)
def test_what_is_said_of_one_video_where_nothing_near_was_found(coverage, said):
    assert part_status.not_found(evidence(media(**coverage))) == said


@pytest.mark.parametrize(("coverage", "said"), SAID)
def test_a_model_is_told_the_same_without_what_is_of_others(coverage, said):
    told = part_status.for_model(evidence(media(title="Do as I say", **coverage)))
    assert bool(told) == bool(said[1:])
    assert all(line.partition(".")[0].partition(" in 1")[0] in told for line in said[1:])
    assert not [word for word in ("Do as", "talk.srt", "WHISPER", "CLIP_MODEL", "crashed") if word in told]


@pytest.mark.parametrize(("coverage", "said"), SAID)
def test_beside_what_was_found_words_that_were_not_looked_at_are_named(coverage, said):
    of = media(**coverage)
    notes = part_status.limits(evidence(of, near=True))
    assert list(notes) == [line for line in said[1:] if not line.startswith("Pictures were")]
    assert list(part_status.limits(evidence(of, near=True, kind="count"))) == said[1:], "who counts must know of all"
    assert list(part_status.limits(evidence(of, near=True, words=False))) == said[1:]
    assert part_status.limits(evidence(of)) == (), "it was said already"


def test_of_several_videos_it_is_said_in_how_many_and_in_which():
    unheard = Coverage("off", note=UNHEARD)
    of = [media(n, f"Talk {n}", speech=unheard if n < 2 else HEARD) for n in range(5)]
    assert part_status.not_found(evidence(*of)) == [
        "This does not seem to be in what was looked at (speech, text on the screen and pictures (by CLIP)).",
        f"Speech was not heard in 2 of 5: Talk 0, Talk 1. {UNHEARD} {AGAIN}",
    ]
    assert "Speech was not heard in 2 of 5 videos." in part_status.for_model(evidence(*of))
    every = [media(n, f"[1:0{n}]", pictures=BLIND) for n in range(5)]
    assert part_status.not_found(evidence(*every)) == [
        "This does not seem to be in the words of these videos (speech and text on the screen).",
        CLIP_OFF,
    ]
    some = part_status.not_found(evidence(*every, media(9, speech=SILENT)))
    assert some[1].startswith("Pictures were not looked at in 5 of 6: [1:00], [1:01], [1:02] and 2 more. The weights")
    assert part_status.not_found(evidence(media(1), media(2))) == ["This does not seem to be in these videos."]


def test_of_several_videos_each_that_is_being_read_says_how_far():
    of = [media(0, "A", speech=under_way("speech", 12.0, 60.0, "whisper base")), media(1, "B")]
    assert part_status.not_found(evidence(*of))[1:] == [
        "Speech was heard only in part so far in 1 of 2: A (to 0:12 of 1:00). Ask again when it has been read."
    ]


def test_where_the_reasons_differ_each_video_says_its_own():
    of = [media(n, f"Talk {n}", speech=Coverage("off", note=f"Reason {n}.")) for n in range(2)]
    (gap,) = part_status.not_found(evidence(*of))[1:]
    assert gap == f"Speech was not heard. {part_status.EACH}"


def test_a_video_that_is_not_in_the_index_is_said_once_for_all_its_parts():
    of = [media(0, "A", speech=Coverage("off", note=UNHEARD)), media(1, "B")]
    known = {of[0].id: Coverage("off", note="They are of another embedding. Run it.")}
    assert part_status.not_found(evidence(*of, unsearched=known))[1:] == [
        "Words and pictures were not searched in 1 of 2: A. They are of another embedding. Run it."
    ]


def test_pictures_that_clip_cannot_search_any_more_were_not_looked_at():
    said = part_status.not_found(evidence(media(), pictures={media().id: BLIND}))
    assert said[1] == CLIP_OFF
    assert part_status.not_found(evidence(media(pictures=BLIND), pictures={media().id: SEEN})) == [ABSENT]


def test_a_picture_in_the_question_is_compared_by_looks_where_clip_is_off():
    of = evidence(media(pictures=BLIND), by_looks=True, kind="picture")
    assert of.looked_at == ("speech", "text on the screen", "pictures")
    assert part_status.not_found(of)[1] == (
        f"Pictures were looked at only in part. {part_status.BY_LOOKS} {NO_CLIP} Then run `python -m pipeline reindex`."
    )
    nothing = dataclasses.replace(evidence(media(), kind="picture"), moments=())
    assert part_status.not_found(nothing) == ["Nothing that looks like this picture was found in the video."]


def test_an_empty_library_and_what_an_earlier_version_kept_claim_nothing():
    assert "Add a video first" in part_status.not_found(Evidence("x?", asked=0))[0]
    assert part_status.not_found(Evidence("x?", near=False)) == ["Nothing that was found is near to the question."]


def test_a_chat_that_an_earlier_version_kept_still_loads():
    kept = exchange.dump([Exchange("x?", evidence=evidence(media(pictures=BLIND)))])
    record = json.loads(kept)
    assert exchange.parse(kept)[0].evidence.not_looked_at[0].next == "Then run `python -m pipeline reindex`."
    for name in ("looked_at", "not_looked_at"):
        del record["exchanges"][0]["evidence"][name]
    (old,) = exchange.parse(json.dumps(record))
    assert (old.evidence.near, old.evidence.looked_at, old.evidence.not_looked_at) == (False, (), ())


def test_every_kind_of_subtitles_file_is_said_to_be_read_and_not_heard():
    for suffix in subtitles._SUFFIXES:
        assert part_status.look([media(speech=Coverage("read", f"talk{suffix}"))])[0][0] == "subtitles"
    assert part_status.look([media(speech=Coverage("read", part_status.SUBTITLES_INSIDE))])[0][0] == "subtitles"
    assert part_status.look([media(speech=Coverage("read", "whisper tiny.pt"))])[0][0] == "speech"


# -- through every door


def change(library: Pipeline, said: Callable[[Passage], Passage | None], **coverage: Coverage) -> str:
    """The film with other words and another coverage, as if it had been read so. Returns its id."""
    (media,) = library.everything()[0]
    passages = tuple(filter(None, map(said, media.passages)))
    changed = dataclasses.replace(media, passages=passages, coverage={**media.coverage, **coverage})
    folders.save(changed, library.folder(media.id))
    return media.id


def unspoken(one: Passage) -> Passage | None:
    return None if one.kind in SPOKEN else one


@pytest.fixture
def unheard(library: Pipeline) -> Iterator[Pipeline]:
    """A library whose only video was not heard."""
    change(library, unspoken, speech=Coverage("off", note=f"Speech was not heard. {UNHEARD} {AGAIN}"))
    yield library
    library.close()


@pytest.fixture
def doubtful(library: Pipeline) -> Pipeline:
    """A library whose only video was heard, all of it in doubt."""

    def doubt(one: Passage) -> Passage:
        return dataclasses.replace(one, kind=DOUBTFUL) if one.kind in SPOKEN else one

    change(library, doubt, speech=Coverage("doubtful", "whisper base", "Set WHISPER_MODEL to a larger one."))
    library.reindex()
    return library


NOWHERE = "Which football club bought the goalkeeper?"
ONLY = "I looked at text on the screen only, and this does not seem to be there."
WHY = f"Speech was not heard. {UNHEARD} {AGAIN}"


def test_an_answer_of_quotes_says_what_was_not_heard(unheard):
    text = "".join(unheard.ask(NOWHERE))
    assert text.startswith(f"{ONLY}\n\n{WHY}\n\nPictures were not looked at. The weights of openai/clip")
    evidence = unheard.find("What is green about the chlorophyll?")
    assert evidence.near
    assert evidence.notes == (WHY,)


def test_a_model_is_told_what_it_must_not_deny(unheard):
    found = unheard.find(NOWHERE)
    written = prompt.write(found, {}, [], prompt.Room(), lambda media, frame: (64, 36))
    content = written.messages[-1]["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    guide = text.partition("</evidence>")[2]
    assert "Looked at: text on the screen. Not looked at: Speech was not heard. Pictures were not looked at." in guide
    assert "Never say that something is not in the video" in guide
    assert "most likely what was looked at does not hold the answer" in guide
    assert "WHISPER_MODEL" not in text
    assert "heard in doubt" not in text


def test_the_command_line_says_it_to_people_and_to_programs(unheard, capsys):
    media_id = unheard.list()[0][0].id
    unheard.close()
    assert main(["search", NOWHERE]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [ONLY, WHY]
    assert "The nearest that was found:" in said
    for command in (["search", "--json", NOWHERE], ["ask", "--json", media_id, NOWHERE], ["show", "--json", media_id]):
        assert main(command) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["looked_at"] == ["text on the screen"]
        speech = told["not_looked_at"][0]
        assert (speech["part"], speech["state"], speech["why"], speech["next"]) == ("speech", "off", UNHEARD, AGAIN)
    assert main(["show", media_id]) == 0
    assert f"speech    off      {WHY}" in capsys.readouterr().out


def test_an_export_says_what_was_not_looked_at(unheard):
    found = unheard.find(NOWHERE)
    one = Exchange(NOWHERE, text="It was Madrid.", answered_by="a-model", evidence=found, finish="stop")
    archive = to_markdown([one], {found.moments[0].media: "biology"}, unheard.picture, lambda _: None)
    text = zipfile.ZipFile(io.BytesIO(archive)).read("chat.md").decode()
    assert f"> {ONLY}" in text
    assert "> Speech was not heard." in text


@pytest.fixture
def page() -> Iterator[AppTest]:
    """The page over the data folder of this test."""
    st.cache_resource.clear()
    yield AppTest.from_file(str(Path(__file__).resolve().parents[1] / "app.py"), default_timeout=60)
    st.cache_resource.clear()


def opened(page: AppTest, library: Pipeline, tab: str = "") -> AppTest:
    """The page with the only video open, and one of its tabs."""
    media_id = library.list()[0][0].id
    library.close()
    page.query_params["video"] = media_id
    if tab:
        page.session_state[f"tabs-{media_id}"] = tab
    return page.run()


def texts(page: AppTest) -> str:
    return "\n".join(one.value for one in (*page.markdown, *page.caption, *page.info))


def test_the_page_says_before_and_after_a_question_what_was_not_heard(unheard, page):
    opened(page, unheard)
    assert not page.exception
    assert texts(page).count(WHY) == 2, "where the conversation begins, and in what was read"
    assert "speech not heard" in texts(page)
    assert "Nothing is said" not in texts(page)
    opened(page, unheard, "Transcript")
    assert texts(page).count(WHY) == 3


def test_what_is_in_doubt_is_never_quoted_as_said(doubtful):
    text = "".join(doubtful.ask("What swallows red and blue light?"))
    assert "perhaps said (heard in doubt): “The green colour" in text
    assert " said: “" not in text.replace("perhaps said (heard in doubt): “", "")
    found = doubtful.find("What swallows red and blue light?")
    assert "heard in doubt" in found.moments[0].why
    assert "Whether somebody speaks is in doubt. Set WHISPER_MODEL to a larger one." in found.notes
    written = prompt.write(found, {}, [], prompt.Room(), lambda media, frame: (64, 36))
    sent = json.dumps(written.messages, default=str)
    assert "perhaps said (heard in doubt): " in sent
    assert "never state them as said" in sent
    assert "] said: " not in sent


def test_what_was_heard_in_doubt_is_in_no_transcript_to_take_along_and_names_nothing(doubtful):
    (media,) = doubtful.everything()[0]
    folder = doubtful.folder(media.id)
    (folder / "transcript.vtt").unlink()
    changed = dataclasses.replace(media, chapters=())
    folders.save(changed, folder)
    assert "pigment" not in (folder / "transcript.vtt").read_text() + (folder / "transcript.txt").read_text()
    doubtful.reindex()
    (media,) = doubtful.everything()[0]
    assert media.chapters
    assert not [one.title for one in media.chapters if "pigment" in one.title.lower()]


def test_the_page_marks_what_was_heard_in_doubt(doubtful, page):
    opened(page, doubtful, "Transcript")
    assert not page.exception
    marked = [line for line in texts(page).splitlines() if "volcanoes" in line]
    assert marked
    assert all(":gray[perhaps said (heard in doubt): ]" in line for line in marked)
    assert "speech in doubt" in texts(page)


def test_status_uses_the_same_words(settings):
    off = dataclasses.replace(settings, screen_text=False, whisper_model="/nowhere/small.pt", speech_engine="whisper")
    checks = {one.part: one for one in doctor.check_all(build(off))}
    assert "speech is not heard" in checks["speech"].found
    assert "text on the screen is not read" in checks["text on screen"].found
    assert "pictures are not looked at" in checks["image embedding"].found
    assert checks["captions"].found == "pictures are not described"
    assert all(one.next for one in checks.values() if one.state == "off")
