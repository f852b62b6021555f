"""Session timers: `--for 50m` and `--pomodoro 25/5`, as pure arithmetic on `Clock.now()`.

Time is the wall of the session: pausing the music or changing the station does not stop a timer, because the
listener's work or break goes on. A machine that sleeps stops the monotonic clock, and so the timer, on Linux.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from snapshots import TimerView

FADE_S: Final = 12.0


class Phase(enum.Enum):
    """What the session is in; WORK is plain music and also the phase of a timer without pomodoro."""

    WORK = "work"
    BREAK = "break"
    ENDING = "ending"
    ENDED = "ended"


class SessionTimer:
    """Work and break in turn, and an end with a fade-out.

    `play_for_s` None plays without end; `pomodoro` is (work_s, break_s), None for music all through; both may be given.
    The fade lasts the last `fade_s`, at most half of `play_for_s`; the end comes `tail_s` later,
    when what was mixed last has been heard. Nothing runs here: `tick` is asked.

    Threads: one owner calls `tick`; `phase`, `view` and `gain` only read and may be called by any.
    """

    def __init__(
        self,
        started_at: float,
        play_for_s: float | None = None,
        pomodoro: tuple[float, float] | None = None,
        fade_s: float = FADE_S,
        tail_s: float = 0.0,
    ) -> None:
        self._started_at = started_at
        self._play_for_s = play_for_s
        self._pomodoro = pomodoro
        self._fade_s = fade_s if play_for_s is None else min(fade_s, play_for_s / 2)
        self._tail_s = tail_s
        self._last: Phase | None = None

    def phase(self, now: float) -> Phase:
        """Return the phase at `now`."""
        left_s = self._left_s(now)
        if left_s is not None and left_s <= -self._tail_s:
            return Phase.ENDED
        if left_s is not None and left_s <= self._fade_s:
            return Phase.ENDING
        return self._turn(now)[0]

    def tick(self, now: float) -> Phase | None:
        """Return the phase when it differs from the one returned last, else None.

        The first call always returns a phase. Phases slept through are not reported, only the one reached.
        """
        phase = self.phase(now)
        if phase is self._last:
            return None
        self._last = phase
        return phase

    def next_s(self, now: float) -> float:
        """Return the seconds until another phase begins; infinite when none does. It may be asked too early."""
        left_s = self._left_s(now)
        ends = [] if left_s is None else [left_s - self._fade_s, left_s + self._tail_s]
        return min(seconds for seconds in (*ends, self._turn(now)[1], math.inf) if seconds > 0)

    def gain(self, now: float) -> float:
        """Return the fade-out's amplitude factor, 1 before it, a quarter cosine in it, 0 after it."""
        left_s = self._left_s(now)
        if left_s is None:
            return 1.0
        if left_s <= 0:
            return 0.0
        return 1.0 if left_s >= self._fade_s else math.sin(math.pi / 2 * left_s / self._fade_s)

    def view(self, now: float) -> TimerView | None:
        """Return what the screen shows, None without a timer. `round` counts from 1, and is 0 without pomodoro."""
        left_s = self._left_s(now)
        ends_in_s = None if left_s is None else max(0.0, left_s)
        phase, remaining_s, round_ = self._turn(now)
        if self.phase(now) in (Phase.ENDING, Phase.ENDED):
            return TimerView(Phase.ENDING.value, ends_in_s or 0.0, round_, ends_in_s)
        if self._pomodoro is None:
            return None if ends_in_s is None else TimerView(phase.value, ends_in_s, 0, ends_in_s)
        if ends_in_s is not None:
            remaining_s = min(remaining_s, ends_in_s)
        return TimerView(phase.value, remaining_s, round_, ends_in_s)

    def _left_s(self, now: float) -> float | None:
        """Return the seconds until the end, None without one."""
        return None if self._play_for_s is None else self._started_at + self._play_for_s - now

    def _turn(self, now: float) -> tuple[Phase, float, int]:
        """Return the phase of the pomodoro, its remaining seconds, and the round (from 1; 0 without pomodoro)."""
        if self._pomodoro is None:
            return Phase.WORK, math.inf, 0
        work_s, break_s = self._pomodoro
        rounds, into_s = divmod(max(0.0, now - self._started_at), work_s + break_s)
        if into_s < work_s:
            return Phase.WORK, work_s - into_s, int(rounds) + 1
        return Phase.BREAK, work_s + break_s - into_s, int(rounds) + 1
