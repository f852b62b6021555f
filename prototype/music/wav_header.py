"""What stands in a WAV file of the program's own besides its sound, read with the standard library alone.

That of the first piece is needed before anything that is slow to import.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from base.errors import CorruptSegment
from base.texts import said
from music.segment import CHANNELS, SAMPLE_RATE_HZ, SegmentInfo

FORMAT: Final = struct.pack("<HHI", 1, CHANNELS, SAMPLE_RATE_HZ)  # how the fmt chunk of our own files begins: PCM …
FORMAT_END: Final = struct.pack("<HH", 2 * CHANNELS, 16)  # … and ends: bytes a frame, bits a sample
FRAME_BYTES: Final = 2 * CHANNELS
LONGEST_LIST: Final = 1 << 20
MOST_CHUNKS: Final = 256  # behind the sound there may be hundreds of megabytes of what is none: of zeros, each 8 bytes


def read_info(path: Path) -> SegmentInfo | None:
    """Return the metadata inside the file, or None when it has none of ours (or they do not fit its audio).

    Reads the header only. Raises CorruptSegment when it is no whole file of ours, FileNotFoundError when it is gone.
    """
    with path.open("rb", buffering=0) as raw:
        frames, comment = own_header(raw)
    try:
        info = SegmentInfo.from_json(comment)
    except ValueError:
        return None
    return info if info.analysis.length_frames == frames else None


def read_frames(path: Path, first: int, count: int) -> array[int]:
    """Return frames of a file that `read_info` knows, as many as there are of them: 16 bits, interleaved stereo."""
    frames = array("h")
    with path.open("rb", buffering=0) as raw:
        for name, length in _chunks(raw, 12):
            if name == b"data":
                raw.seek(FRAME_BYTES * first, os.SEEK_CUR)
                data = raw.read(FRAME_BYTES * max(0, min(count, length // FRAME_BYTES - first)))
                frames.frombytes(data[: len(data) // FRAME_BYTES * FRAME_BYTES])  # it may have been cut off meanwhile
                break
    if sys.byteorder == "big":
        frames.byteswap()
    return frames


def _chunks(raw: BinaryIO, at: int) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of the chunks from `at` on, with `raw` at the chunk's content."""
    raw.seek(at)
    for _ in range(MOST_CHUNKS):
        if len(header := raw.read(8)) < 8:
            return
        name, length = struct.unpack("<4sI", header)
        content = raw.tell()
        yield name, length
        raw.seek(content + length + length % 2)


def own_header(raw: BinaryIO) -> tuple[int, str]:
    """Return frames and comment, "" for none, of a whole WAV file in our format, and leave `raw` at the first frame.

    Raises CorruptSegment for any other file, a shortened one too: the header is compared with the file's size.
    """
    head, form, comment, at, size = raw.read(12), b"", "", 0, 0
    for name, length in _chunks(raw, 12) if head[:4] == b"RIFF" and head[8:] == b"WAVE" else ():
        if name == b"fmt " and not at:
            form = raw.read(16)
        elif name == b"data" and not at:
            at, size = raw.tell(), length
        elif name == b"LIST" and length <= LONGEST_LIST and not comment:
            comment = _comment(io.BytesIO(raw.read(length)))
    if not at:
        raise CorruptSegment(said("corrupt.not_wav"))
    if (missing := at + size - raw.seek(0, os.SEEK_END)) > 0:
        raise CorruptSegment(said("corrupt.truncated", missing=missing))
    if not (form.startswith(FORMAT) and form.endswith(FORMAT_END)):
        raise CorruptSegment(said("corrupt.not_ours"))
    raw.seek(at)
    return size // FRAME_BYTES, comment


def _comment(tags: BinaryIO) -> str:
    """Return the comment in the contents of a LIST INFO chunk."""
    for name, length in _chunks(tags, len(b"INFO")):
        if name == b"ICMT":
            return tags.read(length).rstrip(b"\0").decode("utf-8", "replace")
    return ""
