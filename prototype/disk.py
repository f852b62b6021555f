"""The few things the spool asks of a disk, in one place, so that a test can let any of them fail.

Every method raises OSError and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from errors import SpoolBusy

log = logging.getLogger(__name__)

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
LOCK_FILE: Final = ".lock"
READY: Final = "ready"
PLAYED: Final = "played"
KEPT: Final = "kept"
SHELVES: Final = (READY, PLAYED, KEPT)
AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff"})


@dataclass(frozen=True)
class Listed:
    """One regular file of a folder."""

    name: str
    size_bytes: int
    modified_ns: int


class Files:
    """File operations that last: what has returned survives a power cut."""

    def make_folder(self, path: Path) -> None:
        """Make `path` and its parents; fine when it exists."""
        path.mkdir(parents=True, exist_ok=True)

    def listing(self, path: Path) -> list[Listed]:
        """Return the regular files in `path` (no links, no hidden ones), sorted by name."""
        found = []
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    status = entry.stat()
                    found.append(Listed(entry.name, status.st_size, status.st_mtime_ns))
        return sorted(found, key=lambda listed: listed.name)

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and wait until the disk has it."""
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def exists(self, path: Path) -> bool:
        """Return whether anything has that name."""
        return os.path.lexists(path)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file within the disk: afterwards it has the one name or the other, never both or none."""
        old.replace(new)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder last."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Delete a file; fine when it is gone already."""
        path.unlink(missing_ok=True)

    def stamp(self, path: Path, modified_ns: int) -> None:
        """Set the time of a file's last change."""
        os.utime(path, ns=(modified_ns, modified_ns))

    def free_bytes(self, path: Path) -> int:
        """Return how many bytes can still be written there."""
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize


class FolderLock:
    """Keeps a second program out of a folder, for as long as this process lives.

    The kernel frees the lock when the process ends, however it ends; the file's text only names the owner.
    Threads: `take` and `release` belong to the composition root; `renew` to whoever finds the folder deleted.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock, unless we have it.

        Raises SpoolBusy when another process has it, OSError when the file cannot be made.
        """
        if self._handle is not None:
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            who = f"process {owner}" if owner.isdigit() else "another process"
            raise SpoolBusy(
                f"{who} already plays from {self._path.parent}: quit it, or set SPOOL_DIR to another folder"
            ) from error
        except OSError as error:  # some network file systems have no locks: better unguarded than silent
            log.warning("the spool cannot be locked: %s", error)
        self._handle = handle
        with suppress(OSError):  # the name of the owner is a courtesy; a full disk has no room for it
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def renew(self) -> None:
        """Take the lock again where its file was deleted under us. Raises as `take` does."""
        try:
            ours = self._handle is not None and os.path.samestat(os.fstat(self._handle), self._path.stat())
        except FileNotFoundError:
            ours = False
        if not ours:
            self.release()
            self.take()

    def release(self) -> None:
        """Give the lock back; the file stays, as deleting it would let two programs lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
