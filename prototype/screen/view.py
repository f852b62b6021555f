"""What can be seen of the program at one moment: taken by the modules that own the state, shown by the screen.

Frozen, without behaviour; units stand in the names, as in `music.segment`. All of it is made by this program, which
checks what comes from outside where it comes in: figures are finite and not negative, and only texts may hold anything.
"""

from __future__ import annotations

import enum
import functools
import operator
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from base.notices import Notice
from generation.jobs import GeneratorSnapshot
from music.segment import Source
from music.stations import Station
from programme.history import Heard
from programme.programme import MixerSnapshot
from spool.spool import SpoolSnapshot

NO_STATION: Final = Station("", "", "", ())

Part = TypeVar("Part", bound=Callable[..., object])
LAST_MADE: Final[dict[object, tuple[object, object]]] = {}
UNHEARD: Final = ("no device", "suspended", "stream muted", "device muted")


@dataclass(frozen=True)
class TimerView:
    """A running timer: `phase` is "work", "break" or "ending"; `round` is 0 without pomodoro.

    `remaining_s` is until the phase ends, `ends_in_s` until the session ends (None: it does not).
    """

    phase: str
    remaining_s: float
    round: int = 0
    ends_in_s: float | None = None


class Mode(enum.Enum):
    """What the keys mean: commands, or one of the overlays."""

    MAIN = "main"
    HELP = "help"
    STATIONS = "stations"
    HISTORY = "history"
    TIMER = "timer"
    PROMPT = "prompt"


@dataclass(frozen=True)
class ControlsView:
    """What `controls` is in the middle of: a line being typed, the selected row of a list, the page of the help."""

    mode: Mode = Mode.MAIN
    typed: str = ""
    cursor: int = 0
    selected: int = 0
    listed: tuple[str, ...] = ()  # the keys of what was heard when the list was opened, latest first


@dataclass(frozen=True)
class Snapshot:
    """Everything the dashboard shows, taken together.

    `player_state` is "starting", "playing", "no device", "suspended", "stream muted", "device muted" or "stopped";
    `ambience` is the sound under the music and its volume in percent; `recording` is the file being written, else
    empty. `target` is in segments, `target_lufs` the loudness of what is played. `history` is what was heard, the
    latest last, with what plays now; `continuing`: this piece is kept going. `waited_s`: how long fresh pieces were
    ready before they were played, the latest last.
    """

    mixer: MixerSnapshot = field(default_factory=MixerSnapshot)
    generator: GeneratorSnapshot = field(default_factory=GeneratorSnapshot)
    spool: SpoolSnapshot = field(default_factory=SpoolSnapshot)
    controls: ControlsView = ControlsView()
    station: Station = NO_STATION
    stations: tuple[Station, ...] = ()
    prompt: str = ""
    target: int = 3
    target_lufs: float = -23.0
    crossfade_s: float = 0.0
    player_state: str = "starting"
    ambience: tuple[str, int] = ("off", 0)
    recording: str = ""
    liked: bool = False
    continuing: bool = False
    timer: TimerView | None = None
    wall: str = ""
    uptime_s: float = 0.0
    uninterrupted_s: float = 0.0
    notices: tuple[Notice, ...] = ()
    history: tuple[Heard, ...] = ()
    depth_history: tuple[int, ...] = ()
    waited_s: tuple[float, ...] = ()

    @property
    def buffer_s(self) -> float:
        """Seconds until the fresh music that is there has been heard, fades taken off."""
        playing = self.mixer.playing
        left_s = (playing.total_s or 0.0) - playing.elapsed_s if playing.source is Source.FRESH else 0.0
        return max(0.0, left_s) + sum(max(0.0, info.audible_s - self.crossfade_s) for info in self.spool.ready)

    @property
    def typically_waited_s(self) -> float | None:
        """The median of `waited_s`, None before the first."""
        return statistics.median(self.waited_s) if self.waited_s else None


def shows(*names: str) -> Callable[[Part], Part]:
    """Have a part of the screen made anew only when one of those fields of the snapshot has changed, or its place.

    Most of a picture is as in the one before, and to make it costs far more than to compare. What is returned is not
    to be changed. Threads: the screen's.
    """
    look = operator.attrgetter(*names)

    def kept(make: Part) -> Part:
        @functools.wraps(make)
        def made(snapshot: Snapshot, *place: object) -> object:
            seen = look(snapshot), place
            last = LAST_MADE.get(make)
            if last is None or last[0] != seen:
                last = LAST_MADE[make] = seen, make(snapshot, *place)
            return last[1]

        return cast("Part", made)

    return kept
