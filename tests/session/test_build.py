"""The program from top to bottom: what is started and stopped in which order, also when something fails."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import config
from base.errors import StartupError
from doubles.fake_vlc import FakeVlc
from doubles.scripted_server import ScriptedServer
from doubles.simulated_time import FakeClock
from doubles.sounds import performed, tone
from music.stations import builtin_stations
from output.vlc_library import LibVlc
from screen.view import Snapshot
from session.build import Stages, build
from session.opening import Opening, Surroundings
from session.session import Session, Terminal
from session.sound import Sound

STATIONS = builtin_stations()
STAGES: tuple[Any, ...] = (Opening, Sound, Session, Terminal)
NAMES = [stage.__name__ for stage in STAGES]


class Client(ScriptedServer):
    """A server that notes that nobody asks it any more."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__(lambda: 0.0)
        self.noted = noted

    def close(self) -> None:
        """Note it."""
        self.noted.append("close client")


class Evening:
    """A program whose threads only note that they are begun and waited for, and whose parts note their names."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.noted: list[str] = []
        noted = self.noted
        self.folder = folder
        self.clock = FakeClock()
        self.stop = threading.Event()

        class Noted:
            """A thread that only notes."""

            alive = False

            def __init__(self, name: str, *_: Any) -> None:
                self.name = name

            def start(self) -> None:
                noted.append(f"begin {self.name}")

            def join(self, _patience_s: float) -> None:
                noted.append(f"join {self.name}")

        def part(name: str) -> Callable[..., Any]:
            class Part:
                """A part of the terminal."""

                def __getattr__(self, what: str) -> Callable[..., None]:
                    return lambda *_: noted.append(f"{what} {name}")

            return lambda *_: Part()

        patch.setattr("session.opening.Worker", Noted)
        patch.setattr("generator_loop.Worker", Noted)
        patch.setattr("screen.keyboard.Keyboard", part("keyboard"))
        patch.setattr("screen.dashboard.Dashboard", part("dashboard"))
        patch.setattr("session.session.handle_suspension", lambda *_: None)
        for stage in STAGES:
            for what in ("start", "stop"):
                patch.setattr(stage, what, self._noting(stage, what))

    def _noting(self, stage: Any, what: str) -> Callable[[Any], None]:
        really = getattr(stage, what)

        def do(it: Any) -> None:
            self.noted.append(f"{what} {stage.__name__}")
            really(it)

        return do

    def play(self, *arguments: str) -> Snapshot:
        """Play for five seconds."""
        settings = config.load(["--spool-dir", str(self.folder), *arguments], {}, self.folder / "no.env")
        around = Surroundings(
            cast("LibVlc", FakeVlc(self.clock)), self.clock, io.StringIO(),
            begin_log=lambda path: self.noted.append(f"log {path.name}"), stop=self.stop,
            begin_piece=lambda _recipe, _seed: performed(tone(20)), clients=[Client(self.noted)],
        )  # fmt: skip
        self.clock.at(self.clock.now() + 5.0, self.stop.set)
        with Stages(self.stop) as stages:
            return build(settings, STATIONS[0], STATIONS, around, stages.enter).run()

    def about(self, *names: str) -> list[str]:
        """Return what was noted of some."""
        return [line for line in self.noted if line.split()[1] in names]


@pytest.fixture
def evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    """An evening."""
    return Evening(tmp_path, monkeypatch)


@pytest.mark.parametrize("player", ["stream", "playlist"])
def test_stages_are_started_down_and_stopped_up(evening: Evening, player: str) -> None:
    """Each is at work, and had its time, before the next is begun; the log begins when the spool is ours."""
    last = evening.play("--player", player)
    begun = [f"start {name}" for name in NAMES]
    assert evening.about(*NAMES) == begun + [f"stop {name}" for name in reversed(NAMES)]
    assert (
        evening.noted.index("start Opening")
        < evening.noted.index("log player.log")
        < evening.noted.index("start Sound")
    )
    assert last.uptime_s > 0.0


def test_threads_are_waited_for_last_when_all_were_told_to_end(evening: Evening) -> None:
    """First the terminal is given back, then calls that wait are ended, then each thread is waited for, last first."""
    evening.play()
    begun = [line.removeprefix("begin ") for line in evening.noted if line.startswith("begin ")]
    assert begun[0] == "player"
    assert {"spool", "builtin", "loader", "recorder", "control", "input", "dashboard", "generator-1"} <= {*begun}
    joined = [line.removeprefix("join ") for line in evening.noted if line.startswith("join ")]
    unawaited = {"errands", "reader", "spool", "builtin", "sound-server"}
    generators = [name for name in begun if name.startswith("generator")]
    rest = [name for name in reversed(begun) if name not in (*unawaited, *generators, "recorder")]
    assert joined == [*generators, "recorder", *rest]
    closed = [line for line in evening.noted if line.startswith("close ")]
    assert closed == ["close keyboard", "close dashboard", "close client"]
    assert evening.noted.index(closed[-1]) < evening.noted.index(f"join {joined[0]}")


@pytest.mark.parametrize("failing", NAMES)
def test_a_stage_that_cannot_start_stops_what_was_begun(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Itself too, which may be half begun; what comes behind it is never built; the reason is told."""
    number = NAMES.index(failing)

    def fail(_: Any) -> None:
        raise StartupError("no")

    monkeypatch.setattr(STAGES[number], "start", fail)
    with pytest.raises(StartupError, match="no"):
        evening.play()
    assert [line for line in evening.about(*NAMES) if line.startswith("stop")] == [
        f"stop {name}" for name in reversed(NAMES[: number + 1])
    ]
    assert evening.stop.is_set()
    assert evening.about(*NAMES[number + 1 :]) == []


@pytest.mark.parametrize("number", range(len(NAMES) - 1))
def test_who_ends_it_while_it_starts_does_not_wait_for_the_rest(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What was begun is stopped; what comes behind is never built."""
    really = STAGES[number].start

    def end(it: Any) -> None:
        really(it)
        evening.stop.set()

    monkeypatch.setattr(STAGES[number], "start", end)
    with pytest.raises(KeyboardInterrupt):
        evening.play()
    assert evening.about(*NAMES[number + 1 :]) == []
    assert [line for line in evening.about(*NAMES) if line.startswith("stop")] == [
        f"stop {name}" for name in reversed(NAMES[: number + 1])
    ]


def test_a_mistake_while_playing_gives_everything_back(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal and the spool, as after an ordinary end."""

    def fail(_: Any) -> Snapshot:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Session, "run", fail)
    with pytest.raises(RuntimeError):
        evening.play()
    assert evening.noted[-1].startswith("join player")
    assert [line for line in evening.about(*NAMES) if line.startswith("stop")] == [
        f"stop {name}" for name in reversed(NAMES)
    ]
