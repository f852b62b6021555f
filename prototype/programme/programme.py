"""What a programme is, whoever plays it: what it is fed with and told, and what can be seen of it.

Two keep this contract: the mixer, and VLC's list of files. Whoever feeds or commands one of them knows no more. What
is heard before there is one stands here too, with the standard library alone: the beginning of the first piece.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from music.continuing import continues
from music.segment import CHANNELS, PEAK_LIMIT, Continuation, Endless, Piece, SegmentInfo, Source

ORDER: Final = tuple(source for source in Source if source is not Source.BED)
LIBRARY_FIRST: Final = tuple(sorted(ORDER, key=lambda source: source is not Source.LIBRARY))

Unwanted = Callable[[Piece], bool]


@dataclass(frozen=True)
class PlayingView:
    """What is heard now; `asked`: because the listener went back to it. `title` is that of a listener's own file."""

    source: Source
    key: str = ""
    info: SegmentInfo | None = None
    elapsed_s: float = 0.0
    total_s: float | None = None
    asked: bool = False
    title: str = ""

    @classmethod
    def of(cls, piece: Piece, elapsed_s: float, total_s: float | None, *, asked: bool) -> PlayingView:
        """Return it of a piece."""
        return cls(piece.source, piece.key, piece.info, elapsed_s, total_s, asked, piece.title)


@dataclass(frozen=True)
class MixerSnapshot:
    """The programme at one moment. The counters are frames since the start.

    `waiting`: whatever piece comes is heard at once. `levels_db` holds recent block levels (RMS, dBFS, oldest first).
    """

    playing: PlayingView = PlayingView(Source.BED)
    fading: bool = False
    waiting: bool = False
    paused: bool = False
    resting: bool = False
    muted: bool = False
    volume: float = 1.0
    stock: dict[Source, int] = field(default_factory=dict)
    frames: dict[Source, int] = field(default_factory=dict)
    paused_frames: int = 0
    silent_frames: int = 0
    longest_silence_s: float = 0.0
    levels_db: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Event:
    """What happened to a piece."""

    piece: Piece


class Started(Event):
    """It began to be heard."""


class Dropped(Event):
    """It left the stock unheard."""


class Left(Event):
    """The listener has skipped it: it does not go on."""


class Programme(Protocol):
    """Pieces in, one endless programme out. Nothing here waits; a command takes effect soon, and none is lost.

    Pause, mute and volume are the player's, who may leave them to the programme.
    Threads: any. `on_change` is told of events, and of other music, in a thread that feeds the sound: it must not wait.
    """

    on_change: Callable[[], None]

    def offer(self, piece: Piece) -> None:
        """Put a piece in stock."""

    def withdraw(self, unwanted: Unwanted) -> None:
        """Drop the pieces in stock that are `unwanted`: their mood has passed, or the listener dislikes them."""

    def change_soon(self) -> None:
        """Go to the next piece that comes into stock without waiting for the end of this one."""

    def prefer_library(self, prefer: bool) -> None:
        """Let a library piece go first at the next transitions, to spread scarce fresh ones."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, oldest first."""

    def skip(self) -> None:
        """Go to the next piece, or as soon as one is in stock; twice: to the one after it."""

    def leave(self, key: str) -> None:
        """Skip the piece `key` if it is heard and not on its way out already: the listener dislikes it."""

    def play(self, piece: Piece) -> None:
        """Go to `piece` now, and come back to what is heard when it has ended."""

    def rest(self, resting: bool) -> None:
        """Let the music rest (a break), or go on; apart from the player's pause: the two add up."""

    def fade_out(self, seconds: float) -> None:
        """Fade the whole programme from where it is to nothing, for the end of a session."""

    def fade_in(self) -> None:
        """Take `fade_out` back: the end was put off."""

    def snapshot(self) -> MixerSnapshot:
        """Return the state as of a moment ago; cheap."""

    def playing_piece(self) -> Piece | None:
        """Return the piece that is heard, None when there is none."""


class Stock:
    """The pieces that may be heard next: those that were asked for (`again`), then by source, in order.

    Threads: one.
    """

    def __init__(self) -> None:
        self._order = ORDER
        self.again: list[Piece] = []
        self._pieces: dict[Source, list[Piece]] = {source: [] for source in ORDER}

    def __len__(self) -> int:
        return sum(map(len, (self.again, *self._pieces.values())))

    def put(self, piece: Piece) -> None:
        """Add a piece behind those of its source."""
        self._pieces[piece.source].append(piece)

    def put_first(self, piece: Piece, left: Piece | None) -> list[Event]:
        """Have `piece` heard next, and then again what was `left` for it; return what leaves the stock for that."""
        dropped = self.drop(lambda other: other.key == piece.key)
        if left and left.key not in {piece.key, *(other.key for other in self.again)}:
            self.again.insert(0, replace(left, source=Source.LIBRARY) if left.source is Source.FRESH else left)
        self.again.insert(0, piece)
        return dropped

    def put_back(self, piece: Piece, *, asked: bool) -> None:
        """Undo `take`."""
        (self.again if asked else self._pieces[piece.source]).insert(0, piece)

    def first(self) -> Piece | None:
        """Return the piece whose turn it is, if there is one."""
        shelves = (self.again, *(self._pieces[source] for source in self._order))
        return next((shelf[0] for shelf in shelves if shelf), None)

    def prefer_library(self, prefer: bool) -> None:
        """Let the library go first, or take that back."""
        self._order = LIBRARY_FIRST if prefer else ORDER

    def continuing(self, piece: Piece) -> list[tuple[Piece, Continuation]]:
        """Return what continues a piece, and how: of what was asked for, else fresh, or what is first anyway."""
        first = self.first()
        sources = dict.fromkeys((Source.FRESH, first.source)) if first else {}
        waiting = self.again or [other for source in sources for other in self._pieces[source]]
        last = piece.info.segment_id if piece.info else ""
        return [(one, to) for one in waiting if continues(one.info, last) and one.info and (to := one.info.continues)]

    def drop_rest(self, piece_id: str) -> list[Event]:
        """Take out what goes on with a piece, but for what was asked for."""
        return self.drop(
            lambda one: bool(one.info and one.info.follows and one.info.piece_id == piece_id) and one not in self.again
        )

    def take(self, piece: Piece) -> None:
        """Take a piece out."""
        (self.again if piece in self.again else self._pieces[piece.source]).remove(piece)

    def drop(self, unwanted: Unwanted) -> list[Event]:
        """Take out what is `unwanted`."""
        dropped = [piece for pieces in self._pieces.values() for piece in pieces if unwanted(piece)]
        self.again = [piece for piece in self.again if not unwanted(piece)]
        for source, pieces in self._pieces.items():
            self._pieces[source] = [piece for piece in pieces if piece not in dropped]
        return [Dropped(piece) for piece in dropped]

    def counts(self) -> dict[Source, int]:
        """Return how many there are of each source."""
        return {source: len(pieces) for source, pieces in self._pieces.items()}


@dataclass(frozen=True)
class First:
    """The piece that is heard first: `gain` is the programme's for its samples, linear."""

    source: Source
    info: SegmentInfo
    frames: array[int]
    gain: float


class Beginning:
    """The beginning of a piece, if there is one, and what is heard behind it: an `Endless`.

    The programme goes on with the piece from where this has come to; what is chosen otherwise by then is faded over to.

    Threads: one reader.
    """

    def __init__(self, first: First | None, behind: Endless) -> None:
        self.first = first
        self.peak = max(PEAK_LIMIT, behind.peak) if first else behind.peak
        self._behind = behind
        self._read = 0

    @property
    def segment_id(self) -> str:
        """The id of what is being heard, "" when its beginning is over, or there was none."""
        return self.first.info.segment_id if self.first and self._read < len(self.first.frames) else ""

    @property
    def at_frame(self) -> int:
        """The frame of its file that is heard next."""
        return self._read // CHANNELS + (self.first.info.analysis.cue_in_frames if self.first else 0)

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo."""
        wanted, made = CHANNELS * n_frames, b""
        if self.first:
            scale, frames = self.first.gain / 32768, self.first.frames[self._read : self._read + wanted]
            self._read += len(frames)
            values = [scale * value for value in frames]
            if max(map(abs, values), default=0.0) > PEAK_LIMIT:  # the few that the programme eases down
                values = [max(-PEAK_LIMIT, min(PEAK_LIMIT, value)) for value in values]
            made = array("f", values).tobytes()
            wanted -= len(values)
        return made + self._behind.read(wanted // CHANNELS) if wanted else made
