"""What one session leaves to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from spool.state_files import FILE, load_remembered, remember


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Each value by itself: saving one keeps the others."""
    remember(tmp_path, volume=35)
    remember(tmp_path, ambience="rain", ambience_volume=20)
    remember(tmp_path, volume=0)
    assert load_remembered(tmp_path) == {"volume": 0, "ambience": "rain", "ambience_volume": 20}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"volume": "x"}',
        '{"volume": 101}',
        '{"volume": null}',
        '{"volume": true}',
        '{"ambience": 3}',
    ],
)
def test_a_damaged_file_is_forgotten(tmp_path: Path, text: str) -> None:
    """Whatever stands there, the program starts."""
    (tmp_path / FILE).write_text(text)
    assert load_remembered(tmp_path) == {}


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    """Neither loading nor saving minds."""
    remember(tmp_path / "none", volume=5)
    assert load_remembered(tmp_path / "none") == {}
