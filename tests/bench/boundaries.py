"""Row 1: what is heard where one file ends and the next begins, with each player.

One continuous piece is cut into files: a perfect player gives it back sample by sample. The program's own stream
crossfades, so there the reference is the programme that it recorded itself at the mixer.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import soundfile

from bench.material import album, fill_spool, joined
from builtin.bed import Bed
from listening.alignment import Comparison, compare
from listening.listening import (
    RATE_HZ,
    Samples,
    Stretch,
    blocks,
    clicks,
    largest_bend,
    largest_step,
    silences,
)
from listening.sound_room import Child, Recorder, SoundRoom, app_command, busy_cores, pause
from programme.voice import frames_of

FILE_S: Final = 6.0
CROSSFADE_S: Final = 2.0
TAIL_S: Final = 3.0
MARGIN: Final = 1.5  # two pieces that overlap may bend and step more than one
SHORTEST_SILENCE_S: Final = 0.002  # where waves cancel out there is less without any silence
FFPLAY: Final = 'for file; do ffplay -nodisp -autoexit -loglevel quiet "$file"; done'
MPV: Final = ("mpv", "--no-config", "--no-video", "--really-quiet", "--gapless-audio=yes")


@dataclass(frozen=True)
class Boundaries:
    """What happened at the boundaries of `played_s` seconds."""

    count: int
    played_s: float
    silences: list[Stretch]
    lost_frames: int
    altered_frames: int
    clicks: int
    step_ratio: float

    @property
    def silence_ms(self) -> list[float]:
        """Lengths of the silences, at least as many as there are boundaries: where there is none it is 0."""
        lengths = [1000 * silence.length_s for silence in self.silences]
        return sorted(lengths + [0.0] * (self.count - len(lengths)))


def measure(count: int, *, busy: bool) -> dict[str, Boundaries | None]:
    """Play `count` files with every player that is installed; None for one that is not. `busy`: under full load too."""
    with contextlib.ExitStack() as stack:
        room = stack.enter_context(SoundRoom())
        files = album(room.folder, count, FILE_S)
        material = joined(files)
        own = _own(material)
        with_bed = _own(material, frames_of(Bed(), 10 * RATE_HZ))  # it may be heard at the start, and is sharper
        seconds = count * FILE_S + TAIL_S
        found: dict[str, Boundaries | None] = {}
        found["stream"] = _stream(room, files, count * FILE_S, with_bed)
        if busy:
            with busy_cores():
                found["stream, all cores busy"] = _stream(room, files, count * FILE_S, with_bed)
    found["playlist"] = _playlist(count, seconds, own)
    command = ["sh", "-c", FFPLAY, "ffplay"]
    found["ffplay per file"] = _others(command, count, seconds, own) if shutil.which("ffplay") else None
    found["mpv --gapless-audio"] = _others(MPV, count, seconds, own) if shutil.which("mpv") else None
    return found


def _own(*materials: Samples) -> tuple[float, float]:
    """Return how much the materials bend and step by themselves, with a margin."""
    bend = max(largest_bend(blocks(samples)) for samples in materials)
    return MARGIN * bend, MARGIN * max(largest_step(blocks(samples)) for samples in materials)


def _judge(recording: Samples, reference: Samples, count: int, own: tuple[float, float]) -> Boundaries:
    """Compare what was heard with what should have been. `own`: how much the material itself bends and steps."""
    comparison = compare(recording, reference)
    if comparison.begin_frame is None:
        raise RuntimeError("what was recorded has nothing in common with what was played")
    lost, altered = _losses(comparison, len(reference))
    length = comparison.same_frames + comparison.inserted_frames
    heard = recording[comparison.begin_frame : comparison.begin_frame + length]
    return Boundaries(
        count=count,
        played_s=len(heard) / RATE_HZ,
        silences=silences(blocks(heard), longer_than_s=SHORTEST_SILENCE_S),
        lost_frames=lost,
        altered_frames=altered,
        clicks=len(clicks(blocks(heard), own[0])),
        step_ratio=largest_step(blocks(heard)) / own[1],
    )


def _losses(comparison: Comparison, reference_frames: int) -> tuple[int, int]:
    """Return the frames that are missing and those that others stand for, but for the first and the last ones."""
    inner = [
        one
        for one in comparison.deviations
        if one.reference_frame > 0 and one.reference_frame + one.lost < reference_frames
    ]
    altered = sum(min(one.lost, one.inserted) for one in inner if one.lost == one.inserted)
    return sum(one.lost for one in inner) - altered, altered


def _stream(room: SoundRoom, files: Sequence[Path], seconds: float, own: tuple[float, float]) -> Boundaries:
    """Play with the program itself, in a terminal; its own recording is the reference."""
    root = room.folder / "stream"
    fill_spool(root, [joined([file]) for file in files])
    command = app_command("--play-library", "--spool-dir", root, "--crossfade-seconds", str(CROSSFADE_S))
    with Recorder(room, room.folder / "stream.raw") as recorder, Child(command, room.environment, size=(80, 24)) as app:
        pause(4.0)
        app.type("r")
        pause(seconds)
        app.type("r")
        pause(1.0)
        app.end()
        heard = recorder.samples()
    (reference,) = (root / "recordings").iterdir()
    programme, _ = soundfile.read(reference, dtype="float32", always_2d=True)
    boundaries = round(len(programme) / RATE_HZ / (FILE_S - CROSSFADE_S))
    judged = _judge(heard, programme, boundaries, own)
    shutil.rmtree(root)
    return judged


def _playlist(count: int, seconds: float, own: tuple[float, float]) -> Boundaries:
    """Play with the program in its mode for VLC's own list; the log tells in which order."""
    with SoundRoom() as room:
        root = fill_spool(room.folder / "spool", [joined([file]) for file in album(room.folder, count, FILE_S)])
        command = app_command("--plain", "--play-library", "--player", "playlist", "--spool-dir", root)
        with Recorder(room, room.folder / "heard.raw") as recorder, Child(command, room.environment) as app:
            pause(seconds)
            app.end()
            heard = recorder.samples()
        played = re.findall(r": play (\S+) \(", (root / "player.log").read_text())[: count - 1]
        order = [next((root / "kept").glob(f"{key}*")) for key in played]
        return _judge(heard, joined(order), len(order) - 1, own)


def _others(command: Sequence[str], count: int, seconds: float, own: tuple[float, float]) -> Boundaries:
    """Play with another program."""
    with SoundRoom() as room:
        files = album(room.folder, count, FILE_S)
        recorder = Recorder(room, room.folder / "heard.raw")
        with recorder, Child([*command, *files], room.environment) as player:
            with contextlib.suppress(subprocess.TimeoutExpired):
                player.process.wait(2 * seconds)
            pause(0.5)
            heard = recorder.samples()
        return _judge(heard, joined(files), count - 1, own)
