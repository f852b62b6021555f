"""From the text of one setting to its value: each `Kind` says what it accepts and parses exactly that.

Parsers raise ValueError with the reason alone ("not a number"); who calls adds the setting's name, the
text given and what is accepted.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")

PREFIX: Final = "SAGYO_"  # before names in the environment that others use too
LONGEST_SHOWN: Final = 60
LONGEST_PROMPT: Final = 511  # the limit of ACE-Step's text encoder
QUOTES: Final = "\"'"
LONGEST_LABEL: Final = 63  # RFC 1035
SHORTEST_PLAY_S: Final = 1.0
LONGEST_PLAY_S: Final = 7 * 24 * 3600.0
UNIT_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 60.0}


def _unchecked(_value: object) -> None:
    """Most values need no look at the disk."""


class Kind(NamedTuple, Generic[T]):
    """One kind of setting.

    `accepts` completes "give …"; `parse` and `check` raise ValueError with the reason. Only `check` looks at
    the disk, so that values can be parsed anywhere and at any time.
    A text of a `secret` kind is never shown.
    """

    accepts: str
    metavar: str
    parse: Callable[[str], T]
    check: Callable[[T], None] = _unchecked
    secret: bool = False


def shown(text: str) -> str:
    """Quote what a person gave, in one short line and without any credentials of a URL."""
    text = re.sub(r"(?s)(//.*\?).*", r"\1***", re.sub(r"(?s)//.*@", "//***@", text))
    size = len(text)
    if size > LONGEST_SHOWN:
        return f"{quoted(text[:LONGEST_SHOWN])}… ({size} characters)"
    return quoted(text)


def quoted(text: str) -> str:
    """Quote a text; control characters and stray bytes are escaped, Japanese is left alone."""
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) + '"'


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
            raise ValueError("not a number") from None
        return _within(value, low, high)

    return Kind(f"a number from {low:.10g} to {high:.10g}", "N", parse)


def whole(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        value = number(low, high).parse(text)
        if not value.is_integer():
            raise ValueError("not a whole number")
        return int(value)

    return Kind(f"a whole number from {low} to {high}", "N", parse)


def _within(value: float, low: float, high: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value < low:
        raise ValueError("too small")
    if value > high:
        raise ValueError("too large")
    return value


def choice(*words: str) -> Kind[str]:
    """One of `words`, in upper or lower case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("unknown")
        return text.lower()

    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", "|".join(words), parse)


def _yes_no(text: str) -> bool:
    word = text.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("neither true nor false")


YES_NO: Final = Kind("true or false", "", _yes_no)


def _clean(text: str, longest: int) -> str:
    """Return `text` in one line; runs of white space become one space."""
    line = " ".join(text.split())
    if not line:
        raise ValueError("empty")
    if len(line) > longest:
        raise ValueError("too long")
    if any(unicodedata.category(letter) == "Cs" for letter in line):
        raise ValueError("not UTF-8 text")
    if any(unicodedata.category(letter) == "Cc" for letter in line):
        raise ValueError("holds control characters")
    return line


def words(longest: int, accepts: str, metavar: str) -> Kind[str]:
    """A text of one line, 1 to `longest` characters."""
    return Kind(f"{accepts} of 1 to {longest} characters", metavar, lambda text: _clean(text, longest))


def _key(text: str) -> str:
    # http.client sends a header as latin-1 and refuses line breaks in it; it would fail at every call.
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("holds characters that cannot stand in an HTTP header")
    return text


API_KEY: Final = Kind("the key that the server was started with (ASCII, no spaces)", "KEY", _key, secret=True)


def _url(text: str) -> str:
    if any(letter.isspace() or letter < " " or letter == "\x7f" for letter in text):
        raise ValueError("holds white space")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError("its port is no number from 1 to 65535" if "ort" in str(error) else "malformed") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise ValueError("does not begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into it (the key is ACESTEP_API_KEY)")
    if parts.query or parts.fragment:
        raise ValueError("ends in a ? or # part")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("its port is no number from 1 to 65535")
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
        raise ValueError("its host name is malformed") from None
    labels = plain.split(".")
    if not all(map(_is_label, labels)):
        raise ValueError("its host name is malformed")
    if labels[-1].isdigit() and not (len(labels) == 4 and all(part.isdigit() and int(part) < 256 for part in labels)):
        raise ValueError("its address is malformed")


def _is_label(text: str) -> bool:
    """Whether `text` can be a part of a host name: ASCII letters, digits, "_", and "-" but at its ends."""
    bare = text.replace("-", "_")
    return 0 < len(text) <= LONGEST_LABEL and f"_{bare}".isidentifier() and not {text[0], text[-1]} & {"-"}


URL: Final = Kind("the server's address, such as http://127.0.0.1:8001", "URL", _url)


def _duration_s(text: str) -> float:
    match = re.fullmatch(
        r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.lower().replace(" ", "")
    )
    plain = re.fullmatch(r"\d+(?:\.\d+)?", text)
    if plain:
        seconds = float(text) * UNIT_S[""]
    elif match and any(match.groups()):
        seconds = sum(float(part) * UNIT_S[unit] for part, unit in zip(match.groups(), "hms", strict=True) if part)
    else:
        raise ValueError("not a duration")
    return _within(seconds, SHORTEST_PLAY_S, LONGEST_PLAY_S)


def _pomodoro_s(text: str) -> tuple[float, float]:
    work, slash, rest = text.partition("/")
    if not slash:
        raise ValueError("not WORK/BREAK")
    return _duration_s(work.strip()), _duration_s(rest.strip())


DURATION: Final[Kind[float | None]] = Kind(
    "a duration from 1s to 168h such as 50m, 1h30m or 90s (a plain number is minutes)", "TIME", _duration_s
)
POMODORO: Final[Kind[tuple[float, float] | None]] = Kind(
    "WORK/BREAK in minutes or with units, such as 25/5 or 50m/10m", "WORK/BREAK", _pomodoro_s
)
