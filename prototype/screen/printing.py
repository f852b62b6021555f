"""How the modes beside playing print: line by line, in a person's language.

rich decides about colour (none when the output is no terminal, or with NO_COLOR), whatever stands in a file's name or a
server's reply is printed as harmless text, and a character that the terminal cannot show is replaced.
"""

from __future__ import annotations

import contextlib
import io
import unicodedata
from collections.abc import Iterator
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from base.errors import StartupError
from base.texts import Said, said, uncommanding
from screen.terminal import terminal_size
from screen.widgets import fit, wrap

FAINT: Final = "dim"
LEAST_ROOM: Final = 20


def harmless(value: object) -> str:
    """Return `value` in full as one harmless line: what commands a terminal goes, any other invisible is a space."""
    text = (c if c.isprintable() or unicodedata.category(c) == "Zs" else " " for c in uncommanding(str(value)))
    return "".join(text).strip()


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartupError(said("output.refused", reason=error)) from error


class Lines:
    """Prints to one stream, in one language.

    Raises StartupError where the stream takes nothing. Threads: one.
    """

    def __init__(self, stream: TextIO, language: str) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self.stream = stream
        self.language = language
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._passing = False

    @_written()
    def say(self, line: str | Text = "") -> None:
        """Print a line; a long one is left for the terminal to wrap."""
        self._wipe()
        self._console.print(line)

    def tell(self, words: Said, style: str = "") -> None:
        """Print what is said."""
        self.say(Text(harmless(words.words(self.language)), style))

    def hang(self, head: Text, words: str, style: str = "") -> None:
        """Print `words` behind `head`; on a terminal, the lines that follow stand below the words."""
        room = terminal_size(self.stream).columns - head.cell_len
        parts = wrap(words, room) if self._console.is_terminal and room >= LEAST_ROOM else [words]
        for index, part in enumerate(parts):
            self.say(Text.assemble(head if index == 0 else " " * head.cell_len, (part, style)))

    @_written()
    def passing(self, words: Said) -> None:
        """Show what is said until the next line, on a terminal only."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._wipe()
            line = harmless(words.words(self.language))
            self.stream.write(fit(line, terminal_size(self.stream).columns - 1))
            self.stream.flush()
            self._passing = True

    @_written()
    def close(self) -> None:
        """Leave no passing line behind."""
        self._wipe()
        self.stream.flush()

    def _wipe(self) -> None:
        if self._passing:
            self.stream.write("\r\x1b[K")
            self._passing = False
