"""What the programme sounds like, watched as it is made: levels for the eye, silences for the record."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from pcm import CHANNELS, Samples

SILENCE_LEVEL: Final = 10 ** (-60.0 / 20)  # amplitude at -60 dBFS
SILENCE_S: Final = 0.25  # shorter rests are music
METER_S: Final = 0.2  # a bar of the waveform
METER_LENGTH: Final = 100


class Meter:
    """Watches what the programme sounds like: block levels, and silence as a listener would call it."""

    def __init__(self, rate_hz: int) -> None:
        self.levels_db: deque[float] = deque(maxlen=METER_LENGTH)
        self.silent_frames = 0
        self.longest_frames = 0
        self._window_frames = max(1, int(METER_S * rate_hz))
        self._silence_frames = max(1, int(SILENCE_S * rate_hz))
        self._run = 0
        self._power = 0.0
        self._seen = 0

    def watch(self, block: Samples) -> None:
        """Take in the next block. Rests inside one slice are too short to matter, so only its ends are looked at."""
        for begin in range(0, len(block), self._silence_frames):
            part = block[begin : begin + self._silence_frames]
            if _is_loud(part[0]) and _is_loud(part[-1]):  # nearly always: music is seldom silent
                self._end_run(self._run)
                self._run = 0
                continue
            loud = (np.abs(part) > SILENCE_LEVEL).ravel()
            first = int(loud.argmax())
            if loud[first]:
                self._end_run(self._run + first // CHANNELS)
                self._run = int(loud[::-1].argmax()) // CHANNELS
            else:
                self._run += len(part)
        self._power += float(np.vdot(block, block))
        self._seen += len(block)
        if self._seen >= self._window_frames:
            mean = self._power / (CHANNELS * self._seen)
            self.levels_db.append(10 * math.log10(max(mean, 1e-12)))
            self._power, self._seen = 0.0, 0

    def silence(self) -> tuple[int, int]:
        """Return (frames in silences longer than SILENCE_S, longest of them), the present one included."""
        now = self._run if self._run > self._silence_frames else 0
        return self.silent_frames + now, max(self.longest_frames, now)

    def _end_run(self, frames: int) -> None:
        if frames > self._silence_frames:
            self.silent_frames += frames
            self.longest_frames = max(self.longest_frames, frames)


def _is_loud(frame: Samples) -> bool:
    return any(abs(sample) > SILENCE_LEVEL for sample in frame.tolist())
