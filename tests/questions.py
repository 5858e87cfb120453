"""Question sets with known answers -> transcripts and questions files for `python -m pipeline evaluate`.

    python tests/questions.py OUT_DIR
    DATA_DIR=OUT_DIR/tutorialvqa/data python -m pipeline evaluate OUT_DIR/tutorialvqa/*.jsonl

In: the folder ../shared. Out: OUT_DIR/tutorialvqa, qmsum and courses, each with its .srt files, with questions.jsonl
(not for the courses: nobody asked questions about them) and with unanswerable.jsonl, the questions of the other sets
asked of these transcripts. The sets: TutorialVQA dev (Colas et al., LREC 2020), QMSum val (Zhong et al., NAACL 2021)
and the subtitles of the Hugging Face course.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

WORDS_A_SECOND = 2.5  # of a meeting, whose transcript has no times

Cue = tuple[float, float, str]  # start (s), end (s), text


def tutorialvqa(shared: Path, folder: Path) -> Path:
    """Write the 76 tutorials as .srt files and their 1,238 questions; return the questions file.

    The answer to a question is the sentences that were marked for it.
    """
    source = shared / "qa" / "tutorialvqa"
    cues = {}
    for video in json.loads((source / "sentence_times.json").read_text()):
        cues[video["video_id"]] = [(s["start"], max(s["end"], s["start"] + 0.1), s["text"]) for s in video["sentences"]]
        _write_srt(folder / f"{video['video_id']}.en.srt", cues[video["video_id"]])
    lines = []
    for asked in json.loads((source / "dev.json").read_text()):
        marked = cues[asked["video_id"]][asked["answer_start"] : asked["answer_end"] + 1]
        lines.append(
            {
                "transcript": f"{asked['video_id']}.en.srt",
                "question": asked["question"].strip(),
                "start": marked[0][0],
                "end": max(end for _, end, _ in marked),
                "answer": " ".join(text for *_, text in marked),
            }
        )
    return _write_lines(folder / "questions.jsonl", lines)


def qmsum(shared: Path, folder: Path) -> Path:
    """Write the 35 meetings as .srt files, timed by their words, and their 237 specific questions.

    Where the answer was marked in several stretches, it is the first.
    """
    lines = []
    records = (shared / "qa" / "qmsum" / "val.jsonl").read_text("utf-8").splitlines()
    for number, meeting in enumerate(map(json.loads, records)):
        name, cues, spans, now = f"meeting{number:02}.en.srt", [], [], 0.0
        for turn in meeting["meeting_transcripts"]:
            start = now
            for sentence in re.split(r"(?<=[.?!])\s+", re.sub(r"\{[^}]*\}", "", turn["content"])):
                if words := len(sentence.split()):
                    cues.append((now, now + words / WORDS_A_SECOND, sentence))
                    now = cues[-1][1]
            spans.append((start, now))
        _write_srt(folder / name, cues)
        for asked in meeting["specific_query_list"]:
            first, last = (min(int(turn), len(spans) - 1) for turn in asked["relevant_text_span"][0])
            line = {"transcript": name, "question": asked["query"], "start": round(spans[first][0], 3)}
            lines.append(line | {"end": round(spans[last][1], 3), "answer": asked["answer"]})
    return _write_lines(folder / "questions.jsonl", lines)


def courses(shared: Path, folder: Path) -> Path:
    """Copy the subtitles of the course; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted((shared / "qa" / "hf_course_srt").glob("*.srt")):
        shutil.copyfile(file, folder / f"{file.stem}.en.srt")
    return folder


def unanswerable(questions: Sequence[Path], folder: Path, most: int = 240) -> Path:
    """Ask the questions of other sets of the transcripts in a folder, in turn: at most `most`, spread evenly."""
    texts = [json.loads(line)["question"] for file in questions for line in file.read_text("utf-8").splitlines()]
    texts = list(dict.fromkeys(texts))
    count = min(most, len(texts))
    asked = [texts[number * len(texts) // count] for number in range(count)]
    names = sorted(file.name for file in folder.glob("*.srt"))
    lines = [{"transcript": names[n % len(names)], "question": text} for n, text in enumerate(asked)]
    return _write_lines(folder / "unanswerable.jsonl", lines)


def _write_srt(file: Path, cues: Iterable[Cue]) -> None:
    def clock(seconds: float) -> str:
        whole = round(seconds * 1000)
        return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"

    file.parent.mkdir(parents=True, exist_ok=True)
    blocks = (f"{n}\n{clock(start)} --> {clock(end)}\n{text}\n" for n, (start, end, text) in enumerate(cues, 1))
    file.write_text("\n".join(blocks), "utf-8")


def _write_lines(file: Path, lines: Iterable[dict]) -> Path:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return file


def main(out: Path) -> None:
    """Write all of them."""
    shared = Path(__file__).resolve().parents[2] / "shared"
    tutorials, meetings = tutorialvqa(shared, out / "tutorialvqa"), qmsum(shared, out / "qmsum")
    unanswerable([meetings], tutorials.parent)
    unanswerable([tutorials], meetings.parent)
    unanswerable([tutorials, meetings], courses(shared, out / "courses"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
