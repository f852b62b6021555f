"""What the composer writes and the players sound: notes, parts and form of one piece, as plain values.

Time is in seconds from the piece's first bar line, which is its first sample. The tempo never changes. A note's time
is when it is *played*: swing, the part's own place in the beat and the human hand are in it, nothing is added later.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from builtin.styles import Style
from music.segment import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float32]
"""Sound while it is made: planar, shape (2, n_frames)."""


class Role(enum.Enum):
    """What a part does in the piece."""

    CHORDS = "chords"
    PAD = "pad"
    BASS = "bass"
    DRUMS = "drums"
    LEAD = "lead"
    ARPEGGIO = "arpeggio"


class Articulation(enum.Enum):
    """How a note is played: with its instrument's own attack; bound to the note before it; damped at once."""

    NORMAL = "normal"
    LEGATO = "legato"
    MUTED = "muted"


class Drum(enum.IntEnum):
    """The strokes of a kit, by their General MIDI key number: the pitch of a drum note."""

    KICK = 36
    RIM = 37
    SNARE = 38
    BRUSH = 40
    HAT = 42
    PEDAL = 44
    TOM_LOW = 45
    OPEN_HAT = 46
    TOM = 48
    RIDE = 51
    CONGA = 63
    CONGA_LOW = 64
    SHAKER = 70


@dataclass(frozen=True, slots=True)
class Note:
    """One stroke of the part named `part`. `pitch` is a MIDI number, `velocity` 0..1 (see `amplitude`)."""

    part: str
    pitch: int
    start_s: float
    length_s: float
    velocity: float
    articulation: Articulation = Articulation.NORMAL

    @property
    def frame(self) -> int:
        """The frame it begins at."""
        return round(self.start_s * SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class Part:
    """Who plays: `instrument` names a voice; `pan` -1 left to 1 right; `send` is the share that goes to the room."""

    name: str
    role: Role
    instrument: str
    gain_db: float = 0.0
    pan: float = 0.0
    send: float = 1.0


@dataclass(frozen=True)
class Section:
    """A stretch of the form: `energy` 0..1 decides who plays and how loud."""

    name: str
    first_bar: int
    bars: int
    energy: float


@dataclass(frozen=True)
class Chord:
    """What sounds together from `start_s` on: `voicing` without the bass, lowest first, and the bass note's pitch."""

    symbol: str
    start_s: float
    length_s: float
    voicing: tuple[int, ...]
    bass: int


@dataclass(frozen=True)
class Score:
    """A composed piece of `bars` whole bars and, behind them, `tail_s` to be faded over the next piece's beginning.

    `bpm` is the tempo asked for, `pulse_bpm` the same halved or doubled to where a player feels the beat; a bar has
    `beats` of these. `tonic` is a pitch class, `mode` "major" or "minor". `notes` are sorted by their start. `texture`
    is what lies under it ("": nothing), at the level of its `style`.
    """

    station: str
    seed: int
    bpm: float
    pulse_bpm: float
    beats: int
    bars: int
    tail_s: float
    tonic: int
    mode: str
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    chords: tuple[Chord, ...]
    notes: tuple[Note, ...]
    style: Style
    texture: str

    @property
    def bar_s(self) -> float:
        """Length of a bar."""
        return self.beats * 60 / self.pulse_bpm

    @property
    def duration_s(self) -> float:
        """Length of the whole piece."""
        return self.bars * self.bar_s + self.tail_s

    @property
    def frames(self) -> int:
        """Length of the whole piece in frames."""
        return round(self.duration_s * SAMPLE_RATE_HZ)

    @property
    def written_bars(self) -> int:
        """How many bars are written: as many as it has, and those that its tail begins."""
        return self.bars + math.ceil(self.tail_s / self.bar_s)

    def section(self, bar: int) -> Section:
        """Return the section of `bar`; behind the end it is the last."""
        return next((each for each in self.sections if bar < each.first_bar + each.bars), self.sections[-1])

    def bar_frame(self, bar: int) -> int:
        """Return the frame at which `bar` begins; that of a bar behind the end is the end."""
        return min(self.frames, round(bar * self.bar_s * SAMPLE_RATE_HZ))


class Player(Protocol):
    """Sounds one part of a score from its beginning to its end, a stretch at a time; what rings on is its to keep.

    A note of full velocity has an RMS of about 0.1 (-20 dBFS) over its first 0.4 s, whatever the instrument.
    """

    def play(self, notes: Sequence[Note], first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames`, which begin at `first_frame` of the piece; `notes` are those that start in them.

        The stretches follow one another without a gap, and their lengths are the same at every rendering. A new array.
        """


def amplitude(velocity: float) -> float:
    """Return the amplitude of a velocity of 0..1: its square, as General MIDI level 2 and SoundFonts have it."""
    return velocity * velocity


def velocity_of(level_db: float) -> float:
    """Return the velocity that is `level_db` below full."""
    return float(10 ** (level_db / 40))
