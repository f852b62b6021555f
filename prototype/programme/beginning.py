"""What is heard before there is a programme, with the standard library alone: the beginning of the first piece."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from music.segment import CHANNELS, PEAK_LIMIT, Endless, SegmentInfo, Source


@dataclass(frozen=True)
class First:
    """The piece that is heard first: `gain` is the programme's for its samples, linear."""

    source: Source
    info: SegmentInfo
    frames: array[int]
    gain: float


class Beginning:
    """The beginning of a piece, if there is one, and what is heard behind it: an `Endless`.

    The programme goes on with the piece from where this has come to; what is chosen otherwise by then is faded over to.

    Threads: one reader.
    """

    def __init__(self, first: First | None, behind: Endless) -> None:
        self.first = first
        self.peak = max(PEAK_LIMIT, behind.peak) if first else behind.peak
        self._behind = behind
        self._read = 0

    @property
    def segment_id(self) -> str:
        """The id of what is being heard, "" when its beginning is over, or there was none."""
        return self.first.info.segment_id if self.first and self._read < len(self.first.frames) else ""

    @property
    def at_frame(self) -> int:
        """The frame of its file that is heard next."""
        return self._read // CHANNELS + (self.first.info.analysis.cue_in_frames if self.first else 0)

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo."""
        wanted, made = CHANNELS * n_frames, b""
        if self.first:
            scale, frames = self.first.gain / 32768, self.first.frames[self._read : self._read + wanted]
            self._read += len(frames)
            values = [scale * value for value in frames]
            if max(map(abs, values), default=0.0) > PEAK_LIMIT:  # the few that the programme eases down
                values = [max(-PEAK_LIMIT, min(PEAK_LIMIT, value)) for value in values]
            made = array("f", values).tobytes()
            wanted -= len(values)
        return made + self._behind.read(wanted // CHANNELS) if wanted else made
