"""The first moment: keep other programs out of the spool, open the loudspeaker, and be heard.

Only what is quick to import stands here: the first piece begins while numpy and all else that makes music is imported.
"""

from __future__ import annotations

import contextlib
import random
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from base.errors import StartupError
from base.notices import Notices
from base.texts import said
from base.workers import Clock, Worker, within
from builtin.bed import Bed, Chord
from config import Settings
from music.keys import parse_key
from music.segment import SAMPLE_RATE_HZ, Endless, Source
from music.stations import Station
from output.stream_player import StreamPlayer
from output.vlc_library import LibVlc
from programme.programme import Beginning
from session.prelude import first_of, order
from spool.folders import AUDIO_SUFFIXES, KEPT, Files, FolderLock
from spool.state_files import load_remembered

if TYPE_CHECKING:
    from generation.calls import Client
    from generation.continuing import Ear
    from programme.performances import Begin
    from spool.spool import Spool

JOIN_S: Final = 0.3  # a thread: all of them stay within 2 s
FIRST_SEEDS: Final = range(1, 1_000_000)
PRIMED_S: Final = 0.5
DISK_S: Final = 1.0  # a disk that hangs keeps nobody from hearing music


@dataclass(frozen=True)
class Surroundings:
    """What the program stands in. `terminal` None: nothing is shown.

    `begin_log` is told the log's file when it may be written: the spool is ours, and something is heard. What is None
    is the program's own, where tests put a double in the place; with a `bed` of theirs there is no other prelude.
    """

    libvlc: LibVlc
    clock: Clock
    terminal: TextIO | None = None
    begin_log: Callable[[Path], None] = lambda path: None
    stop: threading.Event = field(default_factory=threading.Event)
    rng: random.Random = field(default_factory=random.Random)
    notices: Notices | None = None
    bed: Endless | None = None
    spool: Spool | None = None
    begin_piece: Begin | None = None
    rate_hz: int = SAMPLE_RATE_HZ
    clients: Sequence[Client] | None = None
    ear: Ear | None = None


class Opening:
    """What is needed to be heard at once, and what all parts of the program share.

    `player` is None in the mode that plays files, which has nothing to play yet. Threads: the main thread.
    """

    def __init__(self, settings: Settings, station: Station, around: Surroundings) -> None:
        self.settings, self.station, self.around = settings, station, around
        self.clock, self.stop_event = around.clock, around.stop
        self.notices = around.notices or Notices(around.clock)
        self.lock = FolderLock(settings.spool_dir)
        self.first_seed = around.rng.choice(FIRST_SEEDS)
        remembered = within(DISK_S, lambda: load_remembered(settings.spool_dir), {})
        first = within(DISK_S, lambda: first_of(settings, station), None)
        self.remembered = {name: value for name, value in remembered.items() if name not in settings.given}
        self.volume = int(self.remembered.get("volume", settings.volume)) / 100
        self.bed = around.bed or Bed()
        self.prelude = None if around.bed else Beginning(first, self.bed if first else self._swelling())
        self.player: StreamPlayer | None = None
        if settings.player == "stream":
            self.player = StreamPlayer(
                self._before, around.libvlc, self.notices, self.clock,
                volume=self.volume, real_device=settings.real_device,
            )  # fmt: skip
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Take the spool and begin to play; return when there is sound, or after PRIMED_S.

        Raises SpoolBusy, and StartupError when only liked pieces are to be played and there are none.
        """
        if self.settings.play_library:
            within(DISK_S, self._require_liked, None)
        within(DISK_S, self._take_spool, None)
        if self.player is not None:
            self.begin("player", self.player.run)
            self.clock.wait(self.player.primed, PRIMED_S)  # heavy work would delay each of the many first reads

    def _swelling(self) -> Endless:
        """Return a chord in the key of the first built-in piece, if there will be one; the bed goes on behind it."""
        key = parse_key(self.station.recipe(self.first_seed + 1, 0.0).key_scale)
        return Chord(key[0], self.bed) if key and Source.BUILTIN in order(self.settings) else self.bed

    def _before(self, n_frames: int) -> bytes:
        """Return what the mixer will go on with, as loud as it will have it."""
        heard = (self.prelude or self.bed).read(n_frames)
        volume = self.player.left_volume if self.player else 1.0
        return heard if volume == 1 else array("f", [volume * value for value in array("f", heard)]).tobytes()

    def _take_spool(self) -> None:
        with contextlib.suppress(OSError):  # the spool itself deals with a disk that refuses
            self.settings.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock.take()

    def begin(self, name: str, body: Callable[[threading.Event], None], *, awaited: bool = True) -> Worker:
        """Run a body in a thread of its own until the program stops; `awaited`: `stop` waits for its end."""
        worker = Worker(name, body, self.stop_event, self.clock, self.on_thread_failure)
        if awaited:
            self._workers.append(worker)
        worker.start()
        return worker

    def stop(self) -> None:
        """End all threads, the last one begun first."""
        self.stop_event.set()
        if self.player is not None:
            self.player.close()
        for worker in reversed(self._workers):
            worker.join(JOIN_S)

    def _require_liked(self) -> None:
        folder = self.settings.spool_dir / KEPT
        try:
            if any(Path(file.name).suffix.lower() in AUDIO_SUFFIXES for file in Files().each(folder)):
                return
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StartupError(said("library.unreadable", folder=folder, reason=error)) from error
        raise StartupError(said("library.nothing_to_play"))

    def on_thread_failure(self, name: str, _error: BaseException) -> None:
        """Say that a thread failed and starts again."""
        self.notices.say("thread.failed", "warning", name=name)
