"""One acestep-api as the generator's workers deal with it: when it is asked for what, and what its answers mean.

What concerns all jobs (a poll, a restart of the server, the music of a job that nobody waits for) is dealt with by
whichever worker comes by first. A poll has its own schedule; a failed one means nothing for the jobs.

One submit at a time is under way. A server may be deaf for minutes (it loads its models, or it answers a submit only
as the job is done), and what is sent to it meanwhile would be done later, for nobody. A submit that ended without an
answer may have arrived as well: nothing is asked for before the server answers again and its counts are known, and
a job of ours that has no name there is waited for like any other.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from pathlib import Path
from typing import Final

from base import errors
from config import Settings
from generation.calls import JOBS, Backoff, Client, Run, Watch, asked_wait_s
from generation.conclusions import LOST, UNUSABLE, Conclusion
from generation.connection import DOWNLOAD, HEALTH, POLL, SUBMIT, Connection
from generation.fetching import Fetched, Fetcher
from generation.jobs import ENDED, Board, Job, Standing
from generation.policy import Policy, Speed
from generation.prefetch import Slot
from music.segment import Recipe
from music.stations import Mood
from server.replies import AudioFile, JobReport, JobState, Submitted
from spool.state_files import JobsFile, is_kept

log = logging.getLogger(__name__)

QUIET_S: Final = 10.0
STATS_S: Final = 15.0
SILENT_S: Final = 30.0  # nothing asked and nothing heard
SUBMIT_QUIET_S: Final = 5.0
LOOK_S: Final = 1.0  # what is in doubt is looked at no more often
SUBMIT_LOST_S: Final = 60.0
COUNTS_S: Final = 5.0
FULL_S: Final = 60.0  # whoever else filled the server may be gone then
NOT_THERE: Final = frozenset({404, 410})
LATE_TRIES: Final = 3
LONGEST_POLL_BACKOFF_S: Final = 15.0


class JobServer:
    """One server with our jobs at it, shared by its workers; `policy` and `speed` are what was learned of it.

    Threads: any; `_lock` guards `cold`, `_adopted`, `_failed_polls`, `_stats_at`, the begin of a submit, `_unsure` and
    `_complaints`. Who submits has `_submit_at` and `_full`, and replaces them in one step.
    """

    def __init__(
        self, settings: Settings, client: Client, run: Run, fetcher: Fetcher, mood: Mood, file: JobsFile
    ) -> None:
        """`file` remembers the jobs from one run of the program to the next."""
        self.url = url = settings.acestep_api_url
        poll_s = settings.poll_interval_sec
        self.policy = Policy(settings.segment_seconds, settings.max_retry, settings.thinking)
        self.speed = Speed()
        self.board = Board(settings, self.speed.expected_s)
        engine = "builtin" if settings.play_library else settings.engine  # neither asks a server
        self.idlers = Watch(run)
        """The workers that have nothing to do."""
        self.connection = Connection(client, run, url, engine, self._returned, lambda: is_kept(settings.spool_dir, url))
        self._poll_backoff = Backoff(poll_s, max(poll_s, LONGEST_POLL_BACKOFF_S))
        self._job_s = settings.job_timeout_sec
        self._client, self._run, self._clock = client, run, run.clock
        self._fetcher, self._mood, self._file = fetcher, mood, file
        self._lock = threading.Lock()
        self.cold = True
        """Whether the server has not finished a job yet since it was started, as far as we know."""
        self._adopted = False
        self._failed_polls = self._unsure = 0
        self._stats_at = self._clock.now()
        self._submit_at: float | None = None  # infinite between two tries
        self._full = 0, 0.0
        self._complaints: set[str] = set()

    @property
    def is_promising(self) -> bool:
        """Whether what is asked for here will come before long, as far as we know."""
        return self.connection.is_up and not self.policy.worn_out

    @property
    def may_ask(self) -> bool:
        """Whether no submit is under way, and one job more is taken and does not pile up or keep others waiting."""
        ours, until = self._full
        if self._is_asking or (self._clock.now() < until and len(self.board.pending_ids()) >= ours):
            return False
        return self.board.has_room(alone=self._client.one_at_a_time)

    @property
    def _is_asking(self) -> bool:
        """Whether a submit is under way: not one that a server left unanswered which answers all else meanwhile."""
        since = self._submit_at
        return since is not None and self.connection.heard_at - since < SUBMIT_LOST_S

    def complain(self, conclusion: Conclusion, reason: errors.AppError) -> None:
        """Say why there is no music; the same (but for names and numbers) once until a job brings some."""
        complaint = conclusion.line + re.sub(r"\S*\d\S*", "#", str(reason))
        with self._lock:
            known = complaint in self._complaints
            self._complaints.add(complaint)
        if known:
            log.info("again: %s", reason)
        else:
            self._run.notices.say(*conclusion.drawn, reason=reason)

    # What either worker does for all jobs

    def tend(self) -> None:
        """Wait for the server, poll if it is time to, and bring in the music of jobs that nobody waits for."""
        self.connection.wait_until_up()
        self._poll()
        self._look_for_idle_server()
        while (job := self.board.take_finished(self._clock.now(), cold=self.cold)) is not None:
            self.idlers.wake()
            try:
                self.bring_in(job)
            except (errors.CorruptSegment, errors.ServerError):
                log.info("job %s, which nobody waited for, brought nothing", job.task_id)
            finally:
                self.leave(job)

    def leave(self, job: Job) -> None:
        """Leave a job. What was not brought in when the program ends is left for its next run."""
        self.board.leave(job)
        if not self._run.stop.is_set():
            self._file.save(self.url, self.board.persistent)

    # What one worker does for its slot

    def ask(self, slot: Slot, recipe: Recipe, thinking: bool, upload: bytes = b"") -> Job | None:
        """Submit, unless somebody else does; return the job if the server took it. Raises UploadRefused."""
        began_at = self._clock.now()
        with self._lock:
            if self._is_asking:
                return None
            self._submit_at = math.inf
        try:
            submitted = self.connection.retrying(SUBMIT)(self._submit, recipe, thinking, upload)
        except (errors.ServerUnreachable, errors.ServerRefused) as error:
            self.connection.failed(SUBMIT, error, began_at)
        except errors.ServerTrouble as error:
            if error.arrived:
                self._find_out(error, began_at)
            else:
                self._run.pause(JOBS.longest_s)
        else:
            return self._taken(slot, submitted, recipe, began_at) if submitted else None
        finally:
            self._submit_at = None
        return None

    def _submit(self, recipe: Recipe, thinking: bool, upload: bytes) -> Submitted | None:
        """Submit once. None where there is no room beside our own jobs: one more is asked for when one of them ends."""
        self._submit_at = self._clock.now()
        try:
            return self._client.submit(recipe, thinking=thinking, upload=upload)
        except errors.ServerBusy as error:
            if not (ours := len(self.board.pending_ids())):
                raise
            self._full = ours, self._clock.now() + max(FULL_S, asked_wait_s(error))
            return None
        finally:
            self._submit_at = math.inf

    def _taken(self, slot: Slot, submitted: Submitted, recipe: Recipe, began_at: float) -> Job:
        now = self._clock.now()
        with self._lock:
            self._unsure = 0
        self.connection.answered(SUBMIT, now - began_at)
        asked_at = began_at if submitted.ended else now  # its time passed while it was answered
        job = Job(submitted.task_id, recipe, asked_at, slot.number, slot.mood, submitted.queue_position)
        self.board.add(job, now)
        if submitted.report is not None:
            self.board.observe({job.task_id: submitted.report}, now)
        self._file.save(self.url, self.board.persistent)
        return job

    def _find_out(self, error: errors.ServerTrouble, began_at: float) -> None:
        """Return when it is known what became of a submit that may have arrived."""
        with self._lock:
            self._unsure += 1
            number = self._unsure
        self._run.counts.add(retries=1)
        # Beside a job of ours it may have meant that there is room when that has ended.
        asked_s = 0.0 if self.board.pending_ids() else asked_wait_s(error)
        self.connection.troubled(SUBMIT, error, began_at)
        self.connection.unsure(error)
        self.tend()
        ends_at, left = self._clock.now() + self._job_s, None
        while self._clock.now() < ends_at:
            try:
                stats = self._client.stats()
            except errors.ServerError as reason:
                log.info("the server's counts cannot be had: %s", reason)
                break
            at_work, done = stats.at_work, (stats.succeeded or 0) + (stats.failed or 0)
            left = at_work + done if left is None else left
            # First in, first out: when as many have ended as there were, ours was among them.
            if at_work <= len(self.board.pending_ids()) or done >= left:
                break
            self._run.pause(COUNTS_S)
            self.tend()
        self._run.pause(max(JOBS.wait_s(number, self._run.rng), asked_s))

    def bring_in(self, job: Job) -> Fetched:
        """Fetch what the job made, and learn from it. Raises the reason when none of it can be used."""

        def shelf() -> str:
            return "ready" if job.mood == self._mood.token() else "played"

        fetched = self._fetcher.fetch(job, self._download, shelf)
        self._run.counts.add(produced=len(fetched.entries), rejected=len(fetched.rejected))
        with self._lock:
            cold, self.cold = self.cold, False
            if fetched.entries:
                self._complaints.clear()
        self.connection.note_loading(False)
        if not job.inherited:
            files = len(fetched.entries)
            self.speed.learn(
                job.run_s, job.recipe.canvas_s, fetched.audible_s, files, cold=cold, ended_at=job.ended_at or 0.0
            )
        for reason in fetched.rejected:
            if not isinstance(reason, errors.ServerUnsupported):  # that one was said of the server
                self.complain(UNUSABLE, reason)
        if fetched.rejected and not fetched.entries:
            corrupt = (reason for reason in fetched.rejected if isinstance(reason, errors.CorruptSegment))
            raise next(corrupt, fetched.rejected[0])
        return fetched

    def _download(self, file: AudioFile, path: Path) -> None:
        """Fetch a file, which outlives a server restart. Raises ServerRefused, ServerTrouble, SpoolError, Stopped.

        Some servers say that a job is done before its file is there.
        """
        missed = 0
        while True:
            self.connection.wait_until_up()
            began_at = self._clock.now()
            try:
                self.connection.retrying(DOWNLOAD)(self._client.download, file, path)
                self.connection.answered(DOWNLOAD)
                return
            except (errors.ServerUnreachable, errors.KeyRefused, errors.ServerUnsupported) as error:
                self.connection.failed(DOWNLOAD, error, began_at)
                if isinstance(error, errors.ServerUnsupported):
                    raise
            except errors.ServerRefused as error:
                missed += 1
                if error.status not in NOT_THERE or missed > LATE_TRIES:
                    raise
                self._run.pause(JOBS.wait_s(missed, self._run.rng))

    # The state of the jobs

    def _poll(self) -> None:
        """Ask for all jobs if it is time to. A poll that fails means nothing for the jobs."""
        ids = self.board.begin_poll(self._clock.now())
        if not ids:
            return
        wait_s, began_at = self._poll_backoff.first_s, self._clock.now()
        try:
            self._heard(self._client.poll(ids))
        except errors.ServerError as error:
            self.connection.failed(POLL, error, began_at)
            with self._lock:
                self._failed_polls += 1
                number = self._failed_polls
            log.info("a poll failed: %s", error)
            wait_s = max(wait_s, self._poll_backoff.wait_s(number, self._run.rng), asked_wait_s(error))
        finally:
            self.board.end_poll(self._clock.now(), wait_s)

    def _heard(self, reports: dict[str, JobReport]) -> None:
        with self._lock:
            self._failed_polls = 0
        self.connection.answered(POLL)
        self._lost(self.board.observe(reports, self._clock.now()))

    def _lost(self, lost: int) -> None:
        """A job that the server does not know any more means that it was restarted."""
        if lost:
            self._restarted()
            self._run.counts.add(lost=lost)
            self._run.notices.say(*LOST.drawn, count=lost)

    def _restarted(self) -> None:
        with self._lock:
            self.cold = True
        self.policy.server_restarted()

    def _look_for_idle_server(self) -> None:
        """Ask now and then what the server does when a job of ours does not move, or a submit is not answered.

        Where nothing is asked for, it is noticed all the same when the server goes.
        """
        now, idle = self._clock.now(), not self.board.pending_ids()
        with self._lock:
            submits = (since := self._submit_at) is not None and now - since > SUBMIT_QUIET_S
            due_at = max(self._stats_at, self.connection.heard_at) + SILENT_S if idle else self._stats_at + STATS_S
            if submits or self.connection.is_troubled(HEALTH):
                due_at = self._stats_at + LOOK_S
            if now < due_at:
                return
            self._stats_at = now
        if idle:
            self._ask_for_health()
        elif self.board.is_quiet(now, QUIET_S):
            self._ask_for_stats()

    def _ask_for_health(self) -> None:
        began_at = self._clock.now()
        try:
            self._client.health()
        except errors.ServerUnreachable as error:
            self.connection.failed(HEALTH, error, began_at)
        except errors.ServerError as error:
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
        except errors.ServerError as error:
            log.info("the server's counts cannot be had: %s", error)
            return
        self._heard(reports)
        stale = [task_id for task_id in ids if reports[task_id].state not in ENDED]
        gone = len(stale) - stats.running - stats.queued
        lost = {task_id: JobReport(task_id, JobState.LOST) for task_id in stale[: max(gone, 0)]}
        self._lost(self.board.observe(lost, self._clock.now()))

    def _returned(self, away_s: float) -> None:
        """Find out what the server still knows, before anybody asks it for more. Raises ServerError."""
        now = self._clock.now()
        self.board.server_away(away_s, now)
        with self._lock:
            first, self._adopted = not self._adopted, True
        if first:  # take over what an earlier run left there; what the server does not know is forgotten
            for task_id, recipe in self._file.load(self.url):
                job = Job(task_id, recipe, now, mood=self._mood.token(), standing=Standing.LEFT, inherited=True)
                self.board.add(job, now)
        if ids := self.board.pending_ids():
            self._heard(self._client.poll(ids))
            self._ask_for_stats()
        elif not first:
            self._restarted()
