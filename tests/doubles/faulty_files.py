"""A disk that fails on request: the spool's `Files`, with levers."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from spool.folders import Files, Listed


class FaultyFiles(Files):
    """`Files` that count what is asked of them, and refuse what the levers say. Nothing is flushed to a real disk.

    Threads: any; `_lock` guards `calls`.
    """

    def __init__(self) -> None:
        self.full = False
        """No byte more can be written; what is deleted is taken at once by somebody else."""
        self.read_only = False
        self.broken: dict[str, int] = {}
        """Operation -> the errno of every call of it."""
        self.fail_at: dict[int, int] = {}
        """Number of a call (from 1) -> its errno."""
        self.calls: list[str] = []
        self._lock = threading.Lock()

    @property
    def refuses_writing(self) -> bool:
        """Whether a download would fail too."""
        return self.full or self.read_only or "write" in self.broken

    def make_folder(self, path: Path) -> None:
        self._note("make_folder", changes=not path.is_dir())
        super().make_folder(path)

    def listing(self, path: Path) -> list[Listed]:
        self._note("listing")
        return super().listing(path)

    def write(self, path: Path, data: bytes | memoryview) -> None:
        """Write as `Files` does; what fails leaves a partial file behind."""
        try:
            self._note("write", changes=True, grows=True)
        except OSError:
            if not self.read_only and path.parent.is_dir():
                path.write_bytes(data[: len(data) // 2])
            raise
        with path.open("xb") as file:
            file.write(data)

    def exists(self, path: Path) -> bool:
        self._note("exists")
        return super().exists(path)

    def rename(self, old: Path, new: Path) -> None:
        self._note("rename", changes=True)
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self._note("sync_folder")
        path.stat()

    def remove(self, path: Path) -> None:
        self._note("remove", changes=True)
        super().remove(path)

    def stamp(self, path: Path, modified_ns: int) -> None:
        self._note("stamp", changes=True)
        super().stamp(path, modified_ns)

    def free_bytes(self, path: Path) -> int:
        self._note("free_bytes")
        return 0 if self.full else 2**40

    def _note(self, name: str, *, changes: bool = False, grows: bool = False) -> None:
        with self._lock:
            self.calls.append(name)
            number = len(self.calls)
        code = self.fail_at.get(number) or self.broken.get(name)
        if code is None and self.read_only and changes:
            code = errno.EROFS
        if code is None and self.full and grows:
            code = errno.ENOSPC
        if code is not None:
            raise OSError(code, os.strerror(code))
