"""The whole programme in one process, on a virtual clock: server, generator, spool, loader, mixer, and a listener.

Everything is the real thing but the time, the server (`ScriptedServer`, or `FakeAcestep` behind the real client), the
device, and the disk's own reliability (`FaultyFiles`). At `TINY` scale the sound is 200 frames a second, so that a
day of it is mixed in seconds; at `FULL` scale it is 48 kHz, with real audio bytes.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self, cast

from base.notices import Notices
from base.workers import Worker
from config import Settings
from doubles.fake_acestep import FakeAcestep
from doubles.faulty_files import FaultyFiles
from doubles.scripted_server import GOOD, ScriptedServer
from doubles.simulated_time import SimClock
from doubles.sounds import QuietBed, performed
from doubles.witnesses import Witness, WitnessedSpool
from generation.calls import Client
from generation.continuing import Ear
from generator_loop import SPARE, WORKERS
from music.analysis import Segment
from music.segment import Performance, Recipe, Source
from music.stations import Mood, Station, builtin_stations
from output.vlc_library import LibVlc
from programme.mixer import Mixer
from screen import controls
from server.replies import JobState
from session.build import Stage, build
from session.opening import Opening, Surroundings
from whole.heard import Heard
from whole.scales import TINY, Scale

NO_LIBVLC: Final = cast("LibVlc", None)
SETTINGS: Final = replace(Settings(), engine="auto", spool_max_mb=4.0)
STATIONS: Final = builtin_stations()
TICK_S: Final = 0.5
QUIET_DOWN_S: Final = 240.0
ENDING_S: Final = 2.0


class Programme:
    """Everything between the server and the listener's ear. Its fields are the real parts; use it in a `with`.

    With `threads` the loader and the built-in engine run in threads of their own, as in the program; without, the
    listener does their steps between two blocks, which is faster.
    """

    def __init__(
        self,
        folder: Path,
        server: ScriptedServer | FakeAcestep | None = None,
        *,
        client: Client | None = None,
        settings: Settings = SETTINGS,
        scale: Scale = TINY,
        threads: bool = True,
        seed: int = 0,
        files: FaultyFiles | None = None,
    ) -> None:
        """`client` is what reaches `server`, which listens already; a ScriptedServer is its own client."""
        self.clock = SimClock(seed)
        self.folder = folder
        self.settings = replace(settings, spool_dir=folder / "spool", given=settings.given | {"volume"})
        self.scale = scale
        self.threads = threads
        self.never = threading.Event()
        self.files = files or FaultyFiles()
        self.server = server or ScriptedServer(lambda: 0.0, seed=seed)
        self.server_offset_s = 0.0
        self.server.now = lambda: self.clock.time_s + self.server_offset_s
        self.failures: list[tuple[str, str]] = []
        self.remarks: list[str] = []
        """What a fault found wrong by itself."""
        self.paused = self.held = False
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = 0
        self._exits = ExitStack()
        if client is None:
            assert isinstance(self.server, ScriptedServer)
            client = self.server
        self.witness = Witness(client, self.files)
        self._build(random.Random(seed))

    def _build(self, rng: random.Random) -> None:
        """Have all parts made and wired as the program does it."""
        settings, clock, scale = self.settings, self.clock, self.scale
        self.notices, self.stop = Notices(clock, limit=5_000), threading.Event()
        self.spool = WitnessedSpool(settings.spool_dir, settings.spool_max_mb, self.notices, clock, self.files)
        station = next((one for one in STATIONS if one.key == settings.station), STATIONS[0])
        around = Surroundings(
            NO_LIBVLC, clock, stop=self.stop, notices=self.notices, bed=QuietBed(), spool=self.spool,
            begin_piece=self._seam("render"), rate_hz=scale.rate_hz, clients=[self.witness],
            ear=Ear(self._seam("ingest"), scale.joints), rng=rng,
        )  # fmt: skip
        self.session = build(settings, station, STATIONS, around, self._adopt)
        self.sound = self.session.sound
        self.mood, self.builtin, self.loader = self.sound.mood, self.sound.builtin, self.sound.loader
        vars(self.mood)["next_recipe"] = self._seam("next_recipe")
        self.generator, self.conductor = self.session.generator, self.session.conductor
        assert isinstance(self.sound.programme, Mixer)
        self.mixer = self.sound.programme
        self.has_builtin = Source.BUILTIN in self.sound.order
        no_repeat = settings.library_no_repeat if self.has_builtin else 0  # without, the library is all there is
        self.heard = Heard(scale.rate_hz, no_repeat, scale.rest_s)

    def _adopt(self, stage: Stage) -> None:
        """Not start a stage: its steps are done one by one."""
        if isinstance(stage, Opening):
            vars(stage)["on_thread_failure"] = self.on_failure

    # Seams at which a test breaks what is inside, while it runs

    def _seam(self, name: str) -> Callable[..., Any]:
        def look_up_and_call(*args: Any) -> Any:
            return getattr(self, name)(*args)

        return look_up_and_call

    def render(self, recipe: Recipe, seed: int) -> Performance:
        """Be the built-in engine."""
        return performed(self.scale.render(recipe, seed))

    def ingest(self, path: Path, asked_s: float, cue_dbfs: float) -> Segment:
        """Decode and measure."""
        return self.scale.ingest(path, asked_s, cue_dbfs)

    def next_recipe(self, duration_s: float) -> Recipe:
        """Say what the next segment is to be."""
        return Mood.next_recipe(self.mood, duration_s)

    def on_failure(self, name: str, error: BaseException) -> None:
        """Note, and say as the program does, that a thread failed."""
        self.failures.append((name, repr(error)))
        self.notices.say("thread.failed", "warning", name=name)

    # Life

    def __enter__(self) -> Self:
        self._exits.callback(self.clock.close)
        if isinstance(self.server, FakeAcestep):
            self._exits.callback(self.server.stop)
        self.spool.open()
        self._exits.callback(self.spool.close)
        self._exits.callback(self._end)
        if self.threads:
            bodies = {"loader": self.loader.run, **({"builtin": self.builtin.run} if self.has_builtin else {})}
            for name, body in bodies.items():
                worker = Worker(name, body, self.stop, self.clock, self.on_failure)
                self.clock.start(worker.start)
        if Source.FRESH in self.sound.order:
            self.clock.start(self.generator.start, threads=WORKERS + SPARE)
        return self

    def __exit__(self, *exc: object) -> None:
        self._exits.close()

    def _end(self) -> None:
        """Let every thread end by itself, as quitting does."""
        self.stop.set()
        self.builtin.close()
        self.loader.wake()
        self.clock.run_for(ENDING_S)

    def play(self, duration_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Listen for `duration_s`, or until something holds; return whether it does."""
        ends_at = self.clock.now() + duration_s
        n_frames = round(TICK_S * self.scale.rate_hz)
        while self.clock.now() < ends_at:
            if until():
                return True
            while self._agenda and self._agenda[0][0] <= self.clock.now():
                heapq.heappop(self._agenda)[2]()
            self.sound.player._serve(0.0)
            block = self.mixer.read(n_frames)
            self.heard.take(block, self.mixer, excused=self.paused or self.held)
            if not self.threads:
                self._do("loader", self.loader.step)
                if self.has_builtin and self.builtin.wanted:
                    self._do("builtin", self.builtin.step)
            self.clock.wait(self.never, TICK_S)
        return until()

    def _do(self, name: str, step: Callable[[], object]) -> None:
        """Do what a thread would, and survive it as its worker would."""
        try:
            step()
        except Exception as error:
            self.on_failure(name, error)

    def play_until_fresh(self, limit_s: float = 600.0) -> bool:
        """Listen until a segment is heard that was asked for from now on; return whether one was."""
        known = set(self.spool.brought.values())
        since_s = self.heard.now_s
        return self.play(
            limit_s, lambda: any(span.key not in known for span in self.heard.since(since_s, Source.FRESH)[-3:])
        )

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something in the course of `play`."""
        self._numbers += 1
        heapq.heappush(self._agenda, (self.clock.now() + delay_s, self._numbers, action))

    def pause(self, paused: bool) -> None:
        """Pause or resume, as the listener does."""
        if paused != self.paused:
            self.paused = paused
            self.conductor.obey(controls.Act.PAUSE)

    def hold(self, held: bool) -> None:
        """Lose the sound device, or find it again, as the player tells the mixer."""
        self.held = held
        self.mixer.hold(held)

    def change_station(self, station: Station) -> None:
        """Wish for another mood."""
        self.conductor.obey(controls.Station(station.key))

    def like(self) -> None:
        """Keep what is heard, or take that back."""
        self.conductor.obey(controls.Act.LIKE)

    def dislike(self) -> None:
        """Never hear again what is heard."""
        self.conductor.obey(controls.Act.DISLIKE)

    def continue_(self) -> None:
        """Keep what is heard going, or let it end."""
        self.conductor.obey(controls.Act.CONTINUE)

    def forget_calls(self) -> None:
        """Drop what the doubles have written down of every call: over a day it is more than the program's own."""
        self.files.calls.clear()
        if isinstance(self.server, ScriptedServer):
            self.server.calls.clear()
            self.server.polled_ids.clear()

    # Judging

    def said(self, key: str, since: float = 0.0) -> bool:
        """Return whether a notice was said."""
        return any(notice.key == key and notice.at >= since for notice in self.notices.recent())

    def lost(self) -> list[str]:
        """Let the generator finish, then return what music was lost: ids of jobs and keys of segments."""
        self.generator.set_resting(True)
        self.play(QUIET_DOWN_S, lambda: not self.generator.snapshot().jobs)
        self.play(10.0)
        self.generator.set_resting(False)
        brought = self.spool.brought
        ids = [f"{task_id}-{index}" for task_id, files in self._made().items() for index in range(files)]
        missing = [one for one in ids if one[:48] not in {other[:48] for other in brought}]
        on_shelves = {entry.key for entry in (*self.spool.ready(), *self.spool.library())}
        safe = on_shelves | self.heard.keys | self.spool.excused
        return missing + [key for key in brought.values() if key not in safe]

    def _made(self) -> dict[str, int]:
        """Return the jobs that we know of and that ended well, with their number of good files."""
        told, server = self.witness.told, self.server
        if isinstance(server, ScriptedServer):
            done = [job for job in server.asked if server.at_work >= 0 and job.state is JobState.SUCCEEDED]
            return {job.task_id: server.files_of(job) for job in done if job.fate == GOOD and job.task_id in told}
        return {job.task_id: 1 for job in server.jobs("succeeded") if job.fate == "ok" and job.task_id in told}
