"""The measures of music: each tells what it is said to tell, of sounds and notes that are known."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from doubles.sounds import tone
from listening import listen_sheet, musical
from listening.listening import RATE_HZ


def test_level_range_is_how_far_the_loud_stands_over_the_quiet() -> None:
    """Half a sound 20 dB under the other half has a range of 20 dB; a steady one has none."""
    steady = tone(4.0, amplitude=0.5)
    assert musical.level_range_db(steady) == pytest.approx(0, abs=0.1)
    steady[: len(steady) // 2] *= 0.1
    assert musical.level_range_db(steady) == pytest.approx(20, abs=0.2)


def test_mono_loss_is_that_of_the_sum() -> None:
    """Equal sides lose nothing, unrelated ones 3 dB, and one side alone as much; opposite ones everything."""
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, RATE_HZ)).astype(np.float32)
    assert musical.mono_loss_db(np.stack([one, one], axis=1)) == pytest.approx(0, abs=1e-6)
    assert musical.mono_loss_db(np.stack([one, other], axis=1)) == pytest.approx(3, abs=0.1)
    assert musical.mono_loss_db(np.stack([one, 0 * one], axis=1)) == pytest.approx(3.01, abs=0.01)
    assert musical.mono_loss_db(np.stack([one, -one], axis=1)) > 100


def test_the_width_of_the_bass_and_the_air_are_told_by_frequency() -> None:
    """A wide tone counts as wide bass at 60 Hz and not at 600; a tone at 10 kHz is air, 20 dB below another."""
    deep, high = tone(1.0, hz=60), tone(1.0, hz=600)
    wide = np.array([1, 0], np.float32)
    assert musical.low_width_db(deep * wide + high) == pytest.approx(0, abs=0.5)
    assert musical.low_width_db(deep + high * wide) < -60
    assert musical.air_db(high + 0.1 * tone(1.0, hz=10_000)) == pytest.approx(-20, abs=0.2)


def test_timbre_is_of_the_colour_not_of_the_level() -> None:
    """Loud and soft noise have one timbre; dull noise another; the distance is even and 0 from itself."""
    rng = np.random.default_rng(1)
    white = np.repeat(rng.standard_normal((20 * RATE_HZ, 1)), 2, axis=1).astype(np.float32)
    dull = np.cumsum(white, axis=0, dtype=np.float64).astype(np.float32)
    one, soft, other = (musical.timbre(samples) for samples in (white, 0.01 * white, dull))
    assert np.allclose(one, soft, atol=1e-3)
    assert musical.frechet(one, one) == pytest.approx(0, abs=0.01)
    assert musical.frechet(one, other) == pytest.approx(musical.frechet(other, one), rel=1e-6)
    assert musical.frechet(one, other) > 5 * musical.frechet(one[:20], one[20:])


def test_frechet_is_the_distance_of_normal_clouds() -> None:
    """Clouds of one shape are as far from each other as their centres; one twice as wide by its standard deviation."""
    cloud = np.random.default_rng(2).standard_normal((20_000, 3))
    assert musical.frechet(cloud, cloud + np.array([3, 4, 0])) == pytest.approx(5, abs=1e-6)
    assert musical.frechet(cloud, 2 * cloud) == pytest.approx(np.sqrt(3), rel=0.05)


def test_of_notes() -> None:
    """Spread counts inside parts only; semitones and flat ninths rub, major sevenths do not; equal bars repeat."""
    assert musical.note_spread_db({"loud": [0, 0], "soft": [-20, -20]}) == 0
    assert musical.note_spread_db({"one": [-4, 4, -4, 4], "two": [0, 0]}) == pytest.approx(4 * 4 / 6)
    assert [musical.rubs(chord) for chord in ((60, 61), (60, 73), (60, 71), (60, 64, 67))] == [True, True, False, False]
    assert musical.rub_share([(1.0, (60, 61)), (3.0, (60, 64))]) == 0.25
    assert musical.repeated_share([{("a", 0, 60)}, {("a", 0, 62)}, {("a", 0, 60)}, {("a", 4, 60)}]) == 0.25


def test_bass_is_present_where_it_is_heard_under_a_chord() -> None:
    """A bass that stops halfway through the chords is there half of the time, whatever comes after them."""
    bass = tone(8.0, hz=60)
    bass[2 * RATE_HZ : 4 * RATE_HZ] *= 0.001
    assert musical.bass_share(bass, [(0.0, 2.0), (2.0, 2.0)]) == pytest.approx(0.5)
    assert musical.bass_share(bass, [(0.0, 2.0), (4.0, 4.0)]) == 1


def test_a_picture_is_a_png() -> None:
    """Signature, size, and every pixel as it was drawn, by the checksums of the format."""
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = listen_sheet.png(image)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">IIBB", data[16:26]) == (3, 2, 8, 2)
    at = data.index(b"IDAT")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(2, 10)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:].reshape(2, 3, 3), image)
    assert struct.unpack(">I", data[at + 4 + size : at + 8 + size]) == (zlib.crc32(data[at : at + 4 + size]),)
