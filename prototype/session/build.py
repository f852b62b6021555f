"""The program from top to bottom: each stage is built and started, then the next; in the end they are stopped upwards.

A stage's modules are imported when the one before it is at work, and heard: those of the opening at once, the others'
where they stand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, TypeVar

from config import Settings
from session.opening import Opening, Surroundings

if TYPE_CHECKING:
    from music.stations import Station
    from session.session import Session


class Stage(Protocol):
    """A part of the program that is started, and stopped, as one."""

    def start(self) -> None:
        """Begin to work; return when that is heard or seen, or takes too long: what comes next would delay it."""

    def stop(self) -> None:
        """End, within a second; also what has failed to start."""


S = TypeVar("S", bound=Stage)
Enter = Callable[[Stage], object]


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
        self._go_on()
        return stage

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt


def build(
    settings: Settings, station: Station, stations: Sequence[Station], around: Surroundings, enter: Enter
) -> Session:
    """Build the program, and let each stage `enter` before the next is built.

    Raises what their `start` raises, SpoolBusy and StartupError.
    """
    enter(opening := Opening(settings, station, around))
    around.begin_log(settings.log_path)

    from session.sound import Sound

    enter(sound := Sound(opening))

    from session.session import Session, Terminal

    enter(session := Session(sound, stations))

    if around.terminal is not None:
        from screen.dashboard import Dashboard
        from screen.keyboard import Keyboard

        dashboard = Dashboard(session.snapshot, around.clock, around.terminal, settings.language, settings.plain)
        enter(Terminal(session, Keyboard(), dashboard))
    return session
