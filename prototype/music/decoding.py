"""Any bytes → samples: what a file is called is never believed, nor what its header promises.

Decoding is libsndfile's and resampling soxr's; what stands here is the distrust: limits on size, length, rate and
channels, and the comparison of what was promised with what came. What is there is played, and what lacks is told.
It goes on block by block, and 16 bits of each sample are kept, as the program's own files have them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile as sf
import soxr

from base.errors import CorruptSegment
from base.texts import said
from music.audio_files import FILE_GAIN, Packed, Stored, whole
from music.containers import Data, Promise, views
from music.metering import loudest
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Samples

# Limits on what is decoded, so that no file can exhaust the memory. The server's longest piece is 600 s.
MAX_FILE_BYTES: Final = 512 * 2**20
MAX_LENGTH_S: Final = 660.0
RATES_HZ: Final = range(8_000, 384_001)
MAX_SOURCE_CHANNELS: Final = 16
MOST_PARTS: Final = 1000
MAX_SAMPLE: Final = 1e5  # a float file beyond is garbage, and its square no float32

FIRST_FRAMES: Final = 1 << 20  # 4 MiB: numpy asks for huge pages from here on, each of which takes one fault, not 512
CLICK: Final = 4.0  # what stands out so far beyond the music and full scale is none of it, and must not take its bits,
CLICK_FRAMES: Final = 1 << 9  # in parts of this length,
MOST_CLICKS: Final = 750  # unless there are so many (8 s), all of which are held,
CLICKS_PART: Final = 0.25  # or so large a part of the whole: then it is in other units
READ_BYTES: Final = 1 << 16
BLOCK_FRAMES: Final = 1 << 16
CODED_FRAMES: Final = 1 << 12  # at a time of what is compressed: as much is lost where it is damaged
LEAST_RANGE: Final = 2.0**-8  # of quieter samples the last of the 16 bits is below what any gain brings up
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
    """What was found in a file, at SAMPLE_RATE_HZ, and what lacks of what it promised.

    `missing_s` is None when nothing lacks, and infinite where the end lacks and nobody knows how far it was.
    """

    samples: Packed
    missing_s: float | None = None

    @property
    def missing(self) -> str:
        """What lacks, to be read: "-2.5 s", "-0.1 ms", "-? s"; empty when nothing does."""
        if self.missing_s is None:
            return ""
        if self.missing_s > MAX_LENGTH_S:  # or the promise was nonsense
            return "-? s"
        return f"-{self.missing_s:.1f} s" if self.missing_s >= TOLERANCE_S else f"-{1000 * self.missing_s:.1f} ms"


def read(path: Path) -> Decoded:
    """Decode WAV, FLAC, MP3, OGG or anything else libsndfile knows, of any rate, with 1 to 16 channels.

    Of 16 bits every one is kept. A constant offset is removed. The samples are scaled down as a whole where they
    exceed ±1 (an MP3 decoder overshoots a little).
    Raises: CorruptSegment (empty, not audio, NaN, beyond a limit), OSError when the file cannot be read.
    """
    with path.open("rb", buffering=0) as raw:
        size = os.fstat(raw.fileno()).st_size
        if size == 0:
            raise CorruptSegment(said("corrupt.empty"))
        if size > MAX_FILE_BYTES:
            raise CorruptSegment(said("corrupt.too_big", size=round(size / 2**20), limit=round(MAX_FILE_BYTES / 2**20)))
        return _joined(Data(raw.fileno()))


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


def _joined(raw: Data) -> Decoded:
    """Decode all parts of a file, mostly one; one that is broken inside is left out when others are not."""
    sound, failure = _Sound(), said("corrupt.nothing")
    lacking: list[float | None] = []
    for view, promise in itertools.islice(views(raw), MOST_PARTS):
        begin, buffer = sound.frames, io.BufferedReader(view, READ_BYTES)
        try:
            with Stream(buffer) as file:
                lacking.append(_pull(file, promise, sound))
        except RuntimeError as error:  # of libsndfile (SoundFileError among them) and of soxr
            sound.cut(begin)
            head, words = raw.read(36, 0), str(getattr(error, "error_string", error))
            kind = next((name for at, magic, name in FOREIGN if head.startswith(magic, at)), "")
            failure = said("corrupt.foreign", kind=kind) if kind else said("corrupt.broken", words=words)
        view.seek(buffer.tell())
    if not sound.frames:
        raise CorruptSegment(said("corrupt.nothing") if lacking else failure)
    missing_s = sum(part_s for part_s in lacking if part_s is not None)
    return Decoded(sound.mended(), missing_s if missing_s > 0 else None)


class Stream(sf.SoundFile):  # type: ignore[misc]
    """A file that is only read on: after each block soundfile would seek, which is audible in an MP3."""

    def seekable(self) -> bool:
        """No."""
        return False


class _Sound:
    """What has come so far, as 16 bits of the least power of two that holds it: those of a file stay what they are.

    What stands out is clipped at the range of the rest, which is known at the end.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._clicks: list[tuple[int, Samples]] = []
        self._range = LEAST_RANGE
        self._stored: Stored = np.empty((0, CHANNELS), np.int16)

    def room(self, frames: int) -> Stored:
        """Return the place of the next frames."""
        end = self.frames + frames
        if end > len(self._stored):
            filled = self._stored[: self.frames]
            self._stored = np.empty((max(FIRST_FRAMES, end, 2 * len(self._stored)), CHANNELS), np.int16)
            self._stored[: len(filled)] = filled
        return self._stored[self.frames : end]

    def hold(self, peak: float) -> None:
        """Make the range so large."""
        if peak > self._range:
            larger = 2.0 ** math.ceil(math.log2(peak))
            self._packed().lower(0, np.broadcast_to(np.float32(self._range / larger), (self.frames, 1)))
            self._range = larger

    def put(self, block: Samples) -> None:
        """Append samples. Raises CorruptSegment where they are no sound."""
        peak = loudest(block)
        if not peak <= MAX_SAMPLE:  # true for NaN too
            raise CorruptSegment(said("corrupt.no_sound"))
        if peak <= CLICK * max(1.0, self._range):
            self.hold(peak)
        elif len(block) > CLICK_FRAMES:
            for begin in range(0, len(block), CLICK_FRAMES):
                self.put(block[begin : begin + CLICK_FRAMES])
            return
        else:
            self._clicks.append((self.frames, block.copy()))
            block, peak = np.zeros_like(block), 0.0
        self.room(len(block))[:] = whole(block, 2**15 / self._range, peak)
        self.frames += len(block)
        if len(self._clicks) > MOST_CLICKS:
            self._tell_clicks()

    def cut(self, frames: int) -> None:
        """Let go of what is behind so many frames."""
        self.frames = min(self.frames, frames)
        self._clicks = [(at, block[: frames - at]) for at, block in self._clicks if at < frames]

    def _tell_clicks(self) -> None:
        """Store what was taken for clicks and is none, by what has come since."""
        frames = sum(len(block) for _, block in self._clicks)
        many = len(self._clicks) > MOST_CLICKS or frames > CLICKS_PART * self.frames
        limit = math.inf if many else CLICK * max(1.0, self._range)
        music = [one for one in self._clicks if loudest(one[1]) <= limit]
        self._clicks = [one for one in self._clicks if loudest(one[1]) > limit]
        self.hold(max((loudest(block) for _, block in music), default=0.0))
        self._place(music)

    def _place(self, parts: list[tuple[int, Samples]]) -> None:
        for at, block in parts:
            clipped = block.clip(-self._range, self._range)
            self._stored[at : at + len(block)] = whole(clipped, 2**15 / self._range, self._range)

    def mended(self) -> Packed:
        """Return all of it, without a constant offset, and within ±1."""
        self._tell_clicks()
        total = sum(complex(part.view(np.complex64).sum()) for part in self._packed().parts())  # of both channels
        offset = np.array([total.real, total.imag]) / self.frames
        if np.abs(offset).max() > LARGEST_OFFSET:
            stored, offset = self._stored[: self.frames], offset * 2**15 / self._range
            if max(np.max(stored.max(axis=0) - offset), np.max(offset - stored.min(axis=0))) > 2**15 - 1:
                self.hold(2 * self._range)
                offset /= 2
            stored -= np.rint(offset).astype(np.int16)
        self._place(self._clicks)
        packed = self._packed()
        packed.gain /= max(1.0, packed.loudest)
        return packed

    def _packed(self) -> Packed:
        return Packed(self._stored[: self.frames], FILE_GAIN * self._range)


def _pull(file: Stream, promise: Promise, sound: _Sound) -> float | None:
    """Decode until the data end, whatever the header says; return what lacks, as in `Decoded`."""
    rate, channels, begin = file.samplerate, file.channels, sound.frames
    if rate not in RATES_HZ:
        raise CorruptSegment(said("corrupt.rate", rate=rate, least=RATES_HZ[0], most=RATES_HZ[-1]))
    if channels > MAX_SOURCE_CHANNELS:
        raise CorruptSegment(said("corrupt.channels", channels=channels, most=MAX_SOURCE_CHANNELS))
    limit = int((MAX_LENGTH_S - begin / SAMPLE_RATE_HZ) * rate)
    told = file.frames if promise.frames is None else promise.frames
    sound.room(round((told if told <= limit else 0) * SAMPLE_RATE_HZ / rate) + BLOCK_FRAMES)
    stream = None if rate == SAMPLE_RATE_HZ else soxr.ResampleStream(rate, SAMPLE_RATE_HZ, CHANNELS)
    direct = file.subtype == "PCM_16" and channels == CHANNELS and stream is None
    if direct:
        sound.hold(1.0)
    coded = file.format == "FLAC" or not file.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))
    most = count = size = CODED_FRAMES if coded else BLOCK_FRAMES
    block = np.empty((most, channels), np.float32)
    frames, broken_at = 0, -1
    while count == size:
        size = told - frames if 0 < told - frames < most else most  # what follows the last may be broken
        try:
            count = len(file.read(out=sound.room(size) if direct else block[:size]))
        except sf.LibsndfileError:
            if broken_at < frames:
                broken_at, count = frames, size
                continue  # what comes behind may be good
            if not frames:
                raise
            break
        frames += count
        if frames > limit:
            raise CorruptSegment(said("corrupt.too_long", minutes=round(limit / rate / 60), rate=rate))
        if direct:
            sound.frames += count
        else:
            stereo = _stereo(block[:count])
            sound.put(stream.resample_chunk(stereo) if stream else stereo)
    if stream:
        sound.put(stream.resample_chunk(block[:0, :1].repeat(CHANNELS, axis=1), last=True))
    if promise.frames is not None and 0 < frames - promise.frames <= TOLERANCE_S * rate:
        # what fills the last frame of a lossy format
        sound.cut(begin + round(promise.frames * SAMPLE_RATE_HZ / rate))
    return _missing_s(promise, frames, rate, 0 <= broken_at < told, exact=file.format == "FLAC")


def _missing_s(promise: Promise, frames: int, rate: int, broken: bool, *, exact: bool) -> float | None:
    """Return how much lacks, as in `Decoded`."""
    if promise.missing_part:
        return promise.missing_part * frames / rate
    if promise.frames is not None and promise.counted:
        lacking_s = (promise.frames - frames) / rate
        if lacking_s > (0.0 if exact else TOLERANCE_S) or not promise.frames:
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
