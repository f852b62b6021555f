"""Recording: every block in its order, never a wait, a full disk said and survived."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from notices import Notices
from recorder import Recorder
from simulated_time import FakeClock
from sounds import tone


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


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "folder/a.wav"])
def test_the_programme_is_recorded_from_its_first_sample(tmp_path: Path, name: str) -> None:
    """What was taken is in the file, sample for sample (16 bit)."""
    record(tmp_path / name)
    samples, rate = sf.read(tmp_path / name, dtype="float32")
    assert rate == 48_000
    assert np.allclose(samples, tone(1.0), atol=1e-4)


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


def test_take_never_waits(tmp_path: Path) -> None:
    """When nobody writes, blocks are lost rather than waited for."""
    recorder = Recorder(Notices(FakeClock()))
    recorder.start(tmp_path / "a.wav")
    for _ in range(2000):
        recorder.take(tone(0.001))
