"""Small total pieces of the screen: cleaned text, figures, bars, sparklines, and rows that fit a given size.

Everything takes any value and gives something that can be shown: strings come from servers and files, and figures may
be missing, NaN, negative or huge. Widths are terminal cells, not characters. Colours are the terminal's own sixteen,
used for glyphs rather than words, so that light, dark and colourless terminals can all be read.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from base import texts

MISSING: Final = "–"
LABEL_CELLS: Final = 10
LONGEST_TEXT: Final = 600
LONGEST_TIME_S: Final = 360_000_000.0
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC with their strings
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_DOTS_LEFT: Final = (0x40, 0x04, 0x02, 0x01)  # the left column of a Braille cell, foot to top
_DOTS_RIGHT: Final = (0x80, 0x20, 0x10, 0x08)
RANGE_DB: Final = 24.0

P = ParamSpec("P")
R = TypeVar("R")


def remembered(make: Callable[P, R]) -> Callable[P, R]:
    """Let a pure `make` return its last result again as long as its arguments are equal.

    Most of the screen stands still from frame to frame. Equality, other than a hash, costs little with long tuples of
    the same values, and is there for any value. What is returned must not be changed.
    """
    last: tuple[object, R] | None = None

    @functools.wraps(make)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal last
        kept, given = last, (args, kwargs)
        if kept is None or kept[0] != given:
            kept = last = given, make(*args, **kwargs)
        return kept[1]

    return again


def clean(value: object) -> str:
    """Return one harmless line: no escape sequence, control, direction or unassigned character, single spaces."""
    try:
        return _clean(str(value)[: 4 * LONGEST_TEXT])
    except ValueError:  # an integer with more digits than Python prints
        return MISSING


@functools.lru_cache(maxsize=256)
def _clean(raw: str) -> str:
    text = _ESCAPES.sub("", raw)[:LONGEST_TEXT]
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


def number(value: object) -> float | None:
    """Return a finite float, None for anything that is not one."""
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def count(value: object) -> int:
    """Return a figure to count with: whole, not negative, at most a billion."""
    return int(min(max(0.0, number(value) or 0.0), 1e9))


def share(value: object) -> float | None:
    """Return a fraction clamped to 0..1, None for no number."""
    fraction = number(value)
    return None if fraction is None else min(max(0.0, fraction), 1.0)


def clock_time(seconds: object) -> str:
    """Return "0:07", "12:34" or "1:02:03"."""
    value = number(seconds)
    if value is None:
        return MISSING
    whole = int(min(max(0.0, value), LONGEST_TIME_S))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def span(language: str, seconds: object) -> str:
    """Return a duration to compare: "9.8 s", "58 s", "2:10"."""
    value = number(seconds)
    if value is None:
        return MISSING
    value = min(max(0.0, value), LONGEST_TIME_S)
    if value >= 100:
        return clock_time(value)
    return texts.text(language, "ui.seconds", value=f"{value:.1f}" if value < 10 else f"{value:.0f}")


def sentence(language: str, key: str, args: Iterable[tuple[str, object]] = ()) -> str:
    """Return a notice's text, cleaned; a text that does not exist or does not fit shows what is known."""
    fields = {str(name): clean(value) for name, value in args}
    try:
        return clean(texts.text(language, str(key), **fields))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        return clean(" ".join([str(key), *(f"{name}={value}" for name, value in fields.items())]))


def progress(fraction: float | None, width: int, style: str) -> Text:
    """Return a bar of `width` cells, readable without colour too."""
    width = max(0, width)
    return bar(round((share(fraction) or 0.0) * width), width, style)


def bar(done: int, width: int, style: str) -> Text:
    """Return a bar of `width` cells of which `done` are heavy."""
    return Text("━" * done, style).append("─" * (width - done), "dim")


def sparkline(values: Sequence[object], width: int, style: str, low: float, high: float) -> Text:
    """Return the last values, two a cell, as a fine line of at most `width` cells from `low` to `high`.

    What is no number leaves a gap.
    """
    latest = values[-2 * width :] if width > 0 else ()
    figures = [number(value) for value in (*[None] * (len(latest) % 2), *latest)]
    marks = [
        () if figure is None else (round(3 * (share((figure - low) / (high - low)) or 0.0)) if high > low else 0,)
        for figure in figures
    ]
    cells = [
        chr(0x2800 + sum(_DOTS_LEFT[mark] for mark in left) + sum(_DOTS_RIGHT[mark] for mark in right))
        for left, right in zip(marks[::2], marks[1::2], strict=True)
    ]
    return Text("".join(cells), style)


def waveform(levels_db: Sequence[object], width: int, height: int, style: str, top_db: float) -> list[Text]:
    """Return `height` lines of `width` cells: slim bars, one a level, the latest at the right.

    A level has the same height in every picture: the scale stands still, from `top_db` to RANGE_DB below it. There, and
    for whatever is no number, only the foot is left.
    """
    bars = max(0, (width + 1) // 2)
    levels = [_level(level, top_db - RANGE_DB) for level in levels_db[-bars:]] if bars else []
    parts = [min(max(0.0, 1 + (level - top_db) / RANGE_DB), 1.0) for level in levels]
    eighths = [1] * (bars - len(parts)) + [max(1, round(part * 8 * height)) for part in parts]
    columns = _columns(height)
    return [Text(" ".join([columns[eighth][row] for eighth in eighths]), style) for row in range(height)]


def _level(level: object, missing: float) -> float:
    """Return a level as a finite float, `missing` for what is none; almost all are floats, and those go quickly."""
    if type(level) is float and math.isfinite(level):
        return level
    figure = number(level)
    return missing if figure is None else figure


@functools.lru_cache(maxsize=8)
def _columns(height: int) -> list[str]:
    """Return the bars of `height` lines, from top to foot, by how many eighths of a line they rise."""
    feet = range(8 * (height - 1), -1, -8)
    return ["".join(_EIGHTHS[min(max(0, eighth - foot), 8)] for foot in feet) for eighth in range(8 * height + 1)]


@dataclass(frozen=True, eq=False)
class Row:
    """A line of the screen; of more rows than fit, those with the lowest `rank` are shown, in their order.

    Compared by identity: most rows are the very ones of the last picture.
    """

    rank: int
    line: Text


def fit_rows(rows: Sequence[Row], width: int, height: int) -> list[Text]:
    """Return exactly `height` lines, each at most `width` cells."""
    best = sorted(range(len(rows)), key=lambda index: rows[index].rank)[: max(0, height)]
    lines = [_fitted(rows[index], width) for index in sorted(best)]
    return lines + [Text() for _ in range(height - len(lines))]


@functools.lru_cache(maxsize=256)
def _fitted(row: Row, width: int) -> Text:
    return fit_line(row.line, width)


def fit_line(line: Text, width: int) -> Text:
    """Return `line` cut to `width` cells."""
    if line.cell_len > width:
        line = line.copy()
        line.truncate(max(0, width), overflow="ellipsis" if width > 1 else "crop")
    return line


def two_ends(left: Text, right: Text, width: int) -> Text:
    """Return `left` and `right` at the two ends of `width` cells; the left one gives way."""
    right = fit_line(right, width)
    left = fit_line(left, width - right.cell_len - 1) if right.cell_len else fit_line(left, width)
    return Text.assemble(left, " " * (width - left.cell_len - right.cell_len), right)


def join(parts: Iterable[Text | str], width: int, gap: str = "  ") -> Text:
    """Return the first parts that fit into `width` cells (at least one, cut), with a gap between them."""
    line = Text()
    for part in parts:
        text = Text(part) if isinstance(part, str) else part
        if not text:
            continue
        if not line:
            line = fit_line(text, width).copy()
        elif line.cell_len + len(gap) + text.cell_len <= width:
            line = Text.assemble(line, gap, text)
    return line


def labelled(language: str, label: str, line: Text) -> Text:
    """Return `line` behind its quiet label."""
    return Text.assemble((pad(texts.text(language, f"ui.label.{label}"), LABEL_CELLS), "dim"), line)


def aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return lines of label and words, the words below one another."""
    widest = max((cell_len(label) for label, _ in rows), default=0)
    return [f"  {pad(label, widest)}  {words}" for label, words in rows]
