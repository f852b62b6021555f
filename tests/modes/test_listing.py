"""What is listed: the stations, and what was liked."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
from rich.cells import cell_len

import app
import config
from base.errors import StartupError
from base.notices import Notices
from base.texts import text
from base.workers import SystemClock
from config import Settings
from doubles.printed import printed
from doubles.simulated_time import FakeClock
from doubles.sounds import info, tone
from modes import check, listing
from music.segment import SAMPLE_RATE_HZ, SegmentInfo
from music.stations import builtin_stations
from music.taste import KINDS, Opinion, Taste
from output.vlc_library import LibVlc
from session.opening import Opening, Surroundings
from spool.folders import FolderLock
from spool.spool import Spool
from spool.state_files import TasteFile

APP = Path(app.__file__)
LANGUAGES = ("en", "ja")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An open spool, as that of a running player."""
    opened = Spool(tmp_path / "spool", 500.0, Notices(FakeClock()), FakeClock())
    opened.open()
    yield opened
    opened.close()


def liked(spool: Spool, about: SegmentInfo, seconds: float = 2.0) -> Path:
    """Like a piece; return its file."""
    frames = round(seconds * SAMPLE_RATE_HZ)
    fitting = replace(about, analysis=replace(about.analysis, length_frames=frames, cue_out_frames=frames))
    entry = spool.add(tone(seconds), fitting, shelf="kept")
    assert entry.path is not None
    return entry.path


def library(root: Path, language: str = "en") -> tuple[int, str]:
    """Return the exit code and what is listed."""
    return printed(listing.list_library, replace(Settings(), spool_dir=root, lang=language))


def stations(language: str = "en", **changes: Any) -> list[str]:
    """Return the lines of the list of stations."""
    code, said = printed(listing.list_stations, replace(Settings(), lang=language, **changes))
    assert code == 0
    return said.splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_stations_stand_in_columns(language: str) -> None:
    """Titles begin in the same cell in either language, and so do the keys; the first nine have their digits."""
    which = builtin_stations()
    lines = stations(language)
    rows = lines[1 : 2 * len(which) : 2]
    for number, (row, station) in enumerate(zip(rows, which, strict=True), 1):
        assert row.split()[0] == (str(number) if number <= 9 else station.key)
        assert station.title(language) in row
        assert str(station.bpm) in row
    starts = {cell_len(row[: row.index(station.title(language))]) for row, station in zip(rows, which, strict=True)}
    keys = {cell_len(row[: row.index(station.key_scales[0])]) for row, station in zip(rows, which, strict=True)}
    assert len(starts) == len(keys) == 1


def test_each_station_shows_a_prompt() -> None:
    """Below each station stands the first prompt that it makes, in full."""
    which = builtin_stations()
    prompts = [line.strip() for line in stations()[2 : 2 * len(which) + 1 : 2]]
    assert prompts == [station.recipe(0, 30.0).prompt for station in which]


def test_a_station_that_leaves_everything_to_the_model(tmp_path: Path) -> None:
    """A station with no tempo and no keys is listed as well."""
    (tmp_path / "mine.toml").write_text('[mine]\ntitle = "My own"\ncaptions = ["calm"]\n')
    row = stations(stations_file=tmp_path / "mine.toml")[2 * len(builtin_stations()) + 1]
    assert row.split()[-5:] == ["mine", "My", "own", "–", "–"]


def test_the_library_tells_all_that_repeats_a_piece(spool: Spool, tmp_path: Path) -> None:
    """File, prompt, seed, tempo, key, signature, engine, duration and date are there, the prompt in full."""
    prompt = "warm tape piano、やわらかい雨, " + "soft " * 390
    about = info(30.0, prompt=prompt.strip())
    path = liked(spool, about)
    code, said = library(tmp_path / "spool")
    assert code == 0
    assert str(path) in said
    assert prompt.strip() in said
    words = {line.split("  ")[1]: line.split("  ")[-1].strip() for line in said.splitlines() if line.startswith("  ")}
    assert words["seed"] == "42"
    assert words["bpm"] == "78"
    assert words["key"] == "C major"
    assert words["time signature"] == "4"
    assert words["engine"] == "acestep"
    assert words["duration"] == "30 s asked for, 2.0 s audible"
    assert words["made"].startswith("2026-01-0")
    assert "1 piece in" in said


def test_only_likes_are_listed(spool: Spool, tmp_path: Path) -> None:
    """What is ready or was played is no like."""
    spool.add(tone(2.0), info(2.0, prompt="just ready"))
    spool.add(tone(2.0), info(2.0, prompt="just played"), shelf="played")
    liked(spool, info(prompt="loved"))
    said = library(tmp_path / "spool")[1]
    assert "loved" in said
    assert "just" not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_library_is_read_beside_a_player_and_left_as_it_is(spool: Spool, tmp_path: Path, language: str) -> None:
    """A running player holds the lock; neither it nor any file is touched."""

    def state() -> list[tuple[str, int, int]]:
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in (tmp_path / "spool").rglob("*"))

    liked(spool, info())
    before = state()
    assert library(tmp_path / "spool", language)[0] == 0
    assert state() == before
    with pytest.raises(StartupError, match="already plays"):
        FolderLock(tmp_path / "spool").take()


def test_a_listeners_own_file_is_listed_with_its_title_and_length(spool: Spool, tmp_path: Path) -> None:
    """Music without our metadata has but a title and a length; what is no music does no harm."""
    kept = tmp_path / "spool" / "kept"
    with sf.SoundFile(kept / "mine.flac", "w", SAMPLE_RATE_HZ, 2) as file:
        file.artist, file.title = "Björk \x1b[2J", "雨の曲"
        file.write(tone(3.0))
    streamed = bytearray((kept / "mine.flac").read_bytes())
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)  # of unknown length
    (kept / "mine.flac").write_bytes(streamed)
    (kept / "broken.mp3").write_bytes(b"no music")
    (kept / "notes.txt").write_text("no audio")
    code, said = library(tmp_path / "spool")
    assert code == 0
    assert "mine.flac" in said
    assert "Björk  – 雨の曲" in said
    assert "3.0 s" in said
    assert "broken.mp3" in said
    assert "notes.txt" not in said


def test_metadata_of_any_shape_are_printed(spool: Spool, tmp_path: Path) -> None:
    """Fields of other types and control characters in a file's metadata neither stop the list nor reach the screen."""
    path = liked(spool, info())
    fields = json.loads(info(2.0).to_json())
    fields |= {"created_at": 5, "seed": None, "engine": ["x"]}
    fields["recipe"] |= {"duration_s": "long", "prompt": "\x1b[2Jred\nalert", "bpm": {}}
    fields |= {"length_frames": 2 * SAMPLE_RATE_HZ, "cue_in_frames": 0, "cue_out_frames": 2 * SAMPLE_RATE_HZ}
    with pytest.raises(ValueError, match="duration_s"):
        SegmentInfo.from_json(json.dumps(fields))
    with sf.SoundFile(path, "w", SAMPLE_RATE_HZ, 2, format="WAV") as file:
        file.comment = json.dumps(fields)
        file.write(tone(2.0))
    liked(spool, info(prompt="and a good one"))
    code, said = library(tmp_path / "spool")
    assert code == 0
    assert path.name in said
    assert "a file of your own" in said
    assert "and a good one" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_library_says_how_to_fill_it(tmp_path: Path, language: str) -> None:
    """Without likes, or without any spool yet, one line tells of the key; nothing is made."""
    code, said = library(tmp_path / "spool", language)
    assert code == 0
    assert said.count("\n") == 1
    assert " l " in said
    assert not (tmp_path / "spool").exists()


def test_an_unreadable_library_is_one_line(tmp_path: Path) -> None:
    """A folder that cannot be read is named, with the remedy."""
    (tmp_path / "kept").write_text("a file where the folder belongs")
    assert library(tmp_path) == (1, f"cannot read {tmp_path}/kept (not a directory): check its owner and rights\n")


def opinions(root: Path, *liked: tuple[bool, str, int]) -> None:
    """Have likes and dislikes kept, each of the piece of a station with a number."""
    root.mkdir(exist_ok=True)
    by_key = {station.key: station for station in builtin_stations()}
    taste = Taste()
    TasteFile(root, taste, Notices(FakeClock()))
    for number, (like, key, index) in enumerate(liked):
        made_of = dict(zip(KINDS, by_key[key].words(index), strict=True)) if key in by_key else {"texture": "\x1b[2J"}
        taste.note(f"p{number}", Opinion(f"p{number}", key, like, **made_of))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_library_tells_what_comes_more_and_less_often(tmp_path: Path, language: str) -> None:
    """In plain words of the language, station by station; what is as often as the rest is not told."""
    opinions(
        tmp_path, *[(True, "piano", 0)] * 2, (True, "lofi", 3), (False, "lofi", 4), (False, "gone", 1),
        (True, "jazz", 0), (False, "jazz", 0),
    )  # fmt: skip
    lofi, piano = builtin_stations()[0], builtin_stations()[2]
    code, said = library(tmp_path, language)
    more, less = ("more often", "less often") if language == "en" else ("多め", "少なめ")
    lines = said.splitlines()
    assert code == 0
    names = {
        like: {lofi.name(kind, word, language) for kind, word in zip(KINDS, lofi.words(index), strict=True)}
        for like, index in ((more, 3), (less, 4))
    }
    begin = lines.index(lofi.title(language))
    for line, label in zip(lines[begin + 1 : begin + 3], (more, less), strict=True):
        assert line.split()[0] == label.split()[0]
        assert set(line.split("  ")[-1].split(", ")) == names[label]
    assert lines.index(piano.title(language)) > begin
    assert said.count(f"  {less}") == 1
    assert builtin_stations()[3].title(language) not in said
    assert "--forget-taste" in lines[-1]
    assert "\x1b" not in said
    if language == "ja":
        assert lofi.instruments_ja[3] in said


def test_a_file_of_their_own_that_cannot_be_decoded_has_no_length(tmp_path: Path) -> None:
    """Not "– s"."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "broken.mp3").write_bytes(b"nonsense")
    assert any(line.endswith("duration  –") for line in library(tmp_path)[1].splitlines())


def test_a_record_that_cannot_be_read_is_one_line_of_the_library(tmp_path: Path) -> None:
    """It is left as it is."""
    opinions(tmp_path)
    (tmp_path / "taste.json").write_text("nonsense")
    code, said = library(tmp_path)
    assert (code, said.count("\n")) == (0, 2)
    assert "cannot be read" in said
    assert (tmp_path / "taste.json").read_text() == "nonsense"


def forget(root: Path, language: str = "en") -> tuple[int, str]:
    """Return the exit code and what is told."""
    return printed(listing.forget, replace(Settings(), spool_dir=root, lang=language))


def test_forgetting_tells_what_is_forgotten(tmp_path: Path) -> None:
    """Liked pieces stay; again, there is nothing to forget; a record that cannot be read goes too."""
    assert forget(tmp_path / "none") == (0, text("en", "taste.nothing") + "\n")
    assert not (tmp_path / "none").exists()
    opinions(tmp_path, (True, "piano", 0), (True, "lofi", 3), (False, "lofi", 4))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.wav").write_bytes(b"")
    code, said = forget(tmp_path)
    assert code == 0
    assert "2 likes and 1 dislike in 2 stations" in said
    assert str(tmp_path / "kept") in said
    assert "--forget-taste" not in library(tmp_path)[1]
    assert (tmp_path / "kept" / "mine.wav").exists()
    assert forget(tmp_path, "ja") == (0, text("ja", "taste.nothing") + "\n")
    (tmp_path / "taste.json").write_text("nonsense")
    assert "could not be read" in forget(tmp_path)[1]
    assert not (tmp_path / "taste.json").exists()
    (tmp_path / "file").write_text("")
    assert forget(tmp_path / "file")[0] == 1
    (tmp_path / "taste.json").symlink_to(tmp_path / "file")
    assert "could not be read" in forget(tmp_path)[1]
    assert not (tmp_path / "taste.json").is_symlink()
    (tmp_path / "taste.json").mkdir()
    code, said = forget(tmp_path)
    assert code == 1
    assert str(tmp_path / "taste.json") in said


def test_nothing_is_forgotten_under_a_player(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would write all anew: who holds the spool is named, with the remedy."""
    opinions(tmp_path / "spool", (True, "lofi", 3))
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    arguments = ["--forget-taste", "--spool-dir", str(tmp_path / "spool")]
    assert app.main(arguments) == 2
    assert "already plays" in capsys.readouterr().err
    spool.close()
    assert app.main(arguments) == 0
    assert "1 like and 0 dislikes in 1 station" in capsys.readouterr().out


class Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("mode", ["--library", "--list-stations", "--forget-taste", "--check"])
@pytest.mark.parametrize(
    ("language", "words"), [("en", "cannot be written (no space left"), ("ja", "書けません（デバイスに空き")]
)
def test_an_output_that_takes_nothing_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, language: str, words: str
) -> None:
    """Standard output may be a file."""
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    monkeypatch.setattr(check, "sound", lambda *_: iter(()))
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", stderr)
    arguments = [mode, "--spool-dir", str(tmp_path), "--engine", "builtin", "--lang", language]
    assert app.main(arguments) == 2
    assert words in stderr.getvalue()
    assert stderr.getvalue().count("\n") == 1
    monkeypatch.setattr(sys, "stderr", Full())
    assert app.main([*arguments, "--volume", "x"]) == 2


def test_playing_an_empty_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--play-library with nothing liked says what to do instead, and ends with 2."""
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    monkeypatch.setattr(Opening, "begin", lambda *_, **__: pytest.fail("it played"))
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    arguments = ["--play-library", "--spool-dir", str(tmp_path / "spool")]
    assert app.main(arguments) == 2
    assert stderr.getvalue().startswith("your library is empty: start without --play-library and press l")
    assert stderr.getvalue().count("\n") == 1
    assert app.main([*arguments, "--lang", "ja"]) == 2
    assert "ライブラリが空です" in stderr.getvalue()


def test_playing_a_library_with_a_like_goes_on(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One liked piece is enough to play."""
    liked(spool, info())
    settings = config.load(["--play-library", "--spool-dir", str(tmp_path / "spool")], {}, tmp_path / ".env")
    spool.close()
    begun: list[str] = []
    monkeypatch.setattr(Opening, "begin", lambda _self, name, _body: begun.append(name))
    Opening(settings, builtin_stations()[0], Surroundings(LibVlc(), SystemClock())).start()
    assert begun == ["player"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program itself."""
    return subprocess.run(
        [sys.executable, str(APP), *arguments],
        env=os.environ | environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_listing_needs_no_libvlc_and_no_unicode(tmp_path: Path) -> None:
    """It works where libVLC is missing; where the terminal knows only ASCII, other characters become "?"."""
    done = run("--list-stations", "--lang", "ja", PYTHON_VLC_LIB_PATH="/nowhere", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"lofi" in done.stdout
    assert done.stdout.isascii()


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    """`--list-stations | head -1` ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    assert stat.S_ISFIFO(os.fstat(writing).st_mode)
    try:
        done = subprocess.run(
            [sys.executable, str(APP), "--list-stations"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
