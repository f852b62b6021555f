"""Every fault of the matrix that can be made inside this process: never silent, nothing lost, said, healed."""

from __future__ import annotations

from pathlib import Path

import pytest

from whole.faults.matrix import GROUPS, rows
from whole.faults.table import Row


@pytest.mark.parametrize("row", rows("in-process"), ids=lambda row: f"{row.area}: {row.name}")
def test_the_music_goes_on(row: Row, tmp_path: Path) -> None:
    """Whatever fails, the music goes on."""
    assert row.run(tmp_path).problems == ()


def test_every_fault_has_a_name_of_its_own() -> None:
    """A row can be picked by its name."""
    names = [(row.area, row.name) for group in GROUPS for row in rows(group)]
    assert len(set(names)) == len(names)
