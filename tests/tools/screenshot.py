"""Draw screens of the dashboard: into an SVG file for the README, or all of them as text into `tests/golden`.

PYTHONPATH=prototype:tests python tests/tools/screenshot.py main .docs/main.svg --size 80x24 --theme dark
PYTHONPATH=prototype:tests python tests/tools/screenshot.py golden
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, TerminalTheme
from rich.text import Text

from screen.picture import Frame, render
from tools.screens import screen

DARK = TerminalTheme(
    (24, 26, 31),
    (205, 208, 214),
    [(40, 44, 52), (224, 108, 117), (140, 190, 120), (219, 180, 110), (97, 160, 225), (190, 130, 210), (90, 185, 190),
     (190, 195, 205)],
    [(95, 101, 113), (235, 125, 130), (160, 205, 140), (235, 200, 130), (120, 180, 240), (205, 150, 225),
     (115, 205, 210), (235, 238, 245)],
)  # fmt: skip


GOLDEN = Path(__file__).parents[1] / "screen" / "golden"
SCREENS = ("main", "alone", "trouble", "first", "help", "stations", "history", "timer", "prompt")
GOLDEN_SCREENS = (
    *(("main", width, height) for width, height in ((40, 10), (60, 16), (120, 30), (200, 60))),
    *((name, width, height) for name in SCREENS for width, height in ((60, 16), (80, 24)) if name != "main"),
    ("main", 80, 24),
)


def lines_of(frame: Frame) -> list[Text]:
    """Return the lines of a picture as rich has them."""
    return [Text.from_ansi(frame.ansi(index)) for index in range(len(frame.rows))]


def printed(frame: Frame) -> Text:
    """Return a picture as rich prints it."""
    return Text("\n").join(lines_of(frame))


def as_text(name: str, width: int, height: int, language: str) -> str:
    """Return a screen as a terminal without colour gets it, less the spaces at the ends of lines."""
    console = Console(file=io.StringIO(), width=width, height=height, no_color=True, color_system=None)
    with console.capture() as capture:
        console.print(printed(render(screen(name, language), width, height, language)), end="")
    return "\n".join(line.rstrip() for line in capture.get().split("\n")) + "\n"


def golden_path(name: str, width: int, height: int, language: str) -> Path:
    """Return where the text of a screen is kept."""
    return GOLDEN / f"{name}-{width}x{height}-{language}.txt"


def write_golden() -> None:
    """Write what the screens look like now; read the difference before keeping it."""
    GOLDEN.mkdir(exist_ok=True)
    for name, width, height in GOLDEN_SCREENS:
        for language in ("en", "ja"):
            path = golden_path(name, width, height, language)
            path.write_text(as_text(name, width, height, language), encoding="utf-8")


def write_svg(name: str, path: Path, width: int, height: int, language: str, theme: TerminalTheme) -> None:
    """Write a picture of a screen."""
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(printed(render(screen(name, language), width, height, language)), end="")
    path.write_text(console.export_svg(title="python prototype/app.py", theme=theme), encoding="utf-8")


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description="Draw screens of the dashboard.")
    parser.add_argument("screen", choices=(*SCREENS, "golden"))
    parser.add_argument("output", type=Path, nargs="?", help="the SVG file")
    parser.add_argument("--size", default="80x24", help="columns x rows")
    parser.add_argument("--lang", choices=("en", "ja"), default="en")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    options = parser.parse_args()
    if options.screen == "golden":
        write_golden()
        return
    if options.output is None:
        parser.error("name the SVG file to write")
    width, height = (int(part) for part in options.size.split("x"))
    theme = DARK if options.theme == "dark" else DEFAULT_TERMINAL_THEME
    write_svg(options.screen, options.output, width, height, options.lang, theme)


if __name__ == "__main__":
    main()
