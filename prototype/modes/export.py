"""`--export`: what was liked, as files for other players: named by title and time, with title and prompt inside.

The library is only read, without the spool's lock: a player may be running. Nothing that stands in the folder is
written over; a piece that is there already is left out.
"""

from __future__ import annotations

import datetime
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import soundfile as sf

from base.errors import CorruptSegment
from base.files import partial_beside
from base.process import Exit
from base.texts import said
from config import Settings
from modes.listing import liked
from music.audio_files import Encoder, format_of, tags_of
from music.decoding import read
from music.stations import Station, load_stations
from screen.printing import Lines, harmless
from spool.folders import numbered
from spool.shelves import Entry

LONGEST_TITLE: Final = 50  # 255 bytes are a name's limit
# What other systems do not take in a name, as a folder may be on a stick or a share.
NOT_IN_NAMES: Final = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+|^\.+|[. ]+$')


def export(settings: Settings, lines: Lines) -> int:
    """Write `kept/` into `settings.export` and tell how it went; return the exit code, PROBLEM where one could not."""
    folder = cast("Path", settings.export)
    stations = load_stations(settings.stations_file or "")
    written = there = failed = 0
    try:
        entries = sorted(liked(settings.spool_dir), key=lambda one: one[1].key)
        for number, (path, entry) in enumerate(entries, 1):
            folder.mkdir(parents=True, exist_ok=True)
            lines.passing(said("ui.export.progress", number=number, count=len(entries), name=path.name))
            tags = tags_for(path, entry, stations, settings.language)
            try:
                new = write(path, folder, settings.record_format, tags, is_ours=entry.info is not None)
                written, there = written + new, there + (not new)
            except (CorruptSegment, OSError, sf.SoundFileError) as error:
                failed += 1
                lines.tell(said("export.failed", name=path.name, reason=error))
    except OSError as error:
        lines.tell(said("export.unusable", path=error.filename, reason=error))
        return Exit.PROBLEM
    finally:
        lines.close()
    told = {"written": written, "there": there, "failed": failed, "folder": folder}
    lines.tell(said("export.done" if entries else "library.empty", **told))
    return Exit.PROBLEM if failed else Exit.WELL


def tags_for(path: Path, entry: Entry, stations: Sequence[Station], language: str) -> dict[str, str]:
    """Return the tags of a piece: the station's title, and what repeats the piece; a listener's file has its name."""
    info = entry.info
    if info is None:
        made_at = datetime.datetime.fromtimestamp(max(0.0, entry.stamped)).astimezone()
        return tags_of(harmless(path.stem), harmless(entry.key), made_at)
    made_at = datetime.datetime.fromisoformat(info.created_at).astimezone()
    titles = {station.key: station.title(language) for station in stations}
    title = titles.get(info.recipe.station) or harmless(info.recipe.station)
    return tags_of(title, harmless(f"{info.recipe.prompt} (seed {info.seed})"), made_at)


def write(path: Path, folder: Path, suffix: str, tags: Mapping[str, str], *, is_ours: bool) -> bool:
    """Write a piece into the folder; return False when it is there already. Raises as `read` and `Encoder` do."""
    time = datetime.datetime.fromisoformat(tags["date"])
    stem = NOT_IN_NAMES.sub("-", tags["title"])[:LONGEST_TITLE] or "-"
    name = f"{stem} {time:%Y-%m-%d %H-%M-%S}.{suffix}" if is_ours else f"{stem}.{suffix}"
    for number in itertools.count(1):
        target = folder / numbered(name, number)
        if not os.path.lexists(target):
            break
        if _holds(target, tags):
            return False
    with partial_beside(target) as partial:
        samples = read(path).samples
        with Encoder(partial, format_of(target, len(samples)), **tags) as file:
            file.write(samples)
        partial.replace(target)
    return True


def _holds(path: Path, tags: Mapping[str, str]) -> bool:
    """Return whether a file is what we wrote earlier for this piece."""
    try:
        with sf.SoundFile(path) as file:
            return bool(file.title == tags["title"] and file.comment == tags["comment"])
    except (OSError, sf.SoundFileError):
        return False
