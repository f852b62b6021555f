"""Files as they are met in the wild: what is there is played, whatever their headers say."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import CorruptSegment
from doubles.fake_audio import chord
from music import containers, decoding
from music.audio_files import FORMATS, Encoder, format_of
from music.segment import SAMPLE_RATE_HZ, Samples

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "ALAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
CHUNKED = [("WAV", "PCM_16"), ("WAVEX", "FLOAT"), ("WAV", "ULAW"), ("RF64", "PCM_24"), ("AIFF", "PCM_16")]
SIZE_OF = {"WAV": (b"data", "<I"), "WAVEX": (b"data", "<I"), "RF64": (b"data", "<I"), "AIFF": (b"SSND", ">I")}


def encoded(samples: Samples, container: str, subtype: str, **more: object) -> bytes:
    """Return a file as libsndfile writes it."""
    buffer = io.BytesIO()
    sf.write(buffer, samples, SAMPLE_RATE_HZ, format=container, subtype=subtype, **more)
    return buffer.getvalue()


def read(folder: Path, data: bytes) -> decoding.Decoded:
    """Decode bytes."""
    (folder / "any").write_bytes(data)
    return decoding.read(folder / "any")


def seconds(found: decoding.Decoded) -> float:
    """Return the length of what was found."""
    return len(found.samples) / SAMPLE_RATE_HZ


@pytest.mark.parametrize(("container", "subtype"), KINDS)
def test_a_whole_file_is_whole_and_nothing_is_said(tmp_path: Path, container: str, subtype: str) -> None:
    """No format gets a false word about its length."""
    found = read(tmp_path, encoded(chord(3.0), container, subtype))
    assert seconds(found) == pytest.approx(3.0, abs=0.045 if subtype == "IMA_ADPCM" else 1e-9)
    assert found.missing == ""


@pytest.mark.parametrize(("container", "subtype"), KINDS)
@pytest.mark.parametrize("part", [0.95, 0.6, 0.3])
def test_a_cut_file_is_played_as_far_as_it_goes_and_said(
    tmp_path: Path, container: str, subtype: str, part: float
) -> None:
    """Half a file is half the music and a word, in every format."""
    whole = encoded(chord(10.0), container, subtype)
    found = read(tmp_path, whole[: int(len(whole) * part)])
    assert 10.0 * part - 1.2 < seconds(found) < 10.0 * part + 0.6
    assert (
        found.missing_s == pytest.approx(10.0 - seconds(found), abs=0.9 if subtype == "ALAC_16" else 0.15)
        or found.missing == "-? s"
    )
    assert (found.missing == "-? s") == (container == "OGG")
    assert np.abs(found.samples - chord(10.0)[: len(found.samples)]).max() < 0.25


@pytest.mark.parametrize(
    "size", [0x7F000008, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB, 0xFFFFFFF7, 0]
)
@pytest.mark.parametrize(("container", "subtype"), CHUNKED)
def test_what_writers_into_a_pipe_leave_in_the_header_is_no_length(
    tmp_path: Path, container: str, subtype: str, size: int
) -> None:
    """The data reach to the end of the file, and nothing lacks."""
    data = bytearray(encoded(chord(2.0), container, subtype))
    name, form = SIZE_OF[container]
    at = data.index(name) + 4
    length = struct.unpack_from(form, data, at)[0]
    if container == "RF64":
        length = struct.unpack_from("<Q", data, data.index(b"ds64") + 16)[0]
        struct.pack_into("<QQ", data, data.index(b"ds64") + 8, 0, 0)
    struct.pack_into(form, data, at, size)
    found = read(tmp_path, bytes(data[: at + 4 + length]))
    assert seconds(found) == pytest.approx(2.0, abs=1e-3)
    assert found.missing == ""


@pytest.mark.parametrize("excess", [1, 2, 3, 16, 17, 4000])
def test_a_few_bytes_too_many_are_said_and_the_rest_is_played(tmp_path: Path, excess: int) -> None:
    """A header that is a little off costs nothing but a word."""
    data = bytearray(encoded(chord(2.0), "WAV", "PCM_16"))
    struct.pack_into("<I", data, 40, len(data) - 44 + excess)
    found = read(tmp_path, bytes(data))
    assert seconds(found) == 2.0
    assert found.missing == f"-{excess / 192:.1f} ms"


@pytest.mark.parametrize("size", [1, 2, 1001, 100_000])
def test_data_that_go_on_behind_their_stated_end_are_played(tmp_path: Path, size: int) -> None:
    """A length that is too small, as of a program that died, hides no music; real chunks behind the data are none."""
    data = bytearray(encoded(chord(2.0), "WAV", "PCM_16"))
    struct.pack_into("<I", data, 40, size)
    assert seconds(read(tmp_path, bytes(data))) == 2.0
    behind = b"LIST" + struct.pack("<I", 2004) + b"INFO" + bytes(2000)
    assert seconds(read(tmp_path, encoded(chord(2.0), "WAV", "PCM_16") + behind)) == 2.0
    odd = encoded(chord(2.0)[:, :1], "WAV", "PCM_U8")[:-1]
    odd = odd[:40] + struct.pack("<I", len(odd) - 44) + odd[44:] + b"\0" + behind
    assert len(read(tmp_path, odd).samples) == 2 * SAMPLE_RATE_HZ - 1


def chunk(name: bytes, content: bytes, filled_by: bytes = b"\0") -> bytes:
    """Return a chunk of a WAV file; `filled_by`: what brings it to an even length."""
    return name + struct.pack("<I", len(content)) + content + filled_by * (len(content) % 2)


MUSIC = encoded(chord(4.0), "WAV", "PCM_16")
FORM, SOUND = MUSIC[12:36], MUSIC[44:]
ODD = b"x" * 27
HALF = len(SOUND) // 2
LESSER = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16))


@pytest.mark.parametrize(
    "chunks",
    [
        [FORM, chunk(b"bext", ODD, b""), chunk(b"data", SOUND)],
        [chunk(b"junk", ODD, b""), FORM, chunk(b"LIST", ODD, b""), chunk(b"data", SOUND)],
        [FORM, chunk(b"bext", ODD, b"P"), chunk(b"data", SOUND)],
        [chunk(b"fmt ", FORM[8:] + b"\0", b""), chunk(b"data", SOUND)],
        [FORM, chunk(b"bext", ODD, b""), struct.pack("<4sI", b"data", 0xFFFF_FFFF), SOUND],
        [FORM, FORM, chunk(b"data", SOUND)],
        [FORM, LESSER, chunk(b"data", SOUND)],
        [FORM, chunk(b"data", SOUND[:HALF]), chunk(b"data", SOUND[HALF:])],
        [FORM, chunk(b"data", SOUND[:HALF]), chunk(b"LIST", ODD, b""), FORM, chunk(b"data", SOUND[HALF:])],
        [FORM, chunk(b"data", b""), chunk(b"data", SOUND)],
        [FORM, chunk(b"junk", bytes(2 << 20)), chunk(b"data", SOUND)],
    ],
)
def test_a_wav_of_a_careless_device_is_played(tmp_path: Path, chunks: list[bytes]) -> None:
    """An odd chunk that nothing fills up, a form twice (the first counts), sound in several chunks, or a large picture.

    libsndfile refuses most of them.
    """
    body = b"WAVE" + b"".join(chunks)
    found = read(tmp_path, chunk(b"RIFF", body))
    np.testing.assert_array_equal(found.samples, read(tmp_path, MUSIC).samples)
    assert found.missing == ""


@pytest.mark.parametrize(("container", "subtype"), CHUNKED)
def test_what_tells_the_format_may_stand_behind_the_sound(tmp_path: Path, container: str, subtype: str) -> None:
    """Chunks may come in any order; with a decoder that reads on, what it needs comes first."""
    whole = encoded(chord(2.0), container, subtype)
    name, size_format = SIZE_OF[container]
    at = whole.index(name)
    size = struct.unpack(size_format, whole[at + 4 : at + 8])[0]
    if container == "RF64":
        size = len(whole) - at - 8
        whole = whole[: at + 4] + struct.pack(size_format, size) + whole[at + 8 :]
    sound = whole[at : at + 8 + size]
    found = read(tmp_path, whole[:12] + sound + bytes(size % 2) + whole[12:at])
    np.testing.assert_array_equal(found.samples, read(tmp_path, whole).samples)
    assert not found.missing


@pytest.mark.parametrize("lacking", [1000, 100_000])
def test_what_lacks_of_a_second_chunk_is_told(tmp_path: Path, lacking: int) -> None:
    """The first is no part of it, and the head of the second is no sound."""
    body = b"WAVE" + FORM + chunk(b"data", SOUND[:HALF]) + chunk(b"data", SOUND[HALF:])
    found = read(tmp_path, chunk(b"RIFF", body)[:-lacking])
    np.testing.assert_array_equal(found.samples, read(tmp_path, MUSIC).samples[: -lacking // 4])
    assert found.missing_s == pytest.approx(lacking / 4 / SAMPLE_RATE_HZ)


@pytest.mark.parametrize("frames", [0, 1000, 60 * SAMPLE_RATE_HZ])
def test_a_flac_plays_what_it_holds(tmp_path: Path, frames: int) -> None:
    """Of unknown length, or of one that is not true."""
    data = bytearray(encoded(chord(3.0), "FLAC", "PCM_16"))
    data[21] = data[21] & 0xF0 | frames >> 32
    data[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    found = read(tmp_path, bytes(data))
    assert seconds(found) == 3.0
    assert found.missing == ("-57.0 s" if frames > 1000 else "")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("granule", [-1, 0, SAMPLE_RATE_HZ, 3600 * SAMPLE_RATE_HZ])
def test_an_ogg_plays_what_it_holds(tmp_path: Path, subtype: str, granule: int) -> None:
    """The last position may be unknown, or that of a stream that was joined late."""
    from music.containers import _ogg_checksum

    data = bytearray(encoded(chord(3.0), "OGG", subtype))
    at = data.rindex(b"OggS")
    struct.pack_into("<q", data, at + 6, granule)
    struct.pack_into("<I", data, at + 22, 0)
    data[at + 22 : at + 26] = _ogg_checksum(bytes(data[at:]))
    found = read(tmp_path, bytes(data))
    assert seconds(found) == pytest.approx(3.0, abs=0.05)
    assert found.missing == ""


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("damage", ["a byte", "a page", "a gap"])
def test_an_ogg_that_is_damaged_inside_is_played_and_said(tmp_path: Path, subtype: str, damage: str) -> None:
    """The decoder passes over a page that is not as it was written, without a word."""
    data = encoded(chord(20.0), "OGG", subtype)
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    begin, end = pages[len(pages) // 2], pages[len(pages) // 2 + 1]
    middle = {"a byte": b"", "a page": b"", "a gap": data[begin:end] + bytes(3000)}[damage]
    if damage == "a byte":
        middle = data[begin : end - 1] + bytes([data[end - 1] ^ 1])
    found = read(tmp_path, data[:begin] + middle + data[end:])
    assert 10.0 < seconds(found) <= 20.0
    assert found.missing == ("" if damage == "a gap" else "-? s")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypM4A ", "M4A/MP4"),
        (b"\xff\xf1\x4c\x80", "AAC"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
        (b"\x1a\x45\xdf\xa3", "Matroska/WebM"),
        (b"wvpk", "WavPack"),
        (b"OggS".ljust(28, b"\0") + b"\x7fFLAC\1", "FLAC in Ogg"),
    ],
)
def test_music_of_a_kind_that_is_not_decoded_is_called_by_its_name(tmp_path: Path, head: bytes, kind: str) -> None:
    """It is neither broken nor no audio, and what to do is said."""
    with pytest.raises(CorruptSegment, match=f"^{kind} cannot be decoded; convert it to FLAC or WAV$"):
        read(tmp_path, head.ljust(4096, b"\x55"))


def test_a_chain_of_oggs_is_played_to_its_end(tmp_path: Path) -> None:
    """Recordings of radio stations are one stream after the other."""
    links = [encoded(chord(2.0, index), "OGG", "VORBIS") for index in range(3)]
    assert seconds(read(tmp_path, b"".join(links))) == pytest.approx(6.0, abs=0.05)


def without_xing(mp3: bytes) -> bytes:
    """Take the first frame away, which holds nothing but the length."""
    second = next(
        at for at in range(4, len(mp3)) if mp3[at : at + 2] == mp3[:2] and mp3[at + 2] & 0x0C == mp3[2] & 0x0C
    )
    return mp3[second:]


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050, 11_025])
def test_an_mp3_without_a_length_is_played_to_its_end(tmp_path: Path, rate: int, channels: int, tagged: bool) -> None:
    """Loud, then soft: a guess from the first frames falls far too short."""
    noise = np.random.default_rng(1).normal(0, 0.2, (4 * rate, channels)).astype(np.float32)
    sf.write(
        tmp_path / "a.mp3", np.concatenate([noise, noise * 0.001, noise * 0, noise]), rate,
        format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.5,
    )  # fmt: skip
    data = without_xing((tmp_path / "a.mp3").read_bytes())
    found = read(tmp_path, (b"ID3\x04\0\0\0\0\x01\0" + bytes(128) if tagged else b"") + data)
    assert seconds(found) == pytest.approx(16.0, abs=0.25)
    assert found.missing == ""


def test_an_mp3_that_is_longer_than_its_header_says_is_played_to_its_end(tmp_path: Path) -> None:
    """Files that were joined byte by byte keep the header of the first."""
    one = encoded(chord(3.0), "MP3", "MPEG_LAYER_III")
    assert seconds(read(tmp_path, one + without_xing(one))) == pytest.approx(6.0, abs=0.15)


@pytest.mark.parametrize("length", [1, 400, 1000, 5000, 100_000])
@pytest.mark.parametrize(
    "tags", [b"", b"ID3\4\0\0\0\0\1\0" + bytes(128), b"ID3\4\0\x10\0\0\0\x05hello3DI\4\0\x10\0\0\0\x05"]
)
@pytest.mark.parametrize("kind", ["zeros", "noise", "sync words"])
def test_an_mp3_is_found_behind_what_is_no_sound(tmp_path: Path, kind: str, tags: bytes, length: int) -> None:
    """Whatever a download, a tagger or a cut has left before its first frame."""
    noise = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
    before = {"zeros": bytes(length), "noise": noise, "sync words": (b"\xff\xfb\x90\x64" * length)[:length]}[kind]
    whole = encoded(chord(3.0), "MP3", "MPEG_LAYER_III")
    found = read(tmp_path, tags + before + whole)
    np.testing.assert_array_equal(found.samples, read(tmp_path, whole).samples)
    assert found.missing == ""


@pytest.mark.parametrize("begin", [2, 100, 1000])
def test_an_mp3_that_lacks_its_beginning_is_played_from_its_next_frame(tmp_path: Path, begin: int) -> None:
    """As that of a stream that was joined late."""
    assert seconds(read(tmp_path, encoded(chord(5.0), "MP3", "MPEG_LAYER_III")[begin:])) == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("at_s", [0.2, 0.5, 1.2, 5.0])
def test_a_flac_that_is_damaged_is_played_and_said(tmp_path: Path, at_s: float) -> None:
    """Up to the damage at least, and behind it where libFLAC finds its way again."""
    data = bytearray(encoded(chord(10.0), "FLAC", "PCM_16"))
    data[round(len(data) * at_s / 10)] ^= 0x55
    found = read(tmp_path, bytes(data))
    assert max(0.05, at_s - 0.3) < seconds(found) < 10.0
    assert found.missing_s == pytest.approx(10.0 - seconds(found))


def id3(length: int) -> bytes:
    """Return a tag that is so long without its header."""
    return b"ID3\x04\0\0" + bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(length)


@pytest.mark.parametrize(("container", "subtype"), KINDS)
@pytest.mark.parametrize("tags", [id3(300), id3(100) + id3(200_000)])
def test_tags_ahead_of_any_kind_of_sound_are_passed(tmp_path: Path, container: str, subtype: str, tags: bytes) -> None:
    """Taggers put ID3 before FLAC and WAV too: what is behind is what it is, cut or whole."""
    data = encoded(chord(3.0), container, subtype)
    for bare in (data, data[: len(data) * 4 // 5]):
        alone, behind = read(tmp_path, bare), read(tmp_path, tags + bare)
        assert (behind.missing, len(behind.samples)) == (alone.missing, len(alone.samples))
        assert np.array_equal(np.asarray(behind.samples), np.asarray(alone.samples))


def test_a_promise_that_is_nonsense_is_no_measure_of_what_lacks(tmp_path: Path) -> None:
    """A day of music in three seconds' file: that something lacks is said, not how much."""
    data = bytearray(encoded(chord(3.0), "FLAC", "PCM_16"))
    data[21] |= 1
    assert read(tmp_path, bytes(data)).missing == "-? s"


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), np.random.default_rng(1).bytes(5000), bytes(20_000)])
def test_what_stands_behind_a_flac_takes_nothing_from_it(tmp_path: Path, tail: bytes) -> None:
    """A tag of other programs, and whatever else: all of the music, and no false word."""
    whole = chord(3.0)
    found = read(tmp_path, encoded(whole, "FLAC", "PCM_16") + tail)
    assert (seconds(found), found.missing) == (3.0, "")


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
@pytest.mark.parametrize("hole", [np.random.default_rng(2).bytes(2000), bytes(3000), bytes(300_000)])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_behind_a_damaged_place_a_stream_goes_on(
    tmp_path: Path, container: str, subtype: str, hole: bytes, noise: float
) -> None:
    """Where a decoder gives up, only what was there is lost, and said; long or short, and with frames of any size."""
    music = chord(20.0) + noise * np.random.default_rng(3).uniform(-1, 1, (20 * SAMPLE_RATE_HZ, 2)).astype(np.float32)
    data = encoded(music, container, subtype)
    middle = len(data) // 2
    found = read(tmp_path, data[:middle] + hole + data[middle + min(3000, len(hole)) :])
    assert 17.5 < seconds(found) < 20.05
    assert found.missing_s is None or found.missing_s == pytest.approx(20.0 - seconds(found), abs=0.05)


WAV_HEAD = b"RIFF\0\0\0\0WAVE" + encoded(np.zeros((4, 2), np.float32), "WAV", "PCM_16")[12:36]


@pytest.mark.parametrize(
    "data",
    [
        b"ID3\4\0\0\0\0\0\0" * 100_000,
        WAV_HEAD + b"AAAA\0\0\0\0" * 100_000,
        WAV_HEAD + b"data\4\0\0\0abcd" * 100_000,
        (b"OggS\0\2" + bytes(21) + b"OggS" + bytes(23)) * 100_000,
        encoded(np.zeros((4, 2), np.float32), "FLAC", "PCM_16") + b"\xff\xf8\xc9\x18" * 1_000_000,
    ],
    ids=["tags", "chunks", "sounds", "links", "frames"],
)
def test_what_is_written_to_take_for_ever_takes_few_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """However often a file begins anew, there is an end to what is looked at: of its bytes, and at a time."""
    reads: list[int] = []
    plain = containers.Data.read

    def counted(raw: containers.Data, count: int, at: int) -> bytes:
        reads.append(count)
        return plain(raw, count, at)

    monkeypatch.setattr(containers.Data, "read", counted)
    with contextlib.suppress(CorruptSegment):
        read(tmp_path, data)
    assert len(reads) < 80_000


def test_what_a_decoder_need_not_know_takes_no_memory(tmp_path: Path) -> None:
    """As hundreds of pictures ahead of the sound."""
    pictures = b"".join(b"%04d" % i + struct.pack("<I", 500_000) + bytes(500_000) for i in range(40))
    whole = encoded(chord(1.0), "WAV", "PCM_16")
    (tmp_path / "any").write_bytes(whole[:36] + pictures + whole[36:])
    tracemalloc.start()
    try:
        assert seconds(decoding.read(tmp_path / "any")) == 1.0
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_a_click_that_is_cut_off_leaves_what_follows() -> None:
    """The end of a part may fall into one: the next part begins there."""
    sound = decoding._Sound()
    music = np.full((20 * decoding.CLICK_FRAMES, 2), 0.5, np.float32)
    music[::2] *= -1
    clicked = music.copy()
    clicked[-decoding.CLICK_FRAMES :] = 50.0
    sound.put(clicked)
    sound.cut(len(clicked) - 100)
    sound.put(music)
    assert np.array_equal(np.sign(np.asarray(sound.mended())[len(clicked) - 100 :]), np.sign(music))


@pytest.mark.parametrize("rates", [(48_000, 44_100), (22_050, 48_000), (32_000, 8_000)])
def test_an_mp3_whose_rate_changes_is_played_to_its_end(tmp_path: Path, rates: tuple[int, int]) -> None:
    """As put together from several: each at its own speed and length."""
    data = b""
    for rate, channels in zip(rates, (2, 1), strict=True):
        buffer = io.BytesIO()
        sf.write(buffer, chord(5.0)[: 5 * rate, :channels], rate, format="MP3", subtype="MPEG_LAYER_III")
        data += buffer.getvalue()
    lengths = [min(5.0, 240_000 / rate) for rate in rates]
    assert seconds(read(tmp_path, data)) == pytest.approx(sum(lengths), abs=0.2)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("size", [None, 0, 0xFFFF_FFFF, 5000])
def test_a_wav_of_the_other_byte_order_is_like_any_other(
    tmp_path: Path, bits: int, extensible: bool, size: int | None
) -> None:
    """RIFX, with the format that other programs write, and with the same lies about its length."""
    whole = np.rint(chord(3.0) * 2**15)
    data = (whole * 2 ** (bits - 16)).astype(">i4").view(np.uint8).reshape(-1, 4)[:, 4 - bits // 8 :].tobytes()
    form = struct.pack(">HHIIHH", 0xFFFE if extensible else 1, 2, 48_000, 12_000 * bits, bits // 4, bits)
    if extensible:
        form += struct.pack(">HHI", 22, bits, 3) + bytes.fromhex("0001000000001000800000aa00389b71")
    body = b"WAVEfmt " + struct.pack(">I", len(form)) + form + b"data"
    body += struct.pack(">I", len(data) if size is None else size) + data
    found = read(tmp_path, b"RIFX" + struct.pack(">I", len(body)) + body)
    assert np.array_equal(np.rint(np.asarray(found.samples) * 2**15), whole)


@pytest.mark.parametrize("height", [9.0, 50.0, -90_000.0])
def test_a_click_far_beyond_full_scale_takes_no_bits_from_the_music(tmp_path: Path, height: float) -> None:
    """As a float it may be as high as it likes: the music keeps its level, and stays as fine as in 13 bits."""
    music = chord(3.0)
    clicked = music.copy()
    clicked[70_000, 1] = height
    found = np.asarray(read(tmp_path, encoded(clicked, "WAV", "FLOAT")).samples)
    found, quiet = np.delete(found, 70_000, axis=0), np.delete(music, 70_000, axis=0)
    scale = np.vdot(found, quiet) / np.vdot(quiet, quiet)
    assert scale > 0.5
    assert np.abs(found / scale - quiet).max() < 2**-13


def test_the_limit_that_bites_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes, megabytes, channels or rate, each with its limit: a tiny FLAC can hold hours of silence."""
    monkeypatch.setattr(decoding, "MAX_LENGTH_S", 60.0)
    with pytest.raises(CorruptSegment, match="too long: the limit is 1 minutes"):
        read(tmp_path, encoded(np.zeros((61 * SAMPLE_RATE_HZ, 2), np.float32), "FLAC", "PCM_16"))
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(CorruptSegment, match="too big: 2 MB, the limit is 1 MB"):
        read(tmp_path, encoded(chord(11.0), "WAV", "PCM_16"))
    with pytest.raises(CorruptSegment, match="20 channels: at most 16"):
        read(tmp_path, encoded(np.zeros((480, 20), np.float32), "WAV", "PCM_16"))
    with pytest.raises(CorruptSegment, match="rate of 4000 Hz: 8000 to 384000"):
        sf.write(tmp_path / "slow.wav", np.zeros((480, 2)), 4000)
        decoding.read(tmp_path / "slow.wav")


def damaged(draw: Callable[[st.SearchStrategy[int]], int], whole: bytes) -> bytes:
    """Overwrite bytes, mostly of the header, and cut."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, 200))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_damage_is_sound_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: tuple[str, str]
) -> None:
    """Whatever stands in a header, there is an answer and no other exception."""
    broken = damaged(data.draw, encoded(chord(0.6), *kind))
    try:
        found = read(tmp_path_factory.mktemp("any"), broken)
    except CorruptSegment as error:
        assert str(error)
    else:
        assert np.isfinite(found.samples).all()


@pytest.mark.parametrize("suffix", list(FORMATS))
@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ({"title": "雨の曲", "artist": "Björk"}, "Björk – 雨の曲"),
        ({"title": " a song "}, "a song"),
        ({"artist": "nobody"}, "01 – file"),
        ({}, "01 – file"),
    ],
)
def test_a_file_is_called_what_its_tags_say_or_as_it_is_named(
    tmp_path: Path, suffix: str, tags: dict[str, str], title: str
) -> None:
    """In all that can hold tags."""
    path = tmp_path / f"01 – file{suffix}"
    with Encoder(path, format_of(path), **tags) as file:
        file.write(chord(1.0))
    assert decoding.title_of(path) == title


def test_what_cannot_be_read_is_called_as_it_is_named(tmp_path: Path) -> None:
    """No music, and no file."""
    (tmp_path / "no music.mp3").write_bytes(b"x" * 999)
    assert decoding.title_of(tmp_path / "no music.mp3") == "no music"
    assert decoding.title_of(tmp_path / "gone.flac") == "gone"


def test_tags_are_looked_for_until_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is asked: one read a tag, and one that finds none."""
    reads: list[int] = []

    def pread(handle: int, count: int, at: int, real: Callable[[int, int, int], bytes] = os.pread) -> bytes:
        reads.append(at)
        return real(handle, count, at)

    monkeypatch.setattr(os, "pread", pread)
    tag = b"ID3\4\0\0\0\0\0\5" + bytes(5)
    path = tmp_path / "file"
    path.write_bytes(2 * tag + b"fLaC")
    with path.open("rb") as raw:
        assert containers.Data(raw.fileno()).read(4, 0) == b"fLaC"
    assert reads == [0, 15, 30, 30]
