"""For all tests: nothing depends on chance, on how fast the machine is, nor on who starts them."""

# ruff: noqa: E402

from __future__ import annotations

from base.process import use_one_blas_thread

use_one_blas_thread()  # as in the program; before numpy is imported

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from doubles.fake_acestep import FakeAcestep
from doubles.simulated_time import SimClock
from listening.sound_room import let_signals_through
from whole.generator_session import Session, session

settings.register_profile("by chance", deadline=None)  # `make simulate`: other examples each time
settings.register_profile("the same each time", deadline=None, derandomize=True)
settings.load_profile("the same each time")
let_signals_through()


@pytest.fixture
def fake() -> Iterator[FakeAcestep]:
    """A server that does every job at once."""
    with FakeAcestep() as server:
        yield server


@pytest.fixture
def in_threads(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Start generators with their workers on virtual time, which end in time at the end of the test."""
    runs: list[Session] = []
    with contextlib.ExitStack() as clocks:

        def start(seed: int = 0, folder: Path = tmp_path, **levers: Any) -> Session:
            runs.append(session(folder, clock=clocks.enter_context(SimClock(seed)), seed=seed, **levers))
            runs[-1].start()
            return runs[-1]

        yield start
        for run in runs:
            assert run.end()
