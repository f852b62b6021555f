"""The loudspeaker: one `MediaListPlayer` for life, and the endless stream that is played by default.

libVLC is not re-entrant, so one owner thread (the body of `run`) makes every call; VLC's own threads only enqueue
what they have to say and, in `StreamPlayer`, pull samples. `VlcPlayer` is what every player shares, the watching and
the healing:

- an end, an error, or samples that are not pulled any more: the media is made anew and played;
- no sound device: VLC does not tell by any state (it goes on at the pace of its clock, unheard), only its error
  log does. The programme is then held, VLC runs on its dummy output, and the device is tried every PROBE_S.

The stream is `output.stream_player`; the list of files, as libVLC 3 plays them (`PLAYER=playlist`), is here.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from base.notices import Notices
from base.workers import Clock
from music.segment import CHANNELS, Piece, QueuedFile, Source
from output.stream_player import LOOK_AHEAD_S, StreamPlayer
from output.vlc_library import LibVlc
from output.vlc_player import TICK_S, VlcPlayer
from programme.mixer import MixerSnapshot, PlayingView

log = logging.getLogger(__name__)

__all__ = ["LOOK_AHEAD_S", "PlaylistPlayer", "StreamPlayer"]

STILL_S: Final = 0.5
AHEAD: Final = 2  # files in VLC's list beyond the one that plays


class PlaylistPlayer(VlcPlayer):
    """Plays the files that `supply` gives, with a short silence at every boundary.

    It takes the same commands as the mixer and answers with the same snapshot, but for the frames: VLC counts none.

    Threads: as the base; `supply` and `on_started` are called by the owner thread.
    """

    def __init__(
        self,
        supply: Callable[[int], QueuedFile | None],
        on_started: Callable[[QueuedFile], None],
        libvlc: LibVlc,
        notices: Notices,
        clock: Clock,
        *,
        volume: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(libvlc, notices, clock, **options)
        self._supply = supply
        self._on_started = on_started
        self._queued: deque[QueuedFile] = deque()  # what stands in VLC's list behind the current file
        self._current: QueuedFile | None = None
        self._index = -1  # of the latest file that was played
        self._elapsed_s = 0.0
        self._total_s: float | None = None
        self._still_since: float | None = None
        self._paused = False
        self._resting = False
        self._muted = False
        self._level = volume
        self._ending: tuple[float, float] | None = None  # when the fade-out began, and how many seconds it takes

    # -- any thread ----------------------------------------------------------------------------------------

    def skip(self) -> None:
        """Go to the next file."""
        self._do(self._next)

    def play(self, file: QueuedFile) -> None:
        """Go to `file`, and come back to the one that plays now when it has ended."""
        self._do(lambda: self._play_next([file]))

    def leave(self, key: str) -> None:
        """Go to the next file if `key` is the one that plays: the listener dislikes it."""
        self._do(lambda: self._next() if self._current and self._current.key == key else None)

    def pause(self, paused: bool) -> None:
        """Stop or go on where the file stands."""
        self._paused = paused
        self._do(self._set_pause)

    def set_volume(self, volume: float) -> None:
        """Set the volume (0..1, linear gain)."""
        self._level = volume
        self._do(self._set_volume)

    def mute(self, muted: bool) -> None:
        """Mute or unmute; the file goes on."""
        self._muted = muted
        self._do(self._set_volume)

    def rest(self, resting: bool) -> None:
        """As `pause`, for a break: VLC alone has no bed to fade to. The two add up."""
        self._resting = resting
        self._do(self._set_pause)

    def fade_out(self, seconds: float) -> None:
        """Lower VLC's volume step by step, for the end of a session."""
        self._ending = self._clock.now(), max(seconds, TICK_S)

    def fade_in(self) -> None:
        """Take `fade_out` back: the end was put off."""
        self._ending = None
        self._do(self._set_volume)

    def playing_piece(self) -> Piece | None:
        """Return what plays as a piece: its samples are in the file."""
        current = self._current
        none = np.zeros((0, CHANNELS), dtype=np.float32)
        return Piece(none, current.source, current.key, current.info) if current else None

    def snapshot(self) -> MixerSnapshot:
        """Return the state as of the last tick."""
        current = self._current
        return MixerSnapshot(
            playing=PlayingView(
                source=current.source if current else Source.BED,
                key=current.key if current else "",
                info=current.info if current else None,
                elapsed_s=self._elapsed_s,
                total_s=self._total_s,
            ),
            paused=self._paused,
            resting=self._resting,
            muted=self._muted,
            volume=self._level,
        )

    # -- the owner thread ----------------------------------------------------------------------------------

    def _play(self) -> None:
        """Play the current file anew, or the first that waits."""
        self._top_up()
        if self._current is not None or self._queued:
            self._list_player.play_item_at_index(self._index + (self._current is None))
            self._set_volume()

    def _play_unheard(self) -> None:
        """Wait: nothing is used up while nobody can hear it."""
        self._list_player.stop()

    def _needs_playing(self, now: float) -> bool:
        """Follow VLC from file to file; true when it stands still, and not just between two files."""
        self._top_up()
        self._follow()
        if self._player.get_state() == (self._vlc.State.Playing if self._stands else self._vlc.State.Paused):
            self._set_pause()  # another file began meanwhile
        if self._ending:
            self._set_volume()
        still = self._list_player.get_state() in (
            self._vlc.State.NothingSpecial,
            self._vlc.State.Ended,
            self._vlc.State.Error,
            self._vlc.State.Stopped,
        )
        if self._stands or not still:
            self._still_since = None
            return False
        if self._still_since is None:
            self._still_since = now
        if now - self._still_since < STILL_S:
            return False
        self._current = None
        return bool(self._queued)

    def _top_up(self) -> None:
        while len(self._queued) < AHEAD and (file := self._supply(len(self._queued))):
            self._queued.append(file)
            self._media_list.add_media(self._instance.media_new_path(str(file.path)))

    def _follow(self) -> None:
        """Note which file VLC plays. Files stay in VLC's list: taking one out makes it lose its place."""
        media = self._player.get_media()
        reached = self._media_list.index_of_item(media) if media else -1
        while self._index < reached:
            self._index += 1
            self._current = self._queued.popleft()
            self._on_started(self._current)
        self._elapsed_s = max(0, self._player.get_time()) / 1000
        length_ms = self._player.get_length()
        self._total_s = length_ms / 1000 if length_ms > 0 else None

    def _next(self) -> None:
        self._follow()
        self._top_up()
        if self._queued:
            self._list_player.next()
            self._follow()

    def _play_next(self, files: list[QueuedFile]) -> None:
        """Put files before those that wait, and the one that plays behind them, and go there."""
        self._follow()
        if self._current is not None and self._current.key not in {file.key for file in (*files, *self._queued)}:
            files = [*files, self._current]
        for file in reversed(files):
            self._media_list.lock()
            self._media_list.insert_media(self._instance.media_new_path(str(file.path)), self._index + 1)
            self._media_list.unlock()
            self._queued.appendleft(file)
        self._next()

    @property
    def _stands(self) -> bool:
        return self._paused or self._resting

    def _set_pause(self) -> None:
        self._list_player.set_pause(int(self._stands))

    def _set_volume(self) -> None:
        level = 0.0 if self._muted else self._level
        if self._ending:
            began, seconds = self._ending
            level *= max(0.0, 1 - (self._clock.now() - began) / seconds)
        self._player.audio_set_volume(round(100 * level))
