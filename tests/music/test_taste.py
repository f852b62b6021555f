"""Taste: what is liked comes more often, what is disliked less, and none alone."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from music.stations import Mood, Station, builtin_stations, custom
from music.taste import EVEN, FEWEST, KINDS, MOST, REMEMBERED, Opinion, Taste, spread

LOFI = builtin_stations()[0]
MINE = Station("mine", "Mine", "Mine", ("one", "two"), instruments=("harp", "organ"), textures=("sea", "wind"))

words = st.sampled_from("abcde")
ones = st.builds(lambda liked, *made_of: (liked, made_of), st.booleans(), words, words, words)
many = st.lists(ones, max_size=60)
turns = st.lists(st.integers(FEWEST, MOST), min_size=3, max_size=9)


def taste_of(*opinions: tuple[bool, Iterable[str]], station: str = "mine") -> Taste:
    """Return a taste with an opinion of one piece each: liked or not, and caption, instrument, texture."""
    return Taste(Opinion(str(n), station, liked, *made_of) for n, (liked, made_of) in enumerate(opinions))


def share(taste: Taste, kind: str, word: str, among: str = "abcde") -> float:
    """Return how much of a round one choice has."""
    rotation = taste.rotation("mine", kind, among)
    return rotation.count(word) / len(rotation)


def asked_for(mood: Mood, number: int) -> list[dict[str, str]]:
    """Return what the next prompts of a mood are made of."""
    return [mood.station.choices(mood.next_recipe(30).prompt) for _ in range(number)]


@given(many, ones)
def test_a_like_never_takes_from_its_choices_and_a_dislike_never_adds(
    opinions: list[tuple[bool, tuple[str, str, str]]], new: tuple[bool, tuple[str, str, str]]
) -> None:
    """Whatever was thought before: of what the piece was made of, the share does not go the wrong way."""
    before, after = taste_of(*opinions), taste_of(*opinions, new)
    for kind, word in zip(KINDS, new[1], strict=True):
        change = share(after, kind, word) - share(before, kind, word)
        assert change >= -1e-12 if new[0] else change <= 1e-12


@given(many, st.integers(3, 9))
@example([(True, ("a", "a", "a"))] * 30 + [(False, ("b", "b", "b"))] * 30, 9)
@example([(True, ("a", "a", "a"))] * 30 + [(False, (one, one, one)) for one in "bcdefghi" * 9], 9)
def test_each_choice_stays_audible(opinions: list[tuple[bool, tuple[str, str, str]]], number: int) -> None:
    """At least a third of its even share, at most three times that, and never over half."""
    among, taste = "abcdefghi"[:number], taste_of(*opinions)
    for kind, word in itertools.product(KINDS, among):
        assert 1 / (3 * number) <= share(taste, kind, word, among) <= min(1 / 2, 3 / number)


@given(many, ones, ones, st.integers(0, 60))
def test_what_is_taken_back_was_never_there(
    opinions: list[tuple[bool, tuple[str, str, str]]],
    one: tuple[bool, tuple[str, str, str]],
    other: tuple[bool, tuple[str, str, str]],
    piece: int,
) -> None:
    """Undone one after the other, opinions of new and of old pieces leave all as it was, its order included."""
    taste = taste_of(*opinions)
    before = taste.opinions
    undo = [taste.note(str(piece), Opinion(str(piece), "mine", liked, *made_of)) for liked, made_of in (one, other)]
    undo.append(taste.note(str(piece), None))
    for back in reversed(undo):
        back()
    assert taste.opinions == before


def test_the_latest_opinion_counts_most_and_a_piece_has_one() -> None:
    """Half as much after eight newer ones of the same choice; others' opinions take nothing from it."""
    likes, dislikes = [(True, "aaa")] * 8, [(False, "aaa")] * 8
    assert taste_of(*likes, *dislikes).turns("mine")["caption", "a"] < EVEN
    assert taste_of(*dislikes, *likes).turns("mine")["caption", "a"] > EVEN
    others = [(True, "bbb")] * 30
    assert (
        taste_of((False, "aaa"), *others).turns("mine")["caption", "a"]
        == taste_of((False, "aaa")).turns("mine")["caption", "a"]
    )
    taste = taste_of()
    for _ in range(5):
        taste.note("the same", Opinion("the same", "mine", True, "a"))
    assert taste.turns("mine") == taste_of((True, "a")).turns("mine")


def test_no_more_is_remembered_than_counts() -> None:
    """A file of years stays small."""
    taste = taste_of(*[(True, "abc")] * (REMEMBERED + 5))
    assert [opinion.piece for opinion in taste.opinions][:: REMEMBERED - 1] == ["5", str(REMEMBERED + 4)]


@settings(max_examples=40)
@given(turns, st.randoms(use_true_random=False))
def test_a_round_is_exact_and_never_says_the_same_twice(counts: list[int], rng: random.Random) -> None:
    """Each choice has its turns, but at most half of them; its end and its beginning are neighbours too."""
    order = spread(counts, rng)
    assert Counter(order) == {one: min(count, sum(counts) - count) for one, count in enumerate(counts)}
    assert all(one != other for one, other in zip(order, [*order[1:], order[0]], strict=True))


def test_no_two_lists_go_in_step() -> None:
    """Liked or not, each instrument is heard with each texture before long."""
    station = replace(MINE, instruments=tuple("abcdefg"), textures=tuple("hijklmn"))
    taste = taste_of(*[(True, ("one", "a", "h")), (False, ("two", "b", "i"))])
    heard = Counter(
        (made_of["instrument"], made_of["texture"]) for made_of in asked_for(Mood(station, taste=taste), 250)
    )
    assert len(heard) >= 45
    assert max(heard.values()) < 30


def test_no_opinion_no_change() -> None:
    """Opinions of other stations, of words that are gone, and of two captions alone leave the rotation as it is."""
    for taste in (
        Taste(),
        taste_of((True, LOFI.words(1)), station="elsewhere"),
        taste_of((True, ("gone", "gone", "gone")), station="lofi"),
    ):
        assert LOFI.steered_by(taste) == LOFI
    assert MINE.steered_by(taste_of((True, ("one", "", "")))) == MINE
    prompt = custom("soft rain, instrumental")
    assert prompt.makes("soft rain, instrumental")
    assert Mood(prompt, taste=taste_of((True, "abc"), station="custom")).next_recipe(30).prompt == prompt.captions[0]


@pytest.mark.parametrize("station", [LOFI, MINE], ids=lambda station: station.key)
def test_what_is_liked_is_asked_for_more_often(station: Station) -> None:
    """Three likes and three dislikes: in a long evening one comes more and one less than before, all others too."""
    liked, disliked = station.words(0), station.words(1)
    taste = taste_of(*[(True, liked)] * 3, *[(False, disliked)] * 3, station=station.key)
    heard = asked_for(Mood(station, 17, taste=taste), 400)
    for kind, more, less in zip(KINDS, liked, disliked, strict=True):
        among = getattr(station, f"{kind}s")
        counted = Counter(made_of[kind] for made_of in heard)
        assert set(counted) == set(among)
        if len(among) == 2 and kind == "caption":
            continue  # one in turn with the other
        assert counted[more] > 1.2 * 400 / len(among)
        assert counted[less] < 0.85 * 400 / len(among)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_caption_twice_in_a_row(number: int) -> None:
    """Not even where an opinion changes the rotation at every step; one alone is all there is."""
    station, rng = replace(MINE, captions=("one", "two", "three")[:number]), random.Random(5)
    mood = Mood(station, taste=Taste())
    captions, instruments = [], set()
    for step in range(200):
        (made_of,) = asked_for(mood, 1)
        captions.append(made_of["caption"])
        instruments.add(made_of["instrument"])
        mood.taste.note(str(step), Opinion(str(step), "mine", rng.random() < 0.5, **made_of))
    assert set(captions) == set(station.captions)
    assert instruments == set(station.instruments)
    assert number == 1 or all(one != other for one, other in itertools.pairwise(captions))


def test_the_same_taste_and_the_same_place_give_the_same_prompts() -> None:
    """In any session; the key moves on one by one."""
    taste = taste_of(*[(True, LOFI.words(3))] * 2, station="lofi")
    one, other = (Mood(LOFI, 11, taste=Taste(taste.opinions)) for _ in range(2))
    recipes = [one.next_recipe(30) for _ in range(50)]
    assert recipes == [other.next_recipe(30) for _ in range(50)]
    places = [LOFI.key_scales.index(recipe.key_scale) for recipe in recipes]
    assert {(after - before) % 4 for before, after in itertools.pairwise(places)} == {0, 1}


def test_likes_change_no_piece_that_does_not_repeat_by_itself() -> None:
    """A station's own list may name one thing twice: both have the same turns."""
    taste = taste_of((True, ("", "harp", "")))
    rotation = taste.rotation("mine", "instrument", ("harp", "organ", "harp", "lute"))
    assert rotation.count("harp") > rotation.count("organ") == rotation.count("lute") == EVEN
