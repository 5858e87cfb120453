"""Lines of text scattered over a picture -> paragraphs in the order in which they are read.

In: boxes with text. Out: one text. Knows not how the text was read. Pure.
"""

from dataclasses import dataclass

CLOSE = 0.5  # of a line's height: lines of one paragraph are not further apart
ALIKE = 1.5  # lines of one paragraph differ less in height


@dataclass(frozen=True)
class Line:
    """One line of text and its box in the picture, in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    text: str
    opens: bool = False  # whether a bullet stands before it

    @property
    def height(self) -> float:
        return max(1.0, self.bottom - self.top)


def arrange(lines: list[Line]) -> str:
    """The text in reading order: a paragraph a row, columns one after the other within their row."""
    blocks: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one.top, one.left)):
        above = [block for block in blocks if _continues(block[-1], line)]
        if above:
            min(above, key=lambda block: abs(block[-1].bottom - line.top)).append(line)
        else:
            blocks.append([line])
    rows: list[list[list[Line]]] = []
    for block in blocks:  # they are in the order of their tops
        first = rows[-1][0][0] if rows else None
        if first and block[0].top - first.top < min(first.height, block[0].height) / 2:
            rows[-1].append(block)
        else:
            rows.append([block])
    ordered = [block for row in rows for block in sorted(row, key=lambda block: block[0].left)]
    return "\n".join(" ".join(line.text for line in block) for block in ordered)


def _continues(upper: Line, lower: Line) -> bool:
    height = min(upper.height, lower.height)
    if lower.opens:
        return False
    if max(upper.height, lower.height) > ALIKE * height or abs(lower.top - upper.bottom) > CLOSE * height:
        return False
    shared = min(upper.right, lower.right) - max(upper.left, lower.left)
    aligned = abs(upper.left - lower.left) < height or abs(upper.left + upper.right - lower.left - lower.right) < height
    return aligned and shared > 0.5 * min(upper.right - upper.left, lower.right - lower.left)
