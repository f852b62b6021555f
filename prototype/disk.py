"""The few things the spool asks of a disk, in one place, so that a test can let any of them fail.

Every method raises OSError and nothing else.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, NamedTuple

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
READY: Final = "ready"
PLAYED: Final = "played"
KEPT: Final = "kept"
SHELVES: Final = (READY, PLAYED, KEPT)
AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff"})


class Listed(NamedTuple):
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
