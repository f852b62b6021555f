"""Writes sound into a file as it comes: the format follows the name, and libsndfile does the work."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import soundfile as sf

from pcm import CHANNELS, SAMPLE_RATE_HZ, Samples

FORMATS: Final = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
LONGEST_WAV_FRAMES: Final = 2**30 - 2**16  # what fits into a WAV file of 4 GiB, 6 hours
BLOCK_FRAMES: Final = 1 << 14  # libsndfile's Vorbis encoder puts a whole block on the stack


def format_of(path: Path, frames: int = 0) -> tuple[str, str]:
    """Return libsndfile's names of format and coding for a file's name; WAV where it has no suffix.

    From `frames` on that WAV cannot hold it is its large kind, RF64. Raises ValueError for a suffix of no known format.
    """
    suffix = path.suffix.lower() or ".wav"
    if suffix not in FORMATS:
        raise ValueError(f"{suffix} cannot be written; give one of {', '.join(FORMATS)}")
    if suffix == ".wav" and frames > LONGEST_WAV_FRAMES:
        return "RF64", "PCM_16"
    return FORMATS[suffix]


class Encoder:
    """A file that is being written; leave it as a context, or `close` it.

    `kind` is what `format_of` returned, as the file at `path` may still have another name. `tags` are those of
    libsndfile: title, artist, comment, date, …
    Raises OSError and SoundFileError, in every method.
    Threads: one.
    """

    def __init__(self, path: Path, kind: tuple[str, str], **tags: str) -> None:
        container, coding = kind
        self._file: Any = sf.SoundFile(path, "w", SAMPLE_RATE_HZ, CHANNELS, subtype=coding, format=container)
        for name, words in tags.items():
            setattr(self._file, name, words)

    def write(self, block: Samples) -> None:
        """Append a block: float32, shape (n_frames, 2), at SAMPLE_RATE_HZ."""
        for begin in range(0, len(block), BLOCK_FRAMES):
            self._file.write(block[begin : begin + BLOCK_FRAMES])

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
