"""Any bytes → samples: what a file is called is never believed, nor what its header promises.

Decoding is libsndfile's and resampling soxr's; what stands here is the distrust: limits on size, length, rate and
channels, and the comparison of what was promised with what came.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile as sf
import soxr

from errors import CorruptSegment
from pcm import CHANNELS, SAMPLE_RATE_HZ, Samples
from wavfile import missing_bytes

# Limits on what is decoded, so that no file can exhaust the memory. The server's longest piece is 600 s.
MAX_FILE_BYTES: Final = 512 * 2**20
MAX_LENGTH_S: Final = 660.0
MAX_SOURCE_SAMPLES: Final = 660 * 2 * 96_000
RATES_HZ: Final = range(8_000, 384_001)
MAX_SOURCE_CHANNELS: Final = 16
MAX_SAMPLE: Final = 1e5  # a float file beyond is garbage, and its square no float32

# An MP3 decoder gives a frame or two less than an estimated length says; a cut file lacks more.
LENGTH_MARKS: Final = (b"Xing", b"Info")
TRUNCATED_S: Final = 0.1


def decode(path: Path) -> Samples:
    """Decode WAV, FLAC, MP3, OGG or anything else libsndfile knows, of any rate, with 1 to 16 channels.

    Returns: float32, shape (n_frames, 2), at SAMPLE_RATE_HZ, scaled down as a whole where it exceeds ±1
    (an MP3 decoder overshoots a little).
    Raises: CorruptSegment (empty, not audio, truncated, NaN, too long), OSError when the file cannot be read.
    """
    with path.open("rb", buffering=0) as raw:  # unbuffered: libsndfile shares the position
        size = os.fstat(raw.fileno()).st_size
        if size == 0:
            raise CorruptSegment("empty file")
        if size > MAX_FILE_BYTES:
            raise CorruptSegment(f"too big: {size / 2**20:.0f} MB")
        _check_whole(raw)
        raw.seek(0)
        try:
            # Through the descriptor: soundfile would take the format from some names.
            with sf.SoundFile(raw.fileno(), closefd=False) as file:
                samples = _pull(file, promised=_promises_length(file, raw))
        except RuntimeError as error:  # of libsndfile (SoundFileError among them) and of soxr
            raise CorruptSegment(f"not audio, or broken: {getattr(error, 'error_string', error)}") from error
    loudest = float(np.max(np.abs(samples), initial=0.0))
    if not loudest <= MAX_SAMPLE:  # true for NaN too
        raise CorruptSegment("the samples are no sound (NaN, infinite or beyond all measure)")
    return samples / np.float32(loudest) if loudest > 1.0 else samples


def _check_whole(raw: BinaryIO) -> None:
    """Raise CorruptSegment for a WAV or Ogg file that lacks its end; libsndfile would not say so."""
    missing = missing_bytes(raw)
    if missing:
        raise CorruptSegment(f"truncated: {missing} bytes of sound are missing")
    raw.seek(0)
    if raw.read(4) == b"OggS":
        raw.seek(max(0, os.fstat(raw.fileno()).st_size - (1 << 17)))  # an Ogg page has at most 65 307 bytes
        if not _ends_stream(raw.read()):
            raise CorruptSegment("truncated: the stream has no end")


def _ends_stream(tail: bytes) -> bool:
    """Return whether the last Ogg page of `tail` is whole and marked as the last (RFC 3533, section 6)."""
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _promises_length(file: sf.SoundFile, raw: BinaryIO) -> bool:
    """Return whether the header knows the length; an MP3 without a Xing or Info frame has but a guess."""
    if file.format != "MP3":
        return True
    head = os.pread(raw.fileno(), 1 << 16, 0)
    return any(mark in head for mark in LENGTH_MARKS)


def _pull(file: sf.SoundFile, *, promised: bool) -> Samples:
    """Decode in one call: after each, soundfile seeks, which is audible in an MP3 at every boundary of blocks."""
    rate, channels = file.samplerate, file.channels
    if rate not in RATES_HZ or channels > MAX_SOURCE_CHANNELS:
        raise CorruptSegment(f"cannot use {channels} channels at {rate} Hz")
    if file.frames > MAX_LENGTH_S * rate or file.frames * channels > MAX_SOURCE_SAMPLES:
        raise CorruptSegment(f"too long, or of no known length: the limit is {MAX_LENGTH_S / 60:.0f} minutes")
    samples = _stereo(file.read(dtype="float32", always_2d=True))
    if not len(samples):
        raise CorruptSegment("empty: no sound in it")
    if promised and file.frames - len(samples) > TRUNCATED_S * rate:
        raise CorruptSegment(f"truncated: {len(samples) / rate:.1f} of {file.frames / rate:.1f} s")
    if rate != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate, SAMPLE_RATE_HZ)
    return samples


def _stereo(block: Samples) -> Samples:
    """Return two channels: mono to both sides, the channels beyond the first two to both at half their level."""
    if block.shape[1] == CHANNELS:
        return block
    if block.shape[1] == 1:
        return np.repeat(block, CHANNELS, axis=1)
    mixed: Samples = block[:, :CHANNELS] + 0.5 * block[:, CHANNELS:].sum(axis=1, keepdims=True)
    return mixed
