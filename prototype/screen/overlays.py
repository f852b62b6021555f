"""What lies over the main screen: the key hints, the help, the station picker and the prompt being typed. Total."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len
from rich.text import Text

from base.texts import text as say
from music.segment import Source
from screen.controls import CHOICE_LABELS
from screen.view import Snapshot
from screen.widgets import Row, clean, count, fit, pad, remembered, wrap

_HINTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "main": (
        ("?", "help"),
        ("q", "quit"),
        ("space", "pause"),
        ("n", "skip"),
        ("s", "stations"),
        ("+/-", "volume"),
        ("l", "like"),
        ("p", "prompt"),
        ("m", "mute"),
        ("d", "dislike"),
        ("r", "record"),
    ),
    "help": (("esc", "back"),),
    "stations": (("enter", "choose"), ("esc", "back"), ("↑↓", "move")),
    "prompt": (("enter", "play"), ("esc", "back"), ("ctrl-u", "clear")),
}
"""The most useful first: as many are shown as fit."""
_SHOWN_ORDER: Final = ("space", "n", "+/-", "m", "s", "p", "l", "d", "r", "enter", "↑↓", "ctrl-u", "esc", "?", "q")
_HELP: Final = (
    ("space", "pause"),
    ("n", "skip"),
    ("+ -", "volume"),
    ("m", "mute"),
    ("s", "stations"),
    ("1–9", "digits"),
    ("p", "prompt"),
    ("l", "like"),
    ("d", "dislike"),
    ("r", "record"),
    ("?", "help"),
    ("q", "quit"),
)
_PROMPT_INDENT: Final = 2


def hints(snapshot: Snapshot, width: int, language: str) -> Text:
    """Return the key hints that fit."""
    return _hints(snapshot.mode, snapshot.mixer.paused, width, language)


@remembered
def _hints(mode: str, paused: bool, width: int, language: str) -> Text:
    room = width
    shown: list[tuple[int, str, str]] = []
    for key, word in _HINTS.get(mode, _HINTS["main"]):
        name = say(language, "ui.name.space") if key == "space" else key
        words = say(language, "ui.key.resume" if word == "pause" and paused else f"ui.key.{word}")
        cells = cell_len(f"{name} {words}") + (2 if shown else 0)
        if cells <= room:
            room -= cells
            shown.append((_SHOWN_ORDER.index(key), name, words))
    line = Text()
    for _, name, words in sorted(shown):
        line.append("  " if line else "").append(name, "bold").append(" " + words, "dim")
    return line


def help_rows(width: int, height: int, language: str) -> list[Row]:
    """Return the keys, in two columns where there is room, and what the source badges mean."""
    columns = 2 if width >= 60 else 1
    column_cells = width // columns
    entries = []
    for key, word in _HELP:
        name = say(language, "ui.name.space") if key == "space" else key
        words = fit(say(language, f"ui.help.{word}"), column_cells - 11)
        entries.append(Text.assemble((pad(name, 9), "bold"), words))
    per_column = -(-len(entries) // columns)
    rows = [Row(3, Text(say(language, "ui.help.title"), "bold"))] if height > per_column else []
    for index in range(per_column):
        line = entries[index]
        if index + per_column < len(entries) and columns == 2:
            line = Text.assemble(line, " " * (column_cells - line.cell_len), entries[index + per_column])
        rows.append(Row(2, line))
    rows += [Row(6, Text()), Row(5, Text(say(language, "ui.help.sources"), "bold"))]
    for source in Source:
        badge = pad(say(language, f"ui.source.{source.value}"), 11)
        rows.append(Row(4, Text.assemble((badge, "bold"), say(language, f"ui.help.{source.value}"))))
    return rows


def station_rows(snapshot: Snapshot, height: int, language: str) -> list[Row]:
    """Return the stations around the selected one."""
    choices = snapshot.choices
    title = Row(0, Text(say(language, "ui.stations.title"), "bold"))
    if not choices:
        return [title, Row(1, Text(say(language, "ui.stations.none"), "dim"))]
    room = max(1, height - 1)
    selected = min(count(snapshot.selected), len(choices) - 1)
    first = min(max(0, selected - room // 2), max(0, len(choices) - room))
    rows = [title]
    for index in range(first, min(first + room, len(choices))):
        key, name = choices[index]
        label = CHOICE_LABELS[index] if index < len(CHOICE_LABELS) else " "
        cut = (index == first and first > 0) or (index == first + room - 1 and index < len(choices) - 1)
        marker = "›" if index == selected else "…" if cut else " "
        line = Text.assemble(f"{marker} ", (f"{label} ", "cyan"), f" {clean(name) or clean(key)} ")
        if index == selected:
            line.stylize("bold reverse", 4)
        if key == snapshot.station:
            line.append("  ♪ " + say(language, "ui.stations.now"), "green")
        rows.append(Row(1, line))
    return rows


def prompt_lines(typed: str, width: int) -> list[str]:
    """Return what is typed in lines that leave a cell for the cursor."""
    return wrap(_shown(typed), width - _PROMPT_INDENT - 1)


def _shown(typed: str) -> str:
    """Return the typed line made harmless, its last spaces kept so that the cursor moves."""
    tail = " " * min(len(typed) - len(typed.rstrip(" ")), 1)
    return clean(typed) + tail


def prompt_rows(snapshot: Snapshot, width: int, height: int, language: str) -> list[Row]:
    """Return the line being typed, its end always in sight, and how much more fits."""
    limit, used = count(snapshot.typed_limit), len(snapshot.typed)
    lines = prompt_lines(snapshot.typed, width)[-max(1, height - 2) :]
    rows = [Row(3, Text(say(language, "ui.prompt.title"), "bold"))]
    if used:
        rows += [
            Row(0, Text.assemble(("› " if index == 0 else "  ", "cyan"), line)) for index, line in enumerate(lines)
        ]
    else:
        rows.append(Row(0, Text.assemble(("› ", "cyan"), (" " + say(language, "ui.prompt.example"), "dim"))))
    if limit and used >= limit:
        note = Text(say(language, "ui.prompt.full", limit=limit), "bold yellow")
    else:
        note = Text(say(language, "ui.prompt.count", count=used, limit=limit), "dim")
    return [*rows, Row(5, Text()), Row(1, note), Row(4, Text(say(language, "ui.prompt.hint"), "dim"))]


def prompt_cursor(snapshot: Snapshot, width: int, height: int) -> tuple[int, int]:
    """Return column and row of the cursor within the area of `prompt_rows`, so that input methods type there."""
    lines = prompt_lines(snapshot.typed, width)[-max(1, height - 2) :]
    first_row = 1 if height >= len(lines) + 2 else 0
    return min(width - 1, _PROMPT_INDENT + cell_len(lines[-1])), min(height - 1, first_row + len(lines) - 1)
