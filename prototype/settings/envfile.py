"""Reading `.env`: python-dotenv's grammar, nothing of it put into the process's environment."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from base.texts import Said, said
from settings.kinds import PREFIX, quoted
from settings.options import Option

LARGEST_BYTES: Final = 1_000_000
NEAR: Final = 0.85
NEAR_WITH_ONE_END: Final = 0.8
SHORTEST_PREFIX: Final = 5
SHORTEST_OURS: Final = 10
OUR_PREFIXES: Final = (PREFIX, "ACESTEP_", "ACE_STEP_")
THEIRS: Final = frozenset({"ACESTEP_TMPDIR", "LANG"})  # the server's and the system's own, though they look like ours
NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")  # of any program's variable
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class Binding(NamedTuple):
    """What a line of `.env` says."""

    line: int
    name: str
    value: str


def read(path: Path, faults: list[Said]) -> list[Binding]:
    """Return what `.env` at `path` holds; no file is an empty one, and the last of two equal names counts."""
    try:
        text = _text_of(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        unread = said("env.unreadable", reason=error, path=quoted(str(path)))
        faults.append(said("env.fault", file=path.name, reason=unread if isinstance(error, OSError) else error))
        return []
    from dotenv.parser import parse_stream  # slow to import, and most people have no such file

    found: list[Binding] = []
    for binding in parse_stream(io.StringIO(text)):
        named = binding.key is None or NAME.fullmatch(binding.key)
        line = binding.original.line + re.split(r"\S", binding.original.string, maxsplit=1)[0].count("\n")
        if binding.error or not named or (binding.key is not None and binding.value is None):
            # The line itself is not repeated: it may hold the key.
            faults.append(said("env.line", file=path.name, line=line))
        elif binding.key is not None:
            found.append(Binding(line, binding.key, binding.value or ""))
    return found


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


def doubts(bindings: Iterable[Binding], file: str, options: Sequence[Option]) -> list[Said]:
    """Return a warning for every line of `.env` that does nothing though it looks meant for us, or undoes another."""
    names = {name: option.env for option in options if option.env for name in (option.env, option.variable)}
    told: list[Said] = []
    before: dict[str, Binding] = {}
    for one in bindings:
        where, setting = said("env.where", file=file, line=one.line), names.get(one.name) or ""
        if not setting:
            told += _warnings(where, one.name, options, names)
        elif (earlier := before.get(setting, one)).value != one.value:
            told.append(said("env.twice", where=where, name=setting, line=earlier.line))
        before[setting] = one
    return told


def misspelled_variables(variables: Iterable[str], options: Sequence[Option]) -> list[Said]:
    """Return the same for the environment, where most names are others': only those that are clearly meant for us."""
    known = {option.variable for option in options if option.env}
    others = [name for name in variables if name not in known]
    ours = [name for name in others if name.upper().startswith(OUR_PREFIXES) or _is_typo(name, known)]
    return [warning for name in ours for warning in _warnings(said("fault.environment"), name, options, known)]


def _is_typo(name: str, known: Collection[str]) -> bool:
    if len(name) < SHORTEST_OURS or not any(one.startswith(name[:3].upper()) for one in known):
        return False
    import difflib  # slow to import, and rarely needed

    return bool(difflib.get_close_matches(name.upper(), known, 1, NEAR))


def _warnings(where: Said, name: str, options: Iterable[Option], known: Collection[str]) -> list[Said]:
    if name in THEIRS:
        return []
    bare, told = name.upper().removeprefix(PREFIX).lower(), {"where": where, "name": quoted(name)}
    for option in options:
        flags = option.flags or ()
        if bare.strip("-").replace("-", "_") in (option.name, *(flag.strip("-").replace("-", "_") for flag in flags)):
            near = option.env if option.env in known else option.variable
            return [said("env.near", near=near, **told) if near else said("env.option", option=flags[0], **told)]
    if near := _near(name, known):
        return [said("env.near", near=near, **told)]
    return [said("env.unknown", **told)] if name.startswith(PREFIX) else []


def _near(name: str, known: Collection[str]) -> str:
    """Return the setting that `name` is likely meant to be, "" if none: a typo, a part of it, or another middle."""
    import difflib  # only for who has such a name

    upper, names = name.upper(), sorted(known)
    bare = upper.removeprefix(PREFIX)
    first, last = (bare.split("_")[end] for end in (0, -1))
    is_servers = f"{first}_" in OUR_PREFIXES  # which has many such names of its own

    def is_part(one: str) -> bool:
        whole = one.startswith(upper) or one.endswith(f"_{upper}") or upper.startswith(f"{one}_")
        ends = one.startswith(f"{first}_") and one.endswith(f"_{last}") and (not is_servers or one.count("_") > 1)
        return ends or (whole and len(upper) >= SHORTEST_PREFIX)

    found = (
        difflib.get_close_matches(upper, names, 1, NEAR)
        or difflib.get_close_matches(bare, names, 1, NEAR)
        or list(filter(is_part, names))
        or difflib.get_close_matches(upper, [one for one in names if one.endswith(f"_{last}")], 1, NEAR_WITH_ONE_END)
    )
    if not found and len(first) >= SHORTEST_PREFIX and not is_servers:
        found = difflib.get_close_matches(bare, [one for one in names if one.startswith(f"{first}_")], 1, 0)
    return "".join(found[:1])
