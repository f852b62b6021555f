"""The work it takes to play, and how soon a key is heard."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.material import TONES_HZ, fill_spool, marker, tone
from listening.listening import RATE_HZ, Samples, blocks, first_sound, tone_levels
from listening.sound_room import Child, Recorder, SoundRoom, app_command, pause

WARM_UP_S: Final = 8.0
AUDIBLE: Final = 0.1  # a piece is heard as soon as it is less than 20 dB below the one it follows
HOP_FRAMES: Final = 240


# -- work ------------------------------------------------------------------------------------------------------------


def measure_cpu(seconds: float) -> dict[str, float | None]:
    """Return the CPU seconds per played minute, after the start, of each program with the same files."""
    found: dict[str, float | None] = {}
    with SoundRoom() as room:
        root = fill_spool(room.folder / "spool", [marker(30.0, seed) for seed in range(6)])
        (room.folder / "spool").chmod(0o755)
        files = sorted((root / "kept").iterdir())
        for file in files:
            file.chmod(0o644)
        play = ("--play-library", "--spool-dir", root)
        found["app.py, dashboard"] = _cpu_per_minute(room, app_command(*play), seconds, size=(80, 24))
        found["app.py, --plain"] = _cpu_per_minute(room, app_command(*play, "--plain"), seconds)
        vlc: list[str | Path] = ["cvlc", "--no-video", "--loop", *files]
        found["cvlc"] = _cpu_per_minute(room, vlc, seconds, as_nobody=True) if shutil.which("cvlc") else None
    return found


def _cpu_per_minute(
    room: SoundRoom,
    command: list[str | Path],
    seconds: float,
    *,
    size: tuple[int, int] | None = None,
    as_nobody: bool = False,
) -> float:
    recorder = Recorder(room, room.folder / "work.raw")
    with recorder, Child(command, room.environment, size=size, as_nobody=as_nobody) as child:
        pause(WARM_UP_S)
        began, began_frame = child.usage().cpu_s, recorder.frames
        pause(seconds)
        spent_s, frames = child.usage().cpu_s - began, recorder.frames - began_frame
        if first_sound(blocks(recorder.samples()[began_frame:])) is None:
            raise RuntimeError(f"nothing was heard of {command[0]}: {child.output[-500:]}")
    return spent_s * 60 * RATE_HZ / frames


# -- keys ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reactions:
    """Seconds from a key to what is heard of it."""

    skip_audible_s: list[float]
    skip_louder_s: list[float]
    pause_s: list[float]


def measure_keys(times: int) -> Reactions:
    """Press skip and pause in the middle of pieces that are pure tones, and find in the recording when they act."""
    with SoundRoom() as room:
        root = fill_spool(room.folder / "spool", [tone(hz, 60.0) for hz in TONES_HZ])
        command = app_command("--play-library", "--spool-dir", root)
        recorder = Recorder(room, room.folder / "keys.raw")
        with recorder, Child(command, room.environment, size=(80, 24)) as app:
            pause(7.0)
            skips = []
            for index in range(times):
                skips.append(recorder.frame_at(app.type("n")))
                pause(2.5 + 0.13 * index)
            pauses = []
            for index in range(times):
                pauses.append(recorder.frame_at(app.type(" ")))
                pause(1.5 + 0.13 * index)
                app.type(" ")
                pause(1.5)
            heard = np.array(recorder.samples())
    changes = [_change_s(heard[frame - RATE_HZ // 2 : frame + 2 * RATE_HZ]) for frame in skips]
    return Reactions(
        skip_audible_s=[audible for audible, _ in changes],
        skip_louder_s=[louder for _, louder in changes],
        pause_s=[_silence_s(heard[frame : frame + 3 * RATE_HZ // 2]) for frame in pauses],
    )


def _change_s(heard: Samples) -> tuple[float, float]:
    """Return when, after the key half a second into `heard`, another tone begins and when it is the louder one."""
    amplitudes = tone_levels(heard, TONES_HZ, HOP_FRAMES)
    key_hop = RATE_HZ // 2 // HOP_FRAMES
    before = int(amplitudes[key_hop // 2].argmax())
    old, new = amplitudes[:, before], np.delete(amplitudes, before, axis=1).max(axis=1)
    after = slice(key_hop, None)
    audible, louder = (new[after] > AUDIBLE * old[after]), (new[after] > old[after])
    if not louder.any():
        return float("inf"), float("inf")
    return float(audible.argmax()) * HOP_FRAMES / RATE_HZ, float(louder.argmax()) * HOP_FRAMES / RATE_HZ


def _silence_s(heard: Samples) -> float:
    quiet = np.abs(heard).max(axis=1).reshape(-1, HOP_FRAMES).max(axis=1) < 1e-3
    return float(quiet.argmax()) * HOP_FRAMES / RATE_HZ if quiet.any() else float("inf")


def median(values: list[float]) -> float:
    """Return the median of what was measured, infinite when nothing was."""
    return statistics.median(values) if values else float("inf")
