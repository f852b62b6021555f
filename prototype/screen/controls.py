"""Keys become commands: a pure state machine. `terminal.Keyboard` names the keys; `app` carries the commands out.

Modes: "main", "help", "stations" (a picker) and "prompt" (a line being typed). Opening and closing them is this
module's own business and yields no command; every command is something for the rest of the program to do.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from base.texts import LONGEST_PROMPT
from screen.view import ControlsView

VOLUME_STEP: Final = 5

CHOICE_LABELS: Final = "123456789abcdefghilmnoprtuvwxyz"


class Act(enum.Enum):
    """The commands that carry no data."""

    PAUSE = "pause, or resume when paused"
    SKIP = "fade over to the next piece"
    BACK = "fade over to the piece before, and come back to this one after it"
    MUTE = "mute, or unmute"
    LIKE = "keep what is playing, or take that back"
    DISLIKE = "never play again what is playing, and skip it"
    UNDO = "take the last like, dislike or change of mood back"
    RECORD = "begin to record, or end it"
    BREAK = "begin a break now"
    SKIP_BREAK = "end the break now"
    QUIT = "leave the program"


@dataclass(frozen=True)
class Set:
    """Have what PAUSE, MUTE or RECORD toggles `on` or off, whichever it is now."""

    act: Act
    on: bool


@dataclass(frozen=True)
class Volume:
    """Change the volume by `step` percent points."""

    step: int


@dataclass(frozen=True)
class VolumeTo:
    """Set the volume."""

    percent: int


@dataclass(frozen=True)
class Station:
    """Change to the station `key`."""

    key: str


@dataclass(frozen=True)
class Prompt:
    """Change to music described by `text`: one line, not empty, at most LONGEST_PROMPT characters."""

    text: str


@dataclass(frozen=True)
class Replay:
    """Fade over to a piece that was heard before, named by its `key`, and come back to this one after it."""

    key: str


@dataclass(frozen=True)
class PlayFor:
    """Fade out and stop in `seconds`; None: play without end."""

    seconds: float | None


@dataclass(frozen=True)
class Extend:
    """Put the end off by `seconds`, or bring it nearer; without one, it is that far from now."""

    seconds: float


Command = Act | Set | Volume | VolumeTo | Station | Prompt | Replay | PlayFor | Extend

_MAIN: Final[dict[str, Command]] = {
    " ": Act.PAUSE,
    "n": Act.SKIP,
    "b": Act.BACK,
    "+": Volume(VOLUME_STEP),
    "=": Volume(VOLUME_STEP),
    "-": Volume(-VOLUME_STEP),
    "_": Volume(-VOLUME_STEP),
    "m": Act.MUTE,
    "l": Act.LIKE,
    "d": Act.DISLIKE,
    "u": Act.UNDO,
    "r": Act.RECORD,
    "q": Act.QUIT,
}
_MOVES: Final = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -5, "pagedown": 5}


class Controls:
    """What a key means now.

    Threads: `key` belongs to the input thread; `view` is one reference to a frozen value, read by any.
    """

    def __init__(self, choices: Sequence[tuple[str, str]], prompt_limit: int = LONGEST_PROMPT) -> None:
        self.choices = tuple(choices)
        self.prompt_limit = prompt_limit
        self.view = ControlsView()

    def key(self, key: str, station: str = "") -> Command | None:
        """Return what `key` asks for, None when it only changes the view or means nothing.

        `station` is the key of the station that is on, which the picker begins at.
        """
        if key == "ctrl-c":  # from a terminal in whose protocol it is no signal
            return Act.QUIT
        if self.view.mode == "prompt":
            return self._prompt(key)
        plain = _plain(key)
        if self.view.mode == "stations":
            return self._stations(plain)
        if self.view.mode == "help":
            return self._help(plain)
        return self._main(plain, station)

    def _main(self, key: str, station: str) -> Command | None:
        if key in ("?", "h"):
            self.view = ControlsView(mode="help")
        elif key == "s":
            keys = [choice for choice, _ in self.choices]
            self.view = ControlsView(mode="stations", selected=keys.index(station) if station in keys else 0)
        elif key == "p":
            self.view = ControlsView(mode="prompt")
        elif len(key) == 1 and key in "123456789":
            return self._pick(int(key) - 1)
        return _MAIN.get(key)

    def _help(self, key: str) -> Command | None:
        """Any key that means nothing closes the help; a command closes it and is obeyed."""
        self.view = ControlsView()
        return None if key in ("?", "h", "esc", "enter", "q") else self._main(key, "")

    def _stations(self, key: str) -> Command | None:
        last = len(self.choices) - 1
        if key in ("esc", "s", "q"):
            self.view = ControlsView()
        elif key == "enter":
            return self._pick(self.view.selected)
        elif key in _MOVES:
            selected = min(max(0, self.view.selected + _MOVES[key]), max(0, last))
            self.view = replace(self.view, selected=selected)
        elif key in ("home", "end"):
            self.view = replace(self.view, selected=0 if key == "home" else max(0, last))
        elif len(key) == 1 and key in CHOICE_LABELS:
            return self._pick(CHOICE_LABELS.index(key))
        return None

    def _pick(self, index: int) -> Command | None:
        """Return the command for the station at `index`, closing the picker; nothing when there is none."""
        if not 0 <= index < len(self.choices):
            return None
        self.view = ControlsView()
        return Station(self.choices[index][0])

    def _prompt(self, key: str) -> Command | None:
        typed = self.view.typed
        if key == "esc":
            self.view = ControlsView()
            return None
        if key == "enter":
            self.view = ControlsView()
            text = " ".join(typed.split())
            return Prompt(text) if text else None
        if key == "backspace":
            typed = _without_last(typed)
        elif key == "ctrl-u":
            typed = ""
        elif key == "ctrl-w":
            typed = typed.rstrip()[: -len(typed.split()[-1])] if typed.split() else ""
        elif key.startswith("paste:"):
            typed += " ".join(key.removeprefix("paste:").split())
        elif len(key) == 1:
            typed += key
        typed = "".join(char for char in typed if char.isprintable())[: self.prompt_limit]
        self.view = replace(self.view, typed=typed)
        return None


def _plain(key: str) -> str:
    """Make keys typed with caps lock, or with a Japanese input method's full-width letters, mean the same."""
    return unicodedata.normalize("NFKC", key).lower() if len(key) == 1 else key


def _without_last(text: str) -> str:
    """Remove the last character together with the marks combined with it."""
    while text and (unicodedata.combining(text[-1]) or text[-1] in "\ufe0e\ufe0f\u3099\u309a"):
        text = text[:-1]
    return text[:-1]
