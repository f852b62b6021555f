"""Carries out what the listener asks for, by key, from elsewhere or by timer: where wishes become commands."""

from __future__ import annotations

import datetime
import functools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from base.notices import Level
from base.texts import Said, said
from music.analysis import as_heard
from music.segment import Piece, Source
from music.stations import Station, custom
from music.taste import Opinion
from programme.history import Heard
from screen import controls
from screen.controls import Act
from session.ambience import NAMES
from session.sound import Sound
from session.timers import Phase, SessionTimer
from spool.folders import PLAYED, READY
from spool.state_files import remember
from spool.trimming import MOST_DISLIKED

log = logging.getLogger(__name__)

RECORDINGS: Final = "recordings"


class Answer(NamedTuple):
    """What became of a command; not `done`: it could not be carried out."""

    said: Said
    done: bool = True


class Conductor:
    """Obeys commands and follows the session timer.

    What is wished of the sound the player knows: a command changes the last wish, never what a snapshot shows, which
    may be older than the command before it.

    Threads: any call `obey`, the main one `tick`; `_lock` guards all fields, and nothing that is called under it waits.
    Of `_to_keep` who has `_writing` takes pieces out, one step at a time.
    """

    def __init__(
        self,
        sound: Sound,
        stations: Sequence[Station],
        timer: SessionTimer,
        *,
        set_resting: Callable[[bool], None],
        announce: Callable[[str], None] = lambda key: None,
    ) -> None:
        """`announce` is told the text of a break's begin and end, once each."""
        self._sound = sound
        self._programme, self._player = sound.programme, sound.player
        self._volume_percent = sound.player.volume_percent
        self._lock = threading.Lock()
        self._resting = self._fading_out = False
        self._undo: deque[Callable[[], Answer]] = deque(maxlen=MOST_DISLIKED)
        self._disliked: set[str] = set()
        self._to_keep: dict[str, Piece] = {}
        self._writing = threading.Lock()
        self._spool, self._mood, self._clock, self._settings = sound.spool, sound.mood, sound.clock, sound.settings
        self._stations = {station.key: station for station in stations}
        self._timer, self._set_resting, self._announce = timer, set_resting, announce

    def obey(self, command: controls.Command) -> Answer:
        """Carry out one command, and return what became of it."""
        with self._lock:
            answer = self._act(command) if isinstance(command, Act) else self._follow(command)
            self._follow_timer()
            return answer

    def _act(self, act: Act) -> Answer:
        match act:
            case Act.PAUSE | Act.MUTE | Act.RECORD | Act.CONTINUE:
                return self._set(act, None)
            case Act.AMBIENCE:
                return self._set_ambience(self._sound.ambience.next_name())
            case Act.SKIP:
                self._programme.skip()
                return Answer(said("ctl.next"))
            case Act.BACK:
                return self._back()
            case Act.LIKE | Act.DISLIKE:
                return self._judge(self._like if act is Act.LIKE else self._dislike)
            case Act.UNDO:
                return self._undo.pop()() if self._undo else self._say("undo.nothing", done=False)
            case Act.BREAK | Act.SKIP_BREAK:
                return self._break(begin=act is Act.BREAK)
            case Act.QUIT:
                self._sound.stop_event.set()
                return Answer(said("ctl.quit"))

    def _follow(self, command: controls.Command) -> Answer:
        now = self._clock.now()
        match command:
            case controls.Set(act, on):
                return self._set(act, on)
            case controls.Volume(step):
                return self._set_volume(self._player.volume_percent + step)
            case controls.VolumeTo(percent):
                return self._set_volume(percent)
            case controls.Ambience(name):
                return self._set_ambience(name)
            case controls.AmbienceVolume(step):
                return self._set_ambience(None, self._sound.ambience.view[1] + step)
            case controls.Station(key):
                return self._change_mood(self._stations[key])
            case controls.Prompt(text):
                return self._change_mood(custom(text))
            case controls.Replay(key):
                heard = self._sound.loader.history.find(key)
                return self._say("back.playing") if heard and self._play(heard) else self._say("back.gone", done=False)
            case controls.PlayFor(seconds):
                self._timer.end_in(seconds, now)
            case controls.Extend(seconds):
                self._timer.extend(seconds, now)
        return self._tell_end(now)

    def is_liked(self, key: str) -> bool:
        """Return whether a piece is kept, or will be as soon as it is made."""
        return key in self._to_keep or self._spool.is_kept(key)

    @property
    def to_be_kept(self) -> tuple[str, ...]:
        """The keys of what will be kept as soon as it is made."""
        return tuple(self._to_keep)

    def finish(self) -> None:
        """Keep what is liked and still being made, as far as it is; nobody obeys any more."""
        for piece in list(self._to_keep.values()):
            self._write_liked(piece)

    def tick(self) -> None:
        """Follow the timer, and what is being made."""
        with self._lock:
            self._keep_made()
            if self._player.volume_percent != self._volume_percent:
                self._note_volume()
            self._follow_timer()

    # -- with the lock ------------------------------------------------------------------------------------

    def _follow_timer(self) -> None:
        phase = self._timer.tick(self._clock.now())
        if phase in (Phase.WORK, Phase.BREAK):
            if self._fading_out:
                self._fading_out = False
                self._programme.fade_in()
            self._rest(phase is Phase.BREAK)
        elif phase is Phase.ENDING:
            self._say("timer.ending")
            self._fading_out = True
            self._fade_out()
        elif phase is Phase.ENDED:
            self._sound.stop_event.set()

    # -- one command each, with the lock -------------------------------------------------------------------

    def _say(self, key: str, level: Level = "info", *, done: bool = True, **fields: object) -> Answer:
        """Show the listener what became of a command, and return it."""
        self._sound.notices.say(key, level, **fields)
        return Answer(said(key, **fields), done)

    def _set(self, act: Act, on: bool | None) -> Answer:
        """Have on or off what an act toggles; the other of both where nobody says which."""
        if act is Act.PAUSE:
            on = not self._player.is_paused if on is None else on
            self._player.pause(on)
            if self._fading_out and not on:
                self._fade_out()  # it may have stood
            return Answer(said("ctl.paused" if on else "ctl.playing"))
        if act is Act.MUTE:
            on = not self._player.muted if on is None else on
            self._player.mute(on)
            return Answer(said("ctl.muted" if on else "ctl.unmuted"))
        return self._continue(on) if act is Act.CONTINUE else self._record(on)

    def _fade_out(self) -> None:
        """Have it fall silent to the end, from where it is."""
        timer = self._timer.view(self._clock.now())
        self._programme.fade_out(timer.remaining_s if timer else 0.0)

    def _set_volume(self, percent: int) -> Answer:
        percent = min(100, max(0, percent))
        self._player.set_volume(percent / 100)
        self._note_volume()
        return Answer(said("ctl.volume", percent=percent))

    def _note_volume(self) -> None:
        """Remember the volume, which may have been changed in the system's sound settings too."""
        percent = self._volume_percent = self._player.volume_percent
        self._sound.later("volume", lambda: remember(self._settings.spool_dir, volume=percent))

    def _set_ambience(self, name: str | None, percent: int | None = None) -> Answer:
        ambience = self._sound.ambience
        if self._settings.player == "playlist":
            return self._say("ambience.no_stream", done=False)
        if name not in (None, *NAMES):
            return Answer(said("ambience.unknown", names=", ".join(NAMES)), done=False)
        ambience.change(name, percent)
        name, percent = ambience.view
        return Answer(said(f"ambience.{name}", percent=percent))

    def _tell_end(self, now: float) -> Answer:
        timer = self._timer.view(now)
        if timer is None or timer.ends_in_s is None:
            return self._say("timer.off")
        if timer.ends_in_s < 60:
            return self._say("timer.ends_soon", seconds=math.ceil(timer.ends_in_s))
        return self._say("timer.ends_in", minutes=round(timer.ends_in_s / 60))

    def _break(self, *, begin: bool) -> Answer:
        if begin:
            done = self._timer.begin_break(self._clock.now())
            return Answer(said("timer.break" if done else "timer.is_break"), done)
        done = self._timer.skip_break(self._clock.now())
        return Answer(said("timer.work" if done else "timer.no_break"), done)

    def _rest(self, resting: bool) -> None:
        if self._resting != resting:
            self._resting = resting
            self._announce(self._say("timer.break" if resting else "timer.work").said.key)
        self._programme.rest(resting)
        self._set_resting(resting)

    def _change_mood(self, station: Station) -> Answer:
        before = self._mood.station
        if not self._mood.change(station):
            return Answer(said("mood.same"))
        self._undo.append(lambda: self._follow_mood(before, "undo.mood"))
        return self._follow_mood(station, "mood.changed")

    def _follow_mood(self, station: Station, key: str) -> Answer:
        self._mood.change(station)
        log.info("station %s: %s", station.key, station.captions[0])
        self._sound.loader.change_mood()
        return self._say(key, "good")

    def _back(self) -> Answer:
        """Play the piece before; one that is disliked, or gone, is passed over."""
        while heard := self._sound.loader.history.back(self._programme.snapshot().playing.key):
            if self._play(heard):
                return self._say("back.playing")
        return self._say("back.nothing", done=False)

    def _play(self, heard: Heard) -> bool:
        return heard.key not in self._disliked and self._sound.loader.again(heard)

    def _judge(self, how: Callable[[Piece], Answer]) -> Answer:
        piece = self._programme.playing_piece()
        return how(piece) if piece else self._say("like.nothing", done=False)

    def _like(self, piece: Piece) -> Answer:
        key = piece.key
        if self.is_liked(key):
            if self._unkeep(key):
                return Answer(said("like.own"), done=False)
            self._note(piece, None, lambda: self._keep(piece))
            return self._say("like.taken_back")
        disliked = key in self._disliked
        self._disliked.discard(key)
        self._note(piece, True, lambda: self._unlike(key, disliked))
        return self._keep(piece)

    def _note(self, piece: Piece, liked: bool | None, undo: Callable[[], Answer]) -> None:
        """Note what the listener thinks of a piece, None: nothing any more; with `undo` that is taken back too."""
        info = piece.info
        station = self._stations.get(info.recipe.station) if info else None
        if info is None or station is None:
            self._undo.append(undo)
            return
        opinion = None
        if liked is not None:
            opinion = Opinion(info.segment_id, station.key, liked, **station.choices(info.recipe.prompt))
        forget = self._mood.taste.note(info.segment_id, opinion)

        def take_back() -> Answer:
            forget()
            return undo()

        self._undo.append(take_back)

    def _keep(self, piece: Piece) -> Answer:
        """Like a piece; one without a file is written when it is made. Of some in VLC's list there are no samples."""
        samples = piece.samples if len(piece.samples) else None
        if samples is not None and self._spool.get(piece.key) is None:
            self._to_keep[piece.key] = piece
            self._sound.builtin.complete(piece)  # what was left off, as the listener had turned to something else
            self._keep_made()
        elif not self._spool.keep(piece.key, samples, as_heard(piece, self._settings.target_lufs)):
            return self._say("undo.gone", done=False)
        return self._say("like.kept", "good", seed=piece.info.seed if piece.info else "?")

    def _keep_made(self) -> None:
        for piece in list(self._to_keep.values()):
            if piece.growth is None or piece.growth.ended.is_set():
                self._sound.later(f"like {piece.key}", functools.partial(self._write_liked, piece))

    def _write_liked(self, piece: Piece) -> None:
        """Keep a piece as far as it is made, unless the like was taken back. Threads: one that may take its time."""
        with self._writing:  # at the end another may be at it
            if piece.key in self._to_keep:
                heard = as_heard(piece, self._settings.target_lufs)
                self._spool.keep(piece.key, piece.samples[: piece.ready_frames], heard)
                if self._to_keep.pop(piece.key, None) is None:
                    self._spool.unkeep(piece.key)
                    if piece.key in self._disliked:
                        self._spool.discard(piece.key, "disliked")

    def _unlike(self, key: str, disliked: bool) -> Answer:
        self._unkeep(key)
        if disliked:
            self._ban(key)
        return self._say("like.taken_back")

    def _unkeep(self, key: str) -> bool:
        """Take a like back; return whether the piece, a listener's own file, is kept all the same."""
        self._to_keep.pop(key, None)
        return self._spool.unkeep(key)

    def _continue(self, on: bool | None) -> Answer:
        """Keep what is heard going, or let it end."""
        piece, continuing = self._programme.playing_piece(), self._mood.continuing
        if piece is None or piece.info is None or piece.source is Source.BUILTIN:
            return self._say("chain.nothing", done=False)
        goes_on = continuing.goes_on(piece.info, piece.source)
        if goes_on != on:
            goes_on = continuing.toggle(piece.info, piece.source)
        if goes_on:
            return self._say("chain.on", "good")
        done = continuing.possible or on is False
        return self._say("chain.off" if done else "chain.impossible", done=done)

    def _dislike(self, piece: Piece) -> Answer:
        key = piece.key
        self._programme.leave(key)
        if key not in self._disliked:
            entry = self._spool.get(key)
            shelf = PLAYED if entry is None or entry.shelf == READY else entry.shelf
            liked = self._to_keep.pop(key, None)
            self._note(piece, False, lambda: self._forgive(key, shelf, liked))
            self._ban(key)
        return self._say("like.never_again")

    def _ban(self, key: str) -> None:
        self._disliked.add(key)
        self._spool.discard(key, "disliked")

    def _forgive(self, key: str, shelf: str, liked: Piece | None) -> Answer:
        self._disliked.discard(key)
        self._spool.restore(key, shelf)
        if liked:
            self._to_keep[key] = liked
            self._sound.builtin.complete(liked)
        return self._say("undo.dislike", "good")

    def _record(self, on: bool | None) -> Answer:
        path = self._sound.recorder.path
        if path is None and on is not False:
            if self._settings.player == "playlist":
                return self._say("recorder.no_stream", done=False)
            name = f"{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}.{self._settings.record_format}"
            self._sound.record(self._settings.spool_dir / RECORDINGS / name, new=True)
            return self._say("recorder.started", "good", path=str(self._sound.recorder.path))
        if on:
            return Answer(said("recorder.started", path=str(path)))
        if path is None:
            return Answer(said("recorder.none"), done=False)
        self._sound.recorder.end()
        return Answer(said("recorder.ending", path=str(path)))
