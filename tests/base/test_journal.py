"""The log: nobody who logs waits for its disk, and it is written wherever there is one."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from base import journal
from base.journal import Journal, standard_error_into_log

WAIT_S = 10.0


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own."""
    made = logging.Logger("test", logging.INFO)  # noqa: LOG001 (one of its own)
    yield made
    for handler in made.handlers:
        handler.close()


def lines_of(path: Path) -> list[str]:
    """Return what was logged."""
    return [line.split(": ", 1)[-1] for line in path.read_text("utf-8").splitlines()]


def write_all(log: Journal, path: Path) -> None:
    """Write what was logged so far, and end."""
    log.begin(path)
    log.finish(WAIT_S)


def test_what_was_logged_before_there_was_a_file_is_in_it(tmp_path: Path, logger: logging.Logger) -> None:
    """The first moments are those in which a sound device is missing."""
    log = Journal()
    logger.addHandler(log)
    logger.warning("no sound %s", "device")
    log.begin(tmp_path / "folder" / "player.log")
    logger.info("now there is music")
    log.finish(WAIT_S)
    assert lines_of(tmp_path / "folder" / "player.log") == ["no sound device", "now there is music"]


def test_nobody_waits_for_the_disk(tmp_path: Path, logger: logging.Logger) -> None:
    """A log that nobody reads from a FIFO takes nothing: logging and the end go on, what is lost is counted."""
    log = Journal(waiting=10)
    logger.addHandler(log)
    for number in range(30):
        logger.info("line %d", number)
    assert log.lost == 20
    log.finish(0.0)
    write_all(log, tmp_path / "late.log")


def test_what_is_lost_is_said_in_the_log(tmp_path: Path, logger: logging.Logger) -> None:
    """A hole in the log is seen in it."""
    log = Journal(waiting=2)
    logger.addHandler(log)
    for number in range(5):
        logger.info("line %d", number)
    log.begin(tmp_path / "a.log")
    log._queue.put(None)
    assert log._thread is not None
    log._thread.join(WAIT_S)
    assert any("3 lines are missing" in line for line in lines_of(tmp_path / "a.log"))


def test_a_record_is_text_when_it_is_logged(tmp_path: Path, logger: logging.Logger) -> None:
    """What it speaks of may change before it is written; a traceback is kept."""
    log, changing = Journal(), ["before"]
    logger.addHandler(log)
    logger.info("%s", changing)
    changing[0] = "after"
    try:
        raise ValueError("a bug")
    except ValueError:
        logger.exception("failed")
    write_all(log, tmp_path / "a.log")
    text = (tmp_path / "a.log").read_text()
    assert "before" in text
    assert "after" not in text
    assert "ValueError: a bug" in text


def remove(path: Path) -> None:
    """Delete it."""
    path.unlink()


def move(path: Path) -> None:
    """Rotate it, as logrotate does."""
    path.rename(path.with_suffix(".old"))


def remove_folder(path: Path) -> None:
    """Delete it with its folder."""
    path.unlink()
    path.parent.rmdir()


@pytest.mark.parametrize("gone", [remove, move, remove_folder])
def test_a_log_that_goes_away_is_opened_anew(tmp_path: Path, gone: Callable[[Path], None]) -> None:
    """The next line begins a new file."""
    path = tmp_path / "spool" / "player.log"
    file = journal._rotating(path)
    file.handle(logging.makeLogRecord({"msg": "one"}))
    gone(path)
    file.handle(logging.makeLogRecord({"msg": "two"}))
    file.close()
    assert [line.split(": ")[-1] for line in path.read_text().splitlines()] == ["two"]


def test_a_log_that_could_not_be_opened_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses costs those lines only."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    path = tmp_path / "player.log"
    path.mkdir()
    file = journal._rotating(path)
    file.handle(logging.makeLogRecord({"msg": "one"}))
    path.rmdir()
    file.handle(logging.makeLogRecord({"msg": "two"}))
    file.close()
    assert path.read_text().endswith("two\n")


def test_the_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays as small as is said."""
    monkeypatch.setattr(journal, "LOG_BYTES", 1_000)
    file = journal._rotating(tmp_path / "player.log")
    for _ in range(200):
        file.handle(logging.makeLogRecord({"msg": "x" * 50}))
    file.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["player.log", "player.log.1", "player.log.2", "player.log.3"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_fifo_in_the_place_of_the_log_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody put it there after the start."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    os.mkfifo(tmp_path / "player.log")
    log = Journal()
    log.handle(logging.makeLogRecord({"msg": "one"}))
    write_all(log, tmp_path / "player.log")
    assert log._thread is not None
    assert not log._thread.is_alive()


def test_standard_error_is_logged_and_never_waited_for() -> None:
    """C libraries write there from any thread: a log that takes nothing holds up none of them."""
    logged: list[str] = []
    seen, go_on = threading.Event(), threading.Event()

    class Hangs(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())
            seen.set()
            go_on.wait(WAIT_S)

    handler = Hangs()
    journal.log.addHandler(handler)
    journal.log.setLevel(logging.INFO)
    try:
        with standard_error_into_log():
            os.write(2, b"ALSA lib: no card\n")
            assert seen.wait(WAIT_S)
            for _ in range(100):
                try:
                    os.write(2, b"x" * 10_000)
                except BlockingIOError:
                    break
            else:
                pytest.fail("the pipe took a megabyte")
            go_on.set()
    finally:
        go_on.set()
        journal.log.removeHandler(handler)
    assert logged[0] == "standard error: ALSA lib: no card"
