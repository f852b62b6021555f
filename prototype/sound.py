"""Everything that is heard: spool → loader → mixer → player, built and started before all else.

Nothing in here needs the network, the screen or the keyboard, so that their slow imports and their troubles come
when the first sound is already there.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Final

import builtin_engine
from config import Settings
from loader import Loader
from messages import Notices
from mixer import Mixer
from mood import Mood
from player import PlaylistPlayer, StreamPlayer
from playlist import Playlist
from recorder import Recorder
from remembered import load_volume
from sources import BuiltinSupply, Levels
from spool import Spool
from stations import Station
from supervisor import Worker
from values import Clock, Samples

log = logging.getLogger(__name__)

JOIN_S: Final = 0.5  # a thread; with the session's all of them stay within 2 s
PRIMED_S: Final = 0.5
FIRST_SEEDS: Final = range(1, 1_000_000)


class Sound:
    """The audible half of the program.

    Threads: built, started and stopped by the main thread. `programme` takes commands from anywhere.
    """

    def __init__(self, settings: Settings, station: Station, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.stop_event = threading.Event()
        self.notices = Notices(clock)
        self.mood = Mood(station, random.randrange(station.variations))
        self.spool = Spool(settings.spool_dir, settings.spool_max_mb, self.notices, clock)
        self.recorder = Recorder(self.notices)
        levels = Levels(settings.target_lufs, settings.cue_dbfs)
        self._builtin = BuiltinSupply(builtin_engine.render, self.mood, levels, clock, random.choice(FIRST_SEEDS))
        engine = "library" if settings.play_library else settings.engine
        remembered = None if "volume" in settings.given else load_volume(settings.spool_dir)
        volume = (settings.volume if remembered is None else remembered) / 100
        real_device = settings.audio_output == "auto"
        mixer = Mixer(builtin_engine.Bed(), crossfade_s=settings.crossfade_seconds, volume=volume)
        self.loader = Loader(
            mixer, self.spool, self.mood, self._builtin, self.notices, clock,
            levels=levels, engine=engine, target=settings.prefetch_target, no_repeat=settings.library_no_repeat,
        )  # fmt: skip
        self.programme: Mixer | PlaylistPlayer
        self.player: StreamPlayer | PlaylistPlayer
        if settings.player == "stream":
            self.programme = mixer
            self.player = StreamPlayer(
                self._feed, self.notices, clock, real_device=real_device,
                on_device=lambda present: mixer.hold(not present),
            )  # fmt: skip
            self._mixer = mixer
        else:
            playlist = Playlist(
                self.spool, self.mood, self._builtin, engine=engine, no_repeat=settings.library_no_repeat
            )
            self.programme = self.player = PlaylistPlayer(
                playlist.next_file, playlist.on_started, self.notices, clock, volume=volume, real_device=real_device
            )
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Open the spool and begin to play; return when there is sound, or after PRIMED_S. Raises SpoolBusy."""
        self.spool.open()
        if self.settings.recording_path:
            self.recorder.start(self.settings.recording_path)
        self._begin("player", self.player.run)
        if isinstance(self.player, StreamPlayer):
            self.clock.wait(self.player.primed, PRIMED_S)
            self._begin("loader", self.loader.run)
        self._begin("builtin", self._builtin.run)
        self._begin("recorder", self.recorder.run)

    def stop(self) -> None:
        """End the sound and give the spool free."""
        self.stop_event.set()
        self.player.close()
        for worker in reversed(self._workers):
            if worker.name != "builtin":  # it may be in the middle of a piece, and holds nothing
                worker.join(JOIN_S)
        self.spool.close()

    def _begin(self, name: str, body: Callable[[threading.Event], None]) -> None:
        worker = Worker(name, body, self.stop_event, self.clock, self.on_thread_failure)
        self._workers.append(worker)
        worker.start()

    def on_thread_failure(self, name: str, _error: BaseException) -> None:
        """Say that a thread failed and starts again."""
        self.notices.say("thread.failed", "warning", name=name)

    def _feed(self, n_frames: int) -> Samples:
        block = self._mixer.read(n_frames)
        self.recorder.take(block)
        return block
