"""One program a folder: the lock that keeps a second one out of the spool."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from errors import SpoolBusy

log = logging.getLogger(__name__)

LOCK_FILE: Final = ".lock"


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
