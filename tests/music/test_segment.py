"""Metadata of a segment: written and read back the same, and refused where a field cannot be what it says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.segment import Analysis, Context, Continuation, Recipe, SegmentInfo, checked

PLAIN = SegmentInfo(
    "a1", Recipe("lofi", "soft keys", 30.0, 72, "C minor", "4", 7), "acestep", "42", "2026-11-23T13:20:12.123456+00:00",
    Analysis(960_000, 480, 950_000, -19.5, -1.25), 8.5, 0.25,
)  # fmt: skip
CONTINUED = replace(
    PLAIN,
    recipe=replace(PLAIN.recipe, continues=Context("a0", 4800, 720_000, 1_920_000)),
    analysis=replace(PLAIN.analysis, key_scale="Eb minor", bpm=71.98, beat_s=0.31),
    continues=Continuation("a0", 700_000, 9600, "a0", 14.5, -18.0, -0.5, 1.5),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
odd_values = json_values | st.sampled_from([-1, 0, 1e308, 10**400, float("nan"), float("inf"), True, "", "\ud800", "5"])


def paths_of(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the way to each field, those of the fields inside included."""
    if not isinstance(value, dict):
        return [path]
    return [path, *(way for key, inner in value.items() for way in paths_of(inner, (*path, key)))][not path :]


PATHS = paths_of(json.loads(CONTINUED.to_json()))


def changed(path: tuple[str, ...], value: Any) -> str:
    """Return the JSON of a segment with one field replaced."""
    whole = inner = json.loads(CONTINUED.to_json())
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize("info", [PLAIN, CONTINUED], ids=["of its own", "continued"])
def test_what_is_written_is_read_back(info: SegmentInfo) -> None:
    """Nothing is lost or changed, and it is one line of ASCII."""
    assert SegmentInfo.from_json(info.to_json()) == info
    assert info.to_json().isascii() and "\n" not in info.to_json()


def test_files_of_earlier_versions_are_read() -> None:
    """What was measured stands among the other fields; what came later may be missing."""
    old = {
        "segment_id": "a1",
        "recipe": {
            "station": "lofi", "prompt": "soft keys", "duration_s": 30, "bpm": 72, "key_scale": "C minor",
            "time_signature": "4", "seed": 7,
        },
        "engine": "acestep", "seed": "42", "created_at": "2026-11-23T13:20:12.123456+00:00",
        "length_frames": 960_000, "cue_in_frames": 480, "cue_out_frames": 950_000, "loudness_lufs": -19.5,
        "peak_dbfs": -1.25, "generation_s": 8.5, "server_wait_s": 0.25,
    }  # fmt: skip
    assert SegmentInfo.from_json(json.dumps(old)) == PLAIN
    assert json.loads(PLAIN.to_json()).keys() >= old.keys()


@given(st.sampled_from([(), ("recipe",), ("recipe", "continues"), ("continues",)]), json_values)
def test_files_of_later_versions_are_read(path: tuple[str, ...], value: Any) -> None:
    """What they say that is not known yet is passed over, wherever it stands: the music is the same."""
    assert SegmentInfo.from_json(changed((*path, "later"), value)) == CONTINUED


@given(st.sampled_from(PATHS), odd_values)
def test_one_odd_field_is_refused_or_can_be_used(path: tuple[str, ...], value: Any) -> None:
    """Whatever stands in a field, what is read can be computed with, shown and written; all else is a ValueError."""
    try:
        info = SegmentInfo.from_json(changed(path, value))
    except ValueError:
        return
    assert 0 < info.audible_s <= info.analysis.length_frames
    assert info.analysis.cue_in_frames >= 0 and 10 ** (info.analysis.loudness_lufs / 20) < 1e16
    assert info.recipe.bar_s is None or 0 < info.recipe.bar_s < 1000
    assert 0 <= info.recipe.canvas_s < 1e9 + 1 and f"{info.generation_s or 0.0:.1f}"
    assert " ".join([info.recipe.prompt, info.piece_id, info.seed, info.engine]).encode()
    assert SegmentInfo.from_json(info.to_json()) == info


@given(json_values)
def test_any_json_is_refused(value: Any) -> None:
    """Anything that is no metadata of ours is a ValueError, never another error."""
    with pytest.raises(ValueError):
        SegmentInfo.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "\0", "[" * 100_000, '{"recipe":' * 100_000, "9" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Comments of other programs, and what was made to hurt."""
    with pytest.raises(ValueError):
        SegmentInfo.from_json(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("generation_s",), -1), (("generation_s",), "8.5"), (("length_frames",), 9.5), (("length_frames",), True),
        (("cue_in_frames",), 950_000), (("cue_out_frames",), 960_001), (("peak_dbfs",), 1e9), (("created_at",), "noon"),
        (("created_at",), "0001-01-01T00:00:00+14:00"), (("recipe", "bpm"), 0), (("recipe", "duration_s"), 1e308),
        (("recipe", "continues", "begin_frames"), 720_001), (("continues", "gain_db"), float("nan")),
        (("recipe", "prompt"), "\ud800"), (("recipe",), None), (("seed",), 42),
        (("seed",), None), (("engine",), ["x"]), (("created_at",), 5), (("cue_out_frames",), 10**400),
        (("peak_dbfs",), math.inf), (("server_wait_s",), {}), (("recipe", "bpm"), {}), (("recipe", "prompt"), 1),
    ],
)  # fmt: skip
def test_the_field_is_named(path: tuple[str, ...], value: Any) -> None:
    """Each of these cannot be, and the error says which it is."""
    with pytest.raises(ValueError, match=path[-1].split("_")[0] + "|surrogates|Recipe|isoformat"):
        SegmentInfo.from_json(changed(path, value))


def test_a_recipe_is_read_by_the_same_rule() -> None:
    """The jobs of the last run hold recipes of their own."""
    assert checked(Recipe, {"station": "lofi", "prompt": "", "duration_s": 30}) == Recipe("lofi", "", 30.0)
    with pytest.raises(ValueError, match="duration_s"):
        checked(Recipe, {"station": "lofi", "prompt": "", "duration_s": None})
