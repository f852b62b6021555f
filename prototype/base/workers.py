"""The clock, and threads that survive their own mistakes.

An exception that a `Worker`'s body lets through is a bug or an unforeseen fault: it is logged with its traceback,
and the body starts again after a back-off. A body that returns has finished.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from base.errors import AppError

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Otherwise = TypeVar("Otherwise")

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
CALM_AFTER_S = 60.0

Later = Callable[[str, Callable[[], None]], None]
"""Has something of a name done by who may wait for the disk; of one name only the latest."""


class Clock(Protocol):
    """The only source of time and of waiting, so that tests can stand in for both."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` has passed; return whether it is set."""


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for the event, and not at all where the time has passed."""
        return event.wait(max(0.0, timeout_s))


class Doorbell:
    """Wakes who waits for input: a pipe to itself. Threads: `ring` any, and signal handlers; `wait` one."""

    def __init__(self) -> None:
        self._inside, self._outside = os.pipe()
        os.set_blocking(self._outside, False)

    def __del__(self) -> None:
        os.close(self._inside)
        os.close(self._outside)

    def ring(self) -> None:
        """End the present wait, or the next."""
        with contextlib.suppress(BlockingIOError):  # it was rung often enough
            os.write(self._outside, b"x")

    def wait(self, fd: int | None = None, timeout_s: float | None = None) -> bool:
        """Wait until `fd` has input, the bell was rung, or the time has passed; return whether `fd` has.

        Raises OSError or ValueError when `fd` has gone.
        """
        ready, _, _ = select.select([self._inside] if fd is None else [self._inside, fd], [], [], timeout_s)
        if self._inside in ready:
            os.read(self._inside, 2**16)  # all that a pipe holds
        return fd in ready


def at_once(_name: str, errand: Callable[[], None]) -> None:
    """Do it here and now, for who may wait for the disk."""
    errand()


class Errands:
    """Does what may wait for a disk for those who may not, in one thread; of one name only the latest is done.

    Before it is `threaded`, that is before somebody is about to `run` it, everything is done at once.

    Threads: `do` and `wait_idle` any, `run` one; `_changed` guards `_todo` and `_idle`.
    """

    def __init__(self, *, threaded: bool = False) -> None:
        self.threaded = threaded
        self._changed = threading.Condition()
        self._todo: dict[str, Callable[[], None]] = {}
        self._idle = True

    def do(self, name: str, errand: Callable[[], None]) -> None:
        """Have something done soon."""
        if not self.threaded:
            errand()
            return
        with self._changed:
            self._todo[name] = errand
            self._idle = False
            self._changed.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Return True as soon as all is done, False when it is not within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, timeout_s)

    def run(self, stop: threading.Event) -> None:
        """Do one after the other; this never ends by itself, as what is asked for last should be done too."""
        while True:
            with self._changed:
                self._idle = not self._todo
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._todo)
                errand = self._todo.pop(next(iter(self._todo)))
            errand()


class Worker:
    """One named thread around `body(stop)`, restarted when it fails.

    Threads: `start` and `join` belong to who made it.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[threading.Event], None],
        stop: threading.Event,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self.name, self._body, self._on_failure = name, body, on_failure
        self._stop, self._clock = stop, clock
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to run the body in a thread of its own."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; a thread that does not end is a bug, which is logged and survived."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.error("thread %s did not stop within %.1f s", self.name, timeout_s)
            return False
        return True

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _tell(self, error: BaseException) -> None:
        if self._on_failure is not None:
            try:
                self._on_failure(self.name, error)
            except Exception:  # who is told may have the same trouble; the thread goes on all the same
                log.exception("the failure of thread %s could not be told", self.name)

    def run(self) -> None:
        """Run the body, again and again while it fails, until the stop event is set; one that returns has finished."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            began_at = self._clock.now()
            try:
                self._body(self._stop)
                return
            except Exception as error:  # the sound outlives every thread: log, tell, go on
                log.exception("thread %s failed, starts again in %.1f s", self.name, backoff_s)
                self._tell(error)
                if self._clock.now() - began_at > CALM_AFTER_S:
                    backoff_s = FIRST_BACKOFF_S
                self._clock.wait(self._stop, backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)


def within(limit_s: float, ask: Callable[[], Answer], otherwise: Otherwise) -> Answer | Otherwise:
    """Return what `ask` returns, in real time, or `otherwise` when it hangs: on a disk or in a sound server.

    It is asked in a thread of its own, which is left behind. Raises what `ask` raises.
    """
    answers: list[Answer] = []
    errors: list[AppError | OSError | ValueError] = []
    answered = threading.Event()

    def body() -> None:
        try:
            answers.append(ask())
        except (AppError, OSError, ValueError) as error:
            errors.append(error)
        finally:
            answered.set()

    threading.Thread(target=body, daemon=True).start()
    answered.wait(limit_s)
    if errors:
        raise errors[0]
    return answers[0] if answers else otherwise
