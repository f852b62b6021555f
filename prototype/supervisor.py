"""Threads that survive their own mistakes.

A `Worker` repeats a body until the program stops. An exception that the body lets through is a bug or an
unforeseen fault: it is logged with its traceback, counted, and the body starts again after a back-off.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from clock import Clock

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
CALM_AFTER_S = 60.0


class Worker:
    """One named thread around `body(stop)`, restarted when it fails.

    Threads: `start` and `stop` belong to the composition root; `failures` is written by the worker only.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[threading.Event], None],
        stop: threading.Event,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self.name = name
        self.failures = 0
        self._body = body
        self._stop = stop
        self._clock = clock
        self._on_failure = on_failure
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
        """Repeat the body until the stop event is set."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            began_at = self._clock.now()
            try:
                self._body(self._stop)
            except Exception as error:  # the sound outlives every thread: log, count, go on
                self.failures += 1
                log.exception("thread %s failed, starts again in %.1f s", self.name, backoff_s)
                self._tell(error)
                if self._clock.now() - began_at > CALM_AFTER_S:
                    backoff_s = FIRST_BACKOFF_S
                self._clock.wait(self._stop, backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
