"""The ids of the jobs at the server, kept in a small file, so that the next run of the program finds them again.

Without it, a program that is restarted (or killed) would queue its first job behind its own forgotten ones.

What a session leaves to the next, and `--serve` to the player. Losing it is no harm, so no failure is reported.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from base.files import open_safely, read_safely, replace_safely
from base.workers import Later, at_once
from music.segment import Recipe, checked

log = logging.getLogger(__name__)

Known = list[tuple[str, Recipe]]


class JobsFile:
    """One JSON file; without a path, or on a disk that refuses, nothing is remembered and nothing else happens.

    `later` has it written by somebody who may wait for the disk, the latest list last; else that is done at once.
    Threads: any; `_lock` guards the file, so that an older list never replaces a newer one.
    """

    def __init__(self, path: Path | None, later: Later = at_once) -> None:
        self._path = path
        self._later = later
        self._lock = threading.Lock()
        self._jobs: dict[str, Callable[[], Known]] = {}

    def load(self, url: str) -> Known:
        """Return the jobs that the last run left at this server."""
        with self._lock:
            return self._read().get(url, [])

    def save(self, url: str, jobs: Callable[[], Known]) -> None:
        """Put what `jobs` returns in the place of what is known of this server; the rest stays as it is."""
        path = self._path
        if path is not None:
            self._jobs[url] = jobs
            self._later("jobs", lambda: self._write(path))

    def _read(self) -> dict[str, Known]:
        known: dict[str, Known] = {}
        try:
            for row in json.loads(read_safely(self._path))["jobs"] if self._path else ():
                jobs = known.setdefault(row["url"], [])
                jobs.append((str(row["task_id"]), checked(Recipe, row["recipe"])))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.info("the jobs of the last run cannot be read: %s", error)
        return known

    def _write(self, path: Path) -> None:
        with self._lock:
            known = self._read() | {url: jobs() for url, jobs in list(self._jobs.items())}
            rows = [
                {"url": url, "task_id": task_id, "recipe": asdict(recipe)}
                for url, jobs in known.items()
                for task_id, recipe in jobs
            ]
            try:
                replace_safely(path, json.dumps({"jobs": rows}))
            except OSError as error:
                log.info("the jobs at the server cannot be remembered: %s", error)


FILE: Final = "remembered.json"
KEEPER_FILE: Final = "server-{port}.lock"
MOST_BYTES: Final = 4096


def load_remembered(folder: Path) -> dict[str, int | str]:
    """Return the last `volume` and `ambience_volume` in percent and `ambience`; whichever can be used."""
    try:
        text = read_safely(folder / FILE)
        import json  # slow to import: not before the first sound, where there is no such file

        found = json.loads(text)
    except (OSError, ValueError):
        return {}
    found = found if isinstance(found, dict) else {}
    percents = {name: found.get(name) for name in ("volume", "ambience_volume")}
    usable = {name: value for name, value in percents.items() if type(value) is int and 0 <= value <= 100}
    return usable | ({"ambience": found["ambience"]} if isinstance(found.get("ambience"), str) else {})


def remember(folder: Path, **values: int | str) -> None:
    """Replace some of what `load_remembered` returns, atomically. Threads: one."""
    import json

    with contextlib.suppress(OSError):
        replace_safely(folder / FILE, json.dumps(load_remembered(folder) | values))


class KeeperFile:
    """Tells the player that `--serve` keeps a server at `url`: one small file a port, locked while that is so.

    The kernel frees the lock however the keeper ends, so that what a killed one wrote counts for nothing.
    Threads: one.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._path = _keeper_path(folder, url)
        self._url = url
        self._handle: int | None = None

    def take(self) -> bool:
        """Lock the file; return False when another keeper has it. Raises OSError when it cannot be made."""
        handle = open_safely(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:  # some network file systems have no locks
            pass
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(handle, 0)
            os.pwrite(handle, self._url.encode(), 0)
        return True

    def release(self) -> None:
        """Give the lock back; the file stays, as deleting it would let two keepers lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_kept(folder: Path, url: str) -> bool:
    """Return whether a living `--serve` keeps the server at `url`."""
    try:
        handle = open_safely(_keeper_path(folder, url), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, MOST_BYTES, 0) == url.encode()
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _keeper_path(folder: Path, url: str) -> Path:
    return folder / KEEPER_FILE.format(port=urlsplit(url).port or 80)
