"""The first music: which piece it is, how it goes over into the programme, and what it does without."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast
from unittest.mock import Mock

import numpy as np
import pytest

import config
from base.notices import Notices
from config import Settings
from doubles.fake_vlc import FakeVlc
from doubles.simulated_time import FakeClock
from doubles.sounds import info, tone
from music import audio_files
from music.analysis import analyse
from music.segment import SAMPLE_RATE_HZ, Context, Continuation, Samples, SegmentInfo, Source
from music.stations import builtin_stations, custom
from music.wav_header import read_info
from output.vlc_library import LibVlc
from session.opening import Opening, Surroundings
from session.prelude import OPENING, first_of
from session.sound import Sound
from spool.folders import KEPT, PLAYED, READY
from spool.spool import Spool
from spool.state_files import remember

STATIONS = builtin_stations()
LOFI = STATIONS[0]
SECONDS = 3.0
BLOCK = 4_800
SLOW = {"numpy", "soundfile", "soxr", "rich", "requests", "tenacity", "pulsectl", "vlc", "jeepney"}


def settings_of(folder: Path, *arguments: str) -> Settings:
    """Return the settings of a command line."""
    return config.load(["--spool-dir", str(folder), *arguments], {}, folder / "no.env")


def put(folder: Path, shelf: str, key: str, station: str = "lofi", hz: float = 300.0, **about: object) -> SegmentInfo:
    """Put a segment on a shelf; each is heard, or comes, after those before it."""
    samples = tone(SECONDS, amplitude=0.3, hz=hz)
    found = dataclasses.replace(info(SECONDS, key=key, station=station), analysis=analyse(samples, -45.0), **about)  # type: ignore[arg-type]
    spool = Spool(folder, 1000.0, Notices(FakeClock()), FakeClock())
    spool.open()
    spool.add(samples, found, shelf=shelf)
    spool.close()
    return found


def put_opening(folder: Path, station: str = "lofi") -> None:
    """Leave the opening of a built-in piece."""
    samples = tone(SECONDS, amplitude=0.3)
    found = dataclasses.replace(info(SECONDS, key="opening", station=station), analysis=analyse(samples, -45.0))
    (folder / OPENING).write_bytes(audio_files.encode(samples, found))


def chosen(folder: Path, *arguments: str) -> tuple[str, Source] | None:
    """Return the id and the source of the piece that is found to be the first."""
    first = first_of(settings_of(folder, *arguments), LOFI)
    return (first.info.segment_id, first.source) if first else None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ("queued", Source.FRESH)),
        (("--engine", "acestep"), ("queued", Source.FRESH)),
        (("--engine", "builtin"), ("opening", Source.BUILTIN)),
        (("--play-library",), ("liked", Source.LIBRARY)),
    ],
)
def test_it_is_that_of_the_best_source_that_has_one(
    tmp_path: Path, arguments: tuple[str, ...], expected: tuple[str, Source]
) -> None:
    """The queue's first, else what is liked and was heard longest ago, else the opening; only of the station."""
    put(tmp_path, READY, "other", "piano")
    put(tmp_path, KEPT, "foreign", "piano")
    put(tmp_path, PLAYED, "played")
    put(tmp_path, KEPT, "liked")
    put(tmp_path, KEPT, "liked later")
    put(tmp_path, READY, "queued")
    put(tmp_path, READY, "queued later")
    put_opening(tmp_path)
    assert chosen(tmp_path, *arguments) == expected


def test_without_a_better_one_the_next_source_is_asked(tmp_path: Path) -> None:
    """From nothing at all to a queue."""
    assert chosen(tmp_path) is None
    put_opening(tmp_path, "piano")
    assert chosen(tmp_path) is None
    put_opening(tmp_path)
    assert chosen(tmp_path) == ("opening", Source.BUILTIN)
    assert chosen(tmp_path, "--engine", "acestep") is None
    put(tmp_path, PLAYED, "played")
    assert chosen(tmp_path) == ("played", Source.LIBRARY)
    put(tmp_path, KEPT, "liked")
    assert chosen(tmp_path) == ("liked", Source.LIBRARY)


def test_a_prompt_of_the_listeners_own_has_music_of_its_own(tmp_path: Path) -> None:
    """What was made for another prompt is not it."""
    put(tmp_path, READY, "one", "custom")
    assert first_of(settings_of(tmp_path), custom("a prompt")) is not None
    assert first_of(settings_of(tmp_path), custom("another")) is None


@pytest.mark.parametrize("data", [b"", b"RIFF", b"x" * 5000, "cut", "folder", "foreign"])
def test_what_cannot_be_played_is_passed_over(tmp_path: Path, data: bytes | str) -> None:
    """Whatever lies on a shelf."""
    put(tmp_path, READY, "bad")
    (path,) = (tmp_path / READY).iterdir()
    if data == "folder":
        path.unlink()
        path.mkdir()
    elif data == "foreign":
        path.write_bytes(audio_files.encode(tone(SECONDS), None))
    else:
        path.write_bytes(path.read_bytes()[:-5000] if isinstance(data, str) else data)
    assert chosen(tmp_path) is None
    put(tmp_path, READY, "good")
    assert chosen(tmp_path) == ("good", Source.FRESH)


@pytest.mark.parametrize("odd", ["dangling", "link", "pipe", "hidden"])
def test_beside_what_is_no_file_of_ours_the_rest_is_found(tmp_path: Path, odd: str) -> None:
    """A link leads elsewhere, or nowhere; a pipe would be waited for."""
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, READY, "theirs")
    (theirs,) = (elsewhere / READY).iterdir()
    put(tmp_path, READY, "queued")
    (ours,) = (tmp_path / READY).iterdir()
    path = ours.with_name(f"0_{ours.name}")
    if odd == "pipe":
        os.mkfifo(path)
    elif odd == "hidden":
        path.with_name(f".{path.name}").write_bytes(theirs.read_bytes())
    else:
        path.symlink_to(theirs if odd == "link" else tmp_path / "nowhere")
    os.utime(ours, (4e9, 4e9))
    assert chosen(tmp_path) == ("queued", Source.FRESH)


@pytest.mark.parametrize("size_bytes", [0, 30, 44, 50_001, 50_002])
def test_a_file_that_is_cut_off_while_it_is_read_is_heard_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    """Somebody may be at it."""
    put(tmp_path, READY, "queued")

    def read(path: Path) -> SegmentInfo | None:
        found = read_info(path)
        os.truncate(path, size_bytes)
        return found

    monkeypatch.setattr("session.prelude.read_info", read)
    first = first_of(settings_of(tmp_path), LOFI)
    assert first is None or len(first.frames) % 2 == 0


def test_albums_do_not_keep_the_first_music_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a listener has put beside what is liked, none of them is looked into."""
    put(tmp_path, KEPT, "liked")
    (tmp_path / KEPT / "album").mkdir()
    look = Mock(side_effect=os.scandir)
    monkeypatch.setattr(os, "scandir", look)
    assert chosen(tmp_path, "--play-library") == ("liked", Source.LIBRARY)
    assert [Path(call.args[0]) for call in look.call_args_list] == [tmp_path / KEPT]


def test_a_first_piece_that_hangs_costs_nothing_that_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file may be on its way from elsewhere: music at full volume would be worse than none."""
    remember(tmp_path, volume=30)
    answered = threading.Event()
    monkeypatch.setattr("session.opening.first_of", lambda *_: answered.wait())
    monkeypatch.setattr("session.opening.DISK_S", 0.2)
    clock = FakeClock()
    opening = Opening(settings_of(tmp_path), LOFI, Surroundings(cast("LibVlc", FakeVlc(clock)), clock))
    answered.set()
    assert opening.volume == 0.3


def heard(block: bytes) -> Samples:
    """Return a block as an array."""
    return np.frombuffer(block, np.float32).reshape(-1, 2)


def listen(
    folder: Path, blocks: int, *arguments: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[Samples, Sound]:
    """Begin a session, hear three blocks of its opening, and then its sound. `meanwhile` comes behind the spool."""
    clock = FakeClock()
    opening = Opening(settings_of(folder, *arguments), LOFI, Surroundings(cast("LibVlc", FakeVlc(clock)), clock))
    assert opening.player is not None
    parts = [heard(opening.player.feed(BLOCK)) for _ in range(3)]
    sound = Sound(opening)
    sound.spool.open()
    meanwhile()
    sound.begin_playing()
    for _ in range(blocks - 3):
        parts.append(heard(opening.player.feed(BLOCK)))
        sound.loader.step()
    return np.concatenate(parts), sound


@pytest.mark.parametrize("shelf", [READY, KEPT])
@pytest.mark.parametrize("volume", ["100", "40"])
def test_the_session_goes_on_with_what_it_has_begun(tmp_path: Path, shelf: str, volume: str) -> None:
    """A sine from the very first block, at the listener's volume, without any step; the piece is noted as heard."""
    put(tmp_path, shelf, "first")
    samples, sound = listen(tmp_path, 15, "--volume", volume)
    sine = samples[BLOCK // 4 :, 0]
    piece = sound.programme.playing_piece()
    assert piece is not None
    expected = int(volume) / 100 * np.std(piece.samples[BLOCK : 10 * BLOCK])
    assert all(np.std(part) == pytest.approx(expected, rel=0.02) for part in np.split(samples[BLOCK:], 14))
    assert np.abs(np.diff(sine, 2)).max() < 1.05 * np.abs(np.diff(sine[:BLOCK], 2)).max()
    playing = sound.programme.snapshot().playing
    assert playing.elapsed_s == pytest.approx(1.5)
    assert sound.loader.started[playing.source] == 1


@pytest.mark.parametrize("shelf", [READY, KEPT])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, []),
        (lambda path: os.truncate(path, 5000), ["loader.corrupt"]),
        (lambda path: path.write_bytes(b"garbage" * 999), ["loader.corrupt"]),
        (lambda path: (path.unlink(), path.mkdir()), []),
    ],
    ids=["deleted", "cut off", "overwritten", "a folder in its place"],
)
def test_a_first_piece_that_is_harmed_while_it_is_heard_gives_way_to_the_next(
    tmp_path: Path, shelf: str, harm: Callable[[Path], object], said: list[str]
) -> None:
    """What was read of it goes on until then, without a hole; a damaged file is told of, and not tried again."""
    put(tmp_path, shelf, "first")
    (path,) = (tmp_path / shelf).iterdir()
    put(tmp_path, shelf, "second")
    samples, sound = listen(tmp_path, 15, meanwhile=lambda: harm(path))
    piece = sound.programme.playing_piece()
    assert piece is not None
    assert piece.info is not None
    assert piece.info.segment_id == "second"
    assert all(np.std(part) > 0.02 for part in np.split(samples[BLOCK:], 14))
    assert [notice.key for notice in sound.notices.recent() if not notice.key.startswith("source.")] == said


def test_a_listeners_own_music_is_heard_under_its_own_name(tmp_path: Path) -> None:
    """By its tags, from the file to what is shown."""
    (tmp_path / KEPT).mkdir()
    with audio_files.Encoder(tmp_path / KEPT / "x.flac", ("FLAC", "PCM_16"), title="雨", artist="Björk") as file:
        file.write(tone(30.0))
    _, sound = listen(tmp_path, 15, "--play-library")
    assert sound.programme.snapshot().playing.title == "Björk – 雨"
    assert [heard.title for heard in sound.loader.history.heard] == ["Björk – 雨"]


def test_a_piece_that_goes_on_with_another_is_as_loud_as_the_programme_has_it(tmp_path: Path) -> None:
    """One gain for a whole chain, also where its middle comes first."""
    before = Continuation("gone", 1000, 0, "gone", 30.0, -17.0, -6.0, 1.5)
    recipe = dataclasses.replace(info().recipe, continues=Context("gone", 0, 1000, 2000))
    put(tmp_path, READY, "middle", continues=before, recipe=recipe)
    samples, _ = listen(tmp_path, 15)
    levels = [float(np.sqrt(np.mean(np.square(part)))) for part in np.split(samples[BLOCK:], 14)]
    assert max(levels) < 1.02 * min(levels)


def test_where_peaks_are_eased_it_is_as_loud_as_the_programme_has_it(tmp_path: Path) -> None:
    """They do not keep the whole beginning down."""
    put(tmp_path, READY, "peaky")
    (path,) = (tmp_path / READY).iterdir()
    samples = audio_files.Packed.read(path)[:]
    samples[:: SAMPLE_RATE_HZ // 10] = 0.9
    about = audio_files.read_info(path)
    assert about is not None
    path.unlink()
    path.write_bytes(audio_files.encode(samples, dataclasses.replace(about, analysis=analyse(samples, -45.0))))
    out, sound = listen(tmp_path, 15, "--target-lufs", "-10")
    piece = sound.programme.playing_piece()
    assert piece is not None
    levels = [float(np.sqrt(np.mean(np.square(part)))) for part in np.split(out[BLOCK:], 14)]
    assert max(levels) < 1.07 * min(levels)  # around each peak the programme is a little lower
    assert np.abs(out).max() < 0.9


@pytest.mark.parametrize("used", ["empty", READY, KEPT, OPENING])
def test_nothing_slow_is_imported_before_the_first_music(tmp_path: Path, used: str) -> None:
    """The first block is music, and needs neither numpy nor anything else that is slow; the screen comes after that."""
    if used == OPENING:
        put_opening(tmp_path)
    elif used != "empty":
        put(tmp_path, used, "first")
    code = f"""
import sys
import app, config
from array import array
from pathlib import Path
from base.workers import SystemClock
from session.build import build
from session.opening import Surroundings
settings = config.load(["--spool-dir", {str(tmp_path)!r}], {{}}, Path({str(tmp_path / "no.env")!r}))
station, stations = app.choose_station(settings)
def enter(stage):
    if hasattr(stage, "prelude"):
        block = array("f", stage.player.feed(9600))[9600:]
        print((sum(value * value for value in block) / len(block)) ** 0.5, end=" ")
    print(*sorted(sys.modules.keys() & {SLOW}))
build(settings, station, stations, Surroundings(None, SystemClock()), enter)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    opening, sound, _session = done.stdout.splitlines()
    level, *modules = opening.split()
    assert 20 * np.log10(float(level)) > -33.0
    assert modules == []
    assert set(sound.split()) <= {"numpy", "soundfile", "soxr"}
