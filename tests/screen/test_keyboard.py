"""The keyboard: a real terminal (a pty) that is given back as it was found."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.process import ENDING
from base.workers import Doorbell
from screen.keyboard import Keyboard, handle_suspension, in_foreground

CHILD = Path(__file__).with_name("keyboard_child.py")
PATIENCE_S = 20.0


def test_no_terminal_gives_no_keys(tmp_path: Path) -> None:
    """A file or a pipe instead of a terminal: no keys, nothing read."""
    (tmp_path / "in").write_bytes(b"qqq")
    with (tmp_path / "in").open("rb") as file:
        assert list(Keyboard(file.fileno(), file.fileno()).keys(threading.Event())) == []
        assert file.read() == b"qqq"
    assert not in_foreground(9999)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the person's end and the program's end."""
    person, program = pty.openpty()
    yield person, program
    for fd in (person, program):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_keys_are_read_and_the_terminal_restored(terminal: tuple[int, int]) -> None:
    """In between the terminal does not echo; afterwards it is as before, also when closed twice."""
    person, program = terminal
    before = termios.tcgetattr(program)
    keyboard = Keyboard(program, program)
    keys = keyboard.keys(threading.Event())
    keyboard.resume()
    within = termios.tcgetattr(program)
    assert not within[3] & (termios.ECHO | termios.ICANON)
    assert within[3] & termios.ISIG
    os.write(person, "n静\x1b[A".encode() + b"\x1b")
    assert [next(keys) for _ in range(4)] == ["n", "静", "up", "esc"]
    keyboard.close()
    keyboard.close()
    assert termios.tcgetattr(program) == before
    assert list(keys) == []
    keyboard.resume()
    assert termios.tcgetattr(program) == before


def test_who_waits_for_the_terminal_hears_of_it_when_it_is_taken_again(terminal: tuple[int, int]) -> None:
    """As each new size of the window has it taken again, keys would else be late by the next look."""
    keyboard = Keyboard(terminal[1], terminal[1])
    keyboard.resume()
    assert keyboard._bell.wait(timeout_s=0.0) is False  # what `resume` rang
    keyboard.renew()
    assert select.select([keyboard._bell._inside], [], [], 0.0)[0]
    keyboard.close()


def test_a_terminal_that_a_shell_took_meanwhile_is_taken_again(terminal: tuple[int, int]) -> None:
    """As while a SIGSTOP held the program: keys work, in the end it is as at first. One given back is left alone."""
    person, program = terminal
    before = termios.tcgetattr(program)
    keyboard = Keyboard(program, program)
    keyboard.resume()
    within = termios.tcgetattr(program)
    for left_by_the_shell in (before, within):
        termios.tcsetattr(program, termios.TCSANOW, left_by_the_shell)
        keyboard.renew()
        assert termios.tcgetattr(program) == within
        os.write(person, b"n")
        assert next(keyboard.keys(threading.Event())) == "n"
    keyboard.suspend()
    keyboard.renew()
    assert termios.tcgetattr(program) == before


@pytest.mark.parametrize(
    ("typed", "number"),
    [(b"\x1b[122;5u", signal.SIGTSTP), (b"\x1b[27;5;122~", signal.SIGTSTP), (b"\x1b[92;5u", signal.SIGQUIT)],
)
def test_keys_of_the_shells_work_in_every_protocol(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch, typed: bytes, number: signal.Signals
) -> None:
    """Of kitty's, and of modifyOtherKeys: they are signals to all that runs here, as anywhere."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("screen.keyboard.os.killpg", lambda *how: sent.append(how))
    person, program = terminal
    keyboard = Keyboard(program, program)
    keyboard.resume()
    os.write(person, typed + b"n")
    assert next(keyboard.keys(threading.Event())) == "n"
    keyboard.close()
    assert sent == [(0, number)]


def test_replies_of_the_terminal_are_no_keys(terminal: tuple[int, int]) -> None:
    """Written in pieces: what was typed around a reply is read, and only that."""
    person, program = terminal
    keyboard = Keyboard(program, program)
    keys = keyboard.keys(threading.Event())
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.extend(itertools.islice(keys, 3)))
    keyboard.resume()
    thread.start()
    for part in (b"n\x1b]11;rgb:qq", b"/d\x1b", b"\\\x1b[M", b"qm", b"q+", b"\x1b[109u"):
        os.write(person, part)
    thread.join(PATIENCE_S)
    assert read == ["n", "+", "m"]
    keyboard.close()


def test_stopping_ends_the_reading_at_once(terminal: tuple[int, int]) -> None:
    """A reader that waits for a key wakes when the program stops."""
    stop, began = threading.Event(), threading.Event()
    keyboard = Keyboard(terminal[1], terminal[1])

    def read() -> None:
        began.set()
        list(keyboard.keys(stop))

    thread = threading.Thread(target=read)
    thread.start()
    began.wait(PATIENCE_S)
    keyboard.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_dumb_terminal_is_told_no_escape_sequences(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where TERM says that none are understood, the terminal gets cbreak mode and nothing else."""
    monkeypatch.setenv("TERM", "dumb")
    person, program = terminal
    keyboard = Keyboard(program, program)
    keyboard.resume()
    keyboard.close()
    assert select.select([person], [], [], 0.0)[0] == []


def test_a_terminal_that_takes_nothing_does_not_hold_us(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads what is shown, and its buffer is full: the settings are restored all the same."""
    monkeypatch.setenv("TERM", "xterm")
    _, program = terminal
    before = termios.tcgetattr(program)
    keyboard = Keyboard(program, program)
    keyboard.resume()
    os.set_blocking(program, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(program, b"x" * 4096)
    os.set_blocking(program, True)
    closing = threading.Thread(target=keyboard.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert termios.tcgetattr(program) == before


def test_a_hang_up_ends_the_reading(terminal: tuple[int, int]) -> None:
    """When the terminal goes away the keys end quietly, and closing still works."""
    person, program = terminal
    keyboard = Keyboard(program, program)
    keyboard.resume()
    os.close(person)
    assert list(keyboard.keys(threading.Event())) == []
    keyboard.close()


class SuspendingBell(Doorbell):
    """Its first wait ends with a line for the shell, to which the terminal was given back and which has read it."""

    def __init__(self, keyboard: Keyboard, person: int) -> None:
        super().__init__()
        self._keyboard = keyboard
        self._person: int | None = person

    def wait(self, fd: int | None = None, timeout_s: float | None = None) -> bool:
        if self._person is None:
            return super().wait(fd, timeout_s)
        self._keyboard.suspend()
        os.write(self._person, b"n")
        self._person = None
        return True


def test_what_the_shell_has_read_is_not_waited_for(terminal: tuple[int, int]) -> None:
    """A line typed at the shell (`fg`) wakes the keyboard too, which must not wait for it in the shell's line mode."""
    person, program = terminal
    keyboard = Keyboard(program, program)
    keyboard._bell = SuspendingBell(keyboard, person)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(next(keyboard.keys(threading.Event()))), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    keyboard.close()
    assert read == ["n"]


class RestingBell(Doorbell):
    """Its first wait is noted, and is as if the terminal had gone."""

    waits: tuple[int | None, float | None] | None = None

    def wait(self, fd: int | None = None, timeout_s: float | None = None) -> bool:
        self.waits = fd, timeout_s
        raise OSError


def test_nothing_but_a_key_wakes_the_reader(terminal: tuple[int, int]) -> None:
    """In the foreground there is nothing else to look for; in the background, whether it still is."""
    keyboard = Keyboard(terminal[1], terminal[1])
    bell = keyboard._bell = RestingBell()
    assert list(keyboard.keys(threading.Event())) == []
    assert bell.waits == (terminal[1], None)
    keyboard.close()


class Shell:
    """A person at a terminal on which `keyboard_child.py` runs, under a minimal shell with job control or without."""

    def __init__(self, how: str) -> None:
        self.person, program = pty.openpty()
        self.program = program
        self.before = termios.tcgetattr(program)
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), how],
            stdin=program,
            stdout=program,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.seen = b""

    def read_until(self, mark: bytes) -> None:
        """Read what the terminal shows until `mark` is there; what was before it is forgotten."""
        ends_at = time.monotonic() + PATIENCE_S
        while mark not in self.seen:
            ready, _, _ = select.select([self.person], [], [], max(0.0, ends_at - time.monotonic()))
            if not ready:
                raise AssertionError(f"{mark!r} never came, only {self.seen!r}")
            self.seen += os.read(self.person, 4096)
        self.seen = self.seen.partition(mark)[2]

    def type(self, data: bytes) -> None:
        """Type on the keyboard."""
        os.write(self.person, data)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what stands on the error output."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors.decode()

    def close(self) -> None:
        """Give everything back."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        os.close(self.person)
        os.close(self.program)


@pytest.mark.parametrize(
    ("how", "typed", "code"),
    [("quit", b"q", 0), ("raise", b"q", 1), ("quit", b"\x03", 0), ("exit", b"q", 3)],
    ids=["quit", "exception", "ctrl-c", "sys.exit"],
)
def test_the_terminal_is_the_same_after_the_program(how: str, typed: bytes, code: int) -> None:
    """Normal end, exception, Ctrl-C, sys.exit: the terminal's state is what it was."""
    shell = Shell(how)
    try:
        shell.read_until(b"ready")
        assert not termios.tcgetattr(shell.program)[3] & termios.ECHO
        shell.type(typed)
        assert shell.end()[0] == code
        assert termios.tcgetattr(shell.program) == shell.before
        shell.read_until(b"\x1b[?2004l")
    finally:
        shell.close()


@pytest.mark.parametrize("number", ENDING)
def test_the_terminal_is_the_same_after_a_signal(number: signal.Signals) -> None:
    """Every signal that ends the program, handled as it does, restores the terminal too."""
    shell = Shell("quit")
    try:
        shell.read_until(b"ready")
        shell.process.send_signal(number)
        assert shell.end()[0] == 0
        assert termios.tcgetattr(shell.program) == shell.before
    finally:
        shell.close()


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() -> None:
    """Stopped by Ctrl-Z the shell has its terminal; in the background nothing is read; in the foreground keys work."""
    shell = Shell("job-control")
    try:
        shell.read_until(b"ready")
        shell.type(b"\x1a")
        shell.read_until(b"suspended")
        shell.read_until(b"stopped")
        assert termios.tcgetattr(shell.program) == shell.before
        shell.type(b"bg\n")
        shell.read_until(b"resumed")
        assert termios.tcgetattr(shell.program) == shell.before
        shell.type(b"fg\n")
        shell.read_until(b"\x1b[?2004h")
        shell.type(b"n")
        shell.read_until(b"key n")
        shell.type(b"q")
        assert shell.end()[0] == 0
        assert termios.tcgetattr(shell.program) == shell.before
    finally:
        shell.close()


def test_a_second_ctrl_z_amid_the_first_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stop half-way, or wait for ever for what the first one holds."""
    done: list[str] = []

    def step(name: str) -> None:
        done.append(name)
        if len(done) < 9:
            signal.raise_signal(signal.SIGTSTP)

    numbers = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
    handlers = [signal.getsignal(number) for number in numbers]
    monkeypatch.setattr("screen.keyboard.os.kill", lambda *_: done.append("stopped"))
    try:
        handle_suspension(lambda: step("before"), lambda: step("after"))
        signal.raise_signal(signal.SIGTSTP)
        assert done == ["before", "stopped", "after"]
        assert callable(signal.getsignal(signal.SIGTSTP))
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
