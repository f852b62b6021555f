"""Music with no GPU and no server: procedural work music for a whole piece, and a soft bed of noise block by block.

`composer` writes the notes, `synth` makes the sounds, this module mixes: parts are levelled against each other by
measurement, so the balance holds for every style and seed; one room for all; a gentle saturation at the end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

import synth
from composer import Note, Score, compose
from pcm import SAMPLE_RATE_HZ, Samples
from prelude import LEVEL_DBFS
from styles import LEVELS_DB
from synth import VOICES, Floats, Struck
from values import Recipe

LOUDNESS_DB: Final = -22.0
PEAK_MAX: Final = 0.84  # -1.5 dBFS
EDGE_S: Final = 0.012
"""Too short to be heard as a fade, long enough not to click."""

_KIT_LOUDNESS_DB = -15.5  # of a usual pattern with kick and snare, unlevelled
_TRIM_S = 0.03  # what is kept of the lead-in, so that the first stroke is whole


def render(recipe: Recipe, seed: int) -> Samples:
    """Render a whole piece: `recipe` honoured in tempo, key, metre, mood and length; the same for the same `seed`.

    Music from the first sample to the last, at full level, for the mixer to crossfade.

    Returns: float32, shape (round(duration_s * rate), 2), about -22 LUFS, peak below -1 dBFS.
    Threads: any; costs roughly 1 % of the piece's duration on one core.
    """
    n_frames = max(0, round(recipe.duration_s * SAMPLE_RATE_HZ))
    score = compose(recipe, seed)
    piece = _Mix(score, n_frames, np.random.default_rng((seed % 2**128, 1))).master()
    return np.ascontiguousarray(piece.T)


class _Mix:
    """The mixing desk of one piece: time 0 of the score is at frame `_zero`."""

    def __init__(self, score: Score, n_frames: int, rng: np.random.Generator) -> None:
        self._score = score
        self._rng = rng
        self._n_frames = n_frames
        self._zero = round(score.lead_in_s * SAMPLE_RATE_HZ)
        self._size = self._zero + n_frames
        self._sounds: dict[tuple[str, int, bool], Floats] = {}

    def master(self) -> Floats:
        style = self._score.style
        levels = {**LEVELS_DB, **dict(style.levels_db)}
        dry = np.zeros((2, self._size), np.float32)
        sent = np.zeros((2, self._size), np.float32)
        for part, share in {"chords": 1.0, "pad": 1.0, "bass": 0.0, "drums": 0.4, "lead": 1.0, "arpeggio": 1.0}.items():
            bus = self._part(part)
            # A kit keeps its own balance: measured, a pattern without a kick would come out with deafening hats.
            loudness = _KIT_LOUDNESS_DB if part == "drums" else loudness_db(bus)
            if loudness > -90:
                bus *= np.float32(10 ** ((LOUDNESS_DB + levels[part] - loudness) / 20))
                dry += bus
                bus *= np.float32(style.wet * share)
                sent += bus
        del bus
        echo_s = style.echo_beats * 60 / self._score.pulse_bpm
        dry += synth.convolve(sent, synth.room(self._rng, style.room_s, echo_s))
        del sent
        # The lead-in has done its work: the room sounds and the pads are open.
        start = max(0, self._zero - round(_TRIM_S * SAMPLE_RATE_HZ))
        piece = dry[:, start : start + self._n_frames]
        if self._score.texture:
            level = 10 ** ((LOUDNESS_DB + levels["texture"]) / 20)
            piece += np.float32(level) * synth.texture(self._score.texture, self._n_frames, self._rng)
        return _finish(piece)

    def _part(self, part: str) -> Floats:
        """Play all notes of one part."""
        bus = np.zeros((2, self._size), np.float32)
        for note in self._score.notes:
            if note.part == part:
                self._play(note, bus)
        self._sounds.clear()  # raw tones are seconds long: keep only one part's
        return bus

    def _play(self, note: Note, bus: Floats) -> None:
        sound = self._sound(note)
        at = self._zero + round(note.at_s * SAMPLE_RATE_HZ)
        skipped = max(0, -at)
        sound = sound[:, skipped : max(skipped, self._size - at)]
        level = note.velocity**1.5
        bus[0, at + skipped : at + skipped + sound.shape[1]] += np.float32(level * min(1.0, 1 - note.pan)) * sound[0]
        bus[1, at + skipped : at + skipped + sound.shape[1]] += np.float32(level * min(1.0, 1 + note.pan)) * sound[1]

    def _sound(self, note: Note) -> Floats:
        """Return the note's sound, cut to its length; the raw tones are made once a pitch."""
        if note.part == "drums":
            return self._raw(note)
        voice = VOICES[note.voice]
        n_frames = round((note.length_s + voice.release_s) * SAMPLE_RATE_HZ)
        raw = self._raw(note)
        if isinstance(voice, Struck):
            return synth.fade(raw[:, :n_frames].copy(), 0.0, voice.release_s)
        # Begin anywhere in the endless tone, so that repeated notes are not copies.
        at = int(self._rng.integers(raw.shape[1]))
        return synth.fade(synth.around(raw, at, n_frames), min(voice.attack_s, note.length_s / 2), voice.release_s)

    def _raw(self, note: Note) -> Floats:
        bright = note.velocity > 0.72
        key = (note.voice, note.pitch, bright)
        if key not in self._sounds:
            if note.part == "drums":
                sound = synth.drum(note.voice, self._rng)
            else:
                voice = VOICES[note.voice]
                if isinstance(voice, Struck):
                    sound = synth.struck(voice, note.pitch, 1.0 if bright else 0.8, self._rng)
                else:
                    sound = synth.sustained(voice, note.pitch, self._rng)
            self._sounds[key] = sound
        return self._sounds[key]


def loudness_db(sound: Floats) -> float:
    """Return the loudness of planar `sound` in about LUFS: the mean power of 0.4 s blocks that are not pauses.

    BS.1770 without its frequency weighting, which moves warm music by about 1 dB; far cheaper.
    """
    block = min(round(0.4 * SAMPLE_RATE_HZ), max(1, sound.shape[1]))
    count = sound.shape[1] // block
    if count == 0:
        return -120.0
    power = np.einsum("cbi,cbi->b", *2 * [sound[:, : count * block].reshape(2, count, block)]) / block
    heard = power[power > 0.01 * power.max()]
    return -0.7 + 10 * float(np.log10(max(1e-12, heard.mean() if len(heard) else 0.0)))


def _finish(piece: Floats) -> Floats:
    """Level the piece, round off its peaks like tape, and smooth its first and last milliseconds; all in place."""
    piece *= np.float32(10 ** ((LOUDNESS_DB - loudness_db(piece)) / 20) / PEAK_MAX)
    np.tanh(piece, out=piece)
    piece *= np.float32(PEAK_MAX)
    return synth.fade(piece, EDGE_S, EDGE_S)


class Bed:
    """Soft, warm noise like distant rain, without end: what plays when nothing else can.

    Three noise loops of lengths without a common divisor (5.5, 3.7 and 8.1 s) are read round and round, one of them
    shared by both sides, so that a side repeats only after many days. Reading never fails; it costs a copy and a sum.
    No sample is above `peak` in magnitude.

    Threads: one reader.
    """

    def __init__(self, seed: int = 0, level_dbfs: float = LEVEL_DBFS) -> None:
        rng = np.random.default_rng(seed % 2**128)
        level = 10 ** (level_dbfs / 20) / np.sqrt(2)
        self._loops = [
            np.float32(level) * synth.shaped_noise(rng, n_frames, _bed_shape) for n_frames in (2**18, 3**11, 5**8)
        ]
        left, right, centre = (float(np.abs(loop).max()) for loop in self._loops)
        self.peak = max(left, right) + centre
        self._position = 0

    def read(self, n_frames: int) -> Samples:
        """Return the next `n_frames`; however the calls are split, the samples are the same.

        Returns: float32, shape (n_frames, 2).
        """
        left, right, centre = (synth.around(loop, self._position, n_frames) for loop in self._loops)
        self._position += n_frames
        return np.stack((left + centre, right + centre), axis=1)


def _bed_shape(hz: Floats) -> Floats:
    """Pink towards brown between 100 Hz and 1.5 kHz, and little beyond."""
    shape: Floats = synth.band(90, 1500, 2)(hz) / np.sqrt(1 + hz / np.float32(200))
    return shape
