"""Figures -> tables that a person reads in a terminal. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from pipeline import bench
from pipeline.metrics import RANKS, Answers, Point, Row

SCOPES = {"all": "all media at once", "right": "inside the right media"}


def retrieval(rows: Iterable[Row]) -> list[str]:
    """A table for each scope and kind of question, a line in it for each setting."""
    header = ["setting", *(f"R@{k}" for k in RANKS), "MRR", "IoU", "refused", "wrongly", "ms"]
    order = {scope: place for place, scope in enumerate(SCOPES)}
    lines = []
    for (scope, kind), group in groupby(
        sorted(rows, key=lambda row: (order[row.scope], row.kind != "all", row.kind)), lambda row: (row.scope, row.kind)
    ):
        group = list(group)
        title = (
            f"{SCOPES[scope]}, {_of(kind)}: {group[0].questions:,} with an answer, {group[0].unanswerable:,} without"
        )
        lines += ["", title] if lines else [title]
        lines += _aligned(
            header,
            [
                [row.setting, *row.recall, row.mrr, row.iou, row.refused, row.wrongly_refused, row.ms and round(row.ms)]
                for row in group
            ],
        )
    return lines


def refusal(points: Iterable[Point]) -> list[str]:
    """A table for each setting and scope, a line in it for each threshold."""
    lines = []
    for (setting, scope), group in groupby(points, lambda point: (point.setting, point.scope)):
        title = f"{SCOPES[scope]}, setting {setting}"
        lines += ["", title] if lines else [title]
        lines += _aligned(
            ["nearness below", "refused", "wrongly"],
            [[f"{point.threshold:.2f}", point.refused, point.wrongly_refused] for point in group],
        )
    return lines


def answers(rows: Iterable[Answers]) -> list[str]:
    """One table, a line in it for each kind of question."""
    return _aligned(
        ["questions", "n", "right", "partly", "wrong", "not judged", "times cited", "supported"],
        [
            [_of(row.kind), row.questions, row.right, row.partly, row.wrong, row.not_judged, row.cited, row.supported]
            for row in rows
        ],
    )


def costs(rows: Sequence[bench.Row]) -> list[str]:
    """One table, a line in it for each step; below it what the numbers mean, and what was not measured and why."""
    lines = _aligned(
        ["step", "CPU s", "wall s", "x real time", "MiB", "plain way", "floor"],
        [
            [
                row.step,
                "off" if row.off else _short(row.cpu),
                _short(row.wall),
                _short(row.speed),
                row.memory and f"{row.memory:.0f}",
                row.to_plain and f"x {_short(row.to_plain)}",
                _short(row.to_floor),
            ]
            for row in rows
        ],
    )
    measured = ["measured on", *(row.sample for row in rows)]
    return [
        *(f"{line}  {on}".rstrip() for line, on in zip(lines, measured, strict=True)),
        "plain way x 9.3: 9.3 times less CPU than it; floor 1.4: 1.4 times its CPU; of a sample, told for the whole",
        *(f"{row.step} is off: {row.off}" for row in rows if row.off),
        *(f"{row.step}: {row.note}" for row in rows if row.note),
    ]


def _short(value: float | None) -> str | None:
    """Three figures."""
    if value is None:
        return None
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _of(kind: str) -> str:
    return "all questions" if kind == "all" else f"questions of kind {kind}"


def _aligned(header: Sequence[str], lines: Sequence[Sequence[object]]) -> list[str]:
    """The first column to the left, figures to the right, "-" where there is none."""
    cells = [list(header), *([_cell(value) for value in line] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in cells]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
