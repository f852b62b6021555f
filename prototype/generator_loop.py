"""The making of music ahead of time: a plain `produce_one()`, and the worker threads that repeat it.

A worker takes a free slot of the queue to come, asks its server, waits, and puts what it gets on the shelf. Two
workers share one `JobServer`: whoever finds a poll due polls for all, and collects the music of jobs nobody waits
for. What to ask for after a failure is the `Policy`'s, whether the server can be asked at all the `Connection`'s.
Several servers fill one queue: a slot goes to the fastest that has a worker to spare, and one that is away, or fails
whatever it is asked for, keeps no slot from the others.
"""

from __future__ import annotations

import logging
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from base import errors
from base.texts import Said, said
from base.workers import Worker
from config import Settings
from generation.calls import JOBS, Client, Run, Stopped
from generation.conclusions import FAILED, HUNG, Line
from generation.connection import POLL
from generation.continuing import Chain, Ear, Other
from generation.fetching import Fetcher
from generation.jobs import GeneratorSnapshot, Job, ServerState
from generation.policy import REMEMBERED, Tries
from generation.polling import JobServer
from generation.prefetch import Prefetch, Slot
from music.segment import Recipe, SegmentInfo
from music.stations import Mood
from server.replies import JobState
from spool.spool import Entry, Spool
from spool.state_files import JobsFile

log = logging.getLogger(__name__)

WORKERS: Final = 2  # one job runs at the server, one waits there: its single worker never idles
SPARE: Final = 1  # more, for jobs so short that both have ended before anybody looks
IDLE_S: Final = 2.0
LOADING_AFTER_S: Final = 30.0
AFTER_DISK_TROUBLE_S: Final = 10.0


class GeneratorLoop:
    """Keeps the spool filled with fresh music.

    Threads: `start` and `join` belong to the composition root, `produce_one` to the workers; anybody may call
    `snapshot` and `set_resting`.
    """

    def __init__(
        self,
        settings: Settings,
        clients: Sequence[Client],
        store: Spool,
        mood: Mood,
        run: Run,
        *,
        ear: Ear | None = None,
        jobs_file: JobsFile | None = None,
    ) -> None:
        """`clients` are those of `settings.servers`; `jobs_file` remembers the jobs there from one run to the next."""
        self._run = run
        self._workers: list[Worker] = []
        ear = ear or Ear()
        chain, file = Chain(settings, mood.continuing, store, run.notices, ear.joints), jobs_file or JobsFile(None)
        fetcher = Fetcher(store, ear.ingest, run.notices, settings.cue_dbfs, chain.joined)
        self._servers = [
            JobServer(one, client, run, fetcher, mood, file)
            for one, client in zip(settings.servers, clients, strict=True)
        ]
        chain.homes = self._servers
        self._prefetch = Prefetch(settings, store.ready, self._unawaited)
        self._producers = [Producer(settings, server, self._prefetch, chain, mood, run) for server in self._servers]
        for producer in self._producers:
            producer.rivals = [other for other in self._producers if other is not producer]

    # For the composition root

    def start(self) -> None:
        """Start the workers, where a server is to be asked at all."""
        if self._state()[0] is ServerState.OFF:
            return
        run = self._run
        self._workers = [
            Worker(f"generator-{number + 1}", partial(self._body, producer), run.stop, run.clock, run.on_failure)
            for number, producer in enumerate(one for one in self._producers for _ in range(WORKERS + SPARE))
        ]
        for worker in self._workers:
            worker.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the workers to end after the stop event; return whether they did."""
        ended = [worker.join(timeout_s) for worker in self._workers]
        return all(ended)

    def set_resting(self, resting: bool) -> None:
        """While resting no new jobs are asked for; those at the server are still brought in."""
        self._prefetch.resting = resting

    def snapshot(self) -> GeneratorSnapshot:
        """Return how it goes; cheap."""
        server, reason = self._state()
        now = self._run.clock.now()
        history = tuple(run_s for _, run_s in sorted(one for server in self._servers for one in server.speed.history))
        recent = history[-REMEMBERED:]
        return GeneratorSnapshot(
            server=server,
            server_reason=reason,
            jobs=tuple(job for one in self._servers for job in one.board.views(now)) + self._prefetch.views(now),
            last_generation_s=history[-1] if history else None,
            median_generation_s=statistics.median(recent) if recent else None,
            factor=self._factor(),
            duration_s=max(one.policy.duration_s for one in self._servers),
            generation_history_s=history,
            **self._run.counts.numbers,
        )

    def pace(self, crossfade_s: float) -> float | None:
        """Return generation seconds per second of programme, None while unknown.

        Of every segment a crossfade is shared with the next.
        """
        factor, first = self._factor(), self._servers[0]
        heard_s = first.speed.audible_share * first.policy.duration_s
        return factor and factor * heard_s / max(heard_s - crossfade_s, heard_s / 2)

    def _state(self) -> tuple[ServerState, Said | None]:
        """Return the state of the server, or of the best of several with how many are up and what one lacks."""
        states = [server.connection.state for server in self._servers]
        best = min(states, key=lambda state: list(ServerState).index(state[0]))
        if len(states) == 1:
            return best
        up = f"{sum(server.connection.is_up for server in self._servers)}/{len(states)}"
        lacking = next((reason for _, reason in states if reason), None)
        if lacking:
            return best[0], said("ui.server.some_up", up=up, lacking=lacking)
        return best[0], said("ui.server.all_up", up=up)

    def _factor(self) -> float | None:
        """Return generation seconds per audible second: what several servers make in a second adds up."""
        servers = [server for server in self._servers if server.is_promising] or self._servers
        factors = [server.speed.factor for server in servers]
        rate = sum(1.0 / factor for factor in factors if factor)
        return 1.0 / rate if rate else next((factor for factor in factors if factor is not None), None)

    def _unawaited(self, mood: int) -> int:
        return sum(server.board.unawaited(mood) for server in self._servers if server.is_promising)

    # The workers

    def _body(self, producer: Producer, _stop: threading.Event) -> None:
        try:
            while True:
                if not producer.produce_one():
                    producer.server.idlers.wait(IDLE_S)
        except Stopped:
            producer.server.idlers.wake()  # else who rests ends later

    def produce_one(self) -> list[Entry]:
        """Make one job's music at the first server; see Producer."""
        return self._producers[0].produce_one()


class Producer:
    """Makes music at one server, one job after the other.

    Threads: its workers; `_held` is changed in single steps. `rivals` are given once, before it starts.
    """

    def __init__(
        self, settings: Settings, server: JobServer, prefetch: Prefetch, chain: Chain, mood: Mood, run: Run
    ) -> None:
        self.server = server
        self.rivals: Sequence[Producer] = ()
        self._usual_s, self._poll_s = settings.segment_seconds, settings.poll_interval_sec
        self._prefetch, self._chain, self._mood = prefetch, chain, mood
        self._run, self._clock = run, run.clock
        self._policy, self._speed, self._board = server.policy, server.speed, server.board
        self._held: set[Slot] = set()

    def produce_one(self) -> list[Entry]:
        """Make one job's music if there is room for it, trying again for as long as it takes; return the entries.

        Returns nothing when the queue is full, or when the job is no longer wanted. Raises Stopped.
        """
        self.server.tend()
        slot = self._reserve() if self._has_turn() else None
        if slot is None:
            return []
        task = self._chain.next(self.server)
        self._held.add(slot)
        if task is not Other.WAIT:
            self.server.idlers.wake()  # there may be another slot
        try:
            if isinstance(task, SegmentInfo):
                return self._continue(slot, task)
            return self._fill(slot) if task is Other.BEGIN else []
        finally:
            self._chain.done(task)
            self._held.discard(slot)
            if slot.job is not None:
                self.server.leave(slot.job)
            self._prefetch.leave(slot)

    def _continue(self, slot: Slot, before: SegmentInfo) -> list[Entry]:
        """Make the segment that goes on with another, in one try; what fails says nothing of other jobs."""
        if not self._can_ask(slot):
            return []
        asked = self._chain.recipe(before, self._policy.duration_s, self._seed())
        try:
            slot.job = self.server.ask(slot, asked[0], False, asked[1]) if asked else None
            if slot.job is None:
                return []
            self._wait_for(slot.job)
            entries = self.server.bring_in(slot.job).entries
            self._chain.trust(self.server)
            return entries
        except (errors.JobError, errors.CorruptSegment, errors.UploadRefused) as error:
            if not isinstance(error, errors.JobLost) or (slot.job and slot.job.began_at is not None):
                self._chain.failed(self.server, before, error)
            if isinstance(error, errors.JobStalled):
                self._failed(error)
            elif isinstance(error, errors.JobFailed | errors.CorruptSegment):
                self._run.counts.add(failures=1)
        except errors.ServerError as error:
            log.info("a job brought nothing, through no fault of its own: %s", error)
        return []

    @property
    def is_free(self) -> bool:
        """Whether a worker looks for something to do, at a server from which it would come, and finds it."""
        return self.server.is_promising and len(self._held) < self._most and not self._chain.waits(self.server)

    @property
    def pace(self) -> float:
        """Generation seconds for a second asked for; 0 before it is known, so that it gets known."""
        return self._speed.expected_s(1.0) or 0.0

    @property
    def _most(self) -> int:
        """How many jobs may be at the server."""
        job_s = self._speed.expected_s(self._policy.duration_s)
        return WORKERS + SPARE * (job_s is not None and job_s < self._poll_s)

    def _has_turn(self) -> bool:
        """Whether nobody faster is free."""
        if self._prefetch.resting or len(self._held) >= self._most:
            return False
        return not any(other.pace < self.pace and other.is_free for other in self.rivals)

    def _fill(self, slot: Slot) -> list[Entry]:
        """Ask for one job after the other until one brings music or the slot is no longer wanted."""
        tries, again, recipe, conditions = Tries(), 0, None, None
        while self._can_ask(slot):
            if conditions is None or conditions.tests is None:
                conditions = self._policy.next(tries, self._prefetch.longest_s(slot.mood, self._room_s))
            self._run.pause(self._policy.claim_turn(self._clock.now()))
            recipe = self._recipe(recipe, conditions.duration_s)
            try:
                job = slot.job = self.server.ask(slot, recipe, conditions.thinking)
                if job is None:
                    continue
                self._wait_for(job)
                fetched = self.server.bring_in(job)
                self._conclude(self._policy.succeeded, tries, conditions)
                if fetched.unstored:
                    self._run.pause(AFTER_DISK_TROUBLE_S)
                return fetched.entries
            except (errors.JobFailed, errors.CorruptSegment) as error:
                self._failed(error)
                self._conclude(self._policy.failed, tries, conditions, self._clock.now())
                recipe, conditions = replace(recipe, seed=self._seed()), None
            except (errors.JobLost, errors.ServerError) as error:
                log.info("a job brought nothing, through no fault of its own: %s", error)
                if slot.job and slot.job.began_at is not None:
                    self._chain.trust(self.server)
            except errors.JobStalled as error:
                self._failed(error)
            if slot.job is not None:
                self.server.leave(slot.job)
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
        return slot.mood == self._mood.token() and not self._prefetch.resting

    def _reserve(self) -> Slot | None:
        """Take a slot if ready and in flight leave room for one."""
        share = self._speed.audible_share
        return self._prefetch.reserve(
            self._mood.token(),
            self._policy.duration_s * share,
            self._usual_s * share,
            self._clock.now(),
            self._chain.more,
            lambda: self.server.is_promising,
        )

    # One try

    def _can_ask(self, slot: Slot) -> bool:
        """Return when the server can take a job, True if it is still wanted."""
        self.server.connection.wait_until_up()
        while self._is_wanted(slot) and not self.server.may_ask:
            self.server.tend()
            self._run.pause(self._board.until_poll_s(self._clock.now()))
        return self._is_wanted(slot)

    def _wait_for(self, job: Job) -> None:
        """Return when the job has brought files. Raises JobError."""
        while True:
            self.server.tend()
            state, has_files, detail = self._board.outcome(job)
            if state is JobState.SUCCEEDED and has_files:
                return
            if state is JobState.SUCCEEDED:
                raise errors.JobFailed(said("unmade.no_file"))
            if state is JobState.FAILED:
                raise errors.JobFailed(detail or said("unmade.no_reason"))
            if state is JobState.LOST:
                raise errors.JobLost(said("unmade.unknown"))
            now = self._clock.now()
            reason = self._board.overdue_reason(job, now, cold=self.server.cold)
            if reason:
                self._board.abandon(job)
                raise errors.JobStalled(reason)
            runs_s = now - job.began_at if job.began_at is not None else 0.0
            if runs_s > LOADING_AFTER_S and self.server.cold:
                self.server.connection.note_loading(True)
            self._run.pause(self._board.until_poll_s(now))

    def _failed(self, error: errors.AppError) -> None:
        """Count a try that gave no music, and say why; not what was said already: of a file, or where polls fail."""
        self._run.counts.add(failures=1, retries=1)
        self.server.connection.note_loading(False)
        if isinstance(error, errors.JobFailed):
            self.server.complain(FAILED, error)
        elif isinstance(error, errors.JobStalled) and not self.server.connection.is_troubled(POLL):
            self._run.notices.say(*HUNG.drawn, reason=error)

    def _conclude(self, verdict: Callable[..., list[Line]], *of_try: object) -> None:
        """Have the policy learn of a try, and say what it concludes, with the length asked for until now and after."""
        before_s = self._policy.duration_s
        for key, level in verdict(*of_try):
            self._run.notices.say(key, level, before=f"{before_s:.0f}", after=f"{self._policy.duration_s:.0f}")
