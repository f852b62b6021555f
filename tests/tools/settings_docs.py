"""Writes what follows from the table of settings: `.env.example`, and the table between two marks in the README."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

from base.texts import text
from config import OPTIONS
from settings.kinds import PREFIX
from settings.options import PREFIXED

LINE_WIDTH: Final = 110
ROOT: Final = Path(__file__).resolve().parents[2]
BEGIN: Final = "<!-- settings: made by `make settings` -->\n"
END: Final = "<!-- end of settings -->\n"


def env_example() -> str:
    """Return the text of `.env.example`: every setting that `.env` may hold, with its range and default."""
    head = (
        "Settings. Copy this file to .env and change what you like; what you leave out keeps its default.",
        "The command line goes before the environment, the environment before .env. In the environment these names",
        f"need {PREFIX} before them: {', '.join(sorted(PREFIXED))}.",
    )
    lines = [f"# {line}" for line in head]
    group = ""
    for option in OPTIONS:
        if not option.env:
            continue
        if option.group != group:
            group = option.group
            lines += ["", f"# ---- {text('en', f'help.group.{group}')} ----"]
        default = f" (default {option.default})" if option.default is not None else ""
        words = f"{option.help()}: {option.kind.accepts}{default}"
        lines += ["", *(f"# {line}" for line in textwrap.wrap(words, LINE_WIDTH))]
        lines.append(f"# {option.env}={option.example}" if option.default is None else f"{option.env}={option.default}")
    return "\n".join(lines) + "\n"


def markdown_table() -> str:
    """Return the README's table of settings."""
    rows = ["| setting | option | default | accepted | what it does |", "|---|---|---|---|---|"]
    for option in OPTIONS:
        if option.env:
            cells = (
                f"`{option.env}`",
                f"`{option.flags[0]}`" if option.flags else "–",
                f"`{option.default}`" if option.default is not None else "–",
                str(option.kind.accepts).replace("|", "\\|"),
                option.help().replace("|", "\\|"),
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def wanted() -> dict[Path, str]:
    """Return the text that each document should have."""
    texts = {ROOT / ".env.example": env_example()}
    readme = ROOT / "README.md"
    text = readme.read_text() if readme.exists() else ""
    if BEGIN in text and END in text:
        head, _, rest = text.partition(BEGIN)
        texts[readme] = head + BEGIN + markdown_table() + END + rest.partition(END)[2]
    return texts


if __name__ == "__main__":
    for path, content in wanted().items():
        path.write_text(content)
        print(f"wrote {path.relative_to(ROOT)}")
