"""Carries out what the listener asks for, by key or by timer: the one place where wishes become commands.

Session timers: `--for 50m` and `--pomodoro 25/5`, as pure arithmetic on `Clock.now()`.

Time is the wall of the session: pausing the music or changing the station does not stop a timer, because the
listener's work or break goes on. A machine that sleeps stops the monotonic clock, and so the timer, on Linux.
"""

from __future__ import annotations

import datetime
import enum
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from music.segment import Piece
from music.stations import Station, custom
from screen import controls
from screen.view import TimerView
from session.sound import Sound
from spool.state_files import save_volume

log = logging.getLogger(__name__)

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


RECORDINGS: Final = "recordings"
GROWN_S: Final = 20.0  # a piece is made far faster than it is heard


@dataclass(frozen=True)
class Wished:
    """What the listener wants of the sound, whether it has followed yet or not."""

    volume_percent: int
    paused: bool = False
    muted: bool = False


class Conductor:
    """Obeys commands and follows the session timer.

    It owns what is wished of the sound: a command changes the last wish, never what a snapshot shows, which may be
    older than the command before it.

    Threads: `obey` belongs to the input thread, which owns `wished`, a frozen value that any may read; `tick` belongs
    to the main thread, which owns `_resting`.
    """

    def __init__(
        self,
        sound: Sound,
        stations: Sequence[Station],
        timer: SessionTimer,
        *,
        quit_: Callable[[], None],
        set_resting: Callable[[bool], None],
    ) -> None:
        self._sound = sound
        self._programme = sound.programme
        self.wished = Wished(volume_percent=round(100 * sound.programme.snapshot().volume))
        self._resting = False
        self._loader = sound.loader
        self._spool = sound.spool
        self._mood = sound.mood
        self._recorder = sound.recorder
        self._notices = sound.notices
        self._clock = sound.clock
        self._later = sound.later
        self._folder = sound.settings.spool_dir
        self._stations = {station.key: station for station in stations}
        self._timer = timer
        self._quit = quit_
        self._set_resting = set_resting

    def obey(self, command: controls.Command) -> None:
        """Carry out one command."""
        match command:
            case controls.Pause():
                self.wished = replace(self.wished, paused=not self.wished.paused)
                self._programme.pause(self.wished.paused)
            case controls.Skip():
                self._programme.skip()
            case controls.Volume(step):
                percent = min(100, max(0, self.wished.volume_percent + step))
                self.wished = replace(self.wished, volume_percent=percent)
                self._programme.set_volume(percent / 100)
                self._later("volume", lambda: save_volume(self._folder, percent))
            case controls.Mute():
                self.wished = replace(self.wished, muted=not self.wished.muted)
                self._programme.mute(self.wished.muted)
            case controls.Station(key):
                self._change_mood(self._stations[key])
            case controls.Prompt(text):
                self._change_mood(custom(text))
            case controls.Like():
                self._like()
            case controls.Dislike():
                self._dislike()
            case controls.Record():
                self._record()
            case controls.Quit():
                self._quit()

    def tick(self) -> None:
        """Follow the timer."""
        now = self._clock.now()
        match self._timer.tick(now):
            case Phase.BREAK:
                self._rest(True)
            case Phase.WORK:
                self._rest(False)
            case Phase.ENDING:
                self._notices.say("timer.ending")
                timer = self._timer.view(now)
                self._programme.fade_out(timer.remaining_s if timer else 0.0)
            case Phase.ENDED:
                self._quit()

    def _rest(self, resting: bool) -> None:
        if self._resting != resting:
            self._resting = resting
            self._notices.say("timer.break" if resting else "timer.work")
        self._programme.rest(resting)
        self._set_resting(resting)

    def _change_mood(self, station: Station) -> None:
        if self._mood.change(station):
            log.info("station %s: %s", station.key, station.captions[0])
            self._loader.change_mood()
            self._notices.say("mood.changed", "good")

    def _like(self) -> None:
        piece = self._programme.playing_piece()
        if piece is None:
            self._notices.say("like.nothing")
        elif self._spool.is_kept(piece.key):
            if not self._spool.unkeep(piece.key):
                self._notices.say("like.taken_back")
        elif (growth := piece.growth) and not growth.ended.is_set():
            self._later("like", lambda: self._keep(piece) if growth.ended.wait(GROWN_S) else None)
        else:
            self._keep(piece)

    def _keep(self, piece: Piece) -> None:
        """Like a piece, as far as it was made."""
        if self._spool.keep(piece.key, piece.samples[: piece.ready_frames], piece.info):
            self._notices.say("like.kept", "good", seed=piece.info.seed if piece.info else "?")

    def _dislike(self) -> None:
        piece = self._programme.playing_piece()
        if piece is None:
            self._notices.say("like.nothing")
            return
        self._programme.leave(piece.key)
        self._spool.discard(piece.key, "disliked")
        self._notices.say("like.never_again")

    def _record(self) -> None:
        if self._recorder.path is None:
            stamp = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
            self._sound.record(self._folder / RECORDINGS / f"{stamp}.{self._sound.settings.record_format}", new=True)
            self._notices.say("recorder.started", "good", path=str(self._recorder.path))
        else:
            self._recorder.end()
