"""Every sentence a person reads, in English and Japanese: `texts.en.toml` and `texts.ja.toml`, one file a language.

A text is a `str.format` template, named by its id; both languages of an id take the same fields. Singular and plural
stand in the format: `{count:piece|pieces}`. What others say (a server, a library, the system) is a field of a text of
ours, between 「 and 」 in Japanese. A language is read when its first sentence is needed: not before the first sound.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

LANGUAGES: Final = ("en", "ja")
LONGEST_PROMPT: Final = 511  # the limit of ACE-Step's text encoder
# What commands a terminal (ECMA-48, 8.3), whole: what would be left of it is no text. A string without its end goes to
# the end of its line, but where its begin may be a letter of a wrong encoding.
COMMANDS: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[\]PX^_][^\n\x1b]*"
    r"|\x1b[ -/]*[0-~]?"
)


@functools.cache
def texts(language: str) -> Mapping[str, str]:
    """Return all texts of a language by their ids."""
    import tomllib

    return dict(_flat(tomllib.loads(Path(__file__).with_name(f"texts.{language}.toml").read_text("utf-8"))))


class _Count(int):
    """A figure in a template; `{count:piece|pieces}` is "1 piece" or "2 pieces"."""

    def __format__(self, words: str) -> str:
        one, bar, many = words.partition("|")
        return f"{int(self):,} {one if self == 1 else many}" if bar else format(int(self), words)


class Said(NamedTuple):
    """A text in no language yet: what an error says, and a notice tells of it. `str()` is English."""

    key: str
    fields: tuple[tuple[str, object], ...]

    def __str__(self) -> str:
        return self.words("en")

    def words(self, language: str) -> str:
        """Return it in a language."""
        return text(language, self.key, **dict(self.fields))

    def edited(self, edit: Callable[[str], str]) -> Said:
        """Return it with every text among its fields changed."""

        def changed(value: object) -> object:
            return value.edited(edit) if isinstance(value, Said) else edit(value) if isinstance(value, str) else value

        return Said(self.key, tuple((name, changed(value)) for name, value in self.fields))


def said(key: str, **fields: object) -> Said:
    """Return the text of `key` with its fields, for whoever knows the language."""
    return Said(
        key, tuple((name, reason_of(one) if isinstance(one, Exception) else one) for name, one in fields.items())
    )


def reason_of(error: BaseException) -> Said:
    """Return what is told of an error: what we say in it, what its number means, or what others say, as a quote."""
    for words in error.args:
        if isinstance(words, Said):
            return words
    number = error.errno if isinstance(error, OSError) else None
    known = f"os.{errno.errorcode.get(number or 0)}"
    if known in texts("en"):
        return said(known)
    theirs = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return said("quote", words=visible(theirs or type(error).__name__))


def uncommanding(text: str) -> str:
    """Return a text without what commands a terminal; single control characters may be left."""
    return COMMANDS.sub("", text)


def visible(text: str) -> str:
    """Return one line in which nothing can command a terminal: what it would not print stands there as an escape."""
    return escaped(uncommanding(text))


def escaped(text: str) -> str:
    """Return the same of what a person has to mend, commands and all."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def text(language: str, key: str, **fields: object) -> str:
    """Return the text of `key` in `language` ("en" or "ja"), with its fields filled in."""
    return texts(language)[key].format(**{name: _spoken(language, value) for name, value in fields.items()})


def _spoken(language: str, value: object) -> object:
    if isinstance(value, Said):
        return value.words(language)
    return _Count(value) if type(value) is int else value


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield above + name, value
        else:
            yield from _flat(value, f"{above}{name}.")
