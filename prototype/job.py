"""One job at the server: what we asked for, what was last said of it, and whether it must be taken for dead.

The server runs one job after the other. So a job's time starts when no other job of ours is ahead of it, or when
the server says that it runs; a job that waits behind a hung one is not hung itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ace_replies import AudioFile, JobReport, JobState
from snapshots import JobView
from values import Recipe

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
