"""`--list-stations` and `--library`: what can be played, and what was liked, with all that repeats it.

Both only read. The library is read from the disk, without the spool's lock: a player may be running.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from rich.cells import cell_len
from rich.text import Text

from base.errors import CorruptSegment
from base.texts import text
from music.decoding import decode
from music.segment import SAMPLE_RATE_HZ, SegmentInfo
from music.stations import Station
from screen.plain_lines import FAINT, Lines, column, harmless
from spool.folders import KEPT, Files
from spool.shelves import Entry, scan

EXIT_WELL: Final = 0
EXIT_UNREADABLE: Final = 1
DIGITS: Final = 9
NONE: Final = "–"


def list_stations(stations: Sequence[Station], language: str, *, stream: TextIO | None = None) -> int:
    """Print a line for each station, with one of its prompts below; return the exit code."""
    heads = [text(language, f"ui.stations.head.{name}") for name in ("digit", "name", "title", "bpm", "keys")]
    columns = [
        [str(digit) if digit <= DIGITS else "" for digit in range(1, len(stations) + 1)],
        [station.key for station in stations],
        [harmless(station.title(language)) for station in stations],
        [str(station.bpm or NONE) for station in stations],
        [", ".join(station.key_scales) or NONE for station in stations],
    ]
    filled = [column([head, *cells]) for head, cells in zip(heads, columns, strict=True)]
    head, *rows = ("  ".join(cells).rstrip() for cells in zip(*filled, strict=True))
    indent = Text(" " * (cell_len(heads[0]) + 2))
    lines = Lines(stream or sys.stdout)
    lines.say(Text(head, "bold"))
    for station, row in zip(stations, rows, strict=True):
        lines.say(row)
        lines.hang(indent, harmless(station.recipe(0, 0.0).prompt), FAINT)
    lines.say()
    lines.say(text(language, "stations.hint"))
    return EXIT_WELL


def list_library(spool_dir: Path, language: str, *, stream: TextIO | None = None) -> int:
    """Print every liked piece with all that is known of it, latest first; return the exit code."""
    lines, folder = Lines(stream or sys.stdout), spool_dir / KEPT
    try:
        entries = sorted(liked(spool_dir), key=_made_at, reverse=True)
    except OSError as error:
        lines.say(text(language, "library.unreadable", folder=harmless(folder), reason=error.strerror or error))
        return EXIT_UNREADABLE
    for entry in entries:
        lines.say(Text(harmless(entry.path), "bold"))
        facts = _facts(entry, language)
        for label, (_, words) in zip(column([label for label, _ in facts]), facts, strict=True):
            lines.hang(Text.assemble("  ", (label, FAINT), "  "), harmless(words))
        lines.say()
    if entries:
        lines.say(text(language, "library.count", count=len(entries), folder=harmless(folder)))
    else:
        lines.say(text(language, "library.empty"))
    return EXIT_WELL


def liked(spool_dir: Path) -> list[Entry]:
    """Return what stands in `kept/`. Raises OSError when it is there but cannot be read."""
    try:
        Files().listing(spool_dir / KEPT)  # `scan` passes over what cannot be read
    except FileNotFoundError:
        return []
    kept = (entry for entry in scan(Files(), spool_dir) if entry.shelf == KEPT and entry.path is not None)
    return [entry for entry in kept if entry.path is not None and entry.path.exists()]  # it may go as we look


def _facts(entry: Entry, language: str) -> list[tuple[str, str]]:
    """Return labels and words; a listener's own file has but a length."""
    info = entry.info
    if info is None:
        seconds = text(language, "ui.library.length", seconds=_length(entry))
        rows = [("engine", text(language, "library.own")), ("duration", seconds)]
    else:
        recipe = info.recipe
        asked, audible = f"{recipe.duration_s:g}", f"{info.audible_s:.1f}"
        rows = [
            ("prompt", recipe.prompt),
            ("station", recipe.station),
            ("seed", info.seed),
            ("bpm", str(recipe.bpm or "")),
            ("key", recipe.key_scale),
            ("signature", recipe.time_signature),
            ("duration", text(language, "ui.library.seconds", asked=asked, audible=audible)),
            ("engine", info.engine),
            ("made", _local_time(info)),
        ]
    return [(text(language, f"ui.library.{name}"), words or NONE) for name, words in rows]


def _length(entry: Entry) -> str:
    try:
        # By decoding: a header may not know it, or not tell the truth.
        return f"{len(decode(entry.path)) / SAMPLE_RATE_HZ:.1f}" if entry.path is not None else NONE
    except (OSError, CorruptSegment):
        return NONE


def _local_time(info: SegmentInfo) -> str:
    return datetime.datetime.fromisoformat(info.created_at).astimezone().strftime("%Y-%m-%d %H:%M")


def _made_at(entry: Entry) -> tuple[str, str]:
    return entry.info.created_at if entry.info else "", entry.key
