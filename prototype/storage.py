"""The spool's folders on the disk: saving, moving and removing whole files, each so that a kill loses nothing.

No index and no policy here; a method either did what it says or raises OSError.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec

from disk import FULL, GONE, SHELVES, Files
from errors import SpoolBusy
from folder_lock import FolderLock
from notices import Notices
from shelves import numbered

log = logging.getLogger(__name__)

INCOMING: Final = "incoming"
PART: Final = "part-"  # what begins so in incoming/ is ours to delete
RETRY_S: Final = 10.0
ROOM_BYTES: Final = 32 * 2**20  # a download of a minute as float WAV takes 23 MB

Params = ParamSpec("Params")


class Storage:
    """The folders `incoming/`, `ready/`, `played/` and `kept/` under one root.

    Threads: any, once `open` has returned; two may not move the same file at once (the spool's turn sees to that).
    `_lock` guards `_temporary`.
    """

    def __init__(self, root: Path, files: Files, notices: Notices, lock: FolderLock | None = None) -> None:
        self.root = root
        self._files = files
        self._notices = notices
        self._folder_lock = lock or FolderLock(root)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._temporary: Path | None = None

    def open(self) -> None:
        """Make the folders, lock them, and delete what a killed program left half done. Raises SpoolBusy."""
        self._make_folders()
        self._folder_lock.take()
        for listed in self._files.listing(self.root / INCOMING):
            if listed.name.startswith(PART):
                tried(self._files.remove, self.root / INCOMING / listed.name)

    def close(self) -> None:
        """Let other programs in, and delete what lies outside of the root."""
        self._folder_lock.release()
        with self._lock:
            temporary, self._temporary = self._temporary, None
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)

    def part_path(self, suffix: str) -> Path:
        """Return a fresh path in incoming/."""
        folder = self.root / INCOMING
        self._files.make_folder(folder)
        return folder / self._part_name(suffix)

    def temporary_path(self, suffix: str) -> Path:
        """Return a fresh path in the machine's temporary folder."""
        with self._lock:
            if self._temporary is None or not self._temporary.is_dir():
                self._temporary = Path(tempfile.mkdtemp(prefix="spool-"))
            return self._temporary / self._part_name(suffix)

    def free_bytes(self) -> int:
        """Return how much can still be written."""
        return self._files.free_bytes(self.root)

    def save(self, data: bytes, shelf: str, name: str) -> Path:
        """Write a file and return its path: it appears on the shelf complete, under a name not taken before."""
        try:
            return self._save(data, shelf, name)
        except OSError as error:
            if error.errno not in GONE:
                raise
        self._remake()
        return self._save(data, shelf, name)

    def move(self, path: Path, shelf: str) -> Path | None:
        """Move a file to a shelf and return its new path; None when the file is gone."""
        if path.parent.name == shelf:
            return path if self._files.exists(path) else None
        try:
            return self._move(path, shelf)
        except OSError as error:
            if error.errno not in GONE:
                raise
        if not self._files.exists(path):
            return None
        self._remake()
        return self._move(path, shelf)

    def remove(self, path: Path) -> None:
        """Delete a file; fine when it is gone already."""
        self._files.remove(path)

    def set_aside(self, path: Path) -> None:
        """Rename a file so that no scan takes it for audio."""
        self._files.rename(path, self._free_path(path.parent, f"{path.name}.disliked"))

    def stamp(self, path: Path, heard_s: float) -> None:
        """Write down when a piece was heard: the file's time, seconds since 1970."""
        self._files.stamp(path, int(heard_s * 1e9))

    def _save(self, data: bytes, shelf: str, name: str) -> Path:
        part = self.root / INCOMING / self._part_name(".wav")
        try:
            self._files.write(part, data)
            target = self._free_path(self.root / shelf, name)
            self._files.rename(part, target)
        except OSError:
            with suppress(OSError):
                self._files.remove(part)
            raise
        self._sync(target.parent)
        return target

    def _move(self, path: Path, shelf: str) -> Path:
        target = self._free_path(self.root / shelf, path.name)
        self._files.rename(path, target)
        self._sync(target.parent)
        return target

    def _free_path(self, folder: Path, name: str) -> Path:
        """Return the first free name: a rename would silently replace a file of the listener's."""
        names = (folder / numbered(name, number) for number in itertools.count(1))
        return next(path for path in names if not self._files.exists(path))

    def _sync(self, folder: Path) -> None:
        """Make a rename last; the file is in its place even where that is refused."""
        try:
            self._files.sync_folder(folder)
        except OSError as error:
            log.warning("cannot sync %s: %s", folder, error)

    def _make_folders(self) -> None:
        for name in (INCOMING, *SHELVES):
            self._files.make_folder(self.root / name)

    def _remake(self) -> None:
        """Make folders anew that somebody deleted while we play, and lock them again."""
        self._make_folders()
        try:
            self._folder_lock.renew()
        except (OSError, SpoolBusy) as error:
            log.warning("the remade spool is not locked: %s", error)
        self._notices.say("spool.remade", "warning", folder=str(self.root))

    def _part_name(self, suffix: str) -> str:
        safe = re.sub(r"[^A-Za-z0-9.]", "", suffix)[:16]
        return f"{PART}{os.getpid()}-{next(self._numbers)}{safe}"


class DiskState:
    """Whether the disk takes files; each change is told once.

    What was refused is what must work again: a move that is done says nothing of writing, and a full disk is one until
    there is room for ROOM_BYTES, or the two would be told by turns. Threads: any; `_lock` guards `_refused`.
    """

    def __init__(self, root: Path, notices: Notices) -> None:
        self._root = root
        self._notices = notices
        self._lock = threading.Lock()
        self._refused = ""

    @property
    def refusing(self) -> bool:
        """Whether the last thing asked of the disk was refused."""
        return bool(self._refused)

    def refused(self, error: OSError, *, writing: bool = True) -> None:
        """Note that the disk takes nothing, and why; `writing` is False where it was a file that could not be moved."""
        full = error.errno in FULL
        with self._lock:
            first = not self._refused
            if writing or first:
                self._refused = "full" if full else "write" if writing else "move"
        log.warning("the spool's disk refuses: %s", error)
        if first:
            key = "spool.full" if full else "spool.refused"
            self._notices.say(key, "warning", reason=error.strerror or str(error), folder=str(self._root))

    def accepted(self, free_bytes: Callable[[], int], *, writing: bool = True) -> None:
        """Note that a file was written, or (not `writing`) moved."""
        refused = self._refused
        if not refused or writing == (refused == "move") or (refused == "full" and free_bytes() < ROOM_BYTES):
            return
        with self._lock:
            again, self._refused = bool(self._refused), ""
        if again:
            self._notices.say("spool.writable", "good")


def tried(operation: Callable[Params, None], *args: Params.args, **kwargs: Params.kwargs) -> bool:
    """Do what may fail without harm; return whether it worked."""
    try:
        operation(*args, **kwargs)
    except OSError as error:
        log.warning("the spool could not do one thing: %s", error)
        return False
    return True
