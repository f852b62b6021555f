"""What one session leaves to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from spool.state_files import FILE, load_volume, save_volume


def test_the_volume_is_remembered(tmp_path: Path) -> None:
    """What was saved is loaded."""
    save_volume(tmp_path, 35)
    assert load_volume(tmp_path) == 35


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"volume": "x"}', '{"volume": 101}', '{"volume": null}'])
def test_a_damaged_file_is_forgotten(tmp_path: Path, text: str) -> None:
    """Whatever stands there, the program starts."""
    (tmp_path / FILE).write_text(text)
    assert load_volume(tmp_path) is None


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    """Neither loading nor saving minds."""
    save_volume(tmp_path / "none", 5)
    assert load_volume(tmp_path / "none") is None
