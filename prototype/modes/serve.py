"""`--serve`: ACE-Step's own server, started with what the settings need and kept alive.

The server is known to end after some jobs on small graphics cards, and a job that hangs blocks all behind it. It is
started again when it ends, with growing pauses, and when its one job hangs longer than any job should while others
wait. The player learns of it from a locked file in the spool.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ace_client import AceClient, ServerStats, Timeouts
from base.errors import ServerError, ServerUnreachable, StartupError
from base.files import open_safely
from base.process import ENDING, Exit, heed_aside
from base.texts import Said, said, visible
from base.workers import Clock, SystemClock, Worker
from config import Settings
from modes.server_plan import PLACES, SMALL_CARD, Plan, cards, find_folder, find_uv, planned
from screen.printing import Lines
from spool.state_files import KeeperFile

LOOK_S: Final = 2.0
TIMEOUTS: Final = Timeouts(connect_s=2.0, read_s=5.0, reply_s=10.0)
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
TERMINATE_S: Final = 10.0
FAREWELL_S: Final = 0.3
LOG_BYTES: Final = 5_000_000
LAST_BYTES: Final = 20_000
LONGEST_QUOTE: Final = 200
OUT_OF_MEMORY: Final = re.compile(r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE)
KILLED: Final = (-signal.SIGKILL, 128 + signal.SIGKILL)
LOAD_FAILED: Final = 3  # uvicorn's code


class Voice:
    """Prints sentences with their time, in a thread of its own: a frozen terminal holds up nothing.

    Threads: any may tell; `close` once.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, daemon=True)
        self._thread.start()

    def tell(self, words: Said) -> None:
        """Print what is said."""
        self._queue.put(f"{time.strftime('%H:%M')}  {words.words(self._lines.language)}")

    def close(self) -> None:
        """Return when all is printed, or the terminal takes nothing."""
        self._queue.put(None)
        self._thread.join(FAREWELL_S)

    def _print(self) -> None:
        while (line := self._queue.get()) is not None:
            with contextlib.suppress(StartupError, ValueError):  # the terminal may be gone; the server is not
                self._lines.say(visible(line))


def serve(settings: Settings, lines: Lines) -> int:
    """Start the server and keep it alive until Ctrl-C; return the exit code."""
    voice, clock, stop, hurry = Voice(lines), SystemClock(), threading.Event(), threading.Event()

    def end() -> None:
        (hurry if stop.is_set() else stop).set()

    heed_aside(ENDING, end)
    client = AceClient.of(settings, clock=clock, timeouts=TIMEOUTS)
    settings.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = KeeperFile(settings.spool_dir, settings.acestep_api_url)
    folder, uv = find_folder(settings.acestep_dir), find_uv()
    try:
        obstacles = list(in_the_way(settings, client, file, folder, uv))
        for obstacle in obstacles:
            voice.tell(obstacle)
        if obstacles or folder is None or uv is None:
            return Exit.CANNOT_START
        plan = planned(settings, uv, folder, cards(), os.environ)
        for reason in plan.reasons:
            voice.tell(reason)
        keeper = Keeper(plan, client, settings, clock, voice.tell, hurry)
        Worker("keeper", keeper.run, stop, clock, lambda _, error: voice.tell(said("serve.failed", reason=error))).run()
        voice.tell(said("serve.ended"))
        return Exit.WELL
    finally:
        file.release()
        voice.close()


def in_the_way(
    settings: Settings, client: AceClient, file: KeeperFile, folder: Path | None, uv: str | None
) -> Iterator[Said]:
    """Yield what keeps us from starting a server, with what to do about it."""
    address, url = settings.acestep_api_url, urlsplit(settings.acestep_api_url)
    if url.scheme != "http" or url.path:
        yield said("serve.address", url=address)
        return
    refused = bind_error(settings)
    if refused not in (0, errno.EADDRINUSE):
        yield said("serve.elsewhere", url=address, reason=OSError(refused, os.strerror(refused)))
        return
    try:
        client.health()
        yield said("serve.answers_already", url=address)
        return
    except ServerUnreachable:
        taken = bool(refused)
    except ServerError:
        taken = True
    if taken:
        yield port_taken(settings)
        return
    if folder is None:
        yield said("serve.no_folder", folder=settings.acestep_dir or PLACES[0])
    if uv is None:
        yield said("serve.no_uv")
    if folder and uv and not file.take():
        yield said("serve.kept_already", url=address)


def port_taken(settings: Settings) -> Said:
    """Return what is said where something else listens at the server's address."""
    url = settings.acestep_api_url
    return said("serve.port_taken", url=url, port=str(urlsplit(url).port or 80))


def bind_error(settings: Settings) -> int:
    """Return why nothing of this machine can listen at the server's address (errno), 0 if something can."""
    url = urlsplit(settings.acestep_api_url)
    try:
        found = socket.getaddrinfo(url.hostname, url.port or 80, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return 0


class Patience:
    """Tells when the running job hangs: nothing finishes for longer than any job may take, while others wait.

    A server that has answered and is deaf for as long as its first job may take hangs too; one that never answered
    may be loading or fetching its models for hours. Threads: the keeper's.
    """

    def __init__(self, first_job_s: float, job_s: float, now: float) -> None:
        self._first_job_s = first_job_s
        self._job_s = job_s
        self._finished = 0
        self._moved_at = now
        self._heard_at: float | None = None
        self.productive = False

    def hung_s(self, heard: bool, stats: ServerStats | None, now: float) -> float | None:
        """Take in whether the server answers, and its counts; return for how long it has hung, None if it does not."""
        if not heard:
            deaf_s = now - self._heard_at if self._heard_at is not None else 0.0
            return deaf_s if deaf_s > self._first_job_s else None
        self._heard_at = now
        if stats is None:
            return None
        finished = (stats.succeeded or 0) + (stats.failed or 0)
        if finished > self._finished or not stats.running:
            self._moved_at = now
        self._finished = finished  # it forgets old jobs
        self.productive = self.productive or bool(stats.succeeded)
        still_s = now - self._moved_at
        longest_s = self._job_s if self.productive else self._first_job_s
        return still_s if stats.queue_size and still_s > longest_s else None


@dataclass(eq=False)
class Keeper:
    """One server process, and another one after it; `hurry`, once set, lets none of them end slowly.

    Threads: `run` has one.
    """

    _plan: Plan
    _server: AceClient
    _settings: Settings
    _clock: Clock
    _tell: Callable[[Said], None]
    _hurry: threading.Event
    _log_begin: int = 0

    @property
    def _log_path(self) -> Path:
        return self._settings.spool_dir / "acestep-api.log"

    def run(self, stop: threading.Event) -> None:
        """Keep a server running until `stop` is set; leave no process behind."""
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            if self._live(stop):
                pause_s = FIRST_PAUSE_S
            if not stop.is_set():
                self._tell(said("serve.again", seconds=f"{pause_s:.0f}", log=self._log_path))
                self._clock.wait(stop, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _live(self, stop: threading.Event) -> bool:
        """Start a server and watch it until it has ended; return whether it made music."""
        if bind_error(self._settings) == errno.EADDRINUSE:
            self._tell(port_taken(self._settings))
            return False
        patience = Patience(self._settings.first_job_timeout_sec, self._settings.job_timeout_sec, self._clock.now())
        try:
            process = self._start()
        except OSError as error:
            self._tell(said("serve.cannot_start", path=error.filename or self._plan.command[0], reason=error))
            return False
        try:
            self._watch(process, patience, stop)
        finally:
            end_group(process, self._hurry, self._clock)
        return patience.productive

    def _start(self) -> subprocess.Popen[bytes]:
        sink = open_safely(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            rotate(self._log_path)
            self._log_begin = os.fstat(sink).st_size
            return subprocess.Popen(
                self._plan.command,
                cwd=self._plan.folder,
                env=dict(self._plan.variables),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours; the group ends as one
            )
        finally:
            os.close(sink)

    def _watch(self, process: subprocess.Popen[bytes], patience: Patience, stop: threading.Event) -> None:
        """Return when the process has ended, hangs, or is not wanted any more."""
        began_at, answered = self._clock.now(), False
        while not self._clock.wait(stop, LOOK_S):
            code = process.poll()
            if code is not None:
                self._tell_end(code)
                return
            rotate(self._log_path)
            heard, stats = self._ask()
            now = self._clock.now()
            if heard and not answered:
                answered = True
                self._tell(said("serve.up", url=self._settings.acestep_api_url, seconds=f"{now - began_at:.0f}"))
            hung_s = patience.hung_s(heard, stats, now)
            if hung_s is not None:
                self._tell(said("serve.hung", seconds=f"{hung_s:.0f}"))
                return

    def _ask(self) -> tuple[bool, ServerStats | None]:
        """Return whether the server answers, and its counts if it gives them."""
        heard = False
        with contextlib.suppress(ServerError):
            self._server.health()
            heard = True
            return True, self._server.stats()
        return heard, None

    def _tell_end(self, code: int) -> None:
        """Say why the server ended, as far as it shows; let the next one save memory if that was the reason."""
        words = self._last_words()
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        last = visible(lines[-1])[:LONGEST_QUOTE] if lines else "-"
        if OUT_OF_MEMORY.search(words):
            self._plan = replace(self._plan, variables={**self._plan.variables, **SMALL_CARD})
            self._tell(said("serve.card_full", code=code))
        elif code in KILLED:
            self._tell(said("serve.killed", code=code))
        else:
            self._tell(said("serve.load_failed" if code == LOAD_FAILED else "serve.died", code=code, words=last))

    def _last_words(self) -> str:
        """Return the end of what this process, not one before it, has printed."""
        with contextlib.suppress(OSError), self._log_path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = self._log_begin if self._log_begin <= size else 0  # rotated since
            file.seek(max(begin, size - LAST_BYTES))
            return file.read().decode("utf-8", "replace")
        return ""


def rotate(path: Path) -> None:
    """Put a log that has grown large aside; in place, as the server goes on writing at the end of the same file."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            with contextlib.suppress(OSError):  # a full disk: better no old log than no new one
                shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)


def end_group(process: subprocess.Popen[bytes], hurry: threading.Event, clock: Clock) -> None:
    """End a process and all that it started: asked first, made to after TERMINATE_S or in a hurry."""
    never, deadline = threading.Event(), clock.now() + TERMINATE_S
    with contextlib.suppress(ProcessLookupError, PermissionError):  # no process is left (macOS: only a zombie)
        os.killpg(process.pid, signal.SIGTERM)
        while clock.now() < deadline and not hurry.is_set():
            process.poll()  # a zombie is still in its group
            os.killpg(process.pid, 0)
            clock.wait(never, 0.05)
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that a broken driver holds: its port tells
        process.wait(TERMINATE_S)
