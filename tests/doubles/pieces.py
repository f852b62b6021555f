"""Pieces of the built-in stations, each composed and played by numpy once for all tests that look at it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from builtin.composer import compose
from builtin.engine import Cast, begin, numpy_cast, perform
from builtin.score import Score
from music.segment import Recipe, Samples
from music.stations import builtin_stations

STATIONS = {station.key: station for station in builtin_stations()}


def recipe(station: str = "lofi", duration_s: float = 6.0, **fields: object) -> Recipe:
    """Return the first recipe of a station, changed by `fields`."""
    first = STATIONS[station].recipe(0, duration_s)
    return dataclasses.replace(first, **fields)  # type: ignore[arg-type]


def render(asked: Recipe, seed: int, cast: Cast = numpy_cast) -> Samples:
    """Return a whole piece."""
    return np.concatenate(list(begin(asked, seed, cast).stretches))


@functools.cache
def piece(station: str) -> tuple[Score, Samples]:
    """Return a minute of a station as it is written and as it sounds."""
    score = compose(recipe(station, 60.0), 1)
    return score, np.concatenate(list(perform(score)))
