"""The jobs at one server: what was asked for, what was last said of it, which is dead, and when to poll.

The server runs one job after the other. So a job's time starts when no other job of ours is ahead of it, or when
the server says that it runs; a job that waits behind a hung one is not hung itself. A job that nobody waits for is
polled with the rest, and its music is used should it ever end.
"""

from __future__ import annotations

import enum
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from base.texts import Said, said
from config import Settings
from music.segment import Recipe
from server.replies import AudioFile, JobReport, JobState

SLOW_TIMES: Final = 10.0  # this many times the learned duration is no longer slow but dead
LIMITED_S: Final = 60.0
MOST_AT_SERVER: Final = 4  # a hung job blocks the server: what is asked for behind it only piles up
FORGET_AFTER_S: Final = 7200.0  # newer servers end a stale job after one hour
MOST_SPARED: Final = 4  # polls
ENDED: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.LOST)


class ServerState(enum.StrEnum):
    """How the server is, best first, as the screen shows it; UNSURE is shown as UNWELL."""

    UP = "up"
    LOADING = "loading"
    UNWELL = "unwell"
    UNSURE = "unsure"
    CONNECTING = "connecting"
    RESTARTING = "restarting"
    DOWN = "down"
    REFUSED = "refused"
    OFF = "off"


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
    """

    server: ServerState = ServerState.CONNECTING
    server_reason: Said | None = None
    jobs: tuple[JobView, ...] = ()
    produced: int = 0
    retries: int = 0
    failures: int = 0
    rejected: int = 0
    lost: int = 0
    last_generation_s: float | None = None
    median_generation_s: float | None = None
    factor: float | None = None
    duration_s: float = 30.0
    generation_history_s: tuple[float, ...] = ()


class Standing(enum.Enum):
    """Who waits for a job: a worker, nobody any more, one who brings its music in; or it hung and was given up."""

    AWAITED = "awaited"
    LEFT = "left"
    COLLECTED = "collected"
    ABANDONED = "abandoned"


@dataclass(eq=False)
class Job:
    """One try at the server, under the number of the slot it is for. Guarded by its board's lock.

    `began_at` is None while others of ours are ahead. `talks`: the server tells progress or a stage. `inherited`:
    asked for by an earlier run of the program, so that nothing is known of its times.
    """

    task_id: str
    recipe: Recipe
    asked_at: float
    number: int = 0
    mood: int = 0
    queue_position: int | None = None
    standing: Standing = Standing.AWAITED
    inherited: bool = False
    state: JobState = JobState.QUEUED
    progress: float | None = None
    stage: str = ""
    files: tuple[AudioFile, ...] = ()
    detail: Said | str = ""
    reported_at: float = field(init=False)
    changed_at: float = field(init=False)
    began_at: float | None = None
    ended_at: float | None = None
    talks: bool = False

    def __post_init__(self) -> None:
        self.reported_at = self.changed_at = self.asked_at

    @property
    def at_server(self) -> bool:
        """Whether the server should have it, queued or running."""
        return self.state not in ENDED

    @property
    def run_s(self) -> float:
        """Seconds that the server worked at it, as far as is known."""
        return (self.ended_at or self.asked_at) - (self.began_at or self.asked_at)

    @property
    def waited_s(self) -> float:
        """Seconds that it waited at the server."""
        return (self.began_at or self.asked_at) - self.asked_at

    def observe(self, report: JobReport, now: float) -> None:
        """Take in what the server says."""
        seen = (self.state, self.progress, self.stage)
        if seen != (report.state, report.progress, report.stage):
            self.changed_at = now
        if self.began_at is not None and self.state is JobState.QUEUED and report.state is JobState.RUNNING:
            self.began_at = None
        self.state, self.stage, self.files, self.detail = report.state, report.stage, report.files, report.detail
        self.talks = self.talks or report.progress is not None or bool(report.stage)
        if self.at_server:
            self.progress, self.reported_at = report.progress, now

    def overdue_reason(self, now: float, limits: Settings, expected_s: float | None, *, cold: bool) -> Said | None:
        """Return why the job must be taken for dead, or None. A `cold` server may stand still while it loads.

        JOB_TIMEOUT_SEC is for up to LIMITED_S of music, and grows with more.
        """
        job_s = limits.job_timeout_sec * max(1.0, self.recipe.duration_s / LIMITED_S)
        longest_s = max(limits.first_job_timeout_sec, job_s) if cold else job_s
        if now - self.reported_at > longest_s:
            return said("unmade.no_word", seconds=round(now - self.reported_at))
        if self.began_at is None:
            return None
        # As the server told it last: while it tells nothing, that is no fault of the job.
        told_at = max(self.reported_at, self.began_at)
        still_s, age_s = told_at - max(self.changed_at, self.began_at), told_at - self.began_at
        if self.state is JobState.QUEUED:
            longest_s *= max(1, self.queue_position or 1)
        elif not cold and self.talks and still_s > limits.stall_sec:
            return said("unmade.no_progress", seconds=round(still_s))
        elif not cold and not self.talks and expected_s is not None:
            longest_s = min(longest_s, max(limits.stall_sec, SLOW_TIMES * expected_s))
        return said("unmade.not_done", seconds=round(age_s)) if age_s > longest_s else None

    def view(self, now: float) -> JobView:
        """Return what the dashboard shows."""
        if self.state is JobState.SUCCEEDED:
            stage = "fetching"
        else:
            stage = self.stage or ("queued" if self.began_at is None else "running")
        position = self.queue_position if self.began_at is None else None
        progress, age_s = self.progress if self.at_server else None, now - self.asked_at
        return JobView(f"#{self.number}", self.recipe.duration_s, stage, age_s, progress, position)


class Board:
    """All our jobs at one server, and whose turn it is to poll.

    Threads: any; `_lock` guards every field and the jobs on the board.
    """

    def __init__(self, settings: Settings, expected_s: Callable[[float], float | None]) -> None:
        self._lock = threading.RLock()  # whoever judges all jobs judges each
        self._settings = settings
        self._poll_s = settings.poll_interval_sec
        self._early_s = self._poll_s / 50
        self._expected_s = expected_s
        self._jobs: list[Job] = []
        self._freed_at = self._looked_at = self._polled_at = self._next_poll_at = 0.0
        self._spared_s = 0.0  # by intervals longer than usual, for shorter ones
        self._away_until = -math.inf
        self._polling = False

    def add(self, job: Job, now: float) -> Job:
        """Take in a job that the server has, or had until now; return it."""
        with self._lock:
            due_at = self._next_poll_at
            if not any(other.at_server for other in self._jobs):
                due_at, self._polled_at, self._spared_s = math.inf, now, self._poll_s
            for other in self._jobs:
                if other.task_id == job.task_id and other.at_server:
                    other.state = JobState.LOST  # the server was restarted, and counts anew
            self._jobs.append(job)
            self._mark_heads(now)
            self._next_poll_at = max(min(due_at, now + self._interval_s(now)), now + self._poll_s / 5)
            if job.asked_at < now:  # it was answered when it had ended
                self._next_poll_at = self._looked_at = now
            return job

    def leave(self, job: Job) -> None:
        """Wait for a job no more: one that is still at the server stays on the board."""
        with self._lock:
            if job.at_server and job.standing is Standing.AWAITED:
                job.standing = Standing.LEFT
            elif not job.at_server:
                self._drop(lambda other: other is job)

    def abandon(self, job: Job) -> None:
        """Give up a job that hangs; it stays on the board."""
        with self._lock:
            job.standing = Standing.ABANDONED

    def unawaited(self, mood: int) -> int:
        """Count the jobs that will bring music though no worker waits for them."""
        with self._lock:
            return sum(job.mood == mood and job.standing in (Standing.LEFT, Standing.COLLECTED) for job in self._jobs)

    def pending(self, now: float) -> tuple[float, float]:
        """Return the seconds of music that the server is still to bring, and the seconds of work left for that.

        Nobody knows when it is through with a job that hangs.
        """
        with self._lock:
            jobs = [job for job in self._jobs if job.at_server and not self._is_forsaken(job)]
            if any(job.standing is Standing.ABANDONED for job in jobs):
                return 0.0, math.inf
            asked_s = [job.recipe.duration_s for job in jobs]
            spent_s = [now - job.began_at if job.began_at is not None else 0.0 for job in jobs]
            work_s = (self._expected_s(asked) or 0.0 for asked in asked_s)
            return sum(asked_s), sum(max(0.0, work - spent) for work, spent in zip(work_s, spent_s, strict=True))

    def outcome(self, job: Job) -> tuple[JobState, bool, Said | str]:
        """Return the job's state, whether it brought files, and what the server says of a failure."""
        with self._lock:
            return job.state, bool(job.files), job.detail

    def has_room(self, *, alone: bool = False) -> bool:
        """Whether one more job would not just pile up behind hung ones.

        `alone`: the server answers nobody while it works, so that what is ready there has to be fetched first.
        """
        with self._lock:
            taken = [job for job in self._jobs if job.at_server or job.files]
            if alone and any(job.standing is not Standing.ABANDONED for job in taken):
                return False
            return sum(job.at_server and not self._is_forsaken(job) for job in self._jobs) < MOST_AT_SERVER

    def begin_poll(self, now: float) -> list[str]:
        """Return the ids to ask for when it is time; who gets any must end with `end_poll`."""
        with self._lock:
            if self._polling or now < self._next_poll_at:
                return []
            ids = [job.task_id for job in self._jobs if job.at_server]
            if ids:
                spared_s = self._spared_s + now - self._polled_at - self._poll_s
                self._spared_s = min(max(spared_s, 0.0), MOST_SPARED * self._poll_s)
                self._polling, self._polled_at = True, now
            return ids

    def observe(self, reports: Mapping[str, JobReport], now: float) -> int:
        """Take in the answer to a poll; return how many jobs were lost."""
        with self._lock:
            self._polling = False
            heard = [job for job in self._jobs if job.at_server and job.task_id in reports]
            for job in heard:
                job.observe(reports[job.task_id], now)
            ended = [job for job in heard if job.state in ENDED]
            freed_at = self._freed_at
            for left, job in zip(range(len(ended), 0, -1), ended, strict=True):
                if job.began_at is None:
                    job.began_at = max(job.asked_at, min(freed_at, now))
                # It ended after the last look, nobody knows when: halfway, or just before it was due; the earlier, the
                # more of them were there at once. With `now`, what is expected of the next would grow by our own
                # lateness, and with it that lateness.
                since = max(job.began_at, min(self._looked_at, now))
                freed_at = since + (now - since) / (left + 1)
                if (due_at := self._due_at(job)) is not None and due_at <= now:
                    self._early_s = 2 * self._early_s if freed_at < due_at - self._early_s else self._poll_s / 50
                    freed_at = max(freed_at, due_at - self._early_s)
                job.ended_at = freed_at
            self._freed_at, self._looked_at = now if ended else self._freed_at, now
            self._mark_heads(now)
            self._drop(
                lambda job: job.standing is not Standing.AWAITED and job.state in (JobState.FAILED, JobState.LOST)
            )
            self._next_poll_at = now + self._interval_s(now)
            missed = [job for job in ended if job.standing is not Standing.ABANDONED and not job.inherited]
            return sum(job.state is JobState.LOST for job in missed)

    def end_poll(self, now: float, wait_s: float) -> None:
        """Let others poll again, after `wait_s` if this poll gave no answer."""
        with self._lock:
            if self._polling:
                self._polling, self._next_poll_at = False, now + wait_s

    def until_poll_s(self, now: float) -> float:
        """Seconds until there is something to ask for or to see."""
        with self._lock:
            shortest_s = self._poll_s / 5
            waits = self._polling or not any(job.at_server for job in self._jobs)
            return shortest_s if waits else max(shortest_s / 4, self._next_poll_at - now)

    def overdue_reason(self, job: Job, now: float, *, cold: bool) -> Said | None:
        """Return why the job must be taken for dead, or None."""
        with self._lock:
            expected_s = self._expected_s(job.recipe.canvas_s)
            return job.overdue_reason(now, self._settings, expected_s, cold=cold) if job.at_server else None

    def take_finished(self, now: float, *, cold: bool) -> Job | None:
        """Judge the jobs that nobody waits for; return one that has brought music, for the caller to bring in."""
        with self._lock:
            for job in self._jobs:
                if job.standing is Standing.LEFT and self.overdue_reason(job, now, cold=cold):
                    job.standing = Standing.ABANDONED
            self._drop(lambda job: job.standing is Standing.ABANDONED and now - job.asked_at > FORGET_AFTER_S)
            unawaited = [job for job in self._jobs if job.standing in (Standing.LEFT, Standing.ABANDONED)]
            done = next((job for job in unawaited if job.state is JobState.SUCCEEDED), None)
            if done is not None:
                done.standing = Standing.COLLECTED
            return done

    def server_away(self, away_s: float, now: float) -> None:
        """Take the time during which the server was unreachable out of every job's age."""
        with self._lock:
            self._polling, self._away_until = False, now
            for job in self._jobs:
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
            return [job.task_id for job in sorted(self._jobs, key=lambda job: job.asked_at) if job.at_server]

    def persistent(self) -> list[tuple[str, Recipe]]:
        """Return the ids and recipes that a next run of the program should know."""
        with self._lock:
            return [(job.task_id, job.recipe) for job in self._jobs if job.at_server or job.files]

    def views(self, now: float) -> tuple[JobView, ...]:
        """Return what the dashboard shows; abandoned ones are not shown."""
        with self._lock:
            return tuple(job.view(now) for job in self._jobs if job.standing is not Standing.ABANDONED)

    def _drop(self, unwanted: Callable[[Job], bool]) -> None:
        self._jobs = [job for job in self._jobs if not unwanted(job)]

    def _is_forsaken(self, job: Job) -> bool:
        """Given up, and from before the server was unreachable: it is hardly in anybody's way any more."""
        return job.standing is Standing.ABANDONED and job.asked_at <= self._away_until

    def _mark_heads(self, now: float) -> None:
        """Start the time of the jobs whose turn it is, in the order in which they were asked for."""
        ahead = False
        for job in sorted((job for job in self._jobs if job.at_server), key=lambda job: job.asked_at):
            runs = job.state is JobState.RUNNING and job.talks
            if job.began_at is None and (runs or not ahead):
                job.began_at = now if ahead else max(job.asked_at, min(self._freed_at, now))
            ahead = ahead or not self._is_forsaken(job)

    def _due_at(self, job: Job) -> float | None:
        """Return when a job that runs is to end, by its progress or by experience."""
        if job.began_at is None:
            return None
        if job.progress is not None and job.progress > 0.05:
            return job.began_at + (job.reported_at - job.began_at) / job.progress
        expected_s = self._expected_s(job.recipe.canvas_s)
        return None if expected_s is None else job.began_at + expected_s

    def _interval_s(self, now: float) -> float:
        """Seconds to the next poll: the last of equal steps falls just behind the end that a job is due to have.

        The steps take longer than usual, about twice as long where nothing is told meanwhile. What that spares is for
        those that follow, ever longer ones, where the end is late. Three times is the most, as the end may be early.
        """
        shortest_s = max(self._poll_s / 5, self._poll_s - self._spared_s)
        for job in self._jobs:
            if job.at_server and (due_at := self._due_at(job)) is not None:
                left_s = due_at + self._poll_s / 10 - now
                if left_s > -self._poll_s:
                    steps = left_s // self._poll_s if job.talks else round(left_s / (2 * self._poll_s))
                    return max(shortest_s, -left_s, left_s / max(1, steps))
        return self._poll_s
