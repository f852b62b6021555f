"""Samples kept as 16 bits."""

from __future__ import annotations

import numpy as np
import pytest

from doubles.sounds import tone
from music.packed import Packed
from music.segment import SAMPLE_RATE_HZ


@pytest.mark.parametrize("amplitude", [1.3, 0.1, 1e-4, 0.0])
def test_what_is_packed_is_heard_as_before(amplitude: float) -> None:
    """To 96 dB below its own peak, however quiet it is, and however it is sliced."""
    samples = tone(2.5, amplitude=amplitude)
    packed = Packed.of(samples)
    assert len(packed) == len(samples)
    assert np.abs(packed[:] - samples).max() <= amplitude / 65_000
    cut = slice(SAMPLE_RATE_HZ - 7, SAMPLE_RATE_HZ + 1000)
    np.testing.assert_array_equal(packed[cut], packed[:][cut])
    assert packed[cut].dtype == np.float32


def test_it_takes_two_bytes_a_sample_and_no_copy_of_the_whole() -> None:
    """That is what it is for."""
    import tracemalloc

    samples = tone(60.0)
    tracemalloc.start()
    packed = Packed.of(samples)
    now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(packed) == len(samples)
    assert now < 0.51 * samples.nbytes
    assert most < 0.6 * samples.nbytes


def test_a_gain_may_be_known_later() -> None:
    """A piece is measured when it is made; what was stored is then heard at its level."""
    packed = Packed(SAMPLE_RATE_HZ)
    packed[:100] = np.full((100, 2), 0.5, np.float32)
    packed.gain = 0.25
    assert packed[:100] == pytest.approx(0.125, abs=1e-5)
    assert not packed[100:].any()
