"""Writes what follows from the table of settings: `.env.example`, and the table between two marks in the README."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from config import OPTIONS
from settings.options import env_example, markdown_table

ROOT: Final = Path(__file__).resolve().parents[2]
BEGIN: Final = "<!-- settings: made by `make settings` -->\n"
END: Final = "<!-- end of settings -->\n"


def wanted() -> dict[Path, str]:
    """Return the text that each document should have."""
    texts = {ROOT / ".env.example": env_example(OPTIONS)}
    readme = ROOT / "README.md"
    text = readme.read_text() if readme.exists() else ""
    if BEGIN in text and END in text:
        head, _, rest = text.partition(BEGIN)
        texts[readme] = head + BEGIN + markdown_table(OPTIONS) + END + rest.partition(END)[2]
    return texts


if __name__ == "__main__":
    for path, content in wanted().items():
        path.write_text(content)
        print(f"wrote {path.relative_to(ROOT)}")
