"""The clocks of the tests: virtual time that passes only when everybody waits."""

from __future__ import annotations

import threading

import pytest

from base.workers import Worker
from doubles.simulated_time import FakeClock, SimClock, SimStuck


def test_a_fake_wait_moves_the_time_and_runs_what_is_due() -> None:
    """Actions run in order, at their times, and may set the event that is waited for."""
    clock, event, seen = FakeClock(), threading.Event(), list[float]()
    clock.at(5.0, lambda: seen.append(clock.now()))
    clock.at(8.0, event.set)
    assert not clock.wait(event, 6.0)
    assert (seen, clock.now()) == ([5.0], 6.0)
    assert clock.wait(event, 6.0)
    assert clock.now() == 8.0


def run_three(seed: int) -> list[tuple[str, float]]:
    """Let three threads tick at rates that often coincide."""
    trace: list[tuple[str, float]] = []
    with SimClock(seed) as clock:
        stop = threading.Event()

        def ticking(name: str, every_s: float) -> Worker:
            def body(stop: threading.Event) -> None:
                while not clock.wait(stop, every_s):
                    trace.append((name, clock.now()))

            return Worker(name, body, stop, clock)

        workers = [ticking("a", 1.0), ticking("b", 2.0), ticking("c", 0.5)]
        for worker in workers:
            clock.start(worker.start)
        clock.run_for(100.0)
        stop.set()
        clock.run_for(1.0)
        assert all(worker.join(1.0) for worker in workers)
    return trace


def test_threads_take_turns_in_an_order_that_the_seed_decides() -> None:
    """Time never goes back, every tick comes, and a run can be replayed."""
    trace = run_three(1)
    assert [at for _, at in trace] == sorted(at for _, at in trace)
    assert len(trace) == pytest.approx(100 + 50 + 200, abs=3)
    assert run_three(1) == trace
    assert run_three(2) != trace


def test_an_event_wakes_a_thread_without_time_passing() -> None:
    """Who waits for an event that another sets goes on at that moment."""
    with SimClock() as clock:
        event, stop, woken = threading.Event(), threading.Event(), list[float]()

        def body(stop: threading.Event) -> None:
            clock.wait(event, 1000.0)
            woken.append(clock.now())
            clock.wait(stop, 1000.0)

        clock.start(Worker("sleeper", body, stop, clock).start)
        clock.run_for(7.0)
        event.set()
        clock.run_for(0.0)
        assert woken == [7.0]
        stop.set()
        clock.run_for(1.0)


def test_a_thread_that_ends_gives_its_turn_back() -> None:
    """A thread may end at any time."""
    with SimClock() as clock:
        thread = threading.Thread(target=clock.now)
        clock.start(thread.start)
        clock.run_for(1.0)
        assert clock.now() == 1.0
        thread.join(1.0)
        assert not thread.is_alive()


def test_a_deadlock_is_found_and_shown() -> None:
    """A thread that blocks outside of the clock is named with the place where it stands."""
    lock = threading.Lock()
    with lock, SimClock(watchdog_s=0.2) as clock:

        def block_in_a_lock() -> None:
            clock.now()
            lock.acquire(timeout=3.0)

        clock.start(threading.Thread(target=block_in_a_lock, name="blocked").start)
        with pytest.raises(SimStuck, match="block_in_a_lock"):
            clock.run_for(5.0)
