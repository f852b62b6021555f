"""The desk at which the generator's workers deal with acestep-api: every call that is made, and what it means.

What concerns all jobs (a poll, a restart of the server, the music of a job that nobody waits for) is dealt with by
whichever worker comes by first. A poll has its own schedule; a failed one means nothing for the jobs.

One submit at a time is under way. A server may be deaf for minutes (it loads its models, or it answers a submit only
as the job is done), and what is sent to it meanwhile would be done later, for nobody. A submit that ended without an
answer may have arrived as well: nothing is asked for before the server answers again and its counts are known, and
a job of ours that has no name there is waited for like any other.
"""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tenacity import Retrying

from base.errors import (
    AppError,
    CorruptSegment,
    ServerError,
    ServerRefused,
    ServerTrouble,
    ServerUnreachable,
    ServerUnsupported,
)
from base.notices import Notices
from base.workers import Clock
from config import Settings
from generation.connection import DOWNLOAD, HEALTH, POLL, SUBMIT, Connection, Stopped
from generation.fetching import Crop, Harvest
from generation.jobs import Board, Job
from generation.policy import LONGEST_BACKOFF_S, Client, Speed, backoff_s, retrying
from music.segment import Recipe
from server.replies import AudioFile, JobReport, JobState, Submitted
from spool.state_files import JobsFile, is_kept

log = logging.getLogger(__name__)

QUIET_S: Final = 10.0
STATS_S: Final = 15.0
SUBMIT_QUIET_S: Final = 5.0
SUBMIT_LOST_S: Final = 60.0
COUNTS_S: Final = 5.0
BUSY_AFTER: Final = 3
LONGEST_POLL_BACKOFF_S: Final = 15.0
UNFINISHED: Final = (JobState.QUEUED, JobState.RUNNING)


@dataclass
class Counts:
    """What happened since the start."""

    produced: int = 0
    retries: int = 0
    failures: int = 0
    rejected: int = 0
    lost: int = 0


class Desk:
    """The server's side of the generator, shared by its workers.

    `on_restart` is called when the server turns out to be a new process.

    Threads: any; `_lock` guards `_counts`, `_cold`, `_adopted`, `_troubled_polls`, `_next_stats_at`, `_submit_at`,
    `_unsure` and `_complaints`.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        board: Board,
        harvest: Harvest,
        speed: Speed,
        clock: Clock,
        notices: Notices,
        rng: random.Random,
        file: JobsFile,
        mood: Callable[[], int],
        on_restart: Callable[[], None],
    ) -> None:
        self.board = board
        self._poll_s = settings.poll_interval_sec
        self._job_s = settings.job_timeout_sec
        self._client = client
        self._harvest = harvest
        self._speed = speed
        self._clock = clock
        self._notices = notices
        self._rng = rng
        self._file = file
        self._mood = mood
        self._on_restart = on_restart
        self._lock = threading.Lock()
        self._counts = Counts()
        self._cold = True
        self._adopted = False
        self._troubled_polls = 0
        self._next_stats_at = clock.now() + STATS_S
        self._submit_at: float | None = None
        self._unsure = 0
        self._complaints: set[str] = set()
        url, engine = settings.acestep_api_url, settings.engine
        self.connection = Connection(
            client, clock, notices, rng, url, engine, self._server_is_back,
            lambda: is_kept(settings.spool_dir, url),
        )  # fmt: skip

    @property
    def cold(self) -> bool:
        """Whether the server has not finished a job yet since it was started, as far as we know."""
        return self._cold

    @property
    def counts(self) -> Counts:
        """A copy of the counts."""
        with self._lock:
            return replace(self._counts)

    def may_ask(self, place: Job) -> bool:
        """Whether no submit is under way, and a job for this place would not just pile up or keep others waiting."""
        return not self._is_asking and self.board.room_at_server(place, alone=self._client.one_at_a_time)

    @property
    def _is_asking(self) -> bool:
        """Whether a submit is under way: not one that a server left unanswered which answers all else meanwhile."""
        since = self._submit_at
        return since is not None and self.connection.heard_at - since < SUBMIT_LOST_S

    def count_failure(self) -> None:
        """Count a try that gave no music."""
        with self._lock:
            self._counts.failures += 1
            self._counts.retries += 1

    def complain(self, key: str, level: str, reason: AppError) -> None:
        """Say why there is no music; the same (but for names and numbers) once until a job brings some."""
        complaint = key + re.sub(r"\S*\d\S*", "#", str(reason))
        with self._lock:
            known = complaint in self._complaints
            self._complaints.add(complaint)
        if known:
            log.info("again: %s", reason)
        else:
            self._notices.say(key, level, reason=str(reason))

    def pause(self, stop: threading.Event, seconds: float) -> None:
        """Wait. Raises Stopped at once when the program ends."""
        if stop.is_set() or (seconds > 0.0 and self._clock.wait(stop, seconds)):
            raise Stopped

    # What either worker does for all jobs

    def tend(self, stop: threading.Event) -> None:
        """Wait for the server, poll if it is time to, and bring in the music of jobs that nobody waits for."""
        self.connection.wait_until_up(stop)
        self._poll()
        self._look_for_idle_server()
        while (job := self.board.finished(self._clock.now(), cold=self._cold)) is not None:
            try:
                self.bring_in(job, stop)
            except (CorruptSegment, ServerError):
                log.info("job %s, which nobody waited for, brought nothing", job.task_id)
            finally:
                self.leave(job, stop)

    def leave(self, place: Job, stop: threading.Event) -> None:
        """Leave a job. What was not brought in when the program ends is left for its next run."""
        self.board.let_go(place)
        if not stop.is_set():
            self._file.save(self.board.persistent)

    # What one worker does for its job

    def ask(self, place: Job, recipe: Recipe, thinking: bool, stop: threading.Event) -> bool:
        """Submit, unless somebody else does; return whether the server took it."""
        began_at = self._clock.now()
        with self._lock:
            if self._is_asking:
                return False
            self._submit_at = began_at
        try:
            submitted = self._retrying(SUBMIT, stop)(self._client.submit, recipe, thinking=thinking)
        except ServerUnreachable as error:
            self.connection.lost(error)
        except ServerRefused as error:
            self.connection.refused(SUBMIT, error)
        except ServerTrouble as error:
            if error.arrived:
                self._find_out(error, began_at, stop)
            else:
                self.pause(stop, LONGEST_BACKOFF_S)
        else:
            self._taken(place, submitted, recipe, thinking, began_at)
            return True
        finally:
            with self._lock:
                self._submit_at = None
        return False

    def _taken(self, place: Job, submitted: Submitted, recipe: Recipe, thinking: bool, began_at: float) -> None:
        now, position = self._clock.now(), submitted.queue_position
        with self._lock:
            self._unsure = 0
        self.connection.answered(SUBMIT, now - began_at)
        asked_at = began_at if submitted.ended else now  # its time passed while it was answered
        self.board.asked(place, submitted.task_id, recipe, thinking=thinking, position=position, now=asked_at)
        if submitted.report is not None:
            self.board.observe({submitted.task_id: submitted.report}, now)
        self._file.save(self.board.persistent)

    def _find_out(self, error: ServerTrouble, began_at: float, stop: threading.Event) -> None:
        """Return when it is known what became of a submit that may have arrived."""
        with self._lock:
            self._unsure += 1
            number = self._unsure
            self._counts.retries += 1
        self.connection.troubled(SUBMIT, error, began_at)
        self.connection.unsure(error)
        self.tend(stop)
        ends_at, left = self._clock.now() + self._job_s, None
        while self._clock.now() < ends_at:
            try:
                stats = self._client.stats()
            except ServerError as reason:
                log.info("the server's counts cannot be had: %s", reason)
                break
            at_work, done = stats.at_work, (stats.succeeded or 0) + (stats.failed or 0)
            left = at_work + done if left is None else left
            # First in, first out: when as many have ended as there were, ours was among them.
            if at_work <= len(self.board.pending_ids()) or done >= left:
                break
            self.pause(stop, COUNTS_S)
            self.tend(stop)
        self.pause(stop, backoff_s(number, self._rng))

    def bring_in(self, job: Job, stop: threading.Event) -> Crop:
        """Fetch what the job made. Raises the reason when none of it can be used."""

        def shelf() -> str:
            return "ready" if job.mood == self._mood() else "played"

        crop = self._harvest.bring_in(job, lambda file, path: self._download(file, path, stop), shelf)
        began_at, ended_at = job.began_at or job.since, job.ended_at or job.since
        with self._lock:
            cold, self._cold = self._cold, False
            self._counts.produced += len(crop.entries)
            self._counts.rejected += len(crop.rejected)
        self.connection.loading(begins=False)
        if job.recipe is not None and not job.adopted:
            duration_s = job.recipe.duration_s
            self._speed.learn(ended_at - began_at, duration_s, crop.audible_s, len(crop.entries), cold=cold)
        if crop.entries:
            with self._lock:
                self._complaints.clear()
        for reason in crop.rejected:
            if isinstance(reason, ServerUnsupported):
                continue  # it was said of the server
            self.complain("segment.rejected", "warning", reason)
        if crop.rejected and not crop.entries:
            raise next((reason for reason in crop.rejected if isinstance(reason, CorruptSegment)), crop.rejected[0])
        return crop

    def _retrying(self, route: str, stop: threading.Event) -> Retrying:
        began_at = self._clock.now()

        def note(attempt: int, error: BaseException | None) -> None:
            with self._lock:
                self._counts.retries += 1
            log.info("a call to acestep-api failed in transit, try %d: %s", attempt, error)
            if not isinstance(error, ServerError):
                return
            if route != SUBMIT:
                self.connection.troubled(route, error, began_at)
            elif attempt >= BUSY_AFTER:
                self.connection.busy(error)

        return retrying(lambda wait_s: self.pause(stop, wait_s), self._rng, note, idempotent=route != SUBMIT)

    def _download(self, file: AudioFile, path: Path, stop: threading.Event) -> None:
        """Fetch a file, which outlives a server restart. Raises ServerRefused, ServerTrouble, SpoolError."""
        while True:
            self.connection.wait_until_up(stop)
            try:
                self._retrying(DOWNLOAD, stop)(self._client.download, file, path, stop)
                self.connection.answered(DOWNLOAD)
                return
            except ServerUnreachable as error:
                self.connection.lost(error)
            except ServerRefused as error:
                if error.wants_key or isinstance(error, ServerUnsupported):
                    self.connection.refused(DOWNLOAD, error)
                if not error.wants_key:
                    raise

    # The state of the jobs

    def _poll(self) -> None:
        """Ask for all jobs if it is time to. A poll that fails means nothing for the jobs."""
        ids = self.board.begin_poll(self._clock.now())
        if not ids:
            return
        wait_s, began_at = self._poll_s, self._clock.now()
        try:
            self._heard(self._client.poll(ids))
        except ServerUnreachable as error:
            self.connection.lost(error)
        except ServerRefused as error:
            self.connection.refused(POLL, error)
        except ServerTrouble as error:
            self.connection.troubled(POLL, error, began_at)
            with self._lock:
                self._troubled_polls += 1
                number = self._troubled_polls
            log.info("a poll failed: %s", error)
            wait_s = max(wait_s, backoff_s(number, self._rng, first_s=wait_s, longest_s=LONGEST_POLL_BACKOFF_S))
        finally:
            self.board.end_poll(self._clock.now(), wait_s)

    def _heard(self, reports: dict[str, JobReport]) -> None:
        with self._lock:
            self._troubled_polls = 0
        self.connection.answered(POLL)
        self._lost(self.board.observe(reports, self._clock.now()))

    def _lost(self, lost: int) -> None:
        """A job that the server does not know any more means that it was restarted."""
        if lost:
            self._restarted()
            with self._lock:
                self._counts.lost += lost
            self._notices.say("job.lost", count=lost)

    def _restarted(self) -> None:
        with self._lock:
            self._cold = True
        self._on_restart()

    def _look_for_idle_server(self) -> None:
        """Ask now and then what the server does when a job of ours does not move, or a submit is not answered."""
        now = self._clock.now()
        with self._lock:
            submits = self._submit_at is not None and now - self._submit_at > SUBMIT_QUIET_S
            if now < self._next_stats_at and not (submits or self.connection.is_troubled(HEALTH)):
                return
            self._next_stats_at = now + STATS_S
        if self.board.is_quiet(now, QUIET_S):
            self._ask_for_stats()
        elif not self.board.pending_ids():
            self._ask_for_health()

    def _ask_for_health(self) -> None:
        """With a full queue nobody calls: notice all the same when the server goes."""
        began_at = self._clock.now()
        try:
            self._client.health()
        except ServerUnreachable as error:
            self.connection.lost(error)
        except ServerError as error:
            self.connection.troubled(HEALTH, error, began_at)
        else:
            self.connection.answered(HEALTH)

    def _ask_for_stats(self) -> None:
        """A server with fewer jobs than look unfinished of ours has lost the oldest: it was restarted meanwhile."""
        ids = self.board.pending_ids()
        try:
            stats = self._client.stats()
            if stats.running is None or stats.queued is None or stats.running + stats.queued >= len(ids):
                return
            reports = self._client.poll(ids)  # one may have ended between the two calls
        except ServerError as error:
            log.info("the server's counts cannot be had: %s", error)
            return
        self._heard(reports)
        stale = [task_id for task_id in ids if reports[task_id].state in UNFINISHED]
        gone = len(stale) - stats.running - stats.queued
        self._lost(self.board.lose(stale[: max(gone, 0)], self._clock.now()))

    def _server_is_back(self, away_s: float) -> None:
        """Find out what the server still knows, before anybody asks it for more. Raises ServerError."""
        now = self._clock.now()
        self.board.server_away(away_s, now)
        with self._lock:
            first, self._adopted = not self._adopted, True
        ids = self.board.pending_ids()
        if first:
            self._adopt()
        elif ids:
            self._heard(self._client.poll(ids))
            self._ask_for_stats()
        else:
            self._restarted()

    def _adopt(self) -> None:
        """Take over the jobs that an earlier run left at the server; those it does not know are forgotten."""
        known = dict(self._file.load())
        if not known:
            return
        mood, now = self._mood(), self._clock.now()
        for task_id, recipe in known.items():
            self.board.adopt(task_id, recipe, mood, now)
