"""What the modes beside playing print with: lines, coloured where that is wanted, and one line that comes and goes.

rich decides about colour: none when the output is no terminal, or with NO_COLOR. Whatever stands in a file's name or a
server's reply is printed as harmless text, and a character that the terminal cannot show is replaced.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from outlet import terminal_size
from widgets import fit, pad, wrap

FAINT: Final = "dim"
LEAST_ROOM: Final = 20


def harmless(value: object) -> str:
    """Return `value` in full as one harmless line: what is no visible character or space becomes a space."""
    text = (c if c.isprintable() or unicodedata.category(c) == "Zs" else " " for c in str(value))
    return "".join(text).strip()


def column(words: Sequence[str]) -> list[str]:
    """Return `words`, each filled to the cells of the widest."""
    widest = max(map(cell_len, words), default=0)
    return [pad(word, widest) for word in words]


class Lines:
    """Prints to one stream; a reader that has gone away (`| head`) ends the program quietly.

    Threads: one.
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._passing = False

    def say(self, line: str | Text = "") -> None:
        """Print a line; a long one is left for the terminal to wrap."""
        self._wipe()
        self._console.print(line)

    def hang(self, head: Text, words: str, style: str = "") -> None:
        """Print `words` behind `head`; on a terminal, the lines that follow stand below the words."""
        room = terminal_size(self._stream).columns - head.cell_len
        parts = wrap(words, room) if self._console.is_terminal and room >= LEAST_ROOM else [words]
        for number, part in enumerate(parts):
            self.say(Text.assemble(head if number == 0 else " " * head.cell_len, (part, style)))

    def passing(self, line: str) -> None:
        """Show a line until the next one, on a terminal only."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._wipe()
            self._stream.write(fit(line, terminal_size(self._stream).columns - 1))
            self._stream.flush()
            self._passing = True

    def close(self) -> None:
        """Leave no passing line behind."""
        self._wipe()
        self._stream.flush()

    def _wipe(self) -> None:
        if self._passing:
            self._stream.write("\r\x1b[K")
            self._passing = False
