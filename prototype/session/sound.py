"""All that is heard: spool → loader → mixer → player. It takes over from the opening.

Nothing in here needs the network, the screen or the keyboard, so that their slow imports and their troubles come
when there is music already.
"""

from __future__ import annotations

import datetime
import functools
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from base.workers import Errands, Worker
from builtin import engine as builtin_engine
from builtin.fluid import Orchestra
from music.audio_files import tags_of
from music.segment import CHANNELS, Samples, Source
from music.stations import Mood, Station
from output.recorder import Recorder
from output.sound_server import Hearing, SoundServer
from player import PlaylistPlayer, StreamPlayer
from programme.history import Heard, History
from programme.loader import Loader
from programme.mixer import Mixer
from programme.supplies import ENGINE_SOURCES, BuiltinSupply, Levels, Openings, Playlist
from session.opening import Opening
from spool.spool import Spool

log = logging.getLogger(__name__)

FIRST_SEEDS: Final = range(1, 1_000_000)
OPENING: Final = "opening.wav"
MUSIC_S: Final = 0.8
OPEN_S: Final = 1.0
DISK_END_S: Final = 0.8  # for all that is still to be written at the end, on a disk that may hang


class Sound:
    """The audible half of the program.

    Threads: built, started and stopped by the main thread. `programme` takes commands from anywhere.
    """

    def __init__(self, opening: Opening, station: Station) -> None:
        settings = opening.settings
        self.settings = settings
        self.clock = opening.clock
        self.stop_event = opening.stop_event
        self.notices = opening.notices
        self.on_thread_failure = opening.on_thread_failure
        self._opening = opening
        asked_for = bool(settings.given & {"station", "prompt"})
        self.mood = Mood(station, random.randrange(station.variations), asked_for=asked_for)
        self.spool = Spool(settings.spool_dir, settings.spool_max_mb, self.notices, self.clock, lock=opening.lock)
        self.recorder = Recorder(self.notices)
        self._errands, self._reader = Errands(), Errands()
        self._started = self._hanging = False
        self._recording: Worker | None = None
        levels = Levels(settings.target_lufs, settings.cue_dbfs)
        orchestra = Orchestra(settings.soundfont, self.notices.say)
        version = builtin_engine.version(orchestra.sound)
        begin = functools.partial(builtin_engine.begin, cast=orchestra.cast, tail_s=settings.crossfade_seconds)
        self._builtin = BuiltinSupply(
            begin, self.mood, levels, self.clock,
            random.choice(FIRST_SEEDS), growing=opening.player is not None,
            openings=Openings(settings.spool_dir / OPENING, version, self.later),
        )  # fmt: skip
        engine = "library" if settings.play_library else settings.engine
        self._has_builtin = Source.BUILTIN in ENGINE_SOURCES[engine]
        self._mixer = Mixer(builtin_engine.Bed(), crossfade_s=settings.crossfade_seconds, volume=opening.volume)
        self.loader = Loader(
            self._mixer, self.spool, self.mood, self._builtin, self.notices, self.clock,
            levels=levels, engine=engine, target=settings.prefetch_target, no_repeat=settings.library_no_repeat,
            later=self._read,
        )  # fmt: skip
        self.programme: Mixer | PlaylistPlayer = self._mixer
        self._playlist: Playlist | None = None
        self.player: StreamPlayer | PlaylistPlayer
        if opening.player is not None:
            self.player = opening.player
        else:
            self._playlist = playlist = Playlist(
                self.spool, self.mood, self._builtin,
                engine=engine, no_repeat=settings.library_no_repeat, later=self.later,
            )  # fmt: skip
            self.programme = self.player = PlaylistPlayer(
                playlist.next_file, playlist.on_started, opening.libvlc, self.notices, self.clock,
                volume=opening.volume, real_device=settings.real_device,
            )  # fmt: skip
        self.server = SoundServer(self.notices)
        self.player.hearing = lambda: self.server.hearing

    @property
    def player_state(self) -> str:
        """The player's state, or what the sound server does to it."""
        muted = self.server.hearing in (Hearing.STREAM_MUTED, Hearing.DEVICE_MUTED)
        return self.server.hearing.value if muted and self.player.state == "playing" else self.player.state

    def start(self) -> None:
        """Read the spool, and play what is there. A disk that hangs is waited for elsewhere."""
        self._started = True
        self._opening.begin("errands", self._errands.run, awaited=False)
        self._opening.begin("reader", self._reader.run, awaited=False)
        self._opening.begin("spool", self.spool.run, awaited=False)
        if self._has_builtin:
            self._opening.begin(
                "builtin", self._builtin.run, awaited=False
            )  # in the middle of a piece, holding nothing
        self.clock.wait(self.spool.opened, OPEN_S)
        if self.settings.recording_path:
            self.record(self.settings.recording_path)
        if isinstance(self.player, StreamPlayer):
            self._take_over(self.player)
            self._opening.begin("loader", self.loader.run)
        else:
            self._opening.begin("player", self.player.run)
        self._recording = self._opening.begin("recorder", self.recorder.run, awaited=False)
        if self.settings.real_device:
            self._opening.begin("sound-server", self.server.run, awaited=False)  # it may hang with the server

    def wait(self) -> None:
        """Return when there is music, or after MUSIC_S: what is imported meanwhile would only delay it."""
        if self._has_builtin:
            self.clock.wait(self._builtin.begun, MUSIC_S)

    def stop(self) -> None:
        """End the sound and give the spool free; within DISK_END_S for what is still to be written."""
        self.stop_event.set()
        ends_at = self.clock.now() + DISK_END_S
        self.player.close()
        self.spool.close()
        self._opening.stop()
        if self._recording is not None:
            self._recording.join(max(0.0, ends_at - self.clock.now()))
        self.spool.close(max(0.0, ends_at - self.clock.now()))
        self._errands.wait_idle(max(0.0, ends_at - self.clock.now()))

    @property
    def history(self) -> History:
        """What was heard."""
        return (self._playlist or self.loader).history

    def again(self, heard: Heard) -> bool:
        """Go to what was heard before, and come back after it; return whether it can be had."""
        if self._playlist and isinstance(self.programme, PlaylistPlayer):
            return self._playlist.again(heard, self.programme.play)
        return self.loader.again(heard)

    def record(self, path: Path, *, new: bool = False) -> None:
        """Begin to record, with the station's title and the prompt of what is playing inside the file."""
        station, piece = self.mood.station, self.programme.playing_piece()
        prompt = piece.info.recipe.prompt if piece is not None and piece.info is not None else station.captions[0]
        title = station.title(self.settings.language)
        self.recorder.start(path, tags_of(title, prompt, datetime.datetime.now().astimezone()), new=new)

    def later(self, name: str, errand: Callable[[], None]) -> None:
        """Have something written by a thread that may wait for the disk; here, before there is one."""
        if self._started:
            self._errands.do(name, errand)
        else:
            errand()

    def watch(self) -> None:
        """Say what the disk keeps waiting. Threads: the main one."""
        self.recorder.watch()
        hanging, before = self.spool.hanging, self._hanging
        self._hanging = hanging
        if hanging != before:
            key, level = ("spool.hangs", "warning") if hanging else ("spool.answers", "good")
            self.notices.say(key, level, folder=str(self.settings.spool_dir))

    def lost(self) -> list[tuple[str, dict[str, object]]]:
        """Return what the disk did not take before the end, as texts and their fields."""
        found: list[tuple[str, dict[str, object]]] = []
        if unsaved := self.spool.unsaved:
            found.append(("spool.unsaved", {"count": unsaved, "folder": self.settings.spool_dir}))
        if self._recording is not None and self._recording.alive:
            found.append(("recorder.unfinished", {}))
        return found

    def _read(self, name: str, errand: Callable[[], None]) -> None:
        if self._started:
            self._reader.do(name, errand)
        else:
            errand()

    def _take_over(self, player: StreamPlayer) -> None:
        """Let the player pull the programme, faded in from the prelude."""
        prelude = player.feed

        def first_block(n_frames: int) -> bytes:
            player.feed = self._feed
            before = np.frombuffer(prelude(n_frames), np.float32).reshape(-1, CHANNELS)
            angle = np.linspace(0.0, np.pi / 2, n_frames, dtype=np.float32)[:, np.newaxis]
            return (before * np.cos(angle) + self._block(n_frames) * np.sin(angle)).tobytes()

        player.is_paused = lambda: self._mixer.wished_paused
        player.watch_device(lambda present: self._mixer.hold(not present))
        player.feed = first_block

    def _feed(self, n_frames: int) -> bytes:
        return self._block(n_frames).tobytes()

    def _block(self, n_frames: int) -> Samples:
        block = self._mixer.read(n_frames)
        self.recorder.take(block)
        return block
