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
from errors import ServerError, ServerRefused, ServerTrouble, ServerUnreachable
from fake_acestep import FakeAcestep
from fake_http import Delivery, Request, text
from harness import SETTINGS, Programme, tiny_file
from scripted_server import ScriptedServer

SESSION_S = 45.0
SHORT = replace(SETTINGS, segment_seconds=20.0, prefetch_target=1)
ERRORS: dict[str, Callable[[], ServerError]] = {
    "cannot be reached": lambda: ServerUnreachable("nothing listens"),
    "fails on the way": lambda: ServerTrouble("HTTP 500"),
    "fails for sure": lambda: ServerTrouble("HTTP 429", arrived=False),
    "is refused": lambda: ServerRefused("HTTP 401", status=401),
}


def session(folder: Path, server: ScriptedServer | FakeAcestep | None = None) -> Programme:
    """Make a short session."""
    client = None
    if isinstance(server, FakeAcestep):
        client = AceClient(server.start().url, timeouts=Timeouts(read_s=1.0))
    return Programme(folder, server, client=client, settings=SHORT, threads=False, tick_s=0.5)


def problems_of(programme: Programme) -> list[str]:
    """Play the session through, and on until fresh music is heard; return what the listener noticed."""
    with programme:
        programme.play(SESSION_S)
        found = [] if programme.play_until_fresh() else ["no fresh music any more"]
        found += [f"lost: {one}" for one in programme.lost()]
        found += [f"again too soon: {key}" for key in programme.heard.repeats]
        found += [f"{name} failed: {error!r}" for name, error in programme.failures]
        if programme.heard.silent_frames:
            found.append(f"silent for {programme.heard.silent_frames} frames")
    return found


def folder_of(tmp_path: Path, number: int) -> Path:
    """Return an empty folder for a run."""
    folder = tmp_path / str(number)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=os.strerror)
def test_no_file_operation_matters(code: int, tmp_path: Path) -> None:
    """Any single thing that the spool asks of the disk may fail."""
    found: dict[str, list[str]] = {}
    number, last = 0, 1
    while number < last:
        number += 1
        programme = session(folder_of(tmp_path, number))
        programme.files.fail_at[number] = code
        if problems := problems_of(programme):
            found[f"{number}: {programme.files.calls[number - 1]}"] = problems
        last = len(programme.files.calls)
    assert not found
    assert last > 40


@pytest.mark.parametrize("how", ERRORS)
def test_no_call_of_the_server_matters(how: str, tmp_path: Path) -> None:
    """Any single call may fail, in any way."""
    found: dict[str, list[str]] = {}
    number, last = 0, 1
    while number < last:
        number += 1
        server = ScriptedServer(lambda: 0.0, call_faults={number: ERRORS[how]})
        if problems := problems_of(session(folder_of(tmp_path, number), server)):
            found[f"{number}: {server.calls[number - 1][1]}"] = problems
        last = len(server.calls)
    assert not found
    assert last > 40


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
    found: dict[str, list[str]] = {}
    number, last = 0, 1
    while number < last:
        number += 1
        server = FailsOnce(speed=0.3, audio=tiny_file)
        server.nth = number
        if problems := problems_of(session(folder_of(tmp_path, number), server)):
            found[f"{number}: {server.requests[number - 1].route}"] = problems
        last = len(server.requests)
    assert not found
    assert last > 40
