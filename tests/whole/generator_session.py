"""A generator with everything around it, for tests: on a clock that they hold, in line or in threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from base.notices import Level, Notices
from config import Settings
from doubles.scripted_server import NO_SOUND, MemoryStore, ScriptedServer, scripted_ingest
from doubles.simulated_time import FakeClock, SimClock
from generation.calls import Run, Stopped
from generation.continuing import Ear
from generator_loop import SPARE, WORKERS, GeneratorLoop
from music.continuing import Continuing
from music.segment import Piece, Recipe, Source
from music.stations import Mood
from spool.spool import Spool
from spool.state_files import JobsFile, KeeperFile
from whole.scales import TinyJoints

DEFAULTS = replace(Settings(), engine="acestep")


class CountedNotices(Notices):
    """Notices that count everything that is said, repetitions too."""

    def __init__(self, clock: FakeClock | SimClock) -> None:
        super().__init__(clock)
        self.keys: list[str] = []
        self.grave: list[str] = []

    def say(self, key: str, level: Level = "info", **fields: object) -> None:
        """Say it and note that it was said."""
        self.keys.append(key)
        if level in ("warning", "error"):
            self.grave.append(key)
        super().say(key, level, **fields)


@dataclass
class Session:
    """One run of the generator against a scripted server."""

    folder: Path
    clock: FakeClock | SimClock = field(default_factory=FakeClock)
    settings: Settings = DEFAULTS
    server: ScriptedServer = field(default_factory=lambda: ScriptedServer(lambda: 0.0))
    seed: int = 0
    mood: int = 0
    jobs_file: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    others: list[ScriptedServer] = field(default_factory=list)
    """More servers for the same queue, where the settings name them."""

    def __post_init__(self) -> None:
        for server in (self.server, *self.others):
            server.now = self.clock.now
            server.wait = lambda seconds: self.clock.wait(threading.Event(), seconds)
        self.notices = CountedNotices(self.clock)
        self.keeper = KeeperFile(self.folder, self.settings.servers[0].acestep_api_url)
        self.store = MemoryStore(self.folder)
        self.recipes = 0
        self.continuing = Continuing(self.settings.continuing == "on")
        self.playing: Piece | None = None
        self.continuing.playing = lambda: self.playing
        self.silent_s = 0.0
        self.most_ahead = 0
        self.loop = self.new_loop()

    def new_loop(self) -> GeneratorLoop:
        """Make a generator, as the next run of the program would."""
        return GeneratorLoop(
            self.settings,
            [self.server, *self.others],
            cast("Spool", self.store),
            cast("Mood", self),
            Run(self.clock, self.notices, self.stop, random.Random(self.seed)),
            ear=Ear(scripted_ingest, TinyJoints(0)),
            jobs_file=JobsFile(self.jobs_file),
        )

    def start(self) -> None:
        """Start the workers, on a SimClock."""
        assert isinstance(self.clock, SimClock)
        self.clock.start(self.loop.start, threads=(WORKERS + SPARE) * len(self.settings.servers))

    def next_recipe(self, duration_s: float) -> Recipe:
        """Ask for something else each time."""
        self.recipes += 1
        return Recipe("lofi", f"prompt {self.recipes} of mood {self.mood}", duration_s)

    def token(self) -> int:
        """Count the changes of mood."""
        return self.mood

    def produce(self, times: int = 1) -> int:
        """Call `produce_one` in line; return how many segments it gave."""
        return sum(len(self.loop.produce_one()) for _ in range(times))

    def at(self, time_s: float, act: Callable[[], object]) -> None:
        """Have something happen at a moment, on a FakeClock."""
        assert isinstance(self.clock, FakeClock)
        self.clock.at(time_s, act)

    def stop_at(self, time_s: float) -> None:
        """Ask for music until the program is stopped; nothing of it is left but what it has written."""
        self.at(time_s, self.stop.set)
        with pytest.raises(Stopped):
            self.produce()
        self.next_run()

    def next_run(self) -> None:
        """Let the next run of the program begin."""
        self.stop.clear()
        self.loop = self.new_loop()

    def said(self, key: str) -> int:
        """How often a notice was said."""
        return self.notices.keys.count(key)

    def warnings(self) -> list[str]:
        """Keys of all notices that are more than information."""
        return self.notices.grave

    def listen(self, duration_s: float, watch: Callable[[], object] | None = None) -> None:
        """Play what is ready, in threads on a SimClock, for `duration_s`; `watch` is called every second."""
        left_s, heard_s = 0.0, 0.0
        while heard_s < duration_s:
            if left_s <= 0.0:
                entry = self.store.play()
                if entry is not None and entry.info is not None:
                    left_s = entry.info.audible_s
                    self.playing = Piece(NO_SOUND, Source.FRESH, entry.key, entry.info)
                elif self.store.added:
                    self.silent_s += 1.0
            self.most_ahead = max(self.most_ahead, self.ahead())
            if watch is not None:
                watch()
            self.clock.wait(self.stop, 1.0)
            left_s, heard_s = left_s - 1.0, heard_s + 1.0

    def ahead(self) -> int:
        """Ready and in flight."""
        return len(self.store.ready()) + len(self.loop.snapshot().jobs)

    def end(self) -> bool:
        """Stop the workers; return whether they ended within two seconds."""
        self.stop.set()
        self.clock.wait(threading.Event(), 2.0)
        return self.loop.join(1.0)


def session(folder: Path, *, clock: FakeClock | SimClock | None = None, seed: int = 0, **levers: Any) -> Session:
    """Make a session; each lever is a setting, a lever of the server, or `mood`, `jobs_file`, `stop` and `others`."""
    names = set(Settings.__dataclass_fields__)
    settings = replace(DEFAULTS, spool_dir=folder, **{name: value for name, value in levers.items() if name in names})
    own = {name: value for name, value in levers.items() if name in ("mood", "jobs_file", "stop", "others")}
    rest = {name: value for name, value in levers.items() if name not in names and name not in own}
    server = ScriptedServer(lambda: 0.0, seed=seed, **rest)
    return Session(folder, clock or FakeClock(), settings, server, seed, **own)
