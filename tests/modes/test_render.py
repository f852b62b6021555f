"""The offline renderer: the player's programme as a file."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from pyloudnorm import Meter

import app
import config
from base.errors import StartupError
from config import Settings
from doubles.fake_audio import chord
from doubles.printed import printed
from doubles.sounds import tone
from modes import render
from music import audio_files
from music.analysis import ingest, to_piece
from music.audio_files import Encoder, format_of
from music.segment import SAMPLE_RATE_HZ, Samples, Source
from programme.mixer import Mixer
from screen.printing import Lines

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_segments"
PITCHES = (400.0, 1000.0, 2500.0, 600.0)


def files(folder: Path, count: int = 3, seconds: float = 8.0) -> tuple[Path, ...]:
    """Write tones of different pitches."""
    paths = [folder / f"tone{number}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        hz = PITCHES[number % len(PITCHES)]
        sf.write(path, tone(seconds, hz=hz), SAMPLE_RATE_HZ, subtype="FLOAT")
    return tuple(paths)


def settings(given: Sequence[Path], output: Path, **changes: Any) -> Settings:
    """Return the settings of a rendering."""
    return replace(Settings(), render=tuple(given), output=output, **changes)


def rendered(given: Sequence[Path], output: Path, **changes: Any) -> tuple[int, str, Samples]:
    """Render; return the exit code, what was printed, and the samples."""
    code, said = printed(render.render, settings(given, output, **changes))
    samples = sf.read(output, dtype="float32", always_2d=True)[0] if code == 0 else np.zeros((0, 2), np.float32)
    return code, said, samples


def pitch(samples: Samples, at_s: float) -> float:
    """Return the loudest frequency around a moment."""
    middle = round(at_s * SAMPLE_RATE_HZ)
    part = samples[middle - 2400 : middle + 2400, 0] * np.hanning(4800)
    return float(np.abs(np.fft.rfft(part)).argmax()) * SAMPLE_RATE_HZ / 4800


def longest_rest(samples: Samples) -> float:
    """Return the seconds of the longest stretch below -50 dBFS."""
    loud = np.flatnonzero((np.abs(samples) > 10 ** (-50 / 20)).any(axis=1))
    return float(np.diff(loud).max()) / SAMPLE_RATE_HZ


def test_pieces_follow_one_another_in_their_order_with_crossfades(tmp_path: Path) -> None:
    """The order of the command line is kept, and each overlap takes its seconds once."""
    given = files(tmp_path, 3, 8.0)
    code, _, samples = rendered([given[2], given[0], given[1]], tmp_path / "out.wav", crossfade_seconds=2.0)
    assert code == 0
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(3 * 8 - 2 * 2, abs=0.05)
    heard = [pitch(samples, at_s) for at_s in (4.0, 10.0, 16.0)]
    assert heard == [pytest.approx(hz, rel=0.03) for hz in (2500.0, 400.0, 1000.0)]


def test_it_is_what_the_mixer_plays(tmp_path: Path) -> None:
    """Sample by sample, the programme is that of the player's mixer, as ingested and levelled for playing."""
    given = files(tmp_path, 3, 6.0)
    mixer = Mixer(render.Silence(), crossfade_s=2.0)
    for path in given:
        found = ingest(path, 0.0, -45.0)
        mixer.offer(to_piece(found.samples, found.analysis, -23.0, Source.FRESH, path.name))
    _, _, samples = rendered(given, tmp_path / "out.wav", crossfade_seconds=2.0)
    assert np.abs(samples - mixer.read(len(samples))).max() < 2 / 2**15  # 16 bits in the file


def test_it_ends_with_the_fade_of_the_last_piece(tmp_path: Path) -> None:
    """The programme ends faded, at the end of the last piece, with nothing behind it."""
    _, _, samples = rendered(files(tmp_path, 1, 5.0), tmp_path / "out.wav")
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(5.0, abs=0.02)
    ends = np.abs(samples[-4800:]).max(axis=1)
    assert ends[:480].max() > 10 * ends[-480:].max() > 0


def test_a_block_may_be_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is mixed at once changes nothing."""
    given = files(tmp_path, 2, 3.0)
    one = rendered(given, tmp_path / "one.wav")[2]
    monkeypatch.setattr(render, "BLOCK_FRAMES", 7777)
    other = rendered(given, tmp_path / "other.wav")[2]
    assert np.array_equal(one, other)


def test_only_a_few_pieces_are_loaded_at_once(tmp_path: Path) -> None:
    """Files are decoded as they are needed: two ahead of the one that is mixed."""
    given = [files(tmp_path, 1, 3.0)[0]] * 20
    report = render.Report()
    blocks = render.programme(settings(given, tmp_path / "out.wav"), Lines(io.StringIO(), "en"), report)
    next(blocks)
    assert report.pieces == 2
    most = max(report.pieces - report.frames / SAMPLE_RATE_HZ / 1.5 for _ in blocks)
    assert report.pieces == 20
    assert most <= 4  # each piece starts 1.5 s after the one before: half of it is the fade


@pytest.mark.parametrize("bad", [b"", b"no music", b"RIFF\xff\xff\xff\x7fWAVEfmt "])
def test_what_is_no_music_is_left_out_with_a_line(tmp_path: Path, bad: bytes) -> None:
    """A file that cannot be used is named with the reason; the others are mixed."""
    broken = tmp_path / "bro\x1b[31mken.wav"
    broken.write_bytes(bad)
    good = files(tmp_path, 2, 3.0)
    code, said, samples = rendered([good[0], broken, tmp_path / "gone.wav", good[1]], tmp_path / "out.wav")
    assert code == 0
    assert len(samples) > 4 * SAMPLE_RATE_HZ
    assert said.count("left out") == 2
    assert "gone.wav is left out: no such file" in said
    assert "\x1b" not in said
    assert re.search(r"^pieces +2 of 4$", said, re.MULTILINE)


def test_nothing_usable_writes_nothing(tmp_path: Path) -> None:
    """With no file to play the exit code is 1, and what stood at the output is still there."""
    broken, output = tmp_path / "broken.wav", tmp_path / "out.wav"
    broken.write_bytes(b"no music")
    output.write_bytes(b"an older programme")
    code, said, _ = rendered([broken], output)
    assert code == 1
    assert "nothing was written" in said
    assert output.read_bytes() == b"an older programme"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.wav", "out.wav"]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path: Path, suffix: str) -> None:
    """What is written before it has its name has a short one."""
    code, _, samples = rendered(files(tmp_path, 1, 3.0), tmp_path / ("n" * (255 - len(suffix)) + suffix))
    assert code == 0
    assert len(samples)


def test_what_another_program_writes_there_is_left_alone(tmp_path: Path) -> None:
    """One of another machine, or in another container, may have our process id."""
    partial = tmp_path / f".{os.getpid()}.part"
    partial.write_bytes(b"theirs")
    assert rendered(files(tmp_path, 1, 3.0), tmp_path / "out.wav")[0] == 0
    assert partial.read_bytes() == b"theirs"


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    """The output takes the place of an older one."""
    output = tmp_path / "out.wav"
    output.write_bytes(b"an older programme")
    code, _, samples = rendered(files(tmp_path, 1, 3.0), output)
    assert code == 0
    assert len(samples) > SAMPLE_RATE_HZ


def test_the_output_is_never_one_of_the_inputs(tmp_path: Path) -> None:
    """Not by another name either; nor is it anything but a plain file."""
    given = files(tmp_path, 1, 3.0)
    before = given[0].read_bytes()
    (tmp_path / "link.wav").symlink_to(given[0])
    (tmp_path / "hard.wav").hardlink_to(given[0])
    for name in ("link.wav", "hard.wav"):
        with pytest.raises(StartupError, match="one of the files to read"):
            rendered(given, tmp_path / name)
    with pytest.raises(StartupError, match="not a plain file"):
        rendered(given, Path("/dev/null"))
    assert given[0].read_bytes() == before


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses in the middle, that is said, nothing half done stays, and the older file does."""
    output, calls = tmp_path / "out.wav", itertools.count()
    output.write_bytes(b"an older programme")
    write = sf.SoundFile.write

    def fill_up(file: Any, data: Samples) -> None:
        if next(calls) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, data)

    monkeypatch.setattr(sf.SoundFile, "write", fill_up)
    given = files(tmp_path, 2, 3.0)
    code, said, _ = rendered(given, output)
    assert code == 1
    assert said == f"cannot write {output} (no space left on device): free some space or give another place\n"
    assert output.read_bytes() == b"an older programme"
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted rendering leaves no partial file, and the program says so by its exit code."""
    given, output = files(tmp_path, 2, 3.0), tmp_path / "out.wav"
    calls = itertools.count()

    def interrupted(*_: object) -> None:
        if next(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(sf.SoundFile, "write", interrupted)
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    assert app.main(["--render", *map(str, given), "-o", str(output)]) == 130
    assert not output.exists()
    assert not list(tmp_path.glob(".*"))


def test_the_report_is_true(tmp_path: Path) -> None:
    """Duration, loudness, peak and silence are those of the file, in both languages."""
    gap = np.concatenate([chord(4.0), np.zeros((SAMPLE_RATE_HZ, 2), np.float32), chord(4.0, 1)])
    sf.write(tmp_path / "gap.wav", gap, SAMPLE_RATE_HZ)
    given = [*files(tmp_path, 2, 6.0), tmp_path / "gap.wav"]
    _, said, samples = rendered(given, tmp_path / "out.wav")
    figures = dict(re.split(r"  +", line, maxsplit=1) for line in said.splitlines())
    assert figures["duration"] == f"0:{int(len(samples) / SAMPLE_RATE_HZ):02}"
    lufs = Meter(SAMPLE_RATE_HZ).integrated_loudness(samples)
    assert float(figures["loudness"].removesuffix(" LUFS")) == pytest.approx(lufs, abs=0.1)
    peak = 20 * np.log10(np.abs(samples).max())
    assert float(figures["peak"].removesuffix(" dBFS")) == pytest.approx(peak, abs=0.1)
    # The second of silence inside the last piece was shortened to a rest, as when it is played.
    assert float(figures["longest silence"].removesuffix(" s")) == 0.0
    assert re.fullmatch(r"\d+ × real time", figures["speed"])
    assert "ラウドネス" in rendered(given, tmp_path / "out.wav", lang="ja")[1]


def test_the_format_follows_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the formats by its name, WAV without one, and the large kind of WAV where 4 GiB may not do."""
    given = files(tmp_path, 2, 3.0)
    reference = rendered(given, tmp_path / "out")[2]
    for name, kind in (
        ("out.wav", "WAV/PCM_16"),
        ("out.FLAC", "FLAC/PCM_16"),
        ("out.ogg", "OGG/VORBIS"),
        ("out.opus", "OGG/OPUS"),
        ("out.mp3", "MP3/MPEG_LAYER_III"),
    ):
        samples = rendered(given, tmp_path / name)[2]
        written = sf.info(str(tmp_path / name))
        assert f"{written.format}/{written.subtype}" == kind
        assert len(samples) == pytest.approx(len(reference), abs=1200)
        assert np.sqrt(np.mean((samples[:48_000] - reference[:48_000]) ** 2)) < 0.01
    monkeypatch.setattr(audio_files, "LONGEST_WAV_FRAMES", 4 * SAMPLE_RATE_HZ)
    assert rendered(given, tmp_path / "long.wav")[0] == 0
    assert sf.info(str(tmp_path / "long.wav")).format == "RF64"


@pytest.mark.parametrize("name", ["out.m4a", "out.aac", "out.wma", "out.txt", "link.wav"])
def test_a_format_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    """Nothing is decoded for a file that would not be what its name says, and the formats are named."""
    (tmp_path / "link.wav").symlink_to(tmp_path / "out.m4a")
    with pytest.raises(StartupError, match=r"cannot be written; .*\.wav, \.flac, \.ogg, \.opus, \.mp3"):
        rendered([tmp_path / "never read.wav"], tmp_path / name)


def test_tags_are_written_where_the_format_has_them(tmp_path: Path) -> None:
    """Title and comment, in any language."""
    for suffix in (".wav", ".flac", ".ogg", ".opus", ".mp3"):
        path = tmp_path / f"a{suffix}"
        with Encoder(path, format_of(path), title="雨の夜", comment="soft keys") as file:
            file.write(chord(1.0))
        with sf.SoundFile(path) as written:
            assert (written.title, written.comment) == ("雨の夜", "soft keys")


def test_a_cut_file_is_mixed_and_said(tmp_path: Path) -> None:
    """What is there is in the programme, in both languages with a word."""
    given = files(tmp_path, 1, 8.0)
    given[0].write_bytes(given[0].read_bytes()[: 4 * 2 * 6 * SAMPLE_RATE_HZ])
    code, said, samples = rendered(given, tmp_path / "out.wav")
    assert code == 0
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(6.0, abs=0.05)
    assert "tone0.wav is cut off (-2.0 s): what is there is used" in said
    assert "途中で切れています（-2.0 s）" in rendered(given, tmp_path / "out.wav", lang="ja")[1]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real segments are not on this machine")
def test_real_segments_become_one_level_programme(tmp_path: Path) -> None:
    """Real music: at the target's loudness, peaks below -1 dBFS, no rest that is not the music's own."""
    given = sorted(REAL.glob("*.wav"))[:5]
    code, said, samples = rendered(given, tmp_path / "out.wav")
    assert code == 0, said
    assert Meter(SAMPLE_RATE_HZ).integrated_loudness(samples) == pytest.approx(-23.0, abs=0.5)
    assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-4
    rests = []
    for path in given:
        found = ingest(path, 0.0, -45.0)
        piece = to_piece(found.samples, found.analysis, -23.0, Source.FRESH, "")
        sf.write(tmp_path / "piece.wav", piece.samples[:], SAMPLE_RATE_HZ, subtype="PCM_16")  # rounded as the other
        rests.append(longest_rest(sf.read(tmp_path / "piece.wav", dtype="float32")[0]))
    assert longest_rest(samples) <= max(0.25, *rests)
