"""What the mixer reads from: a piece as far as it was read, or the bed."""

from __future__ import annotations

import numpy as np

from music.segment import CHANNELS, Endless, Piece, Samples, Source


def frames_of(bed: Endless, n_frames: int) -> Samples:
    """Return the next `n_frames` of a bed as an array, shape (n_frames, 2)."""
    return np.frombuffer(bed.read(n_frames), np.float32).reshape(-1, CHANNELS)


class Voice:
    """A piece, or the bed where `piece` is None, and how far it has been read.

    `gain` is at most 1; `heard` are the powers of what is heard meanwhile, None where they are not known.
    """

    def __init__(self, piece: Piece | None, bed: Endless, *, asked: bool = False) -> None:
        self.piece = piece
        self.asked = asked
        self.gain = 1.0
        self.heard = piece.powers if piece else None
        self.position_frames = 0
        self._bed = bed

    @property
    def source(self) -> Source:
        """Where it comes from."""
        return self.piece.source if self.piece else Source.BED

    @property
    def remaining_frames(self) -> int | None:
        """Frames to the end; None for the bed, which has none."""
        return self.piece.ready_frames - self.position_frames if self.piece else None

    def peak(self, n_frames: int) -> float:
        """Largest magnitude in the next `n_frames`."""
        if not self.piece:
            return self._bed.peak
        ahead = self.piece.samples[self.position_frames : self.position_frames + n_frames]
        return self.gain * float(np.abs(ahead).max(initial=0.0))

    def take(self, n_frames: int) -> Samples:
        """Read on."""
        begin = self.position_frames
        self.position_frames += n_frames
        if not self.piece:
            return frames_of(self._bed, n_frames)
        samples = self.piece.samples[begin : self.position_frames]
        return samples if self.gain == 1.0 else samples * np.float32(self.gain)
