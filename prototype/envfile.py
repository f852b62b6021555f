"""Reading `.env`: python-dotenv's grammar, nothing of it put into the process's environment."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import Final

from parsing import quoted

LARGEST_BYTES: Final = 1_000_000
NEAR: Final = 0.85
SHORTEST_PREFIX: Final = 5


def read(path: Path, faults: list[str]) -> dict[str, str]:
    """Return what `.env` at `path` holds; no file is an empty one, and the last of two equal names counts."""
    try:
        text = _text_of(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        faults.append(f"{path.name}: cannot be read ({error.strerror}); make {quoted(str(path))} a readable file")
        return {}
    except ValueError as error:
        faults.append(f"{path.name}: {error}; make it from .env.example")
        return {}
    from dotenv.parser import parse_stream  # slow to import, and most people have no such file

    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            # The line itself is not repeated: it may hold the key.
            line = binding.original.line + _leading_lines(binding.original.string)
            faults.append(f"{path.name}, line {line}: cannot be understood; write NAME=value or # comment")
        elif binding.key is not None:
            found[binding.key] = binding.value or ""
    return found


def _leading_lines(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError("far too large for a file of settings")
    if b"\0" in content:
        raise ValueError("not a text file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None


def misspelled(names: Collection[str], known: Collection[str]) -> list[str]:
    """Return a warning for every name that looks like one of `known` but is none."""
    import difflib  # only for who has such a file

    warnings = []
    for name in names:
        if name in known:
            continue
        upper = name.upper()
        near = difflib.get_close_matches(upper, known, 1, NEAR)
        near += [
            k for k in known if len(upper) >= SHORTEST_PREFIX and (k.startswith(upper) or upper.startswith(k + "_"))
        ]
        if near:
            warnings.append(f".env: {quoted(name)} is no setting and was ignored; did you mean {near[0]}?")
    return warnings
