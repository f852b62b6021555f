"""What can be seen of the program at one moment: taken by the modules that own the state, shown by the screen.

Frozen, without behaviour; units stand in the names, as in `values`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from notices import Notice
from values import SegmentInfo, Source

UNHEARD: Final = ("no device", "suspended", "stream muted", "device muted")
"""The states of the player in which nothing reaches the listener's ears."""


@dataclass(frozen=True)
class PlayingView:
    """What is heard now."""

    source: Source
    key: str = ""
    info: SegmentInfo | None = None
    elapsed_s: float = 0.0
    total_s: float | None = None


@dataclass(frozen=True)
class MixerSnapshot:
    """The programme at one moment. The counters are frames since the start.

    `levels_db` holds recent block levels (RMS, dBFS, oldest first) for a meter.
    """

    playing: PlayingView = PlayingView(Source.BED)
    fading: bool = False
    paused: bool = False
    resting: bool = False
    muted: bool = False
    volume: float = 1.0
    stock: dict[Source, int] = field(default_factory=dict)
    frames: dict[Source, int] = field(default_factory=dict)
    paused_frames: int = 0
    silent_frames: int = 0
    longest_silence_s: float = 0.0
    levels_db: tuple[float, ...] = ()


@dataclass(frozen=True)
class JobView:
    """One job in flight. `progress` is 0..1, or None where the server does not say."""

    label: str
    duration_s: float
    stage: str
    age_s: float
    progress: float | None = None
    queue_position: int | None = None


@dataclass(frozen=True)
class GeneratorSnapshot:
    """The making of music at one moment.

    `factor` is generation seconds per audible second (below 1: faster than playback), None before the first.
    `server` is one of "connecting", "up", "loading", "unwell", "down", "restarting", "refused", "off".
    """

    server: str = "connecting"
    server_detail: str = ""
    jobs: tuple[JobView, ...] = ()
    produced: int = 0
    retries: int = 0
    failures: int = 0
    rejected: int = 0
    lost: int = 0
    last_generation_s: float | None = None
    median_generation_s: float | None = None
    last_wait_s: float | None = None
    factor: float | None = None
    duration_s: float = 30.0
    generation_history_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class SpoolSnapshot:
    """The shelves at one moment: the queue first to play first."""

    ready: tuple[SegmentInfo, ...] = ()
    played: int = 0
    kept: int = 0
    size_mb: float = 0.0
    writable: bool = True

    @property
    def ready_s(self) -> float:
        """Audible seconds that are ready."""
        return sum(info.audible_s for info in self.ready)


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

    mixer: MixerSnapshot = MixerSnapshot()
    generator: GeneratorSnapshot = GeneratorSnapshot()
    spool: SpoolSnapshot = SpoolSnapshot()
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
