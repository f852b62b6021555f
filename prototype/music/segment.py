"""Values that travel between modules: frozen, without behaviour of their own.

Units stand in the names: `_frames` are sample frames at pcm.SAMPLE_RATE_HZ, `_s` seconds, `_db` decibels,
`_lufs` loudness by ITU-R BS.1770. Times called `_at` are `Clock.now()` seconds (monotonic).

The form of all audio in the program: what a frame is, and how many there are in a second.
"""

from __future__ import annotations

import enum
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # importing numpy takes longer than opening the loudspeaker: not for a name in annotations
    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 48_000
CHANNELS: Final = 2

Samples: TypeAlias = "npt.NDArray[np.float32]"
"""Audio: float32, shape (n_frames, 2), nominally in [-1, 1], at SAMPLE_RATE_HZ."""


class Source(enum.Enum):
    """Where a piece comes from, best first."""

    FRESH = "fresh"
    LIBRARY = "library"
    BUILTIN = "built-in"
    BED = "bed"


@dataclass(frozen=True)
class Recipe:
    """What a segment is asked to be. `bpm` and `seed` None, empty key and signature: the model chooses."""

    station: str
    prompt: str
    duration_s: float
    bpm: int | None = None
    key_scale: str = ""
    time_signature: str = ""
    seed: int | None = None


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


class Growth:
    """How far a piece is made. Threads: written by who makes it, read by any."""

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames
        self.ended = threading.Event()


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio ready to mix: cut at its cue points and levelled. Compared by identity.

    `key` names the spool entry (or the built-in seed) that it was made from.
    """

    samples: Samples
    source: Source
    key: str
    info: SegmentInfo | None = None
    growth: Growth | None = None

    @property
    def ready_frames(self) -> int:
        """How much of `samples` can be heard: what is behind it is still being made, or never will be."""
        return self.growth.frames if self.growth else len(self.samples)


@dataclass(frozen=True, eq=False)
class Performance:
    """A piece that is made while it is heard: `frames` in `stretches`; `opening_frames` are enough to begin with.

    `loudness_lufs` and `peak_dbfs` are what pieces usually have.
    """

    frames: int
    opening_frames: int
    stretches: Iterator[Samples]
    loudness_lufs: float
    peak_dbfs: float


@dataclass(frozen=True)
class QueuedFile:
    """A file for VLC's own list. `key` names the spool entry it comes from."""

    path: Path
    key: str
    source: Source
    info: SegmentInfo | None = None
