"""One short job at acestep-api, start to end: does it make music, and how fast? Nothing is kept.

A server may be deaf while it loads its models. That is waited for, and what may have arrived is asked for once more
only when it answers again.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import segment
from ace_client import AceClient
from ace_replies import AudioFile, JobReport, JobState, Submitted
from clock import Clock
from errors import (
    AppError,
    CorruptSegment,
    JobFailed,
    JobLost,
    JobStalled,
    ServerSilent,
    ServerTrouble,
    ServerUnreachable,
)
from values import Recipe

POLL_S: Final = 0.5  # the measured time is that exact
MOST_BAD_POLLS: Final = 5  # one after the other; the job itself is fine meanwhile


@dataclass(frozen=True)
class Trial:
    """What a job brought: `made_s` seconds of music (as asked for, all its files), after `took_s` seconds.

    `waited` says that the server told of a wait behind other jobs, which `took_s` leaves out.
    """

    made_s: float
    took_s: float
    waited: bool

    @property
    def factor(self) -> float:
        """Generation seconds per second of music asked for; a short job overstates it a little."""
        return self.took_s / self.made_s


@dataclass(frozen=True)
class Bench:
    """What a trial is run with. `longest_s` bounds it; `watch` is told the seconds waited so far."""

    client: AceClient
    clock: Clock
    longest_s: float
    cue_dbfs: float
    watch: Callable[[float], None]


def run(bench: Bench, recipe: Recipe, *, thinking: bool) -> Trial:
    """Ask for `recipe`, wait, fetch and examine what it made.

    Raises ServerError, JobFailed, JobLost, JobStalled (after `longest_s`), CorruptSegment when no file can be used,
    SpoolError and OSError when there is no place for them.
    """
    ends_at = bench.clock.now() + bench.longest_s
    submitted, answered_s = _submit(bench, recipe, thinking, ends_at)
    if submitted.report is not None:
        raise _ending(submitted.report)
    files, took_s, waited = _wait(bench, submitted.task_id, ends_at)
    took_s = answered_s if submitted.ended else took_s
    if not files:
        raise JobFailed("it succeeded without a file")
    usable, rejected = 0, CorruptSegment("no file")
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        for number, file in enumerate(files):
            path = Path(folder) / f"{number}.part"
            bench.client.download(file, path)
            try:
                segment.ingest(path, recipe.duration_s, bench.cue_dbfs)
                usable += 1
            except CorruptSegment as error:
                rejected = error
    if not usable:
        raise rejected
    return Trial(usable * recipe.duration_s, max(took_s, POLL_S / 10), waited)


def _submit(bench: Bench, recipe: Recipe, thinking: bool, ends_at: float) -> tuple[Submitted, float]:
    """Ask for a job, and where no answer came once more as soon as the server answers again.

    Returns: what the server took, and the seconds until it said so.
    """
    began_at, silent = bench.clock.now(), False
    while bench.clock.now() < ends_at:
        with contextlib.suppress(ServerSilent):
            if silent:
                bench.client.health()
            asked_at = bench.clock.now()
            return bench.client.submit(recipe, thinking=thinking), bench.clock.now() - asked_at
        silent = True
        bench.watch(bench.clock.now() - began_at)
        bench.clock.wait(threading.Event(), POLL_S)
    raise JobStalled(f"{bench.longest_s:.0f}")


def _wait(bench: Bench, task_id: str, ends_at: float) -> tuple[tuple[AudioFile, ...], float, bool]:
    """Poll until the job has ended; return its files, how long it ran, and whether it was seen to wait before."""
    never, asked_at = threading.Event(), bench.clock.now()
    began_at, bad_polls = asked_at, 0
    while bench.clock.now() < ends_at:
        bench.watch(bench.clock.now() - asked_at)
        bench.clock.wait(never, POLL_S)
        try:
            report = bench.client.poll([task_id])[task_id]
            bad_polls = 0
        except ServerSilent:
            continue
        except (ServerTrouble, ServerUnreachable):
            bad_polls += 1
            if bad_polls == MOST_BAD_POLLS:
                raise
            continue
        if report.state is JobState.QUEUED:
            began_at = bench.clock.now()
        elif report.state is JobState.SUCCEEDED:
            return report.files, bench.clock.now() - began_at, began_at > asked_at
        elif report.state is not JobState.RUNNING:
            raise _ending(report)
    raise JobStalled(f"{bench.longest_s:.0f}")


def _ending(report: JobReport) -> AppError:
    if report.state is JobState.LOST:
        return JobLost("the server forgot the job: was it restarted?")
    return JobFailed(report.detail or "the job failed, the server does not say why")
