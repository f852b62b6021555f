"""The calls of acestep-api that the generator uses: by whom they are made, how long for, and how they are repeated.

A call is repeated that changes nothing, or that surely did not arrive. All waits end when the program does.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from base.errors import ServerTrouble
from base.notices import Notices
from base.workers import Clock
from music.segment import Recipe
from server.replies import AudioFile, JobReport, ServerStats, Submitted

MOST_PATIENT_S: Final = 120.0  # however long a server asks us to wait
RELIEF_S: Final = 10.0  # after which a call may keep who looks


def asked_wait_s(error: BaseException | None) -> float:
    """Return the seconds that the server asks us to wait, as far as we do."""
    return min(getattr(error, "retry_after_s", None) or 0.0, MOST_PATIENT_S)


class Stopped(Exception):
    """The program ends: leave whatever you do."""


class Counts:
    """What happened since the start: segments made, tries repeated and failed, files rejected, jobs lost.

    Threads: any; `_lock` guards the numbers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()

    def add(self, **numbers: int) -> None:
        """Count."""
        with self._lock:
            self._numbers.update(numbers)

    @property
    def numbers(self) -> dict[str, int]:
        """Those that were counted, by name."""
        with self._lock:
            return dict(self._numbers)


@dataclass(frozen=True)
class Run:
    """One run of the program, as every thread of the generator knows it; `on_failure` is told of a thread's bug."""

    clock: Clock
    notices: Notices
    stop: threading.Event = field(default_factory=threading.Event)
    rng: random.Random = field(default_factory=random.Random)
    on_failure: Callable[[str, BaseException], None] | None = None
    counts: Counts = field(default_factory=Counts)

    def pause(self, seconds: float) -> None:
        """Wait. Raises Stopped at once when the program ends."""
        if self.stop.is_set() or (seconds > 0.0 and self.clock.wait(self.stop, seconds)):
            raise Stopped


class Watch:
    """Those who wait for the same thing: one of them looks for it now and then, the others rest until it is found.

    Threads: any; who looks next holds `_kept`, and `found` is replaced in one step.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept = threading.Lock()
        self.found = threading.Event()
        """To be taken before a look, for `rest` after it."""

    def wait(self, seconds: float) -> None:
        """Wait before the next look, or rest where somebody else does so already. Raises Stopped."""
        if not self._kept.acquire(blocking=False):
            self.rest(self.found)
            return
        try:
            self._run.pause(seconds)
        finally:
            self._kept.release()

    def rest(self, found: threading.Event) -> None:
        """Wait for `wake`, or until who looks may need relief. Raises Stopped."""
        self._run.pause(0.0)
        self._run.clock.wait(found, RELIEF_S)

    def wake(self) -> None:
        """Have all who rest look for themselves."""
        found, self.found = self.found, threading.Event()
        found.set()


class Client(Protocol):
    """acestep-api, as `ace_client.AceClient` gives it: one call, one outcome; any thread may call."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether the server answers nobody while it makes music."""

    def submit(self, recipe: Recipe, *, thinking: bool = True, upload: bytes = b"") -> Submitted:
        """Ask for a job; one that continues a segment needs the canvas."""

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Ask how jobs are."""

    def download(self, file: AudioFile, destination: Path) -> int:
        """Fetch a file."""

    def health(self) -> None:
        """Ask whether it is there."""

    def stats(self) -> ServerStats:
        """Ask what it does."""

    def close(self) -> None:
        """Let a call that waits fail at once."""


@dataclass(frozen=True)
class Backoff:
    """The wait after the n-th failure in a row: min(longest_s, first_s · 2^(n - 1)) · U(0.5, 1), with U uniform."""

    first_s: float = 1.0
    longest_s: float = 30.0

    def wait_s(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after so many failures, from 1."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 20)) * rng.uniform(0.5, 1.0)


@dataclass(frozen=True)
class Retries:
    """How often a call is made, and after which wait: the back-off, or longer where the server asks for that.

    Wait before try n + 1: max(backoff(n), min(Retry-After, MOST_PATIENT_S)). Not `idempotent`: what may have arrived
    is not repeated.
    """

    tries: int
    idempotent: bool
    backoff: Backoff = Backoff()

    def of(self, run: Run, note: Callable[[int, BaseException | None], None]) -> Retrying:
        """Return what makes a call; `note` is told each failed try (from 1) that will be repeated."""

        def error_of(state: RetryCallState) -> BaseException | None:
            return state.outcome.exception() if state.outcome else None

        def passing(error: BaseException) -> bool:
            return isinstance(error, ServerTrouble) and not error.is_final and (self.idempotent or not error.arrived)

        def wait_s(state: RetryCallState) -> float:
            return max(self.backoff.wait_s(state.attempt_number, run.rng), asked_wait_s(error_of(state)))

        return Retrying(
            retry=retry_if_exception(passing),
            wait=wait_s,
            stop=stop_after_attempt(self.tries),
            sleep=lambda seconds: run.pause(float(seconds)),
            before_sleep=lambda state: note(state.attempt_number, error_of(state)),
            reraise=True,
        )


JOBS: Final = Backoff()
PROBES: Final = Backoff(first_s=0.5, longest_s=10.0)
SUBMITS: Final = Retries(tries=6, idempotent=False)
FETCHES: Final = Retries(tries=12, idempotent=True)  # two to four minutes: what is fetched is not made again
