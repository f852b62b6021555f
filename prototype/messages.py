"""Every sentence a person reads while the music plays, in English and Japanese.

A text is a `str.format` template; both languages of a key take the same fields. They are written down in `texts`
(notices), `ui_texts` (the screen) and `mode_texts` (what the modes beside playing print).
"""

from __future__ import annotations

from typing import Final

from mode_texts import MODES
from texts import NOTICES
from ui_texts import UI

LANGUAGES = ("en", "ja")

TEXTS: Final[dict[str, tuple[str, str]]] = {**NOTICES, **UI, **MODES}


def text(language: str, key: str, **fields: object) -> str:
    """Return the text of `key` in `language` ("en" or "ja"), with its fields filled in."""
    return TEXTS[key][LANGUAGES.index(language)].format(**fields)
