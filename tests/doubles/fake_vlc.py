"""A libVLC for one list player: it plays its list by a `FakeClock`, as libVLC 3 does, and forgets its place as that.

Each file lasts as long as `lengths` says (20 s where it says nothing); one in `broken` is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace
from typing import Any

from doubles.simulated_time import FakeClock


class State(Enum):
    """The states that are asked for."""

    NothingSpecial = 0
    Playing = 3
    Paused = 4
    Stopped = 5
    Ended = 6
    Error = 7


class Media:
    """A file. `held` counts who has a hold on it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.held = 1

    def release(self) -> None:
        """Let it go."""
        self.held -= 1


class FakeVlc:
    """In the place of `LibVlc`: the module `vlc`, the instance, the list player, its player and its list at once."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lengths: dict[str, float] = {}
        self.broken: set[str] = set()
        self.media: list[Media] = []
        self.made: list[Media] = []
        self.volume = 100
        self.forgets = False  # the volume of the file before, as where a sound server keeps none
        self.played: list[str] = []
        self.state = State.NothingSpecial
        self._place = -1
        self._current: Media | None = None
        self._at_s = 0.0
        self._seen_at = clock.now()
        self.CallbackDecorators = SimpleNamespace(LogCb=lambda function: function)
        self.State = State

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Do nothing for what is only opened, set or released."""
        if name in ("load", "instance", "list_player", "media_list_new", "get_media_player"):
            return lambda *_: self
        if name in ("log_set", "log_unset", "set_media_list", "set_role", "audio_output_set", "release"):
            return lambda *_: None
        if name == "MediaPlayerRole":
            return SimpleNamespace(Music=1, _None=0)  # type: ignore[return-value]
        raise AttributeError(name)

    # The list

    def count(self) -> int:
        """Return how many files stand in it."""
        return len(self.media)

    def media_new_path(self, path: str) -> Media:
        """Return a file."""
        self.made.append(Media(path))
        return self.made[-1]

    def add_media(self, media: Media) -> None:
        """Put a file behind the others."""
        self._go()
        media.held += 1
        self.media.append(media)

    def remove_index(self, index: int) -> None:
        """Take a file out; the place in the list stays a number, as libVLC 3 has it."""
        self._go()
        self.media.pop(index).held -= 1

    def index_of_item(self, media: Media) -> int:
        """Return where a file stands, -1 where it does not."""
        return next((index for index, one in enumerate(self.media) if one is media), -1)

    # Playing

    def play_item_at_index(self, index: int) -> None:
        """Play a file from its beginning."""
        self._go()
        self._play(index)

    def next(self) -> None:
        """Go to the next file."""
        self._go()
        self._play(self._place + 1)

    def stop(self) -> None:
        """Stop."""
        self._go()
        self.state, self._current = State.Stopped, None

    def set_pause(self, paused: int) -> None:
        """Pause or go on."""
        self._go()
        if self.state in (State.Playing, State.Paused):
            self.state = State.Paused if paused else State.Playing

    def get_state(self) -> State:
        """Return what it does."""
        self._go()
        return self.state

    def get_media(self) -> Media | None:
        """Return the file that plays, which is then held."""
        self._go()
        if self._current is not None:
            self._current.held += 1
        return self._current

    def get_time(self) -> int:
        """Return where it stands in the file, in milliseconds."""
        self._go()
        return round(1000 * self._at_s)

    def get_length(self) -> int:
        """Return how long the file is, in milliseconds."""
        return round(1000 * self._length_s()) if self._current else -1

    def audio_get_volume(self) -> int:
        """Return the volume."""
        return self.volume

    def audio_set_volume(self, percent: int) -> int:
        """Set the volume."""
        self.volume = percent
        return 0

    def _length_s(self) -> float:
        return self.lengths.get(self._current.path, 20.0) if self._current else 0.0

    def _play(self, index: int) -> None:
        if not 0 <= index < len(self.media):
            self.state, self._current = State.Ended, None
            return
        self._place, self._current, self._at_s = index, self.media[index], 0.0
        self.played.append(self._current.path)
        self.volume = 100 if self.forgets else self.volume
        self.state = State.Playing
        if self._current.path in self.broken:
            self._play(index + 1)

    def _go(self) -> None:
        """Let the time pass that has passed."""
        left_s, self._seen_at = self.clock.now() - self._seen_at, self.clock.now()
        while self.state is State.Playing and left_s >= self._length_s() - self._at_s:
            left_s -= self._length_s() - self._at_s
            self._play(self._place + 1)
        if self.state is State.Playing:
            self._at_s += left_s
