"""The spool's folders on the disk: saving, moving and removing whole files, each so that a kill loses nothing.

`Files` are the few things the spool asks of a disk, in one place, so that a test can let any of them fail; `FolderLock`
keeps a second program out. No index and no policy here; a method either did what it says or raises OSError.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar

from base.errors import SpoolBusy
from base.files import locked, open_safely
from base.notices import Notices
from base.texts import said

log = logging.getLogger(__name__)

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN: Final = frozenset({errno.EPERM, errno.EACCES})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
OWN: Final = FORBIDDEN | {errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EMLINK, errno.EILSEQ, None}  # a file's trouble
READY: Final = "ready"
PLAYED: Final = "played"
KEPT: Final = "kept"
SHELVES: Final = (READY, PLAYED, KEPT)
DISLIKED: Final = "disliked"  # set aside: what is ours is deleted when the dislike cannot be taken back any more
# What people take for music: what of it cannot be decoded is told when its turn comes.
AUDIO_SUFFIXES: Final = frozenset(
    {".wav", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus", ".spx", ".aif", ".aiff", ".aifc", ".caf", ".au", ".w64"}
    | {".m4a", ".m4b", ".mp4", ".aac", ".wma", ".ape", ".wv", ".mka", ".webm"}
)
LOCK_FILE: Final = ".lock"

INCOMING: Final = "incoming"
PART: Final = "part-"  # what begins so in incoming/ is ours to delete
RETRY_S: Final = 10.0
ROOM_BYTES: Final = 32 * 2**20  # a download of a minute as float WAV takes 23 MB

Params = ParamSpec("Params")
Place = TypeVar("Place", Path, Path | None)


def numbered(name: str, number: int) -> str:
    """Return the first, second, third … choice of a name: `a.wav`, `a-2.wav`, `a-3.wav`."""
    path = Path(name)
    return name if number == 1 else f"{path.stem}-{number}{path.suffix}"


def free_path(folder: Path, name: str, exists: Callable[[Path], bool] = os.path.lexists) -> Path:
    """Return the path of the first choice of a name that is free: a rename would silently replace a file."""
    paths = (folder / numbered(name, number) for number in itertools.count(1))
    return next(path for path in paths if not exists(path))


def is_of_disk(error: OSError, path: Path) -> bool:
    """Return whether a file could not be read for no reason of its own: its disk ails, or has been taken away."""
    gone = error.errno in GONE and os.path.isdir(shelf_of(path))  # noqa: PTH112 - Path's raises where a disk ails
    return not gone and error.errno not in OWN


def shelf_of(path: Path) -> Path:
    """Return the folder of the shelf on which a file lies: in kept/ there may be others between."""
    return next((one for one in path.parents if one.name in (*SHELVES, DISLIKED)), path.parent)


def disk_of(folder: Path) -> Path:
    """Return where the disk of a folder is mounted: its number may be another when it is back."""
    place = Path(os.path.realpath(folder))
    return next(one for one in (place, *place.parents) if os.path.ismount(one))


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
        """Return the regular files in `path` (no links, no hidden ones), of kept/ those in its folders too, by name."""
        return sorted(self.each(path), key=lambda listed: listed.name)

    def each(self, path: Path, below: str = "", *, albums: bool = True) -> Iterator[Listed]:
        """Yield the same one by one, in no order: those `below` a folder in it; folders of kept/ only with `albums`."""
        with os.scandir(path / below) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.name.startswith(".") or entry.name in (*SHELVES, DISLIKED):
                    continue
                if entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # a sync client has just taken it away
                        status = entry.stat()
                        yield Listed(name, status.st_size, status.st_mtime_ns)
                elif albums and path.name == KEPT and entry.is_dir(follow_symlinks=False):
                    with suppress(OSError):  # one that cannot be read hides no other
                        yield from self.each(path, f"{name}/")

    def write(self, path: Path, data: bytes | memoryview) -> None:
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


class FolderLock:
    """Keeps a second program out of a folder, for as long as this process lives.

    The kernel frees the lock when the process ends, however it ends; the file's text only names the owner.
    Threads: any may `renew`, and `take` may be called again while an earlier call waits for the disk, so `_lock` guards
    `_handle` in them; `release` belongs to whoever follows with the disk.
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
        if locked(handle, f"{os.getpid()}\n"):
            return handle
        owner, folder = os.read(handle, 32).decode("ascii", "replace").strip(), self._path.parent
        os.close(handle)
        if owner.isdigit():
            raise SpoolBusy(said("spool.taken", number=owner, folder=folder))
        raise SpoolBusy(said("spool.taken_by_another", folder=folder))

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
                uid = self._path.lstat().st_uid
            except OSError:
                raise error from None  # it is the folder that takes no file
            owner, folder = said("spool.user", number=str(uid)) if uid else "root", shlex.quote(str(self._path.parent))
            raise SpoolBusy(said("spool.foreign_lock", path=self._path, owner=owner, folder=folder)) from error
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EINVAL, errno.EMLINK, errno.ENXIO, errno.EISDIR):
                raise
            raise SpoolBusy(said("spool.no_lock", path=self._path)) from error

    def renew(self) -> None:
        """Take the lock again where its file was deleted under us. Raises as `take` does."""
        with self._lock:
            try:
                ours = self._handle is not None and os.path.samestat(os.fstat(self._handle), self._path.stat())
            except FileNotFoundError:
                ours = False
            if not ours:
                self.release()
                self._handle = self._taken()

    def release(self) -> None:
        """Give the lock back; the file stays, as deleting it would let two programs lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Storage:
    """The folders `incoming/`, `ready/`, `played/` and `kept/` under one root, on the disk where they were opened.

    Threads: any, once `open` has returned; two may not move the same file at once (the spool's turn sees to that).
    `_lock` guards `_temporary`.
    """

    def __init__(self, root: Path, files: Files, notices: Notices, lock: FolderLock | None = None) -> None:
        self.root = root
        self.files = files
        self._notices = notices
        self._folder_lock = lock or FolderLock(root)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._temporary: Path | None = None
        self._disk: Path | None = None

    def open(self) -> None:
        """Make the folders, lock them, and delete what a killed program left half done. Raises SpoolBusy."""
        self._make_folders()
        self._folder_lock.take()
        self._disk = disk_of(self.root)
        for listed in self.files.listing(self.root / INCOMING):
            if listed.name.startswith(PART):
                tried(self.files.remove, self.root / INCOMING / listed.name)

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
        if not self.files.exists(folder):
            self._remake()
        return folder / self._part_name(suffix)

    def temporary_path(self, suffix: str) -> Path:
        """Return a fresh path in the machine's temporary folder."""
        with self._lock:
            if self._temporary is None or not self._temporary.is_dir():
                self._temporary = Path(tempfile.mkdtemp(prefix="spool-"))
            return self._temporary / self._part_name(suffix)

    def save(self, data: bytes | memoryview, shelf: str, name: str) -> Path:
        """Write a file and return its path: it appears on the shelf complete, under a name not taken before."""
        return self._again_if_gone(lambda: self._written(data, shelf, name))

    def move(self, path: Path, shelf: str) -> Path | None:
        """Move a file to a shelf and return its new path; None when the file is gone, and not its folder with it."""
        if shelf_of(path).name == shelf:
            return None if self._is_gone(path) else path

        def moved() -> Path | None:
            try:
                return self._placed(path, shelf, path.name)
            except OSError as error:
                if error.errno in GONE and self._is_gone(path):
                    return None
                raise

        return self._again_if_gone(moved)

    def _is_gone(self, path: Path) -> bool:
        try:
            return not self.files.exists(path) and shelf_of(path).is_dir()
        except OSError:  # nobody knows
            return False

    def _again_if_gone(self, work: Callable[[], Place]) -> Place:
        """Do it; once more with folders made anew where they are gone."""
        try:
            return work()
        except OSError as error:
            if error.errno not in GONE:
                raise
        self._remake()
        return work()

    def _written(self, data: bytes | memoryview, shelf: str, name: str) -> Path:
        part = self.root / INCOMING / self._part_name(".wav")
        try:
            self.files.write(part, data)
            return self._placed(part, shelf, name)
        except OSError:
            with suppress(OSError):
                self.files.remove(part)
            raise

    def _placed(self, path: Path, shelf: str, name: str) -> Path:
        target = free_path(self.root / shelf, name, self.files.exists)
        self.files.rename(path, target)
        try:
            self.files.sync_folder(target.parent)
        except OSError as error:  # the file is in its place all the same
            log.warning("cannot sync %s: %s", target.parent, error)
        return target

    def _make_folders(self) -> None:
        for name in (INCOMING, *SHELVES, DISLIKED):
            self.files.make_folder(self.root / name)

    def _remake(self) -> None:
        """Make folders anew that somebody deleted while we play, and lock them again.

        Where their disk was taken away nothing is made: it would be hidden when the disk is back. Raises OSError.
        """
        if self._disk not in (None, disk_of(self.root)):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(self.root))
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
            self._notices.say(key, "warning", reason=error, folder=str(self._root))

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
