"""Bytes from a terminal become names of keys, and whatever else a terminal says vanishes.

A key is a `str`: the character itself ("n", "あ", " "), a name ("enter", "esc", "ctrl-u", "alt-n", "ctrl-left"), or
"paste:" and the pasted text. Of the libraries that were tried, blessed 1.52, prompt_toolkit 3.0 and textual 8.2 type
parts of such replies as OSC 11 or APC; hence a machine of our own.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

ESC_TIMEOUT_S: Final = 0.05
"""Longer than an escape sequence takes on its way, shorter than a person notices."""
SEQUENCE_TIMEOUT_S: Final = 1.0
"""How long the rest of a sequence that has certainly begun may be on its way: a slow line stalls for less."""
LONGEST_SEQUENCE: Final = 64
LONGEST_PASTE: Final = 20_000

_CONTROL_KEYS: Final = {
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x1b": "esc",
    "\x7f": "backspace",
    "\x03": "ctrl-c",
    "\x08": "backspace",
    "\x1a": "ctrl-z",
    "\x1c": "ctrl-\\",
    **{chr(ord(letter) & 0x1F): f"ctrl-{letter}" for letter in "abdefknpuwy"},
}
_CURSOR_KEYS: Final = dict(zip("ABCDHF", ("up", "down", "right", "left", "home", "end"), strict=True))
_SEQUENCES: Final = {
    **{introducer + final: key for introducer in "[O" for final, key in _CURSOR_KEYS.items()},
    "[1~": "home",
    "[3~": "delete",
    "[4~": "end",
    "[5~": "pageup",
    "[6~": "pagedown",
    "[7~": "home",
    "[8~": "end",
    "OM": "enter",
    **{"O" + final: key for final, key in zip("jklmnopqrstuvwxyX", "*+,-./0123456789=", strict=True)},  # the keypad's
    "Od": "ctrl-left",
    "Oc": "ctrl-right",
}
_KEYPAD: Final = dict(
    enumerate(
        (*"0123456789./*-+", "enter", "=", ",", "left", "right", "up", "down", "pageup", "pagedown", "home", "end"),
        57399,
    )
)
"""Kitty's numbers of the keypad's keys."""
_PASTE_BEGIN: Final = "[200~"
_PASTE_END: Final = "\x1b[201~"
_SHIFT, _ALT, _CTRL, _CAPS, _NUM = 1, 2, 4, 64, 128
_WITH: Final = {_ALT: "alt-", _CTRL: "ctrl-"}
_RELEASED: Final = 3


class KeyParser:
    """Turns bytes, split anywhere, into keys; whatever else a terminal says vanishes.

    The state machine of ECMA-48 and the VT500 series (Paul Williams, vt100.net/emu/dec_ansi_parser) for a terminal's
    side of the talk: control strings (OSC, DCS, APC, PM, SOS) are swallowed to their end, which is ST, BEL (xterm and
    the Linux console), CAN or SUB. Beyond it: X10 mouse reports, the Linux console's F keys, rxvt's shifted ones,
    bracketed paste, and keys as kitty's protocol and xterm's modifyOtherKeys write them. Nothing of what is swallowed
    is kept, so that one without an end costs no memory.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._state: Callable[[str], None] = self._ground
        self._held = ""  # of a sequence or a paste; in `_escape` not empty if this Esc may end a string
        self._mouse_bytes = 0
        self._pasted: list[str] = []
        self._keys: list[str] = []

    @property
    def patience_s(self) -> float | None:
        """How many seconds of quiet end what has begun, by a call of `flush`; None: none is to."""
        if self._state in (self._escape, self._designation) and not self._held:
            return ESC_TIMEOUT_S
        quiet = self._state in (self._ground, self._paste, self._rest_of_paste) and not self._mouse_bytes
        return None if quiet else SEQUENCE_TIMEOUT_S

    def feed(self, data: bytes) -> list[str]:
        """Return the keys that are complete now."""
        for byte in data:
            if self._mouse_bytes:
                self._mouse_bytes -= 1
                continue
            for char in self._decoder.decode(bytes((byte,))):
                if not "\udca0" <= char <= "\udcff":  # no text, and no control either
                    self._take(chr(ord(char) & 0xFF) if "\udc80" <= char < "\udca0" else char)
        return self._taken()

    def flush(self) -> list[str]:
        """Nothing followed for `patience_s`: a lone Esc is a key, any other fragment but a paste is dropped."""
        if self._state == self._escape and not self._held:
            self._keys.append("esc")
        if self.patience_s is not None:
            self._state, self._mouse_bytes = self._ground, 0
        return self._taken()

    def _taken(self) -> list[str]:
        keys, self._keys = self._keys, []
        return keys

    def _enter(self, state: Callable[[str], None], held: str = "") -> None:
        self._state, self._held = state, held

    def _take(self, char: str) -> None:
        """Go on by a character, or by the C1 control that a byte is which is no UTF-8."""
        if self._state in (self._paste, self._rest_of_paste):
            for part in "\x1b[" if char == "\x9b" else char:
                self._state(part)
        elif char == "\x1b":
            if self._state == self._escape and not self._held:
                self._keys.append("esc")
            self._enter(self._escape, "st" if self._state == self._string else "")
        elif char in "\x18\x1a" or "\x80" <= char <= "\x9f":
            self._enter(self._ground)
            if (introducer := chr(ord(char) & 0x7F | 0x40)) in "[O]PX^_" and char > "\x80":
                self._escape(introducer)
        else:
            self._state(char)

    # -- the states ----------------------------------------------------------------------------------------

    def _ground(self, char: str) -> None:
        if key := _key(char):
            self._keys.append(key)

    def _escape(self, char: str) -> None:
        """After Esc: an introducer, the end of a string, or a key pressed together with Alt."""
        ends_string = self._held and char == "\\"
        if char in "[O":
            self._enter(self._sequence, char)
        elif char in "]PX^_":
            self._enter(self._string)
        elif " " <= char <= "/":
            self._enter(self._designation)
        else:
            self._enter(self._ground)
            if not ends_string and (key := _key_with_alt(char)):
                self._keys.append(key)

    def _designation(self, char: str) -> None:
        """After Esc and an intermediate: the final character; none is a key, nor is Alt with the intermediate."""
        if not " " <= char <= "/":
            self._enter(self._ground)

    def _string(self, char: str) -> None:
        if char == "\a":
            self._enter(self._ground)

    def _sequence(self, char: str) -> None:
        """In CSI or SS3: parameters, intermediates, a final character; text ends it before its time."""
        held = self._held
        if " " <= char <= "?" and not (char == "$" and held[1:].isdigit()):
            self._held = (held + char)[:LONGEST_SEQUENCE]
            return
        self._enter(self._ground)
        if held == char == "[":
            self._enter(self._console_key)
        elif held + char == "[M":
            self._mouse_bytes = 3
        elif held + char == _PASTE_BEGIN:
            self._pasted.clear()
            self._enter(self._paste)
        elif "@" <= char <= "~":
            self._keys += _sequence_keys(held, char)
        elif char != "$":
            self._ground(char)

    def _console_key(self, _char: str) -> None:
        self._enter(self._ground)

    def _paste(self, char: str) -> None:
        """In a bracketed paste; one that is too long is given as far as it may go, and its rest swallowed."""
        self._held = (self._held + char)[-len(_PASTE_END) :]
        self._pasted.append(char)
        ended = self._held == _PASTE_END
        if ended or len(self._pasted) == LONGEST_PASTE + len(_PASTE_END):
            self._keys.append("paste:" + "".join(self._pasted).removesuffix(_PASTE_END)[:LONGEST_PASTE])
            self._state = self._rest_of_paste
        if ended:
            self._enter(self._ground)

    def _rest_of_paste(self, char: str) -> None:
        self._held = (self._held + char)[-len(_PASTE_END) :]
        if self._held == _PASTE_END:
            self._enter(self._ground)


def _key(char: str) -> str:
    """Return the name of the key that types `char`, empty for none."""
    if char in _CONTROL_KEYS:
        return _CONTROL_KEYS[char]
    return " " if unicodedata.category(char) == "Zs" else char if char.isprintable() else ""


def _key_with_alt(char: str) -> str:
    return "alt-backspace" if char == "\x7f" else f"alt-{char}" if char.isprintable() else ""


def _char(code: int) -> str:
    """Return the character of a code point that came from outside; NUL for what is none."""
    return chr(code) if 0 <= code < 0xD800 or 0xE000 <= code <= sys.maxunicode else "\0"


def _sequence_keys(begun: str, final: str) -> list[str]:
    """Return the key that a complete sequence stands for, by itself and pressed rather than released.

    Parameters as in kitty's protocol, of which xterm's are a part: code ; modifiers:event ; text, each with `:` inside.
    """
    if not re.fullmatch(r"[\[O][0-9:;]*", begun):
        return []
    fields = [[int(part or 0) for part in field.split(":")] for field in begun[1:].split(";")] + [[0], [0]]
    codes, (modifiers, *event), text = fields[0], fields[1], fields[2]
    if begun[0] == "[" and final == "~" and codes == [27]:  # modifyOtherKeys
        codes, text, final = text, [0], "u"
    held = max(0, modifiers - 1) & ~_NUM
    if event[:1] == [_RELEASED]:
        return []
    if begun[0] == "[" and final == "u":
        return _typed_keys(codes, held, text)
    number = begun[1:] if begun[0] == "O" else codes[0] if final == "~" else ""
    key, held = _SEQUENCES.get(f"{begun[0]}{number}{final}", ""), held & ~_CAPS
    if held:
        key = _WITH[held] + key if held in _WITH and key in ("left", "right") else ""
    return [key] if key else []


def _typed_keys(codes: Sequence[int], held: int, text: Sequence[int]) -> list[str]:
    """Return what `CSI u` types: the key's code and that with shift, the modifiers held, the text where it is told."""
    code = codes[1] if held & _SHIFT and len(codes) > 1 and codes[1] else codes[0]
    char = _char(code)
    if code in _KEYPAD and not held & ~_CAPS:
        return [_KEYPAD[code]]
    if bool(held & _SHIFT) != bool(held & _CAPS) and len(char.upper()) == 1:
        char = char.upper()
    if held & ~(_SHIFT | _CAPS) == _CTRL:
        char, text = (chr(ord(char.upper()) & 0x1F) if "@" <= char.upper() <= "_" else "\0"), [0]
    elif held & ~(_SHIFT | _CAPS) == _ALT:
        return [key] if (key := _key_with_alt(char)) else []
    elif held & ~(_SHIFT | _CAPS):
        return []
    chars = [_char(code) for code in text if code] or [char]
    return [key for char in chars if (key := _key(char))]
