"""The program from top to bottom: each stage is built and started, then the next; in the end they are stopped upwards.

A stage's modules are imported when the one before it is at work, and heard: those of the opening at once, the others'
where they stand.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from base.notices import Notices
from base.workers import Clock
from config import Settings
from music.segment import SAMPLE_RATE_HZ, Endless
from output.vlc_library import LibVlc
from session.opening import Opening

if TYPE_CHECKING:
    from generation.continuing import Ear
    from music.stations import Station
    from programme.performances import Begin
    from session.session import Connection, Session
    from spool.spool import Spool


class Stage(Protocol):
    """A part of the program that is started, and stopped, as one."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def wait(self) -> None:
        """Return when that is heard or seen, or takes too long: what comes next would delay it."""
        ...

    def stop(self) -> None:
        """End, within a second; also what has failed to start."""
        ...


S = TypeVar("S", bound=Stage)


class Stages(ExitStack):
    """Those that are at work: leaving it stops them, the last one first, whatever has happened."""

    def __init__(self, stop: threading.Event) -> None:
        """`stop` is set by who ends the program."""
        super().__init__()
        self._stop = stop

    def enter(self, stage: S) -> S:
        """Start a stage. Raises KeyboardInterrupt where the program is to end already: the rest is not waited for."""
        self._go_on()
        self.callback(stage.stop)
        stage.start()
        stage.wait()
        self._go_on()
        return stage

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt


class Enter(Protocol):
    """What is done with each stage before the next is built."""

    def __call__(self, stage: S) -> S:
        """Return the stage."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What the program stands in. All but the first three: its own, where tests put nothing in the place.

    `begin_log` is told the log's file when it may be written: the spool is ours, and something is heard.
    """

    libvlc: LibVlc
    clock: Clock
    terminal: TextIO | None
    begin_log: Callable[[Path], None] = lambda path: None
    stop: threading.Event | None = None
    notices: Notices | None = None
    bed: Endless | None = None
    spool: Spool | None = None
    begin_piece: Begin | None = None
    rate_hz: int = SAMPLE_RATE_HZ
    clients: Sequence[Connection] | None = None
    ear: Ear | None = None
    rng: random.Random | None = None


def build(
    settings: Settings, station: Station, stations: Sequence[Station], around: Surroundings, enter: Enter
) -> Session:
    """Build the program, and let each stage `enter`. Raises what their `start` raises, SpoolBusy and StartupError."""
    opening = Opening(
        settings,
        station,
        around.libvlc,
        around.clock,
        rng=around.rng,
        stop=around.stop,
        notices=around.notices,
        bed=around.bed,
    )
    enter(opening)
    around.begin_log(settings.log_path)

    from session.sound import Sound

    sound = Sound(opening, station, spool=around.spool, begin=around.begin_piece, rate_hz=around.rate_hz)
    enter(sound)

    from session.session import Session, clients_of

    clients = clients_of(settings) if around.clients is None else around.clients
    session = Session(sound, stations, clients, ear=around.ear, rng=around.rng)
    enter(session)

    if around.terminal is not None:
        from screen.dashboard import Dashboard
        from screen.keyboard import Keyboard
        from session.terminal import Terminal

        dashboard = Dashboard(session.snapshot, around.clock, around.terminal, settings.language, settings.plain)
        enter(Terminal(session, Keyboard(), dashboard))
    return session
