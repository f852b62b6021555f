"""The few things the spool asks of a disk, in one place, so that a test can let any of them fail.

Every method raises OSError and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
READY: Final = "ready"
PLAYED: Final = "played"
KEPT: Final = "kept"
SHELVES: Final = (READY, PLAYED, KEPT)
AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff"})


def open_safely(path: Path, flags: int) -> int:
    """Open a regular file and return its descriptor; never through a link. New files are for us alone.

    Where others can write to the folder, they could have put a link or a FIFO there. Raises OSError.
    """
    truncates = bool(flags & os.O_TRUNC)
    handle = os.open(path, flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if truncates and status.st_nlink > 1 and status.st_uid != os.geteuid():
            raise OSError(errno.EMLINK, "is another user's file by a second name", str(path))
        if truncates:
            os.ftruncate(handle, 0)
    except OSError:
        os.close(handle)
        raise
    return handle


def own_target(path: Path) -> Path:
    """Return where a link of our own leads; any other path unchanged."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
            return path.resolve()
    return path


def read_safely(path: Path) -> str:
    """Return the text of a small file; a FIFO in its place is not waited for. Raises OSError and ValueError."""
    with os.fdopen(open_safely(path, os.O_RDONLY), encoding="utf-8") as file:
        return file.read()


def replace_safely(path: Path, text: str) -> None:
    """Write a small file anew, so that a reader finds the old one or the new one, whole. Raises OSError."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)  # what a killed program left, or a link that is none of ours
    with os.fdopen(open_safely(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


class Listed(NamedTuple):
    """One regular file of a folder."""

    name: str
    size_bytes: int
    modified_ns: int


class Files:
    """File operations that last: what has returned survives a power cut."""

    def make_folder(self, path: Path) -> None:
        """Make `path` and its parents; fine when it exists."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

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
        with os.fdopen(open_safely(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
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
