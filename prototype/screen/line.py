"""A line of the screen: words and how they look, measured in terminal cells, and what a terminal is told to show it.

Plainer than rich's Text, which may be changed and printed anywhere: a picture is made anew every second while music
plays, and this is most of what it is made of. Colours are the terminal's own sixteen, used for glyphs rather than
words, so that light, dark and colourless terminals can all be read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size

SGR: Final = {
    "bold": "1",
    "dim": "2",
    "reverse": "7",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
"""The words of a style, and the parameters of SELECT GRAPHIC RENDITION (ECMA-48, 8.3.117)."""


class Line:
    """Some words, each part in a style ("", "dim", "bold yellow"); not changed once it is made.

    `cell_len` is its width in cells.
    """

    __slots__ = ("cell_len", "parts")

    cell_len: int
    parts: Sequence[tuple[str, str]]

    def __init__(self, *parts: str | tuple[str, str] | Line) -> None:
        found: list[tuple[str, str]] = []
        cells = 0
        for part in parts:
            if isinstance(part, Line):
                found += part.parts
                cells += part.cell_len
                continue
            words, style = (part, "") if isinstance(part, str) else part
            if words:
                found.append((words, style))
                cells += cell_len(words)
        self.parts, self.cell_len = found, cells

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def plain(self) -> str:
        """The words alone."""
        return "".join([words for words, _ in self.parts])

    def styled(self, style: str) -> Line:
        """Return it with `style` added to that of each part."""
        return Line(*((words, f"{own} {style}") for words, own in self.parts))

    def ansi(self, *, coloured: bool = True) -> str:
        """Return what makes a terminal show it."""
        shown = [(_sgr(style, coloured), words) for words, style in self.parts]
        return "".join([f"{look}{words}\x1b[0m" if look else words for look, words in shown])


@functools.cache
def _sgr(style: str, coloured: bool) -> str:
    codes = [SGR[word] for word in style.split()]
    codes = codes if coloured else [code for code in codes if len(code) == 1]
    return f"\x1b[{';'.join(codes)}m" if codes else ""


NOTHING: Final = Line()


def fit_line(line: Line, width: int) -> Line:
    """Return `line` cut to `width` cells, with an ellipsis in the style of what it stands for."""
    if line.cell_len <= width:
        return line
    ellipsis = "…" if width > 1 else ""
    room, parts = max(0, width) - len(ellipsis), list[tuple[str, str]]()
    for words, style in line.parts:
        cells = cell_len(words)
        if cells > room:
            return Line(*parts, (set_cell_size(words, room) + ellipsis, style))
        parts.append((words, style))
        room -= cells
    return Line(*parts)


def two_ends(left: Line, right: Line, width: int) -> Line:
    """Return `left` and `right` at the two ends of `width` cells; the left one gives way."""
    right = fit_line(right, width)
    left = fit_line(left, width - right.cell_len - 1) if right else fit_line(left, width)
    return Line(left, " " * (width - left.cell_len - right.cell_len), right)


def join(parts: Iterable[Line], width: int, gap: str = "  ") -> Line:
    """Return the first parts that fit into `width` cells (at least one, cut), with a gap between them."""
    line = NOTHING
    for part in filter(None, parts):
        if not line:
            line = fit_line(part, width)
        elif line.cell_len + len(gap) + part.cell_len <= width:
            line = Line(line, gap, part)
    return line
