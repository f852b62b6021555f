"""The whole screen at one moment: `render`, total and pure, puts the parts into one picture of the terminal's size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from base.texts import text as say
from screen import overlays, panels, vitals
from screen.line import NOTHING, Line, fit_line
from screen.view import Mode, Snapshot
from screen.widgets import Rank, Row, chosen

WIDE_CELLS: Final = 136
MARGIN_FROM_CELLS: Final = 60
_GAP_CELLS: Final = 4


@dataclass(frozen=True, eq=False)
class Frame:
    """A finished picture: `rows` of at most `width` cells, the window's title, the cursor (None: hidden).

    The `margin` at the left, in cells, is put before a row only when it is looked at: most never are.
    """

    rows: Sequence[Line]
    width: int
    margin: int = 0
    cursor: tuple[int, int] | None = None
    title: str = ""

    def ansi(self, index: int, *, coloured: bool = True) -> str:
        """Return what makes a terminal show a row."""
        return " " * self.margin + self.rows[index].ansi(coloured=coloured)

    def changed_since(self, before: Frame | None) -> Sequence[int]:
        """Return the indices of the rows that look different from those of `before`: all where its size does."""
        if before is None or (self.width, len(self.rows)) != (before.width, len(before.rows)):
            return range(len(self.rows))
        return [
            index
            for index, (one, other) in enumerate(zip(self.rows, before.rows, strict=True))
            if one is not other and one.parts != other.parts
        ]


def render(snapshot: Snapshot, width: int, height: int, language: str) -> Frame:
    """Return the picture of `snapshot`: exactly `height` lines of at most `width` cells; in "en" or "ja"."""
    width, height = max(1, width), max(1, height)
    margin = 1 if width >= MARGIN_FROM_CELLS else 0
    inner, cursor = width - 2 * margin, None
    if snapshot.controls.mode is not Mode.MAIN:
        body, cursor = _overlay(snapshot, inner, height - 2, language)
    elif width >= WIDE_CELLS:
        body = _two_columns(snapshot, inner, height - 2, language)
    else:
        body = _one_column(snapshot, inner, height - 2, language)
    lines = [panels.header(snapshot, inner, language), *body, overlays.hints(snapshot, inner, language)][:height]
    if cursor is not None:
        cursor = (cursor[0] + margin, cursor[1])
    return Frame(lines, width, margin, cursor, panels.window_title(snapshot, language))


def _music(snapshot: Snapshot, width: int, height: int, language: str) -> list[Row]:
    """Return the rows of the music, and of its queue or mood."""
    queue = panels.queue if vitals.has_server(snapshot) else panels.mood
    wave_rows = 1 if height < 18 else max(2, height // 8)
    playing = panels.now_playing(snapshot, width, language, wave_rows)
    return [Row(Rank.SPACE), *playing, *queue(snapshot, width, language)]


def _making(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the rows of how music is made, where there is a server, and of the session."""
    rows = [Row(Rank.MORE_SPACE)]
    if vitals.has_server(snapshot):
        rows += vitals.making(snapshot, width, language)
        rows += [vitals.pace(snapshot, width, language), vitals.counts(snapshot, width, language)]
    if snapshot.generator.server != "off":
        rows.append(vitals.server(snapshot, language))
    return [*rows, vitals.running(snapshot, width, language), *vitals.files(snapshot, width, language)]


def _one_column(snapshot: Snapshot, width: int, height: int, language: str) -> list[Line]:
    """Everything below one another; how many rows there are of each kind depends on the height alone."""
    first = Rank.MORE if vitals.has_server(snapshot) else Rank.HEARD
    rows = [*_music(snapshot, width, height, language), *_making(snapshot, width, language)]
    heard = [first] * 5 + [Rank.MORE] * 7
    said = [Rank.SPACE, Rank.NOTICE, Rank.SECOND_NOTICE, Rank.THIRD_NOTICE] + [Rank.MORE] * 50
    kept = chosen([*(row.rank for row in rows), *heard, *said], height - (height > 18))
    lines = [rows[index].line for index in kept if index < len(rows)]
    ends = len(rows) + len(heard)
    lines += panels.history(snapshot, width, sum(len(rows) <= index < ends for index in kept), language)
    lines += [NOTHING] * (ends in kept)
    lines += vitals.notices(snapshot, width, sum(index > ends for index in kept), language)
    return [*(fit_line(line, width) for line in lines), *[NOTHING] * (height - len(lines))]


def _two_columns(snapshot: Snapshot, width: int, height: int, language: str) -> list[Line]:
    """The music, its queue and what was heard at the left; how it is made and what happened at the right."""
    left_cells = (width - _GAP_CELLS) // 2
    right_cells = width - _GAP_CELLS - left_cells
    left = _panels(_music(snapshot, left_cells, height, language), "heard", left_cells, height, language)
    left += panels.past(snapshot, left_cells, height - len(left), language)
    right = _panels(_making(snapshot, right_cells, language), "log", right_cells, height, language)
    right += vitals.notices(snapshot, right_cells, height - len(right), language)
    lines = []
    for one, two in itertools.zip_longest(left[:height], right[:height], fillvalue=NOTHING):
        one = fit_line(one, left_cells)
        gap = " " * (left_cells - one.cell_len + _GAP_CELLS)
        lines.append(Line(one, gap, fit_line(two, right_cells)))
    return lines + [NOTHING] * (height - len(lines))


def _panels(rows: Sequence[Row], below: str, width: int, height: int, language: str) -> list[Line]:
    """Return the rows that fit, and the heading of the panel below them if there is room for it."""
    lines = [rows[index].line for index in chosen([row.rank for row in rows], height)]
    title = say(language, f"ui.label.{below}")
    rule = Line(f"{title} ", ("─" * (width - cell_len(title) - 1), "dim"))
    return [*lines, NOTHING, rule] if height - len(lines) > 3 else lines


def _overlay(snapshot: Snapshot, width: int, height: int, language: str) -> tuple[list[Line], tuple[int, int] | None]:
    """Return the overlay under what is playing, and the cursor."""
    playing = panels.now_playing(snapshot, width, language, 1)
    above = [row.line for row in playing if row.rank in (Rank.TITLE, Rank.TIME)]
    above = [*above, NOTHING][: max(0, min(3, height - 5))]
    lines, cursor = overlays.overlay(snapshot, width, height - len(above), language)
    lines = [fit_line(line, width) for line in [*above, *lines]]
    cursor = (cursor[0], 1 + len(above) + cursor[1]) if cursor else None
    return lines + [NOTHING] * (height - len(lines)), cursor
