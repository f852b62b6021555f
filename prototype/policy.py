"""What is asked for after failures, and how fast the server turned out to be. No thread, call or wait in here.

A job is tried `1 + max_retry` times under the same conditions. Where the language model plays a part it is then
tried once without: `5Hz LM init failed` fails every thinking job until the server restarts. What still fails is
asked for at the next shorter duration; after the ladder's end at most one try a minute goes on for ever.
"""

from __future__ import annotations

import enum
import random
import statistics
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

LADDER_S: Final = (20.0, 10.0)
RARE_TRY_S: Final = 60.0
LONGEST_CLIMB: Final = 16  # successes at one rung before a climb that failed again and again is tried once more
LONGEST_BACKOFF_S: Final = 30.0
REMEMBERED: Final = 8
AUDIBLE_SHARE: Final = 0.8  # of a segment's length, before any was heard: a fifth of real segments is dead tail


def backoff_s(attempt: int, rng: random.Random, *, first_s: float = 1.0, longest_s: float = LONGEST_BACKOFF_S) -> float:
    """Return the wait before try `attempt + 1`: min(longest, first · 2^(attempt - 1)), its upper half random."""
    return min(longest_s, first_s * 2.0 ** min(attempt - 1, 20)) * rng.uniform(0.5, 1.0)


class Verdict(enum.Enum):
    """What follows from a failed try."""

    AGAIN = "again"
    SHORTER = "shorter"
    RARELY = "rarely"


@dataclass(frozen=True)
class Conditions:
    """What a try asks for; `rung` counts down the ladder from 0, the full duration."""

    rung: int
    duration_s: float
    thinking: bool


@dataclass
class Tries:
    """The failed tries of one job at the rung it stands on. Owned by the thread that has the job."""

    rung: int = 0
    failed: int = 0


class Policy:
    """The ladder of durations and the use of the language model, shared by all jobs.

    Threads: any; `_lock` guards every field.
    """

    def __init__(self, segment_s: float, max_retry: int, thinking: bool) -> None:
        self.ladder_s = (segment_s, *(rung_s for rung_s in LADDER_S if rung_s < segment_s))
        self._lock = threading.Lock()
        self._max_retry = max_retry
        self._wants_thinking = thinking
        self._thinks = thinking
        self._rung = 0
        self._worn_out = False
        self._next_try_at = 0.0
        self._successes = 0
        self._climb_after = 1
        self._climbed_to: int | None = None

    @property
    def duration_s(self) -> float:
        """Seconds the next job will be asked for."""
        return self.ladder_s[self._rung]

    def next(self, tries: Tries) -> Conditions:
        """Return the conditions of a job's next try; a shorter duration found by another job is taken over."""
        with self._lock:
            if tries.failed == 0 or tries.rung < self._rung:
                tries.rung, tries.failed = self._rung, 0
            thinking = self._thinks and tries.failed <= self._max_retry
            return Conditions(tries.rung, self.ladder_s[tries.rung], thinking)

    def hold_s(self, now: float) -> float:
        """Claim a turn and return the seconds until it comes: 0, unless tries have become rare."""
        with self._lock:
            if not self._worn_out:
                return 0.0
            turn_at = max(now, self._next_try_at)
            self._next_try_at = turn_at + RARE_TRY_S
            return turn_at - now

    def failed(self, tries: Tries, now: float) -> Verdict:
        """Count a failed try."""
        with self._lock:
            tries.failed += 1
            if tries.failed <= self._max_retry + int(self._thinks):
                return Verdict.AGAIN
            tries.failed = 0
            if tries.rung < self._rung:
                return Verdict.AGAIN
            self._successes = 0
            if self._climbed_to == tries.rung:
                self._climb_after = min(2 * self._climb_after, LONGEST_CLIMB)
                self._climbed_to = None
            if tries.rung + 1 < len(self.ladder_s):
                self._rung = tries.rung + 1
                return Verdict.SHORTER
            if self._worn_out:
                return Verdict.AGAIN
            self._worn_out = True
            self._next_try_at = now + RARE_TRY_S
            return Verdict.RARELY

    def succeeded(self, conditions: Conditions) -> bool:
        """Count a success and climb back a rung; return whether it showed that only thinking had failed."""
        with self._lock:
            self._worn_out = False
            self._successes += 1
            if conditions.rung == self._climbed_to:
                self._climbed_to, self._climb_after = None, 1
            if conditions.rung < self._rung:
                self._rung, self._successes = conditions.rung, 0
            elif self._rung > 0 and self._successes >= self._climb_after:
                self._rung -= 1
                self._climbed_to, self._successes = self._rung, 0
            found = self._thinks and not conditions.thinking
            self._thinks = self._thinks and conditions.thinking
            return found

    def server_restarted(self) -> None:
        """A new server process may have its language model again."""
        with self._lock:
            self._thinks = self._wants_thinking


class Speed:
    """What was learned of the server's speed from its latest jobs.

    Threads: any; the deques are appended to and copied in one step each.
    """

    def __init__(self) -> None:
        self._per_asked_s: deque[float] = deque(maxlen=REMEMBERED)
        self._per_audible_s: deque[float] = deque(maxlen=REMEMBERED)
        self._shares: deque[float] = deque(maxlen=REMEMBERED)
        self._history_s: deque[float] = deque(maxlen=60)

    def learn(self, run_s: float, asked_s: float, audible_s: float, files: int, *, cold: bool) -> None:
        """Take in a finished job: `run_s` at work on it, `audible_s` the sum over its `files` files.

        A `cold` job (the first of a session: models load, kernels compile) says nothing of the normal speed.
        """
        if audible_s <= 0.0 or files == 0:
            return
        self._shares.append(audible_s / files / asked_s)
        self._history_s.append(run_s)
        if not cold:
            self._per_asked_s.append(run_s / asked_s)
            self._per_audible_s.append(run_s / audible_s)

    def expected_s(self, duration_s: float) -> float | None:
        """Return the seconds a job of `duration_s` will take, None before any was seen."""
        ratios = tuple(self._per_asked_s)
        return statistics.median(ratios) * duration_s if ratios else None

    @property
    def factor(self) -> float | None:
        """Generation seconds per audible second (median); None before the second job."""
        ratios = tuple(self._per_audible_s)
        return statistics.median(ratios) if ratios else None

    @property
    def audible_share(self) -> float:
        """The part of a segment's asked length that can be heard (median)."""
        shares = tuple(self._shares)
        return statistics.median(shares) if shares else AUDIBLE_SHARE

    @property
    def history_s(self) -> tuple[float, ...]:
        """Generation times of the latest jobs, oldest first."""
        return tuple(self._history_s)
