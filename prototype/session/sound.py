"""All that is heard: spool → sources → loader → programme → player. It takes over from the opening.

Nothing in here needs the network, the screen or the keyboard, so that their slow imports and their troubles come
when there is music already.
"""

from __future__ import annotations

import datetime
import functools
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from base.notices import Notice
from base.texts import Said, said
from base.workers import Errands, Worker
from builtin import engine as builtin_engine
from builtin.fluid import Orchestra
from music.audio_files import tags_of
from music.continuing import Continuing
from music.segment import Samples, Source
from music.stations import Mood
from output.recorder import Recorder
from output.sound_server import Hearing, SoundServer
from player import PlaylistPlayer, StreamPlayer
from programme.loader import Loader, Reader
from programme.mixer import GATE_S, Mixer
from programme.openings import Openings
from programme.performances import BuiltinSupply
from programme.programme import Programme
from programme.supplies import Decoded, Filed, Levels, Pacing, supplies
from programme.voice import Ramp
from session.ambience import Ambience
from session.opening import Opening
from session.prelude import OPENING, order
from spool.spool import Spool
from spool.state_files import TasteFile

log = logging.getLogger(__name__)

MUSIC_S: Final = 0.8
OPEN_S: Final = 1.0
DISK_END_S: Final = 0.8  # for all that is still to be written at the end, on a disk that may hang


class Sound:
    """The audible half of the program.

    Threads: built, started and stopped by the main thread. `programme` takes commands from anywhere.
    """

    def __init__(self, opening: Opening) -> None:
        settings, station, self.around = opening.settings, opening.station, opening.around
        self.settings = settings
        self.clock, self.notices, self.stop_event = opening.clock, opening.notices, opening.stop_event
        self.on_thread_failure = opening.on_thread_failure
        self.begin = opening.begin
        self._opening = opening
        self._errands, self._reader = Errands(), Errands()
        self.later = self._errands.do
        self.on_change: Callable[[], None] = lambda: None
        """Told that the sound device has come or gone."""
        self._hanging = False
        self._recording: Worker | None = None
        self.order = order(settings)
        asked_for = bool(settings.given & {"station", "prompt"})
        continuing = Continuing(settings.continuing == "on", possible=settings.player == "stream")
        self.mood = Mood(
            station, self.around.rng.randrange(station.variations), asked_for=asked_for, continuing=continuing
        )
        self._taste_file = TasteFile(settings.spool_dir, self.mood.taste, self.notices, self.later)
        self.spool = self.around.spool or Spool(
            settings.spool_dir, settings.spool_max_mb, self.notices, self.clock, lock=opening.lock, station=station.key
        )
        self.recorder = Recorder(self.notices)
        self.server = SoundServer(self.notices)
        self._levels = Levels(settings.target_lufs, settings.cue_dbfs)
        self.builtin = self._builtin_supply(opening.first_seed)
        self.ambience = Ambience(settings, opening.remembered, self.later, None)
        self.pacing = Pacing(target=settings.prefetch_target)
        self.programme: Programme
        self.player: StreamPlayer | PlaylistPlayer
        self._take_over: Callable[[], object]
        stream = opening.player
        preparer = self._play_files(opening) if stream is None else self._play_stream(opening, stream)
        continuing.playing = self.programme.playing_piece
        self.builtin.snapshot = self.programme.snapshot
        self.builtin.forget = builtin_engine.forget
        self.player.hearing = lambda: self.server.hearing
        self.server.is_silent = lambda: self.player.is_silent
        self.loader = Loader(
            self.programme,
            supplies(self.order, self.spool, self.mood, self.builtin, settings.library_no_repeat),
            Reader(preparer, self.notices, self.clock, self._reader.do),
            self.spool, self.mood, self.notices, self.clock,
            self.pacing,
        )  # fmt: skip
        self.builtin.on_ready = self.loader.wake

    def _builtin_supply(self, seed: int) -> BuiltinSupply:
        begin, openings = self.around.begin_piece, None
        growing = self._opening.player is not None
        if begin is None:
            orchestra = Orchestra(self.settings.soundfont, self.notices.say)
            begin = functools.partial(builtin_engine.begin, cast=orchestra.cast, tail_s=self.settings.crossfade_seconds)
            version = builtin_engine.version(orchestra.sound, self.settings.crossfade_seconds)
            openings = Openings(self.settings.spool_dir / OPENING, version, self.later)
        return BuiltinSupply(begin, self.mood, self._levels, self.clock, seed, openings=openings, growing=growing)

    def _play_stream(self, opening: Opening, player: StreamPlayer) -> Decoded:
        """Have the player pull the mixer, which goes on with the bed; returns what the mixer is fed with."""
        mixer = Mixer(
            opening.bed,
            crossfade_s=self.settings.crossfade_seconds,
            volume=player.left_volume,
            rate_hz=self.around.rate_hz,
        )
        if opening.prelude:
            mixer.begin_with(opening.prelude)

        gain = Ramp(player.level, round(GATE_S * self.around.rate_hz))

        def as_heard(block: Samples) -> Samples:
            """Return a block as VLC has it heard."""
            if gain.target != (level := player.level):
                gain.move(level)
            block = block.copy()
            gain.apply(block)
            return block

        def feed(n_frames: int) -> bytes:
            block = mixer.read(n_frames)
            if self.recorder.path is not None:
                self.recorder.take(as_heard(block))
            return block.tobytes()

        def obey(volume: float, muted: bool, paused: bool) -> None:
            mixer.set_volume(volume)
            mixer.mute(muted)
            mixer.pause(paused)

        player.leave_to(obey)

        def on_device(present: bool) -> None:
            mixer.hold(not present)
            self.on_change()

        def take_over() -> None:
            player.watch_device(on_device)
            player.feed = feed

        self.ambience = Ambience(self.settings, opening.remembered, self.later, mixer.lay_under)
        self.programme, self.player, self._take_over = mixer, player, take_over
        return Decoded(self._levels)

    def _play_files(self, opening: Opening) -> Filed:
        """Have VLC play files from a list of its own; returns what the list is fed with."""
        player = PlaylistPlayer(
            self.around.libvlc, self.notices, self.clock, self.later,
            volume=opening.volume, real_device=self.settings.real_device,
        )  # fmt: skip
        self.programme = self.player = player
        self._take_over = lambda: opening.begin("player", player.run)
        return Filed(self.spool)

    @property
    def player_state(self) -> str:
        """The player's state, or what the sound server does to it."""
        muted = self.server.hearing in (Hearing.STREAM_MUTED, Hearing.DEVICE_MUTED)
        return self.server.hearing.value if muted and self.player.state == "playing" else self.player.state

    def start(self) -> None:
        """Read the spool, and play what is there; return when there is music, or after MUSIC_S.

        A disk that hangs is waited for elsewhere.
        """
        self._errands.threaded = self._reader.threaded = True
        self.begin("errands", self._errands.run, awaited=False)
        self.begin("reader", self._reader.run, awaited=False)
        self.begin("spool", self.spool.run, awaited=False)
        if Source.BUILTIN in self.order:
            self.begin("builtin", self.builtin.run, awaited=False)  # in the middle of a piece, holding nothing
        self.clock.wait(self.spool.opened, OPEN_S)
        if self.settings.recording_path:
            self.record(self.settings.recording_path)
        self.begin_playing()
        self.ambience.follow()
        self.begin("loader", self.loader.run)
        self._recording = self.begin("recorder", self.recorder.run, awaited=False)
        if self.settings.real_device:
            self.begin("sound-server", self.server.run, awaited=False)  # it may hang with the server
        if Source.BUILTIN in self.order:
            self.clock.wait(self.builtin.begun, MUSIC_S)  # what is imported meanwhile would only delay it

    def begin_playing(self) -> None:
        """Go on with what is heard, or begin to play files."""
        if (begun := self._opening.prelude) and (entry := self.spool.find(begun.segment_id)):
            self.loader.begin_with(entry)
        self._take_over()

    def stop(self) -> None:
        """End the sound and give the spool free; within DISK_END_S for what is still to be written."""
        self.stop_event.set()
        ends_at = self.clock.now() + DISK_END_S
        self._taste_file.finish()
        self.player.close()
        self.spool.close()
        self.recorder.end()
        self.builtin.close()
        self.loader.wake()
        if self._recording is not None:
            self._recording.join(max(0.0, ends_at - self.clock.now()))
        self.spool.close(max(0.0, ends_at - self.clock.now()))
        self._errands.wait_idle(max(0.0, ends_at - self.clock.now()))

    def record(self, path: Path, *, new: bool = False) -> None:
        """Begin to record, with the station's title and the prompt of what is playing inside the file."""
        station, piece = self.mood.station, self.programme.playing_piece()
        prompt = piece.info.recipe.prompt if piece is not None and piece.info is not None else station.captions[0]
        title = station.title(self.settings.language)
        self.recorder.start(path, tags_of(title, prompt, datetime.datetime.now().astimezone()), new=new)

    def watch(self) -> None:
        """Say what the disk keeps waiting. Threads: the main one."""
        self.recorder.watch()
        hanging, before = self.spool.hanging, self._hanging
        self._hanging = hanging
        if hanging != before:
            key, folder = "spool.hangs" if hanging else "spool.answers", str(self.settings.spool_dir)
            self.notices.say(key, "warning" if hanging else "good", folder=folder)

    def lost(self, told: Collection[Notice]) -> list[Said]:
        """Return what is not `told` of a recording that the end has ended, and what the disk did not take before."""
        news = [Said(one.key, one.args) for one in self.notices.recent() if one not in told]
        found = [one for one in news if one.key.startswith("recorder.")]
        if unsaved := self.spool.unsaved:
            found.append(said("spool.unsaved", count=unsaved, folder=self.settings.spool_dir))
        if self._recording is not None and self._recording.alive:
            found.append(said("recorder.unfinished"))
        return found
