"""One program a folder: the lock that keeps a second one out of the spool."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shlex
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from disk import open_safely
from errors import SpoolBusy

log = logging.getLogger(__name__)

LOCK_FILE: Final = ".lock"


class FolderLock:
    """Keeps a second program out of a folder, for as long as this process lives.

    The kernel frees the lock when the process ends, however it ends; the file's text only names the owner.
    Threads: `take` may be called again while an earlier call waits for the disk, so `_lock` guards `_handle` in it;
    `renew` and `release` belong to whoever follows with the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._handle: int | None = None
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take the lock, unless we have it.

        Raises SpoolBusy when another process has it, or another user's file or a link is in its place; OSError when
        the file cannot be made.
        """
        with self._lock:
            if self._handle is None:
                self._handle = self._taken()

    def _taken(self) -> int:
        handle = self._opened()
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
        with suppress(OSError):  # the name of the owner is a courtesy; a full disk has no room for it
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle

    def _opened(self) -> int:
        """Open the file, which others may have put there where they can write to the folder."""
        try:
            handle = open_safely(self._path, os.O_RDWR | os.O_CREAT)
            if os.fstat(handle).st_nlink > 1:  # our process id would be written into a file of another name
                os.close(handle)
                raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
            return handle
        except PermissionError as error:
            try:
                owner = f"user {self._path.lstat().st_uid}" if self._path.lstat().st_uid else "root"
            except OSError:
                raise error from None  # it is the folder that takes no file
            raise SpoolBusy(
                f"the lock {self._path} belongs to {owner}: give the folder back to yourself"
                f' (sudo chown -R "$(id -u)" {shlex.quote(str(self._path.parent))}), or set SPOOL_DIR to another folder'
            ) from error
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EINVAL, errno.EMLINK, errno.ENXIO, errno.EISDIR):
                raise
            raise SpoolBusy(
                f"the lock {self._path} is no file of ours but a link, a pipe or a folder (or it has a second name):"
                " delete it, and let nobody else write to the folder"
            ) from error

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
