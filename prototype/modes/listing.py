"""`--list-stations`, `--library`, `--forget-taste`: what can be played, what was liked, and what that steers.

The first two only read. The library is read from the disk, without the spool's lock: a player may be running. What
likes and dislikes ask for is forgotten with it: a player would write it anew.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from base.errors import CorruptSegment
from base.process import Exit
from base.texts import said, text
from config import Settings
from music import decoding
from music.segment import SAMPLE_RATE_HZ, SegmentInfo
from music.stations import Station, load_stations
from music.taste import EVEN, KINDS, Taste, can_lean
from screen.printing import FAINT, Lines, harmless
from screen.widgets import column
from spool.folders import KEPT, Files, FolderLock
from spool.shelves import Entry, listed, read
from spool.state_files import forget_taste, read_taste

DIGITS: Final = 9
NONE: Final = "–"


def list_stations(settings: Settings, lines: Lines) -> int:
    """Print a line for each station, with one of its prompts below; return the exit code."""
    language, stations = lines.language, load_stations(settings.stations_file or "")
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
    lines.say(Text(head, "bold"))
    for station, row in zip(stations, rows, strict=True):
        lines.say(row)
        lines.hang(indent, harmless(station.recipe(0, 0.0).prompt), FAINT)
    lines.say()
    lines.tell(said("stations.hint"))
    return Exit.WELL


def list_library(settings: Settings, lines: Lines) -> int:
    """Print every liked piece with all that is known of it, latest first, and what is liked of each station.

    Returns the exit code.
    """
    folder = settings.spool_dir / KEPT
    try:
        entries = liked(settings.spool_dir)
        entries.sort(key=lambda one: (one[1].info.created_at if one[1].info else "", one[1].key), reverse=True)
    except OSError as error:
        lines.tell(said("library.unreadable", folder=folder, reason=error))
        return Exit.PROBLEM
    for path, entry in entries:
        lines.say(Text(harmless(path), "bold"))
        facts = _facts(path, entry.info, lines.language)
        for label, (_, words) in zip(column([label for label, _ in facts]), facts, strict=True):
            lines.hang(Text.assemble("  ", (label, FAINT), "  "), harmless(words))
        lines.say()
    if entries:
        lines.tell(said("library.count", count=len(entries), folder=folder))
    else:
        lines.tell(said("library.empty"))
    _say_taste(settings, lines)
    return Exit.WELL


def _say_taste(settings: Settings, lines: Lines) -> None:
    """Print what comes more and less often in each station, most so first."""
    try:
        taste = Taste(read_taste(settings.spool_dir))
    except (OSError, ValueError):
        lines.tell(said("taste.unlisted"))
        return
    language = lines.language
    labels = column([text(language, f"ui.library.{name}") for name in ("more", "less")])
    leans = False
    for station in load_stations(settings.stations_file or ""):
        leanings = _leanings(station, taste)
        if any(leanings):
            lines.say()
            lines.say(Text(harmless(station.title(language)), "bold"))
        for label, choices in zip(labels, leanings, strict=True):
            if choices:
                names = ", ".join(station.name(kind, word, language) for kind, word in choices)
                lines.hang(Text.assemble("  ", (label, FAINT), "  "), harmless(names))
                leans = True
    if leans:
        lines.say()
        lines.tell(said("taste.hint"))


def _leanings(station: Station, taste: Taste) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return which (kind, choice) of a station come more often than they would, and which less."""
    lists = {kind: words for kind in KINDS if can_lean(kind, words := getattr(station, f"{kind}s"))}
    turns = {(kind, word): n for (kind, word), n in taste.turns(station.key).items() if word in lists.get(kind, ())}
    ours = sorted(turns, key=turns.__getitem__)
    return [one for one in reversed(ours) if turns[one] > EVEN], [one for one in ours if turns[one] < EVEN]


def forget(settings: Settings, lines: Lines) -> int:
    """Forget what was liked and disliked, but not the liked pieces; say what, and return the exit code.

    Raises SpoolBusy while a player is running.
    """
    lock = FolderLock(settings.spool_dir)
    try:
        lock.take()
        _forget(settings.spool_dir, lines)
    except FileNotFoundError:
        lines.tell(said("taste.nothing"))
    except OSError as error:
        lines.tell(said("library.unreadable", folder=error.filename or settings.spool_dir, reason=error))
        return Exit.PROBLEM
    finally:
        lock.release()
    return Exit.WELL


def _forget(spool_dir: Path, lines: Lines) -> None:
    """Forget it, and say what."""
    try:
        opinions = read_taste(spool_dir)
    except (OSError, ValueError):
        forget_taste(spool_dir)
        lines.tell(said("taste.forgotten_unread"))
        return
    forget_taste(spool_dir)
    if not opinions:
        lines.tell(said("taste.nothing"))
        return
    likes, stations = sum(opinion.liked for opinion in opinions), {one.station for one in opinions}
    told = {"likes": likes, "dislikes": len(opinions) - likes, "stations": len(stations)}
    lines.tell(said("taste.forgotten", folder=spool_dir / KEPT, **told))


def liked(spool_dir: Path) -> list[tuple[Path, Entry]]:
    """Return what stands in `kept/`, each with its file. Raises OSError when it is there but cannot be read."""
    try:
        Files().listing(spool_dir / KEPT)  # `listed` passes over what cannot be read
    except FileNotFoundError:
        return []
    kept = filter(None, map(read, listed(Files(), spool_dir, [KEPT])))
    return [(entry.path, entry) for entry in kept if entry.path and entry.path.exists()]  # it may go as we look


def _facts(path: Path, info: SegmentInfo | None, language: str) -> list[tuple[str, str]]:
    """Return labels and words; a listener's own file has but a title and a length."""
    if info is None:
        own = text(language, "library.own")
        rows = [("title", decoding.title_of(path)), ("engine", own), ("duration", _length(path, language))]
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
            ("made", f"{datetime.datetime.fromisoformat(info.created_at).astimezone():%Y-%m-%d %H:%M}"),
        ]
    return [(text(language, f"ui.library.{name}"), words or NONE) for name, words in rows]


def _length(path: Path, language: str) -> str:
    try:
        # By decoding: a header may not know it, or not tell the truth.
        seconds = len(decoding.read(path).samples) / SAMPLE_RATE_HZ
    except (OSError, CorruptSegment):
        return ""
    return text(language, "ui.library.length", seconds=f"{seconds:.1f}")
