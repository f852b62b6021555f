"""For all tests: nothing depends on how fast the machine is, nor on who starts them."""

from __future__ import annotations

from base.process import use_one_blas_thread

use_one_blas_thread()  # as in the program; before numpy is imported

import contextlib  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from listening.sound_room import let_signals_through  # noqa: E402

if TYPE_CHECKING:
    from whole.generator_session import Session

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
let_signals_through()


@pytest.fixture
def in_threads(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Start generators with their workers on virtual time, which end in time at the end of the test."""
    from doubles.simulated_time import SimClock  # what few tests need is not imported for all
    from whole.generator_session import session

    with contextlib.ExitStack() as clocks:
        runs: list[Session] = []

        def start(seed: int = 0, folder: Path = tmp_path, **levers: Any) -> Session:
            clock = clocks.enter_context(SimClock(seed))
            runs.append(session(folder, clock=clock, seed=seed, **levers))
            runs[-1].start()
            return runs[-1]

        yield start
        for run in runs:
            assert run.end()
