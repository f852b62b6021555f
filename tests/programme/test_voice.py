"""What lies under the programme: there whatever is done, never above the ceiling, gone with a pause."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.sounds import QuietBed, played, tone
from music.segment import PEAK_LIMIT, Piece, Samples, Source
from programme.mixer import Mixer
from programme.voice import CHANGE_S

RATE_HZ = 1000


class Hum:
    """An endless sound of ever new values."""

    def __init__(self, level: float, seed: int = 0) -> None:
        self.peak = level
        self._rng = np.random.default_rng(seed)

    def read(self, n_frames: int) -> bytes:
        """Return noise, even between its limits."""
        return ((2 * self._rng.random((n_frames, 2)) - 1) * self.peak).astype(np.float32).tobytes()


def heard(*, under: Hum | None, gain: float = 1.0, mute: bool = False) -> tuple[Samples, Mixer]:
    """Return two seconds after the sound has come, with the music taken off, and the mixer."""
    out, mixers = [], []
    for sound in (under, None):
        mixer = Mixer(QuietBed(), rate_hz=RATE_HZ)
        mixer.offer(Piece(tone(20, amplitude=0.1, hz=50, rate_hz=RATE_HZ), Source.FRESH, "one"))
        mixer.lay_under(sound, gain)
        mixer.mute(mute)
        mixer.read(round(2 * CHANGE_S * RATE_HZ))
        out.append(mixer.read(2 * RATE_HZ))
        mixers.append(mixer)
    return out[0] - out[1], mixers[0]


def test_it_is_added_at_its_gain() -> None:
    """Under the music lies what was asked for, as loud as asked."""
    rest, _ = heard(under=Hum(0.02), gain=0.5)
    assert np.abs(rest).max() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("act", ["skip", "rest"])
def test_it_stays_through_skips_and_breaks(act: str) -> None:
    """Nothing that is done to the music is done to it."""
    _, mixer = heard(under=Hum(0.05))
    mixer.offer(Piece(tone(20, amplitude=0.1, hz=50, rate_hz=RATE_HZ), Source.FRESH, "two"))
    mixer.skip() if act == "skip" else mixer.rest(True)
    out = mixer.read(5 * RATE_HZ)
    assert all(np.abs(np.diff(part, 2, axis=0)).max() > 0.05 for part in np.array_split(out, 20))


def test_a_pause_and_the_mute_silence_it() -> None:
    """It belongs to what is paused and muted."""
    _, mixer = heard(under=Hum(0.05))
    mixer.pause(True)
    mixer.read(RATE_HZ)
    assert not mixer.read(RATE_HZ).any()
    rest, _ = heard(under=Hum(0.05), mute=True)
    assert not rest.any()


def test_it_covers_the_rests_of_the_music() -> None:
    """A rest of the music is not silent, and not counted so."""
    mixer = Mixer(QuietBed(), rate_hz=RATE_HZ)
    mixer.lay_under(Hum(0.02), 1.0)
    mixer.read(2 * RATE_HZ)
    mixer.offer(Piece(np.zeros((20 * RATE_HZ, 2), np.float32), Source.FRESH, "silent"))
    mixer.read(10 * RATE_HZ)
    assert mixer.snapshot().silent_frames == 0
    assert np.abs(mixer.read(RATE_HZ)).max() > 0.01


def test_one_follows_another_without_a_step_or_a_hole() -> None:
    """A new sound is faded in while the old one fades out, and one that is taken away is read no more."""
    old, new = Hum(0.05, 1), Hum(0.05, 2)
    _, mixer = heard(under=old)
    mixer.lay_under(new, 1.0)
    out = mixer.read(round(CHANGE_S * RATE_HZ))
    assert np.abs(out).max() > 0.1
    mixer.lay_under(None, 1.0)
    mixer.read(round(2 * CHANGE_S * RATE_HZ))
    assert len(mixer._underlay._sounds) == 0


acts = st.lists(st.tuples(st.integers(0, 4000), st.sampled_from([0, 1, 2]), st.floats(0, 1)), max_size=6)
sizes = st.lists(st.integers(1, 500), min_size=1, max_size=5)


def performed(script: list[tuple[int, int, float]], splits: list[int], amplitude: float) -> Samples:
    """Read 5000 frames of loud music while sounds under it come and go."""
    sounds = [None, Hum(0.2, 1), Hum(0.3, 2)]
    mixer = Mixer(QuietBed(), rate_hz=RATE_HZ)
    mixer.offer(Piece(tone(20, amplitude=amplitude, hz=50, rate_hz=RATE_HZ), Source.FRESH, "one"))
    acts = [(at, partial(mixer.lay_under, sounds[index], gain)) for at, index, gain in script]
    return played(mixer, acts, 5000, splits)


@given(acts, sizes, sizes, st.sampled_from([0.1, 0.85, PEAK_LIMIT]))
def test_any_split_gives_the_same_samples_below_the_ceiling(
    script: list[tuple[int, int, float]], one: list[int], other: list[int], amplitude: float
) -> None:
    """However the calls are split; and the sum never passes the ceiling of the overlaps."""
    out = performed(script, one, amplitude)
    assert np.array_equal(out, performed(script, other, amplitude))
    assert np.abs(out).max() <= PEAK_LIMIT + 1e-6
