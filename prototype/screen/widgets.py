"""Small pieces of the screen: cleaned text, figures, bars, sparklines, and rows that fit a given size.

Texts may hold anything, since they come from servers and files too: `clean` makes them harmless. Widths are terminal
cells, not characters.
"""

from __future__ import annotations

import bisect
import enum
import functools
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

from base import texts
from screen.line import NOTHING, Line

MISSING: Final = "–"
LABEL_CELLS: Final = 10
LONGEST_TEXT: Final = 600
LONGEST_TIME_S: Final = 360_000_000.0
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_DOTS_LEFT: Final = (0x40, 0x04, 0x02, 0x01)  # the left column of a Braille cell, foot to top
_DOTS_RIGHT: Final = (0x80, 0x20, 0x10, 0x08)
RANGE_DB: Final = 24.0

Rank = enum.IntEnum(
    "Rank",
    "TITLE TIME NEXT NOTICE BUFFER MAKING MOOD WAVE SECOND_NOTICE SERVER DETAILS HEARD SPEED MORE_MAKING HIGH_WAVE"
    " SESSION THIRD_NOTICE SPACE MADE SHELF RECORDING MORE_NEXT MORE_SPACE MORE",
)
"""The rows of the screen in the order in which a small terminal keeps them."""


@functools.lru_cache(maxsize=256)
def clean(text: str) -> str:
    """Return one harmless line: no escape sequence, control, direction or unassigned character, single spaces."""
    text = texts.uncommanding(text[: 4 * LONGEST_TEXT])[:LONGEST_TEXT]
    shown = (" " if unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cc") else char for char in text)
    kept = "".join(char for char in shown if unicodedata.category(char)[0] != "C")
    return " ".join(unicodedata.normalize("NFC", kept).split())


def fit(text: str, width: int) -> str:
    """Cut `text` to `width` cells, with an ellipsis when something is missing."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def wrap(text: str, width: int) -> list[str]:
    """Split `text` at spaces into lines of at most `width` cells; words that are too long are cut anywhere."""
    width = max(2, width)
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        elif cell_len(word) <= width:
            lines.append(word)
        else:
            lines[-1:] = chop_cells(joined, width)
    return lines


def pad(text: str, width: int) -> str:
    """Cut or fill `text` to exactly `width` cells."""
    return set_cell_size(fit(text, width), max(0, width))


def clock_time(seconds: float | None) -> str:
    """Return "0:07", "12:34" or "1:02:03"."""
    if seconds is None:
        return MISSING
    hours, rest = divmod(int(min(max(0.0, seconds), LONGEST_TIME_S)), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def span(language: str, seconds: float | None) -> str:
    """Return a duration to compare: "9.8 s", "58 s", "2:10"."""
    if seconds is None or seconds >= 100:
        return clock_time(seconds)
    return texts.text(language, "ui.seconds", value=f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}")


def speed(language: str, factor: float) -> str:
    """Return how fast music is made, by the seconds that a second of it takes."""
    if 0.95 < factor < 1.05:
        return texts.text(language, "ui.speed.even")
    times = min(factor if factor > 1 else 1 / max(factor, 1e-3), 999.0)
    shown = f"{times:.0f}" if times >= 9.95 else f"{times:.1f}".removesuffix(".0")
    return texts.text(language, "ui.speed.slow" if factor > 1 else "ui.speed.fast", times=shown)


def times(language: str, **seconds: float | None) -> list[str]:
    """Return how long something takes, by what it is, as far as that is known."""
    known = ((key, time_s) for key, time_s in seconds.items() if time_s is not None)
    return [texts.text(language, f"ui.speed.{key}", time=span(language, time_s)) for key, time_s in known]


def sentence(language: str, key: str, args: Iterable[tuple[str, object]] = ()) -> str:
    """Return a notice's text, cleaned; a text that does not exist or does not fit shows what is known."""
    fields = {name: value if isinstance(value, int | texts.Said) else clean(str(value)) for name, value in args}
    try:
        return clean(texts.text(language, key, **fields))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        return clean(" ".join([key, *(f"{name}={value}" for name, value in fields.items())]))


def bar(share: float, width: int, style: str) -> Line:
    """Return a bar of `width` cells, readable without colour too."""
    width = max(0, width)
    done = round(min(max(0.0, share), 1.0) * width)
    return Line(("━" * done, style), ("─" * (width - done), f"dim {style}"))


def sparkline(values: Sequence[float], width: int, style: str, low: float, high: float) -> Line:
    """Return the last values, two a cell, as a fine line of at most `width` cells from `low` to `high`."""
    latest = values[-2 * width :] if width > 0 else ()
    scale = 3 / (high - low) if high > low else 0.0
    marks: list[int | None] = [round(min(max(0.0, (value - low) * scale), 3.0)) for value in latest]
    if len(marks) % 2:
        marks.insert(0, None)
    cells = [
        chr(0x2800 + (0 if left is None else _DOTS_LEFT[left]) + (0 if right is None else _DOTS_RIGHT[right]))
        for left, right in zip(marks[::2], marks[1::2], strict=True)
    ]
    return Line(("".join(cells), style))


def waveform(levels_db: Sequence[float], width: int, height: int, style: str, top_db: float) -> list[Line]:
    """Return `height` lines of `width` cells: slim bars, one a level, the latest at the right.

    A level has the same height in every picture: the scale stands still, from `top_db` to RANGE_DB below it, where only
    the foot is left.
    """
    most = max(1, (width + 1) // 2)
    steps_db, shapes = _bars(height, top_db)
    bars = [shapes[bisect.bisect(steps_db, level_db)] for level_db in levels_db[-most:]]
    rows = zip(*[shapes[0]] * (most - len(bars)), *bars, strict=True)
    return [Line((" ".join(cells)[: max(0, width)], style)) for cells in rows]


@functools.lru_cache(maxsize=4)
def _bars(height: int, top_db: float) -> tuple[list[float], list[str]]:
    """Return the levels at which a bar of `height` cells grows by an eighth of one, and the bars, head first."""
    top = 8 * height
    ladder = _EIGHTHS[0] * top + _EIGHTHS + _EIGHTHS[-1] * top
    steps_db = [top_db + RANGE_DB * ((eighth + 0.5) / top - 1) for eighth in range(1, top)]
    return steps_db, [ladder[8 + eighth : 1 + top + eighth : 8] for eighth in range(1, top + 1)]


class Row(NamedTuple):
    """A line of the screen."""

    rank: Rank
    line: Line = NOTHING


def chosen(ranks: Sequence[Rank], height: int) -> list[int]:
    """Return the indices of the `height` lowest ranks, of equals the first ones."""
    return sorted(sorted(range(len(ranks)), key=ranks.__getitem__)[: max(0, height)])


def labelled(language: str, label: str, line: Line) -> Line:
    """Return `line` behind its quiet label."""
    return Line(_label(language, label), line)


@functools.cache
def _label(language: str, label: str) -> Line:
    return Line((pad(texts.text(language, f"ui.label.{label}"), LABEL_CELLS), "dim"))


def column(words: Sequence[str]) -> list[str]:
    """Return `words`, each filled to the cells of the widest."""
    widest = max(map(cell_len, words), default=0)
    return [pad(word, widest) for word in words]
