"""What the mixer adds up: a piece as far as it was read, or the bed, and what lies quietly under the whole programme.

Under it, whatever plays above, is rain, a café, nothing. All are heard by gains that move along a ramp.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from music.metering import loudest
from music.segment import CHANNELS, PEAK_LIMIT, SAMPLE_RATE_HZ, Endless, Piece, Samples, Source
from programme.programme import Beginning, PlayingView

CHANGE_S: Final = 1.5  # of what lies under the programme


def frames_of(bed: Endless, n_frames: int) -> Samples:
    """Return the next `n_frames` of a bed as an array, shape (n_frames, 2)."""
    return np.frombuffer(bed.read(n_frames), np.float32).reshape(-1, CHANNELS)


class Ramp:
    """A gain that moves to its target along a straight line, `full_frames` for a move from 0 to 1."""

    def __init__(self, value: float, full_frames: int) -> None:
        self.target = value
        self._full_frames = full_frames
        self._start, self._position, self._length = value, 0, 0

    @property
    def value(self) -> float:
        """The gain now."""
        if self._position >= self._length:
            return self.target
        return self._start + (self.target - self._start) * self._position / self._length

    @property
    def left_frames(self) -> int:
        """Frames until the target is reached."""
        return self._length - self._position

    def move(self, target: float, full_frames: int | None = None) -> None:
        """Head for `target` from wherever the gain is now."""
        self._start, self.target, self._position = self.value, target, 0
        self._length = max(1, round(abs(target - self._start) * (full_frames or self._full_frames)))

    def apply(self, block: Samples) -> None:
        """Multiply `block` in place and advance."""
        n_frames = 0
        if self._position < self._length:
            n_frames = min(len(block), self.left_frames)
            steps = np.arange(self._position + 1, self._position + n_frames + 1)
            gains = self._start + (self.target - self._start) * (steps / self._length)
            block[:n_frames] *= gains.astype(np.float32)[:, None]
            self._position += n_frames
        if self.target != 1.0:
            block[n_frames:] *= np.float32(self.target)


class Voice:
    """A piece, or the bed where `piece` is None, and how far it has been read.

    `gain` is at most 1; `beginning` are the powers of what is heard at first, with what fades out meanwhile.
    """

    def __init__(
        self, piece: Piece | None, bed: Endless, position_frames: int = 0, gain: float = 1.0, *, asked: bool = False
    ) -> None:
        self.piece = piece
        self.asked = asked
        self.gain = gain
        self.beginning = np.zeros(0)
        self.position_frames = position_frames
        self._bed = bed

    @property
    def source(self) -> Source:
        """Where it comes from."""
        return self.piece.source if self.piece else Source.BED

    @property
    def heard(self) -> npt.NDArray[np.float64] | None:
        """The powers of what is heard meanwhile, as far as they are known."""
        powers = self.piece.ready_powers if self.piece else None
        return None if powers is None else np.append(self.beginning, self.gain**2 * powers[len(self.beginning) :])

    @property
    def remaining_frames(self) -> int | None:
        """Frames to the end; None for the bed, which has none."""
        return self.piece.ready_frames - self.position_frames if self.piece else None

    @property
    def begins(self) -> str:
        """The id of the segment that this is the beginning of, "" where it is not, or not any more."""
        return self._bed.segment_id if not self.piece and isinstance(self._bed, Beginning) else ""

    def place_in(self, piece: Piece, n_frames: int) -> int | None:
        """Return the frame of `piece` where this has come to as its beginning; None unless `n_frames` follow there.

        In a rest that was cut out, that is what comes behind the rest.
        """
        bed = self._bed
        if not isinstance(bed, Beginning) or not piece.info or self.begins != piece.info.segment_id:
            return None
        parts = piece.parts or ((0, len(piece.samples)),)
        position = sum(max(0, min(end, bed.at_frame) - first) for first, end in parts)
        return position if position + n_frames <= piece.ready_frames else None

    def view(self, rate_hz: int) -> PlayingView:
        """Return what the screen shows of it."""
        elapsed_s, piece = self.position_frames / rate_hz, self.piece
        if piece is None:
            return PlayingView(Source.BED, elapsed_s=elapsed_s, asked=self.asked)
        return PlayingView.of(piece, elapsed_s, len(piece.samples) / rate_hz, asked=self.asked)

    def peak(self, n_frames: int) -> float:
        """Largest magnitude in the next `n_frames`."""
        if not self.piece:
            return self._bed.peak
        samples, end = self.piece.samples, min(self.position_frames + n_frames, len(self.piece.samples))
        begins = range(self.position_frames, end, SAMPLE_RATE_HZ)  # the memory for all would be fetched anew
        peaks = (loudest(samples[begin : min(begin + SAMPLE_RATE_HZ, end)]) for begin in begins)
        return self.gain * max(peaks, default=0.0)

    def read_into(self, block: Samples) -> None:
        """Read on, until `block` is full."""
        begin = self.position_frames
        self.position_frames += len(block)
        if not self.piece:
            block[:] = frames_of(self._bed, len(block))
        elif isinstance(samples := self.piece.samples, np.ndarray):
            np.multiply(samples[begin : self.position_frames], np.float32(self.gain), out=block)
        else:
            samples.read_into(block, begin, self.gain)


class Underlay:
    """An endless sound under others; one that follows another is faded in while that one fades out.

    Threads: the mixer's reader.
    """

    def __init__(self, rate_hz: int) -> None:
        self._change_frames = round(CHANGE_S * rate_hz)
        self._sounds: list[tuple[Endless, Ramp]] = []

    def lay(self, sound: Endless | None, gain: float) -> None:
        """Move to `sound` at `gain` (linear), or to none, along a ramp; the same sound goes on."""
        if sound and all(one is not sound for one, _ in self._sounds):
            self._sounds.append((sound, Ramp(0.0, self._change_frames)))
        for one, ramp in self._sounds:
            ramp.move(gain if one is sound else 0.0, self._change_frames)

    def add_to(self, block: Samples) -> None:
        """Add the sound to `block` in place; where the sum would pass PEAK_LIMIT, the sound gives way."""
        if not self._sounds:
            return
        mixed = block.copy()
        for sound, ramp in self._sounds:
            n_frames = len(block) if ramp.target else min(len(block), ramp.left_frames)
            part = frames_of(sound, n_frames).copy()
            ramp.apply(part)
            mixed[:n_frames] += part
        np.clip(mixed, np.minimum(block, -PEAK_LIMIT), np.maximum(block, PEAK_LIMIT), out=block)
        self._sounds = [(sound, ramp) for sound, ramp in self._sounds if ramp.target or ramp.left_frames > 0]
