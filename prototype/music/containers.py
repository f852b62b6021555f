"""What a file's header promises, and a view of the file that promises nothing.

libsndfile believes headers: it stops where they say, or where a guess from them falls. Writers into a pipe cannot go
back to fill in a length, programs die while they record, and downloads end early. So the length that stands in a header
is taken out here, or replaced by what the file holds; libsndfile then decodes until the data end, and the promise is
told apart, to be compared with what came.

Layouts: RIFF/WAVE (Microsoft), RF64/BW64 (EBU Tech 3306, ITU-R BS.2088), Wave64 (Sony), AIFF (Apple), CAF (Apple),
AU (Sun), FLAC (RFC 9639), Ogg (RFC 3533), MP3 (ISO/IEC 11172-3, with the Xing and LAME tags as they are in use).
"""

from __future__ import annotations

import io
import itertools
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

UNKNOWN_BYTES: Final = 0x7F00_0000  # from here on a length is what is written where it is not known
LONGEST_CHUNK: Final = 1 << 20  # of all that a decoder needs to know; a larger one is a picture
STRAY_BYTES: Final = 1024  # so much behind the data is no sound that the header forgot
MANY: Final = 1 << 40  # frames
FORMS: Final = (b"fmt ", b"COMM")
BIG_EXTENSIBLE: Final = b"\xff\xfe"  # what libsndfile does not know of a RIFX file
STREAMINFO_END: Final = 42
OGG_HEADER: Final = 27
MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
XING_AT: Final = (36, 21, 13)  # in stereo, in mono or at the lower rates, in mono at these
XING_FRAMES: Final = 0x00FF_FFFF
SEARCHED_BYTES: Final = 1 << 17  # at a time, and the most that is no sound ahead of an MP3
OVERLAP_BYTES: Final = 3
MOST_CHUNKS: Final = 1 << 10  # and tags
MOST_PAGES: Final = 1 << 16  # of 20 ms at least, mostly of a second
FLAC_SYNC: Final = re.compile(rb"\xff[\xf8\xf9][\x10-\xfe][\x00-\xae]")
MP3_SYNC: Final = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
MP3_RATES_HZ: Final = (44_100, 48_000, 32_000)
MP3_KBPS: Final = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class Promise:
    """What a header says of the length; nothing where it does not know.

    `frames` is the number of frames; fewer are a cut file only where `counted`. `missing_part` is how many bytes of
    sound lack for each that is there. `lacks`: nobody knows how much, as where the mark of the end is missing.
    """

    frames: int | None = None
    counted: bool = True
    missing_part: float = 0.0
    lacks: bool = False


class Data:
    """The bytes of an open file, from behind the ID3 tags that other programs put ahead of any kind of sound."""

    def __init__(self, handle: int) -> None:
        self._handle, self._first = handle, 0
        for _ in range(MOST_CHUNKS):
            tag = self.read(10, 0).ljust(10)
            if not tag.startswith(b"ID3"):
                break
            self._first += 10 + sum((each & 0x7F) << bits for each, bits in zip(tag[6:], (21, 14, 7, 0), strict=True))
        self.size = os.fstat(handle).st_size - self._first

    def read(self, count: int, at: int) -> bytes:
        """Return `count` bytes, or as many as there are."""
        return os.pread(self._handle, count, self._first + at)


class View(io.RawIOBase):
    """`head` + the bytes `begin` to `end` of a file + `tail`, to read and seek in; the file itself stays as it is."""

    def __init__(self, raw: Data, head: bytes = b"", begin: int = 0, end: int | None = None, tail: bytes = b"") -> None:
        self._raw = raw
        self._head, self._begin, self._tail = head, begin, tail
        self._end = raw.size if end is None else end
        self._size = len(head) + self._end - begin + len(tail)
        self._at = 0

    @property
    def behind(self) -> int:
        """Where the file goes on behind what was read of it, which is one byte at least."""
        return self._begin + max(1, self._at - len(self._head))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as a file does."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readable(self) -> bool:
        """Yes."""
        return True

    seekable = readable

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read the next bytes."""
        middle = len(self._head) + self._end - self._begin
        if self._at < len(self._head):
            data = self._head[self._at : self._at + len(buffer)]
        elif self._at < middle:
            at = self._at - len(self._head) + self._begin
            data = self._raw.read(min(len(buffer), self._end - at), at)
        else:
            data = self._tail[self._at - middle : self._at - middle + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def views(raw: Data) -> Iterator[tuple[View, Promise]]:
    """Yield the file as libsndfile shall see it, with what its header promised; a chained Ogg has several.

    Whoever takes one leaves it where its decoder stopped, before taking the next.
    """
    magic = raw.read(16, 0)
    if magic[:4] == b"OggS":
        return _ogg(raw)
    if magic[:4] == b"fLaC":
        return _parts(raw, _flac)
    if magic[:4] == b".snd":
        return iter([_au(raw)])
    layout = next((one for one in LAYOUTS if magic[:4] in one.magics and magic.startswith(one.kind, 8)), None)
    found = _parts(raw, _mp3) if layout is None else _chunked(raw, layout)
    first = next(found, (View(raw), Promise()))  # it is something else, and libsndfile may know
    return itertools.chain([first], found)


# -- files of chunks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How the chunks of a kind of file are written; `size_format` is that of struct."""

    magics: tuple[bytes, ...]
    kind: bytes
    first_at: int
    name_bytes: int
    size_format: str
    align: int
    data: bytes
    counted_bytes: int = 0  # of a chunk's name and size by its size

    @property
    def header_bytes(self) -> int:
        """Length of a chunk's name and size."""
        return self.name_bytes + struct.calcsize(self.size_format)

    def header(self, name: bytes, size: int) -> bytes:
        """Return what stands before the contents of a chunk."""
        return name + struct.pack(self.size_format, size + self.counted_bytes)


LAYOUTS: Final = (
    Layout((b"RIFF", b"RF64", b"BW64"), b"WAVE", 12, 4, "<I", 2, b"data"),
    Layout((b"RIFX",), b"WAVE", 12, 4, ">I", 2, b"data"),
    Layout((b"FORM",), b"AIF", 12, 4, ">I", 2, b"SSND"),
    Layout((b"caff",), b"", 8, 4, ">q", 1, b"data"),
    Layout((b"riff",), b"", 40, 16, "<Q", 8, b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 24),
)


def _chunked(raw: Data, layout: Layout) -> Iterator[tuple[View, Promise]]:
    """Yield each chunk of sound, with the size that it has in the file, behind the first of each other kind before it.

    What tells the format may stand behind the sound. RF64 becomes RIFF, as its large sizes fall away.
    """
    wide_bytes, block_bytes = 0, 1
    before: dict[bytes, bytes] = {}
    chunks = itertools.islice(_chunks(raw, layout, layout.first_at), MOST_CHUNKS)
    for name, at, size in sorted(chunks, key=lambda chunk: chunk[0][:4] not in FORMS):
        if name == b"ds64":
            wide_bytes = struct.unpack("<Q", raw.read(8, at + 8).ljust(8, b"\0"))[0]
        elif name != layout.data and name not in before:
            room = LONGEST_CHUNK - sum(map(len, before.values()))
            content = raw.read(max(0, size), at) if size <= room else b""
            if content[:2] == BIG_EXTENSIBLE:
                content = content[24:26] + content[2:]  # the format that it extends
            before[name] = layout.header(name, len(content)) + content + bytes(-len(content) % layout.align)
            if name[:4] == b"fmt ":
                block_bytes = max(1, *struct.unpack(layout.size_format[0] + "H", content[12:14].ljust(2, b"\0")))
        if name != layout.data:
            continue
        size = wide_bytes if wide_bytes and size == 0xFFFF_FFFF else size
        found = raw.size - at
        known = 0 <= size < UNKNOWN_BYTES
        there = min(size, found) if known else found
        runs_on = there < found and _runs_on(raw, layout, at + size)
        if runs_on:
            there = found
        there -= there % block_bytes  # half a block of ADPCM is decoded as a burst of noise
        promise = Promise(missing_part=max(0, size - found) / max(1, found) if known else 0.0)
        head = raw.read(layout.first_at, 0) + b"".join(before.values())
        yield View(raw, _with_size(layout, head, there), at, at + there), promise
        if runs_on:
            return


def _chunks(raw: Data, layout: Layout, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position and size of the contents of each chunk, as long as they bear names.

    Some writers leave out what should fill up an odd size.
    """
    chunk = _chunk(raw, layout, at)
    while chunk is not None:
        yield chunk
        size = max(0, chunk[2])
        at = min(chunk[1] + size, raw.size)
        chunk = _chunk(raw, layout, at)
        if chunk is None or not _fits(chunk, layout, raw.size):
            chunk = _chunk(raw, layout, at + -size % layout.align)


def _chunk(raw: Data, layout: Layout, at: int) -> tuple[bytes, int, int] | None:
    """Return name, position and size of the contents of the chunk at `at`, None where there is none."""
    header = raw.read(layout.header_bytes, at)
    name = header[: layout.name_bytes]
    if len(header) < layout.header_bytes or not all(32 <= letter < 127 for letter in name[:4]):
        return None
    size = struct.unpack(layout.size_format, header[layout.name_bytes :])[0] - layout.counted_bytes
    return name, at + layout.header_bytes, size


def _fits(chunk: tuple[bytes, int, int], layout: Layout, end: int) -> bool:
    """Tell whether a chunk ends in the file; that of sound may have been cut off."""
    name, at, size = chunk
    return name == layout.data or 0 <= size <= end - at + layout.align


def _runs_on(raw: Data, layout: Layout, at: int) -> bool:
    """Tell whether the data go on behind their stated end `at`: no chunks stand there, nor just a few bytes."""
    for begin in {at, at + -at % layout.align}:
        end = begin
        for chunk in itertools.islice(_chunks(raw, layout, begin), MOST_CHUNKS):
            if chunk[0] == layout.data:
                return False
            if not _fits(chunk, layout, raw.size):
                break
            end = sum(chunk[1:])
        if end > begin and abs(end - raw.size) <= layout.align + layout.header_bytes:
            return False
    return raw.size - at > STRAY_BYTES


def _with_size(layout: Layout, before: bytes, there: int) -> bytes:
    """Return the head of a file with so much sound, of its own one and of the chunks `before` the sound."""
    head = before + layout.header(layout.data, there)
    if layout.first_at < layout.header_bytes:  # CAF tells no length of the whole
        return head
    name = b"RIFF" if head[:4] in LAYOUTS[0].magics else head[: layout.name_bytes]
    return layout.header(name, len(head) + there - layout.header_bytes) + head[layout.header_bytes :]


def _au(raw: Data) -> tuple[View, Promise]:
    head = raw.read(24, 0).ljust(24, b"\0")
    at, size = struct.unpack_from(">II", head, 4)
    found = max(1, raw.size - at)
    short = size - found if size < UNKNOWN_BYTES else 0
    return View(raw, head[:8] + struct.pack(">I", found) + head[12:], 24), Promise(missing_part=max(0, short) / found)


# -- streams -----------------------------------------------------------------------------------------------------------


def _parts(raw: Data, part: Callable[[Data, int], tuple[View, Promise] | None]) -> Iterator[tuple[View, Promise]]:
    """Yield a stream, and anew what is behind each place at which its decoder stopped, which keeps no promise more."""
    at, rest = 0, None
    while (not at or at + STRAY_BYTES < raw.size) and (found := part(raw, at)):
        yield found[0], rest or found[1]
        at, rest = found[0].behind, Promise(0)


def _flac(raw: Data, at: int) -> tuple[View, Promise]:
    """Take the number of samples out of STREAMINFO (36 bits from byte 21 on): 0 is unknown."""
    head = bytearray(raw.read(STREAMINFO_END, 0).ljust(STREAMINFO_END, b"\0"))
    frames = (head[21] & 0xF) << 32 | int.from_bytes(head[22:26], "big")
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    head[4] |= 0x80 if at else 0  # the last of the metadata, that is
    begin = _found(raw, at, raw.size, FLAC_SYNC, lambda *_: True) if at else STREAMINFO_END  # there at once
    return View(raw, bytes(head), begin), Promise(frames or None)


def _found(raw: Data, at: int, end: int, sync: re.Pattern[bytes], is_frame: Callable[[Data, int], bool]) -> int:
    """Return where the next frame begins from `at` on, the end of the file where none does before `end`."""
    while at < end and len(data := raw.read(SEARCHED_BYTES, at)) > OVERLAP_BYTES:
        for found in sync.finditer(data):
            if is_frame(raw, at + found.start()):
                return at + found.start()
        at += len(data) - OVERLAP_BYTES
    return raw.size


def _ogg(raw: Data) -> Iterator[tuple[View, Promise]]:
    """Yield the links of a chain, each with a last page whose position is beyond all that can come."""
    pages = list(itertools.islice(_pages(raw), MOST_PAGES))
    if not pages:
        return
    firsts = [n for n, (_, _, page) in enumerate(pages) if page[5] & 2 and not (n and pages[n - 1][2][5] & 2)] or [0]
    for first, beyond in zip(firsts, [*firsts[1:], len(pages)], strict=True):
        at, size, page = pages[beyond - 1]
        last = raw.read(size, at)
        marked = last[:6] + struct.pack("<q", MANY) + last[14:]
        marked = marked[:22] + _ogg_checksum(marked) + marked[26:]
        head = raw.read(12, pages[first][0] + OGG_HEADER + pages[first][2][26])
        pre_skip = int.from_bytes(head[10:], "little") if head.startswith(b"OpusHead") else 0  # RFC 7845, section 5.1
        granule = struct.unpack_from("<q", page, 6)[0] - pre_skip
        # A stream that was joined late counts from its true beginning, so that the position tells no length.
        lacks = not page[5] & 4 or _is_damaged(raw, pages[first:beyond])
        promise = Promise(granule if granule > 0 else None, counted=False, lacks=lacks)
        yield View(raw, b"", pages[first][0], at, marked), promise


def _pages(raw: Data) -> Iterator[tuple[int, int, bytes]]:
    """Yield position, size and header of each whole page, past whatever stands between them."""
    at = 0
    while at < raw.size:
        header = raw.read(OGG_HEADER + 255, at)
        size = OGG_HEADER + sum(header[OGG_HEADER - 1 : OGG_HEADER + header[26]]) if len(header) > OGG_HEADER else MANY
        if header[:4] == b"OggS" and at + size <= raw.size:
            yield at, size, header
            at += size
        else:
            ahead = raw.read(1 << 16, at + 1)
            found = ahead.find(b"OggS")
            at += 1 + (found if found >= 0 else max(1, len(ahead) - 3))


def _ogg_checksum(page: bytes) -> bytes:
    """Return the CRC of RFC 3533 as it is stored: zlib's with all bits mirrored, not inverted, and its own field 0."""
    unmarked = page[:22] + bytes(4) + page[26:]
    mirrored = ~zlib.crc32(unmarked.translate(MIRRORED), 0xFFFF_FFFF) & 0xFFFF_FFFF
    return mirrored.to_bytes(4).translate(MIRRORED)


def _is_damaged(raw: Data, pages: Sequence[tuple[int, int, bytes]]) -> bool:
    """Tell whether a page is not as it was written, or lacks: a decoder goes on behind it without a word."""
    numbers: dict[bytes, int] = {}
    for at, size, _ in pages:
        page = raw.read(size, at)
        number = int.from_bytes(page[18:22], "little")
        if page[22:26] != _ogg_checksum(page) or numbers.get(page[14:18], number) != number:
            return True
        numbers[page[14:18]] = number + 1
    return False


def _mp3(raw: Data, at: int) -> tuple[View, Promise] | None:
    """Replace the Xing tag by one whose length is beyond all that can come; where there is none, put one first."""
    at = _found(raw, at, raw.size if at else SEARCHED_BYTES, MP3_SYNC, _has_frames)
    frame = raw.read(4096, at)
    shape = _mp3_shape(frame)
    if shape is None:
        return None
    xing_at, length, samples = shape
    is_tag = frame[xing_at : xing_at + 4] in (b"Xing", b"Info")
    flags, frames = struct.unpack_from(">II", frame, xing_at + 4)
    if not (is_tag and flags & 1):
        head = frame[:4].ljust(xing_at, b"\0") + b"Xing" + struct.pack(">II", 1, XING_FRAMES)
        return View(raw, head.ljust(length, b"\0"), at + length * is_tag), Promise()
    told = bytearray(frame[:length])
    struct.pack_into(">I", told, xing_at + 8, XING_FRAMES)
    if flags & 2:
        struct.pack_into(">I", told, xing_at + 12, raw.size - at)
    lame_at = xing_at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    trimmed = int.from_bytes(told[lame_at + 21 : lame_at + 24], "big")
    return View(raw, bytes(told), at + length), Promise(frames * samples - (trimmed >> 12) - (trimmed & 0xFFF))


def _has_frames(raw: Data, at: int) -> bool:
    """Tell whether a frame stands there, and two more behind it: one may be met by chance."""
    for _ in range(3):
        shape = _mp3_shape(raw.read(64, at))
        if shape is None:
            return False
        at += shape[1]
    return True


def _mp3_shape(frame: bytes) -> tuple[int, int, int] | None:
    """Return where a Xing tag would stand, the bytes and the samples of a Layer III frame; None for anything else."""
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    version, mono, bit_rate, rate = frame[1] >> 3 & 3, frame[3] >> 6 == 3, frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    full = version == 3
    rate_hz = MP3_RATES_HZ[rate] >> (0 if full else 1 if version == 2 else 2)
    length = (144 if full else 72) * MP3_KBPS[full][bit_rate] * 1000 // rate_hz + (frame[2] >> 1 & 1)
    return XING_AT[mono + (not full)], length, 1152 if full else 576
