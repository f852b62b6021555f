"""What lies over the main screen: the key hints, the help, the station picker and the prompt being typed. Total."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, chop_cells

from base.texts import LONGEST_PROMPT
from base.texts import text as say
from music.segment import Source
from screen.controls import CHOICE_LABELS, KEYS, OVERLAY_KEYS, TIMERS, Key
from screen.line import NOTHING, Line
from screen.panels import heard_line, timer_words
from screen.view import Mode, Snapshot, shows
from screen.widgets import clean, fit, pad

_PROMPT_INDENT: Final = 2
_HINT_GAP: Final = 2
_LEAST_DESCRIBED_CELLS: Final = 24

_Titled = tuple[str, list[tuple[Line, str]], str]
"""Of a list: its title, its rows with the words beside each, and what is said where there are none."""


@shows("controls.mode", "mixer.paused")
def hints(snapshot: Snapshot, width: int, language: str) -> Line:
    """Return the key hints that fit, in the order of the table; those with the lowest rank are kept."""
    rows = [row for row in OVERLAY_KEYS.get(snapshot.controls.mode, KEYS) if row.rank is not None]
    words = {row: "resume" if row.word == "pause" and snapshot.mixer.paused else row.word for row in rows}
    hint = {row: (_name(row, language), " " + say(language, f"ui.key.{words[row]}")) for row in rows}
    room, shown = width + _HINT_GAP, set()
    for row in sorted(rows, key=lambda row: row.rank or 0):
        if (cells := sum(map(cell_len, hint[row])) + _HINT_GAP) <= room:
            room -= cells
            shown.add(row)
    parts: list[str | tuple[str, str]] = []
    for name, word in (hint[row] for row in rows if row in shown):
        parts += [" " * _HINT_GAP, (name, "bold"), (word, "dim")]
    return Line(*parts[1:])


def _name(row: Key, language: str) -> str:
    return say(language, "ui.name.space") if row.shown == "space" else row.shown


def overlay(snapshot: Snapshot, width: int, height: int, language: str) -> tuple[list[Line], tuple[int, int] | None]:
    """Return the lines of the overlay that is open, not more than `height`, and where in them the cursor is."""
    mode, selected = snapshot.controls.mode, snapshot.controls.selected
    if mode is Mode.PROMPT:
        return _prompt(snapshot, width, height, language)
    if mode is Mode.HELP:
        return _help(selected, width, height, language), None
    make = {Mode.STATIONS: _stations, Mode.HISTORY: _history, Mode.TIMER: _timers}[mode]
    title, rows, none = make(snapshot, width, language)
    if not rows:
        return [Line((title, "bold")), Line((none, "dim"))][: max(0, height)], None
    return _list(title, rows, selected, width, height), None


def _help(page: int, width: int, height: int, language: str) -> list[Line]:
    """Return a page of the help: the keys, in two columns where there is room, and what the badges mean."""
    keys = [(_name(row, language), say(language, f"ui.help.{row.word}")) for row in KEYS]
    sources = [(say(language, f"ui.source.{one.value}"), say(language, f"ui.help.{one.value}")) for one in Source]
    columns = 2 if width >= 60 else 1
    entries = _entries(keys, width // columns)
    per_column = -(-len(entries) // columns)
    lines = entries[:per_column]
    for index, right in enumerate(entries[per_column:]):
        lines[index] = Line(lines[index], " " * (width // columns - lines[index].cell_len), right)
    lines += [NOTHING, Line((say(language, "ui.help.sources"), "bold")), *_entries(sources, width)]
    title, room = Line((say(language, "ui.help.title"), "bold")), max(1, height - 1)
    pages = -(-len(lines) // room)
    if pages > 1:
        title = Line(title, f"  {page % pages + 1}/{pages}")
    return [title, *lines[page % pages * room :][:room]][-height:] if height > 0 else []


def _entries(rows: Sequence[tuple[str, str]], width: int) -> list[Line]:
    widest = 2 + max(cell_len(name) for name, _ in rows)
    return [Line((pad(name, widest), "bold"), fit(words, width - widest)) for name, words in rows]


def _list(title: str, rows: Sequence[tuple[Line, str]], selected: int, width: int, height: int) -> list[Line]:
    """Return the rows around the selected one, each with words beside it; without room, those of the selected below."""
    selected = min(max(0, selected), len(rows) - 1)
    widest = max(name.cell_len for name, _ in rows)
    beside = width - widest - 6
    below = beside < min(_LEAST_DESCRIBED_CELLS, max(cell_len(words) for _, words in rows)) and height > 3
    room = max(1, height - 1 - below)
    first = min(max(0, selected - room // 2), max(0, len(rows) - room))
    lines = [Line((title, "bold"))] if height > 1 else []
    for index, (name, words) in list(enumerate(rows))[first : first + room]:
        cut = (index == first and first > 0) or (index == first + room - 1 and index < len(rows) - 1)
        marker = "›" if index == selected else "…" if cut else " "
        label = CHOICE_LABELS[index] if index < len(CHOICE_LABELS) else " "
        about = " " * (widest - name.cell_len + 2) + fit(words, beside) if words and not below else ""
        name = name.styled("bold reverse") if index == selected else name
        lines.append(Line(f"{marker} ", (label, "cyan"), " ", name, (about, "dim")))
    if below:
        lines.append(Line(("    " + fit(rows[selected][1], width - 4), "dim")))
    return lines[:height]


def _stations(snapshot: Snapshot, _width: int, language: str) -> _Titled:
    rows = [
        (
            Line(clean(station.title(language)) + (" ♪" if station.key == snapshot.station.key else "")),
            clean(station.about(language)),
        )
        for station in snapshot.stations
    ]
    return say(language, "ui.stations.title"), rows, say(language, "ui.stations.none")


def _history(snapshot: Snapshot, width: int, language: str) -> _Titled:
    heard, listed = snapshot.history[::-1], snapshot.controls.listed
    while listed and tuple(one.key for one in heard[: len(listed)]) != listed[: len(heard)]:
        heard = heard[1:]  # it began when the list was open already
    rows = [(heard_line(one, snapshot.stations, width - 4, language), "") for one in heard[: len(listed) or None]]
    return say(language, "ui.history.title"), rows, say(language, "ui.history.none")


def _timers(snapshot: Snapshot, _width: int, language: str) -> _Titled:
    rows = []
    for word, command in TIMERS:
        minutes = f"{(getattr(command, 'seconds', None) or 0.0) / 60:+g}".removeprefix("+" * (word == "for"))
        rows.append((Line(say(language, f"ui.timers.{word}", minutes=minutes)), ""))
    return " · ".join([say(language, "ui.timers.title"), *timer_words(snapshot.timer, language)]), rows, ""


def _prompt(snapshot: Snapshot, width: int, height: int, language: str) -> tuple[list[Line], tuple[int, int] | None]:
    """Return the line being typed, the cursor always in sight so that input methods type there, and what still fits."""
    view, limit, room = snapshot.controls, LONGEST_PROMPT, max(1, width - _PROMPT_INDENT)
    before = chop_cells(view.typed[: view.cursor] + " ", room)  # the cursor stands on a cell of its own
    cursor_line, column = len(before) - 1, cell_len(before[-1]) - 1
    lines = chop_cells(view.typed + " ", room)
    most = max(1, height - 2)
    first = min(max(0, cursor_line - most + 1), max(0, len(lines) - most))
    typed = [Line(("› " if index == 0 else "  ", "cyan"), line) for index, line in enumerate(lines)]
    if not view.typed:
        typed = [Line(("› ", "cyan"), (" " + say(language, "ui.prompt.example"), "dim"))]
    used = len(view.typed)
    if used >= limit:
        note = Line((say(language, "ui.prompt.full", limit=limit), "bold yellow"))
    else:
        note = Line((say(language, "ui.prompt.count", count=used, limit=limit), "dim"))
    title = [Line((say(language, "ui.prompt.title"), "bold"))] if height > 2 else []
    rows = [*title, *typed[first : first + most], note, NOTHING, Line((say(language, "ui.prompt.hint"), "dim"))]
    row = len(title) + cursor_line - first
    return rows[: max(0, height)], (min(width - 1, _PROMPT_INDENT + column), row) if 0 <= row < height else None
