"""Virtual days: the real generator, spool, loader, mixer and fallback on a virtual clock, among random faults.

    python tests/whole/simulate.py [--seeds 20] [--hours 24] [--processes 2]   days with the seeds 1, 2, …
    python tests/whole/simulate.py --seed 7 --hours 24                         one of them, exactly as before
    python tests/whole/simulate.py --segments 10000                          what it costs in memory, threads and files

Everything random comes from the seed, also whose turn it is among the threads: a day that fails fails again. The
memory is that of the doubles too, which write down about 1.5 kB a segment; `--segments` measures the program's own.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from doubles.scripted_server import ScriptedServer
from music.segment import Source
from whole.faults.levers import (
    Inject,
    delete_spool,
    device_lost,
    disk,
    last,
    listener_pauses,
    once,
    raising,
    restart_server,
    scripted,
    server,
    server_down,
    together,
    wall_jumps,
)
from whole.footprint import measure, rss_mb
from whole.harness import SETTINGS, STATIONS, Programme

BETWEEN_FAULTS_S: Final = 600.0
BETWEEN_WISHES_S: Final = 240.0
FORGET_S: Final = 600.0
BUG: Final = RuntimeError("a bug of ours")

# By the lever that is moved: two of the same line never overlap, any others may.
FAULTS: Final[dict[str, tuple[Inject, ...]]] = {
    "server down": (server_down,),
    "server killed": (restart_server(2.0), restart_server(30.0)),
    "speed": (server(speed=1.2), server(speed=3.0), server(speed=30.0)),
    "jobs fail": (server(fail_rate=0.3), server(fail_rate=1.0)),
    "jobs hang": (together(server(hang_rate=0.3), last(lambda programme: scripted(programme).restart(2.0))),),
    "corrupt files": (server(corrupt_rate=0.3), server(corrupt_rate=1.0)),
    "calls fail": (server(error_rate=0.1), server(error_rate=1.0)),
    "queue full": (server(busy=True),),
    "refused": (server(refuses=401), server(refuses=422)),
    "LM init failed": (server(lm_init_fails=True),),
    "out of memory": (server(fails_above_s=12.0), server(fails_above_s=0.0)),
    "jobs forgotten": (server(forgets_at_once=True),),
    "disk full": (disk(full=True),),
    "disk read-only": (disk(read_only=True),),
    "disk broken": (disk(broken={"rename": 5}), disk(broken={"write": 5}), disk(broken={"sync_folder": 5, "stamp": 1})),
    "spool deleted": (once(delete_spool),),
    "device lost": (device_lost,),
    "pause": (listener_pauses,),
    "loader bug": (raising("loader", "step", BUG),),
    "built-in bug": (raising("", "render", BUG),),
    "generator bug": (raising("", "next_recipe", BUG),),
    "clock set": (wall_jumps(-1e7), wall_jumps(1e7)),
    "process stopped": (once(lambda programme: programme.clock.leap(1800.0)),),
}


@dataclass(frozen=True)
class Day:
    """What one day was like."""

    seed: int
    hours: float
    shares: dict[Source, float]
    longest_silence_s: float
    repeats: int
    lost: int
    stuck: bool
    faults: int
    made: int
    continued: int
    grown_mb: float
    took_s: float
    digest: str

    @property
    def good(self) -> bool:
        """Whether the promise was kept."""
        return not (self.longest_silence_s or self.repeats or self.lost or self.stuck)


class Weather:
    """The random faults of a day, and the wishes of its listener."""

    def __init__(self, programme: Programme, rng: random.Random) -> None:
        self.faults = 0
        self._programme = programme
        self._rng = rng
        self._now: dict[str, contextlib.ExitStack] = {}
        self._over = False
        programme.later(rng.expovariate(1 / BETWEEN_FAULTS_S), self._next_fault)
        programme.later(rng.expovariate(1 / BETWEEN_WISHES_S), self._next_wish)
        programme.later(FORGET_S, self._forget)

    def clear(self) -> None:
        """End all faults, and let no other begin."""
        self._over = True
        for name in list(self._now):
            self._end(name)

    def _next_fault(self) -> None:
        if self._over:
            return
        name = self._rng.choice(sorted(FAULTS))
        if name not in self._now:
            self.faults += 1
            self._now[name] = contextlib.ExitStack()
            self._now[name].enter_context(self._rng.choice(FAULTS[name])(self._programme))
            self._programme.later(min(3600.0, self._rng.lognormvariate(5.0, 1.3)), lambda: self._end(name))
        self._programme.later(self._rng.expovariate(1 / BETWEEN_FAULTS_S), self._next_fault)

    def _end(self, name: str) -> None:
        if name in self._now:
            self._now.pop(name).close()

    def _forget(self) -> None:
        self._programme.forget_calls()
        self._programme.later(FORGET_S, self._forget)

    def _next_wish(self) -> None:
        if self._over:
            return
        programme, rng = self._programme, self._rng
        wishes: dict[str, Callable[[], object]] = {
            "skip": programme.mixer.skip,
            "skip again": programme.mixer.skip,
            "like": programme.like,
            "dislike": programme.dislike,
            "continue": programme.continue_,
            "mood": lambda: programme.change_station(rng.choice(STATIONS[:3])),
            "volume": lambda: programme.mixer.set_volume(rng.uniform(0.5, 1.0)),
        }
        wishes[rng.choice(sorted(wishes))]()
        programme.later(rng.expovariate(1 / BETWEEN_WISHES_S), self._next_wish)


def live(seed: int, hours: float) -> Day:
    """Live through a day."""
    began_at, rng = time.monotonic(), random.Random(seed)
    with _programme(seed, rng) as programme:
        weather = Weather(programme, rng)
        programme.play(min(hours / 4, 1.0) * 3600)
        settled_mb = rss_mb()
        programme.play(hours * 3600 - programme.clock.now())
        grown_mb = rss_mb() - settled_mb
        weather.clear()
        stuck = not programme.play_until_fresh(1800.0)
        lost, heard = programme.lost(), programme.heard
        times = ",".join(f"{span.source.name}{span.begins_s:.1f}" for span in heard.spans)
        total = sum(heard.frames.values())
        return Day(
            seed,
            hours,
            {source: heard.frames[source] / total for source in Source},
            heard.longest_silence_frames / programme.scale.rate_hz,
            len(heard.repeats),
            len(lost),
            stuck,
            weather.faults,
            len(programme.spool.brought),
            programme.spool.continued,
            grown_mb,
            time.monotonic() - began_at,
            hashlib.sha256(times.encode()).hexdigest()[:8],
        )


@contextlib.contextmanager
def _programme(seed: int, rng: random.Random) -> Iterator[Programme]:
    """Begin a day with a server and settings of its own."""
    settings = replace(
        SETTINGS,
        segment_seconds=rng.choice((20.0, 30.0, 60.0)),
        prefetch_target=rng.choice((1, 2, 3, 3, 5)),
        library_no_repeat=rng.choice((2, 8, 8)),
        continuing=rng.choice(("off", "on")),
        piece_minutes=rng.choice((1.0, 6.0, 6.0)),
    )
    fake = ScriptedServer(
        lambda: 0.0,
        seed,
        newer=rng.random() < 0.5,
        speed=rng.choice((0.05, 0.3, 0.3, 0.9)),
        first_job_extra_s=rng.choice((0.0, 120.0)),
        files_per_job=rng.choice((1, 1, 2)),
        repaints_fail=rng.random() < 0.1,
        refuse_uploads=rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 415, 500)),
    )
    settings = replace(settings, batch_size=fake.files_per_job)
    with (
        tempfile.TemporaryDirectory() as folder,
        Programme(Path(folder), fake, settings=settings, threads=False, seed=seed) as programme,
    ):
        yield programme


def line(day: Day) -> str:
    """Return a day as a line of the table."""
    shares = "".join(f"{100 * share:9.2f}" for share in day.shares.values())
    return (
        f"{day.seed:5}{day.hours:6.1f}{shares}{1000 * day.longest_silence_s:11.0f}{day.repeats:9}{day.lost:6}"
        f"{day.made:10}{day.continued:10}{day.faults:8}{day.grown_mb:+8.1f}{day.took_s:7.0f}  {day.digest}"
        + ("" if day.good else "  FAILED" + (": no fresh music any more" if day.stuck else ""))
    )


HEAD: Final = (
    " seed hours  fresh %library %built-in    bed %  silence ms repeats  lost  segments continued  faults"
    "   MB +/-  took s  digest"
)


def main(arguments: Sequence[str]) -> int:
    """Live the days asked for; return 0 when all of them were good."""
    parser = argparse.ArgumentParser(description="Virtual days with random faults.")
    parser.add_argument("--seeds", type=int, default=20, help="how many days, with the seeds from 1 (default 20)")
    parser.add_argument("--seed", type=int, help="only the day with this seed")
    parser.add_argument("--hours", type=float, default=24.0, help="virtual hours a day (default 24)")
    parser.add_argument("--processes", type=int, default=2, help="days at the same time (default 2)")
    parser.add_argument("--segments", type=int, help="instead, play so many segments and print what that costs")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    if options.segments:
        return measure(options.segments)
    seeds = [options.seed] if options.seed is not None else list(range(1, options.seeds + 1))
    print(HEAD)
    days = []
    with multiprocessing.get_context("spawn").Pool(min(options.processes, len(seeds)), maxtasksperchild=1) as pool:
        for day in pool.imap(_live, [(seed, options.hours) for seed in seeds]):
            print(line(day), flush=True)
            days.append(day)
    bad = [day.seed for day in days if not day.good]
    print(f"{len(days)} days of {options.hours:g} h: {len(days) - len(bad)} without a fault to hear")
    for seed in bad:
        print(f"again: python tests/whole/simulate.py --seed {seed} --hours {options.hours:g}")
    return 1 if bad else 0


def _live(day: tuple[int, float]) -> Day:
    logging.disable(logging.CRITICAL)
    return live(*day)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
