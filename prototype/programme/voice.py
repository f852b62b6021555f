"""What the mixer reads from: a piece as far as it was read, or the bed."""

from __future__ import annotations

import numpy as np

from music.segment import CHANNELS, Endless, Piece, Samples, Source
from programme.programme import Beginning, PlayingView


def frames_of(bed: Endless, n_frames: int) -> Samples:
    """Return the next `n_frames` of a bed as an array, shape (n_frames, 2)."""
    return np.frombuffer(bed.read(n_frames), np.float32).reshape(-1, CHANNELS)


class Voice:
    """A piece, or the bed where `piece` is None, and how far it has been read.

    `gain` is at most 1; `heard` are the powers of what is heard meanwhile, None where they are not known.
    """

    def __init__(
        self, piece: Piece | None, bed: Endless, position_frames: int = 0, gain: float = 1.0, *, asked: bool = False
    ) -> None:
        self.piece = piece
        self.asked = asked
        self.gain = gain
        self.heard = gain**2 * piece.powers if piece and piece.powers is not None else None
        self.position_frames = position_frames
        self._bed = bed

    @property
    def source(self) -> Source:
        """Where it comes from."""
        return self.piece.source if self.piece else Source.BED

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
        piece = self.piece
        return PlayingView(
            source=self.source,
            key=piece.key if piece else "",
            info=piece.info if piece else None,
            elapsed_s=self.position_frames / rate_hz,
            total_s=len(piece.samples) / rate_hz if piece else None,
            asked=self.asked,
        )

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
