"""Carries out what the listener asks for, by key or by timer: the one place where wishes become commands."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from music.segment import Piece
from music.stations import Station, custom
from screen import controls
from session.sound import Sound
from session.timers import Phase, SessionTimer
from spool.state_files import save_volume

log = logging.getLogger(__name__)

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
            case controls.Act.PAUSE:
                self.wished = replace(self.wished, paused=not self.wished.paused)
                self._programme.pause(self.wished.paused)
            case controls.Act.SKIP:
                self._programme.skip()
            case controls.Volume(step):
                percent = min(100, max(0, self.wished.volume_percent + step))
                self.wished = replace(self.wished, volume_percent=percent)
                self._programme.set_volume(percent / 100)
                self._later("volume", lambda: save_volume(self._folder, percent))
            case controls.Act.MUTE:
                self.wished = replace(self.wished, muted=not self.wished.muted)
                self._programme.mute(self.wished.muted)
            case controls.Station(key):
                self._change_mood(self._stations[key])
            case controls.Prompt(text):
                self._change_mood(custom(text))
            case controls.Act.LIKE:
                self._like()
            case controls.Act.DISLIKE:
                self._dislike()
            case controls.Act.RECORD:
                self._record()
            case controls.Act.QUIT:
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
