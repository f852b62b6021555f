"""Settings that name files and folders: where they are, and whether they can be used."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from parsing import QUOTES, Kind, quoted, unquoted

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
# What only a shell, another system or a browser would understand; as a name of a folder it is a mistake.
NOT_OURS: Final = (
    (re.compile(rf"[{QUOTES}“”‘’]|.*[\"”]$"), "has a quotation mark at one end"),
    (re.compile(r".*(\$[({\w]|`)"), "holds what only a shell can work out"),
    (re.compile(r".*%\w+%"), "holds a variable of another system"),
    (re.compile(r"[a-z]\w+://", re.IGNORECASE), "is an address, not a path"),
    (re.compile(r".*\s#\s"), "has a comment behind it"),
)


def place(text: str, base: Path = PROJECT_ROOT) -> Path:
    """Return an absolute path; a relative one is taken from `base`.

    `~` and variables are expanded, as a shell does not do it in `.env` or `docker --env-file`.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character")
    bare = unquoted(text)
    for pattern, reason in NOT_OURS:
        if pattern.match(VARIABLE.sub("x", bare)):
            raise ValueError(reason)
    try:
        path = Path(VARIABLE.sub(_variable, bare)).expanduser()
    except RuntimeError:
        raise ValueError("names an unknown home folder") from None
    return Path(os.path.normpath(base / path))


def _variable(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if not (value := os.environ.get(name)):
        raise ValueError(f"names a variable that is not set ({name})")
    return value


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


def check_plain(path: Path) -> None:
    """Raise unless `path` is, or can become, a regular file we can write; "nowhere" (/dev/null) will do."""
    check_writable(path)
    if path.exists() and not path.is_file() and str(path) != os.devnull:
        raise ValueError("is a device, a pipe or a socket: name a file")


def check_recording(path: Path) -> None:
    """Raise unless `path` is, or can become, a regular file we can write, or is a FIFO."""
    if not path.is_fifo():
        check_plain(path)
    elif not os.access(path, os.W_OK):
        raise ValueError("cannot be written to")


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


def check_soundfont(path: Path) -> None:
    """Raise unless `path` is a whole SoundFont: RIFF of the form "sfbk" (SoundFont 2.04, section 4), as SF3 is too."""
    check_readable(path)
    try:
        with path.open("rb") as file:
            head, size = file.read(12), path.stat().st_size
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise ValueError("is not a SoundFont")
    if int.from_bytes(head[4:8], "little") + 8 > size:
        raise ValueError("is a SoundFont that was cut short: copy or download it again")


def _from_here(text: str) -> Path:
    """Return where a file of the command line is; one that is there may have any name."""
    literal = Path.cwd() / text.replace("\0", "")
    return literal if os.path.lexists(literal) else place(text, Path.cwd())


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
        check_recording(Path(text.removeprefix("file:")))


FOLDER: Final = Kind("a folder that can be written to", "FOLDER", place, check_folder)
ANY_FOLDER: Final = Kind("a folder", "FOLDER", place)
READABLE: Final = Kind("a file that can be read", "FILE", place, check_readable)
SOUNDFONT: Final = Kind("a SoundFont (SF2 or SF3) of General MIDI instruments", "FILE", place, check_soundfont)
LOG: Final = Kind("a file in an existing folder that can be written to", "FILE", place, check_plain)
AUDIO_OUTPUT: Final = Kind(
    "auto, none or file:PATH in an existing folder", "auto|none|file:PATH", _audio_output, _check_audio_output
)
GIVEN_FILE: Final = Kind("a file that can be read", "FILE", _from_here, check_readable)
RESULT_FILE: Final = Kind("a file in an existing folder that can be written to", "FILE", _from_here, check_writable)
