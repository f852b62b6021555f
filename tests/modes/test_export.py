"""`--export`: every liked piece as a file with its title inside, none written over, none that stops the others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile as sf

from config import Settings
from doubles.printed import printed
from doubles.sounds import tone
from modes.export import export
from music import audio_files
from music.decoding import read
from music.segment import Analysis, Recipe, SegmentInfo
from settings.kinds import SOUND_FORMATS

RECIPE = Recipe("lofi", "soft piano", 20.0)
INFO = SegmentInfo("id", RECIPE, "acestep", "42", "2026-11-26T08:02:03+00:00", Analysis(48_000, 0, 48_000, -20.0, -3.0))


def keep(tmp_path: Path, name: str, info: SegmentInfo | None = None) -> Path:
    """Put a piece into the library; without `info` as a listener does."""
    path = tmp_path / "spool" / "kept" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if info is None:
        sf.write(path, tone(1.0), 48_000)
    else:
        path.write_bytes(audio_files.encode(tone(1.0), info))
    return path


def run(tmp_path: Path, *, kind: str = "flac", language: str = "en") -> tuple[int, str]:
    """Export; return the exit code and what was printed."""
    settings = replace(
        Settings(), spool_dir=tmp_path / "spool", export=tmp_path / "out" / "deep", record_format=kind, lang=language
    )
    return printed(export, settings)


def names(tmp_path: Path) -> list[str]:
    """Return what is in the folder."""
    return sorted(path.name for path in (tmp_path / "out" / "deep").iterdir())


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_pieces_are_exported_once_with_their_tags(tmp_path: Path, kind: str) -> None:
    """Named by title and time; a second export adds nothing."""
    keep(tmp_path, "a.wav", INFO)
    keep(tmp_path, "b.wav", replace(INFO, seed="43"))
    keep(tmp_path, "雨 my own.flac")
    for told in ("written to {}: 3; there already: 0; left out: 0", "written to {}: 0; there already: 3; left out: 0"):
        code, out = run(tmp_path, kind=kind)
        assert code == 0
        assert told.format(tmp_path / "out" / "deep") in out
        assert len(names(tmp_path)) == 3
    second, first, own = names(tmp_path)
    assert (second, own) == (first.replace(f".{kind}", f"-2.{kind}"), f"雨 my own.{kind}")
    with sf.SoundFile(tmp_path / "out" / "deep" / first) as file:
        assert (file.comment, file.date[:4]) == ("soft piano (seed 42)", "2026")
        assert first.startswith(f"{file.title} 2026-11-2")
    assert abs(len(read(tmp_path / "out" / "deep" / first).samples) - 48_000) <= 2 * 1152


def test_albums_whose_files_have_the_same_names_are_all_exported(tmp_path: Path) -> None:
    """Once each."""
    keep(tmp_path, "one/01.flac")
    keep(tmp_path, "two/01.flac")
    for told in ("2; there already: 0", "0; there already: 2"):
        assert told in run(tmp_path)[1]
    assert names(tmp_path) == ["01-2.flac", "01.flac"]


def test_what_another_program_writes_there_is_left_alone(tmp_path: Path) -> None:
    """One of another machine, or in another container, may have our process id."""
    keep(tmp_path, "mine.flac")
    partial = tmp_path / "out" / "deep" / f".{os.getpid()}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"theirs")
    assert run(tmp_path)[0] == 0
    assert partial.read_bytes() == b"theirs"


def test_nothing_is_written_over_and_a_bad_piece_is_named(tmp_path: Path) -> None:
    """The rest is done, and the exit code tells."""
    keep(tmp_path, "mine.flac")
    keep(tmp_path, "broken.flac").write_bytes(b"no music at all" * 100)
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "mine.flac").write_text("precious")
    code, out = run(tmp_path)
    assert code == 1
    assert "broken.flac is left out" in out
    assert (tmp_path / "out" / "deep" / "mine.flac").read_text() == "precious"
    assert names(tmp_path) == ["mine-2.flac", "mine.flac"]


def test_names_suit_other_systems(tmp_path: Path) -> None:
    """Of whatever a station was called, and however long that is."""
    keep(tmp_path, "a.wav", replace(INFO, recipe=replace(RECIPE, station='../a:b? "c"/' + "雨" * 300)))
    code, _ = run(tmp_path)
    (name,) = names(tmp_path)
    assert code == 0
    assert not set(name) & set('/\\:*?"<>|')
    assert len(name.encode()) < 256


def test_an_empty_library_is_said(tmp_path: Path) -> None:
    """In the listener's language too; no folder is made for nothing."""
    assert "library is still empty" in run(tmp_path)[1] or "nothing is in your library" in run(tmp_path)[1]
    assert "ライブラリ" in run(tmp_path, language="ja")[1]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """As of a file in its place."""
    keep(tmp_path, "a.wav", INFO)
    (tmp_path / "out").write_text("in the way")
    code, out = run(tmp_path)
    assert code == 1
    assert out.startswith("cannot use ")
