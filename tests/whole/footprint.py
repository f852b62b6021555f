"""What playing costs in memory, threads and open files: thousands of segments through segment, spool, loader, mixer."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from base.notices import Notices
from base.process import give_back
from builtin.bed import Bed
from doubles.fake_audio import good_wav
from doubles.simulated_time import FakeClock
from doubles.sounds import performed
from music.analysis import ingest
from music.decoding import read
from music.segment import SAMPLE_RATE_HZ, Recipe, SegmentInfo, Source
from music.stations import Mood, builtin_stations
from programme.loader import Loader, Reader
from programme.mixer import Mixer
from programme.performances import BuiltinSupply
from programme.supplies import Decoded, Levels, supplies
from spool.spool import Spool

STATM: Final = Path("/proc/self/statm")
OPEN_FILES: Final = Path("/dev/fd")
SEGMENT_S: Final = 2.0
SPOOL_MB: Final = 20.0
ALLOWED_MB: Final = 5.0
REPORTS: Final = 10


def rss_mb() -> float:
    """Return the resident memory of this process; where /proc is missing, the highest it ever was."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def open_files() -> int:
    """Return how many files this process has open."""
    return len(list(OPEN_FILES.iterdir()))


class Chain:
    """Files as a server gives them go in at one end, sound at 48 kHz comes out at the other."""

    def __init__(self, folder: Path) -> None:
        clock, self._levels = FakeClock(), Levels(-23.0, -45.0)
        notices, mood = Notices(clock), Mood(builtin_stations()[0])
        builtin = BuiltinSupply(
            lambda recipe, seed: performed(read(folder / "none").samples[:]), mood, self._levels, clock
        )
        self.spool = Spool(folder, SPOOL_MB, notices, clock)
        self.mixer = Mixer(Bed())
        sources = supplies((Source.FRESH, Source.LIBRARY), self.spool, mood, builtin)
        reader = Reader(Decoded(self._levels), notices, clock)
        self.loader = Loader(self.mixer, sources, reader, self.spool, mood, notices, clock)
        self._number = 0

    @property
    def heard(self) -> int:
        """How many segments were begun."""
        return self.loader.started[Source.FRESH]

    def step(self) -> None:
        """Bring in a segment if there is room, and play half a second."""
        if len(self.spool.ready()) < 3:
            self._bring_in()
        self.loader.step()
        self.mixer.read(SAMPLE_RATE_HZ // 2)

    def _bring_in(self) -> None:
        self._number += 1
        path = self.spool.incoming_path(".part")
        path.write_bytes(good_wav(self._number, SEGMENT_S))
        sound = ingest(path, SEGMENT_S, self._levels.cue_dbfs)
        path.unlink()
        self.spool.add(
            sound.samples,
            SegmentInfo(
                f"segment-{self._number}", Recipe("lofi", "a chord", SEGMENT_S), "acestep", str(self._number),
                "2026-01-02T03:04:05+00:00", sound.analysis,
            ),
        )  # fmt: skip


def measure(segments: int) -> int:
    """Play so many segments and print what that costs; return 0 when it stays the same from the first tenth on."""
    print("segments  RSS MB  threads  open files  silent frames  took s")
    began_at, readings = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        chain = Chain(Path(folder))
        chain.spool.open()
        for part in range(1, REPORTS + 1):
            while chain.heard < segments * part // REPORTS:
                chain.step()
            give_back()  # what is free is no cost, and comes and goes by more than ALLOWED_MB
            readings.append((rss_mb(), threading.active_count(), open_files()))
            rss, threads, files = readings[-1]
            silent, took_s = chain.mixer.snapshot().silent_frames, time.monotonic() - began_at
            print(f"{chain.heard:8}{rss:8.1f}{threads:9}{files:12}{silent:15}{took_s:8.0f}", flush=True)
        chain.spool.close()
    grown_mb = readings[-1][0] - readings[0][0]
    print(f"from the first tenth to the last: {grown_mb:+.1f} MB")
    steady = readings[-1][1] <= readings[0][1] and readings[-1][2] <= readings[0][2]
    return 0 if grown_mb <= ALLOWED_MB and steady and not chain.mixer.snapshot().silent_frames else 1
