"""What comes next: what follows well, never the end of a chain first, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from doubles.sounds import info
from music.keys import fifths_apart
from music.segment import Analysis, Continuation, Piece, Source
from programme.following import LOOKED_AT, MOST_PASSED, Following
from spool.spool import Entry

KEYS = ("C major", "F# major", "D major", "A minor", "Eb minor", "G major", "")


def entry(name: str, key_scale: str = "C major", *, bpm: int | None = 80, continues: str = "") -> Entry:
    """Return an entry of a key, tempo, and what it continues."""
    about = info(key=name)
    after = Continuation(continues, 1, 0, continues, 20.0, -23.0, -10.0, 0.0) if continues else None
    recipe = replace(about.recipe, key_scale=key_scale, bpm=bpm)
    return Entry(name, "ready", Path(name), replace(about, recipe=recipe, continues=after))


def run(waiting: list[Entry]) -> list[Entry]:
    """Have all of them chosen, each following the one before."""
    following, waiting, chosen = Following(), list(waiting), []
    while one := following.choose(waiting):
        following.after(one.info)
        waiting.remove(one)
        chosen.append(one)
    return chosen


def test_what_fits_comes_first_and_equals_keep_their_order() -> None:
    """From C major: its relative, then what is left."""
    queue = [entry("a"), entry("b", "F# major"), entry("c", "A minor"), entry("d", "G major")]
    assert [one.key for one in run(queue)] == ["a", "c", "d", "b"]
    same = [entry(name) for name in "abcdef"]
    assert run(same) == same
    tempi = [entry("a", bpm=80), entry("b", bpm=110), entry("c", bpm=160)]
    assert [one.key for one in run(tempi)] == ["a", "c", "b"]


def test_what_continues_the_one_before_goes_first() -> None:
    """However well another would follow."""
    queue = [entry("a"), entry("x"), entry("y", "F# major", continues="a")]
    assert [one.key for one in run(queue)] == ["a", "y", "x"]


queues = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([None, 70, 80, 111]), st.booleans()), max_size=24)


@given(queues)
def test_nobody_waits_long_and_no_chain_is_broken(rows: list[tuple[str, int | None, bool]]) -> None:
    """Everyone comes once, parts of chains in their order, no one later than those passed over allow."""
    queue = [
        entry(f"s{index}", key_scale, bpm=bpm, continues=f"s{index - 1}" if joined and index else "")
        for index, (key_scale, bpm, joined) in enumerate(rows)
    ]
    chosen = run(queue)
    places = {one.key: place for place, one in enumerate(chosen)}
    assert sorted(places) == sorted(one.key for one in queue)
    for index, one in enumerate(queue):
        assert places[one.key] <= index + MOST_PASSED * LOOKED_AT
        if one.info and one.info.continues:
            assert places[one.info.continues.segment_id] < places[one.key]


@given(st.lists(st.sampled_from(KEYS[:6]), min_size=2, max_size=4))
def test_the_first_step_is_the_best_there_is(key_scales: list[str]) -> None:
    """Of those that wait, none fits better than the one that is chosen."""
    following, queue = Following(), [entry(f"s{index}", key) for index, key in enumerate(key_scales)]
    before = entry("before")
    following.after(before.info)
    chosen = following.choose(queue)
    assert chosen is not None and chosen.info is not None
    apart = [fifths_apart("C major", key) for key in key_scales]
    assert fifths_apart("C major", chosen.info.recipe.key_scale) == min(one for one in apart if one is not None)


def test_the_oldest_gives_way_a_few_times_only() -> None:
    """However ill it follows, and however many fit better."""
    queue = [entry("a"), entry("far", "F# major"), *(entry(f"near{index}") for index in range(12))]
    assert [one.key for one in run(queue)].index("far") == 1 + MOST_PASSED


def test_what_was_measured_counts_more_than_what_was_asked_for() -> None:
    """A model often takes another key; a file without metadata has the one that was measured when it was heard."""
    following = Following()
    asked, stranger = entry("asked"), Entry("stranger", "kept", Path("stranger"), None)
    sound = Analysis(1, 0, 1, -23.0, -1.0, "F# major", 80.0)
    assert asked.info is not None
    following.heard(Piece(np.zeros((0, 2), np.float32), Source.LIBRARY, "stranger", sound=sound))
    taken = replace(asked, info=replace(asked.info, analysis=replace(asked.info.analysis, key_scale="B major")))
    assert following.choose([entry("a"), taken]) is taken
    following.after(replace(asked.info, analysis=sound))
    assert following.choose([entry("a"), stranger]) is stranger
