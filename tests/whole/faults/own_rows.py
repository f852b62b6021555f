"""What goes wrong on our side: threads that fail, clocks that jump, a missing device, odd settings, a busy listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import config
from base.errors import AppError, ConfigError, CorruptSegment
from music.segment import Piece, Samples, Source
from music.stations import load_stations
from whole.faults.levers import (
    Inject,
    calm,
    device_lost,
    every,
    last,
    listener_pauses,
    once,
    raising,
    server,
    server_down,
    together,
    wall_jumps,
)
from whole.faults.table import Fault, Outcome
from whole.harness import STATIONS, Programme

THREADS: Final = "threads"
TIME: Final = "time"
DEVICE: Final = "sound device"
SETTINGS: Final = "configuration"
LISTENER: Final = "listener"
YEAR_S: Final = 365.0 * 86_400
BUG: Final = RuntimeError("a bug of ours")


def poison(samples: Samples) -> Inject:
    """Put a piece into the mixer that cannot be mixed."""
    return once(lambda programme: programme.mixer.offer(Piece(samples, Source.FRESH, "poison")))


def sleep_of_the_machine(seconds: float) -> Inject:
    """Let time pass while nobody runs, here; the server's machine goes on."""
    return once(lambda programme: programme.clock.leap(seconds))


def server_sleeps_less(seconds: float) -> Inject:
    """Suspend our machine, whose monotonic clock stands still; the server, on another, goes on."""

    def act(programme: Programme) -> None:
        programme.server_offset_s += seconds

    return once(act)


def toggle_device(programme: Programme) -> None:
    """Plug the sound device in or out."""
    programme.hold(not programme.held)


def mood_storm(programme: Programme) -> None:
    """Wish for the next station."""
    at = STATIONS.index(programme.mood.station)
    programme.change_station(STATIONS[(at + 1) % len(STATIONS)])


@dataclass(frozen=True)
class Refused:
    """A setting with which the program does not start: one line says which, and what to give."""

    name: str
    start: Callable[[Path], object]
    words: tuple[str, ...]
    area: str = SETTINGS

    def run(self, folder: Path) -> Outcome:
        """Try it."""
        try:
            self.start(folder)
        except AppError as error:
            missing = [word for word in self.words if word not in str(error)]
            problems = () if isinstance(error, ConfigError) and not missing else (f"{error!r} lacks {missing}",)
            return Outcome(said="ConfigError", problems=problems)
        return Outcome(problems=("it was accepted",))


def loaded(**environ: str) -> Callable[[Path], object]:
    """Return what reads the settings from an environment."""
    return lambda folder: config.load([], environ, folder / ".env")


def bad_stations(folder: Path) -> object:
    """Read a stations file with two faults."""
    path = folder / "mine.toml"
    path.write_text('[harbour]\ntitle = "Harbour"\n[lofi]\nbpm = "fast"\n')
    return load_stations(path)


# fmt: off
ROWS = (
    Fault(THREADS, "the loader fails all the time for a minute", raising("loader", "step", BUG), "thread.failed",
          thread="loader"),
    Fault(THREADS, "the loader fails at every 20th step", raising("loader", "step", BUG, 20), "thread.failed",
          thread="loader"),
    Fault(THREADS, "the spool fails under the loader", raising("spool", "ready", BUG), "thread.failed",
          thread="loader generator"),
    Fault(THREADS, "the built-in engine fails, the server is away", together(raising("", "render", BUG), server_down),
          "thread.failed", 400.0, thread="builtin", plays=Source.BED),
    Fault(THREADS, "the built-in engine gives no sound, the server is away",
          together(raising("", "render", CorruptSegment("silent")), server_down), "thread.failed", 400.0,
          thread="builtin", plays=Source.BED),
    Fault(THREADS, "out of memory in the built-in engine, the server is away",
          together(raising("", "render", MemoryError()), server_down), "server.down", 120.0,
          settings={"library_no_repeat": 2}, plays=Source.LIBRARY),
    Fault(THREADS, "the generator fails before every job", raising("", "next_recipe", BUG), "thread.failed", 120.0,
          thread="generator"),
    Fault(THREADS, "the generator fails after every download", raising("", "ingest", BUG, 2), "thread.failed",
          120.0, thread="generator", loses=True),
    Fault(THREADS, "a piece of three channels reaches the mixer", poison(np.ones((4000, 3), np.float32)), ""),
    Fault(THREADS, "a piece of one sample reaches the mixer", poison(np.ones((1, 2), np.float32)), ""),
    Fault(TIME, "the wall clock jumps back a year", wall_jumps(-YEAR_S), ""),
    Fault(TIME, "the wall clock jumps on by 300 years, the server away",
          together(wall_jumps(300 * YEAR_S), server_down), "server.down", settings={"library_no_repeat": 2}),
    Fault(TIME, "the wall clock starts at 1970", wall_jumps(-1_800_000_000.0), ""),
    Fault(TIME, "the process is stopped for an hour", sleep_of_the_machine(3600.0), ""),
    Fault(TIME, "the process is stopped for three days", sleep_of_the_machine(3 * 86_400.0), ""),
    Fault(TIME, "our machine sleeps for 8 hours, the server does not", server_sleeps_less(8 * 3600.0), ""),
    Fault(DEVICE, "none for 5 minutes", device_lost, "", 300.0),
    Fault(DEVICE, "none at the start, there after 2 minutes", device_lost, "", 120.0, from_start=True),
    Fault(DEVICE, "comes and goes every second", together(last(lambda programme: programme.hold(False)),
          every(1.0, toggle_device)), ""),
    Fault(DEVICE, "none while the listener pauses and resumes", together(device_lost, listener_pauses), "", 30.0),
    Fault(LISTENER, "pauses for 15 minutes", listener_pauses, "", 900.0),
    Fault(LISTENER, "skips every second", every(1.0, lambda programme: programme.mixer.skip()), ""),
    Fault(LISTENER, "skips every second, the server away",
          together(every(1.0, lambda programme: programme.mixer.skip()), server_down), "server.down"),
    Fault(LISTENER, "another mood every 3 s", every(3.0, mood_storm), ""),
    Fault(LISTENER, "another mood, the server away", together(once(mood_storm), server_down), "server.down", 120.0),
    Fault(LISTENER, "another mood, the server away, ENGINE=acestep", together(once(mood_storm), server_down),
          "server.down", 120.0, settings={"engine": "acestep"}, plays=Source.LIBRARY),
    Fault(LISTENER, "dislikes everything", every(5.0, Programme.dislike), "", 90.0),
    Fault(SETTINGS, "ENGINE=builtin", calm, "", settings={"engine": "builtin"}, from_start=True, heals=False,
          plays=Source.BUILTIN),
    Fault(SETTINGS, "ENGINE=acestep, and no server for 2 minutes", server_down, "server.down", 120.0,
          settings={"engine": "acestep"}, from_start=True, plays=Source.BED),
    Fault(SETTINGS, "PREFETCH_TARGET=1, one job in three fails", server(fail_rate=0.3), "", 120.0,
          settings={"prefetch_target": 1}),
    Fault(SETTINGS, "PREFETCH_TARGET=20, BATCH_SIZE=8", calm, "", 60.0,
          settings={"prefetch_target": 20, "batch_size": 8}, server={"files_per_job": 8}),
    Fault(SETTINGS, "MAX_RETRY=0, every job fails", server(fail_rate=1.0), "job.rarely", settings={"max_retry": 0}),
    Fault(SETTINGS, "POLL_INTERVAL_SEC=30", calm, "", settings={"poll_interval_sec": 30.0}, lasts_s=200.0),
    Fault(SETTINGS, "SEGMENT_SECONDS=60, CROSSFADE_SECONDS=10", calm, "", 200.0,
          settings={"segment_seconds": 60.0, "crossfade_seconds": 10.0}),
    Fault(SETTINGS, "LIBRARY_NO_REPEAT=100, the server away", server_down, "server.down", 120.0,
          settings={"library_no_repeat": 100}, plays=Source.BUILTIN),
    Refused("numbers that are none, zero and NaN", loaded(SEGMENT_SECONDS="NaN", PREFETCH_TARGET="0", MAX_RETRY="two"),
            ("SEGMENT_SECONDS", "PREFETCH_TARGET", "MAX_RETRY")),
    Refused("an address that is none", loaded(ACESTEP_API_URL="localhost:8001:x"), ("ACESTEP_API_URL",)),
    Refused("a stations file with two faults", bad_stations, ("captions", "bpm")),
)
# fmt: on
