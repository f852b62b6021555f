"""The log, for threads that must not wait for a disk: what is logged goes into a queue, one thread writes the file.

What libraries print on standard error would spoil the screen, and in a file would make any of their threads wait for
that disk: it goes through a pipe into the same log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from base.files import open_safely, own_target
from base.texts import uncommanding

log = logging.getLogger(__name__)

LOG_BYTES: Final = 5_000_000
WAITING_RECORDS: Final = 5_000  # some MB at most
LONGEST_LINE: Final = 2_000
FORMAT: Final = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
# What would command the terminal of who reads the log. Line breaks stay, for tracebacks.
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Plain(logging.Formatter):
    """Writes no control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return uncommanding(super().format(record)).translate(CONTROLS)


class Journal(logging.Handler):
    """Takes what is logged from the first moment on, and has it written once there is a file.

    Threads: `emit` any; `write` belongs to one of its own, which `begin` starts. Nobody but that waits for the disk.
    """

    def __init__(self, waiting: int = WAITING_RECORDS) -> None:
        super().__init__()
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record, as text: what it speaks of may change. Never waits; without room it is counted as lost."""
        record.message = record.msg = record.getMessage()
        record.args = None
        if record.exc_info:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def begin(self, path: Path) -> None:
        """Write into a rotating file what was logged so far and what will be; nowhere while it cannot be written."""
        self._thread = threading.Thread(target=self.write, args=(path,), name="log", daemon=True)
        self._thread.start()

    def finish(self, patience_s: float) -> None:
        """Have the rest written, and wait for that only so long."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        if self._thread is not None:
            self._thread.join(patience_s)

    def write(self, path: Path) -> None:
        """Write until the end."""
        file = _rotating(path)
        told = 0
        while record := self._queue.get():
            file.handle(record)
            if self.lost > told:
                lost, told = self.lost - told, self.lost
                words = "%d lines are missing here: the disk of the log is too slow"
                file.handle(logging.LogRecord(__name__, logging.WARNING, __file__, 0, words, (lost,), None))
        file.close()


def _rotating(path: Path) -> logging.Handler:
    """Return what writes a file of LOG_BYTES and three before it; one that was deleted or moved is begun anew."""
    from logging.handlers import RotatingFileHandler  # slow to import: not before the first sound

    class LogFile(RotatingFileHandler):
        def _open(self) -> IO[str]:  # type: ignore[override]
            Path(self.baseFilename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.baseFilename == os.devnull:
                return Path(self.baseFilename).open("a", encoding="utf-8")
            handle = open_safely(own_target(Path(self.baseFilename)), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            return os.fdopen(handle, "a", encoding="utf-8", errors="replace")

        def emit(self, record: logging.LogRecord) -> None:
            try:
                here = Path(self.baseFilename).stat()
                if self.stream and not os.path.samestat(os.fstat(self.stream.fileno()), here):
                    self.reopen()
            except OSError:
                self.reopen()
            super().emit(record)

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
            self.reopen()

        def reopen(self) -> None:
            """Open the file anew with the next record: it was deleted, or the disk refused."""
            stream, self.stream = self.stream, None
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    file = LogFile(path, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8", delay=True)
    file.setFormatter(Plain(FORMAT))
    return file


@contextlib.contextmanager
def standard_error_into_log() -> Iterator[None]:
    """Have what is printed on standard error logged. Nobody waits who prints: what the log does not take is lost."""
    saved = os.dup(2)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(target=_log_lines, args=(reading,), name="stderr", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(saved, 2)  # closes the pipe's last end
        os.close(saved)
        thread.join(0.1)


def _log_lines(reading: int) -> None:
    with os.fdopen(reading, "rb") as pipe:
        while line := pipe.readline(LONGEST_LINE):
            if said := line.decode("utf-8", "replace").rstrip():
                log.info("standard error: %s", said)
