"""Settings that name files and folders: where they are, and whether they can be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parsing import Kind, quoted

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]


def place(text: str, base: Path = PROJECT_ROOT) -> Path:
    """Return an absolute path; a relative one is taken from `base`."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("names an unknown home folder") from None
    return Path(os.path.normpath(base / path))


def check_folder(path: Path) -> None:
    """Raise unless `path` is a folder we can write into, or could be made."""
    try:
        existing = path
        while not (existing.exists() or existing.is_symlink()) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise ValueError(f"{quoted(str(existing))} is not a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise ValueError(f"{quoted(str(existing))} cannot be written to")
    except OSError as error:
        raise ValueError(f"cannot be used ({error.strerror})") from None


def check_writable(path: Path) -> None:
    """Raise unless a file can be written at `path`; its folder must be there."""
    try:
        if path.is_dir():
            raise ValueError("is a folder, not a file")
        if not path.parent.is_dir():
            raise ValueError(f"the folder {quoted(str(path.parent))} does not exist")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ValueError("cannot be written to")
    except OSError as error:
        raise ValueError(f"cannot be used ({error.strerror})") from None


def check_readable(path: Path) -> None:
    """Raise unless `path` is a file we can read."""
    try:
        if not path.exists():
            raise ValueError("there is no such file")
        if not path.is_file():
            raise ValueError("is not a file")
        if not os.access(path, os.R_OK):
            raise ValueError("cannot be read")
    except OSError as error:
        raise ValueError(f"cannot be used ({error.strerror})") from None


def _from_here(text: str) -> Path:
    return place(text, Path.cwd())


def _if_set(check: Callable[[Path], None]) -> Callable[[Path | None], None]:
    return lambda path: None if path is None else check(path)


def _audio_output(text: str) -> str:
    head, colon, tail = text.partition(":")
    if text.lower() in ("auto", "none"):
        return text.lower()
    if head.lower() != "file" or not colon:
        raise ValueError("unknown")
    if not tail.strip():
        raise ValueError("names no file")
    return f"file:{place(tail.strip())}"


def _check_audio_output(text: str) -> None:
    if text.startswith("file:"):
        check_writable(Path(text.removeprefix("file:")))


FOLDER: Final = Kind("a folder that can be written to", "FOLDER", place, check_folder)
READABLE: Final[Kind[Path | None]] = Kind(
    "a file that can be read", "FILE", place, _if_set(check_readable), optional=True
)
WRITABLE: Final[Kind[Path | None]] = Kind(
    "a file in an existing folder that can be written to", "FILE", place, _if_set(check_writable), optional=True
)
AUDIO_OUTPUT: Final = Kind(
    "auto, none or file:PATH in an existing folder", "auto|none|file:PATH", _audio_output, _check_audio_output
)
GIVEN_FILE: Final = Kind("a file that can be read", "FILE", _from_here, check_readable)
RESULT_FILE: Final[Kind[Path | None]] = Kind(
    "a file in an existing folder that can be written to", "FILE", _from_here, _if_set(check_writable)
)
