"""Rows of scale: a start, and a segment, with few and with many files in the spool; and what the disk is bounded to."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.notices import Notices
from base.workers import SystemClock
from bench.material import marker, median
from bench.start import start_of
from listening.listening import RATE_HZ
from listening.sound_room import SoundRoom, app_command
from music import audio_files
from music.analysis import analyse
from music.segment import Piece, Recipe, SegmentInfo, Source
from music.stations import Mood, builtin_stations
from programme.supplies import Library
from spool.folders import KEPT, PLAYED
from spool.spool import Spool

SIZES: Final = (0, 10, 1_000, 20_000)
SEGMENT_S: Final = 0.1
ROUNDS: Final = 200


def fill(root: Path, count: int) -> Path:
    """Put so many short segments of all stations into a spool, every third of them liked; return its folder."""
    sound = marker(1.0)[: round(SEGMENT_S * RATE_HZ)]
    stations = [station.key for station in builtin_stations()]
    found = analyse(sound, -60.0)
    for shelf in ("incoming", "ready", PLAYED, KEPT):
        (root / shelf).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        made_at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(minutes=number)
        recipe = Recipe(stations[number % len(stations)], "a piece to count with", SEGMENT_S)
        info = SegmentInfo(f"s{number}", recipe, "bench", str(number), made_at.isoformat(), found)
        path = root / (PLAYED if number % 3 else KEPT) / f"{made_at:%Y%m%dT%H%M%S}_{recipe.station}_seed{number}.wav"
        path.write_bytes(audio_files.encode(sound, info))
        os.utime(path, (made_at.timestamp(), made_at.timestamp()))
    return root


@contextmanager
def opened(count: int, max_mb: float = 10_000) -> Iterator[Spool]:
    """Open a spool of so many files."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        spool = Spool(fill(Path(folder), count), max_mb, Notices(clock), clock)
        spool.open()
        yield spool
        spool.close()


def segment_us(count: int) -> float:
    """Return the microseconds that a segment costs in the spool: chosen, heard, moved and shown in ten pictures."""
    with opened(count) as spool:
        library = Library(spool, Mood(builtin_stations()[0]), 8)
        spent_s, sound = [], marker(1.0)
        for _ in range(ROUNDS):
            began_at = time.thread_time()
            entry = library.next(())
            if entry is not None:
                library.heard(Piece(sound, Source.LIBRARY, entry.key, entry.info))
            for _ in range(10):
                spool.snapshot()
            spent_s.append(time.thread_time() - began_at)
    return 1e6 * median(spent_s)


def starts(times: int, sizes: tuple[int, ...] = SIZES) -> dict[int, list[float]]:
    """Return the seconds to the first music with so many files in the spool, in turn."""
    found: dict[int, list[float]] = {size: [] for size in sizes}
    with SoundRoom() as room:
        roots = {size: fill(room.folder / f"spool-{size}", size) for size in sizes}
        for number in range(times + 1):
            for size, root in roots.items():
                seconds = start_of(room, app_command("--plain", "--spool-dir", root)).music_s
                if number:  # the first of each warms up the disk
                    found[size].append(seconds)
    return found


def disk_mb(max_mb: float, count: int = 400) -> tuple[float, float]:
    """Return the most megabytes that ever lay in played/ while more and more was heard, and those of one file."""
    most = size = 0.0
    sound = marker(1.0)
    made_at, recipe = "2026-01-02T03:04:05+00:00", Recipe("lofi", "a piece", 1.0)
    info = SegmentInfo("s", recipe, "bench", "1", made_at, analyse(sound, -60.0))
    with opened(0, max_mb) as spool:
        for number in range(count):
            entry = spool.add(sound, replace(info, segment_id=f"s{number}", seed=str(number)))
            spool.mark_played(entry.key)
            played = [one for one in spool.library() if one.path]
            most = max(most, sum(one.path.stat().st_size for one in played if one.path) / 2**20)
            size = entry.size_bytes / 2**20
    return most, size
