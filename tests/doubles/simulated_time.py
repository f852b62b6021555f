"""Time for tests: two stand-ins for `clock.SystemClock` on which hours pass in milliseconds.

`FakeClock` is for code run in line: a wait returns at once and moves the time. `SimClock` is for real threads: it
passes one baton round, so that exactly one thread runs at a time, and moves the time only when all of them wait.
With the same seed the threads run in the same order, so that a failing run can be replayed.
"""

from __future__ import annotations

import random
import sys
import threading
import traceback
from collections.abc import Callable


class FakeClock:
    """A clock that moves when somebody waits, when a test sets `time_s`, and by `step_s` whenever it is looked at.

    `at(time_s, action)` runs an action in the course of the wait that passes that time.
    """

    def __init__(self, time_s: float = 0.0, *, step_s: float = 0.0) -> None:
        self.time_s, self._step_s = time_s, step_s
        self.waited_s: list[float] = []
        self._actions: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        self.time_s += self._step_s
        return self.time_s

    def at(self, time_s: float, action: Callable[[], object]) -> None:
        """Run `action` when a wait reaches `time_s`."""
        self._actions.append((time_s, action))
        self._actions.sort(key=lambda entry: entry[0])

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if event.is_set():
            return True
        self.waited_s.append(timeout_s)
        ends_at = self.time_s + max(0.0, timeout_s)
        while self._actions and self._actions[0][0] <= ends_at:
            due_s, action = self._actions.pop(0)
            self.time_s = max(self.time_s, due_s)
            action()
            if event.is_set():
                return True
        self.time_s = ends_at
        return event.is_set()


class SimStuck(RuntimeError):
    """No thread moved for too long in real time; the message shows where each one stands."""


class _Seat:
    """One thread's place in the round: until when it waits, for what, and the baton's handle."""

    def __init__(self, order: int) -> None:
        self.thread = threading.current_thread()
        self.order = order
        self.event: threading.Event | None = None
        self.due_s = 0.0
        self.baton = threading.Lock()
        self.baton.acquire()


class SimClock:
    """A virtual clock shared by real threads, which run one at a time.

    The thread that makes the clock holds the baton. Start other threads through `start`, so that each of them
    is known before time can pass; the baton is handed over in `wait`. A thread that ends gives its baton back.
    `close` (or the end of a `with` block) ends the threads that still wait.

    Threads: any; `_lock` guards every field.
    """

    def __init__(self, seed: int = 0, *, start_s: float = 0.0, watchdog_s: float = 60.0) -> None:
        self.switches = 0
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._time_s = start_s
        self._watchdog_s = watchdog_s
        self._mine = threading.local()
        self._closed = False
        self._stuck = ""
        self._arrived = threading.Semaphore(0)
        self._main = _Seat(0)
        self._seats = [self._main]
        self._mine.seat = self._main
        self._holder = self._main

    def __enter__(self) -> SimClock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def now(self) -> float:
        self._seat()
        return self._time_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Let the others run until `event` is set or `timeout_s` virtual seconds have passed."""
        seat = self._seat()
        if event.is_set():
            return True
        with self._lock:
            self._leave_if_closed(seat)
            seat.event, seat.due_s = event, self._time_s + max(0.0, timeout_s)
            chosen = self._choose()
            if chosen is not seat:
                self._hand_over(chosen)
        if chosen is not seat:
            self._park(seat)
        return event.is_set()

    def run_for(self, duration_s: float) -> None:
        """Let the others run for `duration_s` virtual seconds."""
        self.wait(threading.Event(), duration_s)

    def leap(self, duration_s: float) -> None:
        """Move the time while nobody runs, as for a process that was stopped."""
        with self._lock:
            self._time_s += duration_s

    @property
    def time_s(self) -> float:
        """The time, for threads that are no part of the round (`now` would give them a place in it)."""
        return self._time_s

    def start(self, starter: Callable[[], object], threads: int = 1) -> None:
        """Call `starter`, which starts `threads` new threads, and return when each has reached the clock.

        Their turns are ordered by their names, so that the machine's own scheduling changes nothing.
        """
        known = len(self._seats)
        starter()
        for _ in range(threads):
            if not self._arrived.acquire(timeout=self._watchdog_s):
                raise SimStuck(f"{threads} threads were to be started; not all of them reached the clock")
        with self._lock:
            newcomers = sorted(self._seats[known:], key=lambda seat: seat.thread.name)
            for order, seat in enumerate(newcomers, known):
                seat.order = order
            self._seats[known:] = newcomers

    def close(self) -> None:
        """End the simulation: each thread that waits, or will, leaves by SystemExit."""
        with self._lock:
            self._closed = True
            others = [seat for seat in self._seats if seat is not self._main]
            for seat in others:
                if seat.baton.locked() and seat is not self._holder:
                    seat.baton.release()
        for seat in others:
            seat.thread.join(5.0)

    def _seat(self) -> _Seat:
        """Return the calling thread's seat; a new thread takes one and waits for the baton."""
        seat: _Seat | None = getattr(self._mine, "seat", None)
        if seat is None:
            with self._lock:
                seat = _Seat(len(self._seats))
                seat.due_s = self._time_s
                self._mine.seat = seat
                self._seats.append(seat)
            threading.Thread(target=self._see_out, args=(seat,), daemon=True).start()
            self._arrived.release()
            self._park(seat)
        return seat

    def _choose(self) -> _Seat:
        """Return the seat that runs next, and move the time to its turn. Called under the lock."""
        waiting = [seat for seat in self._seats if seat.thread.is_alive()]
        if len(waiting) < len(self._seats):
            self._seats = waiting
        able = [seat for seat in waiting if seat.due_s <= self._time_s or (seat.event and seat.event.is_set())]
        if not able:
            self._time_s = min(seat.due_s for seat in waiting)
            able = [seat for seat in waiting if seat.due_s <= self._time_s]
        return able[0] if len(able) == 1 else self._random.choice(able)

    def _hand_over(self, seat: _Seat) -> None:
        """Make `seat` the one that runs. Called under the lock."""
        self.switches += 1
        self._holder = seat
        seat.baton.release()

    def _park(self, seat: _Seat) -> None:
        """Wait for the baton, and watch that it moves."""
        seen = self.switches
        while not seat.baton.acquire(timeout=self._watchdog_s):
            with self._lock:
                if self.switches == seen:
                    self._closed, self._stuck = True, self._positions()
                seen = self.switches
                self._leave_if_closed(seat)
        with self._lock:
            self._leave_if_closed(seat)

    def _see_out(self, seat: _Seat) -> None:
        """Wait for the end of a thread, and pass on the baton if it had it."""
        seat.thread.join()
        with self._lock:
            if self._holder is seat and not self._closed:
                self._hand_over(self._choose())

    def _leave_if_closed(self, seat: _Seat) -> None:
        if self._stuck and seat is self._main:
            raise SimStuck(self._stuck)
        if self._closed and seat is not self._main:
            raise SystemExit

    def _positions(self) -> str:
        """Describe where each thread stands, for the one who has to find out why."""
        frames = sys._current_frames()
        lines = [f"nothing moved for {self._watchdog_s:.0f} real seconds at virtual time {self._time_s:.1f} s"]
        for seat in self._seats:
            frame = frames.get(seat.thread.ident or 0)
            where = "".join(traceback.format_stack(frame)[-3:]) if frame else "  ended\n"
            mark = "has the baton" if seat is self._holder else f"waits until {seat.due_s:.1f} s"
            lines.append(f"{seat.thread.name} ({mark})\n{where}")
        return "\n".join(lines)
