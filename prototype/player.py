"""The loudspeaker: one `MediaListPlayer` for life, and the endless stream that is played by default.

libVLC is not re-entrant, so one owner thread (the body of `run`) makes every call; VLC's own threads only enqueue
what they have to say and, in `StreamPlayer`, pull samples. `VlcPlayer` is what every player shares, the watching and
the healing:

- an end, an error, samples that are not pulled any more, or a pace that is lost: the media is made anew and
  played;
- no sound device: VLC does not tell by any state (it goes on at the pace of its clock, unheard), only its error
  log does. The programme is then held, VLC runs on its dummy output, and the device is tried every PROBE_S.

The stream is `output.stream_player`; the list of files, as libVLC 3 plays them (`PLAYER=playlist`), is here.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from base.notices import Notices
from base.workers import Clock, Later
from music.segment import SAMPLE_RATE_HZ, Piece, Source
from output.stream_player import LOOK_AHEAD_S, StreamPlayer
from output.vlc_library import LibVlc
from output.vlc_player import VlcPlayer
from programme.programme import Event, MixerSnapshot, PlayingView, Started, Stock, Unwanted

__all__ = ["LOOK_AHEAD_S", "PlaylistPlayer", "StreamPlayer"]

STILL_S: Final = 0.5
APPEND_S: Final = 5.0  # before the end: until then a better source may come
LONGEST_LIST: Final = 50  # then it is made anew, which takes a tick once; taking files out makes VLC lose its place


class PlaylistPlayer(VlcPlayer):
    """A programme of files: VLC's own list, to which each is appended shortly before its turn.

    libVLC leaves a short silence at every boundary, and has neither a crossfade nor a bed. Otherwise it is as the mixer
    (`Programme`); its frames are counted by the clock, to a tick.

    Threads: as the base. Of the stock and the list only the owner thread knows; what is wished is single assignments.
    """

    TICK_S = 0.1
    RELEASE_S = math.inf  # VLC would lose its place

    def __init__(
        self,
        libvlc: LibVlc,
        notices: Notices,
        clock: Clock,
        later: Later,
        *,
        volume: float = 1.0,
        real_device: bool = True,
    ) -> None:
        """`later` deletes temporary files, where the disk may be waited for."""
        super().__init__(libvlc, notices, clock, volume=volume, real_device=real_device)
        self._later = later
        self.on_change: Callable[[], None] = lambda: None
        self._stock = Stock()
        self._events: deque[Event] = deque()
        self._current: Piece | None = None
        self._following: Piece | None = None  # stands in VLC's list behind the current one
        self._asked = self._following_asked = False  # the listener went back to it
        self._index = -1  # of the current one in VLC's list
        self._wanted = 0  # how many pieces to go on by, as soon as there are some
        self._elapsed_s, self._total_s = 0.0, 0.0
        self._still_since: float | None = None
        self._frames = dict.fromkeys(Source, 0)
        self._counted_at = clock.now()
        self._resting = False
        self._ending: tuple[float, float, float] | None = None  # of the fade-out: its begin, length, and gain then

    # -- any thread ----------------------------------------------------------------------------------------

    def offer(self, piece: Piece) -> None:
        """Put a piece in stock; it has a `path`."""
        self._do(lambda: self._stock.put(piece))

    def withdraw(self, unwanted: Unwanted) -> None:
        """Drop the pieces in stock that are `unwanted`."""
        self._do(lambda: self._drop(unwanted))

    def change_soon(self) -> None:
        """Go to the next piece that comes into stock."""
        self._do(lambda: self._want(1))

    def prefer_library(self, prefer: bool) -> None:
        """Let a library piece go first at the next transitions."""
        self._do(lambda: self._stock.prefer_library(prefer))

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def skip(self) -> None:
        """Go to the next file, or as soon as there is one; twice: to the one after it."""
        self._do(lambda: self._want(self._wanted + 1))

    def leave(self, key: str) -> None:
        """Go to the next file if `key` is the one that plays: the listener dislikes it."""
        self._do(lambda: self._want(1) if self._current and self._current.key == key else None)

    def play(self, piece: Piece) -> None:
        """Go to `piece` now, and come back to the one that plays when it has ended."""
        self._do(lambda: self._put_first(piece))

    def rest(self, resting: bool) -> None:
        """As `pause`, for a break: VLC alone has no bed to fade to. The two add up."""
        self._resting = resting
        self._do(self._follow)

    def fade_out(self, seconds: float) -> None:
        """Lower VLC's volume tick by tick, for the end of a session."""
        self._ending = self._clock.now(), max(seconds, self.TICK_S), self._end_gain()

    def fade_in(self) -> None:
        """Take `fade_out` back: the end was put off."""
        self._ending = None

    def playing_piece(self) -> Piece | None:
        """Return what plays; its samples may be in the file only."""
        return self._current

    def snapshot(self) -> MixerSnapshot:
        """Return the state as of the last tick."""
        view, current = PlayingView(Source.BED), self._current
        if current is not None:
            view = PlayingView.of(current, self._elapsed_s, self._total_s or None, asked=self._asked)
        return MixerSnapshot(
            playing=view,
            waiting=not self._resting and bool(self._wanted),
            paused=self.is_paused,
            resting=self._resting,
            muted=self.muted,
            volume=self.volume,
            stock=self._stock.counts(),
            frames=dict(self._frames),
            paused_frames=round(self.paused_s * SAMPLE_RATE_HZ),
        )

    # -- the owner thread ----------------------------------------------------------------------------------

    def _play(self) -> None:
        """Make the list anew, of the current file or the next one, and play it."""
        self._still_since = None
        self._list_player.stop()
        while self._media_list.count():
            self._media_list.remove_index(0)
        self._index = -1 if self._current is None else 0
        for piece in (self._current, self._following):
            self._add(piece)
        if not self._media_list.count():
            self._append()
        if self._media_list.count():
            self._list_player.play_item_at_index(0)
            self._take_volume()

    def _play_unheard(self) -> None:
        """Wait: nothing is used up while nobody can hear it."""
        self._gain = None
        self._list_player.stop()

    def end(self) -> None:
        """Let libVLC go, and delete what nobody needs any more."""
        super().end()
        for piece in (self._current, self._following):
            self._delete(piece)
        self._drop(lambda _piece: True)

    def _watch(self) -> None:
        super()._watch()
        if self._events:
            self.on_change()

    def _needs_playing(self, now: float) -> bool:
        """Follow VLC from file to file; true when it stands still, and not just between two files."""
        self._note_file()
        self._count(now)
        if self._wanted and (self._following or self._stock.first()):
            self._wanted -= 1
            self._go_on()
        elif self._current and self._total_s and self._total_s - self._elapsed_s < APPEND_S:
            self._append()
        state = self._list_player.get_state()
        self._note_state()
        names = self._vlc.State
        if self._stands or state not in (names.NothingSpecial, names.Ended, names.Error, names.Stopped):
            self._still_since = None
            return False
        self._still_since = now if self._still_since is None else self._still_since
        if now - self._still_since < STILL_S and (self._current or self._following):  # it may be about to begin
            return False
        if self._following and state == names.Ended:  # VLC has tried it in vain
            self._begin_following(self._following)
        self._delete(self._current)
        self._current = None
        return bool(self._following or self._stock.first())

    def _begin_following(self, following: Piece) -> None:
        """Note that the file behind the current one has begun."""
        self._delete(self._current)
        self._current, self._asked, self._following = following, self._following_asked, None
        self._events.append(Started(following))
        self._untold = True  # its stream is another

    def _append(self) -> None:
        """Put the next file behind the current one."""
        piece = self._stock.first()
        if piece and not self._following and self._media_list.count() < LONGEST_LIST:
            self._following, self._following_asked = piece, piece in self._stock.again
            self._stock.take(piece)
            self._add(piece)

    def _add(self, piece: Piece | None) -> None:
        if piece is not None:
            media = self._instance.media_new_path(str(piece.path))
            self._media_list.add_media(media)
            media.release()  # the list has its own hold on it

    def _note_file(self) -> None:
        """Note which file VLC plays, and where it is."""
        media = self._player.get_media()
        if media is not None:
            reached = self._media_list.index_of_item(media)
            media.release()
            if self._following and reached > self._index:
                self._index = reached
                self._begin_following(self._following)
        self._elapsed_s = max(0, self._player.get_time()) / 1000
        self._total_s = max(0, self._player.get_length()) / 1000

    def _count(self, now: float) -> None:
        frames, self._counted_at = round((now - self._counted_at) * SAMPLE_RATE_HZ), now
        if self._current and not self._stands:
            self._frames[self._current.source] += frames

    def _want(self, pieces: int) -> None:
        """Go on by so many pieces, but no more than there are, or by the one that comes."""
        there = len(self._stock) + bool(self._following)
        self._wanted = min(max(pieces, self._wanted), max(1, there)) if self._current else 0

    def _put_first(self, piece: Piece) -> None:
        self._unappend()
        self._events.extend(self._stock.put_first(piece, self._current))
        self._wanted = 1 if self._current else 0

    def _unappend(self) -> None:
        """Put the file behind the current one back into the stock."""
        if self._following:
            if self._media_list is not None:
                self._media_list.remove_index(self._index + 1)
            self._stock.put_back(self._following, asked=self._following_asked)
            self._following = None

    def _go_on(self) -> None:
        self._append()
        if self._following:
            self._list_player.next()
            self._note_file()
        else:
            self._delete(self._current)
            self._current = None
            self._play()

    def _drop(self, unwanted: Unwanted) -> None:
        if self._following and unwanted(self._following):
            self._unappend()
        dropped = self._stock.drop(unwanted)
        self._events.extend(dropped)
        for event in dropped:
            self._delete(event.piece)

    def _delete(self, piece: Piece | None) -> None:
        """Have a file that is nobody else's deleted."""
        path = piece.path if piece and piece.temporary else None
        if path is not None and path not in {other.path for other in self._stock.again}:

            def delete() -> None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

            self._later(f"delete {path.name}", delete)

    @property
    def _stands(self) -> bool:
        return self.is_paused or self._resting

    def _wished_gain(self) -> float:
        return super()._wished_gain() * self._end_gain()

    def _end_gain(self) -> float:
        if (ending := self._ending) is None:
            return 1.0
        began, seconds, gain = ending
        return gain * max(0.0, 1 - (self._clock.now() - began) / seconds)
