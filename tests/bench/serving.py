"""Rows of the server: how long its worker waits for us, how soon what it made is ready, and how often it is asked."""

from __future__ import annotations

import itertools
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ace_client import AceClient
from base.notices import Notices
from base.workers import SystemClock
from config import Settings
from doubles.genuine_acestep import GenuineAcestep
from generation.calls import Run
from generator_loop import GeneratorLoop
from music.analysis import ingest
from music.continuing import Continuing
from music.segment import Audio, Piece, Recipe, SegmentInfo, Source
from music.stations import Mood, builtin_stations
from server.replies import JobState, Submitted
from spool.spool import Entry, Spool

SEGMENT_S: Final = 10.0
LOOK_S: Final = 0.02
POLL_S: Final = Settings().poll_interval_sec


@dataclass(frozen=True)
class Served:
    """What became of some jobs: `idle` is the share of the time from the first one's end to the last one's without any.

    `playable_s`: from a job's end to its file in ready/, median. `requests` a minute are all that were made, `fixed`
    those of polling at POLL_INTERVAL_SEC while a job is at the server.
    """

    idle: float
    made: int
    used: int
    playable_s: float = float("nan")
    requests: float = float("nan")
    fixed: float = float("nan")


class NotingSpool(Spool):
    """A spool that knows when each segment was in its file."""

    def __init__(self, root: Path) -> None:
        clock = SystemClock()
        super().__init__(root, 10_000, Notices(clock), clock)
        self.there_at: dict[str, float] = {}

    def add(self, samples: Audio, info: SegmentInfo, *, shelf: str = "ready") -> Entry:
        """Put a segment on a shelf; without a thread of its own, the file is there when this returns."""
        entry = super().add(samples, info, shelf=shelf)
        self.there_at[info.segment_id] = time.monotonic()
        return entry


class CountingClient(AceClient):
    """A client that counts its requests, and knows when it asked for a job."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.requests = 0
        self.asked_at: dict[str, float] = {}
        for name in ("poll", "download", "health", "stats", "submit"):
            setattr(self, name, self._counted(getattr(self, name)))

    def _counted(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.requests += 1
            asked_at = time.monotonic()
            answer = ask(*arguments, **named)
            if isinstance(answer, Submitted):
                self.asked_at[answer.task_id] = asked_at
            return answer

        return counted


@contextmanager
def _server(job_s: float, continues: str) -> Iterator[GenuineAcestep]:
    with (
        tempfile.TemporaryDirectory() as root,
        GenuineAcestep(Path(root), speed=job_s / SEGMENT_S, continues=continues) as server,
    ):
        yield server


def measure(jobs: int, job_s: float, *, continuing: bool = False, every_s: float = 0.0) -> Served:
    """Have the generator make so many jobs of `job_s` for a listener who takes a segment `every_s`, or at once."""
    with _server(job_s, "newer" if continuing else "") as server, tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            acestep_api_url=server.url, engine="acestep", segment_seconds=SEGMENT_S, segment_max_seconds=SEGMENT_S,
            continuing="on" if continuing else "off", spool_dir=Path(folder),
        )  # fmt: skip
        spool, stop, clock = NotingSpool(Path(folder)), threading.Event(), SystemClock()
        spool.open()
        pieces, heard = Continuing(always=continuing), list[Piece]()
        pieces.playing = lambda: heard[-1] if heard else None
        mood = Mood(builtin_stations()[0], continuing=pieces)
        client = CountingClient(server.url)
        loop = GeneratorLoop(settings, [client], spool, mood, Run(clock, Notices(clock), stop))
        loop.start()
        begun_at = time.monotonic()
        while len(spool.there_at) < jobs:
            for entry in spool.ready()[: 1 if every_s else None]:
                spool.mark_played(entry.key)
                heard.append(Piece(np.zeros((0, 2), np.float32), Source.FRESH, entry.key, entry.info))
            stop.wait(every_s or LOOK_S)
        busy, requests, minutes = list(server.times().values()), client.requests, (time.monotonic() - begun_at) / 60
        loop.set_resting(True)  # what was asked for is still to be brought in
        while loop.snapshot().jobs:
            stop.wait(LOOK_S)
        times = server.times()
        stop.set()
        client.close()
        loop.join(5.0)
        spool.close()
    ids = {re.sub(r"[^A-Za-z0-9]+", "-", job_id): job_id for job_id in times}
    late_s = [there_at - times[ids[one.rpartition("-")[0]]][1] for one, there_at in spool.there_at.items()]
    polled_s, until = 0.0, 0.0
    for job_id, (_, ended_at) in times.items():  # one after the other
        polled_s += ended_at - max(until, client.asked_at[job_id])
        until = ended_at
    fixed = (polled_s / POLL_S + 2 * len(times)) / ((until - begun_at) / 60)
    return Served(_idle(busy), len(times), len(late_s), statistics.median(late_s), requests / minutes, fixed)


def measure_one_by_one(jobs: int, job_s: float, poll_s: float = POLL_S) -> Served:
    """Do as a plain client does: ask for the next when the last is downloaded and examined, polling at a fixed pace."""
    with _server(job_s, "") as server, tempfile.TemporaryDirectory() as folder:
        client, clock, asked = AceClient(server.url), threading.Event(), 0
        for number in range(jobs):
            job = client.submit(Recipe("lofi", "a chord", SEGMENT_S, seed=number + 1))
            while (report := client.poll([job.task_id])[job.task_id]).state is not JobState.SUCCEEDED:
                asked += 1
                clock.wait(poll_s)
            path = Path(folder) / "a.part"
            client.download(report.files[0], path)
            ingest(path, SEGMENT_S, -45.0)
            path.unlink()
        times = server.times()
    return Served(_idle(list(times.values())), jobs, jobs)


def _idle(times: list[tuple[float, float]]) -> float:
    """Return the share of the time, after the first job, in which none ran."""
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(times)]
    return sum(gaps) / (times[-1][1] - times[0][1])
