"""Session timers: `--for 50m` and `--pomodoro 25/5`, set, extended and skipped while they run, as pure arithmetic.

Time is the wall of the session: pausing the music or changing the station does not stop a timer, because the
listener's work or break goes on. A machine that sleeps stops the monotonic clock, and so the timer, on Linux.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Final

from screen.view import TimerView

FADE_S: Final = 12.0
TICK_S: Final = 2.0  # who asks for the phase comes no later
BREAK_S: Final = 300.0  # where no pomodoro says how long


class Phase(enum.Enum):
    """What the session is in; WORK is plain music and also the phase of a timer without pomodoro."""

    WORK = "work"
    BREAK = "break"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True)
class _Plan:
    """When the session ends (infinite: never) after how long a fade; since when work and break take turns.

    `rounds` went before that; without pomodoro a break is one that ends at `break_ends_at`.
    """

    ends_at: float
    fade_s: float
    turns_from: float
    rounds: int = 0
    break_ends_at: float = -math.inf


class SessionTimer:
    """Work and break in turn, and an end with a fade-out.

    `play_for_s` None plays without end; `pomodoro` is (work_s, break_s), None for music all through; both may be given.
    The fade lasts the last `fade_s`, at most half of `play_for_s`; the end comes `tail_s` later,
    when what was mixed last has been heard. Nothing runs here: `tick` is asked.

    Threads: one at a time calls `tick` and what changes the plan (the conductor's lock); the plan is a frozen value,
    so that any may read `phase`, `view` and `next_s` meanwhile.
    """

    def __init__(
        self,
        started_at: float,
        play_for_s: float | None = None,
        pomodoro: tuple[float, float] | None = None,
        fade_s: float = FADE_S,
        tail_s: float = 0.0,
    ) -> None:
        self._pomodoro = pomodoro
        self._fade_s = fade_s
        self._tail_s = tail_s
        self._plan = _Plan(math.inf, fade_s, started_at)
        self._last: Phase | None = None
        self.end_in(play_for_s, started_at)

    def end_in(self, seconds: float | None, now: float) -> None:
        """End the session `seconds` from `now`; None: never. While it runs, an end that is near fades at once."""
        left_s = max(0.0, math.inf if seconds is None else seconds)
        near = self._last is not None and left_s < 2 * TICK_S
        fade_s = min(self._fade_s, left_s if near else left_s / 2)
        self._plan = replace(self._plan, ends_at=now + left_s, fade_s=fade_s)
        self._last = None

    def extend(self, seconds: float, now: float) -> None:
        """Put the end off by `seconds`, or (negative) bring it nearer; where there is none it is that far from now."""
        left_s = self._plan.ends_at - now
        self.end_in(seconds + (max(0.0, left_s) if left_s < math.inf else 0.0), now)

    def begin_break(self, now: float) -> bool:
        """Begin a break now, with its whole length; return False in a break."""
        phase, _, round_ = self._turn(now)
        if phase is Phase.BREAK:
            return False
        if self._pomodoro is None:
            self._plan = replace(self._plan, break_ends_at=now + BREAK_S)
        else:
            self._plan = replace(self._plan, turns_from=now - self._pomodoro[0], rounds=round_ - 1)
        return True

    def skip_break(self, now: float) -> bool:
        """Go back to work; return False where there is no break."""
        phase, _, round_ = self._turn(now)
        if phase is not Phase.BREAK:
            return False
        self._plan = replace(self._plan, turns_from=now, rounds=round_, break_ends_at=now)
        return True

    def phase(self, now: float) -> Phase:
        """Return the phase at `now`."""
        left_s = self._plan.ends_at - now
        if left_s <= -self._tail_s:
            return Phase.ENDED
        return Phase.ENDING if left_s <= self._plan.fade_s else self._turn(now)[0]

    def tick(self, now: float) -> Phase | None:
        """Return the phase when it differs from the one returned last, or its end was moved, else None.

        The first call always returns a phase. Phases slept through are not reported, only the one reached.
        """
        phase = self.phase(now)
        if phase is self._last:
            return None
        self._last = phase
        return phase

    def next_s(self, now: float) -> float:
        """Return the seconds until another phase begins; infinite when none does. It may be asked too early."""
        left_s = self._plan.ends_at - now
        ends = left_s - self._plan.fade_s, left_s + self._tail_s, self._turn(now)[1]
        return min(seconds for seconds in ends if seconds > 0)

    def view(self, now: float) -> TimerView | None:
        """Return what the screen shows, None without a timer. `round` is 0 in work without pomodoro."""
        left_s = max(0.0, self._plan.ends_at - now)
        ends_in_s = left_s if left_s < math.inf else None
        phase, remaining_s, round_ = self._turn(now)
        if self.phase(now) in (Phase.ENDING, Phase.ENDED):
            return TimerView(Phase.ENDING.value, left_s, round_, ends_in_s)
        remaining_s = min(remaining_s, left_s)
        return TimerView(phase.value, remaining_s, round_, ends_in_s) if remaining_s < math.inf else None

    def _turn(self, now: float) -> tuple[Phase, float, int]:
        """Return the phase of work and break, its remaining seconds, and the round (0: work without pomodoro)."""
        plan = self._plan
        if self._pomodoro is None:
            resting = now < plan.break_ends_at
            return (Phase.BREAK, plan.break_ends_at - now, 1) if resting else (Phase.WORK, math.inf, 0)
        work_s, break_s = self._pomodoro
        rounds, into_s = divmod(max(0.0, now - plan.turns_from), work_s + break_s)
        round_ = plan.rounds + int(rounds) + 1
        if into_s < work_s:
            return Phase.WORK, work_s - into_s, round_
        return Phase.BREAK, work_s + break_s - into_s, round_
