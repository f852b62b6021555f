"""Keys become commands: the state machine, without a terminal."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.texts import LONGEST_PROMPT
from screen.controls import (
    CHOICE_LABELS,
    KEYS,
    TIMERS,
    Act,
    AmbienceVolume,
    Command,
    Controls,
    Prompt,
    Replay,
    Station,
    Volume,
)
from screen.view import ControlsView, Mode

CHOICES = tuple(f"s{index}" for index in range(12))


def press(controls: Controls, *keys: str) -> list[Command]:
    """Press keys and return the commands that came of them."""
    return [command for key in keys if (command := controls.key(key)) is not None]


@pytest.mark.parametrize(
    ("key", "command"),
    [
        (" ", Act.PAUSE),
        ("n", Act.SKIP),
        ("+", Volume(5)),
        ("=", Volume(5)),
        ("-", Volume(-5)),
        ("m", Act.MUTE),
        ("a", Act.AMBIENCE),
        (">", AmbienceVolume(5)),
        ("<", AmbienceVolume(-5)),
        (",", AmbienceVolume(-5)),
        ("＞", AmbienceVolume(5)),
        ("l", Act.LIKE),
        ("d", Act.DISLIKE),
        ("r", Act.RECORD),
        ("q", Act.QUIT),
        ("1", Station("s0")),
        ("9", Station("s8")),
        ("N", Act.SKIP),
        ("ｎ", Act.SKIP),
        ("＋", Volume(5)),
        ("３", Station("s2")),
    ],
)
def test_keys_of_the_main_screen(key: str, command: Command) -> None:
    """Each key gives its command, with caps lock and as a full-width letter too."""
    controls = Controls(CHOICES)
    assert controls.key(key) == command
    assert controls.view == ControlsView()


@pytest.mark.parametrize("key", ["0", "x", "esc", "enter", "up", "alt-q", "ctrl-u", "paste:q", "あ", "", "🎹"])
def test_other_keys_mean_nothing(key: str) -> None:
    """A key without a meaning, and text pasted by accident, change nothing."""
    controls = Controls(CHOICES)
    assert controls.key(key) is None
    assert controls.view == ControlsView()


def test_a_number_without_a_station_means_nothing() -> None:
    """Three stations: 4 is no station."""
    assert press(Controls(CHOICES[:3]), "4") == []


@pytest.mark.parametrize("key", ["?", "esc", "q", "enter"])
def test_help_opens_and_closes(key: str) -> None:
    """The help opens with ? and closes with ?, Esc, Enter or q, which does not quit then."""
    controls = Controls(CHOICES)
    assert press(controls, "?") == []
    assert controls.view == ControlsView(Mode.HELP)
    assert press(controls, key) == []
    assert controls.view == ControlsView()


def test_a_command_key_leaves_the_help_and_is_obeyed() -> None:
    """What the help explains can be tried at once."""
    controls = Controls(CHOICES)
    assert press(controls, "?", "n") == [Act.SKIP]
    assert controls.view.mode is Mode.MAIN


@pytest.mark.parametrize(
    ("keys", "station"),
    [
        (("enter",), "s0"),
        (("down", "down", "enter"), "s2"),
        (("j", "j", "k", "enter"), "s1"),
        (("up", "enter"), "s0"),
        (("end", "down", "enter"), "s11"),
        (("end", "home", "enter"), "s0"),
        (("pagedown", "enter"), "s5"),
        (("7",), "s6"),
        (("a",), "s9"),
        (("C",), "s11"),
    ],
)
def test_the_picker_picks(keys: tuple[str, ...], station: str) -> None:
    """Arrows, j and k move and stay in the list; Enter, digits and letters choose and close."""
    controls = Controls(CHOICES)
    assert press(controls, "s", *keys) == [Station(station)]
    assert controls.view == ControlsView()


def test_the_picker_begins_at_the_station_that_is_on() -> None:
    """The selected station is the one that plays."""
    controls = Controls(CHOICES)
    controls.key("s", station="s4")
    assert controls.view.selected == 4


@pytest.mark.parametrize("key", ["esc", "s", "q"])
def test_the_picker_closes_without_a_choice(key: str) -> None:
    """Esc, s and q leave everything as it was."""
    controls = Controls(CHOICES)
    assert press(controls, "s", "down", key) == []
    assert controls.view == ControlsView()


def test_the_table_of_keys_names_each_key_once() -> None:
    """No key has two meanings, and none is a station's number."""
    keys = [key for row in KEYS for key in row.does]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set("123456789")
    assert {meaning for row in KEYS for meaning in row.does.values() if isinstance(meaning, Act)} == set(Act) - {
        Act.BREAK,
        Act.SKIP_BREAK,
    }


def test_lists_are_chosen_from() -> None:
    """What was heard is played again, the latest first; a timer is set; the key that opened a list closes it."""
    controls = Controls(CHOICES, heard=lambda: ("new", "old"))
    assert press(controls, "h", "down", "down", "enter") == [Replay("old")]
    assert press(controls, "h", "1", "h", "h") == [Replay("new")]
    assert press(controls, "t", "t", "t", "end", "enter") == [TIMERS[-1][1]]
    assert controls.view == ControlsView()


def test_the_help_has_pages() -> None:
    """Arrows turn its pages, which the screen counts; nothing else happens."""
    controls = Controls(CHOICES)
    assert press(controls, "?", "down", "pagedown", "up", "down") == []
    assert controls.view == ControlsView(Mode.HELP, selected=2)


def test_the_picker_without_stations() -> None:
    """An empty list can be opened, moved in, and left."""
    controls = Controls(())
    assert press(controls, "s", "down", "end", "enter", "1", "esc") == []
    assert controls.view == ControlsView()


def test_labels_are_not_the_keys_that_move() -> None:
    """No station hides behind a key that moves or closes."""
    assert not set(CHOICE_LABELS) & set("jkshtq")
    assert len(set(CHOICE_LABELS)) == len(CHOICE_LABELS)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([*"soft piano", "enter"], "soft piano"),
        ([*"静かな雨", "enter"], "静かな雨"),
        ([*"rainn", "backspace", "enter"], "rain"),
        ([*"old", "ctrl-u", *"new", "enter"], "new"),
        ([*"soft piano", "ctrl-w", *"harp", "enter"], "soft harp"),
        ([*"か\u3099", "backspace", *"き", "enter"], "き"),
        (["paste:two\nlines\t\x1b[31m of it", "enter"], "two lines [31m of it"),
        ([*"qsd?n", "enter"], "qsd?n"),
        ([*"  much   space  ", "enter"], "much space"),
        (["backspace", *"a", "up", "alt-x", "tab", "enter"], "a"),
    ],
)
def test_a_prompt_is_typed(keys: list[str], text: str) -> None:
    """Letters, also those that are commands elsewhere, are typed and edited; Enter asks for the music."""
    controls = Controls(CHOICES)
    assert press(controls, "p", *keys) == [Prompt(text)]
    assert controls.view == ControlsView()


@pytest.mark.parametrize("keys", [["esc"], ["enter"], [" ", " ", "enter"], [*"text", "esc"]])
def test_an_empty_or_abandoned_prompt_changes_nothing(keys: list[str]) -> None:
    """Esc, and Enter on nothing, only close the line."""
    controls = Controls(CHOICES)
    assert press(controls, "p", *keys) == []
    assert controls.view == ControlsView()


@pytest.mark.parametrize(
    ("keys", "typed", "cursor"),
    [
        ([*"rain", "left", "left", "x"], "raxin", 3),
        ([*"か\u3099き", "left", "left", "delete"], "き", 0),
        ([*"👍\U0001f3fb!", "left", "backspace"], "!", 0),
        ([*"soft rain, koto", "alt-b", "alt-b", "X"], "soft Xrain, koto", 6),
        ([*"soft rain, koto", "home", "alt-f", "alt-d"], "soft, koto", 4),
        ([*"soft rain", "ctrl-a", "right", "ctrl-k"], "s", 1),
        ([*"soft rain", "ctrl-left", "ctrl-u"], "rain", 0),
        ([*"soft rain ", "ctrl-w", "home", "ctrl-y", "end", "!"], "rain soft !", 11),
        ([*"静かな雨、琴", "ctrl-w", "ctrl-w", "ctrl-y"], "静かな雨、", 5),
        ([*"a.b", "alt-backspace", "ctrl-e", "ctrl-b", "ctrl-f", "ctrl-d"], "a.", 2),
        (["alt-b", "left", "right", "ctrl-k", "ctrl-y", "down", "up"], "", 0),
    ],
)
def test_the_line_is_edited_as_in_a_shell(keys: list[str], typed: str, cursor: int) -> None:
    """Cursor, words, what was cut; by what looks like one character."""
    controls = Controls(CHOICES)
    press(controls, "p", *keys)
    assert (controls.view.typed, controls.view.cursor) == (typed, cursor)


@pytest.mark.parametrize("before", ["a", "?", "s", "h", "t", "p"])
def test_ctrl_c_as_a_key_ends_the_program(before: str) -> None:
    """Where a terminal's protocol makes no signal of it, whatever is open."""
    controls = Controls(CHOICES)
    press(controls, before)
    assert controls.key("ctrl-c") is Act.QUIT


def test_esc_keeps_the_draft_and_enter_remembers() -> None:
    """What was begun is there again; what was entered is gone back to, and the draft comes back behind it."""
    controls = Controls(CHOICES)
    press(controls, "p", *"one", "enter", "p", *"two", "enter", "p", "enter", "p", *"draft", "esc")
    assert controls.view == ControlsView()
    press(controls, "p")
    assert (controls.view.typed, controls.view.cursor) == ("draft", 5)
    for key, typed in (
        ("up", "two"),
        ("ctrl-p", "one"),
        ("up", "one"),
        ("down", "two"),
        ("down", "draft"),
        ("down", "draft"),
    ):
        press(controls, key)
        assert (controls.view.typed, controls.view.cursor) == (typed, len(typed))
    assert press(controls, "up", "up", "enter") == [Prompt("one")]
    press(controls, "p", "up")
    assert controls.view.typed == "one"


def test_a_prompt_has_a_limit() -> None:
    """No more than the limit is taken, however it comes."""
    controls = Controls(CHOICES)
    press(controls, "p", f"paste:{'x' * (LONGEST_PROMPT - 5)}", *"abcdefg", "paste:hij")
    assert controls.view.typed == "x" * (LONGEST_PROMPT - 5) + "abcde"


EDITING = (
    "enter", "esc", "up", "down", "left", "right", "home", "alt-b", "backspace", "ctrl-w", "ctrl-y", "s", "p", "?",
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(EDITING), st.text())), st.integers(0, 40))
@example(["t", "down"], 0)
def test_any_keys_keep_the_view_sane(keys: list[str], stations: int) -> None:
    """Whatever is pressed: a known mode, a selection inside the list, a line that can be shown."""
    choices = [f"s{index}" for index in range(stations)]
    controls = Controls(choices)
    press(controls, "p", f"paste:{'x' * (LONGEST_PROMPT - 10)}", "esc")
    for key in keys:
        command = controls.key(key)
        listed = len(TIMERS) if controls.view.mode is Mode.TIMER else stations
        assert controls.view.mode is Mode.HELP or 0 <= controls.view.selected < max(1, listed)
        assert 0 <= controls.view.cursor <= len(controls.view.typed)
        assert len(controls.view.typed) <= LONGEST_PROMPT
        assert not any(char < " " for char in controls.view.typed)
        if isinstance(command, Prompt):
            assert command.text.strip() == command.text != ""
