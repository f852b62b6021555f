"""Values that travel between modules: what is read is what was declared."""

from __future__ import annotations

import json
import math

import pytest

from music.segment import Recipe, SegmentInfo


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", None), ("engine", ["x"]), ("created_at", 5), ("length_frames", "9"), ("cue_in_frames", True),
        ("cue_out_frames", 10**400), ("loudness_lufs", math.nan), ("peak_dbfs", math.inf), ("generation_s", "1"),
        ("server_wait_s", {}), ("recipe", {"prompt": 1}), ("recipe", {"bpm": {}}), ("recipe", {"duration_s": "long"}),
    ],
)  # fmt: skip
def test_metadata_of_another_type_are_none(field: str, value: object) -> None:
    """What is read has the types that are declared, so that nobody behind asks again."""
    recipe = Recipe("lofi", "soft", 30.0, 78, "A minor", "4", 7)
    info = SegmentInfo("s", recipe, "acestep", "7", "2026-01-02T03:04:05+00:00", 9, 0, 9, -16.0, -1.0, 9.8, None)
    assert SegmentInfo.from_json(info.to_json()) == info
    fields = json.loads(info.to_json())
    fields[field] = {**fields[field], **value} if field == "recipe" and isinstance(value, dict) else value
    with pytest.raises(ValueError, match="not the metadata of a segment"):
        SegmentInfo.from_json(json.dumps(fields))
