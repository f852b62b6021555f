"""What a session leaves to the next, and `--serve` to the player, in small files. Losing one stops nothing.

The jobs at the server, without which a program that is restarted (or killed) would queue its first job behind its own
forgotten ones; the volume and the ambience; what the listener likes; and who keeps a server alive.
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
from typing import Any, Final
from urllib.parse import urlsplit

from base.files import locked, open_safely, read_safely, replace_safely
from base.notices import Notices
from base.workers import Later, at_once, within
from music.segment import Recipe, checked
from music.taste import Opinion, Taste
from spool.folders import free_path

log = logging.getLogger(__name__)

Known = list[tuple[str, Recipe]]
FILE: Final = "remembered.json"
TASTE_FILE: Final = "taste.json"
TASTE_ASIDE: Final = "taste.unreadable.json"
TASTE_VERSION: Final = 1
HANGS_S: Final = 1.0
KEEPER_FILE: Final = "server-{port}.lock"
MOST_BYTES: Final = 4096
LONGEST: Final = 4 * 2**20


def _found(path: Path) -> Any:
    """Return what a JSON file of ours says. Raises OSError, and ValueError where it is none."""
    try:
        return json.loads(read_safely(path, LONGEST))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _kept(path: Path, found: object) -> bool:
    """Replace a JSON file of ours; return whether the disk took it."""
    try:
        replace_safely(path, json.dumps(found).encode())
    except OSError as error:
        log.info("%s cannot be kept: %s", path, error)
        return False
    return True


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
            for row in _found(self._path)["jobs"] if self._path else ():
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
            _kept(path, {"jobs": rows})


def load_remembered(folder: Path) -> dict[str, int | str]:
    """Return the last `volume` and `ambience_volume` in percent and `ambience`; whichever can be used."""
    try:
        found = _found(folder / FILE)
    except (OSError, ValueError):
        return {}
    found = found if isinstance(found, dict) else {}
    percents = {name: found.get(name) for name in ("volume", "ambience_volume")}
    usable = {name: value for name, value in percents.items() if type(value) is int and 0 <= value <= 100}
    return usable | ({"ambience": found["ambience"]} if isinstance(found.get("ambience"), str) else {})


def remember(folder: Path, **values: int | str) -> None:
    """Replace some of what `load_remembered` returns, atomically. Threads: one."""
    _kept(folder / FILE, load_remembered(folder) | values)


class TasteFile:
    """Fills a taste with what the last session left, and keeps it for the next.

    A file that cannot be read is put aside, and said. What a disk refuses lasts for this session; one that hangs at
    the start is read when it answers. `later` has it written by somebody who may wait for the disk.
    Threads: any; `_lock` guards the file and the other fields.
    """

    def __init__(self, folder: Path, taste: Taste, notices: Notices, later: Later = at_once) -> None:
        self._folder = folder
        self._taste = taste
        self._notices = notices
        self._later = later
        self._lock = threading.Lock()
        self._unwritten = False
        taste.changed = self._save
        within(HANGS_S, self._load, None)

    def finish(self) -> None:
        """Try once more to write what the disk refused."""
        if self._unwritten:
            self._save()

    def _save(self) -> None:
        self._unwritten = True
        self._later("taste", self._write)

    def _load(self) -> None:
        with self._lock:
            path = self._folder / TASTE_FILE
            try:
                self._taste.fill(read_taste(self._folder))
            except (OSError, ValueError) as error:
                log.info("%s cannot be read: %s", path, error)
                aside = free_path(self._folder, TASTE_ASIDE)
                with contextlib.suppress(OSError):
                    path.replace(aside)
                self._notices.say("taste.unreadable", "warning", path=str(aside))

    def _write(self) -> None:
        with self._lock:  # the file was read before
            rows = [asdict(opinion) for opinion in self._taste.opinions]
            self._unwritten = not _kept(self._folder / TASTE_FILE, {"version": TASTE_VERSION, "opinions": rows})


def read_taste(folder: Path) -> list[Opinion]:
    """Return the opinions that were kept, oldest first; none where there is no file.

    Raises OSError, and ValueError where it is none of ours, or of a later version.
    """
    try:
        found = _found(folder / TASTE_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return []
    ours = isinstance(found, dict) and found.get("version") == TASTE_VERSION
    if not ours or not isinstance(found.get("opinions"), list):
        raise ValueError(f"no opinions of version {TASTE_VERSION}")
    opinions = [checked(Opinion, row) for row in found["opinions"]]
    if any(row.keys() - asdict(opinion).keys() for row, opinion in zip(found["opinions"], opinions, strict=True)):
        raise ValueError("writing it anew would lose what a later version has noted")
    return opinions


def forget_taste(folder: Path) -> None:
    """Delete the opinions that were kept, and what was put aside; the spool is locked by the caller. Raises OSError."""
    (folder / TASTE_FILE).unlink(missing_ok=True)
    for aside in folder.glob(TASTE_ASIDE.replace(".json", "*.json")):
        if not aside.is_dir():
            aside.unlink()


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
        if not locked(handle, self._url):
            os.close(handle)
            return False
        self._handle = handle
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
