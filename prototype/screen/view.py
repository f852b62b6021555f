"""What can be seen of the program at one moment: taken by the modules that own the state, shown by the screen.

Frozen, without behaviour; units stand in the names, as in `values`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from base.notices import Notice
from generation.jobs import GeneratorSnapshot
from programme.mixer import MixerSnapshot
from spool.spool import SpoolSnapshot


@dataclass(frozen=True)
class TimerView:
    """A running timer: `phase` is "work", "break" or "ending"; `round` is 0 without pomodoro.

    `remaining_s` is until the phase ends, `ends_in_s` until the session ends (None: it does not).
    """

    phase: str
    remaining_s: float
    round: int = 0
    ends_in_s: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """Everything the dashboard shows, taken together.

    `player_state` is "starting", "playing", "no device", "suspended", "stream muted", "device muted" or "stopped";
    `recording` is the file being written, else empty. `target` is in segments, `target_lufs` the loudness of what is
    played. `mode`, `typed`, `typed_limit` and `selected` are what `controls` is in the middle of.
    """

    mixer: MixerSnapshot = field(default_factory=MixerSnapshot)
    generator: GeneratorSnapshot = field(default_factory=GeneratorSnapshot)
    spool: SpoolSnapshot = field(default_factory=SpoolSnapshot)
    station: str = ""
    station_title: str = ""
    prompt: str = ""
    target: int = 3
    target_lufs: float = -23.0
    player_state: str = "starting"
    recording: str = ""
    liked: bool = False
    timer: TimerView | None = None
    uptime_s: float = 0.0
    uninterrupted_s: float = 0.0
    notices: tuple[Notice, ...] = ()
    depth_history: tuple[int, ...] = ()
    mode: str = "main"
    typed: str = ""
    typed_limit: int = 511
    choices: tuple[tuple[str, str], ...] = ()
    selected: int = 0


UNHEARD: Final = ("no device", "suspended", "stream muted", "device muted")


@dataclass(frozen=True)
class ControlsView:
    """What the screen shows of the controls; the fields are those of `snapshots.Snapshot`."""

    mode: str = "main"
    typed: str = ""
    selected: int = 0
