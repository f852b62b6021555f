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
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:  # importing numpy takes longer than opening the loudspeaker: not for a name in annotations
    import numpy as np
    import numpy.typing as npt
    from _typeshed import DataclassInstance

    from music.packed import Packed

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
class Context:
    """The part of a segment that the next one is asked to continue, in frames of its file.

    `canvas_frames` is what the model is given: that part, and silence for it to fill.
    """

    segment_id: str
    begin_frames: int
    end_frames: int
    canvas_frames: int

    @property
    def length_frames(self) -> int:
        """Frames of the context itself."""
        return self.end_frames - self.begin_frames


@dataclass(frozen=True)
class Recipe:
    """What a segment is asked to be. `bpm` and `seed` None, empty key and signature: the model chooses.

    `continues` None: a piece of its own; else `duration_s` counts from the end of the context.
    """

    station: str
    prompt: str
    duration_s: float
    bpm: int | None = None
    key_scale: str = ""
    time_signature: str = ""
    seed: int | None = None
    continues: Context | None = None

    @property
    def bar_s(self) -> float | None:
        """Seconds of a bar, None where the tempo is the model's choice."""
        return 60.0 * (3 if self.time_signature[:1] in ("3", "6") else 4) / self.bpm if self.bpm else None

    @property
    def canvas_s(self) -> float:
        """Seconds that the model has to make, which is what a job's time follows."""
        return self.continues.canvas_frames / SAMPLE_RATE_HZ if self.continues else self.duration_s

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Recipe:
        """Return what `asdict` took apart. Raises TypeError or ValueError on anything else."""
        context = fields.get("continues")
        return cls(**{**fields, "continues": Context(**context) if context else None})


@dataclass(frozen=True)
class Continuation:
    """How a segment goes on with the one before it, so that the two are one piece of music.

    Its first frame falls on frame `at_frames` of the file of `segment_id`, and takes over there by a linear fade of
    `fade_frames` (0: at the sample). `piece_id` names the piece's first segment, `begins_s` says how long the piece
    has lasted by then. The whole piece has one gain: that of the first segment, which follows from its `loudness_lufs`
    and `peak_dbfs`; and `gain_db` brings this file to the first one's level.
    """

    segment_id: str
    at_frames: int
    fade_frames: int
    piece_id: str
    begins_s: float
    loudness_lufs: float
    peak_dbfs: float
    gain_db: float


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
    continues: Continuation | None = None

    @property
    def piece_id(self) -> str:
        """The id of the segment that the piece began with: its own, unless it continues another."""
        return self.continues.piece_id if self.continues else self.segment_id

    @property
    def begins_s(self) -> float:
        """How long the piece has lasted when this segment of it begins."""
        return self.continues.begins_s if self.continues else 0.0

    @property
    def audible_s(self) -> float:
        """Seconds between the cue points."""
        return (self.cue_out_frames - self.cue_in_frames) / SAMPLE_RATE_HZ

    def to_json(self) -> str:
        """Serialise as one line of ASCII JSON."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> SegmentInfo:
        """Parse what `to_json` wrote. Raises ValueError on anything else, also on fields of another type."""
        try:
            read = json.loads(text)
            before = read.get("continues")
            recipe, continues = Recipe.from_fields(read["recipe"]), Continuation(**before) if before else None
            info = cls(**{**read, "recipe": recipe, "continues": continues})
            _check_types(info)
        except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
            raise ValueError(f"not the metadata of a segment: {error}") from error
        return info


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "int | None": (int, NoneType),
    "float | None": (int, float, NoneType),
}
_LARGEST: Final = 1e12


def _check_types(value: DataclassInstance) -> None:
    """Raise TypeError where a field is not of its type, ValueError for a figure that cannot be counted with."""
    for field in fields(value):
        given = getattr(value, field.name)
        if is_dataclass(given) and not isinstance(given, type):
            _check_types(given)
        elif not isinstance(given, _KINDS.get(str(field.type), (NoneType,))) or isinstance(given, bool):
            raise TypeError(f"{field.name} = {given!r:.60}")
        elif isinstance(given, (int, float)) and not -_LARGEST <= given <= _LARGEST:
            raise ValueError(f"{field.name} is out of range")


class Growth:
    """How far a piece is made. Threads: written by who makes it, read by any."""

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames
        self.ended = threading.Event()


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio ready to mix: cut at its cue points and levelled. Compared by identity.

    `key` names the spool entry (or the built-in seed) that it was made from; `parts` are the (first, end) frames of it
    that are left, () for all. For VLC's own list it is a file: `path`, which is `temporary` where it is nobody else's;
    then there may be no `samples`.
    """

    samples: Samples | Packed
    source: Source
    key: str
    info: SegmentInfo | None = None
    growth: Growth | None = None
    parts: tuple[tuple[int, int], ...] = ()
    path: Path | None = None
    temporary: bool = False

    @property
    def ready_frames(self) -> int:
        """How much of `samples` can be heard: what is behind it is still being made, or never will be."""
        return self.growth.frames if self.growth else len(self.samples)

    def position_of(self, frame: int) -> int | None:
        """Return where a frame of the file is heard in the piece, None where it was cut out."""
        position = 0
        for first, end in self.parts or ((0, len(self.samples)),):
            if first <= frame < end:
                return position + frame - first
            position += end - first
        return None


@dataclass(frozen=True, eq=False)
class Performance:
    """A piece that is made while it is heard: `frames` in `stretches`; `opening_frames` are enough to begin with.

    `loudness_lufs` and `peak_dbfs` are what pieces usually have; `bpm` is the tempo chosen.
    """

    frames: int
    opening_frames: int
    stretches: Iterator[Samples]
    loudness_lufs: float
    peak_dbfs: float
    bpm: int | None = None


class Endless(Protocol):
    """A source that can always give more, never above `peak`."""

    peak: float

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo."""
        ...
