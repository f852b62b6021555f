"""Samples at rest, in half the memory of what is mixed, and the audio files that the program writes.

Those are sound as it comes, and its own WAV files with all that is known of the segment. The format of sound follows
the file's name, and libsndfile does the work. The program's own files are WAV: 16-bit, 48 kHz, stereo. Their metadata
are one line of JSON in the file's comment (RIFF LIST INFO, ICMT), so that one rename moves everything; artist and title
are there for other players. A file is encoded in memory first: what reaches the disk is plain bytes, and every trouble
of the disk stays an OSError with its errno.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import cffi
import numpy as np
import numpy.typing as npt
import soundfile as sf

from base.errors import CorruptSegment
from base.texts import said
from music.metering import STEP_FRAMES, block_peaks, loudest
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Audio, Samples, SegmentInfo
from music.wav_header import FORMAT, FORMAT_END, FRAME_BYTES, own_header
from music.wav_header import read_info as read_info

FORMATS: Final = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
FULL_SCALE: Final = 32767.0
FILE_GAIN: Final = FULL_SCALE / 2**15  # of the 16 bits in a file
LONGEST_WAV_FRAMES: Final = 2**30 - 2**16  # what fits into a WAV file of 4 GiB, 6 hours
ID3_FRAMES: Final = {"title": b"TIT2", "artist": b"TPE1", "date": b"TDRC", "comment": b"COMM"}
PART_FRAMES: Final = 16 * STEP_FRAMES  # whole blocks of all that is measured, small enough for the processor's cache
BLOCK_FRAMES: Final = 1 << 14  # libsndfile's Vorbis encoder puts a whole block on the stack
# Of arithmetic, of what is tried again, and of a file system without fsync.
NO_REFUSALS: Final = (0, errno.EDOM, errno.ERANGE, errno.EINTR, errno.EINVAL, errno.ENOTSUP)
ARTIST: Final = "ACE-Step"
TITLE_CHARS: Final = 60

Stored = npt.NDArray[np.int16]


class Packed:
    """Samples kept as 16 bits and one gain, sliced like an array of Samples: what is taken out is float32.

    The files that pieces come from have 16 bits too. Without dither: what is rounded is 96 dB below the piece's peak,
    and masked by the noise that any music brings along.
    Threads: one writes; what is written already, any may read.
    """

    def __init__(self, stored: Stored, gain: float) -> None:
        """What is `stored`, for samples in [-1, 1] that are heard by `gain` louder."""
        self.gain = gain
        self._stored = stored
        self._settling, self._ratio = (len(stored), len(stored)), 1.0

    @classmethod
    def silent(cls, n_frames: int, gain: float = 1.0) -> Packed:
        """Return silence, to be filled."""
        return cls(np.zeros((n_frames, CHANNELS), np.int16), gain)

    @classmethod
    def of(cls, samples: Audio) -> Packed:
        """Pack what is not packed yet, its peak at full scale: however quiet it is to be heard, it has its 16 bits."""
        if isinstance(samples, Packed):
            return samples
        packed = cls.silent(len(samples), loudest(samples) or 1.0)
        for begin in range(0, len(samples), PART_FRAMES):
            packed[begin : begin + PART_FRAMES] = samples[begin : begin + PART_FRAMES] / np.float32(packed.gain)
        return packed

    @classmethod
    def read(cls, path: Path) -> Packed:
        """Read one of our own files, whose 16 bits are kept as they are.

        Raises CorruptSegment when it is no such file or a shortened one, FileNotFoundError when it is gone.
        """
        with path.open("rb") as file:
            frames, _ = own_header(file)
            stored = np.empty((frames, CHANNELS), "<i2")
            if missing := stored.nbytes - file.readinto(stored.data):  # it was cut off this very moment
                raise CorruptSegment(said("corrupt.truncated", missing=missing))
        return cls(stored, FILE_GAIN)

    def __len__(self) -> int:
        """Frames."""
        return len(self._stored)

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return self._stored.nbytes

    @property
    def plain(self) -> Stored | None:
        """The 16 bits where a file would have the same, else None."""
        return self._stored if (self.gain, self._ratio) == (FILE_GAIN, 1.0) else None

    @property
    def loudest(self) -> float:
        """The largest magnitude that is heard, or more while the gain moves."""
        return self.gain * max(1.0, self._ratio) / FULL_SCALE * loudest(self._stored)

    def peaks(self, block_frames: int) -> npt.NDArray[np.float32]:
        """Return the largest magnitude of every block as `metering.block_peaks` does, before the gain moves."""
        return block_peaks(self._stored, block_frames) * np.float32(self.gain / FULL_SCALE)

    def part(self, span: slice, louder: float = 1.0) -> Packed:
        """Return some frames, in the same memory, that are heard by `louder` (linear)."""
        return Packed(self._stored[span], self.gain * louder)

    def joined(self, parts: Iterable[tuple[int, int]]) -> Packed:
        """Return a copy of some parts alone, each from its first frame to its end."""
        return Packed(np.concatenate([self._stored[first:end] for first, end in parts]), self.gain)

    def parts(self) -> Iterator[Samples]:
        """Yield all of it, PART_FRAMES at a time; of nothing, one part that is empty."""
        return (self[begin : begin + PART_FRAMES] for begin in range(0, max(1, len(self)), PART_FRAMES))

    def lower(self, at: int, gains: npt.NDArray[np.float32]) -> None:
        """Multiply the frames from `at` on by `gains`, shape (n, 1), of at most 1, rounded towards zero."""
        lowered = self._stored[at : at + len(gains)]
        np.multiply(lowered, gains, out=lowered, casting="unsafe")  # a bit at a time, without a copy of all

    def __getitem__(self, span: slice) -> Samples:
        """Return a copy of some frames as they are heard."""
        begin, stop, _ = span.indices(len(self))
        heard = np.empty((max(0, stop - begin), CHANNELS), np.float32)
        self.read_into(heard, begin)
        return heard

    def read_into(self, heard: Samples, begin: int, louder: float = 1.0) -> None:
        """Fill `heard` with the frames from `begin` on, `louder` (linear) than they are."""
        stop, (first, end) = begin + len(heard), self._settling
        heard[:] = self._stored[begin:stop]
        heard *= np.float32(self.gain * louder / FULL_SCALE)
        if stop > first:
            moving = np.arange(max(begin, first), min(stop, end), dtype=np.float32) - np.float32(first)
            ramp = 1 + np.float32((self._ratio - 1) / (end - first)) * moving
            heard[max(0, first - begin) : max(0, end - begin)] *= ramp[:, None]
            heard[max(0, end - begin) :] *= np.float32(self._ratio)

    def settle(self, gain: float, first: int, end: int) -> None:
        """Let the gain move to another between two frames, along a line, and stay there."""
        self._ratio = gain / self.gain
        self._settling = first, end

    def __setitem__(self, span: slice, samples: Samples) -> None:
        """Store frames, before the gain."""
        self._stored[span] = np.rint(np.clip(samples, -1, 1) * FULL_SCALE)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Samples:
        """All of it, for numpy."""
        return self[:]


def format_of(path: Path, frames: int = 0) -> tuple[str, str]:
    """Return libsndfile's names of format and coding for a file's name; WAV where it has no suffix.

    From `frames` on that WAV cannot hold it is its large kind, RF64. Raises ValueError for a suffix of no known format.
    """
    suffix = path.suffix.lower() or ".wav"
    if suffix not in FORMATS:
        raise ValueError(said("recorder.no_format", suffix=suffix, formats=", ".join(FORMATS)))
    if suffix == ".wav" and frames > LONGEST_WAV_FRAMES:
        return "RF64", "PCM_16"
    return FORMATS[suffix]


def tags_of(title: str, prompt: str, made_at: datetime.datetime) -> dict[str, str]:
    """Return the tags of music of ours."""
    return {"title": title, "artist": "sagyō-on", "comment": prompt, "date": made_at.isoformat(timespec="seconds")}


def id3(tags: Mapping[str, str]) -> bytes:
    """Return an ID3v2.4 tag (id3.org): libsndfile's own takes UTF-8 for Latin-1."""
    frames = b""
    for name, words in tags.items():
        body = b"\x03" + (b"und\0" if name == "comment" else b"") + words.encode("utf-8", "replace")
        frames += ID3_FRAMES[name] + _synchsafe(len(body)) + b"\0\0" + body
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames


def _synchsafe(number: int) -> bytes:
    """Return four bytes of seven bits each."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


class Encoder:
    """A file that is being written; leave it as a context, or `close` it.

    `target` is its path or a descriptor that stays open. `kind` is what `format_of` returned, as the file may still
    have another name. `tags` are title, artist, comment and date.
    Raises OSError for what the disk refuses and SoundFileError, in every method.
    Threads: one.
    """

    def __init__(self, target: Path | int, kind: tuple[str, str], **tags: str) -> None:
        container, coding = kind
        self._raw = open(target, "w+b", buffering=0, closefd=isinstance(target, Path))  # noqa: SIM115
        try:
            if container == "MP3":  # libsndfile writes behind what stands there
                self._raw.write(id3(tags))
            with _disk_errors():
                self._file: Any = sf.SoundFile(
                    self._raw.fileno(), "w", SAMPLE_RATE_HZ, CHANNELS, coding, format=container, closefd=False
                )
        except (OSError, sf.SoundFileError):
            self._raw.close()
            raise
        for name, words in tags.items() if container != "MP3" else ():
            setattr(self._file, name, words)

    def write(self, block: Audio) -> None:
        """Append a block: float32, shape (n_frames, 2), at SAMPLE_RATE_HZ, or packed."""
        with _disk_errors():
            for begin in range(0, len(block), BLOCK_FRAMES):
                self._file.write(block[begin : begin + BLOCK_FRAMES])

    def close(self) -> None:
        """Complete the file."""
        with self._raw, _disk_errors(untold=True):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _disk_errors(*, untold: bool = False) -> Iterator[None]:
    """Raise what the disk refuses as OSError: libsndfile has other words for it, and none (`untold`) as it closes."""
    system = cffi.FFI()
    system.errno = 0
    try:
        yield
    except sf.LibsndfileError:
        if system.errno in NO_REFUSALS:
            raise
        untold = True
    if untold and system.errno not in NO_REFUSALS:
        raise OSError(system.errno, os.strerror(system.errno))


def encode(samples: Audio, info: SegmentInfo | None) -> memoryview:
    """Return the bytes of a WAV file; samples beyond ±1 are scaled down together, never clipped.

    By hand, which takes a quarter of libsndfile's time and a third of its memory (measured); and that drops a comment
    of over 2045 bytes without a word. 16 bits that are those of a file already are copied.
    """
    size = FRAME_BYTES * len(samples)
    tags = {} if info is None else {
        b"INAM": _title(info), b"IART": ARTIST, b"ICRD": info.created_at, b"ICMT": info.to_json()
    }  # fmt: skip
    listing = b"INFO" + b"".join(_chunk(name, text.encode() + b"\0") for name, text in tags.items())
    form = FORMAT + struct.pack("<I", SAMPLE_RATE_HZ * FRAME_BYTES) + FORMAT_END
    head = b"WAVE" + _chunk(b"fmt ", form) + (_chunk(b"LIST", listing) if tags else b"")
    head += struct.pack("<4sI", b"data", size)
    head = struct.pack("<4sI", b"RIFF", len(head) + size) + head
    data = np.empty(len(head) + size, np.uint8)
    data[: len(head)] = np.frombuffer(head, np.uint8)
    stored = data[len(head) :].view("<i2").reshape(-1, CHANNELS)
    if isinstance(samples, Packed) and samples.plain is not None:
        stored[:] = samples.plain
        return data.data
    peak = samples.loudest if isinstance(samples, Packed) else loudest(samples)
    for begin in range(0, len(samples), BLOCK_FRAMES):  # what came as 16 bits is stored as it came
        part = samples[begin : begin + BLOCK_FRAMES]
        stored[begin : begin + BLOCK_FRAMES] = whole(part, 2**15 / max(1.0, peak), peak)
    return data.data


def whole(samples: Samples, scale: float, peak: float) -> Samples:
    """Return samples of at most `peak` by `scale` as whole numbers of 16 bits, by which +1 alone is passed."""
    found = samples * np.float32(scale)
    np.rint(found, out=found)
    if peak * scale > 2**15 - 1:  # else it would take more time than all the rest
        np.minimum(found, 2**15 - 1, out=found)
    return found


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _title(info: SegmentInfo) -> str:
    words = " ".join(info.recipe.prompt.split())
    return f"{info.recipe.station}: {words[:TITLE_CHARS]}".strip(": ") or info.segment_id
