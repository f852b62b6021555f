"""What the built-in engine knows of styles: who plays, which patterns, over which progressions, and how it feels.

Positions and lengths are beats within a bar of four; a drum pattern is 16 steps ("X" loud, "x" normal, "o" soft,
"," a ghost). Chords are Roman numerals (`harmony`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from music.segment import Recipe

Hits = tuple[tuple[float, float], ...]
"""(position, length) pairs."""

PROGRESSIONS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    # Family and mode; then by section: A, B (another light on it), T the turn, with a borrowed chord.
    "soul major": {
        "A": ("IVmaj9 iii7 ii9 Imaj9", "ii9 V13 Imaj9 vi9", "Imaj9 vi9 ii9 V9sus", "IVmaj9 V9sus iii7 vi9"),
        "B": ("vi9 ii9 IVmaj9 V9sus", "iii7 vi9 ii9 V13", "IVmaj9 iii7 vi9 Imaj9"),
        "T": ("IVmaj9 iv6 iii7 vi9", "bVImaj7 bVII9 Imaj9 Imaj9"),
    },
    "soul minor": {
        "A": ("i9 bVImaj7 bIIImaj7 bVII9", "i9 iv9 bVII9 bIIImaj9", "bVImaj7 bVII9 i9 i11", "i9 v7 bVImaj7 iv9"),
        "B": ("iv9 bVII9 bIIImaj9 bVImaj7", "iv9 i9 bVImaj7 v7", "bVImaj7 v7 iv9 i9"),
        "T": ("i9 IV9 bVImaj7 v7", "bIImaj7 bVImaj7 iv9 v7"),
    },
    "jazz major": {
        "A": ("Imaj9 vi9 ii9 V13", "ii9 V13 iii7 VI7", "Imaj9 II9 ii9 V13", "ii9 V13 Imaj9 vi9"),
        "B": ("IVmaj9 iv6 iii7 VI7", "iii7 vi9 ii9 V13", "IVmaj9 bVII9 Imaj9 vi9"),
        "T": ("bVImaj7 bVII9 Imaj9 VI7", "bIIImaj7 bVImaj7 ii9 V13"),
    },
    "jazz minor": {
        "A": ("i9 iv9 ii7b5 V7", "i9 bVImaj7 ii7b5 V7", "i6 iv9 bVII9 bIIImaj9", "i9 bVII9 bVImaj7 V7"),
        "B": ("iv9 bVII9 bIIImaj9 bVImaj7", "bVImaj7 v7 iv9 i9", "iv9 V7 i9 i6"),
        "T": ("bIImaj7 i9 bVImaj7 V7", "iv9 IV9 i9 V7"),
    },
    "song major": {
        "A": ("Iadd9 vi7 IVmaj7 V", "I iii7 IVmaj7 Vsus4", "IVmaj7 I V vi7", "Iadd9 IVadd9 vi7 V"),
        "B": ("vi7 IVmaj7 I V", "ii7 IVmaj7 vi7 V", "IVadd9 V iii7 vi7"),
        "T": ("IVmaj7 iv6 I Vsus4", "bVII IVadd9 I Iadd9"),
    },
    "song minor": {
        "A": ("iadd9 bVI bIII bVII", "iadd9 iv7 bVII bIII", "bVImaj7 bVII iadd9 v7", "iadd9 v7 bVI iv"),
        "B": ("bIII bVII iv7 bVI", "iv bVI bIII bVII", "bVImaj7 bIII bVII iv"),
        "T": ("bVI IV iadd9 bVII", "bIImaj7 bVI iv V"),
    },
    "calm major": {
        "A": ("Imaj9 IVmaj9 vi9 IVmaj9", "Imaj9 vi9 ii9 IVadd9", "IVmaj9 Iadd9 ii9 vi9", "Iadd9 ii9 IVmaj9 vi9"),
        "B": ("vi9 IVmaj9 iii7 IVmaj9", "iii7 IVmaj9 ii9 Iadd9", "ii9 IVadd9 vi9 IVmaj9"),
        "T": ("bVIImaj7 IVmaj9", "bVImaj7 Iadd9"),
    },
    "calm minor": {
        "A": (
            "i9 bVImaj9 iv9 bVImaj9",
            "i9 iv9 bIIImaj9 bVImaj7",
            "i11 bIIImaj9 bVIadd9 iv9",
            "iadd9 bVImaj7 bIIImaj9 bVIIadd9",
        ),
        "B": ("bIIImaj9 bVImaj9 iv9 bVImaj7", "iv9 bVImaj7 i9 bVIIadd9", "bVIadd9 bVIIadd9 iv9 i9"),
        "T": ("IV9 i9", "bIImaj7 bVImaj7"),
    },
    "drone major": {
        "A": ("Isus2 Iadd9 IVsus2 Isus2", "Iadd9 Isus2 I5 IVadd9", "I5 Isus2 vi7 IVsus2"),
        "B": ("IVsus2 Iadd9 vi7 IVadd9", "vi7 Vsus4 IVsus2 Isus2"),
        "T": ("bVIIsus2 Isus2 IVadd9 I5",),
    },
    "drone minor": {
        "A": ("isus2 iadd9 iv5 isus2", "iadd9 isus2 i5 bVIadd9", "i5 isus2 bIIIadd9 isus2"),
        "B": ("bVIadd9 iadd9 ivsus2 bVIIsus2", "bIIIadd9 bVIIsus2 ivsus2 isus2"),
        "T": ("IVsus2 isus2 bVIadd9 i5",),
    },
    "garden major": {
        "A": ("Isus2 vi7", "Iadd9 Vsus2", "I5 IVsus2"),
        "B": ("vi7 iii7", "ii7 vi7"),
        "T": ("bVIIsus2 IVsus2", "IVsus2 iv6"),
    },
    "garden minor": {
        "A": ("isus2 bVImaj7", "i5 v5", "iadd9 bVImaj7"),
        "B": ("bVImaj7 bIII", "iv7 v7"),
        "T": ("bIImaj7 isus2", "IVsus2 i5"),
    },
}

SCALES: Final[dict[str, dict[str, tuple[int, ...]]]] = {
    "pentatonic": {"major": (0, 2, 4, 7, 9), "minor": (0, 3, 5, 7, 10)},
    "hirajoshi": {"major": (0, 2, 4, 7, 9), "minor": (0, 2, 3, 7, 8)},
    "diatonic": {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)},
}

COMPS: Final[dict[str, Hits]] = {
    "hold": ((0, 4),),
    "push": ((0, 2.4), (2.5, 1.4)),
    "charleston": ((0, 1.2), (1.5, 2.3)),
    "late": ((0, 0.9), (1.5, 0.9), (3, 0.9)),
    "answer": ((0, 2.9), (3.5, 0.5)),
    "off": ((0.5, 0.8), (2.5, 1.2)),
    "sparse": ((1.5, 0.6), (3.5, 0.5)),
    "turned": ((0.5, 0.5), (2, 0.5), (3.5, 0.5)),
    "ballad": ((0, 1.9), (2, 1.9)),
    "bossa": ((0, 0.9), (1.5, 0.9), (3, 0.9)),
    "bossa answer": ((0, 0.9), (1, 0.4), (2.5, 1.4)),
    "bossa late": ((0.5, 0.9), (1.5, 0.4), (2, 1.4), (3.5, 0.5)),
    "stab": ((0.5, 0.3), (1.25, 0.3), (2.5, 0.3)),
    "dub": ((1.5, 0.35), (3.25, 0.3)),
    "dub late": ((0.75, 0.3), (2.5, 0.35)),
}

BASSES: Final[dict[str, tuple[tuple[float, float, str], ...]]] = {
    # (position, length, tone): r root, f fifth, o octave, t third, n a step from the next root; g a ghost of the root
    "held": ((0, 4, "r"),),
    "groove": ((0, 1.4, "r"), (1.5, 1, "r"), (2.5, 1.5, "f")),
    "lazy": ((0, 2.4, "r"), (2.25, 0.2, "g"), (2.5, 1, "r"), (3.5, 0.5, "n")),
    "answer": ((0, 2.9, "r"), (3, 0.5, "o"), (3.5, 0.5, "f")),
    "walk": ((0, 1, "r"), (1, 1, "t"), (2, 1, "f"), (3, 1, "n")),
    "walk down": ((0, 1, "r"), (1, 1, "o"), (2, 1, "f"), (3, 1, "n")),
    "walk skip": ((0, 1, "r"), (1, 0.67, "f"), (1.67, 0.33, "g"), (2, 1, "t"), (3, 1, "n")),
    "stroll": ((0, 2, "r"), (2, 1, "f"), (3, 1, "n")),
    "pulse": tuple((step / 2, 0.47, "o" if step in (3, 6) else "r") for step in range(8)),
    "steady": tuple((step / 2, 0.47, "r") for step in range(8)),
    "climb": tuple((step / 2, 0.47, "rrrfrrot"[step]) for step in range(8)),
    "between": tuple((beat + 0.5, 0.5, "r") for beat in range(4)),
    "rolling": ((0.5, 0.4, "r"), (1.5, 0.25, "r"), (1.75, 0.3, "o"), (2.5, 0.4, "r"), (3.5, 0.5, "f")),
    "bossa": ((0, 1.5, "r"), (1.5, 0.5, "r"), (2, 1.5, "f"), (3.5, 0.5, "f")),
    "bossa turn": ((0, 1.5, "r"), (1.5, 0.5, "f"), (2, 1.5, "o"), (3.5, 0.5, "n")),
    "waltz": ((0, 3, "r"),),
    "waltz turn": ((0, 2, "r"), (2, 1, "f")),
    "broken": ((0, 2, "r"), (2, 2, "f")),
}

DRUMS: Final[dict[str, dict[str, str]]] = {
    "lofi": {"kick": "X......,o.X.....", "snare": "....X..,.,..x..,", "hat": "x.o.x.o.x.o.x,oo"},
    "lofi lazy": {"kick": "X.....x...x.....", "snare": "....X..,....x..o", "hat": "o,x.o,x.o.x.o,x."},
    "lofi broken": {
        "kick": "X..o....,.X..o..", "snare": "....x.,.....X.,.", "hat": "x.o.o.x.x.o.o,x.",
        "shaker": "..o...o...o...o.",
    },
    "soft": {"kick": "x.........o.....", "rim": "....o.......o...", "shaker": "o,o,o,o,o,o,o,o,"},
    "soft brushed": {"kick": "x......,..o.....", "brush": "..,.x...,.,.x..,", "shaker": "o.,.o.,.o.,.o,,."},
    "swing": {
        "ride": "x...X.o.x...X.o.", "brush": "o...x..,o...x...", "kick": ",.......,.......",
        "pedal": "....x.......x...",
    },
    "swing light": {"ride": "x...x...x...x.o.", "pedal": "....x.......x...", "brush": "..o...o...o...o."},
    "swing full": {
        "ride": "x...X.o.x.o.X.o.", "pedal": "....x.......x...", "brush": "o.,.x..,o,..x.,.",
        "kick": "o.....,.,.....o.",
    },
    "retro": {"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x,o,x,o,x,o,x,o,"},
    "retro half": {"kick": "X.....x...x.....", "snare": "........X.......", "hat": "o.x.o.x.o.x.o.x."},
    "retro drive": {
        "kick": "X...x...X...x...", "snare": "....X.......X...", "hat": "o,x,o,x,o,x,o,x,",
        "open_hat": "..o...o...o...o.",
    },
    "bossa": {"kick": "x..ox..ox..ox..o", "rim": "x..x..x...x..x..", "shaker": "xo,oxo,oxo,oxo,o"},
    "bossa light": {"kick": "x.......x.......", "rim": "..x...x...x..x..", "shaker": "o.x.o.x.o.x.o.x."},
    "bossa conga": {
        "kick": "x..ox..ox..ox..o", "rim": "x..x..x...x..x..", "shaker": "xo,oxo,oxo,oxo,o",
        "conga": "..o...oo..o...,o",
        "conga_low": "....o.......o...",
    },
    "four": {"kick": "X...X...X...X...", "hat": "..x...x...x...x.", "rim": "...o..,...o....."},
    "four open": {
        "kick": "X...X...X...X...", "open_hat": "..o...o...o...o.", "shaker": "o,oxo,oxo,oxo,ox",
        "rim": "......o......o..",
    },
    "four deep": {
        "kick": "X...X...X...X..,", "hat": "o,x,o,x,o,x,o,xo", "conga": "...o..o....o..,.",
        "snare": "....,.......o...",
    },
}  # fmt: skip

FILLS: Final[dict[str, tuple[dict[str, str], ...]]] = {
    # The last half of a bar that leads into a new section, by the drum that marks the style.
    "snare": (
        {"snare": "o.,.o,oo", "tom": "....o...", "tom_low": "......x."},
        {"snare": ".,o.x.oo", "kick": "x...o..."},
        {"tom": "x.o.....", "tom_low": "....x.o.", "snare": ",.,,..,o"},
    ),
    "rim": (
        {"rim": "o..o.ooo", "kick": "x...x..."},
        {"rim": ".o.o.o.x", "conga": "o.oo..oo", "conga_low": "....o.x."},
    ),
    "brush": ({"brush": "o.oo,ox.", "tom_low": "......o."}, {"brush": ",o,ox.oo", "kick": "o....o.."}),
}  # fmt: skip
LEVELS_DB: Final = {"chords": 0.0, "pad": -9.0, "bass": -6.0, "drums": 0.0, "lead": -1.0, "arpeggio": -4.0}
LATE_MS: Final = {
    "snare": 8.0, "brush": 6.0, "rim": 4.0, "hat": -3.0, "shaker": -4.0, "ride": -3.0, "bass": 4.0, "chords": 3.0,
    "lead": 9.0, "arpeggio": 2.0,
}  # fmt: skip

INSTRUMENT_WORDS: Final = (
    # What a prompt may name, and the voice that plays the tune then.
    ("vibraphone", "vibes"), ("marimba", "marimba"), ("kalimba", "marimba"), ("celesta", "bell"), ("bells", "bell"),
    ("koto", "koto"), ("shakuhachi", "shakuhachi"), ("flute", "flute"), ("whistle", "flute"), ("clarinet", "flute"),
    ("guitar", "nylon"), ("harp", "harp"), ("violin", "violin"), ("cello", "cello"), ("rhodes", "keys"),
    ("wurlitzer", "keys"), ("electric piano", "keys"), ("piano", "piano"),
)  # fmt: skip

TEXTURE_WORDS: Final = (
    ("rain", "rain"), ("drizzle", "rain"), ("vinyl", "vinyl"), ("dusty", "vinyl"), ("stream", "stream"),
    ("water", "stream"), ("wave", "stream"), ("forest", "stream"), ("wind", "wind"), ("hiss", "wind"),
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A way of playing. An empty voice or pattern list leaves that part out.

    `words`: words of a prompt that call for it. `bars`: bars a chord lasts. `melody`: share of two-bar phrases with a
    tune. `swing`: delay of the off-beat, as a share of `swing_beats`. `strum_s`: time between the strings of a chord.
    `centre`, `tune`: where chords and tune lie (MIDI). `loops`: the style is made of them. `levels_db`: levels of
    the parts, over LEVELS_DB; `late_ms`: where parts and drums stand in the beat, over LATE_MS. `trim_db` brings the
    usual piece to the engine's loudness (measured); `tape_db` is what the tape takes from the highs, `air_db` what the
    console gives above 5 kHz: both brought the timbre nearer to real recordings (measured).
    """

    words: tuple[str, ...]
    chords: tuple[str, ...] = ()
    comps: tuple[str, ...] = ("hold",)
    pad: tuple[str, ...] = ()
    bass: tuple[str, ...] = ("bass",)
    basses: tuple[str, ...] = ("held",)
    sub: bool = False
    drums: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    melody: float = 0.5
    arpeggio: tuple[str, ...] = ()
    arpeggio_beats: float = 0.5
    scale: str = "pentatonic"
    harmony: str = "soul"
    bars: int = 1
    swing: float = 0.0
    swing_beats: float = 0.25
    strum_s: float = 0.012
    centre: int = 62
    tune: int = 74
    loops: bool = False
    texture: str = ""
    texture_dbfs: float = -43.0
    room_s: float = 1.4
    wet: float = 0.22
    echo_beats: float = 0.0
    tape_db: float = 6.0
    air_db: float = 0.0
    levels_db: dict[str, float] = field(default_factory=dict)
    late_ms: dict[str, float] = field(default_factory=dict)
    trim_db: float = 0.0


STYLES: Final[dict[str, Style]] = {
    "focus": Style(
        tape_db=-2, air_db=2, trim_db=-4.2,
        words=("drone", "motionless", "meditation", "meditative"), pad=("organ", "pad", "choir"), bass=("drone",),
        lead=("bowl",), melody=0.6, harmony="drone", bars=2, centre=60, tune=72, texture="hum",
        texture_dbfs=-44, room_s=3.0, wet=0.35, levels_db={"pad": -4, "bass": -7, "lead": -5},
    ),
    "techno": Style(
        tape_db=5, air_db=-2, trim_db=-4.6,
        words=("techno", "house", "four-on-the-floor"), chords=("stab", "keys"), comps=("dub", "stab", "dub late"),
        pad=("pad",), bass=("bass",), basses=("between", "rolling"), sub=True,
        drums=("four", "four open", "four deep"), arpeggio=("marimba", "pluck"), arpeggio_beats=0.25, lead=("bell",),
        melody=0.2, harmony="calm", bars=2, strum_s=0.0, loops=True, room_s=1.2, wet=0.3, echo_beats=0.75,
        levels_db={"drums": -1, "bass": 0, "pad": -9, "arpeggio": -4, "lead": 0},
        late_ms={"snare": 2, "rim": 2, "bass": 1, "hat": -2, "shaker": -2, "chords": 1, "arpeggio": 0},
    ),
    "synthwave": Style(
        tape_db=10, trim_db=-3.1,
        words=("synthwave", "retrowave", "outrun", "synth-pop"), pad=("synth",), bass=("analog",),
        basses=("steady", "pulse", "climb"), drums=("retro", "retro half", "retro drive"),
        arpeggio=("pluck", "bell"), arpeggio_beats=0.25, lead=("saw", "glide"), melody=0.55, scale="diatonic",
        harmony="song", strum_s=0.0, room_s=1.6, wet=0.25, echo_beats=0.75,
        levels_db={"pad": -8, "arpeggio": -6, "lead": -2, "drums": -1, "bass": -4},
        late_ms={"snare": 3, "bass": 2, "lead": 5, "hat": -2, "arpeggio": 0},
    ),
    "koto": Style(
        tape_db=8, air_db=5, trim_db=0.1,
        words=("koto", "japanese", "zen", "shamisen", "shakuhachi"), pad=("pad",), bass=("harp",), basses=("broken",),
        lead=("koto", "shakuhachi"), melody=0.9, arpeggio=("koto",), arpeggio_beats=1.0, scale="hirajoshi",
        harmony="garden", bars=2, strum_s=0.03, tune=72, texture="stream", texture_dbfs=-52, room_s=2.2, wet=0.3,
        levels_db={"lead": 0, "pad": -8, "bass": -7, "arpeggio": -4},
        late_ms={"lead": 12, "arpeggio": 6},
    ),
    "bossa": Style(
        tape_db=4, trim_db=-4.2,
        words=("bossa", "samba", "brazilian"), chords=("nylon",), comps=("bossa", "bossa late", "bossa answer"),
        bass=("upright",), basses=("bossa", "bossa turn"), drums=("bossa", "bossa light", "bossa conga"),
        lead=("flute", "vibes", "keys"), melody=0.6, scale="diatonic", harmony="jazz", strum_s=0.009, room_s=0.9,
        wet=0.16, levels_db={"drums": -2, "lead": 0, "bass": -4},
        late_ms={"rim": 5, "chords": 5, "lead": 16, "bass": 3},
    ),
    "jazz": Style(
        tape_db=6, trim_db=-0.4,
        words=("jazz", "swing"), chords=("piano", "keys"), comps=("charleston", "answer", "off", "sparse", "turned"),
        bass=("upright",), basses=("walk", "walk down", "walk skip", "stroll"),
        drums=("swing", "swing light", "swing full"), lead=("vibes", "nylon", "flute"), melody=0.65, scale="diatonic",
        harmony="jazz", swing=0.3, swing_beats=0.5, room_s=0.9, wet=0.18, levels_db={"drums": -3, "chords": -1},
        late_ms={"bass": -2, "ride": -2, "chords": 8, "lead": 22, "brush": 5},
    ),
    "strings": Style(
        tape_db=9, air_db=8, trim_db=-5.6,
        words=("string", "classical", "orchestra", "chamber", "cello"), pad=("strings",), bass=("cello",),
        basses=("waltz", "waltz turn", "held"), arpeggio=("pizzicato", "harp"), lead=("violin", "cello"), melody=0.75,
        scale="diatonic", harmony="song", room_s=2.2, wet=0.32,
        levels_db={"pad": -5, "arpeggio": -3, "bass": -7, "lead": -2}, late_ms={"lead": 14, "bass": 8, "arpeggio": 0},
    ),
    "ambient": Style(
        tape_db=-1, air_db=6, trim_db=-2.5,
        words=("ambient", "beatless", "soundscape"), pad=("pad", "choir"), bass=("drone",),
        lead=("bell", "piano", "vibes"), melody=0.8, harmony="calm", bars=2, texture="wind",
        texture_dbfs=-47, room_s=3.2, wet=0.4, echo_beats=1.5, levels_db={"pad": -4, "bass": -8, "lead": -2},
        late_ms={"lead": 20},
    ),
    "nature": Style(
        tape_db=6, air_db=4, trim_db=-2.4,
        words=("nature", "forest", "pastoral", "folk", "acoustic"), pad=("pad",), bass=("nylon",), basses=("broken",),
        arpeggio=("nylon", "harp"), lead=("flute", "harp"), melody=0.55, harmony="song", texture="stream",
        texture_dbfs=-48, room_s=1.8, wet=0.28, levels_db={"arpeggio": 0, "pad": -10, "bass": -6, "lead": -2},
        late_ms={"lead": 14, "arpeggio": 0},
    ),
    "rain": Style(
        tape_db=7, air_db=3, trim_db=-4.2,
        words=("rain", "drizzle"), chords=("piano", "keys"), comps=("hold", "push", "answer", "ballad"), pad=("pad",),
        basses=("held", "lazy", "answer"), drums=("soft", "soft brushed"), lead=("vibes", "piano", "nylon"),
        melody=0.5, swing=0.12, texture="rain",
        texture_dbfs=-45, room_s=1.8, wet=0.28, strum_s=0.018,
        levels_db={"drums": 2.5, "pad": -12, "bass": -4}, late_ms={"lead": 18, "chords": 6, "rim": 8},
    ),
    "piano": Style(
        tape_db=7, air_db=8, trim_db=0.3,
        words=("piano",), arpeggio=("piano",), bass=("piano",), basses=("broken", "held"), lead=("piano",),
        pad=("strings",), melody=0.75, scale="diatonic", harmony="song", room_s=1.7, wet=0.26,
        levels_db={"arpeggio": -3, "lead": 0, "bass": -6, "pad": -17}, late_ms={"lead": 10, "arpeggio": 0, "bass": -4},
    ),
    "lofi": Style(
        tape_db=10, trim_db=-2.3,
        words=("lo-fi", "lofi", "chill", "chillhop", "hip hop"), chords=("keys", "piano"), pad=("pad",),
        comps=("hold", "push", "charleston", "answer"), basses=("groove", "lazy", "answer"),
        drums=("lofi", "lofi lazy", "lofi broken"), lead=("vibes", "keys", "nylon", "piano"), melody=0.5, swing=0.3,
        texture="vinyl", texture_dbfs=-52, room_s=1.1, wet=0.2, strum_s=0.014,
        levels_db={"pad": -11, "bass": -3, "lead": 1},
        late_ms={"snare": 16, "hat": -4, "bass": 9, "chords": 10, "lead": 24, "kick": 2},
    ),
}  # fmt: skip


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
