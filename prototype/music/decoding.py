"""Any bytes → samples: what a file is called is never believed, nor what its header promises.

Decoding is libsndfile's and resampling soxr's; what stands here is the distrust: limits on size, length, rate and
channels, and the comparison of what was promised with what came. What is there is played, and what lacks is told.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile as sf
import soxr

from base.errors import CorruptSegment
from base.texts import said
from music.containers import Promise, views
from music.metering import loudest
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Samples

# Limits on what is decoded, so that no file can exhaust the memory. The server's longest piece is 600 s.
MAX_FILE_BYTES: Final = 512 * 2**20
MAX_LENGTH_S: Final = 660.0
MAX_SOURCE_FRAMES: Final = 660 * 96_000
RATES_HZ: Final = range(8_000, 384_001)
MAX_SOURCE_CHANNELS: Final = 16
MAX_SAMPLE: Final = 1e5  # a float file beyond is garbage, and its square no float32

FIRST_FRAMES: Final = 1 << 19  # 4 MiB: numpy asks for huge pages from here on, each of which takes one fault, not 512
READ_BYTES: Final = 1 << 16
BLOCK_FRAMES: Final = 1 << 16
DECODED_FRAMES: Final = 1 << 12  # at a time: as much is lost where a file is damaged
TOLERANCE_S: Final = 0.1  # an MP3 decoder gives a frame or two more or less than the length says; a cut file lacks more
LARGEST_OFFSET: Final = 1e-3  # a constant below is none that could be heard as a click, or cost headroom

# What people have that libsndfile does not read: where it is told, by which bytes, and its name.
FOREIGN: Final = (
    (4, b"ftyp", "M4A/MP4"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska/WebM"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA", "True Audio"),
    (0, b"DSD ", "DSD"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"MThd", "MIDI"),
    (28, b"\x7fFLAC", "FLAC in Ogg"),
    (28, b"Speex", "Speex"),
)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What was found in a file: float32, shape (n_frames, 2), at SAMPLE_RATE_HZ, and what lacks of what it promised.

    `missing_s` is None when nothing lacks, and infinite where the end lacks and nobody knows how far it was.
    """

    samples: Samples
    missing_s: float | None = None

    @property
    def missing(self) -> str:
        """What lacks, to be read: "-2.5 s", "-0.1 ms", "-? s"; empty when nothing does."""
        if self.missing_s is None:
            return ""
        if self.missing_s == float("inf"):
            return "-? s"
        return f"-{self.missing_s:.1f} s" if self.missing_s >= TOLERANCE_S else f"-{1000 * self.missing_s:.1f} ms"


def read(path: Path) -> Decoded:
    """Decode WAV, FLAC, MP3, OGG or anything else libsndfile knows, of any rate, with 1 to 16 channels.

    A constant offset is removed. The samples are scaled down as a whole where they exceed ±1 (an MP3 decoder
    overshoots a little).
    Raises: CorruptSegment (empty, not audio, NaN, beyond a limit), OSError when the file cannot be read.
    """
    with path.open("rb", buffering=0) as raw:
        size = os.fstat(raw.fileno()).st_size
        if size == 0:
            raise CorruptSegment(said("corrupt.empty"))
        if size > MAX_FILE_BYTES:
            raise CorruptSegment(said("corrupt.too_big", size=round(size / 2**20), limit=round(MAX_FILE_BYTES / 2**20)))
        decoded = _joined(raw)
    samples = decoded.samples
    if not loudest(samples) <= MAX_SAMPLE:  # true for NaN too
        raise CorruptSegment(said("corrupt.no_sound"))
    blocks = [samples[begin : begin + BLOCK_FRAMES] for begin in range(0, len(samples), BLOCK_FRAMES)]
    offset = np.sum([np.ones(len(block), np.float32) @ block for block in blocks], axis=0) / len(samples)
    if np.abs(offset).max() > LARGEST_OFFSET:
        samples -= offset.astype(np.float32)
    if (peak := loudest(samples)) > 1.0:
        samples /= np.float32(peak)
    return Decoded(samples, decoded.missing_s)


def title_of(path: Path) -> str:
    """Return what a file is called by its tags, "artist – title"; where they do not tell, by its name."""
    with (
        contextlib.suppress(OSError, sf.LibsndfileError),
        path.open("rb", buffering=0) as raw,
        sf.SoundFile(raw.fileno(), closefd=False) as file,
    ):
        if title := file.title.strip():
            return " – ".join(filter(None, (file.artist.strip(), title)))
    return path.stem


def _joined(raw: BinaryIO) -> Decoded:
    """Decode all parts of a file, mostly one; one that is broken inside is left out when others are not."""
    parts: list[Decoded] = []
    failure, so_far_s = said("corrupt.nothing"), 0.0
    for view, promise in views(raw):
        try:
            with Stream(io.BufferedReader(view, READ_BYTES)) as file:
                parts.append(_pull(file, promise, MAX_LENGTH_S - so_far_s))
                so_far_s += len(parts[-1].samples) / SAMPLE_RATE_HZ
        except RuntimeError as error:  # of libsndfile (SoundFileError among them) and of soxr
            kind, words = foreign_kind(raw), str(getattr(error, "error_string", error))
            failure = said("corrupt.foreign", kind=kind) if kind else said("corrupt.broken", words=words)
    if not any(len(part.samples) for part in parts):
        raise CorruptSegment(said("corrupt.nothing") if parts else failure)
    missing = [part.missing_s for part in parts if part.missing_s is not None]
    samples = parts[0].samples if len(parts) == 1 else np.concatenate([part.samples for part in parts])
    return Decoded(samples, sum(missing) if missing else None)


def foreign_kind(raw: BinaryIO) -> str:
    """Return what a file is that cannot be decoded, "" when that is not known."""
    head = os.pread(raw.fileno(), 36, 0)
    return next((name for at, magic, name in FOREIGN if head.startswith(magic, at)), "")


class Stream(sf.SoundFile):  # type: ignore[misc]
    """A file that is only read on: after each block soundfile would seek, which is audible in an MP3."""

    def seekable(self) -> bool:
        """No."""
        return False


def _pull(file: Stream, promise: Promise, longest_s: float) -> Decoded:
    """Decode until the data end, whatever the header says."""
    rate, channels = file.samplerate, file.channels
    if rate not in RATES_HZ:
        raise CorruptSegment(said("corrupt.rate", rate=rate, least=RATES_HZ[0], most=RATES_HZ[-1]))
    if channels > MAX_SOURCE_CHANNELS:
        raise CorruptSegment(said("corrupt.channels", channels=channels, most=MAX_SOURCE_CHANNELS))
    limit = min(int(longest_s * rate), MAX_SOURCE_FRAMES)
    told = max(FIRST_FRAMES, file.frames + BLOCK_FRAMES) if file.frames <= limit else FIRST_FRAMES
    samples, block = np.empty((told, CHANNELS), np.float32), np.empty((DECODED_FRAMES, channels), np.float32)
    frames, count, broken_at = 0, DECODED_FRAMES, -1
    while count == DECODED_FRAMES:
        try:
            count = len(file.read(out=block))
        except sf.LibsndfileError:
            if broken_at < frames:
                broken_at = frames
                continue  # what comes behind may be good
            if not frames:
                raise
            break
        if frames + count > limit:
            raise CorruptSegment(said("corrupt.too_long", minutes=round(limit / rate / 60), rate=rate))
        if frames + count > len(samples):
            samples, filled = np.empty((2 * len(samples), CHANNELS), np.float32), samples[:frames]
            samples[:frames] = filled
        samples[frames : frames + count] = _stereo(block[:count])
        frames += count
    samples = samples[:frames]
    missing_s = _missing_s(promise, frames, rate, broken_at >= 0, exact=file.format == "FLAC")
    if promise.frames is not None and 0 < frames - promise.frames <= TOLERANCE_S * rate:
        samples = samples[: promise.frames]  # what fills the last frame of a lossy format
    return Decoded(soxr.resample(samples, rate, SAMPLE_RATE_HZ) if rate != SAMPLE_RATE_HZ else samples, missing_s)


def _missing_s(promise: Promise, frames: int, rate: int, broken: bool, *, exact: bool) -> float | None:
    """Return how much lacks, as in `Decoded`."""
    if promise.missing_part:
        return promise.missing_part * frames / rate
    if promise.frames is not None and promise.counted:
        lacking_s = (promise.frames - frames) / rate
        if lacking_s > (0.0 if exact else TOLERANCE_S):
            return lacking_s
    return float("inf") if broken or promise.lacks else None


def _stereo(block: Samples) -> Samples:
    """Return two channels: mono to both sides, the channels beyond the first two to both at half their level."""
    if block.shape[1] == CHANNELS:
        return block
    if block.shape[1] == 1:
        return np.repeat(block, CHANNELS, axis=1)
    mixed: Samples = block[:, :CHANNELS] + 0.5 * block[:, CHANNELS:].sum(axis=1, keepdims=True)
    return mixed
