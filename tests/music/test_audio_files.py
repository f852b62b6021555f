"""Samples at rest: the program's own WAV files, and what is kept as 16 bits."""

from __future__ import annotations

import errno
import io
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from base.errors import CorruptSegment
from doubles.fake_audio import chord
from doubles.sounds import info_for, tone
from music import audio_files, decoding
from music.audio_files import Packed, whole
from music.features import measured_beat, measured_key
from music.metering import block_peaks
from music.segment import SAMPLE_RATE_HZ
from music.wav_header import own_header


def test_samples_and_info_come_back(tmp_path: Path) -> None:
    """What is written is read again: the samples within one 16-bit step, the metadata exactly."""
    samples = chord(1.0)
    path = tmp_path / "a.wav"
    path.write_bytes(audio_files.encode(samples, info_for(samples)))
    assert np.abs(Packed.read(path)[:] - samples).max() <= 2 / 32768
    assert audio_files.read_info(path) == info_for(samples)
    assert sf.info(path).subtype == "PCM_16"


def test_sixteen_bits_are_kept_as_they_came(tmp_path: Path) -> None:
    """A server's 16 bits are stored bit by bit, every value of them, however often a piece is read and written."""
    values = np.arange(-(2**15), 2**15, dtype=np.int16)
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([values, values[::-1]], axis=1), SAMPLE_RATE_HZ, subtype="PCM_16")
    path.write_bytes(audio_files.encode(Packed.read(path)[:], None))
    assert np.array_equal(sf.read(path, dtype="int16")[0][:, 0], values)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "CAF"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sixteen_bits_that_a_server_gave_are_those_in_the_spool(tmp_path: Path, container: str, channels: int) -> None:
    """Every value of them, in whatever they came."""
    values = np.arange(-(2**15), 2**15, dtype=np.int16)
    values = np.stack([values, values[::-1]], axis=1)[:, :channels]
    sf.write(tmp_path / "any", values, SAMPLE_RATE_HZ, format=container, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes(audio_files.encode(decoding.read(tmp_path / "any").samples, None))
    stored, _ = sf.read(tmp_path / "a.wav", dtype="int16")
    np.testing.assert_array_equal(stored, np.broadcast_to(values, (2**16, 2)))


@pytest.mark.parametrize("prompt", ["雨の夜のピアノ 🎹", 'quotes " and \\ and\nlines', "", "é" * 5_001, "雨" * 100_000])
def test_any_prompt_survives(tmp_path: Path, prompt: str) -> None:
    """No letter of a prompt can spoil the metadata."""
    samples = chord(0.1)
    (tmp_path / "a.wav").write_bytes(audio_files.encode(samples, info_for(samples, prompt)))
    assert audio_files.read_info(tmp_path / "a.wav") == info_for(samples, prompt)


def most_bytes(work: Callable[[], object]) -> int:
    """Return how much memory some work takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_segments_take_little_memory(tmp_path: Path) -> None:
    """Besides the samples, a file to be written takes half as much; what is read is mended in its place."""
    samples, path = chord(30.0), tmp_path / "a.wav"
    assert most_bytes(lambda: audio_files.encode(samples, info_for(samples))) < 0.6 * samples.nbytes
    sf.write(path, 3 * samples + 0.01, SAMPLE_RATE_HZ, subtype="FLOAT")
    assert np.abs(decoding.read(path).samples).max() == pytest.approx(1.0)
    long = np.tile(samples, (4, 1))
    assert most_bytes(lambda: measured_key(long)) < 0.4 * long.nbytes
    assert most_bytes(lambda: measured_beat(long)) < 0.4 * long.nbytes


@pytest.mark.parametrize(
    ("container", "coding", "rate"),
    [
        ("WAV", "PCM_16", 48_000), ("WAV", "FLOAT", 48_000), ("FLAC", "PCM_16", 48_000), ("FLAC", "PCM_24", 48_000),
        ("MP3", "MPEG_LAYER_III", 48_000), ("WAV", "PCM_16", 44_100), ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)  # fmt: skip
def test_a_file_takes_its_16_bits_to_read_and_as_much_to_write(
    tmp_path: Path, container: str, coding: str, rate: int
) -> None:
    """Ten minutes of the largest kinds must not be held as float32, nor twice."""
    samples, path = 3 * np.tile(chord(20.0), (3, 1)) + 0.01, tmp_path / "any"
    samples = samples.clip(-1, 1) if coding != "FLOAT" else samples
    sf.write(path, samples[: 60 * rate], rate, format=container, subtype=coding)
    found = decoding.read(path).samples  # also: what is made once for all files does not count
    assert most_bytes(lambda: decoding.read(path)) < 1.3 * 2 * samples.size
    assert most_bytes(lambda: audio_files.encode(found, None)) < 1.1 * 2 * samples.size


def test_other_players_find_title_and_artist(tmp_path: Path) -> None:
    """Title and artist are plain WAV tags."""
    samples = chord(0.1)
    (tmp_path / "a.wav").write_bytes(audio_files.encode(samples, info_for(samples)))
    with sf.SoundFile(tmp_path / "a.wav") as file:
        assert (file.title, file.artist) == ("lofi: soft keys", audio_files.ARTIST)


def test_loud_samples_are_scaled_not_clipped(tmp_path: Path) -> None:
    """Samples beyond full scale keep their shape."""
    samples = chord(0.5) * np.float32(6.0)
    loudest = float(np.abs(samples).max())
    assert loudest > 1.0
    (tmp_path / "a.wav").write_bytes(audio_files.encode(samples, None))
    assert np.abs(Packed.read(tmp_path / "a.wav")[:] - samples / loudest).max() <= 2 / 32768


def test_a_file_without_our_metadata_has_no_info(tmp_path: Path) -> None:
    """None stands for somebody else's file."""
    (tmp_path / "a.wav").write_bytes(audio_files.encode(chord(0.1), None))
    assert audio_files.read_info(tmp_path / "a.wav") is None


def test_metadata_that_do_not_fit_the_sound_count_as_none(tmp_path: Path) -> None:
    """An edited file is not cut at the cue points of what it was."""
    samples = chord(0.5)
    info = info_for(samples)
    wrongs: list[dict[str, Any]] = [
        {"length_frames": len(samples) + 1},
        {"cue_in_frames": len(samples)},
        {"cue_in_frames": -1},
        {"loudness_lufs": float("nan")},
        {"length_frames": "many"},
    ]
    for wrong in wrongs:
        (tmp_path / "a.wav").write_bytes(
            audio_files.encode(samples, replace(info, analysis=replace(info.analysis, **wrong)))
        )
        assert audio_files.read_info(tmp_path / "a.wav") is None


@pytest.mark.parametrize("data", [b"", b"<html>", b"RIFF\0\0\0\0WAVE", os.urandom(3000)])
def test_no_audio_is_corrupt(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no WAV are CorruptSegment, for the samples and for the metadata."""
    (tmp_path / "a.wav").write_bytes(data)
    for read in (Packed.read, audio_files.read_info):
        with pytest.raises(CorruptSegment):
            read(tmp_path / "a.wav")


def test_a_shortened_file_is_corrupt(tmp_path: Path) -> None:
    """A file that lost its end is told by its header."""
    data = audio_files.encode(chord(0.5), None)
    (tmp_path / "a.wav").write_bytes(data[:-1])
    with pytest.raises(CorruptSegment, match="truncated: 1 bytes"):
        Packed.read(tmp_path / "a.wav")


class Counting(io.BytesIO):
    """Bytes that count how often they are read."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize("of_the_data", [0, 4])
def test_what_stands_behind_the_sound_is_not_read_through(of_the_data: int, tmp_path: Path) -> None:
    """A recorder that was killed leaves megabytes of zeros there, which would be a chunk in every 8 bytes."""
    path, size = tmp_path / "a.wav", of_the_data.to_bytes(4, "little")
    sf.write(path, np.zeros((1, 2), np.int16), 44_100, subtype="PCM_16")
    raw = Counting(path.read_bytes()[:-8] + size + bytes(of_the_data + 4_000_000))
    with pytest.raises(CorruptSegment):
        own_header(raw)
    assert raw.reads < 1000


def test_another_rate_is_not_ours(tmp_path: Path) -> None:
    """A file at another rate would play at the wrong speed."""
    sf.write(tmp_path / "a.wav", chord(0.1), 44_100)
    with pytest.raises(CorruptSegment, match="48 kHz"):
        Packed.read(tmp_path / "a.wav")


def test_a_vanished_file_is_file_not_found(tmp_path: Path) -> None:
    """Gone is not corrupt."""
    for read in (Packed.read, audio_files.read_info):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "a.wav")


def test_disk_trouble_keeps_its_errno(tmp_path: Path) -> None:
    """Full and read-only disks stay distinguishable."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_bytes(audio_files.encode(chord(0.5), None))
    assert caught.value.errno == errno.ENOSPC


def test_the_rate_is_the_programmes(tmp_path: Path) -> None:
    """Everything stored is 48 kHz stereo."""
    (tmp_path / "a.wav").write_bytes(audio_files.encode(chord(0.1), None))
    assert (sf.info(tmp_path / "a.wav").samplerate, sf.info(tmp_path / "a.wav").channels) == (SAMPLE_RATE_HZ, 2)


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
    packed = Packed.silent(SAMPLE_RATE_HZ)
    packed[:100] = np.full((100, 2), 0.5, np.float32)
    packed.gain = 0.25
    assert packed[:100] == pytest.approx(0.125, abs=1e-5)
    assert not packed[100:].any()


def test_a_file_of_ours_is_held_as_its_16_bits_down_to_the_lowest(tmp_path: Path) -> None:
    """What is read is what stands there, -1.0 included, whose magnitude no 16 bits hold; a part is in its memory."""
    samples = np.array([[-1.0, 0.25], [0.5, -1 / 32768], [0.0, 32767 / 32768]], np.float32)
    (tmp_path / "a.wav").write_bytes(audio_files.encode(samples, None))
    packed = Packed.read(tmp_path / "a.wav")
    assert (packed[:] == samples).all()
    assert packed.loudest == pytest.approx(1.0)
    part = packed.part(slice(1, 3), 0.5)
    part.lower(0, np.array([[0.99999], [0.5]], np.float32))
    assert part[:] == pytest.approx(np.array([[8191.5, 0.0], [0.0, 8191.5]]) / 32768)  # towards zero
    assert packed[1:] == pytest.approx(2 * part[:])
    assert len(packed.joined([(0, 1), (2, 3)])) == 2


def test_a_file_that_is_cut_off_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its header is of a whole file, and what is missing is named."""
    (tmp_path / "a.wav").write_bytes(bytes(audio_files.encode(tone(0.1), None))[:-400])
    monkeypatch.setattr(audio_files, "own_header", lambda raw: (4800, raw.seek(44) and ""))
    with pytest.raises(CorruptSegment, match="400"):
        Packed.read(tmp_path / "a.wav")


def test_a_gain_that_moves_beyond_full_scale_does_not_turn_the_samples_over() -> None:
    """What is louder than a file can hold in the end is scaled down as a whole, the beginning with it."""
    packed = Packed.silent(400, 0.9)
    packed[:] = np.full((400, 2), -1.0, np.float32)
    packed.settle(1.2, 100, 200)
    stored = np.frombuffer(audio_files.encode(packed, None), "<i2")[-800:]
    assert (stored[0], stored[-1]) == pytest.approx((-0.75 * 2**15, -(2**15)), abs=1)


@pytest.mark.parametrize("gain", [1.0, 0.25, 3.0])
def test_the_peaks_of_what_is_packed_are_those_of_what_is_heard(gain: float) -> None:
    """Block by block, the shorter last one too, and of the lowest of 16 bits, whose magnitude is no number of them."""
    stored = np.random.default_rng(3).integers(-(2**15), 2**15, (1000, 2)).astype(np.int16)
    stored[::100] = -(2**15)
    packed = Packed(stored, gain)
    assert packed.peaks(48).tolist() == block_peaks(packed[:], 48).tolist()


@pytest.mark.parametrize("peak", [1.0, 32767.4 / 32768, 0.5])
def test_whole_numbers_never_pass_16_bits(peak: float) -> None:
    """Full scale is the largest there is, downwards and upwards; all else is rounded, to within half a step."""
    samples = np.linspace(-peak, peak, 2001, dtype=np.float32)[:, None].repeat(2, axis=1)
    numbers = whole(samples, 2**15, peak)
    assert np.abs(numbers - np.minimum(samples * 2**15, 2**15 - 1)).max() <= 0.5
    assert (numbers == numbers.astype(np.int16)).all()
