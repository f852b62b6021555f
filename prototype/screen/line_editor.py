"""A line that is edited as in a shell: a frozen value, and what each key makes of it.

Emacs' keys, as readline has them: a cursor that moves by what looks like one character, words, what was cut last, and
the lines entered before. Keys have the names that `keys` gives them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

REMEMBERED: Final = 50
_WORD: Final = re.compile(r"\w+")
_UP_TO_BLANK: Final = re.compile(r"[^\s、。]*[\s、。]*$")
"""What Ctrl-W cuts; Japanese has no blanks between words, so that its commas and stops count as such."""

_Way = Callable[[str, int], int]
_STEPS: Final = {"up": 1, "ctrl-p": 1, "down": -1, "ctrl-n": -1}


@dataclass(frozen=True)
class Line:
    """What is typed, and where the cursor stands: before the character `cursor`.

    `earlier` are the lines entered before, latest last; `back` of them have been gone back (0: none), from `own`.
    """

    text: str = ""
    cursor: int = 0
    cut: str = ""
    earlier: tuple[str, ...] = ()
    back: int = 0
    own: str = ""

    def key(self, key: str, limit: int) -> Line:
        """Return the line after `key`, never longer than `limit`; what is no key of the editor changes nothing."""
        if key in _MOVES:
            return replace(self, cursor=_MOVES[key](self.text, self.cursor))
        if key in _CUTS:
            start, end = sorted((self.cursor, _CUTS[key](self.text, self.cursor)))
            cut = self.text[start:end] if _CUTS[key] not in (_left, _right) else ""
            return replace(self, text=self.text[:start] + self.text[end:], cursor=start, cut=cut or self.cut)
        if key in _STEPS:
            return self._gone_back(self.back + _STEPS[key])
        if key == "ctrl-y":
            return self._with(self.cut, limit)
        if key.startswith("paste:"):
            return self._with(" ".join(key.removeprefix("paste:").split()), limit)
        return self._with(key, limit) if len(key) == 1 else self

    def entered(self) -> Line:
        """Return an empty line that remembers this one."""
        text = " ".join(self.text.split())
        earlier = tuple(line for line in self.earlier if line != text)
        return Line(cut=self.cut, earlier=(*earlier, text)[-REMEMBERED:] if text else earlier)

    def _with(self, typed: str, limit: int) -> Line:
        """Insert what can be shown of `typed`, as far as there is room."""
        typed = "".join(char for char in typed if char.isprintable())[: limit - len(self.text)]
        text = self.text[: self.cursor] + typed + self.text[self.cursor :]
        return replace(self, text=text, cursor=self.cursor + len(typed))

    def _gone_back(self, back: int) -> Line:
        """Return the line entered `back` before this one, or the own one again."""
        back = min(max(0, back), len(self.earlier))
        own = self.own if self.back else self.text
        text = self.earlier[-back] if back else own
        return self if back == self.back else replace(self, text=text, cursor=len(text), back=back, own=own)


def _left(text: str, at: int) -> int:
    at = max(0, at - 1)
    while at > 0 and _joins(text[at]):
        at -= 1
    return at


def _right(text: str, at: int) -> int:
    at = min(len(text), at + 1)
    while at < len(text) and _joins(text[at]):
        at += 1
    return at


def _joins(char: str) -> bool:
    """Whether it is drawn into the character before it: marks, variation selectors, skin tones."""
    return unicodedata.category(char)[0] == "M" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _word_left(text: str, at: int) -> int:
    return max((word.start() for word in _WORD.finditer(text) if word.start() < at), default=0)


def _word_right(text: str, at: int) -> int:
    return min((word.end() for word in _WORD.finditer(text) if word.end() > at), default=len(text))


_MOVES: Final[dict[str, _Way]] = {
    **dict.fromkeys(("left", "ctrl-b"), _left),
    **dict.fromkeys(("right", "ctrl-f"), _right),
    **dict.fromkeys(("alt-b", "alt-left", "ctrl-left"), _word_left),
    **dict.fromkeys(("alt-f", "alt-right", "ctrl-right"), _word_right),
    **dict.fromkeys(("home", "ctrl-a"), lambda _text, _at: 0),
    **dict.fromkeys(("end", "ctrl-e"), lambda text, _at: len(text)),
}
_CUTS: Final[dict[str, _Way]] = {
    "backspace": _left,
    **dict.fromkeys(("delete", "ctrl-d"), _right),
    "ctrl-w": lambda text, at: len(_UP_TO_BLANK.sub("", text[:at])),
    "alt-backspace": _word_left,
    "alt-d": _word_right,
    "ctrl-u": _MOVES["home"],
    "ctrl-k": _MOVES["end"],
}
