"""Reading `.env`: python-dotenv's grammar, nothing of it put into the process's environment."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from base.texts import Said, said
from settings.kinds import PREFIX, quoted

LARGEST_BYTES: Final = 1_000_000
NEAR: Final = 0.85
NEAR_WITH_ONE_END: Final = 0.8
SHORTEST_PREFIX: Final = 5
SHORTEST_OURS: Final = 10
OUR_PREFIXES: Final = (PREFIX, "ACESTEP_", "ACE_STEP_")
THEIRS: Final = frozenset({"ACESTEP_TMPDIR"})  # the server's own, though it looks like one of ours
NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")  # of any program's variable
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def read(path: Path, faults: list[Said]) -> dict[str, str]:
    """Return what `.env` at `path` holds; no file is an empty one, and the last of two equal names counts."""
    try:
        text = _text_of(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        unread = said("env.unreadable", reason=error, path=quoted(str(path)))
        faults.append(said("env.fault", file=path.name, reason=unread if isinstance(error, OSError) else error))
        return {}
    from dotenv.parser import parse_stream  # slow to import, and most people have no such file

    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        named = binding.key is None or NAME.fullmatch(binding.key)
        if binding.error or not named or (binding.key is not None and binding.value is None):
            # The line itself is not repeated: it may hold the key.
            line = binding.original.line + _leading_lines(binding.original.string)
            faults.append(said("env.line", file=path.name, line=line))
        elif binding.key is not None:
            found[binding.key] = binding.value or ""
    return found


def _leading_lines(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")


def _text_of(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe or a device may never end
        raise ValueError(said("env.no_file"))
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(said("env.too_large"))
    if content.startswith(UTF_16) or content[1:2] == b"\0" or content[:1] == b"\0":
        raise ValueError(said("env.utf16"))
    if b"\0" in content:
        raise ValueError(said("env.no_text"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(said("env.not_utf8")) from None


def misspelled(names: Iterable[str], known: Collection[str]) -> list[Said]:
    """Return a warning for every name of `.env` that looks like one of `known` but is none."""
    return [_warning(".env", name, near) for name in names if name not in known and (near := _near(name, known))]


def misspelled_variables(names: Iterable[str], known: Collection[str]) -> list[Said]:
    """Return the same for the environment, where most names are others': only those that are clearly meant for us."""
    ours = (name for name in names if name.upper().startswith(OUR_PREFIXES) or _is_typo(name, known))
    return [
        _warning(said("fault.environment"), name, near)
        for name in ours
        if name not in known and ((near := _near(name, known)) or name.startswith(PREFIX))
    ]


def _is_typo(name: str, known: Collection[str]) -> bool:
    if len(name) < SHORTEST_OURS or not any(one.startswith(name[:3].upper()) for one in known):
        return False
    import difflib  # slow to import, and rarely needed

    return bool(difflib.get_close_matches(name.upper(), known, 1, NEAR))


def _warning(where: Said | str, name: str, near: str) -> Said:
    if near:
        return said("env.near", where=where, name=quoted(name), near=near)
    return said("env.unknown", where=where, name=quoted(name))


def _near(name: str, known: Collection[str]) -> str:
    """Return the setting that `name` is likely meant to be, "" if none: a typo, a part of it, or another middle."""
    if name in THEIRS:
        return ""
    import difflib  # only for who has such a name

    upper, names = name.upper(), sorted(known)
    bare = upper.removeprefix(PREFIX)
    if close := difflib.get_close_matches(upper, names, 1, NEAR) or difflib.get_close_matches(bare, names, 1, NEAR):
        return close[0]
    first, last = upper.split("_")[0], upper.split("_")[-1]
    for one in names:
        part = one.startswith(upper) or one.endswith(f"_{upper}") or upper.startswith(f"{one}_")
        if part and len(upper) >= SHORTEST_PREFIX:
            return one
        if first != last and one.startswith(f"{first}_") and one.endswith(f"_{last}"):
            return one
    ends = [one for one in names if one.endswith(f"_{last}")]
    return next(iter(difflib.get_close_matches(upper, ends, 1, NEAR_WITH_ONE_END)), "")
