"""A room to listen in: a sound server of its own with a null sink, whose monitor is recorded, and programs run in it.

Nothing of the machine's own sound is touched: the server has its own folder, socket and settings, and ends with us.
It is PulseAudio, or PipeWire with what it takes to be one.
"""

from __future__ import annotations

import bisect
import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from listening.listening import CHANNELS, RATE_HZ, Samples, open_raw

PROJECT: Final = Path(__file__).resolve().parents[2]
APP: Final = PROJECT / "prototype" / "app.py"
NEEDED: Final = ("pulseaudio", "parec", "pactl")
PIPEWIRE: Final = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-daemon")
FRAME_BYTES: Final = 4 * CHANNELS
NOBODY: Final = 65534
SINK: Final = ("module-null-sink", "sink_name=out", "format=float32le", f"rate={RATE_HZ}", f"channels={CHANNELS}")
LOOK_S: Final = 0.05
_SERVER_WAIT_S: Final = 10.0


def pause(seconds: float) -> None:
    """Let real time pass."""
    threading.Event().wait(seconds)


def wait_until(holds: Callable[[], object], limit_s: float = 60.0) -> bool:
    """Wait for what other threads or programs do; return whether it came within the limit."""
    ends_at = time.monotonic() + limit_s
    while not (came := holds()) and time.monotonic() < ends_at:
        pause(0.02)
    return bool(came)


def let_signals_through() -> None:
    """Let what is started hear the signals that we were started to ignore: under nohup, or behind a script's `&`.

    We go on ignoring them; a handler, unlike that, is not handed down to who is started.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def is_usable(*tools: str) -> bool:
    """Return whether what the room is made of is installed, and `tools` too."""
    return all(shutil.which(tool) for tool in (*NEEDED, *tools))


class SoundRoom:
    """A private sound server, as a context manager. `environment` is what a program needs to play in it.

    Threads: one.
    """

    def __init__(self, *, pipewire: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="listening-"))
        self.folder.chmod(0o755)  # a program that refuses to run as root runs as nobody
        self.pipewire = pipewire
        self._socket = self.folder / ("run/pulse/native" if pipewire else "native")
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the programs."""
        # Bytecode is kept, as on a listener's machine: else each start of the program would compile it anew.
        left_out = ("PULSE_", "PIPEWIRE", "PYTHONDONTWRITEBYTECODE")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return inherited | {
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "HOME": str(self.folder / "home"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_COOKIE": str(self.folder / "cookie"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.folder / 'bus'}",
            "SDL_AUDIODRIVER": "pulseaudio",
            "TERM": "xterm-256color",
            "COLUMNS": "",
            "LINES": "",
        }

    def __enter__(self) -> Self:
        for name in ("run", "home"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o777)
        (self.folder / "cookie").write_bytes(bytes(256))
        (self.folder / "cookie").chmod(0o644)
        try:
            self.start_server()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def start_server(self) -> None:
        """Start the server, for the first time or after `kill_server`. Raises RuntimeError when it does not."""
        self._servers.clear()
        if self.pipewire:
            bus = self.folder / "bus"
            self.start_part(bus, "dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}")
            self.start_part(self.folder / "run" / "pipewire-0", "pipewire")
            self.start_part(None, "wireplumber")
            self.start_part(self._socket, "pipewire-pulse")
            self.control("load-module", *SINK)
            return
        protocol = f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}"
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        command += ["--realtime=no", "--high-priority=no", "-L", " ".join(SINK), "-L", protocol]
        self.start_part(self._socket, *command)

    def start_part(self, socket: Path | None, *command: str) -> None:
        """Start a part of the server, and wait for its socket, if it has one."""
        if socket is not None:
            socket.unlink(missing_ok=True)
        with (self.folder / f"{command[0]}.log").open("wb") as log:
            server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self._servers[command[0]] = server
        deadline = time.monotonic() + _SERVER_WAIT_S
        while socket is not None and not socket.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the private {command[0]} did not start")
            pause(0.05)

    def signal_server(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        for server in self._servers.values():
            server.send_signal(number)

    def kill_server(self, name: str = "") -> None:
        """Let the server die as by kill -9, or the part of it of that name."""
        for part, server in self._servers.items():
            if name in (part, ""):
                server.kill()
                server.wait()

    def control(self, *words: str) -> bytes:
        """Tell or ask the server something: `pactl` with these words. Raises CalledProcessError when it is refused."""
        command = ["pactl", *words]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=_SERVER_WAIT_S
        ).stdout

    def is_suspended(self) -> bool:
        """Return whether the server has suspended its device."""
        return b"SUSPENDED" in self.control("list", "short", "sinks")

    def __exit__(self, *_: object) -> None:
        for server in reversed(self._servers.values()):
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(3)
            server.kill()
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Recorder:
    """Records what is heard in a room into a raw file, and knows when each frame was heard.

    Threads: `_read` owns the file while it records; the rest belongs to one thread.
    """

    def __init__(self, room: SoundRoom, path: Path) -> None:
        self.path = path
        self.frames = 0
        self._arrivals: list[tuple[int, float]] = []  # (frames so far, monotonic time) of each reading
        self._environment = room.environment
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        command = ["parec", "--device=out.monitor", "--format=float32le", f"--rate={RATE_HZ}", f"--channels={CHANNELS}"]
        command += ["--latency-msec=10", "--raw"]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._thread.start()
        deadline = time.monotonic() + _SERVER_WAIT_S
        while not self.frames:
            if time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError("nothing can be recorded from the private sound server")
            pause(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def samples(self) -> Samples:
        """Return what was recorded so far: float32, shape (n_frames, 2)."""
        return open_raw(self.path)

    def frame_at(self, moment_s: float) -> int:
        """Return the frame that was heard at a monotonic time. The delay of the recording itself is below 20 ms."""
        return self._arrivals[bisect.bisect_left(self._arrivals, moment_s, key=lambda arrival: arrival[1]) - 1][0]

    def heard_at(self, frame: int) -> float:
        """Return the monotonic time at which a frame was heard; as exact as `frame_at`."""
        return self._arrivals[bisect.bisect_right(self._arrivals, frame, key=lambda arrival: arrival[0])][1]

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        total = 0
        with self.path.open("wb", buffering=0) as file:
            while data := os.read(self._process.stdout.fileno(), 1 << 16):
                total += len(data)
                file.write(data)
                self.frames = total // FRAME_BYTES
                self._arrivals.append((self.frames, time.monotonic()))


@dataclass(frozen=True)
class Usage:
    """What a process has of the machine. `cpu_s` is user and system time since its start, threads included."""

    cpu_s: float
    rss_mb: float
    threads: int
    open_files: int


def usage(pid: int) -> Usage:
    """Read a process' figures from /proc. Raises OSError when it has gone."""
    folder = Path("/proc") / str(pid)
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, and those of ended children
    pages = int((folder / "statm").read_text().split()[1])
    return Usage(
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        threads=int(fields[17]),
        open_files=len(list((folder / "fd").iterdir())),
    )


class Child:
    """A program that is run in the room: in a terminal of `size` (columns, lines) of its own, or with plain pipes.

    `stdout` may be given another file, which is not in `output` then.
    Threads: one, but for the reader of its output.
    """

    KEPT_BYTES = 1 << 16
    """So much of the end of its output is kept."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        size: tuple[int, int] | None = None,
        stdout: IO[Any] | int | None = None,
        as_nobody: bool = False,
    ) -> None:
        self._output = bytearray()
        self._is_terminal = size is not None
        self._reading, self._stalled = True, False
        user = NOBODY if as_nobody and os.geteuid() == 0 else None
        if size is not None:
            self._fd, inner = pty.openpty()
            self.resize(*size)
            command = ["setsid", "--ctty", *command]
        else:
            self._fd, inner = os.pipe()
        self._attributes_before = self._attributes()
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(environment),
            stdin=inner if size else subprocess.PIPE,
            stdout=inner if stdout is None else stdout,
            stderr=inner,
            start_new_session=size is None,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        os.close(inner)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._output.decode("utf-8", "replace")

    def usage(self) -> Usage:
        """Return its figures now."""
        return usage(self.pid)

    def type(self, keys: str) -> float:
        """Press keys, where there is a terminal; return when."""
        if self._is_terminal:
            os.write(self._fd, keys.encode())
        return time.monotonic()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the terminal's window."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def stall(self, stalled: bool) -> None:
        """Let the terminal, or who reads the pipe, take nothing, or go on."""
        self._stalled = stalled

    def restored_terminal(self) -> bool:
        """Return whether the settings of its terminal are those before it was started."""
        return self._attributes() == self._attributes_before

    def end(self, wait_s: float = 5.0) -> int:
        """Ask it to end, kill it when it does not; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(1.0)
        self.hang_up()
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal's window, or the pipes."""
        if not self._reading:
            return
        self._reading = False
        self._reader.join()
        os.close(self._fd)
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _attributes(self) -> list[Any]:
        return termios.tcgetattr(self._fd) if self._is_terminal else []

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that nobody has open any more
            while self._reading:
                if self._stalled:
                    pause(LOOK_S)
                elif select.select([self._fd], [], [], LOOK_S)[0]:
                    if not (data := os.read(self._fd, 1 << 16)):
                        return
                    self._output += data
                    del self._output[: -self.KEPT_BYTES]


@contextlib.contextmanager
def busy_cores(each: int = 1) -> Iterator[None]:
    """Keep every core busy with so many processes of usual priority."""
    with contextlib.ExitStack() as stack:
        for _ in range(each * (os.cpu_count() or 2)):
            process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def app_command(*arguments: str | Path) -> list[str | Path]:
    """Return the command line of the program itself."""
    return [sys.executable, APP, *arguments]
