"""The real program and the genuine acestep-api (its inference stubbed), which dies, comes late, and goes away."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import time
import urllib.request
from pathlib import Path
from typing import Final

from doubles.genuine_acestep import GenuineAcestep, is_installed
from whole.faults.program import Program, within
from whole.faults.stage import NotTried, ProcessRow, Stage

AREA: Final = "genuine server"
QUICKLY: Final = ("--plain", "--segment-seconds", "20", "--poll-interval-sec", "0.2", "--prefetch-target", "20")
SPEED: Final = 0.1  # a segment every 2 s, so that jobs stand at the server all the time
MADE_S: Final = 40.0
DOWN_S: Final = 15.0
DEAF_S: Final = 40.0
SILENT_S: Final = 30.0


def genuine(folder: Path, deaf_s: float = 0.0) -> GenuineAcestep:
    """Return the server, not yet started. Raises NotTried where it is not installed."""
    if not is_installed():
        raise NotTried("needs the genuine server: make test installs it")
    (folder / "server").mkdir()
    return GenuineAcestep(folder / "server", speed=SPEED, deaf_s=deaf_s)


def fresh(program: Program) -> int:
    """Return how many fresh pieces it began to play."""
    return sum(source == "fresh" for _, source in program.played())


def made(stage: Stage) -> int:
    """Return how many segments stand on the shelves."""
    return sum(len(list((stage.spool / shelf).glob("*.wav"))) for shelf in ("ready", "played"))


def has_more(stage: Stage, than: int) -> bool:
    """Whether there are more segments than there were."""
    return made(stage) > than


def killed(stage: Stage) -> None:
    """The server is killed twice while it plays, and comes back: it is asked again, and nothing of this is heard."""
    with genuine(stage.work) as server, stage.play(*QUICKLY, url=server.url) as program, stage.hear() as ear:
        stage.begin(ear, program)
        began_at = time.monotonic()
        stage.expect(within(MADE_S, lambda: made(stage)) is not None, "no fresh music to begin with")
        for number in (1, 2):
            server.kill()
            stage.expect_said(program, "server.down", DOWN_S, times=number)
            before = made(stage)
            server.start()
            stage.recovery_s = within(MADE_S, functools.partial(has_more, stage, before))
            stage.expect(stage.recovery_s is not None, "no fresh music after the server came back")
        stage.expect_no_silence(ear, began_at)
        stage.ends(program)


def succeeded(server: GenuineAcestep) -> int:
    """Return how many jobs the server has finished."""
    with urllib.request.urlopen(f"{server.url}/v1/stats", timeout=5) as reply:
        return int(json.load(reply)["data"]["jobs"]["succeeded"])


def deaf(stage: Stage) -> None:
    """The server answers nobody for a while after the first submit: that is said, and costs at most one job."""
    with (
        genuine(stage.work, deaf_s=DEAF_S) as server,
        stage.play(*QUICKLY, url=server.url) as program,
        stage.hear() as ear,
    ):
        stage.begin(ear, program)
        began_at = time.monotonic()
        stage.expect_said(program, "server.silent", SILENT_S)
        stage.expect(within(DEAF_S + MADE_S, lambda: made(stage) >= 3) is not None, "no fresh music after it")
        stage.expect_said(program, "server.up", DOWN_S)
        wasted = succeeded(server) - made(stage) - 1  # one may be on its way to the shelf
        stage.expect(wasted <= 1, f"{wasted} jobs for nobody")
        stage.expect_no_silence(ear, began_at)
        stage.ends(program)


def stopped(stage: Stage) -> None:
    """The server's process is stopped (SIGSTOP) and goes on: that is said, nothing is asked for twice."""
    with genuine(stage.work) as server, stage.play(*QUICKLY, url=server.url) as program, stage.hear() as ear:
        stage.begin(ear, program)
        began_at = time.monotonic()
        stage.expect(within(MADE_S, lambda: made(stage)) is not None, "no fresh music to begin with")
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        stage.expect_said(program, "server.silent", SILENT_S)
        server.process.send_signal(signal.SIGCONT)
        stage.recovery_s = within(MADE_S, functools.partial(has_more, stage, made(stage)))
        stage.expect(stage.recovery_s is not None, "no fresh music after it went on")
        stage.expect_said(program, "server.up", DOWN_S, times=2)
        wasted = succeeded(server) - made(stage) - 1
        stage.expect(wasted <= 1, f"{wasted} jobs for nobody")
        stage.expect_no_silence(ear, began_at)
        stage.ends(program)


def late(stage: Stage) -> None:
    """There is no server; it appears; it goes away for good: the music goes on all along."""
    server = genuine(stage.work)
    with contextlib.ExitStack() as at_the_end, stage.play(*QUICKLY, url=server.url) as program, stage.hear() as ear:
        at_the_end.callback(server.kill)
        stage.begin(ear, program)
        began_at = time.monotonic()
        stage.expect_said(program, "server.absent", DOWN_S)
        server.start()
        stage.recovery_s = within(MADE_S, lambda: fresh(program))
        stage.expect(stage.recovery_s is not None, "no fresh music from a late server")
        server.kill()
        stage.expect_said(program, "server.down", DOWN_S)
        stage.play_on(ear, 2.0)
        stage.expect_no_silence(ear, began_at)
        stage.ends(program)


ROWS = (
    ProcessRow(AREA, "killed twice while it plays", killed, "server.down"),
    ProcessRow(AREA, "deaf while it loads its models", deaf, "server.silent"),
    ProcessRow(AREA, "stopped for a while (SIGSTOP)", stopped, "server.silent"),
    ProcessRow(AREA, "comes late, goes away for good", late, "server.absent"),
)
