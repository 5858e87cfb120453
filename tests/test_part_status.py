"""What was looked at, what was not, and what is said of it: the same words everywhere, and no more than is known."""

from dataclasses import replace

import pytest

from pipeline import part_status
from pipeline.chat import export, prompt, quotes
from pipeline.chat.exchange import Exchange
from pipeline.chat.prompt import Room
from pipeline.types import DOUBTFUL, Coverage, Evidence, Frame, Gap, Media, Moment, Passage

READ = {
    "frames": Coverage("read", "0.2 pictures a second"),
    "speech": Coverage("read", "faster-whisper base"),
    "screen": Coverage("read", "rapidocr"),
    "pictures": Coverage("read", "clip"),
    "text": Coverage("read", "minilm"),
}
DEAF = part_status.off("speech", "The weights are not here. Run: pip install them.")
NO_CLIP = part_status.off("pictures", "CLIP is not here. Set CLIP_MODEL.")


def media(title: str = "talk", **parts: Coverage) -> Media:
    return Media("a" * 32, title, "/talk.mp4", "second", 600.0, "en", coverage=READ | parts)


def evidence(*every: Media, near: bool = False) -> Evidence:
    moment = Moment("a" * 32, 3.0, 6.0, 0.5, (Passage(3.0, 6.0, "Planks are glued.", "screen"),))
    return Evidence(
        "Who sings?",
        (moment,),
        near=near,
        looked_at=part_status.looked_at(every),
        not_looked_at=part_status.gaps(every),
    )


EVERYWHERE = "what is said, the text on the screen and the pictures"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "This does not seem to be in the video."),
        (
            {"speech": Coverage("absent", note="The file has no sound.")},
            "This does not seem to be in the video.",
        ),
        (
            {"speech": Coverage("absent", "faster-whisper base", "No speech was heard.")},
            "This does not seem to be in the video.",
        ),
        (
            {"speech": DEAF},
            "I did not find this. I looked at the text on the screen and the pictures only: speech was not heard (The "
            "weights are not here. Run: pip install them).",
        ),
        (
            {"speech": DEAF, "pictures": NO_CLIP},
            "I did not find this. I looked at the text on the screen only: speech was not heard (The weights are not "
            "here. Run: pip install them); the pictures were not searched (CLIP is not here. Set CLIP_MODEL).",
        ),
        (
            {"pictures": NO_CLIP},
            "I did not find this. I looked at what is said and the text on the screen only: the pictures were not "
            "searched (CLIP is not here. Set CLIP_MODEL).",
        ),
        ({"pictures": NO_CLIP, "captions": Coverage("read", "pixtral")}, "This does not seem to be in the video."),
        (
            {"screen": part_status.off("screen", "SCREEN_TEXT is off. Set SCREEN_TEXT=on.")},
            "I did not find this. I looked at what is said and the pictures only: the text on the screen was not read "
            "(SCREEN_TEXT is off. Set SCREEN_TEXT=on).",
        ),
        (
            {"speech": part_status.under_way("speech", 60.0, 600.0)},
            f"I did not find this. I looked at {EVERYWHERE} only: speech is still being heard.",
        ),
        (
            {"speech": part_status.broken_off("speech", 60.0, 600.0)},
            f"I did not find this. I looked at {EVERYWHERE} only: speech was heard only in part (Heard 1:00 of 10:00. "
            "Read it again to go on).",
        ),
        (
            {"speech": Coverage("doubtful", "faster-whisper base", "Whether somebody speaks is in doubt.")},
            f"I did not find this. I looked at {EVERYWHERE} only: whether anything is said is in doubt (Whether "
            "somebody speaks is in doubt).",
        ),
        (
            {"frames": Coverage("off", note="They are damaged."), "pictures": Coverage("absent"),
             "screen": Coverage("absent")},
            "I did not find this. I looked at what is said only: the pictures could not be read (They are damaged).",
        ),
        (
            {"speech": DEAF, "screen": Coverage("absent"), "pictures": NO_CLIP},
            "I did not find this. I could look at nothing: speech was not heard (The weights are not here. Run: pip "
            "install them); the pictures were not searched (CLIP is not here. Set CLIP_MODEL).",
        ),
    ],
)  # fmt: skip
def test_nobody_says_that_it_is_not_there_of_what_was_not_looked_at(parts, said):
    assert part_status.not_found(evidence(media(**parts))) == said


def test_of_a_library_it_is_said_which_were_not_looked_at():
    deaf = [media(f"talk {n}", speech=DEAF) for n in range(5)]
    (gap,) = part_status.gaps([*deaf, media("good")])
    assert gap.what == "speech was not heard in 5 of 6: talk 0, talk 1, talk 2 and 2 more"
    (gap,) = part_status.gaps(deaf[:2])
    assert gap.what == "speech was not heard in any of 2"


def test_what_weighs_most_is_noted_below_every_answer():
    deaf = "Speech was not heard. The weights are not here. Run: pip install them."
    blind = "The pictures were not searched. CLIP is not here. Set CLIP_MODEL."
    gaps = part_status.gaps([media(speech=DEAF, pictures=NO_CLIP)])
    assert part_status.notes(gaps, "What did they decide?") == (deaf,)
    assert part_status.notes(gaps, "What colour is the car?") == (deaf, blind)
    assert part_status.notes(part_status.gaps([media(pictures=NO_CLIP)]), "What did they decide?") == ()


def test_quotes_say_what_was_looked_at_before_the_nearest():
    text = quotes.answer(evidence(media(speech=DEAF)), {}).text or "".join(
        quotes.answer(evidence(media(speech=DEAF)), {})
    )
    assert text.startswith("I did not find this. I looked at the text on the screen and the pictures only: speech was")
    assert "not seem to be in" not in text
    empty = replace(evidence(media(speech=DEAF)), moments=())
    assert "".join(quotes.answer(empty, {})).startswith("Nothing was found for this question. I looked at the text on")


def test_a_model_is_told_what_was_not_looked_at_and_what_it_must_not_say():
    def guide(one: Evidence) -> str:
        return str(prompt.write(one, {}, (), Room(), lambda media, frame: (10, 10)).messages[-1]["content"])

    for near in (True, False):
        told = guide(evidence(media(speech=DEAF), near=near))
        assert "Not all of the video was looked at: speech was not heard. Looked at: the text on the screen," in told
        assert "Never say that something is not in the video" in told
        assert "looked at" not in guide(evidence(media(), near=near))
    nothing = replace(evidence(media(speech=DEAF)), moments=())
    assert "speech was not heard" in guide(nothing)


def test_an_export_says_it_where_a_model_answered(tmp_path):
    import io
    import zipfile

    one = Exchange(
        "Who sings?", text="Nobody.", answered_by="pixtral", evidence=evidence(media(speech=DEAF)), finish="stop"
    )
    content = export.to_markdown([one], {"a" * 32: "talk"}, lambda *_: tmp_path / "none", lambda _: None)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        chat = archive.read("chat.md").decode()
    assert "speech was not heard" in chat
    assert "does not seem to be in" not in chat


def test_what_is_in_doubt_is_never_quoted_as_said():
    doubtful = Passage(3.0, 6.0, "Televigy glues the planks.", DOUBTFUL)
    sure = Passage(7.0, 9.0, "Planks are glued by a person.", "speech")
    moment = Moment("a" * 32, 3.0, 9.0, 0.5, (doubtful, sure), (Frame(3.0, 6.0, "frames/3.jpg"),))
    text = "".join(quotes.answer(Evidence("Who glues the planks?", (moment,)), {}))
    first = next(line for line in text.splitlines() if line.startswith("- "))
    assert first == "- [0:07] said: “Planks are glued by a person.”"
    alone = replace(moment, passages=(doubtful,))
    text = "".join(quotes.answer(Evidence("Who glues the planks?", (alone,)), {}))
    assert "perhaps said (heard in doubt): “Televigy glues the planks.”" in text
    assert " said: " not in text
    told = prompt.write(Evidence("Who?", (alone,)), {}, (), Room(images=0), lambda media, frame: (10, 10))
    assert 'perhaps said (heard in doubt): "Televigy' in str(told.messages[-1]["content"])


def test_a_media_without_words_says_whether_it_was_listened_to():
    deaf = part_status.no_words(media(speech=DEAF))
    assert deaf.startswith("No words of it can be searched: speech was not heard (The weights")
    silent = {"speech": Coverage("absent", note="The file has no sound."), "screen": Coverage("absent", "rapidocr")}
    assert part_status.no_words(media(**silent)).startswith("No words were heard or read in it")
    assert part_status.nothing_said(media(speech=DEAF)) == DEAF.note
    assert part_status.nothing_said(media(**silent)) == "The file has no sound."


def test_gaps_are_values_that_programs_read():
    (gap,) = part_status.gaps([media(speech=DEAF)])
    assert gap == Gap("speech", "off", "speech was not heard", "The weights are not here. Run: pip install them.")
