"""How much is made ahead: slots, counted in segments and in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Settings
from generation.policy import FAILED, SAFE_SHARE, Policy, Speed, Tries
from generation.prefetch import Prefetch
from music.segment import SAMPLE_RATE_HZ, Analysis, Recipe, SegmentInfo
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


# How long


@given(
    speed=st.floats(0.02, 3.0),
    audible=st.floats(0.5, 1.0),
    ready_s=st.floats(0.0, 2000.0),
    ahead_s=st.floats(0.0, 1200.0),
    done=st.floats(0.0, 1.0),
)
def test_a_longer_job_is_done_before_what_is_ready_is_heard(
    speed: float, audible: float, ready_s: float, ahead_s: float, done: float
) -> None:
    """Whatever the speed, a job of the length that there is room for comes in time, with a third to spare."""
    learned = Speed()
    learned.learn(speed * 30.0, 30.0, audible * 30.0, 1, cold=False)
    work_s = speed * ahead_s * (1.0 - done)
    room_s = learned.room_s(ready_s, ahead_s, work_s)
    lasts_s = ready_s + audible * ahead_s
    assert work_s + speed * max(room_s, 0.0) <= max(SAFE_SHARE * lasts_s, work_s) + 1e-6


def test_before_the_speed_is_known_nothing_is_asked_for_at_length() -> None:
    """The first jobs are as short as they always were."""
    assert Speed().room_s(1e6, 0.0, 0.0) == 0.0


def test_only_a_full_queue_is_a_reason_for_more() -> None:
    """What is missing comes as soon as can be."""
    sound = Analysis(30 * SAMPLE_RATE_HZ, 0, 24 * SAMPLE_RATE_HZ, -18.0, -1.0)
    info = SegmentInfo("a", Recipe("", "", 30.0), "acestep", "1", "", sound)
    shelf = [Entry("a", "ready", None, info, None)]
    prefetch = new_prefetch(ready=lambda: shelf)
    slot = prefetch.reserve(0, 24.0, 24.0, 0.0)
    assert slot is not None
    assert prefetch.longest_s(0, lambda ready_s: 1000.0) == 0.0
    prefetch.reserve(0, 24.0, 24.0, 0.0)
    assert prefetch.longest_s(0, lambda ready_s: 2 * ready_s) == 48.0
    assert prefetch.longest_s(0, lambda ready_s: 1000.0) == Settings().segment_max_seconds


def test_longer_is_reached_in_steps_and_left_at_the_first_failure() -> None:
    """At most twice what has worked; after a failure the job goes on at the full duration, others a step back."""
    policy, asked = Policy(30.0, 2, thinking=True), []
    for _ in range(4):
        tries = Tries()
        conditions = policy.next(tries, 200.0)
        asked.append(conditions.duration_s)
        policy.succeeded(tries, conditions)
    assert asked == [60.0, 120.0, 200.0, 200.0]
    tries = Tries()
    assert policy.failed(tries, policy.next(tries, 200.0), 0.0) == []
    assert [policy.next(tries, 200.0).duration_s, policy.next(Tries(), 200.0).duration_s] == [30.0, 200.0]
    assert tries.failed == 0


def test_what_is_tested_or_too_long_already_is_not_asked_for_at_length() -> None:
    """Below the full duration nothing grows."""
    policy = Policy(30.0, 0, thinking=False)
    for _ in range(FAILED):
        tries = Tries()
        policy.failed(tries, policy.next(tries), 0.0)
        policy.succeeded(tries, policy.next(tries))
    assert policy.next(Tries(), 200.0).duration_s == 20.0


def test_what_has_never_worked_is_tried_ever_more_rarely() -> None:
    """A GPU too small for a minute: one try in four successes, then in eight, and so on."""
    policy, asked = Policy(30.0, 2, thinking=True), []
    for _ in range(40):
        tries = Tries()
        while (conditions := policy.next(tries, 60.0)).duration_s > 30.0:
            policy.failed(tries, conditions, 0.0)
            asked.append("60")
        policy.succeeded(tries, conditions)
        asked.append("30")
    tried = [number for number, length in enumerate(asked) if length == "60"]
    assert [later - earlier for earlier, later in pairwise(tried)] == [5, 9, 17]
