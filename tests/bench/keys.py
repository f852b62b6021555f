"""Row 6: how soon a key is heard, and that the music has no hole meanwhile.

The pieces are pure tones, so that what a key does is a change of level, or of tone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.material import TONES_HZ, fill_spool
from doubles.sounds import tone
from listening.listening import RATE_HZ, Samples, blocks, silences, tone_levels
from listening.sound_room import Child, Recorder, SoundRoom, app_command, busy_cores, pause

AIMS_S: Final = {"pause": 0.25, "resume": 0.25, "mute": 0.25, "unmute": 0.25, "volume": 0.25, "skip": 0.6}
PRESSED: Final = {"pause": " ", "resume": " ", "mute": "m", "unmute": "m", "volume": "-", "skip": "n"}
STARTED_S: Final = 25.0  # the look-ahead is short when the start is over
APART_S: Final = 1.6
LONGEST_S: Final = 1.4
MOVE: Final = 0.9  # of the whole change: heard by then
AUDIBLE: Final = 0.1  # a piece is heard as soon as it is less than 20 dB below the one it follows
HOP_FRAMES: Final = 240
HOLE_S: Final = 0.005

Hops = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reactions:
    """Seconds from each press to what is heard of it, and the holes that nobody asked for."""

    heard_s: dict[str, list[float]]
    holes_s: list[float]
    heard_for_s: float


def measure(times: int, *, busy: bool) -> Reactions:
    """Press every key so many times, in the middle of pieces, and find in the recording when it acts."""
    pressed: dict[str, list[int]] = {what: [] for what in PRESSED}
    with contextlib.ExitStack() as stack:
        room = stack.enter_context(SoundRoom())
        root = fill_spool(room.folder / "spool", [tone(90.0, hz=hz) for hz in TONES_HZ])
        command = app_command("--play-library", "--spool-dir", root)
        recorder = stack.enter_context(Recorder(room, room.folder / "keys.raw"))
        app = stack.enter_context(Child(command, room.environment, size=(80, 24)))
        pause(STARTED_S)
        if busy:
            stack.enter_context(busy_cores())
        began = recorder.frames
        for index in range(times):
            for what, key in PRESSED.items():
                pressed[what].append(recorder.frame_at(app.type(key)))
                pause(APART_S + 0.013 * index)
        heard = np.array(recorder.samples())
    heard_s = {what: [_heard_s(what, heard, frame) for frame in frames] for what, frames in pressed.items()}
    wished = [*pressed["pause"], *pressed["mute"]]
    found = [
        hole
        for hole in silences(blocks(heard), longer_than_s=HOLE_S)
        if began <= hole.begin_frame < len(heard) - RATE_HZ // 10
        and not any(0 <= hole.begin_frame - frame < RATE_HZ for frame in wished)
    ]
    return Reactions(heard_s, [hole.length_s for hole in found], (len(heard) - began) / RATE_HZ)


def _heard_s(what: str, heard: Samples, key_frame: int) -> float:
    around = heard[key_frame - RATE_HZ // 2 : key_frame + round(LONGEST_S * RATE_HZ)]
    changed = _other_tone(around) if what == "skip" else _other_level(around)
    after = changed[RATE_HZ // 2 // HOP_FRAMES :]
    return float(after.argmax() + 1) * HOP_FRAMES / RATE_HZ if after.any() else float("inf")


def _other_level(heard: Samples) -> Hops:
    """Return at which hops the level is, for good, nearly the one that it ends with."""
    hops = len(heard) // HOP_FRAMES
    level = np.abs(heard[: hops * HOP_FRAMES, 0]).reshape(hops, HOP_FRAMES).max(axis=1)
    before, after = np.median(level[: RATE_HZ // 4 // HOP_FRAMES]), np.median(level[-RATE_HZ // 4 // HOP_FRAMES :])
    near = np.abs(level - after) <= (1 - MOVE) * abs(after - before)
    for_good: Hops = np.logical_and.accumulate(near[::-1])[::-1]
    return for_good


def _other_tone(heard: Samples) -> Hops:
    """Return at which hops another tone can be heard than the first."""
    amplitudes = tone_levels(heard, TONES_HZ, HOP_FRAMES)
    before = int(amplitudes[RATE_HZ // 4 // HOP_FRAMES].argmax())
    audible: Hops = np.delete(amplitudes, before, axis=1).max(axis=1) > AUDIBLE * amplitudes[:, before]
    return audible
