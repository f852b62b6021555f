"""The start: when the first sound, and the first music, is heard, beside others that play a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.material import fill_spool, marker
from listening.listening import RATE_HZ, Samples, blocks, first_sound
from listening.sound_room import Child, Recorder, SoundRoom, app_command, pause
from session.prelude import OPENING

SHORTEST: Final = Path(__file__).with_name("shortest_player.py")
LOOK_S: Final = 0.1
GIVE_UP_S: Final = 20.0
MUSIC_DBFS: Final = -33.0  # RMS: 5 dB over the bed's
MUSIC_FRAMES: Final = RATE_HZ // 20
SILENCE: Final = ("pacat", "--raw", "--format=float32le", f"--rate={RATE_HZ}", "--latency-msec=50", "/dev/zero")

Command = list[str | Path]


@dataclass(frozen=True)
class Start:
    """Seconds from process start to the first audible sample, and to the first block that is as loud as music."""

    sound_s: float
    music_s: float


def measure(times: int) -> dict[str, list[Start]]:
    """Start each program `times` times, in turn; the first is the shortest script, the last has an empty spool."""
    found: dict[str, list[Start]] = {}
    with SoundRoom() as room, _awake(room):
        pieces = [marker(20.0, seed) for seed in range(2)]
        liked, queue = fill_spool(room.folder / "liked", pieces), room.folder / "queue"
        used, empty = _used(room), room.folder / "empty"
        file = room.folder / "file.wav"
        shutil.copy(next((liked / "kept").iterdir()), file)
        file.chmod(0o644)
        plain = ("--plain", "--spool-dir")
        commands: dict[str, Command] = {
            "shortest python-vlc script": [sys.executable, SHORTEST, file],
            "mpv": ["mpv", "--no-video", "--really-quiet", file],
            "cvlc": ["cvlc", "--no-video", file],
            "app.py, spool of one session before": app_command(*plain, used),
            "app.py, segments in the queue": app_command(*plain, queue),
            "app.py, --play-library": app_command(*plain, liked, "--play-library"),
            "app.py, empty spool": app_command(*plain, empty),
        }
        for _ in range(times + 1):
            for name, command in commands.items():
                if shutil.which(str(command[0])):
                    shutil.rmtree(empty, ignore_errors=True)
                    shutil.rmtree(queue, ignore_errors=True)
                    fill_spool(queue, pieces, shelf="ready")
                    found.setdefault(name, []).append(start_of(room, command))
    return {name: starts[1:] for name, starts in found.items()}  # the first of each warms up the disk


@contextmanager
def _awake(room: SoundRoom) -> Iterator[None]:
    """Keep the sink running, by a stream of silence: else its own start would be measured too."""
    silence = subprocess.Popen(SILENCE, env=room.environment)
    pause(1.0)
    try:
        yield
    finally:
        silence.kill()
        silence.wait()


def _used(room: SoundRoom) -> Path:
    """Return a spool in which a session without a server has left an opening."""
    folder = room.folder / "used"
    with Child(app_command("--plain", "--spool-dir", folder), room.environment):
        for _ in range(int(6 * GIVE_UP_S / LOOK_S)):
            pause(LOOK_S)
            if (folder / OPENING).exists():
                return folder
    raise RuntimeError("the session left no opening")


def start_of(room: SoundRoom, command: Command) -> Start:
    """Start a program, and listen when it is heard."""
    with Recorder(room, room.folder / "start.raw") as recorder:
        pause(0.2)
        with Child(command, room.environment, as_nobody=command[0] == "cvlc") as child:
            begin = recorder.frame_at(child.started_at)
            for _ in range(int(GIVE_UP_S / LOOK_S)):
                pause(LOOK_S)
                heard = recorder.samples()[begin:]
                sound, music = first_sound(blocks(heard)), first_music(heard)
                if sound is not None and music is not None:
                    moments = (recorder.heard_at(begin + frame) - child.started_at for frame in (sound, music))
                    return Start(*moments)
    return Start(float("inf"), float("inf"))


def first_music(heard: Samples) -> int | None:
    """Return the first sound in the first block of MUSIC_FRAMES that is louder than MUSIC_DBFS, None where none is."""
    parts = heard[: len(heard) // MUSIC_FRAMES * MUSIC_FRAMES].reshape(-1, MUSIC_FRAMES, 2)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(parts), axis=(1, 2))) > 10 ** (MUSIC_DBFS / 20))
    if not len(loud):
        return None
    return int(loud[0]) * MUSIC_FRAMES + (first_sound([parts[loud[0]]]) or 0)
