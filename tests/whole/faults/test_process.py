"""Every fault that takes a process of its own, a real sound server or a real terminal: the music goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from whole.faults.process_rows import ROWS
from whole.faults.stage import ProcessRow


@pytest.mark.realtime
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.area}: {row.name}")
def test_the_program_goes_on(row: ProcessRow, tmp_path: Path) -> None:
    """Whatever happens around the program, it is heard, says so, heals and ends as it should."""
    outcome = row.run(tmp_path)
    if outcome.said.startswith("not tried"):
        pytest.skip(outcome.said)
    assert outcome.problems == ()


def test_every_row_has_a_name_of_its_own() -> None:
    """A row can be picked by its name."""
    names = [(row.area, row.name) for row in ROWS]
    assert len(set(names)) == len(names)
