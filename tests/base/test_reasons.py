"""What errors say is in the language of who reads it: only what others say stands as it is, as a quote."""

from __future__ import annotations

import ast
import errno
import os
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import soundfile as sf

import app
import config
from base import errors, texts
from base.errors import AppError, ServerTrouble
from base.texts import Said, reason_of, said
from output.vlc_library import LibVlc
from screen.widgets import sentence

ENGLISH, JAPANESE = texts.texts("en"), texts.texts("ja")
PROTOTYPE = Path(__file__).resolve().parents[2] / "prototype"
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PROTOTYPE.rglob("*.py"))}

THEIRS = "words"
"""The field of what others say; all others hold names, figures, addresses, or another text of ours: these."""
NESTED = {
    "accepted", "answer", "crossfade", "failure", "fault", "install", "lacking", "ours", "owner", "place", "proxy",
    "reason", "refusal", "sentence", "theirs", "variable", "way_out", "what", "where", "who",
}  # fmt: skip
NEVER_ENGLISH = re.compile(
    r"「[^」]*」|`[^`]*`"  # quotes
    r"|\b(?:sudo|brew|git|curl|pactl|lsof|make|chown) [!-~ ]+"  # commands
    r"|--?[a-z_-]+ [!-~]+"  # options
    r"|caption \+ instrument \+ texture"  # names of fields
)
ENGLISH_WORDS = re.compile(r"\b[a-z][a-z']+(?:[ ,;:]+[a-z][a-z']*){2,}\b")


def english_in(words: str) -> str:
    """Return the first run of three English words that is no quote and no command."""
    found = ENGLISH_WORDS.search(NEVER_ENGLISH.sub("…", words))
    return found[0] if found else ""


def fields_of(key: str) -> set[str]:
    """Return the fields of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(ENGLISH[key]) if name is not None}


def sample(key: str, **given: object) -> Said:
    """Return a text with what its fields can hold."""
    fields: dict[str, object] = dict.fromkeys(fields_of(key), "X9")
    fields |= dict.fromkeys(NESTED & fields.keys(), said("os.ENOSPC"))
    if THEIRS in fields:
        fields[THEIRS] = "what somebody else says"
    return said(key, **{**fields, **given})


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of what has one of these names, and where it stands."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in names:
                    yield f"{path.relative_to(PROTOTYPE)}:{node.lineno}", node


def error_classes() -> set[str]:
    """Return the names of all errors that are raised on purpose, wherever they are defined."""
    bases = {
        node.name: {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"AppError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def is_own_sentence(node: ast.expr) -> bool:
    """Return whether an expression is a sentence written where it stands, or a foreign one that is made one of ours."""
    if isinstance(node, ast.List | ast.Tuple):
        return any(map(is_own_sentence, node.elts))
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return is_own_sentence(node.elt)
    if isinstance(node, ast.IfExp):
        return is_own_sentence(node.body) or is_own_sentence(node.orelse)
    if isinstance(node, ast.BoolOp):
        return any(map(is_own_sentence, node.values))
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", getattr(node.func, "attr", "")) in ("str", "repr", "format", "join", "text")
    return isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) or (
        isinstance(node, ast.Attribute) and node.attr == "strerror"
    )


def raised() -> Iterator[tuple[str, str, list[ast.expr]]]:
    """Yield what each error that a person can meet is made of: those of ours, and what the settings object to."""
    ours = error_classes()
    for where, call in calls(*ours):
        yield where, call.func.id if isinstance(call.func, ast.Name) else "", call.args
    for where, call in calls("ValueError", "OSError"):
        if where.startswith(("settings/", "config.py", "base/files.py", "base/control_socket.py")):
            yield where, "", [one for one in call.args if not isinstance(one, ast.Attribute)]


def test_no_error_is_raised_with_a_sentence_of_its_own() -> None:
    """Every error of ours, and every objection to a setting, names a text: an f-string would be English for all."""
    found = list(raised())
    assert [(where, name) for where, name, args in found if any(map(is_own_sentence, args[:1] or args))] == []
    assert len(found) > 120
    assert len(error_classes()) > 20


@pytest.mark.parametrize(
    "code", ['X("no")', 'X(f"no {a}")', 'X("a" + b)', "X(str(error))", "X([f'{p}: {e}' for e in es])", "X(a or 'no')"]
)
def test_such_a_sentence_is_found(code: str) -> None:
    """The rule can be broken."""
    call = ast.parse(code).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert any(map(is_own_sentence, call.value.args))


def test_no_text_is_given_english_words() -> None:
    """What a text is given is a name, a figure, another text, or somebody else's words in the field for those."""
    wrong = []
    for where, call in calls("said", "say", "_say", "text", "found"):
        for keyword in call.keywords:
            literals = [one.value for one in ast.walk(keyword.value) if isinstance(one, ast.Constant)]
            if any(isinstance(one, str) and english_in(one) for one in literals):
                wrong.append((where, keyword.arg))
            if keyword.arg in NESTED and is_own_sentence(keyword.value) and not isinstance(keyword.value, ast.Constant):
                wrong.append((where, keyword.arg))
    assert wrong == []


def test_no_japanese_text_has_an_english_sentence() -> None:
    """What others say stands between 「 and 」; what a text is given otherwise is no sentence."""
    assert [key for key in JAPANESE if english_in(sample(key).words("ja"))] == []


KINDS = {
    "call", "corrupt", "env", "fault", "file", "os", "quote", "reply", "spool", "stations", "unmade", "value", "vlc",
}  # fmt: skip
REASONS = sorted(key for key in ENGLISH if key.partition(".")[0] in KINDS)
SYSTEMS = [OSError(number, os.strerror(number)) for number in sorted(errno.errorcode)]
FOREIGN: list[BaseException] = [
    *SYSTEMS,
    ValueError("embedded null byte in it"),
    KeyError("no such key here"),
    sf.LibsndfileError(26),
    RuntimeError("the buffer is too small"),
    ServerTrouble("the words of a server"),
    TimeoutError(),
]


@pytest.mark.parametrize("key", sorted(key for key in ENGLISH if fields_of(key) & NESTED))
def test_no_notice_holds_an_english_reason(key: str) -> None:
    """Every notice with every error that can be put into it, of ours and of others, is Japanese in Japanese."""
    nested = sorted(fields_of(key) & NESTED)
    for error in [*FOREIGN, *(AppError(sample(one)) for one in REASONS)]:
        words = sentence("ja", *sample(key, **dict.fromkeys(nested, error)))
        assert english_in(words) == ""
        assert reason_of(error).words("ja") in words


def test_what_others_say_is_a_quote_and_never_nothing() -> None:
    """The system's usual errors have words of ours; the rest is quoted, and an error without words has its name."""
    reasons = [reason_of(error) for error in FOREIGN]
    assert all(str(reason).strip() for reason in reasons)
    theirs = [reason for reason in reasons if not reason.key.startswith("os.")]
    assert [reason.words("ja") for reason in theirs] == [f"「{reason}」" for reason in theirs]
    assert 0 < len(theirs) < len(reasons)


@pytest.mark.parametrize(
    "name", ["EACCES", "EDQUOT", "EIO", "EMFILE", "ENOENT", "ENOSPC", "EPERM", "EROFS", "ECONNREFUSED"]
)
def test_what_a_person_meets_has_words_of_ours(name: str) -> None:
    """In both languages; English keeps the system's."""
    error = OSError(getattr(errno, name), os.strerror(getattr(errno, name)), "/a/file")
    assert str(reason_of(error)) == os.strerror(getattr(errno, name)).lower()
    assert "「" not in reason_of(error).words("ja")


def test_an_error_is_told_in_both_languages() -> None:
    """A line a sentence, which cannot command the terminal."""
    error = errors.ConfigError([said("fault.no_output"), said("env.line", file="a\x1b[2J", line=3)])
    assert str(error).splitlines() == [
        "--render: needs a file to write to; add -o FILE.wav",
        "a\\x1b[2J, line 3: cannot be understood; write NAME=value or # comment",
    ]
    assert len(error.words("ja").splitlines()) == 2
    assert english_in(error.words("ja")) == ""


def test_what_is_told_can_be_edited() -> None:
    """All texts inside, however deep: a key that was put into a wrong place is taken out."""
    deep = said("fault.given", where="s3cret", reason=said("value.variable", name="a s3cret"), accepted="3")
    assert "s3cret" not in str(deep.edited(lambda text: text.replace("s3cret", "***")))


@pytest.mark.parametrize(
    ("variables", "arguments", "words"),
    [
        ({"LANG": "ja_JP.UTF-8"}, ("--volume", "999"), "大きすぎます"),
        ({"UI_LANG": "ja"}, ("--volume", "999"), "大きすぎます"),
        ({}, ("--lang", "ja", "--nonsense"), "オプションはありません"),
        ({}, ("--lang", "ja", "--station", "nowhere"), "ステーションはありません"),
        ({}, ("--volume", "999"), "too large; give a whole number from 0 to 100"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_the_language_that_was_set(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """By the system, a variable or an option, also where other settings cannot be used."""
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    monkeypatch.setattr(os, "environ", variables)
    assert app.main(arguments, cast("LibVlc", None)) == 2
    told = capsys.readouterr().err
    assert words in told
    assert words.isascii() or english_in(told.replace(", ", "/")) == ""  # names in a row are no sentence
