"""Kill -9 at random moments, again and again: nothing that was ready is lost, and the next start is a clean one.

Every piece goes on, so that most kills hit in the middle of one.

python tests/whole/faults/kills.py 200 [SEED]
"""

from __future__ import annotations

import functools
import logging
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from base.errors import CorruptSegment
from doubles import composition
from doubles.fake_acestep import FakeAcestep
from doubles.fake_audio import wav_bytes
from listening.sound_room import pause
from music import audio_files
from music.continuing import play_order
from whole.faults.program import Program, within
from whole.faults.stage import Stage

EARLIEST_S: Final = 0.1
LATEST_S: Final = 8.0
STARTED_S: Final = 10.0
AHEAD: Final = "12"  # more than can be made before the kill, so that files are on their way all the time


@dataclass
class Toll:
    """What came of the kills: how many hit it while it played, how many segments stood there, what was wrong."""

    playing: int = 0
    segments: int = 0
    continued: int = 0
    problems: list[str] = field(default_factory=list)


def kill_again_and_again(stage: Stage, kills: int, seed: int = 0, *, tell: bool = False) -> Toll:
    """Start the program and kill it; every other time while music is made. Judge the disk after each kill."""
    chance = random.Random(seed)
    toll = Toll()
    safe: set[str] = set()  # segments that stood on a shelf
    with FakeAcestep(speed=0.004, audio=excerpt, repainted=composition.repainted("newer")) as server:
        for number in range(kills):
            queue = in_order(stage)
            with stage.play(
                "--plain", "--audio-output", "none", "--prefetch-target", AHEAD, "--segment-seconds", "20",
                "--poll-interval-sec", "0.1", "--continue", "on", url=server.url,
            ) as program:  # fmt: skip
                if number % 2:
                    within(STARTED_S, functools.partial(has_changed, stage, set(queue)))
                delay_s = chance.uniform(EARLIEST_S, LATEST_S)
                pause(delay_s)
                alive = program.process.poll() is None
                program.process.kill()
                program.process.wait()
            wrong = [] if alive else [f"it ended by itself: {program.output[-300:]!r}"]
            wrong += judged(stage, program, queue, safe)
            toll.problems += [f"kill {number + 1}, after {delay_s:.2f} s: {one}" for one in wrong]
            safe = {path.name for path in shelved(stage)}
            toll.playing += bool(program.played())
            toll.segments += len(safe)
            infos = [audio_files.read_info(path) for path in shelved(stage)]
            toll.continued += sum(info.continues is not None for info in infos if info)
            safe -= thin_out(stage)
            if tell:
                print(f"\r{number + 1}/{kills} kills, {len(toll.problems)} problems", end="", flush=True)
    return toll


def excerpt(number: int, _seconds: float) -> bytes:
    """Return a beginning of 20 s."""
    return wav_bytes(composition.excerpt(number, 20.0))


def in_order(stage: Stage) -> list[str]:
    """Return the names of the segments in the queue, in the order of playing."""
    names = stage.in_order()
    return play_order(names, lambda name: audio_files.read_info(stage.spool / "ready" / name))


def has_changed(stage: Stage, queue: set[str]) -> bool:
    """Whether the queue is another one."""
    return set(stage.in_order()) != queue


def judged(stage: Stage, program: Program, queue: list[str], safe: set[str]) -> list[str]:
    """Return what is wrong on the disk and in the log after a kill; `queue` and `safe` are from before the start."""
    wrong = []
    files = shelved(stage)
    names = [path.name for path in files]
    wrong += [f"lost: {name}" for name in sorted(safe - set(names))]
    wrong += [f"twice on the shelves: {name}" for name in set(names) if names.count(name) > 1]
    for path in files:
        try:
            if audio_files.read_info(path) is None:
                wrong.append(f"no metadata of ours in {path.name}")
        except (CorruptSegment, OSError) as error:
            wrong.append(f"not whole: {path.name} ({error})")
    played = program.played()
    if played:  # it lived long enough to open the spool
        ours = f"part-{program.process.pid}-"
        left = [path.name for path in (stage.spool / "incoming").iterdir() if not path.name.startswith(ours)]
        wrong += [f"not swept: {name}" for name in left]
    fresh = [key for key, source in played if source == "fresh"]
    if queue and played and played[0] != (queue[0], "fresh"):
        wrong.append(f"began with {played[0]}, not with {queue[0]}")
    wrong += [f"played out of turn: {key}" for key, due in zip(fresh, queue, strict=False) if key != due]
    if "Traceback" in program.log + program.output:
        wrong.append("a traceback in its log")
    return wrong


def shelved(stage: Stage) -> list[Path]:
    """Return the segments on the shelves."""
    return [path for shelf in ("ready", "played", "kept") for path in (stage.spool / shelf).glob("*.wav")]


def thin_out(stage: Stage) -> set[str]:
    """Take away most of what is there, so that there is always something to make; return the names."""
    gone = list((stage.spool / "played").glob("*.wav"))
    gone += [stage.spool / "ready" / name for name in in_order(stage)[3:]]
    for path in gone:
        path.unlink()
    return {path.name for path in gone}


def main(arguments: list[str]) -> int:
    """Run as a command; return 0 when nothing was lost."""
    logging.disable(logging.CRITICAL)
    kills = int(arguments[0]) if arguments else 200
    seed = int(arguments[1]) if len(arguments) > 1 else 0
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        toll = kill_again_and_again(stage, kills, seed, tell=True)
    print("".join(f"\n{one}" for one in toll.problems[:50]))
    verdict = f"{len(toll.problems)} problems" if toll.problems else "nothing was lost"
    print(
        f"{kills} kills at random moments, {toll.playing} while it played, {toll.segments} segments, "
        f"{toll.continued} that continue others: {verdict}"
    )
    return 1 if toll.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
