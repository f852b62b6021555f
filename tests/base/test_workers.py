"""Workers: threads that survive their own mistakes."""

from __future__ import annotations

import logging
import os
import select
import threading
from itertools import pairwise

import pytest

from base.workers import LONGEST_BACKOFF_S, Doorbell, Worker
from doubles.simulated_time import FakeClock, SimClock


def failing(times: int, stop: threading.Event, lasts_s: float = 0.0, clock: FakeClock | None = None) -> Worker:
    """Make a worker whose body fails `times` times and then ends the program."""
    clock = clock or FakeClock()
    left = [times]

    def body(stop: threading.Event) -> None:
        if not left[0]:
            stop.set()
            return
        left[0] -= 1
        clock.time_s += lasts_s
        raise ValueError("a bug")

    return Worker("worker", body, stop, clock)


def test_a_body_that_returns_has_finished() -> None:
    """It is not called again, which would be a busy loop; only one that fails is."""
    calls: list[int] = []

    def body(stop: threading.Event) -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ValueError("a bug")
        if len(calls) > 2:
            stop.set()  # else this would go on for ever

    Worker("worker", body, threading.Event(), FakeClock()).run()
    assert calls == [0, 1]


def test_a_stopped_program_runs_no_body(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that starts after the stop ends at once."""
    stop = threading.Event()
    stop.set()
    failing(1, stop).run()
    assert not caplog.records


def test_a_failure_that_cannot_be_told_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever is to be told may fail too: the body starts again."""
    stop, calls = threading.Event(), [0]

    def body(stop: threading.Event) -> None:
        calls[0] += 1
        if calls[0] == 2:
            stop.set()
            return
        raise ValueError("a bug")

    def on_failure(_name: str, _error: BaseException) -> None:
        raise OSError("another")

    Worker("worker", body, stop, FakeClock(), on_failure).run()
    assert calls == [2]
    assert "could not be told" in caplog.text


def test_a_failure_is_logged_counted_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback goes to the log, the failure to who asked for it, and the body starts again."""
    stop, told = threading.Event(), list[tuple[str, type[BaseException]]]()

    def body(stop: threading.Event) -> None:
        if told:
            stop.set()
            return
        raise ZeroDivisionError

    worker = Worker("worker", body, stop, FakeClock(), lambda name, error: told.append((name, type(error))))
    with caplog.at_level(logging.ERROR):
        worker.run()
    assert told == [("worker", ZeroDivisionError)]
    assert caplog.records[0].exc_info is not None


def test_the_back_off_grows_and_is_capped() -> None:
    """A body that always fails is not repeated in a tight loop."""
    clock = FakeClock()
    failing(12, threading.Event(), clock=clock).run()
    assert all(later >= earlier for earlier, later in pairwise(clock.waited_s))
    assert clock.waited_s[0] < 1.0
    assert clock.waited_s[-1] == LONGEST_BACKOFF_S


def test_a_long_calm_time_forgives() -> None:
    """A failure a day does not add up to a long back-off."""
    clock = FakeClock()
    failing(5, threading.Event(), lasts_s=3600.0, clock=clock).run()
    assert len(set(clock.waited_s)) == 1


def test_the_stop_ends_the_back_off() -> None:
    """A worker in its longest back-off leaves when the program stops."""
    with SimClock() as clock:
        stop = threading.Event()

        def body(stop: threading.Event) -> None:
            raise ValueError("a bug")

        worker = Worker("worker", body, stop, clock)
        clock.start(worker.start)
        clock.run_for(600.0)
        stop.set()
        clock.run_for(0.1)
        assert worker.join(1.0)
        assert not worker.alive


def test_a_thread_that_does_not_end_is_logged_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """Join gives up after its timeout."""
    release = threading.Event()
    stop = threading.Event()

    def body(stop: threading.Event) -> None:
        release.wait(10.0)
        stop.set()

    worker = Worker("stubborn", body, stop, FakeClock())
    worker.start()
    assert not worker.join(0.0)
    assert "stubborn did not stop" in caplog.text
    release.set()
    assert worker.join(5.0)


def test_a_worker_that_was_never_started_can_be_joined() -> None:
    """Stopping up the list does not depend on how far starting came."""
    assert failing(0, threading.Event()).join(0.0)


def test_a_bell_that_was_rung_ends_the_next_wait_alone() -> None:
    """However often it was rung before, and whether there is input as well; input alone does so too."""
    bell, (reading, writing) = Doorbell(), os.pipe()
    for times in (1, 100):
        for _ in range(times):
            bell.ring()
        assert not bell.wait(reading)
        assert not bell.wait(reading, 0.0)
        assert select.select([bell._inside], [], [], 0.0)[0] == []  # else nobody would ever wait again
    os.write(writing, b"x")
    assert bell.wait(reading)
    bell.ring()
    assert bell.wait(reading)
    assert not bell.wait(timeout_s=0.0)
    for fd in (reading, writing):
        os.close(fd)


def test_a_bell_is_rung_by_any_thread() -> None:
    """Who waits without an end is woken."""
    bell = Doorbell()
    thread = threading.Thread(target=bell.wait)
    thread.start()
    bell.ring()
    thread.join(20)
    assert not thread.is_alive()


def test_nobody_waits_who_rings() -> None:
    """Where nobody opens, the pipe is full one day."""
    bell = Doorbell()
    for _ in range(100_000):
        bell.ring()
    assert not bell.wait()
    assert not bell.wait(timeout_s=0.0)
