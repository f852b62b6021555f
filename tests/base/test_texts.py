"""Texts: complete in both languages, with the same fields, and told once."""

from __future__ import annotations

import ast
import logging
import re
import string
import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len

from base.errors import CorruptSegment
from base.journal import Plain
from base.notices import Notices
from base.texts import reason_of, said, text, texts, uncommanding
from doubles.simulated_time import FakeClock
from screen.printing import harmless
from screen.widgets import LABEL_CELLS, sentence
from server.faults import plain_text

ENGLISH, JAPANESE = texts("en"), texts("ja")
PROTOTYPE = Path(__file__).resolve().parents[2] / "prototype"


def fields_of(template: str) -> set[str]:
    """Return the fields of a template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_both_languages_have_the_same_texts() -> None:
    """Each text exists in both languages."""
    assert list(ENGLISH) == list(JAPANESE)


def test_both_languages_say_the_same() -> None:
    """Each text takes the same named fields in both."""
    assert [key for key in ENGLISH if fields_of(ENGLISH[key]) != fields_of(JAPANESE[key])] == []
    assert [key for key in ENGLISH if not all(name.isidentifier() for name in fields_of(ENGLISH[key]))] == []


@pytest.mark.parametrize("words", [ENGLISH, JAPANESE], ids=["en", "ja"])
def test_each_text_is_one_clean_line(words: dict[str, str]) -> None:
    """Not empty, without space around it, and without control characters."""
    assert [key for key, text in words.items() if not text.strip()] == []
    assert {key for key, text in words.items() if text.strip() != text} <= {"ui.comma"}
    assert [key for key, text in words.items() if any(unicodedata.category(char)[0] == "C" for char in text)] == []


COMMANDS = {
    "colour": "\x1b[31m|\x1b[0m",
    "colour of eight bits": "\x9b1;31m|\x9bm",
    "colour without an end": "|\x1b[38;5",
    "title": "\x1b]0;evil\x07|\x1b]2;evil\x1b\\",
    "title of eight bits": "\x9d0;evil\x9c|\x9d0;evil\x07",
    "link": "\x1b]8;;http://evil\x1b\\|\x1b]8;;\x1b\\",
    "device control": "\x1bP1$r0m\x1b\\|\x90q\x9c",
    "character set": "\x1b(B|\x1b)0",
    "reset": "\x1bc|\x1b=",
    "title without an end": "|\x1b]0;evil",
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_commands_a_terminal_goes_whole(kind: str) -> None:
    """Nothing of it is left, and nothing beside it goes: in lines, reasons, what a server says, and the log."""
    before, after = COMMANDS[kind].split("|")
    words = f"no {before}model{after}"
    record = logging.LogRecord("a", logging.INFO, "", 0, f"{words}\nnext line", None, None)
    assert (uncommanding(words), harmless(words), plain_text(words)) == ("no model", "no model", "no model")
    assert str(reason_of(OSError(words))) == "no model"
    assert Plain("%(message)s").format(record) == "no model\nnext line"


def test_letters_of_a_wrong_encoding_command_nothing() -> None:
    """UTF-8 read as Latin-1 has codes that begin a string of eight bits: what follows is not lost."""
    words = "“model” – not found".encode().decode("latin-1")
    assert uncommanding(words).endswith("not found")
    assert "model" in uncommanding(words)


def test_english_has_no_japanese_in_it() -> None:
    """The languages are not swapped."""
    assert [key for key, text in ENGLISH.items() if any(cell_len(char) != 1 for char in text)] == []


def test_notices_are_japanese_in_japanese() -> None:
    """A text in Japanese has Japanese letters where the English one has words."""
    has_words = [key for key, text in ENGLISH.items() if re.search("[a-z]", re.sub(r"\{[^}]*\}", "", text))]
    foreign = [key for key in has_words if not re.search("[ぁ-ヿ一-鿿]", JAPANESE[key])]
    assert [key for key in foreign if not key.startswith("ui.")] == []


def test_labels_fit_their_column() -> None:
    """A label leaves a gap before what it labels."""
    labels = [(key, words[key]) for words in (ENGLISH, JAPANESE) for key in words if key.startswith("ui.label.")]
    assert [key for key, label in labels if cell_len(label) >= LABEL_CELLS] == []
    assert labels


def all_said() -> list[tuple[str, str, set[str] | None]]:
    """Return every literal key that the program says: where, the key, and the fields given (None: not literal)."""
    found = []
    for path in PROTOTYPE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            keys = [word for word in literals if "." in word and " " not in word]
            if name not in ("say", "_say", "said", "text") or not keys:
                continue
            names = [keyword.arg for keyword in node.keywords]
            fields = None if None in names else {name for name in names if name is not None} - {"level", "done"}
            found.append((f"{path.stem}:{node.lineno}", keys[0], fields))
    return found


def test_everything_said_is_written_down() -> None:
    """No module says a key that has no text, or gives it other fields than the text takes."""
    wrong = [
        (where, key, fields)
        for where, key, fields in all_said()
        if key not in ENGLISH or (fields is not None and fields != fields_of(ENGLISH[key]))
    ]
    assert wrong == []
    assert len(all_said()) > 30


def test_a_notice_is_told_once_until_another_comes() -> None:
    """The same notice twice in a row is one notice; after another it is told again."""
    notices = Notices(FakeClock(7.0))
    notices.say("server.up", "good")
    notices.say("server.up", "good")
    notices.say("server.down", "warning", url="http://x")
    notices.say("server.down", "warning", url="http://y")
    notices.say("server.up", "good")
    told = notices.recent()
    assert [notice.key for notice in told] == ["server.up", "server.down", "server.down", "server.up"]
    assert told[1].args == (("url", "http://x"),)
    assert told[0].at == 7.0


def test_text_fills_in_fields_without_reading_them() -> None:
    """Braces in a value are not a template."""
    assert "{oops}" in text("ja", "server.down", url="{oops}")


@pytest.mark.parametrize(("count", "words"), [(0, "0 pieces"), (1, "1 piece"), (1234, "1,234 pieces")])
def test_one_is_singular(count: int, words: str) -> None:
    """A figure brings its own number of the noun."""
    assert text("en", "ui.made.produced", count=count) == words


REASONS = [key for key in ENGLISH if key.startswith(("corrupt.", "unmade."))]


@pytest.mark.parametrize("key", REASONS)
def test_a_reason_is_in_the_language_of_its_notice(key: str) -> None:
    """An error that a notice holds is told in the language that is shown, and logged in English."""
    reason = said(key, **dict.fromkeys(fields_of(ENGLISH[key]), 7))
    notices = Notices(FakeClock(7.0))
    for error in (CorruptSegment(reason), CorruptSegment(reason)):
        assert str(error) == str(reason) == text("en", key, **dict(reason.fields))
        notices.say("segment.rejected", reason=error)
    (notice,) = notices.recent()
    assert reason.words("ja") in sentence("ja", notice.key, notice.args)
    assert str(reason) not in sentence("ja", notice.key, notice.args)
    assert str(reason) in sentence("en", notice.key, notice.args)
