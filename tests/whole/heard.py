"""What a listener heard: the programme as spans of sources, with every silence and every piece that came again.

It looks at the samples that leave the mixer, and asks the mixer only for the name of what plays.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from music.segment import Samples, Source
from programme.mixer import Mixer

SILENT_BELOW = 10 ** (-60 / 20)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece (or the bed, whose key is empty) from the moment at which it came in to that at which it gave way."""

    source: Source
    key: str
    begins_s: float
    ends_s: float


class Heard:
    """The timeline of one programme.

    A rest of up to `rest_s` is music; longer, all of it is silence. What the listener wished (a pause) or cannot
    hear (no sound device) is no silence.
    """

    def __init__(self, rate_hz: int, no_repeat: int, rest_s: float = 0.0) -> None:
        self.spans: list[Span] = []
        self.repeats: list[str] = []
        self.frames = dict.fromkeys(Source, 0)
        self.keys: set[str] = set()
        self.silent_frames = 0
        self.longest_silence_frames = 0
        self.peak = 0.0
        self._rate_hz = rate_hz
        self._rest_frames = round(rest_s * rate_hz)
        self._last_keys: deque[str] = deque(maxlen=no_repeat)
        self._now_frames = 0
        self._elapsed_s = 0.0
        self._run = 0
        self._excused = 0
        self._excused_key = ""  # of what was there as silence was excused last

    @property
    def now_s(self) -> float:
        """Seconds heard so far."""
        return self._now_frames / self._rate_hz

    def take(self, block: Samples, mixer: Mixer, *, excused: bool) -> None:
        """Listen to one block, just read from `mixer`; `excused` while silence is as it should be."""
        self._now_frames += len(block)
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        playing = mixer.snapshot().playing
        self.keys.add(playing.key)  # also what is skipped to, and past, as a pause ends
        self._excused = 2 if excused else max(0, self._excused - 1)  # the fade that follows belongs to it
        if self._excused:
            self._run = 0
            self._note_piece(playing.source, playing.key, excused=True)
            return
        self._listen_for_silence(block)
        self.frames[playing.source] += len(block)
        last = self.spans[-1] if self.spans else None
        if last and (last.source, last.key) == (playing.source, playing.key) and playing.elapsed_s >= self._elapsed_s:
            self.spans[-1] = Span(last.source, last.key, last.begins_s, self.now_s)
        else:
            begins_s = self.now_s - len(block) / self._rate_hz
            self.spans.append(Span(playing.source, playing.key, begins_s, self.now_s))
            self._note_piece(playing.source, playing.key)
        self._elapsed_s = playing.elapsed_s
        self._excused_key = ""

    def since(self, begins_s: float, source: Source) -> list[Span]:
        """Return the spans of a source that began at or after `begins_s`."""
        return [span for span in self.spans if span.source is source and span.begins_s >= begins_s]

    def _note_piece(self, source: Source, key: str, *, excused: bool = False) -> None:
        """Note what begins, or goes on as silence is excused no more; while it is, nobody may have heard it."""
        if source not in (Source.FRESH, Source.LIBRARY):
            return
        if key in self._last_keys and not excused and key != self._excused_key:
            self.repeats.append(key)
        if not self._last_keys or self._last_keys[-1] != key:
            self._last_keys.append(key)
        self._excused_key = key

    def _listen_for_silence(self, block: Samples) -> None:
        left, right = np.abs(block).T
        loud = np.maximum(left, right) >= SILENT_BELOW
        if loud.all():
            self._run = 0
            return
        edges = np.flatnonzero(loud)
        if not len(edges):
            self._run += len(block)
            self._count(self._run, added=len(block))
            return
        self._count(self._run + int(edges[0]), added=int(edges[0]))
        gaps = np.diff(edges) - 1
        for gap in gaps[gaps > 0]:
            self._count(int(gap), added=int(gap))
        self._run = len(block) - 1 - int(edges[-1])
        self._count(self._run, added=self._run)

    def _count(self, run: int, added: int) -> None:
        """Count a silence that has grown by `added` frames to `run`."""
        if run > self._rest_frames:
            self.longest_silence_frames = max(self.longest_silence_frames, run)
            self.silent_frames += added if run - added > self._rest_frames else run
