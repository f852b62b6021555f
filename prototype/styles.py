"""What the built-in engine knows of styles: who plays, which patterns, over which progressions.

Positions and lengths are beats within a bar of four; a drum pattern is 16 steps ("X" loud, "x" normal, "o" soft).
Degrees count from 0 on the diatonic scale, so that every chord stays in the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from values import Recipe

Hits = tuple[tuple[float, float], ...]
"""(position, length) pairs."""

MAJOR: Final = (0, 2, 4, 5, 7, 9, 11)
MINOR: Final = (0, 2, 3, 5, 7, 8, 10)

PROGRESSIONS: Final[dict[str, tuple[tuple[int, ...], ...]]] = {
    "major": (
        (3, 2, 1, 0), (0, 5, 1, 4), (1, 4, 0, 5), (3, 4, 2, 5), (5, 3, 0, 4), (0, 2, 3, 4), (0, 5, 3, 1), (3, 0, 1, 5),
    ),
    "minor": (
        (0, 5, 2, 6), (0, 3, 6, 2), (5, 6, 0, 2), (0, 4, 5, 3), (3, 6, 2, 5), (0, 6, 5, 6), (5, 2, 6, 0), (0, 3, 5, 4),
    ),
    # For styles that hardly move.
    "calm major": ((0, 3), (0, 5), (0, 3, 5, 3), (0, 1), (3, 0)),
    "calm minor": ((0, 5), (0, 3), (0, 6, 5, 6), (0, 2), (5, 0)),
}  # fmt: skip

SCALES: Final[dict[str, dict[str, tuple[int, ...]]]] = {
    "pentatonic": {"major": (0, 2, 4, 7, 9), "minor": (0, 3, 5, 7, 10)},
    "hirajoshi": {"major": (0, 2, 4, 7, 9), "minor": (0, 2, 3, 7, 8)},
}

COMPS: Final[dict[str, Hits]] = {
    "hold": ((0, 4),),
    "push": ((0, 2.4), (2.5, 1.4)),
    "charleston": ((0, 1.2), (1.5, 2.3)),
    "late": ((0, 0.9), (1.5, 0.9), (3, 0.9)),
    "answer": ((0, 2.9), (3.5, 0.5)),
    "off": ((0.5, 0.8), (2.5, 1.2)),
    "bossa": ((0, 0.9), (1.5, 0.9), (3, 0.9)),
    "bossa late": ((0.5, 0.9), (1.5, 0.4), (2, 1.4), (3.5, 0.5)),
    "stab": ((0.5, 0.3), (1.25, 0.3), (2.5, 0.3)),
    "dub": ((1.5, 0.35), (3.25, 0.3)),
}

BASSES: Final[dict[str, tuple[tuple[float, float, str], ...]]] = {
    # (position, length, tone): r root, f fifth, o octave, t third, n a step from the next root
    "held": ((0, 3.9, "r"),),
    "groove": ((0, 1.3, "r"), (1.5, 0.4, "r"), (2.5, 1.3, "f")),
    "lazy": ((0, 2.3, "r"), (2.5, 0.9, "r"), (3.5, 0.45, "n")),
    "walk": ((0, 0.95, "r"), (1, 0.95, "t"), (2, 0.95, "f"), (3, 0.95, "n")),
    "stroll": ((0, 1.9, "r"), (2, 0.95, "f"), (3, 0.95, "n")),
    "pulse": tuple((step / 2, 0.4, "o" if step in (3, 6) else "r") for step in range(8)),
    "steady": tuple((step / 2, 0.4, "r") for step in range(8)),
    "between": tuple((beat + 0.5, 0.4, "r") for beat in range(4)),
    "rolling": ((0.5, 0.3, "r"), (1.5, 0.3, "r"), (1.75, 0.2, "o"), (2.5, 0.3, "r"), (3.5, 0.4, "f")),
    "bossa": ((0, 1.4, "r"), (1.5, 0.45, "r"), (2, 1.4, "f"), (3.5, 0.45, "f")),
    "waltz": ((0, 2.8, "r"),),
}

DRUMS: Final[dict[str, dict[str, str]]] = {
    "lofi": {"kick": "X.......o.X.....", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.oo"},
    "lofi lazy": {"kick": "X.....x...x.....", "snare": "....x.......x..o", "hat": "o.x.o.x.o.x.o.x."},
    "soft": {"kick": "x.........o.....", "rim": "....o.......o...", "shaker": "o.o.o.o.o.o.o.o."},
    "swing": {"ride": "x...x.o.x...x.o.", "brush": "o...x...o...x...", "kick": "o.......o......."},
    "swing light": {"ride": "x...x...x...x.o.", "hat": "....x.......x...", "brush": "..o...o...o...o."},
    "retro": {"kick": "X.......X.......", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
    "retro half": {"kick": "X.....x...x.....", "snare": "........x.......", "hat": "o.x.o.x.o.x.o.x."},
    "bossa": {"kick": "x..ox..ox..ox..o", "rim": "x..x..x...x..x..", "shaker": "xoooxoooxoooxooo"},
    "bossa light": {"kick": "x.......x.......", "rim": "..x...x...x..x..", "shaker": "o.x.o.x.o.x.o.x."},
    "four": {"kick": "X...X...X...X...", "hat": "..x...x...x...x.", "rim": "...o......o....."},
    "four open": {
        "kick": "X...X...X...X...", "hat": "o.x.o.x.o.x.o.x.", "shaker": "o.ooo.ooo.ooo.oo", "rim": "......o......o..",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A way of playing. An empty voice or pattern list leaves that part out.

    `words`: words of a prompt that call for it. `bars`: bars a chord lasts. `colour`: tones a chord has.
    `melody`: share of two-bar phrases with a tune. `swing`: delay of the off-beat, as a share of `swing_beats`.
    `levels_db`: loudness of the parts relative to the chords, over LEVELS_DB.
    """

    words: tuple[str, ...]
    chords: tuple[str, ...] = ()
    comps: tuple[str, ...] = ("hold",)
    pad: tuple[str, ...] = ()
    bass: str = "bass"
    basses: tuple[str, ...] = ("held",)
    drums: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    melody: float = 0.5
    arpeggio: tuple[str, ...] = ()
    arpeggio_beats: float = 0.5
    scale: str = "pentatonic"
    harmony: str = ""
    bars: int = 1
    colour: int = 4
    swing: float = 0.0
    swing_beats: float = 0.25
    texture: str = ""
    room_s: float = 1.4
    wet: float = 0.22
    echo_beats: float = 0.0
    levels_db: tuple[tuple[str, float], ...] = ()


LEVELS_DB: Final = {"chords": 0, "pad": -7, "bass": -5, "drums": -5, "lead": -4, "arpeggio": -4, "texture": -22}

STYLES: Final[dict[str, Style]] = {
    "focus": Style(
        words=("drone", "motionless", "meditation", "meditative"), pad=("organ", "pad"), bass="organ", melody=0,
        lead=(), harmony="calm ", bars=4, colour=3, texture="hum", room_s=3.0, wet=0.35,
        levels_db=(("pad", 0), ("bass", -3), ("texture", -20)),
    ),
    "techno": Style(
        words=("techno", "house", "four-on-the-floor"), chords=("analog", "keys"), comps=("dub", "stab", "off"),
        pad=("pad",), bass="bass", basses=("between", "rolling"), drums=("four", "four open"),
        arpeggio=("marimba",), arpeggio_beats=0.25, lead=("bell",), melody=0.12, harmony="calm ", bars=2,
        room_s=1.2, wet=0.3, echo_beats=0.75,
        levels_db=(("drums", -4), ("bass", -6), ("pad", -9), ("arpeggio", -6), ("lead", -8)),
    ),
    "synthwave": Style(
        words=("synthwave", "retrowave", "outrun", "synth-pop"), pad=("synth",), bass="analog",
        basses=("steady", "pulse"), drums=("retro", "retro half"), arpeggio=("analog", "bell"), arpeggio_beats=0.25,
        lead=("synth", "violin"), melody=0.35, colour=3, room_s=1.6, wet=0.25, echo_beats=0.75,
        levels_db=(("pad", -2), ("arpeggio", -5), ("lead", -5)),
    ),
    "koto": Style(
        words=("koto", "japanese", "zen", "shamisen", "shakuhachi"), pad=("pad",), bass="koto", lead=("koto",),
        melody=0.9, arpeggio=("koto",), arpeggio_beats=1.0, scale="hirajoshi", harmony="calm ", bars=2, colour=3,
        texture="stream", room_s=2.2, wet=0.3,
        levels_db=(("lead", 0), ("pad", -6), ("bass", -7), ("arpeggio", -8), ("texture", -25)),
    ),
    "bossa": Style(
        words=("bossa", "samba", "brazilian"), chords=("nylon",), comps=("bossa", "bossa late", "late"), bass="upright",
        basses=("bossa",), drums=("bossa", "bossa light"), lead=("flute", "vibes", "keys"), melody=0.5, colour=5,
        room_s=0.9, wet=0.16, levels_db=(("drums", -6), ("lead", -4)),
    ),
    "jazz": Style(
        words=("jazz", "swing"), chords=("piano", "keys"), comps=("charleston", "answer", "off", "late"),
        bass="upright", basses=("walk", "stroll"), drums=("swing", "swing light"), lead=("vibes", "nylon", "flute"),
        melody=0.6, colour=5, swing=0.3, swing_beats=0.5, room_s=0.9, wet=0.18, levels_db=(("drums", -4),),
    ),
    "strings": Style(
        words=("string", "classical", "orchestra", "chamber", "cello"), pad=("strings",), bass="strings",
        basses=("held",), arpeggio=("pizzicato", "harp"), lead=("violin",), melody=0.65, colour=3, room_s=2.2,
        wet=0.32, levels_db=(("pad", 0), ("arpeggio", -3), ("bass", -4), ("lead", -3)),
    ),
    "ambient": Style(
        words=("ambient", "beatless", "soundscape"), pad=("pad", "choir"), bass="bass", lead=("bell", "piano", "vibes"),
        melody=0.5, harmony="calm ", bars=2, colour=5, texture="wind", room_s=3.2, wet=0.4, echo_beats=1.5,
        levels_db=(("pad", 0), ("bass", -7), ("lead", -5), ("texture", -26)),
    ),
    "nature": Style(
        words=("nature", "forest", "pastoral", "folk", "acoustic"), pad=("pad",), bass="nylon",
        arpeggio=("nylon", "harp"), lead=("flute", "harp"), melody=0.4, bars=2, colour=3, texture="stream",
        room_s=1.8, wet=0.28, levels_db=(("arpeggio", 0), ("pad", -6), ("bass", -5), ("texture", -19)),
    ),
    "rain": Style(
        words=("rain", "drizzle"), chords=("piano", "keys"), comps=("hold", "push", "answer"), pad=("pad",),
        basses=("held", "lazy"), drums=("soft",), lead=("vibes", "piano", "nylon"), melody=0.4, colour=5, swing=0.12,
        texture="rain", room_s=1.8, wet=0.28, levels_db=(("drums", -6), ("pad", -10), ("texture", -14)),
    ),
    "piano": Style(
        words=("piano",), arpeggio=("piano",), bass="piano", lead=("piano",), pad=("strings",), melody=0.6, colour=4,
        room_s=1.7, wet=0.26, levels_db=(("arpeggio", 0), ("lead", 0), ("bass", -3), ("pad", -15)),
    ),
    "lofi": Style(
        words=("lo-fi", "lofi", "chill", "chillhop", "hip hop"), chords=("keys", "piano"),
        comps=("hold", "push", "charleston", "answer"), basses=("groove", "lazy"), drums=("lofi", "lofi lazy"),
        lead=("vibes", "keys", "nylon", "piano"), melody=0.5, colour=5, swing=0.3, texture="vinyl", room_s=1.1,
        wet=0.2,
    ),
}  # fmt: skip

INSTRUMENT_WORDS: Final = (
    # What a prompt may name, and the voice that plays the tune then.
    ("vibraphone", "vibes"), ("marimba", "marimba"), ("kalimba", "marimba"), ("celesta", "bell"), ("bells", "bell"),
    ("koto", "koto"), ("shakuhachi", "flute"), ("flute", "flute"), ("whistle", "flute"), ("clarinet", "flute"),
    ("guitar", "nylon"), ("harp", "harp"), ("violin", "violin"), ("cello", "violin"), ("rhodes", "keys"),
    ("wurlitzer", "keys"), ("electric piano", "keys"), ("piano", "piano"),
)  # fmt: skip

TEXTURE_WORDS: Final = (
    ("rain", "rain"), ("drizzle", "rain"), ("vinyl", "vinyl"), ("dusty", "vinyl"), ("stream", "stream"),
    ("water", "stream"), ("wave", "stream"), ("forest", "stream"), ("wind", "wind"), ("hiss", "wind"),
)  # fmt: skip


def choose_style(recipe: Recipe) -> Style:
    """Return the style of the recipe's station, or else the one that most words of its prompt call for."""
    if recipe.station in STYLES:
        return STYLES[recipe.station]
    text = f"{recipe.station} {recipe.prompt}".lower()
    hits = {name: sum(_says(text, word) for word in style.words) for name, style in STYLES.items()}
    best = max(hits, key=lambda name: hits[name])
    return STYLES[best if hits[best] else "lofi"]


def named_voices(text: str) -> tuple[str, ...]:
    """Return the voices of the instruments that a prompt in lower case names."""
    return tuple(voice for word, voice in INSTRUMENT_WORDS if _says(text, word))


def named_texture(text: str) -> str:
    """Return the first texture that a prompt in lower case names, or ""."""
    return next((texture for word, texture in TEXTURE_WORDS if _says(text, word)), "")


def _says(text: str, word: str) -> bool:
    """Whether `text` holds `word` or its plural as a word of its own ("rain" is not in "restrained")."""
    return re.search(rf"\b{word}(s|y|fall)?\b", text) is not None
