"""The jobs in flight: one board that the generator's workers share, and whose turn it is to poll.

Who waits for a job owns it. A job that nobody waits for (given up as hung, or left by an earlier run of the
program) stays on the board, is polled with the rest, and its music is used should it ever end.

One job at the server: what we asked for, what was last said of it, and whether it must be taken for dead.

The server runs one job after the other. So a job's time starts when no other job of ours is ahead of it, or when
the server says that it runs; a job that waits behind a hung one is not hung itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from music.segment import Recipe
from server.replies import AudioFile, JobReport, JobState


@dataclass(frozen=True)
class JobView:
    """One job in flight. `progress` is 0..1, or None where the server does not say."""

    label: str
    duration_s: float
    stage: str
    age_s: float
    progress: float | None = None
    queue_position: int | None = None


@dataclass(frozen=True)
class GeneratorSnapshot:
    """The making of music at one moment.

    `factor` is generation seconds per audible second (below 1: faster than playback), None before the first.
    `server` is one of "connecting", "up", "loading", "unwell", "down", "restarting", "refused", "off".
    """

    server: str = "connecting"
    server_detail: str = ""
    jobs: tuple[JobView, ...] = ()
    produced: int = 0
    retries: int = 0
    failures: int = 0
    rejected: int = 0
    lost: int = 0
    last_generation_s: float | None = None
    median_generation_s: float | None = None
    last_wait_s: float | None = None
    factor: float | None = None
    duration_s: float = 30.0
    generation_history_s: tuple[float, ...] = ()


SLOW_TIMES: Final = 10.0  # this many times the learned duration is no longer slow but dead
ENDED: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.LOST)


@dataclass(frozen=True)
class Limits:
    """How long a job may take (`first_job_s`: while the server loads its models), and how long stand still."""

    job_s: float
    first_job_s: float
    stall_s: float


@dataclass(eq=False)
class Job:
    """One place in the queue to come: reserved, then asked for, then ended. Guarded by its board's lock.

    `recipe`, `thinking` and `task_id` are of the current try; `began_at` is None while others of ours are ahead.
    """

    number: int
    mood: int
    since: float
    recipe: Recipe | None = None
    thinking: bool = False
    task_id: str = ""
    queue_position: int | None = None
    state: JobState = JobState.QUEUED
    progress: float | None = None
    stage: str = ""
    files: tuple[AudioFile, ...] = ()
    detail: str = ""
    reported_at: float = 0.0
    changed_at: float = 0.0
    began_at: float | None = None
    ended_at: float | None = None
    speaks: bool = False
    owned: bool = True
    given_up: bool = False
    adopted: bool = False
    estranged: bool = False

    @property
    def at_server(self) -> bool:
        """Whether the server should have it, queued or running."""
        return bool(self.task_id) and self.state not in ENDED

    @property
    def forsaken(self) -> bool:
        """Given up, and from before the server was unreachable: it is hardly in anybody's way any more."""
        return self.given_up and self.estranged

    def ask(self, task_id: str, recipe: Recipe, thinking: bool, position: int | None, now: float) -> None:
        """Begin a new try."""
        self.task_id, self.recipe, self.thinking, self.queue_position = task_id, recipe, thinking, position
        self.state, self.progress, self.stage, self.files, self.detail = JobState.QUEUED, None, "", (), ""
        self.since = self.reported_at = self.changed_at = now
        self.began_at, self.ended_at = None, None
        self.speaks = self.estranged = False

    def observe(self, report: JobReport, now: float) -> None:
        """Take in what the server says."""
        seen = (self.state, self.progress, self.stage)
        if seen != (report.state, report.progress, report.stage):
            self.changed_at = now
        if self.began_at is not None and self.state is JobState.QUEUED and report.state is JobState.RUNNING:
            self.began_at = None
        self.state, self.progress, self.stage = report.state, report.progress, report.stage
        self.files, self.detail, self.reported_at = report.files, report.detail, now
        self.speaks = self.speaks or report.progress is not None or bool(report.stage)
        if self.state in ENDED:
            self.ended_at = now

    def overdue(self, now: float, limits: Limits, expected_s: float | None, *, cold: bool) -> str:
        """Return why the job must be taken for dead, or "". A `cold` server may stand still while it loads."""
        longest_s = limits.first_job_s if cold else limits.job_s
        if now - self.reported_at > longest_s:
            return f"no word of it for {now - self.reported_at:.0f} s"
        if self.began_at is None:
            return ""
        # As the server told it last: while it tells nothing, that is no fault of the job.
        told_at = max(self.reported_at, self.began_at)
        still_s, age_s = told_at - max(self.changed_at, self.began_at), told_at - self.began_at
        if self.state is JobState.QUEUED:
            longest_s *= max(1, self.queue_position or 1)
        elif not cold and self.speaks and still_s > limits.stall_s:
            return f"no progress for {still_s:.0f} s"
        elif not cold and not self.speaks and expected_s is not None:
            longest_s = min(longest_s, max(limits.stall_s, SLOW_TIMES * expected_s))
        return f"not done after {age_s:.0f} s" if age_s > longest_s else ""

    def view(self, now: float) -> JobView:
        """Return what the dashboard shows."""
        if not self.task_id:
            stage = "asking"
        elif self.state is JobState.SUCCEEDED:
            stage = "fetching"
        else:
            stage = self.stage or ("queued" if self.began_at is None else "running")
        duration_s = self.recipe.duration_s if self.recipe else 0.0
        position = self.queue_position if self.began_at is None else None
        return JobView(f"#{self.number}", duration_s, stage, now - self.since, self.progress, position)


MOST_AT_SERVER: Final = 4  # a hung job blocks the server: what is asked for behind it only piles up
FORGET_AFTER_S: Final = 7200.0  # newer servers end a stale job after one hour


@dataclass(frozen=True)
class Stock:
    """What is ready, and how much should be ready or in flight."""

    ready: int
    ready_s: float
    target: int
    target_s: float


class Board:
    """All jobs in flight, and whose turn it is to poll.

    Threads: any; `_lock` guards every field and the jobs on the board.
    """

    def __init__(self, limits: Limits, poll_s: float, batch: int, expected_s: Callable[[float], float | None]) -> None:
        self._lock = threading.Lock()
        self._limits = limits
        self._poll_s = poll_s
        self._batch = batch
        self._expected_s = expected_s
        self._jobs: list[Job] = []
        self._numbers = 0
        self._changes = 0
        self._freed_at = 0.0
        self._next_poll_at = 0.0
        self._polling = False

    @property
    def changes(self) -> int:
        """A count that grows when a job leaves the board; read it before counting what is ready."""
        return self._changes

    def reserve(self, mood: int, stock: Stock, job_s: float, changes: int, now: float) -> Job | None:
        """Take a place if one is free: ready and in flight stay at the target, one more when that is too short.

        `job_s` is what a job will give, in audible seconds. None too when `changes` shows that `stock` is old.
        """
        with self._lock:
            if changes != self._changes:
                return None
            coming = sum(not job.given_up and job.mood == mood for job in self._jobs)
            count, ahead_s = stock.ready + self._batch * coming, stock.ready_s + job_s * coming
            if count >= stock.target and not (count == stock.target and ahead_s < stock.target_s):
                return None
            return self._add(mood, now)

    def adopt(self, task_id: str, recipe: Recipe, mood: int, now: float) -> None:
        """Take in a job of an earlier run that the server still knows."""
        with self._lock:
            job = self._add(mood, now)
            job.owned, job.adopted = False, True
            job.ask(task_id, recipe, True, None, now)

    def asked(
        self, job: Job, task_id: str, recipe: Recipe, *, thinking: bool, position: int | None, now: float
    ) -> None:
        """Note that the server has taken a try."""
        with self._lock:
            job.ask(task_id, recipe, thinking, position, now)
            self._mark_heads(now)
            self._next_poll_at = min(self._next_poll_at, now + self._interval_s(now))
            self._next_poll_at = max(self._next_poll_at, now + self._poll_s / 5)

    def let_go(self, job: Job) -> None:
        """Leave a job: one that is still at the server stays on the board, unowned."""
        with self._lock:
            self._changes += 1
            job.owned = False
            self._drop(lambda other: other is job and not job.at_server)

    def outcome(self, job: Job) -> tuple[JobState, bool, str]:
        """Return the job's state, whether it brought files, and what the server says of a failure."""
        with self._lock:
            return job.state, bool(job.files), job.detail

    def give_up(self, job: Job, now: float) -> Job:
        """Leave a hung try on the board, unowned; return the same place for the next try."""
        with self._lock:
            job.owned, job.given_up = False, True
            return self._add(job.mood, now)

    def room_at_server(self, place: Job | None = None, *, alone: bool = False) -> bool:
        """Whether a job for this place would not just pile up behind hung ones.

        `alone`: the server answers nobody while it works, so that what is ready there has to be fetched first.
        """
        with self._lock:
            others = [job for job in self._jobs if job is not place and (job.at_server or job.files)]
            if alone and any(not job.given_up for job in others):
                return False
            return sum(job.at_server and not job.forsaken for job in self._jobs) < MOST_AT_SERVER

    def begin_poll(self, now: float) -> list[str]:
        """Return the ids to ask for when it is time; who gets any must end with `end_poll`."""
        with self._lock:
            if self._polling or now < self._next_poll_at:
                return []
            ids = [job.task_id for job in self._jobs if job.at_server]
            self._polling = bool(ids)
            return ids

    def observe(self, reports: Mapping[str, JobReport], now: float) -> int:
        """Take in the answer to a poll; return how many jobs were lost."""
        with self._lock:
            self._polling = False
            heard = [job for job in self._jobs if job.at_server and job.task_id in reports]
            for job in heard:
                job.observe(reports[job.task_id], now)
                if job.ended_at is not None and job.began_at is None:
                    job.began_at = max(job.since, min(self._freed_at, now))
            ended = [job for job in heard if job.state in ENDED]
            self._freed_at = now if ended else self._freed_at
            self._mark_heads(now)
            self._drop(lambda job: not job.owned and job.state in (JobState.FAILED, JobState.LOST))
            self._next_poll_at = now + self._interval_s(now)
            return sum(job.state is JobState.LOST and not job.given_up and not job.adopted for job in ended)

    def lose(self, task_ids: Iterable[str], now: float) -> int:
        """Declare jobs lost that a server with nothing to do still shows as unfinished; return how many."""
        return self.observe({task_id: JobReport(task_id, JobState.LOST) for task_id in task_ids}, now)

    def end_poll(self, now: float, wait_s: float) -> None:
        """Let others poll again, after `wait_s` if this poll gave no answer."""
        with self._lock:
            if self._polling:
                self._polling, self._next_poll_at = False, now + wait_s

    def until_poll_s(self, now: float) -> float:
        """Seconds until there is something to ask for or to see."""
        with self._lock:
            shortest_s = self._poll_s / 5
            return shortest_s if self._polling else max(shortest_s / 4, self._next_poll_at - now)

    def is_overdue(self, job: Job, now: float, *, cold: bool) -> str:
        """Return why the job must be taken for dead, or ""."""
        with self._lock:
            return self._overdue(job, now, cold=cold)

    def finished(self, now: float, *, cold: bool) -> Job | None:
        """Judge the jobs that nobody waits for; return one that has brought music, owned by the caller from now."""
        with self._lock:
            for job in self._jobs:
                if not job.owned and not job.given_up:
                    job.given_up = bool(self._overdue(job, now, cold=cold))
            self._drop(lambda job: job.given_up and now - job.since > FORGET_AFTER_S)
            done = next((job for job in self._jobs if not job.owned and job.state is JobState.SUCCEEDED), None)
            if done is not None:
                done.owned = True
            return done

    def server_away(self, away_s: float, now: float) -> None:
        """Take the time during which the server was unreachable out of every job's age."""
        with self._lock:
            self._polling = False
            for job in self._jobs:
                job.estranged = job.at_server
                job.reported_at, job.changed_at = min(now, job.reported_at + away_s), min(now, job.changed_at + away_s)
                if job.began_at is not None:
                    job.began_at = min(now, job.began_at + away_s)

    def is_quiet(self, now: float, quiet_s: float) -> bool:
        """Whether a job at the server has not changed for `quiet_s`: a reason to ask what the server does at all."""
        with self._lock:
            return any(job.at_server and now - job.changed_at > quiet_s for job in self._jobs)

    def pending_ids(self) -> list[str]:
        """Return the ids of all jobs that have not ended, those asked for first at first."""
        with self._lock:
            return [job.task_id for job in sorted(self._jobs, key=lambda job: job.since) if job.at_server]

    def persistent(self) -> list[tuple[str, Recipe]]:
        """Return the ids and recipes that a next run of the program should know."""
        with self._lock:
            return [(job.task_id, job.recipe) for job in self._jobs if job.recipe and (job.at_server or job.files)]

    def views(self, now: float) -> tuple[JobView, ...]:
        """Return what the dashboard shows; jobs given up are not shown."""
        with self._lock:
            return tuple(job.view(now) for job in self._jobs if not job.given_up)

    def _add(self, mood: int, now: float) -> Job:
        self._numbers += 1
        job = Job(self._numbers, mood, now)
        self._jobs.append(job)
        return job

    def _drop(self, unwanted: Callable[[Job], bool]) -> None:
        self._jobs = [job for job in self._jobs if not unwanted(job)]

    def _overdue(self, job: Job, now: float, *, cold: bool) -> str:
        duration_s = job.recipe.duration_s if job.recipe else 0.0
        return job.overdue(now, self._limits, self._expected_s(duration_s), cold=cold) if job.at_server else ""

    def _mark_heads(self, now: float) -> None:
        """Start the time of the jobs whose turn it is, in the order in which they were asked for."""
        ahead = False
        for job in sorted((job for job in self._jobs if job.at_server), key=lambda job: job.since):
            runs = job.state is JobState.RUNNING and job.speaks
            if job.began_at is None and (runs or not ahead):
                job.began_at = now if ahead else max(job.since, min(self._freed_at, now))
            ahead = ahead or not job.forsaken

    def _interval_s(self, now: float) -> float:
        """Seconds to the next poll: sooner when a job is about to end, by its progress or by experience."""
        for job in self._jobs:
            if not job.at_server or job.began_at is None:
                continue
            age_s, left_s = now - job.began_at, None
            if job.progress is not None and job.progress > 0.05:
                left_s = age_s * (1.0 - job.progress) / job.progress
            elif job.recipe is not None and (expected_s := self._expected_s(job.recipe.duration_s)) is not None:
                left_s = expected_s - age_s
            if left_s is not None and -self._poll_s < left_s < self._poll_s:
                return max(left_s, self._poll_s / 5)
        return self._poll_s
