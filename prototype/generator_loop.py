"""The making of music ahead of time: a plain `produce_one()`, and the two worker threads that repeat it.

A worker takes a free place in the queue to come, asks the server, waits, and puts what it gets on the shelf. The
workers share one `Board`: whoever finds a poll due polls for all, and collects the music of jobs nobody waits for.
What to ask for after a failure is the `Policy`'s, whether the server can be asked at all the `Connection`'s.
"""

from __future__ import annotations

import logging
import random
import statistics
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.errors import AppError, CorruptSegment, JobFailed, JobLost, JobStalled, ServerError
from base.notices import Notices
from base.workers import Clock, Worker
from config import Settings
from generation import conclusions
from generation.connection import POLL, Stopped
from generation.fetching import Harvest, Ingest, Store
from generation.jobs import Board, GeneratorSnapshot, Job, Limits, Stock
from generation.policy import REMEMBERED, Change, Client, Conditions, Policy, Speed, Tries, backoff_s
from generation.polling import Desk
from music.analysis import ingest
from music.segment import Recipe
from server.replies import JobState
from spool.spool import Entry
from spool.state_files import JobsFile, Later, at_once

log = logging.getLogger(__name__)

WORKERS: Final = 2  # one job runs at the server, one waits there: its single worker never idles
IDLE_S: Final = 1.0
USUAL_SHARE: Final = 0.75  # audible seconds per second asked for, below which one segment more is kept
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
        spool: Store,
        next_recipe: Callable[[float], Recipe],
        clock: Clock,
        notices: Notices,
        *,
        mood: Callable[[], int] = lambda: 0,
        ingest: Ingest = ingest,
        jobs_file: Path | None = None,
        later: Later = at_once,
        rng: random.Random | None = None,
        on_failure: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """`mood` counts the changes of what `next_recipe` gives; what was asked before a change goes to the library.

        `jobs_file` remembers the jobs at the server from one run to the next; `later` writes it.
        """
        self._settings = settings
        self._spool = spool
        self._next_recipe = next_recipe
        self._clock = clock
        self._notices = notices
        self._mood = mood
        self._rng = rng or random.Random()
        self._on_failure = on_failure
        self._resting = False
        self._workers: list[Worker] = []
        self._policy = Policy(settings.segment_seconds, settings.max_retry, settings.thinking)
        self._speed = Speed()
        limits = Limits(settings.job_timeout_sec, settings.first_job_timeout_sec, settings.stall_sec)
        self._board = Board(limits, settings.poll_interval_sec, settings.batch_size, self._speed.expected_s)
        self._desk = Desk(
            settings, client, self._board, Harvest(spool, ingest, notices, settings.cue_dbfs), self._speed,
            clock, notices, self._rng, JobsFile(jobs_file, settings.acestep_api_url, later), mood,
            self._policy.server_restarted,
        )  # fmt: skip

    # For the composition root

    def start(self, stop: threading.Event) -> None:
        """Start the workers; with ENGINE=builtin there is nothing to do for them."""
        if self._settings.engine == "builtin":
            return
        self._workers = [
            Worker(f"generator-{number}", self._body, stop, self._clock, self._on_failure)
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
        server, detail = self._desk.connection.state
        history = self._speed.history_s
        recent = history[-REMEMBERED:]
        counts = self._desk.counts
        return GeneratorSnapshot(
            server=server,
            server_detail=detail,
            jobs=self._board.views(self._clock.now()),
            produced=counts.produced,
            retries=counts.retries,
            failures=counts.failures,
            rejected=counts.rejected,
            lost=counts.lost,
            last_generation_s=history[-1] if history else None,
            median_generation_s=statistics.median(recent) if recent else None,
            factor=self._speed.factor,
            duration_s=self._policy.duration_s,
            generation_history_s=history,
        )

    # The workers

    def _body(self, stop: threading.Event) -> None:
        try:
            while True:
                if not self.produce_one(stop):
                    self._desk.pause(stop, IDLE_S)
        except Stopped:
            return

    def produce_one(self, stop: threading.Event) -> list[Entry]:
        """Make one job's music if there is room for it, trying again for as long as it takes; return the entries.

        Returns nothing when the queue is full, or when the job is no longer wanted. Raises Stopped.
        """
        self._desk.tend(stop)
        place = None if self._resting else self._reserve()
        if place is None:
            return []
        tries, again, recipe, conditions = Tries(), 0, None, None
        try:
            while self._can_ask(place, stop):
                if conditions is None or conditions.tests is None:
                    conditions = self._policy.next(tries)
                self._desk.pause(stop, self._policy.hold_s(self._clock.now()))
                recipe = self._recipe(recipe, conditions)
                try:
                    if not self._desk.ask(place, recipe, conditions.thinking, stop):
                        continue
                    self._wait_for(place, stop)
                    crop = self._desk.bring_in(place, stop)
                    before_s = self._policy.duration_s
                    self._tell(self._policy.succeeded(tries, conditions), before_s)
                    if crop.unstored:
                        self._desk.pause(stop, AFTER_DISK_TROUBLE_S)
                    return crop.entries
                except (JobFailed, CorruptSegment) as error:
                    self._judged(tries, conditions, error)
                    recipe, conditions = replace(recipe, seed=self._seed()), None
                except (JobLost, ServerError) as error:
                    log.info("a job brought nothing, through no fault of its own: %s", error)
                except JobStalled as error:
                    place = self._given_up(place, error)
                again += 1
                self._desk.pause(stop, backoff_s(again, self._rng))
            return []
        finally:
            self._desk.leave(place, stop)

    def _recipe(self, recipe: Recipe | None, conditions: Conditions) -> Recipe:
        """Return the recipe of the next try; the seed makes a result that is liked repeatable."""
        if recipe is None:
            recipe = replace(self._next_recipe(conditions.duration_s), seed=self._seed())
        return replace(recipe, duration_s=conditions.duration_s)

    def _seed(self) -> int:
        return self._rng.randrange(2**31)  # 0 is no seed to the Gradio app

    def _wanted(self, place: Job) -> bool:
        return place.mood == self._mood() and not self._resting

    def _reserve(self) -> Job | None:
        """Take a place if ready and in flight leave room for one."""
        settings, now = self._settings, self._clock.now()
        mood, changes = self._mood(), self._board.changes  # before looking: what changes after makes us look again
        ready = self._spool.ready()
        usual_s = settings.segment_seconds * self._speed.audible_share
        ready_s = sum(entry.info.audible_s if entry.info else usual_s for entry in ready)
        target_s = settings.prefetch_target * settings.segment_seconds * USUAL_SHARE
        coming_s = self._policy.duration_s * self._speed.audible_share * settings.batch_size
        stock = Stock(len(ready), ready_s, settings.prefetch_target, target_s)
        return self._board.reserve(mood, stock, coming_s, changes, now)

    # One try

    def _can_ask(self, place: Job, stop: threading.Event) -> bool:
        """Return when the server can take a job, True if it is still wanted."""
        self._desk.connection.wait_until_up(stop)
        while self._wanted(place) and not self._desk.may_ask(place):
            self._desk.tend(stop)
            self._desk.pause(stop, self._board.until_poll_s(self._clock.now()))
        return self._wanted(place)

    def _wait_for(self, place: Job, stop: threading.Event) -> None:
        """Return when the job has brought files. Raises JobError."""
        while True:
            self._desk.tend(stop)
            state, has_files, detail = self._board.outcome(place)
            if state is JobState.SUCCEEDED and has_files:
                return
            if state is JobState.SUCCEEDED:
                raise JobFailed("acestep-api finished the job but saved no file")
            if state is JobState.FAILED:
                raise JobFailed(detail or "acestep-api gives no reason, its own log may")
            if state is JobState.LOST:
                raise JobLost("acestep-api does not know the job any more")
            now = self._clock.now()
            reason = self._board.is_overdue(place, now, cold=self._desk.cold)
            if reason:
                raise JobStalled(reason)
            runs_s = now - place.began_at if place.began_at is not None else 0.0
            if runs_s > LOADING_AFTER_S and self._desk.cold:
                self._desk.connection.loading(begins=True)
            self._desk.pause(stop, self._board.until_poll_s(now))

    def _judged(self, tries: Tries, conditions: Conditions, verdict: AppError) -> None:
        """Take in that the server made no music of a job, and say what follows."""
        self._desk.count_failure()
        self._desk.connection.loading(begins=False)
        if not isinstance(verdict, CorruptSegment):  # that one was said as the file was rejected
            self._desk.complain("job.failed", "info", verdict)
        before_s = self._policy.duration_s
        self._tell(self._policy.failed(tries, conditions, self._clock.now()), before_s)

    def _given_up(self, place: Job, error: JobStalled) -> Job:
        """Leave a job that hangs; return the place for the next. Where polls fail, that was said already."""
        self._desk.count_failure()
        self._desk.connection.loading(begins=False)
        if not self._desk.connection.is_troubled(POLL):
            self._notices.say("job.hung", "warning", reason=str(error))
        return self._board.give_up(place, self._clock.now())

    def _tell(self, changes: Iterable[Change], before_s: float) -> None:
        """Say what turned out; `before_s` is the length asked for until now."""
        before, after = f"{before_s:.0f}", f"{self._policy.duration_s:.0f}"
        for change in changes:
            key, level = CHANGES[change]
            self._notices.say(key, level, before=before, after=after)
