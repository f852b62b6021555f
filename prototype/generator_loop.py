"""The making of music ahead of time: a plain `produce_one()`, and the worker threads that repeat it.

A worker takes a free slot of the queue to come, asks the server, waits, and puts what it gets on the shelf. The
workers share one `JobServer`: whoever finds a poll due polls for all, and collects the music of jobs nobody waits
for. What to ask for after a failure is the `Policy`'s, whether the server can be asked at all the `Connection`'s.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from base.errors import AppError, CorruptSegment, JobFailed, JobLost, JobStalled, ServerError, UploadRefused
from base.notices import Notices
from base.workers import Worker
from config import Settings
from generation import conclusions
from generation.calls import JOBS, Client, Counts, Run, Stopped
from generation.connection import POLL
from generation.continuing import Chain, Other
from generation.fetching import Fetcher, Ingest, Store
from generation.jobs import GeneratorSnapshot, Job
from generation.policy import REMEMBERED, Change, Tries
from generation.polling import JobServer, Moods
from generation.prefetch import Prefetch, Slot
from music.analysis import ingest
from music.segment import Recipe, SegmentInfo
from server.replies import JobState
from spool.spool import Entry
from spool.state_files import JobsFile

log = logging.getLogger(__name__)

WORKERS: Final = 2  # one job runs at the server, one waits there: its single worker never idles
IDLE_S: Final = 1.0
LOADING_AFTER_S: Final = 30.0
AFTER_DISK_TROUBLE_S: Final = 10.0
CHANGES: Final = {
    Change.NO_THINKING: (conclusions.NO_THINKING.line, "warning"),
    Change.THINKING: (conclusions.NO_THINKING.back, "good"),
    Change.SHORTER: (conclusions.TOO_LONG.line, "warning"),
    Change.LONGER: (conclusions.TOO_LONG.back, "good"),
    Change.RARELY: (conclusions.HOPELESS.line, "error"),
    Change.WORKS: (conclusions.HOPELESS.back, "good"),
}


class GeneratorLoop:
    """Keeps the spool filled with fresh music.

    Threads: `start` and `join` belong to the composition root, `produce_one` to the workers; anybody may call
    `snapshot` and `set_resting`.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        store: Store,
        mood: Moods,
        run: Run,
        notices: Notices,
        *,
        ingest: Ingest = ingest,
        jobs_file: JobsFile | None = None,
    ) -> None:
        """`jobs_file` remembers the jobs at the server from one run to the next."""
        self._settings = settings
        self._mood = mood
        self._run = run
        self._clock = run.clock
        self._notices = notices
        self._resting = False
        self._workers: list[Worker] = []
        self._counts = Counts()
        self._chain = Chain(settings, mood.continuing, store, notices)
        fetcher = Fetcher(store, ingest, notices, settings.cue_dbfs, self._chain.joined)
        self._server = JobServer(
            settings, client, run, notices, self._counts, fetcher, mood, jobs_file or JobsFile(None, "")
        )  # fmt: skip
        self._policy, self._speed, self._board = self._server.policy, self._server.speed, self._server.board
        self._prefetch = Prefetch(settings, store.ready, self._board.unawaited)

    # For the composition root

    def start(self) -> None:
        """Start the workers; with ENGINE=builtin there is nothing to do for them."""
        if self._settings.engine == "builtin":
            return
        run = self._run
        self._workers = [
            Worker(f"generator-{number}", lambda _: self._body(), run.stop, run.clock, run.on_failure)
            for number in range(1, WORKERS + 1)
        ]
        for worker in self._workers:
            worker.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the workers to end after the stop event; return whether they did."""
        ended = [worker.join(timeout_s) for worker in self._workers]
        return all(ended)

    def set_resting(self, resting: bool) -> None:
        """While resting no new jobs are asked for; those at the server are still brought in."""
        self._resting = resting

    def snapshot(self) -> GeneratorSnapshot:
        """Return how it goes; cheap."""
        server, detail = self._server.connection.state
        history, now = self._speed.history_s, self._clock.now()
        recent = history[-REMEMBERED:]
        return GeneratorSnapshot(
            server=server,
            server_detail=detail,
            jobs=self._board.views(now) + self._prefetch.views(now),
            last_generation_s=history[-1] if history else None,
            median_generation_s=statistics.median(recent) if recent else None,
            factor=self._speed.factor,
            duration_s=self._policy.duration_s,
            generation_history_s=history,
            **self._counts.numbers,
        )

    def pace(self, crossfade_s: float) -> float | None:
        """Return generation seconds per second of programme, None while unknown.

        Of every segment a crossfade is shared with the next.
        """
        factor, heard_s = self._speed.factor, self._speed.audible_share * self._policy.duration_s
        return factor and factor * heard_s / max(heard_s - crossfade_s, heard_s / 2)

    # The workers

    def _body(self) -> None:
        try:
            while True:
                if not self.produce_one():
                    self._run.pause(IDLE_S)
        except Stopped:
            return

    def produce_one(self) -> list[Entry]:
        """Make one job's music if there is room for it, trying again for as long as it takes; return the entries.

        Returns nothing when the queue is full, or when the job is no longer wanted. Raises Stopped.
        """
        self._server.tend()
        slot = None if self._resting else self._reserve()
        if slot is None:
            return []
        task = self._chain.next()
        try:
            if isinstance(task, SegmentInfo):
                return self._continue(slot, task)
            return self._fill(slot) if task is Other.BEGIN else []
        finally:
            self._chain.done(task)
            if slot.job is not None:
                self._server.leave(slot.job)
            self._prefetch.leave(slot)

    def _continue(self, slot: Slot, before: SegmentInfo) -> list[Entry]:
        """Make the segment that goes on with another, in one try; what fails says nothing of other jobs."""
        if not self._can_ask(slot):
            return []
        asked = self._chain.recipe(before, self._policy.duration_s, self._seed())
        try:
            slot.job = self._server.ask(slot, asked[0], False, asked[1]) if asked else None
            if slot.job is None:
                return []
            self._wait_for(slot.job)
            return self._server.bring_in(slot.job).entries
        except UploadRefused as error:
            self._chain.refused(error)
        except (JobFailed, CorruptSegment) as error:
            log.info("%s was not continued: %s", before.segment_id, error)
            self._counts.add(failures=1)
            self._chain.judged(before, "failed")
        except (JobLost, ServerError) as error:
            log.info("a job brought nothing, through no fault of its own: %s", error)
        except JobStalled as error:
            self._failed(error)
        return []

    def _fill(self, slot: Slot) -> list[Entry]:
        """Ask for one job after the other until one brings music or the slot is no longer wanted."""
        tries, again, recipe, conditions = Tries(), 0, None, None
        while self._can_ask(slot):
            if conditions is None or conditions.tests is None:
                conditions = self._policy.next(tries, self._prefetch.longest_s(slot.mood, self._room_s))
            self._run.pause(self._policy.claim_turn(self._clock.now()))
            recipe = self._recipe(recipe, conditions.duration_s)
            try:
                job = slot.job = self._server.ask(slot, recipe, conditions.thinking)
                if job is None:
                    continue
                self._wait_for(job)
                fetched = self._server.bring_in(job)
                before_s = self._policy.duration_s
                self._tell(self._policy.succeeded(tries, conditions), before_s)
                if fetched.unstored:
                    self._run.pause(AFTER_DISK_TROUBLE_S)
                return fetched.entries
            except (JobFailed, CorruptSegment) as error:
                before_s = self._policy.duration_s
                self._failed(error)
                self._tell(self._policy.failed(tries, conditions, self._clock.now()), before_s)
                recipe, conditions = replace(recipe, seed=self._seed()), None
            except (JobLost, ServerError) as error:
                log.info("a job brought nothing, through no fault of its own: %s", error)
            except JobStalled as error:
                self._failed(error)
            if slot.job is not None:
                self._server.leave(slot.job)
                slot.job = None
            again += 1
            self._run.pause(JOBS.wait_s(again, self._run.rng))
        return []

    def _recipe(self, recipe: Recipe | None, duration_s: float) -> Recipe:
        """Return the recipe of the next try; the seed makes a result that is liked repeatable."""
        if recipe is None:
            recipe = replace(self._mood.next_recipe(duration_s), seed=self._seed())
        return replace(recipe, duration_s=duration_s)

    def _room_s(self, ready_s: float) -> float:
        return self._speed.room_s(ready_s, *self._board.pending(self._clock.now()))

    def _seed(self) -> int:
        return self._run.rng.randrange(2**31)  # 0 is no seed to the Gradio app

    def _is_wanted(self, slot: Slot) -> bool:
        return slot.mood == self._mood.token() and not self._resting

    def _reserve(self) -> Slot | None:
        """Take a slot if ready and in flight leave room for one."""
        share = self._speed.audible_share
        segment_s, usual_s = self._policy.duration_s * share, self._settings.segment_seconds * share
        return self._prefetch.reserve(self._mood.token(), segment_s, usual_s, self._clock.now(), self._chain.more)

    # One try

    def _can_ask(self, slot: Slot) -> bool:
        """Return when the server can take a job, True if it is still wanted."""
        self._server.connection.wait_until_up()
        while self._is_wanted(slot) and not self._server.may_ask:
            self._server.tend()
            self._run.pause(self._board.until_poll_s(self._clock.now()))
        return self._is_wanted(slot)

    def _wait_for(self, job: Job) -> None:
        """Return when the job has brought files. Raises JobError."""
        while True:
            self._server.tend()
            state, has_files, detail = self._board.outcome(job)
            if state is JobState.SUCCEEDED and has_files:
                return
            if state is JobState.SUCCEEDED:
                raise JobFailed("acestep-api finished the job but saved no file")
            if state is JobState.FAILED:
                raise JobFailed(detail or "acestep-api gives no reason, its own log may")
            if state is JobState.LOST:
                raise JobLost("acestep-api does not know the job any more")
            now = self._clock.now()
            reason = self._board.overdue_reason(job, now, cold=self._server.cold)
            if reason:
                self._board.abandon(job)
                raise JobStalled(reason)
            runs_s = now - job.began_at if job.began_at is not None else 0.0
            if runs_s > LOADING_AFTER_S and self._server.cold:
                self._server.connection.note_loading(True)
            self._run.pause(self._board.until_poll_s(now))

    def _failed(self, error: AppError) -> None:
        """Count a try that gave no music, and say why; not what was said already: of a file, or where polls fail."""
        self._counts.add(failures=1, retries=1)
        self._server.connection.note_loading(False)
        if isinstance(error, JobFailed):
            self._server.complain("job.failed", "info", error)
        elif isinstance(error, JobStalled) and not self._server.connection.is_troubled(POLL):
            self._notices.say("job.hung", "warning", reason=str(error))

    def _tell(self, changes: Iterable[Change], before_s: float) -> None:
        """Say what turned out; `before_s` is the length asked for until now."""
        before, after = f"{before_s:.0f}", f"{self._policy.duration_s:.0f}"
        for change in changes:
            key, level = CHANGES[change]
            self._notices.say(key, level, before=before, after=after)
