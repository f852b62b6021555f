"""From the text of one setting to its value: each `Kind` says what it accepts and parses exactly that.

Parsers raise ValueError with the reason alone, as it is `said` ("not a number"); who calls adds the setting's name, the
text given and what is accepted.
"""

from __future__ import annotations

import errno
import math
import os
import re
import unicodedata
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from base.texts import LONGEST_PROMPT, Said, escaped, said

T = TypeVar("T")
PREFIX: Final = "SAGYO_"  # before names in the environment that others use too
LONGEST_SHOWN: Final = 60
QUOTES: Final = "\"'"
LONGEST_LABEL: Final = 63  # RFC 1035
SHORTEST_PLAY_S: Final = 1.0
LONGEST_PLAY_S: Final = 7 * 24 * 3600.0
UNITS_S: Final = (3600.0, 60.0, 1.0)
_FIGURE: Final = r"\d+(?:\.\d+)?"
PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
SOUND_FORMATS: Final = ("flac", "opus", "ogg", "mp3", "wav")
VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
# What only a shell, another system or a browser would understand; as a name of a folder it is a mistake.
NOT_OURS: Final = (
    (re.compile(rf"[{QUOTES}“”‘’]|.*[\"”]$"), "value.quotation_mark"),
    (re.compile(r"[a-z]:[\\/]|\\\\", re.IGNORECASE), "value.foreign_path"),
    (re.compile(rf".*(\$[({{\w]|`|\\[\s()&{QUOTES}])"), "value.shell"),
    (re.compile(r".*%\w+%"), "value.foreign_variable"),
    (re.compile(r"[a-z]\w+://", re.IGNORECASE), "value.address_not_path"),
    (re.compile(r".*\s#\s"), "value.comment"),
)


class Kind(NamedTuple, Generic[T]):
    """One kind of setting.

    `accepts` completes "give …"; `parse` and `check` raise ValueError with the reason. Only `check` looks at
    the disk (and raises OSError too), so that values can be parsed anywhere and at any time.
    A text of a `secret` kind is never shown.
    """

    accepts: Said
    metavar: str
    parse: Callable[[str], T]
    check: Callable[[T], object] = lambda _value: None  # most need no look at the disk
    secret: bool = False


def shown(text: str) -> str:
    """Quote what a person gave, in one short line and without any credentials of a URL."""
    text = re.sub(r"(?s)(//.*\?).*", r"\1***", re.sub(r"(?s)//.*@", "//***@", text))
    return quoted(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")


def quoted(text: str) -> str:
    """Quote a text; control characters and stray bytes are escaped, Japanese is left alone."""
    return f'"{escaped(text)}"'


def unquoted(text: str) -> str:
    """Take away the quotes around a text: a shell does, but what reads `docker --env-file` leaves them."""
    bare = text.strip()
    pair = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in QUOTES
    return bare[1:-1].strip() if pair and bare[0] not in bare[1:-1] else bare


def number(low: float, high: float) -> Kind[float]:
    """A finite number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text.replace("_", "?"))
        except ValueError:
            raise ValueError(said("value.not_number")) from None
        return _within(value, low, high)

    return Kind(said("accepts.number", least=f"{low:.10g}", most=f"{high:.10g}"), "N", parse)


def whole(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        value = number(low, high).parse(text)
        if not value.is_integer():
            raise ValueError(said("value.not_whole"))
        return int(value)

    return Kind(said("accepts.whole", least=low, most=high), "N", parse)


def _within(value: float, low: float, high: float) -> float:
    if not math.isfinite(value):
        raise ValueError(said("value.not_finite"))
    if value < low:
        raise ValueError(said("value.too_small"))
    if value > high:
        raise ValueError(said("value.too_large"))
    return value


def choice(*words: str) -> Kind[str]:
    """One of `words`, in upper or lower case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(said("value.unknown"))
        return text.lower()

    return Kind(said("accepts.choice", names=", ".join(words[:-1]), last=words[-1]), "|".join(words), parse)


def _yes_no(text: str) -> bool:
    word = text.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError(said("value.not_yes_no"))


YES_NO: Final = Kind(said("accepts.yes_no"), "", _yes_no)


def _clean(text: str, longest: int) -> str:
    """Return `text` in one line; runs of white space become one space."""
    line = " ".join(text.split())
    if len(line) > longest:
        raise ValueError(said("value.too_long"))
    if any(unicodedata.category(letter) == "Cc" for letter in line):
        raise ValueError(said("value.control_characters"))
    return line


def words(longest: int, what: Said, metavar: str) -> Kind[str]:
    """A text of one line, at most `longest` characters; who calls has seen that there are some, in UTF-8."""
    return Kind(said("accepts.words", what=what, longest=longest), metavar, lambda text: _clean(text, longest))


PROMPT: Final = words(LONGEST_PROMPT, said("accepts.text"), "TEXT")
COMMAND: Final = words(LONGEST_PROMPT, said("accepts.command"), "COMMAND")


def _key(text: str) -> str:
    # http.client sends a header as latin-1 and refuses line breaks in it; it would fail at every call.
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(said("value.not_in_header"))
    return text


API_KEY: Final = Kind(said("accepts.key"), "KEY", _key, secret=True)


def _url(text: str) -> str:
    if any(letter.isspace() or letter < " " or letter == "\x7f" for letter in text):
        raise ValueError(said("value.white_space"))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(said("value.port" if "ort" in str(error) else "value.malformed")) from None
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise ValueError(said("value.not_http"))
    if "@" in parts.netloc:
        raise ValueError(said("value.credentials"))
    if parts.query or parts.fragment:
        raise ValueError(said("value.query"))
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(said("value.port"))
    _check_host(parts)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _check_host(parts: SplitResult) -> None:
    host = parts.hostname or ""
    try:
        if parts.netloc.startswith("["):
            IPv6Address(host)
            return
        plain = (host if host.isascii() else host.encode("idna").decode()).removesuffix(".")
    except ValueError:
        raise ValueError(said("value.host")) from None
    labels = plain.split(".")
    if not all(map(_is_label, labels)):
        raise ValueError(said("value.host"))
    if labels[-1].isdigit() and not (len(labels) == 4 and all(part.isdigit() and int(part) < 256 for part in labels)):
        raise ValueError(said("value.address"))


def _is_label(text: str) -> bool:
    """Whether `text` can be a part of a host name: ASCII letters, digits, "_", and "-" but at its ends."""
    bare = text.replace("-", "_")
    return 0 < len(text) <= LONGEST_LABEL and f"_{bare}".isidentifier() and not {text[0], text[-1]} & {"-"}


def _urls(text: str) -> str:
    urls = [_url(part.strip()) for part in text.split(",")]
    if len(set(urls)) < len(urls):
        raise ValueError(said("value.twice"))
    return ",".join(urls)


URL: Final = Kind(said("accepts.url"), "URL", _urls)


def _duration_s(text: str) -> float:
    text = f"{text}m" if re.fullmatch(_FIGURE, text) else text.lower().replace(" ", "")
    match = re.fullmatch(rf"(?:({_FIGURE})h)?(?:({_FIGURE})m)?(?:({_FIGURE})s)?", text)
    if not text or not match:
        raise ValueError(said("value.not_duration"))
    seconds = sum(float(part) * unit_s for part, unit_s in zip(match.groups("0"), UNITS_S, strict=True))
    return _within(seconds, SHORTEST_PLAY_S, LONGEST_PLAY_S)


def _pomodoro_s(text: str) -> tuple[float, float]:
    work, slash, rest = text.partition("/")
    if not slash:
        raise ValueError(said("value.not_pomodoro"))
    return _duration_s(work.strip()), _duration_s(rest.strip())


DURATION: Final[Kind[float | None]] = Kind(said("accepts.duration"), "TIME", _duration_s)
POMODORO: Final[Kind[tuple[float, float] | None]] = Kind(said("accepts.pomodoro"), "WORK/BREAK", _pomodoro_s)


def place(text: str, base: Path = PROJECT_ROOT) -> Path:
    """Return an absolute path; a relative one is taken from `base`.

    `~` and variables are expanded, as a shell does not do it in `.env` or `docker --env-file`.
    """
    if "\0" in text:
        raise ValueError(said("value.nul"))
    bare = unquoted(text)
    if any(unicodedata.category(letter) == "Cc" for letter in bare):
        raise ValueError(said("value.control_characters"))
    for pattern, key in NOT_OURS:
        if pattern.match(VARIABLE.sub("x", bare)):
            raise ValueError(said(key))
    try:
        path = Path(VARIABLE.sub(_variable, bare)).expanduser()
    except RuntimeError:
        raise ValueError(said("value.home")) from None
    return Path(os.path.normpath(base / path))


def _variable(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if not (value := os.environ.get(name)):
        raise ValueError(said("value.variable", name=name))
    return value


def _exists(path: Path) -> bool:
    """Return whether there is anything, links followed. Raises OSError, which pathlib keeps to itself since 3.14."""
    try:
        return path.exists() or bool(path.stat())
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return False


def _existing(path: Path) -> Path:
    """Return what there is of the way to `path`. Raises ValueError where that is no folder."""
    existing = path
    while not (_exists(existing) or existing.is_symlink()) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(said("value.not_folder", path=quoted(str(existing))))
    return existing


def check_folder(path: Path) -> None:
    """Raise unless `path` is a folder we can write into, or could be made."""
    existing = _existing(path)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(said("value.folder_not_writable", path=quoted(str(existing))))


def check_writable(path: Path) -> None:
    """Raise unless a file can be written at `path`; its folder must be there."""
    exists = _exists(path)
    if path.is_dir():
        raise ValueError(said("value.is_folder"))
    if not path.parent.is_dir():
        raise ValueError(said("value.no_folder", path=quoted(str(path.parent))))
    if not os.access(path if exists else path.parent, os.W_OK):
        raise ValueError(said("value.not_writable"))


def check_result(path: Path) -> None:
    """Raise unless a file can be written at `path` or put in its place."""
    check_writable(path)
    if path.is_file():
        check_folder(path.resolve().parent)


def check_plain(path: Path) -> None:
    """Raise unless `path` is, or can become, a regular file we can write; "nowhere" (/dev/null) will do."""
    check_writable(path)
    if path.exists() and not path.is_file() and str(path) != os.devnull:
        raise ValueError(said("value.is_device"))


def check_recording(path: Path) -> None:
    """Raise unless `path` is, or can become, a regular file we can write, or is a FIFO."""
    if not path.is_fifo():
        check_plain(path)
        if path.suffix and path.suffix.lower()[1:] not in SOUND_FORMATS:
            raise ValueError(said("value.no_sound", suffix=path.suffix))
    elif not os.access(path, os.W_OK):
        raise ValueError(said("value.not_writable"))


def check_readable(path: Path) -> None:
    """Raise unless `path` is a file we can read."""
    if not _exists(path):
        raise ValueError(said("value.no_file", folder=quoted(str(path.parent))))
    if not path.is_file():
        raise ValueError(said("value.not_file"))
    if not os.access(path, os.R_OK):
        raise ValueError(said("value.not_readable"))


def check_soundfont(path: Path) -> None:
    """Raise unless `path` is a whole SoundFont: RIFF of the form "sfbk" (SoundFont 2.04, section 4), as SF3 is too."""
    check_readable(path)
    with path.open("rb") as file:
        head, size = file.read(12), path.stat().st_size
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise ValueError(said("value.not_soundfont"))
    if int.from_bytes(head[4:8], "little") + 8 > size:
        raise ValueError(said("value.cut_soundfont"))


def _from_here(text: str) -> Path:
    """Return where a file of the command line is; one that is there may have any name."""
    literal = Path.cwd() / text.replace("\0", "")
    return literal if os.path.lexists(literal) else place(text, Path.cwd())


def _audio_output(text: str) -> str:
    head, colon, tail = text.partition(":")
    if text.lower() in ("auto", "none"):
        return text.lower()
    if head.lower() != "file" or not colon:
        raise ValueError(said("value.unknown"))
    if not tail.strip():
        raise ValueError(said("value.names_no_file"))
    return f"file:{place(tail.strip())}"


def _check_audio_output(text: str) -> None:
    if text.startswith("file:"):
        check_recording(Path(text.removeprefix("file:")))


FOLDER: Final = Kind(said("accepts.folder"), "FOLDER", place, check_folder)
READ_FOLDER: Final = FOLDER._replace(check=_existing)
ANY_FOLDER: Final = Kind(said("accepts.any_folder"), "FOLDER", place)
READABLE: Final = Kind(said("accepts.readable"), "FILE", place, check_readable)
SOUNDFONT: Final = Kind(said("accepts.soundfont"), "FILE", place, check_soundfont)
LOG: Final = Kind(said("accepts.file"), "FILE", place, check_plain)
AUDIO_OUTPUT: Final = Kind(
    said("accepts.audio_output", names=", ".join(SOUND_FORMATS[:-1]), last=SOUND_FORMATS[-1]),
    "auto|none|file:PATH",
    _audio_output,
    _check_audio_output,
)
GIVEN_FILE: Final = Kind(said("accepts.readable"), "FILE", _from_here, check_readable)
RESULT_FOLDER: Final = Kind(said("accepts.folder"), "FOLDER", _from_here, check_folder)
RESULT_FILE: Final = Kind(said("accepts.file"), "FILE", _from_here, check_result)
