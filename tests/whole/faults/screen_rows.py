"""The real program and its terminal: none, a tiny one, a dumb one, a stuck one, one on which keys are held down."""

from __future__ import annotations

import itertools
import random
import re
import string
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from listening.sound_room import LOOK_S, app_command, pause
from whole.faults.program import within
from whole.faults.stage import ProcessRow, Stage

AREA: Final = "real terminal"
WINDOW: Final = (80, 24)
BUILTIN: Final = ("--engine", "builtin")
HELD_S: Final = 10.0
REPEAT_S: Final = 1 / 30  # as a keyboard repeats
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")
SILENCING: Final = " mM-_qQ"  # keys that may make it quiet, or end it
OTHER_KEYS: Final = (
    "\x1b[A",
    "\x1b[B",
    "\x1b",
    "\r",
    "\x7f",
    "\x15",
    "\x17",
    "\t",
    "\x00",
    "\xff",
    "静",
    "🎹",
    "\x1b[200~q\x1b[201~",
)


def shown(
    holds: Callable[[str], object],
    what: str,
    *arguments: str,
    size: tuple[int, int] | None = WINDOW,
    **environment: str,
) -> Callable[[Stage], None]:
    """Return a scene: it plays, and `holds` of all that it printed."""

    def scene(stage: Stage) -> None:
        with stage.play(*BUILTIN, *arguments, size=size, environment=environment) as program, stage.hear() as ear:
            stage.begin(ear, program, 2.0)
            stage.expect(holds(program.output), f"{what}: {program.output[:600]!r}")
            stage.ends(program)

    return scene


def plain(output: str) -> bool:
    """Whether these are calm lines and nothing else."""
    return "now playing" in output and "\x1b" not in output


def full_screen(output: str) -> bool:
    """Whether the whole screen was taken."""
    return "\x1b[?1049h" in output


def sizes(stage: Stage) -> None:
    """The window is made tiny, huge and normal while it plays."""
    with stage.play(*BUILTIN, size=(10, 3)) as program, stage.hear() as ear:
        stage.begin(ear, program)
        for columns, lines in ((1, 1), (500, 200), (2, 50), (200, 1), (0, 0), (10, 3), WINDOW):
            program.resize(columns, lines)
            stage.play_on(ear, 0.6)
        stage.expect(full_screen(program.output), "showed no screen")
        stage.ends(program)


def stuck(stage: Stage) -> None:
    """The terminal takes nothing for a while: the sound does not notice, nor does the end."""
    stage.fill()
    with stage.play(size=WINDOW) as program, stage.hear() as ear:
        stage.begin(ear, program)
        program.stall(True)
        stage.play_on(ear, 6.0)
        program.stall(False)
        before = len(program.output)
        stage.play_on(ear, 1.5)
        stage.expect(len(program.output) > before, "draws no more")
        program.stall(True)
        pause(1.0)
        stage.ends(program, closed=True)


def head(stage: Stage) -> None:
    """Who reads its lines goes away (`| head -1`): the music plays on, and it ends when it is told to."""
    with (
        subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader,
        stage.play(*BUILTIN, stdout=reader.stdin) as program,
        stage.hear() as ear,
    ):
        assert reader.stdin is not None
        reader.stdin.close()
        stage.begin(ear, program, 4.0)
        stage.expect(reader.poll() is not None, "head has not ended")
        stage.ends(program)


def full_output(stage: Stage) -> None:
    """What it prints goes to a full disk."""
    with Path("/dev/full").open("wb") as nowhere, stage.play(*BUILTIN, stdout=nowhere) as program, stage.hear() as ear:
        stage.begin(ear, program, 2.0)
        stage.ends(program)


def no_streams(stage: Stage) -> None:
    """It is started with standard input, output and error closed."""
    stage.fill()
    log = stage.work / "player-closed.log"
    words = [str(word) for word in app_command("--spool-dir", stage.spool, "--log-file", log)]
    child = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], env=stage.environment)
    try:
        with stage.hear() as ear:
            heard_at = stage.expect_sound(ear, ear.heard_at(0))
            stage.play_on(ear, 1.0, heard_at)
            child.terminate()
            stage.expect(within(2.0, lambda: child.poll() is not None), "did not end within 2 s")
            stage.expect(child.returncode == 0, f"exit code {child.returncode}")
        logged = log.read_text() if log.exists() else "nothing"
        stage.expect(": play " in logged, f"logged {logged[-600:]!r}")
        stage.expect("Traceback" not in logged, f"a traceback in its log: {logged[-600:]!r}")
    finally:
        child.kill()
        child.wait()


def storm(strokes: Callable[[random.Random], Iterator[str]], every_s: float) -> Callable[[Stage], None]:
    """Return a scene: keys rain for HELD_S, and it is never silent."""

    def scene(stage: Stage) -> None:
        stage.fill()
        chance = random.Random(4)
        with stage.play(size=WINDOW) as program, stage.hear() as ear:
            stage.begin(ear, program)
            keys, typed_s = strokes(chance), 0.0
            while typed_s < HELD_S:
                program.type(next(keys))
                pause(every_s)
                typed_s += every_s
            pause(LOOK_S)
            stage.play_on(ear, 2.0)
            stage.expect_no_silence(ear, program.started_at + 8.0)
            stage.expect(program.process.poll() is None, "it has ended")
            stage.ends(program)

    return scene


def held(key: str) -> Callable[[random.Random], Iterator[str]]:
    """Hold a key down."""
    return lambda _chance: itertools.repeat(key)


def any_keys(chance: random.Random) -> Iterator[str]:
    """Press whatever there is, but what is meant to make it quiet or to end it."""
    letters = [key for key in string.printable if key not in SILENCING and key not in "\n\x0b\x0c"]
    while True:
        yield chance.choice([*letters, *OTHER_KEYS])


def prompts(chance: random.Random) -> Iterator[str]:
    """Type one prompt after the other, and change stations in between."""
    while True:
        yield "p" + "".join(chance.choices(string.ascii_lowercase, k=chance.randrange(1, 30))) + "\r"
        yield chance.choice("123456789")


ROWS = (
    ProcessRow(AREA, "no terminal: calm lines", shown(plain, "not calm lines", size=None)),
    ProcessRow(AREA, "TERM=dumb", shown(plain, "not calm lines", TERM="dumb")),
    ProcessRow(AREA, "TERM is not set", shown(plain, "not calm lines", TERM="")),
    ProcessRow(
        AREA, "NO_COLOR", shown(lambda said: full_screen(said) and not COLOUR.search(said), "colour", NO_COLOR="1")
    ),
    ProcessRow(
        AREA, "an ASCII terminal", shown(full_screen, "no screen", LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii")
    ),
    ProcessRow(AREA, "a window of 10x3, then of all sizes", sizes),
    ProcessRow(AREA, "the terminal takes nothing for 6 s", stuck),
    ProcessRow(AREA, "the reader of its lines goes away", head),
    ProcessRow(AREA, "its lines go to a full disk", full_output),
    ProcessRow(AREA, "input, output and error are closed", no_streams),
    ProcessRow(AREA, "n held down for 10 s", storm(held("n"), REPEAT_S)),
    ProcessRow(AREA, "any keys for 10 s", storm(any_keys, REPEAT_S)),
    ProcessRow(AREA, "prompts and stations for 10 s", storm(prompts, 0.15)),
)
