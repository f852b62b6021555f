"""Fail the Nth call: every file operation and every call of the server of a short session, one after the other.

However short a session is, it has a hundred places at which something can fail. Each run fails at one of them, and
the listener must not notice: no silence, nothing lost, no thread that fails, fresh music again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ace_client import AceClient, Timeouts
from base.errors import KeyRefused, ServerBusy, ServerError, ServerTrouble, ServerUnreachable
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import Delivery, Request, text
from doubles.scripted_server import ScriptedServer
from whole.faults.levers import fake, scripted
from whole.harness import SETTINGS, Programme
from whole.scales import tiny_file

SESSION_S = 60.0
SHORT = replace(SETTINGS, segment_seconds=20.0, prefetch_target=1)
WAYS: tuple[Callable[[], ServerError], ...] = (
    lambda: ServerUnreachable("nothing listens"),
    lambda: ServerTrouble("HTTP 500"),
    lambda: ServerBusy("HTTP 429"),
    lambda: KeyRefused("HTTP 401", status=401),
)


def session(folder: Path, server: ScriptedServer | FakeAcestep | None = None) -> Programme:
    """Make a short session."""
    client = None
    if isinstance(server, FakeAcestep):
        client = AceClient(server.start().url, timeouts=Timeouts(read_s=1.0))
    return Programme(folder, server, client=client, settings=SHORT, threads=False)


def problems_of(programme: Programme) -> list[str]:
    """Play the session through, and on until fresh music is heard; return what the listener noticed."""
    with programme:
        programme.play(SESSION_S)
        found = [] if programme.play_until_fresh() else ["no fresh music any more"]
        found += [f"lost: {one}" for one in programme.lost()]
        found += [f"again too soon: {key}" for key in programme.heard.repeats]
        found += [f"{name} failed: {error}" for name, error in programme.failures]
        if programme.heard.silent_frames:
            found.append(f"silent for {programme.heard.silent_frames} frames")
    return found


def all_problems(
    tmp_path: Path, start: Callable[[Path, int], Programme], calls: Callable[[Programme], list[str]]
) -> dict[str, list[str]]:
    """Fail each call of the session in a run of its own; `start` makes one that fails the Nth (0: none)."""
    healthy = start(_folder(tmp_path, 0), 0)
    assert problems_of(healthy) == []
    total = len(calls(healthy))
    assert total > 30
    found = {}
    for number in range(1, total + 1):
        programme = start(_folder(tmp_path, number), number)
        if problems := problems_of(programme):
            found[f"{number}: {calls(programme)[number - 1]}"] = problems
    return found


def _folder(tmp_path: Path, number: int) -> Path:
    folder = tmp_path / str(number)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("code", [errno.ENOSPC, pytest.param(errno.EIO, marks=pytest.mark.virtual)], ids=os.strerror)
def test_no_file_operation_matters(code: int, tmp_path: Path) -> None:
    """Any single thing that the spool asks of the disk may fail."""

    def start(folder: Path, nth: int) -> Programme:
        programme = session(folder)
        programme.files.fail_at[nth] = code
        return programme

    assert not all_problems(tmp_path, start, lambda programme: programme.files.calls)


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.virtual) for turn in (1, 2, 3))])
def test_no_call_of_the_server_matters(turn: int, tmp_path: Path) -> None:
    """Any single call may fail, in any way: each in one way, and in the others in the other turns."""

    def start(folder: Path, nth: int) -> Programme:
        return session(folder, ScriptedServer(lambda: 0.0, call_faults={nth: WAYS[(nth + turn) % len(WAYS)]}))

    assert not all_problems(tmp_path, start, lambda programme: [name for _, name in scripted(programme).calls])


class FailsOnce(FakeAcestep):
    """FakeAcestep that spoils its answer to one request: an error, no answer, or half of one."""

    nth = 0

    def answer(self, request: Request) -> Delivery:
        """Answer, but to the Nth."""
        if len(self.requests) + 1 != self.nth:
            return super().answer(request)
        if self.nth % 3 == 0:
            self.requests.append(request)
            return Delivery(text(500, "Internal Server Error"))
        return replace(super().answer(request), how="drop" if self.nth % 3 == 1 else "half")


def test_no_http_answer_matters(tmp_path: Path) -> None:
    """Any single answer may be an error, break off, or never come."""

    def start(folder: Path, nth: int) -> Programme:
        server = FailsOnce(speed=0.3, audio=tiny_file)
        server.nth = nth
        return session(folder, server)

    assert not all_problems(tmp_path, start, lambda programme: [one.route for one in fake(programme).requests])
