"""Keys become commands: a pure state machine. `keyboard.Keyboard` names the keys; the conductor carries commands out.

`KEYS` is the one table of what a key does; the hints and the help are made from it. Opening and closing the overlays is
this module's own business and yields no command; every command is something for the rest of the program to do.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from base.texts import LONGEST_PROMPT
from screen.line_editor import Line
from screen.view import ControlsView, Mode

VOLUME_STEP: Final = 5
PAGE: Final = 5
DIGITS: Final = "123456789"
CHOICE_LABELS: Final = DIGITS + "abcdefgilmnoprvwxyz"
_MOVES: Final = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -PAGE, "pagedown": PAGE}


class Act(enum.Enum):
    """The commands that carry no data."""

    PAUSE = "pause, or resume when paused"
    SKIP = "fade over to the next piece"
    BACK = "fade over to the piece before, and come back to this one after it"
    MUTE = "mute, or unmute"
    AMBIENCE = "go to the next sound under the music, or to none"
    CONTINUE = "keep this piece going, or let it end"
    LIKE = "keep what is playing, or take that back"
    DISLIKE = "never play again what is playing, and skip it"
    UNDO = "take the last like, dislike or change of mood back"
    RECORD = "begin to record, or end it"
    BREAK = "begin a break now"
    SKIP_BREAK = "end the break now"
    QUIT = "leave the program"


@dataclass(frozen=True)
class Set:
    """Have what PAUSE, MUTE, RECORD or CONTINUE toggles `on` or off, whichever it is now."""

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
class Ambience:
    """Have the sound `name` under the music, or "off"; one that there is not changes nothing."""

    name: str


@dataclass(frozen=True)
class AmbienceVolume:
    """Change the volume of the sound under the music by `step` percent points."""

    step: int


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


Command = Act | Set | Volume | VolumeTo | Ambience | AmbienceVolume | Station | Prompt | Replay | PlayFor | Extend


@dataclass(frozen=True, eq=False)
class Key:
    """What some keys do: give a command each, or open an overlay. The texts are `ui.key.<word>` and `ui.help.<word>`.

    `shown` is how the keys are written; of the hints, those with the lowest `rank` are shown (None: never).
    """

    word: str
    shown: str
    rank: int | None = None
    does: dict[str, Command | Mode] = field(default_factory=dict)


KEYS: Final = (
    Key("pause", "space", 2, {" ": Act.PAUSE}),
    Key("skip", "n", 3, {"n": Act.SKIP}),
    Key("previous", "b", 11, {"b": Act.BACK}),
    Key("volume", "+/-", 5, {key: Volume(VOLUME_STEP if key in "+=" else -VOLUME_STEP) for key in "+=-_"}),
    Key("mute", "m", 8, {"m": Act.MUTE}),
    Key("ambience", "a", 15, {"a": Act.AMBIENCE}),
    Key("quieter", "</>", 16, {key: AmbienceVolume(VOLUME_STEP if key in ">." else -VOLUME_STEP) for key in "<,>."}),
    Key("stations", "s", 4, {"s": Mode.STATIONS}),
    Key("digits", "1–9"),
    Key("prompt", "p", 7, {"p": Mode.PROMPT}),
    Key("like", "l", 6, {"l": Act.LIKE}),
    Key("dislike", "d", 9, {"d": Act.DISLIKE}),
    Key("continue", "c", 15, {"c": Act.CONTINUE}),
    Key("undo", "u", 12, {"u": Act.UNDO}),
    Key("history", "h", 13, {"h": Mode.HISTORY}),
    Key("timer", "t", 14, {"t": Mode.TIMER}),
    Key("record", "r", 10, {"r": Act.RECORD}),
    Key("help", "?", 0, {"?": Mode.HELP}),
    Key("quit", "q", 1, {"q": Act.QUIT}),
)
"""In the order in which hints and help show them."""
OVERLAY_KEYS: Final = {
    Mode.HELP: (Key("page", "↑↓", 1), Key("back", "esc", 0)),
    Mode.STATIONS: (Key("choose", "enter", 0), Key("move", "↑↓", 2), Key("back", "esc", 1)),
    Mode.HISTORY: (Key("replay", "enter", 0), Key("move", "↑↓", 2), Key("back", "esc", 1)),
    Mode.TIMER: (Key("choose", "enter", 0), Key("move", "↑↓", 2), Key("back", "esc", 1)),
    Mode.PROMPT: (Key("play", "enter", 0), Key("earlier", "↑↓", 2), Key("clear", "ctrl-u", 3), Key("back", "esc", 1)),
}
TIMERS: Final[tuple[tuple[str, Command], ...]] = (
    *(("for", PlayFor(60.0 * minutes)) for minutes in (25, 50, 90)),
    *(("extend", Extend(60.0 * minutes)) for minutes in (10, -10)),
    ("endless", PlayFor(None)),
    ("break", Act.BREAK),
    ("skip_break", Act.SKIP_BREAK),
)
"""What `t` offers: the words `ui.timers.<word>`, and the command."""
_MAIN: Final = {key: meaning for row in KEYS for key, meaning in row.does.items()}


class Controls:
    """What a key means now.

    Threads: `key` belongs to the input thread; `view` is one reference to a frozen value, read by any.
    """

    def __init__(self, stations: Sequence[str], heard: Callable[[], Sequence[str]] = tuple) -> None:
        """`stations` are their keys, in the picker's order; `heard` tells those of the history, latest first."""
        self.stations = tuple(stations)
        self.heard = heard
        self._choices: Sequence[Command] = ()
        self.view = ControlsView()
        self._line = Line()

    def key(self, key: str, station: str = "") -> Command | None:
        """Return what `key` asks for, None when it only changes the view or means nothing.

        `station` is the key of the station that is on, which the picker begins at.
        """
        if key == "ctrl-c":  # from a terminal in whose protocol it is no signal
            return Act.QUIT
        if self.view.mode is Mode.PROMPT:
            return self._prompt(key)
        plain = _plain(key)
        if self.view.mode in (Mode.STATIONS, Mode.HISTORY, Mode.TIMER):
            return self._list(plain)
        if self.view.mode is Mode.HELP:
            return self._help(plain, station)
        return self._main(plain, station)

    def _main(self, key: str, station: str) -> Command | None:
        if len(key) == 1 and key in DIGITS:
            return Station(self.stations[int(key) - 1]) if int(key) <= len(self.stations) else None
        meaning = _MAIN.get(key)
        if not isinstance(meaning, Mode):
            return meaning
        heard = tuple(self.heard())
        lists: dict[Mode, Sequence[Command]] = {
            Mode.STATIONS: [Station(name) for name in self.stations],
            Mode.HISTORY: [Replay(name) for name in heard],
            Mode.TIMER: [command for _, command in TIMERS],
        }
        self._choices = lists.get(meaning, ())
        selected = self.stations.index(station) if meaning is Mode.STATIONS and station in self.stations else 0
        self.view = ControlsView(meaning, self._line.text, self._line.cursor, selected, heard)
        return None

    def _help(self, key: str, station: str) -> Command | None:
        """Any key that means nothing closes the help; a command closes it and is obeyed. `selected` is the page."""
        if key in _MOVES:
            self.view = replace(self.view, selected=self.view.selected + (1 if _MOVES[key] > 0 else -1))
            return None
        self.view = ControlsView()
        return None if key in ("?", "q") else self._main(key, station)

    def _list(self, key: str) -> Command | None:
        """Move in the list, or choose from it, which closes it; Esc, q and the key that opened it only close it."""
        last = max(0, len(self._choices) - 1)
        selected = self.view.selected
        if key in ("esc", "q") or _MAIN.get(key) is self.view.mode:
            self.view = ControlsView()
        elif key in _MOVES:
            self.view = replace(self.view, selected=min(max(0, selected + _MOVES[key]), last))
        elif key in ("home", "end"):
            self.view = replace(self.view, selected=0 if key == "home" else last)
        elif key == "enter" or (len(key) == 1 and key in CHOICE_LABELS):
            index = selected if key == "enter" else CHOICE_LABELS.index(key)
            if index < len(self._choices):
                self.view = ControlsView()
                return self._choices[index]
        return None

    def _prompt(self, key: str) -> Command | None:
        """Edit the line. Esc keeps it as the draft that the next `p` goes on with; Enter remembers it."""
        text = " ".join(self._line.text.split())
        if key == "enter":
            self._line = self._line.entered()
        elif key != "esc":
            self._line = self._line.key(key, LONGEST_PROMPT)
            self.view = replace(self.view, typed=self._line.text, cursor=self._line.cursor)
            return None
        self.view = ControlsView()
        return Prompt(text) if text and key == "enter" else None


def _plain(key: str) -> str:
    """Make keys typed with caps lock, or with a Japanese input method's full-width letters, mean the same."""
    return unicodedata.normalize("NFKC", key).lower()
