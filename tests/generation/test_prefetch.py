"""How much is made ahead: slots, counted in segments and in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from config import Settings
from generation.prefetch import Prefetch
from spool.spool import Entry

READY = Entry("ready", "ready", None, None, None)


def new_prefetch(
    batch: int = 1, ready: Callable[[], Sequence[Entry]] = tuple, unawaited: Callable[[int], int] = lambda mood: 0
) -> Prefetch:
    """Make one with a target of three segments."""
    return Prefetch(replace(Settings(), batch_size=batch, prefetch_target=3), ready, unawaited)


def slots(prefetch: Prefetch, segment_s: float = 24.0) -> int:
    """Count how many slots are given away."""
    count = 0
    while prefetch.reserve(0, segment_s, 24.0, 0.0) is not None:
        count += 1
    return count


@pytest.mark.parametrize(("batch", "free"), [(1, 3), (2, 2), (3, 1), (8, 1)])
def test_slots_are_counted_in_files(batch: int, free: int) -> None:
    """Every job in flight will give `batch` segments."""
    assert slots(new_prefetch(batch)) == free


def test_what_is_ready_or_comes_without_a_slot_is_counted() -> None:
    """A piece on the shelf, and a job left by an earlier run, leave room for one more."""
    assert slots(new_prefetch(ready=lambda: [READY], unawaited=lambda mood: 1)) == 1


def test_short_segments_get_one_slot_more() -> None:
    """The target counts in audible seconds too."""
    assert slots(new_prefetch(), segment_s=10.0) == 4


def test_slots_of_another_mood_are_not_in_the_way() -> None:
    """What will not be played next leaves its room to what will."""
    prefetch = new_prefetch()
    assert prefetch.reserve(7, 24.0, 24.0, 0.0) is not None
    assert slots(prefetch) == 3


def test_a_slot_that_is_given_back_is_free_again() -> None:
    """Filled or not: what filled it is counted as ready."""
    prefetch = new_prefetch()
    slot = prefetch.reserve(0, 24.0, 24.0, 0.0)
    assert slot is not None
    assert slots(prefetch) == 2
    prefetch.leave(slot)
    assert slots(prefetch) == 1


def test_music_that_moves_from_a_job_to_the_shelf_is_not_missed() -> None:
    """It is counted where it comes from before it is where it goes to: what ends in between gives no slot too many."""
    moved: list[str] = []

    def ready() -> list[Entry]:
        return [READY] * 3 if moved else [READY] * 2

    def unawaited(mood: int) -> int:
        coming = 0 if moved else 1
        moved.append("now")
        return coming

    assert slots(new_prefetch(ready=ready, unawaited=unawaited)) == 0
