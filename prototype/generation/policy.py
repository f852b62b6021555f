"""What is asked for after failures, and how fast the server turned out to be. No thread, call or wait in here.

A job is tried `1 + max_retry` times under the same conditions, where the language model plays a part then once
without, and what still fails at the next shorter duration; after the ladder's end at most one try a minute goes on
for ever. Only the server's own verdict on a job is a failure here: calls that failed on the way, jobs and files that
were lost or refused say nothing of what was asked for.

That a job succeeds further down is no proof yet, for jobs fail by chance too. A demand (thinking, a length) is given
up once it failed at least FAILED times without one success between, and PROOFS jobs succeeded without it after
failing with it, none failing without. What was given up is tried again after some successes (ever more of them), and
after a restart of the server; one success takes the conclusion back.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from generation.conclusions import HOPELESS, NO_THINKING, TOO_LONG, Line

LADDER_S: Final = (300.0, 120.0, 60.0, 20.0, 10.0)
RARE_TRY_S: Final = 60.0
FAILED: Final = 8
PROOFS: Final = 2
TEST_AFTER: Final = 4  # successes without a demand before it is made again
LONGEST_TEST_AFTER: Final = 64
REMEMBERED: Final = 8
LATEST: Final = 3  # what a job will take follows the server soon
GROWTH: Final = 2.0  # at most this much longer than what has worked
SAFE_SHARE: Final = 2 / 3  # of what is there to listen to, in which a longer job has to be done
STEP_S: Final = 5.0
AUDIBLE_SHARE: Final = 0.8  # of a segment's length, before any was heard: a fifth of real segments is dead tail


@dataclass
class Doubt:
    """What speaks against one demand. `failed` and `proofs` count since it last worked, `successes` without it.

    A longer job counts as so many successes.
    """

    failed: int = 0
    proofs: int = 0
    drawn: bool = False
    successes: float = 0.0
    test_after: int = TEST_AFTER

    @property
    def is_due(self) -> bool:
        """Whether what was given up is to be tried again."""
        return self.drawn and self.successes >= self.test_after

    def prove(self) -> bool:
        """Count a job that worked without, after failing with; return whether that settles it."""
        self.proofs += 1
        news = not self.drawn and self.failed >= FAILED and self.proofs >= PROOFS
        if news:
            self.drawn, self.successes = True, 0
        return news

    def excuse(self) -> None:
        """Begin all proofs anew: without it, jobs fail too."""
        self.failed = self.proofs = 0

    def clear(self) -> bool:
        """Count a success with it; return whether that takes a conclusion back."""
        self.excuse()
        was_drawn, self.drawn, self.test_after = self.drawn, False, TEST_AFTER
        return was_drawn


@dataclass(frozen=True)
class Conditions:
    """What a try asks for; `rung` counts down the ladder from 0, the full duration. `tests` a conclusion, or none."""

    rung: int
    duration_s: float
    thinking: bool
    tests: Doubt | None = None


@dataclass
class Tries:
    """One job's way down: its failures at the rung it stands on, with thinking among them, and the rungs above.

    Owned by the thread that has the job.
    """

    rung: int = 0
    failed: int = 0
    thinking_failed: int = 0
    failed_rungs: set[int] = field(default_factory=set)
    longer_failed: bool = False

    def stand_on(self, rung: int) -> None:
        """Begin anew at a rung."""
        self.rung, self.failed, self.thinking_failed = rung, 0, 0


class Policy:
    """The ladder of durations and the use of the language model, shared by all jobs.

    Threads: any; `_lock` guards every field.
    """

    def __init__(self, segment_s: float, max_retry: int, thinking: bool) -> None:
        self.ladder_s = (segment_s, *(rung_s for rung_s in LADDER_S if rung_s < segment_s))
        self._lock = threading.Lock()
        self._max_retry = max_retry
        self._wants_thinking = thinking
        self._thinking = Doubt()
        self._lengths = [Doubt() for _ in self.ladder_s[1:]]  # of every rung but the last
        self.worn_out = False
        """Whether a job failed at every length, and none has worked since."""
        self._next_try_at = 0.0
        self._longest_s = segment_s  # that has worked
        self._growth_in, self._growth_after = 0, TEST_AFTER

    @property
    def duration_s(self) -> float:
        """Seconds the next job will be asked for."""
        return self.ladder_s[self._rung]

    @property
    def _rung(self) -> int:
        """The rung below the last one given up."""
        return max((rung + 1 for rung, doubt in enumerate(self._lengths) if doubt.drawn), default=0)

    @property
    def _thinks(self) -> bool:
        return self._wants_thinking and not self._thinking.drawn

    def next(self, tries: Tries, longest_s: float = 0.0) -> Conditions:
        """Return the conditions of a job's next try; what another job has proved is taken over.

        There is time for `longest_s` of music, which is asked for in steps. A job that fails at that proves nothing,
        and goes on at the full duration; what has never worked is tried again after some successes, ever more of them.
        """
        with self._lock:
            if not tries.failed and not tries.failed_rungs and (test := self._test()) is not None:
                return test
            if tries.rung < self._rung:
                tries.stand_on(self._rung)
            thinking = self._thinks and tries.failed <= self._max_retry
            growth = 1.0 if self._growth_in > 0 else GROWTH
            longer_s = min(longest_s, growth * self._longest_s) // STEP_S * STEP_S
            if tries == Tries() and longer_s > self.ladder_s[0]:
                return Conditions(0, longer_s, thinking)
            return Conditions(tries.rung, self.ladder_s[tries.rung], thinking)

    def _test(self) -> Conditions | None:
        """Return a try of what was given up, if one is due; it is handed out once. Called under the lock."""
        rung = self._rung
        if self._thinking.is_due:
            self._thinking.successes = 0
            return Conditions(rung, self.ladder_s[rung], True, self._thinking)
        if rung and (doubt := self._lengths[rung - 1]).is_due:
            doubt.successes = 0
            return Conditions(rung - 1, self.ladder_s[rung - 1], self._thinks, doubt)
        return None

    def claim_turn(self, now: float) -> float:
        """Claim a turn and return the seconds until it comes: 0, unless tries have become rare."""
        with self._lock:
            if not self.worn_out:
                return 0.0
            turn_at = max(now, self._next_try_at)
            self._next_try_at = turn_at + RARE_TRY_S
            return turn_at - now

    def failed(self, tries: Tries, conditions: Conditions, now: float) -> list[Line]:
        """Count a verdict of the server against a job; return what is said of it."""
        with self._lock:
            if conditions.tests is not None:
                conditions.tests.test_after = min(2 * conditions.tests.test_after, LONGEST_TEST_AFTER)
                return []
            if conditions.duration_s > self.ladder_s[0]:
                tries.longer_failed = True
                self._longer_failed(conditions.duration_s)
                return []
            tries.failed += 1
            tries.thinking_failed += conditions.thinking
            if conditions.thinking:
                self._thinking.failed += 1
            else:
                self._thinking.excuse()
            if conditions.rung < len(self._lengths):
                self._lengths[conditions.rung].failed += 1
            if tries.failed <= self._max_retry + int(self._thinks):
                return []
            tries.failed_rungs.add(tries.rung)
            tries.stand_on(min(tries.rung + 1, len(self.ladder_s) - 1))
            if len(self.ladder_s) - 1 not in tries.failed_rungs:
                return []
            for doubt in self._lengths:
                doubt.excuse()
            if self.worn_out:
                return []
            self.worn_out, self._next_try_at = True, now + RARE_TRY_S
            return [HOPELESS.drawn]

    def _longer_failed(self, duration_s: float) -> None:
        """Hold the growth back, or go a step back where that length has worked. Called under the lock."""
        if duration_s > self._longest_s:
            self._growth_in = self._growth_after
            self._growth_after = min(2 * self._growth_after, LONGEST_TEST_AFTER)
        else:
            self._longest_s = max(self.ladder_s[0], duration_s / GROWTH)

    def succeeded(self, tries: Tries, conditions: Conditions) -> list[Line]:
        """Count a job that brought music; return what is said of it."""
        with self._lock:
            rung_before, lines = self._rung, [HOPELESS.over] if self.worn_out else []
            self.worn_out = False
            self._growth_in -= 1
            if conditions.duration_s > self._longest_s:
                self._longest_s, self._growth_after = conditions.duration_s, TEST_AFTER
            for doubt in (self._thinking, *self._lengths):
                doubt.successes += max(1.0, conditions.duration_s / self.ladder_s[0])
            if conditions.thinking:
                lines += [NO_THINKING.over] if self._thinking.clear() else []
            elif tries.thinking_failed > self._max_retry and self._thinking.prove():
                lines.append(NO_THINKING.drawn)
            at_once = tries.failed == (0 if conditions.thinking else tries.thinking_failed)
            for rung, doubt in enumerate(self._lengths):
                if rung >= conditions.rung:
                    doubt.clear()
                elif rung in tries.failed_rungs and at_once:
                    doubt.prove()
            if self._rung != rung_before:
                lines.append(TOO_LONG.drawn if self._rung > rung_before else TOO_LONG.over)
            return lines

    def server_restarted(self) -> None:
        """A new server process may do what the old one could not: try it again, and begin all proofs anew."""
        with self._lock:
            self._next_try_at = 0.0
            for doubt in (self._thinking, *self._lengths):
                doubt.excuse()
                doubt.successes = doubt.test_after = TEST_AFTER


class Speed:
    """What was learned of the server's speed from its latest jobs.

    `factor` is generation seconds per audible second (median), None before the second job; `audible_share` the part of
    a segment's asked length that can be heard (median).

    Threads: any; the deques are appended to and copied in one step each.
    """

    def __init__(self) -> None:
        self.factor: float | None = None
        self.audible_share = AUDIBLE_SHARE
        self._per_asked_s: deque[float] = deque(maxlen=LATEST)
        self._per_audible_s: deque[float] = deque(maxlen=REMEMBERED)
        self._shares: deque[float] = deque(maxlen=REMEMBERED)
        self._history: deque[tuple[float, float]] = deque(maxlen=60)

    def learn(
        self, run_s: float, asked_s: float, audible_s: float, files: int, *, cold: bool, ended_at: float = 0.0
    ) -> None:
        """Take in a finished job: `run_s` at work on it, `audible_s` the sum over its `files` files.

        A `cold` job (the first of a session: models load, kernels compile) says nothing of the normal speed.
        """
        if audible_s <= 0.0:
            return
        self._shares.append(audible_s / files / asked_s)
        self.audible_share = statistics.median(tuple(self._shares))
        self._history.append((ended_at, run_s))
        if not cold:
            self._per_asked_s.append(run_s / asked_s)
            self._per_audible_s.append(run_s / audible_s)
            self.factor = statistics.median(tuple(self._per_audible_s))

    def expected_s(self, duration_s: float) -> float | None:
        """Return the seconds a job of `duration_s` will take, None before any was seen."""
        ratios = tuple(self._per_asked_s)
        return statistics.median(ratios) * duration_s if ratios else None

    def room_s(self, ready_s: float, ahead_s: float, work_s: float) -> float:
        """Return how long a job may be that is done well before all that is there to listen to is heard.

        With r the generation time and a the audible part of a second asked for, a job of L seconds behind others of
        `ahead_s` in all, of which `work_s` is to do: work + r · L <= SAFE_SHARE · (ready + a · ahead). 0 before r is
        known.
        """
        if not (per_asked_s := self.expected_s(1.0)):
            return 0.0
        return (SAFE_SHARE * (ready_s + self.audible_share * ahead_s) - work_s) / per_asked_s

    @property
    def history(self) -> tuple[tuple[float, float], ...]:
        """When the latest jobs ended, and how long they took, oldest first."""
        return tuple(self._history)
