"""Key, tempo and beat as they are measured: of what is known to have them, and of what has none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.sounds import clicks, there
from music.analysis import analyse
from music.features import measured_beat, measured_key
from music.keys import fifths_apart, key_name
from music.segment import SAMPLE_RATE_HZ, Samples

CADENCES = {"major": ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16)), "minor": ((0, 3, 7), (5, 8, 12), (7, 10, 14))}


def cadence(tonic: int, mode: str, *, cents: float = 0.0) -> Samples:
    """Return chords of a key, of decaying tones with overtones, twice around and home: 1 s each."""
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    chords = [*CADENCES[mode], *CADENCES[mode], CADENCES[mode][0], CADENCES[mode][0]]
    parts = []
    for chord in chords:
        tones = ((48 + tonic + step, overtone) for step in chord for overtone in range(1, 5))
        hz = [440 * 2 ** ((pitch - 69 + cents / 100) / 12) * overtone for pitch, overtone in tones]
        waves = [np.sin(2 * np.pi * one * times) / (1 + index % 4) ** 2 for index, one in enumerate(hz)]
        parts.append(0.05 * np.sum(waves, axis=0) * np.exp(-2 * times))
    mono = np.concatenate(parts).astype(np.float32)
    return np.stack([mono, mono], axis=1)


@pytest.mark.parametrize(("tonic", "mode"), list(itertools.product(range(0, 12, 2), CADENCES)))
def test_a_cadence_has_its_key(tonic: int, mode: str) -> None:
    """Its notes, whatever the tuning: the signature counts, which relatives share."""
    for cents in (0.0, -35.0):
        assert fifths_apart(measured_key(cadence(tonic, mode, cents=cents)), key_name(tonic, mode)) == 0


def noise(seconds: float, seed: int) -> Samples:
    """Return white noise."""
    shape = round(seconds * SAMPLE_RATE_HZ), 2
    return 0.1 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_what_has_no_key_and_no_beat_gets_none(seed: int) -> None:
    """Noise, silence, every note at once, next to nothing: unsure is unknown."""
    times = np.arange(9 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    cluster = sum(np.sin(2 * np.pi * 220 * 2 ** (step / 12) * times + seed) for step in range(12)) / 40
    every = np.stack([cluster, cluster], axis=1).astype(np.float32)
    for sound in (noise(20, seed), np.zeros_like(every), every, noise(0.01, seed), np.zeros((0, 2), np.float32)):
        assert measured_key(sound) == ""
        assert measured_beat(sound) is None


@settings(max_examples=8)
@given(st.floats(60, 140), st.floats(0, 1), st.integers(0, 99))
def test_a_click_track_has_its_tempo_and_phase(bpm: float, at: float, seed: int) -> None:
    """Within what a fade of 4 s tolerates, half and double time being the same, and within 10 ms."""
    sound = clicks(24.0, bpm, at * 60 / bpm) + noise(24.0, seed) * np.float32(0.02)
    found = there(measured_beat(sound))
    octaves = np.log2(found[0] / bpm)
    assert abs(2 ** (octaves - round(octaves)) - 1) * 4 < 0.01
    pulse_s = 30 / max(bpm, found[0])
    assert abs((found[1] - at * 60 / bpm + pulse_s / 2) % pulse_s - pulse_s / 2) < 0.01


def test_what_changes_its_tempo_or_stumbles_has_no_beat() -> None:
    """A steady beat alone lets a transition meet."""
    stumbles = np.concatenate([clicks(8.0, 90, 0.1), clicks(8.0, 90, 0.3), clicks(8.0, 90, 0.55)])
    changes = np.concatenate([clicks(12.0, 80, 0.1), clicks(12.0, 97, 0.1)])
    assert measured_beat(stumbles) is None
    assert measured_beat(changes) is None


def test_the_analysis_counts_beats_from_the_beginning_of_the_file() -> None:
    """Where the silence before the music was cut, too."""
    late = np.concatenate([np.zeros((SAMPLE_RATE_HZ * 2, 2), np.float32), clicks(24.0, 100, 0.25)])
    found = analyse(late, -45.0)
    assert found.cue_in_frames > SAMPLE_RATE_HZ
    assert found.bpm == pytest.approx(100, rel=0.002)
    assert found.beat_s is not None
    assert abs((found.beat_s - 2.25 + 0.15) % 0.3 - 0.15) < 0.01


def test_the_key_of_what_is_analysed_is_known() -> None:
    """With the other measurements."""
    assert fifths_apart(analyse(cadence(2, "major"), -45.0).key_scale, "D major") == 0
