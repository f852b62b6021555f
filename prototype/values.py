"""Values that travel between modules: frozen, without behaviour of their own.

Units stand in the names: `_frames` are sample frames at SAMPLE_RATE_HZ, `_s` seconds, `_db` decibels,
`_lufs` loudness by ITU-R BS.1770. Times called `_at` are `Clock.now()` seconds (monotonic).
"""

from __future__ import annotations

import enum
import json
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:  # importing numpy takes longer than opening the loudspeaker: not for a name in annotations
    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 48_000
CHANNELS: Final = 2

Samples: TypeAlias = "npt.NDArray[np.float32]"
"""Audio: float32, shape (n_frames, 2), nominally in [-1, 1], at SAMPLE_RATE_HZ."""


class Clock(Protocol):
    """The only source of time and of waiting, so that tests can stand in for both."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` has passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(max(0.0, timeout_s))


class Source(enum.Enum):
    """Where a piece comes from, best first."""

    FRESH = "fresh"
    LIBRARY = "library"
    BUILTIN = "built-in"
    BED = "bed"


@dataclass(frozen=True)
class Recipe:
    """What a segment is asked to be. `bpm` None, empty key and signature: the model chooses."""

    station: str
    prompt: str
    duration_s: float
    bpm: int | None = None
    key_scale: str = ""
    time_signature: str = ""


@dataclass(frozen=True)
class SegmentInfo:
    """All that is known of one segment; stored as JSON inside its WAV file.

    `cue_in_frames` and `cue_out_frames` bound the audible part; `created_at` is ISO 8601 in UTC.
    `generation_s` runs from submit to the result; `server_wait_s` is the part spent queued there.
    """

    segment_id: str
    recipe: Recipe
    engine: str
    seed: str
    created_at: str
    length_frames: int
    cue_in_frames: int
    cue_out_frames: int
    loudness_lufs: float
    peak_dbfs: float
    generation_s: float | None = None
    server_wait_s: float | None = None

    @property
    def audible_s(self) -> float:
        """Seconds between the cue points."""
        return (self.cue_out_frames - self.cue_in_frames) / SAMPLE_RATE_HZ

    def to_json(self) -> str:
        """Serialise as one line of ASCII JSON."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> SegmentInfo:
        """Parse what `to_json` wrote. Raises ValueError on anything else."""
        try:
            fields = json.loads(text)
            return cls(**{**fields, "recipe": Recipe(**fields["recipe"])})
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not the metadata of a segment: {error}") from error


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio ready to mix: cut at its cue points and levelled. Compared by identity.

    `key` names the spool entry (or the built-in seed) that it was made from.
    """

    samples: Samples
    source: Source
    key: str
    info: SegmentInfo | None = None


@dataclass(frozen=True)
class QueuedFile:
    """A file for VLC's own list. `key` names the spool entry it comes from."""

    path: Path
    key: str
    source: Source
    info: SegmentInfo | None = None


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
    `server` is one of "connecting", "up", "loading", "down", "refused", "off".
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
class Notice:
    """One calm line for a person. `key` and `args` name a text in `messages`."""

    level: str
    key: str
    args: tuple[tuple[str, object], ...]
    at: float
    wall: str


@dataclass(frozen=True)
class Snapshot:
    """Everything the dashboard shows, taken together.

    `player_state` is "starting", "playing", "no device" or "stopped"; `recording` is the file being written, else
    empty. `mode`, `typed`, `typed_limit` and `selected` are what `controls` is in the middle of.
    """

    mixer: MixerSnapshot = MixerSnapshot()
    generator: GeneratorSnapshot = GeneratorSnapshot()
    spool: SpoolSnapshot = SpoolSnapshot()
    station: str = ""
    station_title: str = ""
    prompt: str = ""
    target: int = 3
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
