"""What the listener likes and dislikes, and how often each choice of a station comes for it.

A station makes a prompt of a caption, an instrument and a texture (`stations`). In one round of such a list every
choice has EVEN turns; those of what was liked have more, those of what was disliked fewer:

    turns = EVEN * (PRIOR + likes) / (PRIOR + dislikes), rounded, from FEWEST to MOST

which are the odds that the next opinion of it is a like, by the mean of a Beta distribution with PRIOR likes and
dislikes before the first (Gelman et al., Bayesian Data Analysis, 2.4). The bounds keep every choice audible: none comes
less than a third as often as in an even rotation, none over three times as often.

Of a choice the latest opinion counts 1, the one before less, half as much every HALF_LIFE. Opinions of other choices
take nothing from it: what was disliked does not come back because something else was liked, and a like never makes its
own choices rarer.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

KINDS: Final = ("caption", "instrument", "texture")
EVEN: Final = 7
FEWEST: Final = 4
MOST: Final = 12
PRIOR: Final = 4.0
HALF_LIFE: Final = 8  # opinions
REMEMBERED: Final = 500  # opinions: by then the first have faded
RESTLESS: Final = 0.5  # turns by which a round leaves the regular order, so that two lists do not go in step


@dataclass(frozen=True)
class Opinion:
    """What the listener thinks of one piece (its segment's id), and what that was made of: "" for what it had not."""

    piece: str
    station: str
    liked: bool
    caption: str = ""
    instrument: str = ""
    texture: str = ""


class Taste:
    """The opinions of all pieces, one a piece.

    Threads: any; `_lock` guards all fields but `changed`, which is given once and called without it.
    """

    def __init__(self, opinions: Iterable[Opinion] = ()) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._numbered: dict[str, tuple[int, Opinion]] = {}
        self._next = 0
        self.fill(opinions)

    def fill(self, opinions: Iterable[Opinion]) -> None:
        """Put these, oldest first, before those that are there already."""
        older = list(opinions)
        with self._lock:
            numbered = {opinion.piece: (number - len(older), opinion) for number, opinion in enumerate(older)}
            self._numbered = numbered | self._numbered

    @property
    def opinions(self) -> tuple[Opinion, ...]:
        """The latest REMEMBERED, oldest first."""
        with self._lock:
            found = sorted(self._numbered.values(), key=lambda one: one[0])
        return tuple(opinion for _, opinion in found[-REMEMBERED:])

    def note(self, piece: str, opinion: Opinion | None) -> Callable[[], None]:
        """Note an opinion of a piece in place of the one before, None: there is none; return what undoes that."""
        with self._lock:
            before = self._numbered.get(piece)
            self._next += 1
        self._put(piece, (self._next, opinion) if opinion else None)
        return lambda: self._put(piece, before)

    def _put(self, piece: str, numbered: tuple[int, Opinion] | None) -> None:
        with self._lock:
            self._numbered.pop(piece, None)
            if numbered:
                self._numbered[piece] = numbered
        self.changed()

    def turns(self, station: str) -> dict[tuple[str, str], int]:
        """Return the turns of each (kind, choice) of a station that an opinion tells of."""
        ages: defaultdict[tuple[str, str], int] = defaultdict(int)
        counted: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [PRIOR, PRIOR])
        for opinion in reversed(self.opinions):
            for kind in KINDS if opinion.station == station else ():
                if word := getattr(opinion, kind):
                    counted[kind, word][opinion.liked] += 0.5 ** (ages[kind, word] / HALF_LIFE)
                    ages[kind, word] += 1
        return {
            choice: min(MOST, max(FEWEST, round(EVEN * likes / dislikes)))
            for choice, (dislikes, likes) in counted.items()
        }

    def rotation(self, station: str, kind: str, words: Sequence[str]) -> tuple[str, ...]:
        """Return one round of a station's list: the list itself where all choices have as many turns.

        None comes twice in a row, but where there are but two; two captions take turns.
        """
        known = self.turns(station)
        turns = [known.get((kind, word), EVEN) for word in words]
        if len(set(turns)) < 2 or not can_lean(kind, words):
            return tuple(words)
        return tuple(words[choice] for choice in spread(turns, random.Random(repr((kind, words)))))


def can_lean(kind: str, words: Sequence[str]) -> bool:
    """Return whether one choice of a list can come more often than another: of two captions none can."""
    return len(words) > (2 if kind == "caption" else 1)


def spread(turns: Sequence[int], rng: random.Random) -> list[int]:
    """Return the numbers of the choices, each as often as it has turns, at about even distances.

    Of three or more none comes twice in a row, the round's end before its beginning included, so that none has over
    half of the turns. The one longest overdue comes next, give or take RESTLESS, unless the others could then not keep
    it and each other apart.
    """
    left = [min(count, sum(turns) - count) if len(turns) > 2 else count for count in turns]
    weights, length = tuple(left), sum(left)
    due, order = [0.0] * len(left), list[int]()

    def fits(choice: int) -> bool:
        """Whether what is left can be set apart: from this one, which is just before it, and the first, behind it."""
        if len(left) == 2:
            return left[choice] > 0
        ends, free = [choice, *(order or [choice])[:1]], length - len(order)
        apart = (2 * (n - (i == choice)) + ends.count(i) <= free for i, n in enumerate(left))
        return left[choice] > 0 and choice not in order[-1:] and all(apart)

    while len(order) < length:
        due = [one + weight for one, weight in zip(due, weights, strict=True)]
        late = [one + RESTLESS * length * rng.random() for one in due]
        choice = next(filter(fits, sorted(range(len(left)), key=late.__getitem__, reverse=True)))
        due[choice] -= length
        left[choice] -= 1
        order.append(choice)
    return order
