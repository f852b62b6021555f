"""The form of all audio in the program, and the values about it that travel between modules: frozen, little behaviour.

Units stand in the names: `_frames` are sample frames at SAMPLE_RATE_HZ, `_s` seconds, `_db` decibels, `_lufs` loudness
by ITU-R BS.1770. Times called `_at` are `Clock.now()` seconds (monotonic).
"""

from __future__ import annotations

import enum
import functools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:  # importing numpy takes longer than opening the loudspeaker: not for a name in annotations
    import numpy as np
    import numpy.typing as npt

    from music.audio_files import Packed

SAMPLE_RATE_HZ: Final = 48_000
CHANNELS: Final = 2
PEAK_LIMIT_DBFS: Final = -1.0  # of every sample, the sums in an overlap included
PEAK_LIMIT: Final = 10 ** (PEAK_LIMIT_DBFS / 20)
MAX_GAIN_DB: Final = 20.0  # beyond, it is the noise that would be levelled
EASE_DB: Final = 2.0

RANGES: Final = {
    "_frames": (0, 10**10), "_s": (0, 10**9), "_db": (-300, 300), "_dbfs": (-300, 300), "_lufs": (-300, 300),
    "bpm": (1, 1000), "seed": (-(2**64), 2**64),
}  # fmt: skip
"""What a field may hold that comes from outside, by the end of its name."""

T = TypeVar("T")
Samples: TypeAlias = "npt.NDArray[np.float32]"
"""Audio: float32, shape (n_frames, 2), nominally in [-1, 1], at SAMPLE_RATE_HZ."""
Audio: TypeAlias = "npt.NDArray[np.float32] | Packed"
"""What slices into Samples: they themselves, or what is held as 16 bits."""


class Source(enum.Enum):
    """Where a piece comes from, best first: its name, how that looks on the screen, and the engines it plays for."""

    FRESH = "fresh", "green", ("auto", "acestep")
    LIBRARY = "library", "cyan", ("auto", "acestep")
    BUILTIN = "built-in", "magenta", ("auto", "builtin")
    BED = "bed", "dim", ()

    style: str
    engines: tuple[str, ...]

    def __new__(cls, name: str, style: str, engines: tuple[str, ...]) -> Source:
        """Make a source whose value is its name."""
        source = object.__new__(cls)
        source._value_, source.style, source.engines = name, style, engines
        return source


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
class Analysis:
    """Measurements of a segment; loudness and peak are those of the part between the cue points.

    Key ("" where unsure), tempo and the time of a beat (None) are those of `music.features`; of what the built-in
    engine plays, where both are known, that beat begins a bar.
    """

    length_frames: int
    cue_in_frames: int
    cue_out_frames: int
    loudness_lufs: float
    peak_dbfs: float
    key_scale: str = ""
    bpm: float | None = None
    beat_s: float | None = None

    @property
    def audible_s(self) -> float:
        """Seconds between the cue points."""
        return (self.cue_out_frames - self.cue_in_frames) / SAMPLE_RATE_HZ


def gain_db(loudness_lufs: float, peak_dbfs: float, target_lufs: float) -> float:
    """Return the one static gain of a segment: to the target, with its sample peak at or below -1 dBFS."""
    return min(target_lufs - loudness_lufs, PEAK_LIMIT_DBFS - peak_dbfs, MAX_GAIN_DB)


def piece_gain_db(source: Source, measured: Analysis, before: Continuation | None, target_lufs: float) -> float:
    """Return that of what a source gives, one for all of a piece; its highest peaks are eased, but for the built-in."""
    level, ease_db = before or measured, 0.0 if source is Source.BUILTIN else EASE_DB
    gain = gain_db(level.loudness_lufs, level.peak_dbfs - ease_db, target_lufs)
    return gain + (before.gain_db if before else 0.0)


@dataclass(frozen=True)
class SegmentInfo:
    """All that is known of one segment; stored as JSON inside its WAV file.

    `created_at` is ISO 8601 in UTC.
    `generation_s` runs from submit to the result; `server_wait_s` is the part spent queued there.
    """

    segment_id: str
    recipe: Recipe
    engine: str
    seed: str
    created_at: str
    analysis: Analysis
    generation_s: float | None = None
    server_wait_s: float | None = None
    continues: Continuation | None = None

    @property
    def piece_id(self) -> str:
        """The id of the segment that the piece began with: its own, unless it continues another."""
        return self.continues.piece_id if self.continues else self.segment_id

    @property
    def follows(self) -> str:
        """The id of the segment that this one goes on with, "" where it begins a piece."""
        return self.continues.segment_id if self.continues else ""

    @property
    def begins_s(self) -> float:
        """How long the piece has lasted when this segment of it begins."""
        return self.continues.begins_s if self.continues else 0.0

    @property
    def audible_s(self) -> float:
        """Seconds between the cue points."""
        return self.analysis.audible_s

    @property
    def key_scale(self) -> str:
        """The key that was measured, else the one asked for: a model often takes another."""
        return self.analysis.key_scale or self.recipe.key_scale

    @property
    def bpm(self) -> float | None:
        """The tempo that was measured, else the one asked for."""
        return self.analysis.bpm or self.recipe.bpm

    def to_json(self) -> str:
        """Serialise as one line of ASCII JSON; what was measured stands among the other fields."""
        found = asdict(self)
        return json.dumps({**found.pop("analysis"), **found}, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> SegmentInfo:
        """Parse what `to_json` wrote. Raises ValueError on anything else, also on fields of another type."""
        try:
            found = json.loads(text)
        except RecursionError as error:
            raise ValueError("not the metadata of a segment: nested too deeply") from error
        if isinstance(found, dict):
            found["analysis"] = {one.name: found.pop(one.name) for one in fields(Analysis) if one.name in found}
        info = checked(cls, found)
        _timestamp(info.created_at)
        return info


def checked(kind: type[T], found: Any) -> T:
    """Return the value that `asdict` took apart and JSON kept. Raises ValueError naming the field that cannot be.

    Fields of a later version are left out: what it wrote can be played all the same.
    """
    kinds = _kinds(kind)  # type: ignore[arg-type]  # a class is hashable
    try:
        value = kind(**{name: _field(name, kinds[name], value) for name, value in found.items() if name in kinds})
    except (TypeError, AttributeError) as error:  # a field is missing, or it has none
        raise ValueError(f"{kind.__name__}: {error}") from error
    if isinstance(value, Analysis) and not value.cue_in_frames < value.cue_out_frames <= value.length_frames:
        raise ValueError(f"cue_in_frames, cue_out_frames, length_frames: not in their order in {value}")
    if isinstance(value, Context) and not 0 < value.length_frames <= value.canvas_frames:
        raise ValueError(f"begin_frames, end_frames, canvas_frames: not in their order in {value}")
    return value


@functools.cache
def _kinds(kind: Callable[..., object]) -> dict[str, tuple[type, ...]]:
    return {name: get_args(hint) or (hint,) for name, hint in get_type_hints(kind).items()}


def _field(name: str, kinds: tuple[type, ...], value: Any) -> Any:
    if value is None and type(None) in kinds:
        return None
    if is_dataclass(kinds[0]):
        return checked(kinds[0], value)
    if kinds[0] is bool and isinstance(value, bool):
        return value
    if kinds[0] is str and isinstance(value, str):
        value.encode()  # a lone surrogate can be neither shown nor written
        return value
    least, most = next((limits for unit, limits in RANGES.items() if name.endswith(unit)), (0, 0))
    whole_or_not = (int, float) if kinds[0] is float else (int,)
    if kinds[0] is str or isinstance(value, bool) or not isinstance(value, whole_or_not) or not least <= value <= most:
        raise ValueError(f"{name}: {value!r:.80} cannot be")
    return kinds[0](value)


def _timestamp(text: str) -> None:
    """Raise ValueError unless it is a time that this machine can show."""
    import datetime

    try:
        datetime.datetime.fromisoformat(text).astimezone()
    except (OverflowError, OSError) as error:
        raise ValueError(f"created_at: {text!r:.80} cannot be shown") from error


class Growth:
    """How far a piece is made, and the `powers` of that. Threads: written by who makes it, read by any.

    `ended`: it is whole, or no more of it is made unless it is heard again.
    """

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames
        self.powers: npt.NDArray[np.float64] | None = None
        self.ended = threading.Event()


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio ready to mix: cut at its cue points and levelled. Compared by identity.

    `key` names the spool entry (or the built-in seed) that it was made from; `parts` are the (first, end) frames of it
    that are left, () for all; `powers` those of `metering.step_powers`, None where they are not known. `sound` is
    what was measured of the file. For VLC's own list it is a file: `path`, which is `temporary` where it is nobody
    else's; then there may be no `samples`. `title` is that of a listener's own file.
    """

    samples: Audio
    source: Source
    key: str
    info: SegmentInfo | None = None
    growth: Growth | None = None
    parts: tuple[tuple[int, int], ...] = ()
    powers: npt.NDArray[np.float64] | None = None
    sound: Analysis | None = None
    path: Path | None = None
    temporary: bool = False
    title: str = ""

    @property
    def ready_frames(self) -> int:
        """How much of `samples` can be heard: what is behind it is still being made, or never will be."""
        return self.growth.frames if self.growth else len(self.samples)

    @property
    def ready_powers(self) -> npt.NDArray[np.float64] | None:
        """The `powers` as far as they are known."""
        return self.growth.powers if self.growth else self.powers

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
