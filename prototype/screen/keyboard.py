"""The keyboard: `keys` from a terminal, which is given back as it was found.

Ctrl-C and Ctrl-Z stay signals; Ctrl-S does not freeze the screen.

Threads: `Keyboard.keys` belongs to the input thread; `close`, `suspend` and `resume` may be called by any thread and by
a signal handler (`_lock` is re-entrant for that reason and guards `_saved`, `_taken` and `_closed`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from base.workers import Doorbell
from screen.keys import ESC_TIMEOUT_S, KeyParser

FOREGROUND_CHECK_S: Final = 1.0
NO_SEQUENCES: Final = ("", "dumb", "unknown")
"""Values of TERM that mean: no escape sequences, please."""
SIGNALS: Final = {"ctrl-z": signal.SIGTSTP, "ctrl-\\": signal.SIGQUIT}
"""What a terminal does by itself, but for one whose protocol makes keys of them; Ctrl-C ends the program either way."""


def in_foreground(fd: int) -> bool:
    """Whether `fd` is a terminal that this process may use now (not put into the background by the shell).

    A terminal that is not the one we were started from has no job control, and may be used.
    """
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return os.isatty(fd)


class Keyboard:
    """The terminal in cbreak mode for as long as it is open. Anything but a terminal: no keys, nothing touched.

    `fd_in` is read; bracketed paste is switched through `fd_out`.
    """

    def __init__(self, fd_in: int = 0, fd_out: int = 1) -> None:
        self._in = fd_in
        self._out = fd_out
        self._lock = threading.RLock()
        self._saved: list[Any] | None = None
        self._taken = False
        self._closed = False
        self._speaks = os.environ.get("TERM", "") not in NO_SEQUENCES
        self._bell = Doorbell()
        self._parser = KeyParser()
        atexit.register(self.close)

    def resume(self) -> None:
        """Take the terminal, now or when we come into its foreground."""
        self._take()
        self._bell.ring()

    def renew(self) -> None:
        """Take the terminal again if it is ours: while a SIGSTOP held us, the shell has set it as it likes it."""
        with self._lock:
            self._taken = False
            if self._saved is not None:
                self.resume()

    def _take(self) -> None:
        """Enter cbreak mode, if this is a terminal in whose foreground we are."""
        with self._lock:
            if self._closed or self._taken or not in_foreground(self._in):
                return
            with contextlib.suppress(termios.error, OSError):
                saved = termios.tcgetattr(self._in)
                mode = termios.tcgetattr(self._in)
                mode[0] &= ~termios.IXON
                mode[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
                mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._in, termios.TCSANOW, mode)
                self._saved, self._taken = self._saved or saved, True
                self._write(b"\x1b[?2004h")

    def suspend(self) -> None:
        """Give the terminal back as it was found; `resume` takes it again."""
        with self._lock:
            saved, self._saved, self._taken = self._saved, None, False
            if saved is None:
                return
            self._write(b"\x1b[?2004l")
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._in, termios.TCSANOW, saved)

    def close(self) -> None:
        """Restore the terminal and end `keys`; any number of times, from anywhere."""
        with self._lock:
            self.suspend()
            self._closed = True
            self._bell.ring()

    def keys(self, stop: threading.Event) -> Iterator[str]:
        """Yield keys until `close`, or the end of the terminal; `stop` is looked at with each.

        While the shell has us in the background nothing is read: that would stop the process.
        """
        while not stop.is_set() and not self._closed:
            self._take()
            if not self._may_read():
                if not os.isatty(self._in):
                    return
                self._bell.wait(timeout_s=FOREGROUND_CHECK_S)
                continue
            try:
                ready = self._bell.wait(self._in, self._parser.patience_s)
            except (OSError, ValueError):  # the terminal has gone
                return
            if not ready:
                yield from self._parser.flush()
            elif self._may_read():
                data = self._read()
                if data == b"":
                    return
                for key in self._parser.feed(data or b""):
                    if key in SIGNALS:
                        os.killpg(0, SIGNALS[key])
                    else:
                        yield key

    def _may_read(self) -> bool:
        """Whether what is typed is ours: what arrived while the terminal was given back is the shell's to read."""
        return self._taken and in_foreground(self._in)

    def _read(self) -> bytes | None:
        """Return what was typed, b"" at the end of the terminal, None when there is nothing to read after all."""
        try:
            return os.read(self._in, 4096)
        except OSError:  # in the background after all, or hung up: the loop finds out which
            self._bell.wait(timeout_s=ESC_TIMEOUT_S)
            return None

    def _write(self, data: bytes) -> None:
        """Tell the terminal something, unless it understands or takes nothing: a dead connection must not hold us."""
        with contextlib.suppress(OSError, ValueError):
            if self._speaks and os.isatty(self._out) and select.select([], [self._out], [], 0.0)[1]:
                os.write(self._out, data)


def handle_suspension(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Make Ctrl-Z call `before` (restore the terminal), stop the process, and call `after` when it continues.

    Reading or writing from the background then fails instead of stopping the music. Main thread only. On a
    system or a shell without job control nothing happens.
    """

    def on_stop(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a second one amid this would wait for what the first holds
        before()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        after()
        signal.signal(signal.SIGTSTP, on_stop)

    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
        return
    signal.signal(signal.SIGTSTP, on_stop)
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
