"""The real instruments, as values: which of a General MIDI font play, how, and for which of the synthesised voices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from builtin import kit, synth
from builtin.score import Part, Player, Role

DRUM_BANK: Final = 128
OCTAVES_DARKER: Final = {"lofi": 0.5, "ambient": 0.5, "rain": 0.4, "focus": 0.6, "jazz": -0.5, "bossa": -0.3}


@dataclass(frozen=True)
class Patch:
    """How one instrument of the font is played.

    `voice` is the numpy voice it stands for, beside which it plays at `blend_db` where they do not beat. A note of
    velocity USUAL is filtered `dark` octaves below 20 kHz, a softer one `soft` more, a unit of velocity. Its loudness
    is measured over `level_s`: a single bow swells for long.
    """

    voice: str
    program: int
    dark: float
    soft: float
    release_s: float = 0.25
    attack_s: float = 0.0
    width: float = 0.8
    cents: float = 2.5
    blend_db: float | None = None
    bank: int = 0
    level_s: float = 0.6

    def simple(self, seed: int) -> Player:
        """Return the numpy voice."""
        return kit.KitPlayer() if self.bank else synth.NumpyPlayer(Part("", Role.LEAD, self.voice), seed)


PATCHES: Final = {
    patch.voice: patch
    for patch in (
        Patch("keys", 4, 2.2, 2.6, release_s=0.2),
        Patch("piano", 0, 0.2, 1.8, release_s=0.35, attack_s=0.003, width=0.6, blend_db=-7),
        Patch("nylon", 24, 0.5, 1.8, release_s=0.2, cents=3.5),
        Patch("harp", 46, 0.5, 1.8, release_s=0.9),
        Patch("koto", 107, 0.4, 1.8, release_s=0.8, cents=4),
        Patch("pizzicato", 45, 0.6, 1.8, release_s=0.3, cents=4),
        Patch("upright", 32, 2.2, 2.0, release_s=0.12, width=0.0, cents=3),
        Patch("bass", 33, 3.0, 2.0, release_s=0.1, width=0.0),
        Patch("vibes", 11, 1.5, 2.4, release_s=0.5),
        Patch("marimba", 12, 1.2, 2.4, release_s=0.3),
        Patch("bell", 8, 1.5, 2.0, release_s=0.9),
        Patch("strings", 49, 0.4, 1.2, release_s=0.7, attack_s=0.25, blend_db=-3),
        Patch("violin", 40, 0.8, 1.4, release_s=0.3, attack_s=0.09, cents=4, level_s=1.1),
        Patch("cello", 42, 1.0, 1.4, release_s=0.4, attack_s=0.10, cents=4, level_s=1.1),
        Patch("flute", 73, 1.3, 1.8, release_s=0.2, attack_s=0.05, cents=4),
        Patch("shakuhachi", 77, 1.3, 1.8, release_s=0.3, attack_s=0.06, cents=6),
    )
}
# By station; the synthesised kits of the others are what their styles are made of. A standard kit has a second snare
# where a stroke of the brush is meant, and a brush kit a long swirl: there the numpy kit plays.
KITS: Final = {
    "lofi": Patch("kit", 0, 1.6, 2.0, cents=9, blend_db=-7, bank=DRUM_BANK),
    "rain": Patch("kit", 40, 1.4, 2.0, cents=9, blend_db=-8, bank=DRUM_BANK),
    "jazz": Patch("kit", 40, 0.6, 1.8, cents=9, bank=DRUM_BANK),
    "bossa": Patch("kit", 0, 0.8, 2.0, cents=9, bank=DRUM_BANK),
}
