"""Music with no GPU and no server: procedural work music, bar after bar, and a soft bed of noise block by block.

`composer` writes the score, players (`synth`, `kit`) sound its parts, and here they are mixed: levels are the score's,
not measured, so that a piece can be heard while it is made and is the same to the sample as when it is made whole.
"""

from __future__ import annotations

import bisect
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from builtin import kit, synth
from builtin.composer import compose
from builtin.score import Floats, Note, Part, Player, Role, Score
from builtin.signals import fade
from builtin.studio import PEAK_MAX, Bus, Convolver, response, tape
from music.segment import Performance, Recipe, Samples

LOUDNESS_LUFS: Final = -22.0  # of a usual piece
OPENING_BARS: Final = 8
OPENING_S: Final = 24.0  # 8 bars of a slow piece would be more
EDGE_S: Final = 0.003
"""Too short to be heard as a fade, long enough not to click."""

Cast = Callable[[Score], list[Player]]
"""Chooses who plays each of a score's parts."""


def numpy_cast(score: Score) -> list[Player]:
    """Have all parts played by the synthesised voices."""
    return [kit.KitPlayer() if part.role is Role.DRUMS else synth.NumpyPlayer(part, score.seed) for part in score.parts]


def begin(recipe: Recipe, seed: int, cast: Cast = numpy_cast, tail_s: float = 4.0) -> Performance:
    """Begin a piece that is made while it is heard: `recipe` honoured in tempo, key, metre and mood.

    The same for the same `seed`. Its length is that of whole bars, about the recipe's, and `tail_s` to be faded over
    the beginning of the next; it has about LOUDNESS_LUFS, and no peak above -1 dBFS.

    Threads: any; costs roughly 2 % of the piece's duration on one core.
    """
    score = compose(recipe, seed, tail_s)
    bars = max(1, min(OPENING_BARS, int(OPENING_S / score.bar_s)))
    peak_dbfs = 20 * math.log10(PEAK_MAX)
    return Performance(
        score.frames, score.bar_frame(bars), perform(score, cast), LOUDNESS_LUFS, peak_dbfs, round(score.bpm)
    )


def version(cast: str, tail_s: float) -> str:
    """Name what makes the pieces: this program's own modules, `cast`, the sound of who plays, and their tail."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"builtin {zlib.crc32(code):08x} {np.__version__} {tail_s:g} {cast}"


def forget() -> None:
    """Let go of what pieces have in common, some 25 MB; the next one makes it anew, which takes a second."""
    for kept in (*vars(kit).values(), *vars(synth).values()):
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()


def perform(score: Score, cast: Cast = numpy_cast) -> Iterator[Samples]:
    """Play a score bar by bar: float32, shape (n_frames, 2); the last stretch is what remains behind the last bar.

    Nothing is worked out ahead of the bar that is asked for but the room: the first is there after some 50 ms.
    """
    players = list(zip(score.parts, cast(score), strict=True))
    style = score.style
    echo_s = style.echo_beats * 60 / score.pulse_bpm
    rng = np.random.default_rng(score.seed % 2**128)
    room = Convolver(response(style.room_s, echo_s, rng))
    pressed, bus = Convolver(tape(style.tape_db, style.air_db)), Bus()
    texture = kit.Texture(score.texture, rng) if score.texture else None
    edges = sorted({*map(score.bar_frame, range(score.bars + 1)), score.frames})
    starts = [note.frame for note in score.notes]

    def sounded(first: int, end: int) -> Samples:
        begun = score.notes[bisect.bisect_left(starts, first) : bisect.bisect_left(starts, end)]
        dry, sent = _parts(score, players, begun, first, end - first)
        dry += room.process(sent)
        if texture:
            dry += np.float32(10 ** (style.texture_dbfs / 20)) * texture.play(first, end - first)
        mixed = bus.process(pressed.process(dry))
        if first == 0:
            fade(mixed, EDGE_S, 0.0)
        if end == score.frames:
            fade(mixed, 0.0, EDGE_S)
        return np.ascontiguousarray(mixed.T)

    for first, end in itertools.pairwise(edges):
        yield sounded(first, end)  # of a bar nothing else is held while it is heard, and the next one made


def _parts(
    score: Score, players: Sequence[tuple[Part, Player]], notes: Sequence[Note], first: int, n_frames: int
) -> tuple[Floats, Floats]:
    """Return the next `n_frames` of all parts at their levels and places, and what goes to the room."""
    dry, sent = np.zeros((2, n_frames), np.float32), np.zeros((2, n_frames), np.float32)
    for part, player in players:
        sound = player.play([note for note in notes if note.part == part.name], first, n_frames)
        gain = 10 ** (part.gain_db / 20)
        sound *= np.array([[gain * min(1.0, 1 - part.pan)], [gain * min(1.0, 1 + part.pan)]], np.float32)
        dry += sound
        sound *= np.float32(score.style.wet * part.send)
        sent += sound
        del sound  # before the next is made
    return dry, sent
