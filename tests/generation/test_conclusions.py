"""The table of conclusions: each is drawn from its own evidence, mistaken for no neighbour, and taken back."""

from __future__ import annotations

import ast
import inspect
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import generator_loop
from ace_client import JobState
from base.errors import (
    KeyRefused,
    ServerBlocked,
    ServerBusy,
    ServerError,
    ServerNonsense,
    ServerRefused,
    ServerSilent,
    ServerTrouble,
    ServerUnreachable,
    ServerUnsupported,
)
from base.texts import texts
from config import Settings
from doubles.scripted_server import CORRUPT, EMPTY, FAILS, GOOD, HANGS
from generation import conclusions, connection, jobs, policy
from generation.conclusions import Conclusion
from generation.policy import Conditions, Policy, Tries
from whole.generator_session import Session

Act = Callable[[Session], object]
CONCLUSIONS = [row for row in vars(conclusions).values() if isinstance(row, Conclusion)]
LINES = {row.line for row in CONCLUSIONS}
HEALTHY_S = 60.0
ALL_CALLS = ("health", "submit", "poll", "download", "stats")


def nothing(run: Session) -> None:
    """Leave all as it is."""


def moves(**levers: Any) -> Act:
    """Return what moves levers of the server."""

    def act(run: Session) -> None:
        for name, value in levers.items():
            setattr(run.server, name, value)

    return act


def meets(error: Callable[[], ServerError], *names: str) -> Act:
    """Return what lets the calls of these names end in an error."""
    return moves(trouble=lambda name: error() if name in (names or ALL_CALLS) else None)


def away(run: Session) -> None:
    """Let nothing listen for two minutes; the jobs are still there afterwards."""
    run.server.away.append((run.clock.now(), run.clock.now() + 120.0))


def kept_away(run: Session) -> None:
    """Let the server be away, and somebody bring it back."""
    assert run.keeper.take()
    away(run)


def stopped(run: Session) -> None:
    """Stop the process as by SIGSTOP: connections are taken, nothing is answered."""
    run.server.deaf_s, run.server.deaf_until_s = 10.0, run.clock.now() + 100.0


def replaced(run: Session) -> None:
    """Stop the server, and start another in its place, that works."""
    WELL(run)
    run.server.restart(60.0)


def fates(*which: str) -> Act:
    """Return what decides the fate of the next jobs."""
    return lambda run: run.server.next_fates(*which)


def hang_then_go_on(run: Session) -> None:
    """Let a job hang for four minutes."""
    run.server.next_fates(HANGS)


@dataclass(frozen=True)
class Scene:
    """One fault; `draws` is what must be concluded, `with_it` what may be told beside it."""

    name: str
    draws: Conclusion | None
    begins: Act
    ends: Act = nothing
    lasts_s: float = 120.0
    with_it: tuple[Conclusion, ...] = ()
    levers: dict[str, Any] = field(default_factory=dict)
    from_start: bool = False
    loses: bool = False
    """What is made cannot be had."""

    @property
    def allowed(self) -> set[str]:
        """Lines that may be said."""
        return {one.line for one in (self.draws, *self.with_it) if one is not None}


WELL = moves(trouble=lambda name: None)
WORDS = "words"
SCENES = (
    Scene("nothing listens", conclusions.AWAY, away),
    Scene("a job is lost with its server", conclusions.LOST, lambda run: run.server.restart(0.05),
          levers={"speed": 1.0}),
    Scene("nothing listened yet", conclusions.ABSENT, away, from_start=True, levers={"engine": "auto"}),
    Scene("make serve brings it back", conclusions.RESTARTING, kept_away, lambda run: run.keeper.release()),
    Scene("a proxy is in the way", conclusions.BLOCKED, meets(lambda: ServerBlocked(WORDS)), WELL),
    Scene("the process is stopped", conclusions.SILENT, stopped),
    Scene("deaf while it loads", conclusions.SILENT, moves(deaf_s=30.0, deaf_until_s=150.0), from_start=True),
    Scene("every answer is a web page", conclusions.WRONG, meets(lambda: ServerNonsense(WORDS)), WELL),
    Scene("polls answered by a login page", conclusions.WRONG, meets(lambda: ServerNonsense(WORDS), "poll"), WELL),
    Scene("a server without a route", conclusions.WRONG, meets(lambda: ServerUnsupported(WORDS), "submit"),
          replaced, with_it=(conclusions.AWAY,)),
    Scene("every call fails", conclusions.UNWELL, meets(lambda: ServerTrouble(WORDS)), WELL),
    Scene("polls fail", conclusions.UNWELL, meets(lambda: ServerTrouble(WORDS), "poll"), WELL),
    Scene("polls fail for longer than a job may take", conclusions.UNWELL, meets(lambda: ServerTrouble(WORDS), "poll"),
          WELL, lasts_s=900.0),
    Scene("submits fail", conclusions.UNWELL, meets(lambda: ServerTrouble(WORDS), "submit"), WELL),
    Scene("downloads fail", conclusions.UNWELL, meets(lambda: ServerTrouble(WORDS), "download"), WELL),
    Scene("queue full", conclusions.BUSY, moves(busy=True), moves(busy=False)),
    Scene("key refused", conclusions.KEY, moves(refuses=401), moves(refuses=None)),
    Scene("request refused", conclusions.REFUSING, moves(refuses=422), moves(refuses=None)),
    Scene("models load in the first job", conclusions.LOADING, nothing, from_start=True, lasts_s=300.0,
          levers={"first_job_extra_s": 200.0}),
    Scene("a job hangs", conclusions.HUNG, hang_then_go_on, lambda run: run.server.stop_hanging(), lasts_s=240.0),
    Scene("the server forgets its jobs", conclusions.LOST, moves(forgets_at_once=True), moves(forgets_at_once=False)),
    Scene("one job fails", conclusions.FAILED, fates(FAILS)),
    Scene("a success without a file", conclusions.FAILED, fates(EMPTY)),
    Scene("every third job fails", conclusions.FAILED, moves(fail_rate=0.33), moves(fail_rate=0.0), lasts_s=600.0),
    Scene("a file is no music", conclusions.UNUSABLE, fates(CORRUPT)),
    Scene("files are lost", conclusions.UNUSABLE, meets(lambda: ServerRefused(WORDS, status=404), "download"), WELL,
          loses=True),
    Scene("no language model", conclusions.NO_THINKING, moves(lm_init_fails=True), moves(lm_init_fails=False),
          lasts_s=300.0, with_it=(conclusions.FAILED,)),
    Scene("too long for the GPU", conclusions.TOO_LONG, moves(fails_above_s=20.0), moves(fails_above_s=600.0),
          lasts_s=300.0, with_it=(conclusions.FAILED,)),
    Scene("nothing works", conclusions.HOPELESS, moves(fail_rate=1.0), moves(fail_rate=0.0), lasts_s=900.0,
          with_it=(conclusions.FAILED,)),
    Scene("one call in ten fails", None, moves(error_rate=0.1), moves(error_rate=0.0), lasts_s=300.0,
          with_it=(conclusions.UNWELL,)),
    Scene("all is well", None, nothing),
)  # fmt: skip


@pytest.mark.parametrize("seed", (0, *(pytest.param(seed, marks=pytest.mark.virtual) for seed in range(1, 6))))
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_each_fault_is_told_from_its_neighbours(in_threads: Callable[..., Session], scene: Scene, seed: int) -> None:
    """What is concluded is said, nothing else is; it is taken back, and what was made is used."""
    run = in_threads(seed, stall_sec=60.0, **scene.levers)
    if not scene.from_start:
        run.listen(HEALTHY_S)
    scene.begins(run)
    run.listen(scene.lasts_s)
    said = set(run.notices.keys) & LINES
    assert scene.draws is None or scene.draws.line in said
    assert said <= scene.allowed
    scene.ends(run)
    run.listen(240.0)
    if scene.draws is not None and scene.draws.back:
        assert run.notices.keys.index(scene.draws.line) < max(
            at for at, key in enumerate(run.notices.keys) if key == scene.draws.back
        )
        assert run.said(scene.draws.line) == 1
    assert run.loop.snapshot().server == "up"
    assert set(run.notices.keys) & LINES <= scene.allowed
    assert scene.loses or used_share(run) >= 0.95


def used_share(run: Session) -> float:
    """Let the generator finish; return the share of the good files with a known name that were used."""
    run.loop.set_resting(True)
    run.listen(120.0)
    polled = {task_id for ids in run.server.polled_ids for task_id in ids}
    made = [job for job in run.server.asked if job.state is JobState.SUCCEEDED and job.fate == GOOD]
    named = [job for job in made if job.task_id in polled]
    assert named
    return sum(job.downloads > 0 for job in named) / len(named)


def test_every_conclusion_has_its_scene_and_its_words() -> None:
    """The table is whole: lines of its own in both languages, what it is drawn from, and a fault that shows it."""
    assert {scene.draws for scene in SCENES if scene.draws} == set(CONCLUSIONS)
    assert len(LINES) == len(CONCLUSIONS)
    assert {key for row in CONCLUSIONS for key in (row.line, row.back) if key} <= set(texts("en"))
    body = ast.parse(inspect.getsource(conclusions)).body
    rows = [
        at for at, node in enumerate(body) if isinstance(node, ast.AnnAssign) and "Conclusion(" in ast.unparse(node)
    ]
    assert len(rows) == len(CONCLUSIONS)
    assert all(isinstance(body[at + 1], ast.Expr) for at in rows)


def test_the_constants_that_the_table_names_exist() -> None:
    """A limit that is renamed or dropped is renamed in the table too."""
    known = {name for module in (policy, connection, generator_loop, jobs) for name in vars(module)}
    known |= {name.upper() for name in Settings.__dataclass_fields__}
    words = " ".join(
        ast.unparse(node) for node in ast.parse(inspect.getsource(conclusions)).body[1:] if isinstance(node, ast.Expr)
    )
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bPROOFS\b|\bFAILED\b", words))
    assert len(named) > 8
    assert named <= known


@pytest.mark.parametrize(
    ("error", "conclusion"),
    [
        (ServerUnreachable(WORDS), conclusions.AWAY),
        (ServerBlocked(WORDS), conclusions.BLOCKED),
        (ServerSilent(WORDS), conclusions.SILENT),
        (ServerNonsense(WORDS), conclusions.WRONG),
        (ServerUnsupported(WORDS), conclusions.WRONG),
        (ServerTrouble(WORDS), conclusions.UNWELL),
        (ServerBusy(WORDS), conclusions.BUSY),
        (KeyRefused(WORDS, status=401), conclusions.KEY),
        (ServerRefused(WORDS, status=403), conclusions.REFUSING),
        (ServerRefused(WORDS, status=422), conclusions.REFUSING),
    ],
)
def test_a_failed_call_shows_one_thing(error: ServerError, conclusion: Conclusion) -> None:
    """Each class of error stands for one conclusion."""
    assert conclusions.of_call(error) is conclusion


@pytest.mark.parametrize("max_retry", [0, 1, 2, 3])
@pytest.mark.parametrize("fail_rate", [0.1, 0.3, 0.5])
def test_failures_by_chance_hardly_ever_look_like_a_cause(max_retry: int, fail_rate: float) -> None:
    """At most three wrong conclusions in 1000 jobs of which every second fails, each of which is taken back."""
    rng, shared = random.Random(1), Policy(30.0, max_retry, thinking=True)
    lines: list[conclusions.Line] = []
    for _ in range(1000):
        tries, brought = Tries(), False
        conditions: Conditions | None = None
        while not brought:
            conditions = shared.next(tries)
            brought = rng.random() >= fail_rate
            lines += shared.succeeded(tries, conditions) if brought else shared.failed(tries, conditions, 0.0)
    causes = (conclusions.NO_THINKING, conclusions.TOO_LONG)
    drawn, back = (
        sum(map(lines.count, keys)) for keys in ((one.drawn for one in causes), (one.over for one in causes))
    )
    assert drawn <= (3 if fail_rate > 0.4 else 0)
    assert drawn - back <= 1
