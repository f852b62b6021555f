"""Row 5: the work it takes to play."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Final

from bench.material import fill_spool, marker
from listening.listening import RATE_HZ, blocks, first_sound
from listening.sound_room import Child, Recorder, SoundRoom, app_command, pause

WARM_UP_S: Final = 8.0


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


def median(values: list[float]) -> float:
    """Return the median of what was measured, infinite when nothing was."""
    return statistics.median(values) if values else float("inf")
