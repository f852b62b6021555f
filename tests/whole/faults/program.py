"""The real program as a child process: in a terminal of its own (a pty that controls it) or with pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from base.texts import texts
from listening.sound_room import pause

LOOK_S: Final = 0.05
# The last of each pair in the output tells how the terminal was left: alternate screen, cursor, bracketed paste.
SCREEN_MODES: Final = (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?2004h", "\x1b[?2004l"))


def within(limit_s: float, holds: Callable[[], object]) -> float | None:
    """Wait until `holds()`; return the seconds that took, None when it did not within the limit."""
    began_at = time.monotonic()
    while not holds():
        if time.monotonic() - began_at > limit_s:
            return None
        pause(LOOK_S)
    return time.monotonic() - began_at


class Program:
    """A command, run in a terminal of `size` (columns, lines) or, without, with its output in a pipe.

    `stdout` and `stderr` may be given other files (then they are not in `output`); `log` is the program's log file.
    Threads: one, but for the reader of the output.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        *,
        size: tuple[int, int] | None = None,
        stdout: IO[Any] | int | None = None,
    ) -> None:
        self.log_path = log
        self._output = bytearray()
        self._is_terminal = size is not None
        self._reading, self._stalled = True, False
        if size is not None:
            self._fd, inner = pty.openpty()
            self.resize(*size)
            command = ["setsid", "--ctty", *command]
        else:
            self._fd, inner = os.pipe()
        self.attributes = self._attributes()
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(environment),
            stdin=inner if size else subprocess.DEVNULL,
            stdout=inner if stdout is None else stdout,
            stderr=inner,
            start_new_session=size is None,
        )
        os.close(inner)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    # What it says

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return self._output.decode("utf-8", "replace")

    @property
    def log(self) -> str:
        """All that it logged so far."""
        try:
            return self.log_path.read_text("utf-8", "replace")
        except OSError:
            return ""

    def said(self, key: str) -> int:
        """Return how often a notice was said, in the log or, where there is none, in its lines."""
        pattern = re.sub(r"\\{\w+\\}", ".*", re.escape(texts("en")[key]))
        return max(len(re.findall(pattern, text)) for text in (self.log, self.output))

    def played(self) -> list[tuple[str, str]]:
        """Return (key, source) of each piece that began to play."""
        return re.findall(r": play (\S+) \(([a-z-]+)\):", self.log)

    # What is done to it

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the terminal's window."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def stall(self, stalled: bool) -> None:
        """Let the terminal, or who reads the pipe, take nothing, or go on."""
        self._stalled = stalled

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal's window, or the pipe."""
        self._reading = False
        self._reader.join()
        with contextlib.suppress(OSError):
            os.close(self._fd)

    # How it ends

    def ended(self, within_s: float) -> float | None:
        """Wait for its end; return the seconds that took, None when it has not ended."""
        began_at = time.monotonic()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        took_s = time.monotonic() - began_at
        pause(2 * LOOK_S)  # for the last of its output
        return took_s

    def terminal_faults(self) -> list[str]:
        """Return what it left wrong in the terminal."""
        faults = [] if self._attributes() == self.attributes else ["the terminal's settings were not restored"]
        for on, off in SCREEN_MODES:
            if self.output.rfind(on) > self.output.rfind(off):
                faults.append(f"left the terminal with {on[1:]}")
        return faults

    def _attributes(self) -> list[Any]:
        return termios.tcgetattr(self._fd) if self._is_terminal else []

    def _read(self) -> None:
        while self._reading:
            if self._stalled:
                pause(LOOK_S)
            elif select.select([self._fd], [], [], LOOK_S)[0]:
                try:
                    data = os.read(self._fd, 1 << 16)
                except OSError:  # a terminal that nobody has open any more
                    data = b""
                if not data:
                    pause(LOOK_S)
                self._output += data


def interrupts(number: int) -> Callable[[Program], None]:
    """Return what sends a signal."""
    return lambda program: program.signal(number)


def keys(*strokes: str) -> Callable[[Program], None]:
    """Return what presses keys, a moment apart."""

    def press(program: Program) -> None:
        for stroke in strokes:
            with contextlib.suppress(OSError):
                program.type(stroke)
            pause(LOOK_S)

    return press


TERM: Final = interrupts(signal.SIGTERM)
