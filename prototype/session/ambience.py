"""The sound under the music, as the listener wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from base.workers import Later
from builtin import ambience
from config import Settings
from music.segment import Endless
from spool.state_files import remember

OFF: Final = "off"
NAMES: Final = (OFF, *ambience.PLACES)
FULL_UNDER_MUSIC_LU: Final = 6.0

LayUnder = Callable[[Endless | None, float], None]


class Ambience:
    """What is wished for under the music; it is made, and remembered, in `later`.

    Threads: one at a time; `view` is a value that any may read.
    """

    def __init__(
        self, settings: Settings, remembered: Mapping[str, int | str], later: Later, lay_under: LayUnder | None
    ) -> None:
        """`lay_under` None: there is no mixer for it."""
        name = str(remembered.get("ambience", settings.ambience)) if lay_under else OFF
        self.view = name if name in NAMES else OFF, int(remembered.get("ambience_volume", settings.ambience_volume))
        self._lay_under = lay_under
        self._later = later
        self._folder: Path = settings.spool_dir
        self._loudness_lufs = settings.target_lufs - FULL_UNDER_MUSIC_LU
        self._made: dict[str, Endless] = {}

    def change(self, name: str | None = None, percent: int | None = None) -> None:
        """Have `name`, one of NAMES, under the music, at `percent` of the loudest; None: as before."""
        before = self.view
        self.view = name or before[0], before[1] if percent is None else min(100, max(0, percent))
        self.follow()
        name, percent = self.view
        self._later("ambience saved", lambda: remember(self._folder, ambience=name, ambience_volume=percent))

    def follow(self) -> None:
        """Let what is heard be what is wished."""
        if self._lay_under and (self.view[0] != OFF or self._made):
            self._later("ambience", self._lay)

    def next_name(self) -> str:
        """Return what comes after the present one."""
        return NAMES[(NAMES.index(self.view[0]) + 1) % len(NAMES)]

    def _lay(self) -> None:
        name, percent = self.view
        if name != OFF and name not in self._made:
            self._made = {name: ambience.Ambience(name, self._loudness_lufs)}  # one is enough memory
        if self._lay_under:
            self._lay_under(self._made.get(name), percent / 100)
