"""A media -> the first questions that a person may click, each of which its own words and chapters answer. Pure.

They are in the forms that intent.py knows, so that each gets the evidence it was made for. Knows no search.
"""

import re

from pipeline.chat import intent
from pipeline.types import SPOKEN, Chapter, Media
from pipeline.words import content_words, root, roots

MOST = 4
LONGEST = 45  # characters of a title that fits into a question
SHOWN = 2.0  # s, that words stand on the screen to be asked for

_NUMBERED = re.compile(r"(?:part|chapter|section|slide|page|figure)\s*[\d.ivx]*|the whole video", re.IGNORECASE)
_PLAIN = re.compile(r"[^\W_][\w '’&+/-]*[\w+]")  # no list, no "…", no quotes, no addresses, no half of a bracket


def suggest(media: Media) -> tuple[str, ...]:
    """At most MOST questions; () for a media that holds neither words nor pictures."""
    questions = []
    if (media.passages or media.frames) and media.chapters:
        questions.append(("whole", "What is this about?"))
    subjects = {one: subject for one in media.chapters if (subject := _subject(one.title))}
    said = [one for one, subject in subjects.items() if _is_in(subject, one, media, SPOKEN)]
    shown = [one for one, subject in subjects.items() if _is_in(subject, one, media, ("screen",))]
    used: list[Chapter] = []
    for kind, form, chapters in (  # each about another chapter, from all over the video
        ("local", "What does it say about “{}”?", said[len(said) // 2 :]),
        ("local", "Where is “{}” shown?", shown),
        ("after", "What comes after “{}”?", [one for one in said if one is not media.chapters[-1]]),
        ("first", "When is “{}” first mentioned?", said),
    ):
        if one := next((one for one in chapters if one not in used), None):
            questions.append((kind, form.format(subjects[one])))
            used.append(one)
    return tuple(question for kind, question in questions if intent.read(question).kind == kind)[:MOST]


def _subject(title: str) -> str:
    """The part of a title that a question can be made of, "" where there is none."""
    for part in re.split(r"\s*[:–—|]\s+", title):
        listed = [one for one in re.split(r",\s+", part) if _is_sound(one)]
        if listed:
            return max(listed, key=lambda one: len(content_words(one)) > 1)  # the first of those that say most
    return ""


def _is_sound(title: str) -> bool:
    """Whether it is short, whole, in plain words, and about something."""
    words = content_words(title)
    return (
        len(title) <= LONGEST
        and bool(_PLAIN.fullmatch(title))
        and not _NUMBERED.fullmatch(title)
        and any(sum(map(str.isalpha, word)) > 3 for word in words)
        and 2 * len(words) >= len(title.split())
        and len(set(map(root, title.split()))) == len(title.split())  # not "hash hash"
    )


def _is_in(subject: str, chapter: Chapter, media: Media, kinds: tuple[str, ...]) -> bool:
    """Whether one passage of the chapter holds all that it is about."""
    wanted = roots(subject)
    return any(
        one.kind in kinds
        and (one.kind in SPOKEN or one.end - one.start >= SHOWN)
        and one.start < chapter.end
        and one.end > chapter.start
        and wanted <= roots(one.text)
        for one in media.passages
    )
