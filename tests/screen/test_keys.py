"""Bytes become keys, and only keys: what terminals say by themselves types nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screen.keys import ESC_TIMEOUT_S, SEQUENCE_TIMEOUT_S, KeyParser

TYPED = [
    (b"n", ["n"]),
    ("静".encode(), ["静"]),
    ("🎹".encode(), ["🎹"]),
    ("\u3000".encode(), [" "]),
    (b"\x1b[A", ["up"]),
    (b"\x1bOB", ["down"]),
    (b"\x1b[5~", ["pageup"]),
    (b"\x1b[1;5C", ["ctrl-right"]),
    (b"\x1b[1;3D", ["alt-left"]),
    (b"\x1bOd", ["ctrl-left"]),
    (b"\x1b[3~", ["delete"]),
    (b"\x1bb", ["alt-b"]),
    (b"\x1b\x7f", ["alt-backspace"]),
    (b"\x01\x05", ["ctrl-a", "ctrl-e"]),
    (b"\x1b[<0;10;20M", []),
    (b"\x1bq", ["alt-q"]),
    (b"\r", ["enter"]),
    (b"\n", ["enter"]),
    (b"\x7f", ["backspace"]),
    (b"\x15", ["ctrl-u"]),
    (b"\x04", ["ctrl-d"]),
    (b"\x0f", []),
    (b"\x00", []),
    (b"\x1b[200~q\nd\x1b[A\x1b[201~", ["paste:q\nd\x1b[A"]),
    (b"\xff\xfe", []),
    (b"\x1b\x1b[A", ["esc", "up"]),
    (b"\x1b[\x1b[A", ["up"]),
]


@given(st.lists(st.binary()))
def test_any_bytes_are_survived(parts: list[bytes]) -> None:
    """Noise on the line gives printable keys or nothing, and is never kept for ever."""
    parser = KeyParser()
    for part in parts:
        for key in parser.feed(part):
            assert key.startswith("paste:") or key.isprintable()
    parser.flush()
    assert parser.patience_s is None or parser.feed(b"\x1b[201~")[0].startswith("paste:")


def test_a_lone_esc_is_a_key_once_nothing_follows() -> None:
    """Esc is held back until the time for a sequence has passed."""
    parser = KeyParser()
    assert parser.feed(b"\x1b") == []
    assert parser.patience_s is not None
    assert parser.flush() == ["esc"]
    assert parser.flush() == []


def test_an_unfinished_sequence_is_dropped() -> None:
    """Half a sequence is no key, and does not spoil the next one."""
    parser = KeyParser()
    parser.feed(b"\x1b[1;")
    assert parser.flush() == []
    assert parser.feed(b"n") == ["n"]


BY_THEMSELVES = [
    b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",  # colours: OSC, ended by ST, BEL, and ST in eight bits
    b"\x1b]10;rgb:dddd/dddd/dddd\x07",
    b"\x9d4;1;rgb:ff/00/00 qdnpm\x9c",
    b"\xc2\x9d52;c;cW0=\xc2\x9c",  # the same controls as UTF-8
    "\x1b]l静かな雨 Ü q\x1b\\".encode(),  # a title; its UTF-8 holds bytes that would be controls
    b"\x1bP>|tmux 3.3q\x1b\\",
    b"\x1bP1$r0 q\x1b\\",
    b"\x901+r544e=787465726d\x9c",
    b"\x1b_Gi=31;OK d n q\x1b\\",
    b"\x9fG\x07",
    b"\x1b^q private m\x1b\\",
    b"\x1bXq start of string\x9c",
    b"\x1b]11;rgb:q\x18",  # given up half-way
    b"\x1bPq\x1a",
    b"\x1b[1;\x18",
    b"\x1b[?62;4;22c",  # device attributes, cursor and mode reports
    b"\x9b>41;354;0c",
    b"\x1b[24;80R",
    b"\x1b[?2026;2$y",
    b"\x1b[?1u",
    b"\x1b[8;24;80t",
    b"\x1b[I",  # focus
    b"\x1b[O",
    b"\x1b[M qn",  # mouse: X10, urxvt, SGR
    b"\x1b[M\x20\xc3\xa9",
    b"\x1b[M\x60\x9b\x1b",
    b"\x9bMqqq",
    b"\x1b[32;10;20M",
    b"\x1b[<0;10;20M",
    b"\x1b[<35;113;110m",
    b"\x1b[[A",  # F keys: the Linux console, xterm, rxvt, with modifiers
    b"\x1b[[E",
    b"\x1bOP",
    b"\x1bO5Q",
    b"\x8fS",
    b"\x1b[15~",
    b"\x1b[15;2~",
    b"\x1b[23^",
    b"\x1b[7$",
    b"\x1b[200$",
    b"\x1b[1;5A",
    b"\x1b[1;2D",
    b"\x1bO5A",
    b"\x1b[1;1:3A",  # let go
    b"\x1b[5;1:3~",
    b"\x1b[113;1:3u",
    b"\x1b[113;9u",  # with super
    b"\x1b[57358u",  # caps lock
    b"\x1b[1114112u",
    b"\x1b[55296u",
    b"\x1b[113;5u",  # ctrl-q
    b"\x1b[81;16;113;1;0;1_",  # win32-input-mode
    b"\x1b(B",
    b"\x1b#8",
    b"\x1b[" + b"1;" * 500 + b"q",
    b"\x84\x85",
    b"\xff",
]
KEYS = [
    *TYPED,
    (b"\x1b[113u", ["q"]),
    (b"\x1b[113;1:1u", ["q"]),
    (b"\x1b[113;1:2u", ["q"]),
    (b"\x1b[110;;110u", ["n"]),
    (b"\x1b[97:65;2;65u", ["A"]),
    (b"\x1b[97;2u", ["A"]),
    (b"\x1b[97;66u", ["a"]),
    (b"\x1b[61:43;2u", ["+"]),
    (b"\x1b[110;65u", ["N"]),
    (b"\x1b[110;129u", ["n"]),
    (b"\x1b[0;;38745u", ["静"]),
    (b"\x1b[32u", [" "]),
    (b"\x1b[27u", ["esc"]),
    (b"\x1b[13u", ["enter"]),
    (b"\x1b[127u", ["backspace"]),
    (b"\x1b[117;5u", ["ctrl-u"]),
    (b"\x1b[99;5u", ["ctrl-c"]),
    (b"\x1b[122;5u", ["ctrl-z"]),
    (b"\x1b[92;5u", ["ctrl-\\"]),
    (b"\x1b[113;3u", ["alt-q"]),
    (b"\x1b[127;3u", ["alt-backspace"]),
    (b"\x1b[1;67D", ["alt-left"]),
    (b"\x1b[57413u", ["+"]),
    (b"\x1bOk\x1bOm\x8fq\x1bOM", ["+", "-", "1", "enter"]),
    (b"\x1b[57414;129u", ["enter"]),
    (b"\x1b[1;1:1A", ["up"]),
    (b"\x1b[1;129B", ["down"]),
    (b"\x1b[5;1:2~", ["pageup"]),
    (b"\x1b[27;2;43~", ["+"]),
    (b"\x1b[27;5;117~", ["ctrl-u"]),
    (b"\x9bA", ["up"]),
    (b"\x9b200~q\xc2\xa9\x9b201~", ["paste:q\xa9"]),
    (b"\xc2\x9b200~q\xc2\x9b201~", ["paste:q"]),
    (b"\x1b[1\xe9\x9d\x99", ["静"]),
    *((data, []) for data in BY_THEMSELVES),
]


@pytest.mark.parametrize(("data", "keys"), KEYS)
def test_bytes_become_keys(data: bytes, keys: list[str]) -> None:
    """Each key has one name in every protocol; what terminals say, and what is unknown or broken, vanishes whole."""
    parser = KeyParser()
    assert parser.feed(data) == keys
    assert parser.patience_s is None
    assert KeyParser().feed(data + b"n") == [*keys, "n"]


@given(st.lists(st.sampled_from(KEYS)), st.lists(st.integers(1, 7), min_size=1))
def test_any_mix_split_anywhere_gives_exactly_the_keys(said: list[tuple[bytes, list[str]]], sizes: list[int]) -> None:
    """Keys among replies, cut at any byte on their way: the keys, all of them, and nothing else."""
    data, parser, keys = b"".join(part for part, _ in said), KeyParser(), []
    sizes_again = itertools.cycle(sizes)
    while data:
        size = next(sizes_again)
        keys += parser.feed(data[:size])
        data = data[size:]
    assert keys == [key for _, part in said for key in part]
    assert parser.patience_s is None


CONTENT = st.binary().map(lambda data: bytes(byte & 0x7F for byte in data if byte & 0x7F not in (7, 24, 26, 27)))


@given(st.sampled_from([b"]", b"P", b"X", b"^", b"_"]), CONTENT)
def test_any_string_is_swallowed(introducer: bytes, content: bytes) -> None:
    """Whatever stands in a control string, each of its ends ends it."""
    for begin in (b"\x1b" + introducer, bytes([introducer[0] + 0x40])):
        for end in (b"\x07", b"\x1b\\", b"\x9c", b"\x18", b"\x1a"):
            assert KeyParser().feed(begin + content + end + b"n") == ["n"]


def test_a_string_without_an_end_costs_no_memory_and_ends_with_quiet() -> None:
    """A hundred thousand bytes are not kept; a second of quiet, not less, brings the keyboard back."""
    parser = KeyParser()
    parser.feed(b"\x1b]52;c;" + b"q" * 100_000)
    assert len(str(vars(parser))) < 1000
    assert parser.patience_s == SEQUENCE_TIMEOUT_S
    assert parser.flush() == []
    assert parser.feed(b"q") == ["q"]


def test_what_surely_is_a_sequence_is_waited_for_longer_than_esc() -> None:
    """A lone Esc may be the key; after its introducer, or in a string's end, it is none."""
    waits: dict[bytes, float | None] = {b"\x1b": ESC_TIMEOUT_S, b"\x1b ": ESC_TIMEOUT_S, b"\x1b[": SEQUENCE_TIMEOUT_S}
    waits |= {b"\x1b]q\x1b": SEQUENCE_TIMEOUT_S, b"\x1b[M ": SEQUENCE_TIMEOUT_S, b"q": None, b"\x1b[200~x": None}
    for data, wait_s in waits.items():
        parser = KeyParser()
        parser.feed(data)
        assert parser.patience_s == wait_s


def test_the_rest_of_a_long_paste_is_no_command() -> None:
    """What is cut off a paste is not typed, and keys come again behind its end."""
    parser = KeyParser()
    (pasted,) = parser.feed(b"\x1b[200~" + b"x" * 50_000 + b"qqq")
    assert pasted == "paste:" + "x" * 20_000
    assert parser.patience_s is None
    assert parser.feed(b"qqq\x1b[201~n") == ["n"]


@pytest.mark.parametrize("length", [19_999, 20_000, 20_001, 20_006])
def test_a_paste_of_about_the_limit(length: int) -> None:
    """The end of a paste is never part of it."""
    keys = KeyParser().feed(b"\x1b[200~" + b"x" * length + b"\x1b[201~n")
    assert keys == ["paste:" + "x" * min(length, 20_000), "n"]
