"""Recording: every block in its order, never a wait, a full disk said and survived."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from base.notices import Notices
from base.texts import said
from doubles.simulated_time import FakeClock
from doubles.sounds import tone
from music.audio_files import FORMATS, format_of
from music.decoding import read
from music.segment import Samples
from output.recorder import PIPE_BYTES, WAITING_BLOCKS, Pipe, Recorder
from settings.kinds import SOUND_FORMATS


def record(path: Path, *, blocks: int = 5) -> tuple[Recorder, Notices]:
    """Record a few blocks of a tone, in line."""
    notices = Notices(FakeClock())
    recorder = Recorder(notices)
    recorder.start(path)
    for block in np.split(tone(1.0), blocks):
        recorder.take(block)
    recorder.end()
    stop = threading.Event()
    stop.set()
    recorder.run(stop)
    return recorder, notices


TAGS = {"title": "夜の喫茶 Café", "artist": "sagyō-on", "comment": "piano & rain", "date": "2026-11-26T17:02:03+00:00"}


def finish(recorder: Recorder) -> None:
    """End the recording and write all of it."""
    recorder.end()
    stop = threading.Event()
    stop.set()
    recorder.run(stop)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "folder/a.WAV", "a"])
def test_the_programme_is_recorded_from_its_first_sample(tmp_path: Path, name: str) -> None:
    """What was taken is in the file, sample for sample (16 bit)."""
    record(tmp_path / name)
    samples, rate = sf.read(tmp_path / name, dtype="float32")
    assert rate == 48_000
    assert np.allclose(samples, tone(1.0), atol=1e-4)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_recording_is_of_the_kind_its_name_says_with_its_tags_inside(tmp_path: Path, kind: str) -> None:
    """Of the right length, 48 kHz, and whatever the alphabet, the tags are read by others as they were meant."""
    recorder, path = Recorder(Notices(FakeClock())), tmp_path / f"a.{kind.upper()}"
    recorder.start(path, TAGS, new=True)
    for block in np.split(tone(1.0), 10):
        recorder.take(block)
    finish(recorder)
    with sf.SoundFile(path) as file:
        assert (file.format, file.subtype) == format_of(path)
        assert (file.title, file.artist, file.comment, file.date) == tuple(TAGS.values())
    samples = read(path).samples[:]
    assert abs(len(samples) - 48_000) <= 2 * 1152
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(tone(1.0) ** 2)), rel=0.1)


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_recording_that_ends_before_any_sound_is_none(tmp_path: Path, kind: str) -> None:
    """The key was pressed twice: no file without sound, and no word of one."""
    notices = Notices(FakeClock())
    recorder = Recorder(notices)
    recorder.start(tmp_path / f"a.{kind}", new=True)
    finish(recorder)
    assert [notice.key for notice in notices.recent()] == ["recorder.empty"]
    assert list(tmp_path.iterdir()) == []


def test_every_kind_can_be_chosen() -> None:
    """The settings name the formats that can be written, and no other."""
    assert {f".{kind}" for kind in SOUND_FORMATS} == set(FORMATS)


RECORD_AND_DIE = """
import os, sys
from pathlib import Path
import numpy as np
from output.recorder import File
from doubles.sounds import tone
file = File(Path(sys.argv[1]), {"title": "T"}, new=True)
for block in np.split(tone(10.0), 100):
    file.write(block)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_what_a_killed_program_has_recorded_can_be_played(tmp_path: Path, kind: str) -> None:
    """But for the last second or two, which no disk has seen."""
    path, environ = tmp_path / f"a.{kind}", {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", RECORD_AND_DIE, path], check=False, env=environ)
    assert killed.returncode == -signal.SIGKILL
    assert 8.0 <= len(read(path).samples) / 48_000 <= 10.1


def test_no_recording_takes_the_name_of_another(tmp_path: Path) -> None:
    """Begun within one second, or as the clocks go back; one that was named by the listener replaces the file."""
    recorder, path = Recorder(Notices(FakeClock())), tmp_path / "a.flac"
    path.write_text("precious")
    for seconds in (0.1, 0.2):
        recorder.start(path, new=True)
        recorder.take(tone(seconds))
        recorder.end()
    finish(recorder)
    assert path.read_text() == "precious"
    assert [sf.info(tmp_path / f"a-{number}.flac").frames for number in (2, 3)] == [4_800, 9_600]
    recorder.start(path)
    recorder.take(tone(0.3))
    finish(recorder)
    assert sf.info(path).frames == 14_400


@pytest.mark.parametrize("full_at", ["its beginning", "its middle", "its end"])
@pytest.mark.parametrize("kind", ["mp3", "flac", "wav", "ogg", "opus"])
def test_a_disk_that_is_full_ends_a_recording_of_any_kind(tmp_path: Path, kind: str, full_at: str) -> None:
    """Said once and why, not called recorded; also where an encoder writes no more before the file is closed."""
    notices = Notices(FakeClock())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise: Samples = (np.random.default_rng(1).standard_normal((48_000, 2)) / 8).astype(np.float32)

    def record(path: Path, notices: Notices) -> None:
        recorder = Recorder(notices)
        recorder.start(path)
        for _ in range(6):
            recorder.take(noise)
        finish(recorder)

    record(tmp_path / f"whole.{kind}", Notices(FakeClock()))
    size = (tmp_path / f"whole.{kind}").stat().st_size
    try:
        limit = {"its beginning": 10, "its middle": size // 2, "its end": size - 1}[full_at]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        record(tmp_path / f"a.{kind}", notices)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [(notice.key, *notice.args) for notice in notices.recent()] == [
        ("recorder.failed", ("reason", said("os.EFBIG")))
    ]


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("kind", ["mp3", "flac", "wav", "ogg", "opus"])
def test_a_recording_that_nothing_of_was_written_leaves_no_file(tmp_path: Path, kind: str, new: bool) -> None:
    """On a disk that is full from the start; what had the name before stays, as it may be a link."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    recorder = Recorder(Notices(FakeClock()))
    recorder.start(tmp_path / f"a.{kind}", new=new)
    recorder.take(tone(1.0))
    recorder.end()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        finish(recorder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_recorded_is_said_of_what_is_on_the_disk(tmp_path: Path) -> None:
    """Not as the key is pressed, but when the file is closed; and whole files only are called so."""
    notices = Notices(FakeClock())
    recorder, stop = Recorder(notices), threading.Event()
    recorder.start(tmp_path / "a.wav")
    recorder.take(tone(0.1))
    recorder.end()
    assert notices.recent() == ()
    stop.set()
    recorder.run(stop)
    assert [notice.key for notice in notices.recent()] == ["recorder.ended"]


def test_what_the_disk_did_not_take_is_said(tmp_path: Path) -> None:
    """At once, and at the end with how much it is."""
    notices = Notices(FakeClock())
    recorder, stop = Recorder(notices), threading.Event()
    recorder.start(tmp_path / "a.wav")
    for _ in range(WAITING_BLOCKS + 20):
        recorder.take(tone(0.1))
    recorder.watch()
    recorder.watch()
    assert [notice.key for notice in notices.recent()] == ["recorder.late"]
    stop.set()
    recorder.run(stop)
    last = notices.recent()[-1]
    assert (last.key, dict(last.args)["seconds"]) == ("recorder.incomplete", "2.1")
    assert len(sf.read(tmp_path / "a.wav")[0]) == (WAITING_BLOCKS - 1) * 4_800


def test_a_key_is_never_kept_waiting_by_a_full_queue(tmp_path: Path) -> None:
    """Recording ends and begins while a disk that hangs has taken nothing for minutes."""
    recorder, stop = Recorder(Notices(FakeClock())), threading.Event()
    recorder.start(tmp_path / "a.wav")
    for _ in range(2 * WAITING_BLOCKS):
        recorder.take(tone(0.001))
    recorder.end()
    recorder.start(tmp_path / "b.wav")
    recorder.end()
    stop.set()
    recorder.run(stop)
    assert (tmp_path / "b.wav").exists()


def test_a_link_of_somebody_elses_is_not_recorded_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own link is followed; one that another user made may lead anywhere."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "a.wav").symlink_to(tmp_path / "victim")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    _, notices = record(tmp_path / "a.wav")
    assert (tmp_path / "victim").read_text() == "precious"
    assert [notice.key for notice in notices.recent()] == ["recorder.failed"]
    monkeypatch.undo()
    record(tmp_path / "a.wav")
    assert sf.info(tmp_path / "victim").frames == 48_000


class Fifo:
    """A FIFO that the recorder plays into, block by block, and whoever reads it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.sink = Pipe(path)

    def open(self) -> int:
        """Begin to read."""
        return os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)


def test_a_fifo_gets_raw_samples_while_it_is_read(tmp_path: Path) -> None:
    """As Snapcast reads them: 16 bit, little-endian, stereo; before somebody reads, nothing is waited for."""
    fifo = Fifo(tmp_path / "snapfifo")
    fifo.sink.write(tone(0.1))
    reader = fifo.open()
    fifo.sink.write(tone(0.1))
    heard = np.frombuffer(os.read(reader, 1 << 16), "<i2").reshape(-1, 2)
    assert np.abs(heard / 32767.0 - tone(0.1)).max() < 1e-4
    fifo.sink.close()
    os.close(reader)


def test_a_reader_that_stalls_or_goes_away_holds_up_nothing(tmp_path: Path) -> None:
    """What it does not take in a second is lost, by whole frames; another one is given what comes then."""
    fifo = Fifo(tmp_path / "snapfifo")
    reader = fifo.open()
    for _ in range(100):
        fifo.sink.write(tone(0.1))
    assert len(fifo.sink._pending) <= PIPE_BYTES + 19_200
    got = b""
    while len(got) < 60_000:
        got += os.read(reader, 1 << 16)
    os.close(reader)
    fifo.sink.write(tone(0.1))
    fifo.sink.write(tone(0.1))
    again = fifo.open()
    fifo.sink.write(tone(0.1))
    heard = np.frombuffer(os.read(again, 1 << 16), "<i2").reshape(-1, 2)
    assert np.abs(heard / 32767.0 - tone(0.1)).max() < 1e-4
    os.close(again)
    fifo.sink.close()


def test_a_recording_into_a_fifo_leaves_it_a_fifo(tmp_path: Path) -> None:
    """Nobody reads: no file takes its place, nothing fails, the end comes."""
    os.mkfifo(tmp_path / "snapfifo")
    _, notices = record(tmp_path / "snapfifo")
    assert (tmp_path / "snapfifo").is_fifo()
    assert [notice.key for notice in notices.recent()] == ["recorder.ended"]


def test_nothing_is_taken_without_a_recording() -> None:
    """Blocks before a start cost nothing and are not kept."""
    recorder = Recorder(Notices(FakeClock()))
    recorder.take(tone(0.1))
    assert recorder.path is None


def test_a_recording_that_cannot_be_written_is_said_and_ends(tmp_path: Path) -> None:
    """An unwritable place gives one notice; the program goes on."""
    (tmp_path / "file").write_text("in the way")
    recorder, notices = record(tmp_path / "file" / "a.wav")
    assert [notice.key for notice in notices.recent()] == ["recorder.failed"]
    assert recorder.path is None


def test_one_recording_after_the_other_is_written_in_one_go(tmp_path: Path) -> None:
    """However late the writer looks, every block goes into its own file; one that fails takes no other with it."""
    (tmp_path / "file").write_text("in the way")
    recorder, stop = Recorder(Notices(FakeClock())), threading.Event()
    for name, seconds in (("a.wav", 0.1), ("file/b.wav", 0.2), ("c.wav", 0.3)):
        recorder.start(tmp_path / name)
        recorder.take(tone(seconds))
        recorder.end()
    stop.set()
    recorder.run(stop)
    assert len(sf.read(tmp_path / "a.wav")[0]) == 4_800
    assert len(sf.read(tmp_path / "c.wav")[0]) == 14_400


class Watched(threading.Event):
    """An event that tells how often it was waited for."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return super().wait(timeout)


@pytest.mark.parametrize("recorded", [False, True])
def test_who_has_nothing_to_write_does_not_look_for_it(tmp_path: Path, recorded: bool) -> None:
    """Before a recording and after it; the end of the program is seen at once."""
    recorder, stop = Recorder(Notices(FakeClock())), Watched()
    if recorded:
        recorder.start(tmp_path / "a.wav")
        recorder.take(tone(0.1))
        recorder.end()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    stop.set()
    recorder.end()
    thread.join(20)
    assert not thread.is_alive()
    assert stop.waits == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"] * recorded


def test_take_never_waits(tmp_path: Path) -> None:
    """When nobody writes, blocks are lost rather than waited for."""
    recorder = Recorder(Notices(FakeClock()))
    recorder.start(tmp_path / "a.wav")
    for _ in range(2000):
        recorder.take(tone(0.001))
