"""Every fault that takes a process of its own, a real sound server or a real terminal: the music goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from whole.faults.matrix import rows
from whole.faults.table import Row


@pytest.mark.realtime
@pytest.mark.parametrize("row", rows("process"), ids=lambda row: f"{row.area}: {row.name}")
def test_the_program_goes_on(row: Row, tmp_path: Path) -> None:
    """Whatever happens around the program, it is heard, says so, heals and ends as it should."""
    outcome = row.run(tmp_path)
    if outcome.said.startswith("not tried"):
        pytest.skip(outcome.said)
    assert outcome.problems == ()
