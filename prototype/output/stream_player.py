"""The endless stream that is played by default: one media of raw blocks that VLC pulls from the programme.

Of the program it needs nothing that is slow to import, so that it is heard at once.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import threading
from collections.abc import Callable
from typing import Any, Final

from base.notices import Notices
from base.workers import Clock
from music.segment import CHANNELS, SAMPLE_RATE_HZ
from output.sound_server import SETTLE_S, Traits, settle
from output.vlc_library import OFF_PACE, LibVlc
from output.vlc_player import VlcPlayer

log = logging.getLogger(__name__)

BLOCK_FRAMES: Final = SAMPLE_RATE_HZ * 21 // 100  # what VLC takes at once: few calls, little latency
FRAME_BYTES: Final = 4 * CHANNELS
LOOK_AHEAD_S: Final = 1.0  # at most, from being pulled to being heard: half of it VLC's, the rest a slow sound device's
STALLED_S: Final = 3.0
UNSTEADY_S: Final = 1.0
CATCH_UP_S: Final = 0.2  # a sound server that went on just now may keep a new stream waiting for 2 s (measured)
# Playing on, VLC takes more and more ahead, up to 0.1 s within 5 s (its CR_BUFFERING_RATE and _TARGET), by which every
# skip would be heard later. It goes by the decoding times: where they run ahead as slowly, and by what blocks of
# this size add too, it is less far ahead than in the beginning, when all else that the program does at once has it wait
# the longest.
EARLY_US: Final = 270_000
EARLY_RATE: Final = 48
HELD_FRAMES: Final = 10 * SAMPLE_RATE_HZ
PRIMED_FRAMES: Final = SAMPLE_RATE_HZ * 2 // 5
# VLC's `imem` input takes blocks with their times, and has none of the threads and buffers that bytes go through: half
# the CPU of a stream of bytes (measured).
STREAM_OPTIONS: Final = (
    ":imem-cat=1",  # audio
    ":imem-codec=f32l",
    f":imem-samplerate={SAMPLE_RATE_HZ}",
    f":imem-channels={CHANNELS}",
)
GetBlock: Final = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,  # data
    ctypes.c_char_p,  # cookie
    ctypes.POINTER(ctypes.c_int64),  # decoding time, microseconds
    ctypes.POINTER(ctypes.c_int64),  # presentation time, microseconds
    ctypes.POINTER(ctypes.c_uint),  # flags
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(ctypes.c_void_p),
)
RELEASE_BLOCK: Final = ctypes.pythonapi.Py_IsInitialized  # VLC wants one: this does nothing, and needs no interpreter


class StreamPlayer(VlcPlayer):
    """One endless media of raw blocks that VLC pulls from the programme.

    `primed` is set when VLC has what it takes to begin, a handful of blocks at once: heavy work on other threads
    would delay each of them.

    `feed` is asked for a number of frames and returns their bytes, float32, interleaved stereo. Volume, mute and pause
    are VLC's where a sound server has them for each stream, as it obeys at once; what `feed` gives is heard half a
    second later. Elsewhere they are left to the programme.

    Threads: as the base; `feed` is called by the one VLC thread that reads the media, and may be replaced at any time.
    """

    def __init__(
        self, feed: Callable[[int], bytes], libvlc: LibVlc, notices: Notices, clock: Clock, **options: Any
    ) -> None:
        super().__init__(libvlc, notices, clock, **options)
        self.feed = feed
        self._tell: Callable[[float, bool, bool], None] = lambda volume, muted, paused: None
        self.pulled_frames = 0
        self.primed = threading.Event()
        self._block = b""  # VLC copies it before it asks for the next one
        self._stream: tuple[str, ...] = ()
        self._media_frames = 0
        self._seen_frames = 0
        self._seen_at: float | None = None
        self._began_at = self._off_pace_at = math.inf

    @property
    def left_volume(self) -> float:
        """What of the volume is left to the programme (linear gain)."""
        return self.volume if self._gain is None else 1.0

    def leave_to(self, obey: Callable[[float, bool, bool], None]) -> None:
        """Have the programme told which volume, mute and pause are left to it: as it is now, and when that changes."""

        def begin() -> None:
            self._tell = obey
            self._follow()

        self._do(begin)

    def _follow(self) -> None:
        left = self._gain is None
        self._tell(self.left_volume, left and self.muted, left and self.is_paused)

    def _open(self) -> None:
        super()._open()
        functions = {"get": self._keep(GetBlock, self._on_get), "release": RELEASE_BLOCK}
        addresses = {name: ctypes.cast(function, ctypes.c_void_p).value for name, function in functions.items()}
        self._stream = (*STREAM_OPTIONS, *(f":imem-{name}={address}" for name, address in addresses.items()))

    def _play(self) -> None:
        media = self._instance.media_new("imem://")
        for option in self._stream:
            media.add_option(option)
        self._list_player.stop()
        self._media_frames = 0
        while self._media_list.count():
            self._media_list.remove_index(0)
        self._media_list.add_media(media)
        media.release()  # the list has its own hold on it
        self._began_at = self._off_pace_at = math.inf
        settled = self._settled = threading.Event()

        def tell(traits: Traits) -> None:
            self._do(functools.partial(self._begin_stream, settled, traits))

        if self._on_real:
            threading.Thread(target=settle, args=(settled, tell), name="settle", daemon=True).start()
        else:
            self._begin_stream(settled, Traits())
        self._list_player.play_item_at_index(0)
        self._seen_at = None

    def _begin_stream(self, settled: threading.Event, traits: Traits) -> None:
        """Share out volume and pause, and let VLC open its stream; not for a media that is gone."""
        if settled is self._settled:
            self._gain, self._halted, self._began_at = None, False, self._clock.now()
            if not traits.keeps_by_role:
                self._player.set_role(self._vlc.MediaPlayerRole.Music)  # such a one may be silent during a call
            if traits.has_volumes:
                self._take_volume()
            self._follow()
        settled.set()

    def _play_unheard(self) -> None:
        """Keep the programme's time on VLC's dummy output, which takes samples at their real pace."""
        self._use_output(real=False)
        self._play()

    def _needs_playing(self, now: float) -> bool:
        """Whether VLC ended, or pulled nothing for STALLED_S, or has lost its pace.

        When a sound server goes on that has hung, VLC by turns throws away what is late and fills in silence, for
        seconds; a stream that begins anew is in time at once.
        """
        state = self._note_state()
        if self._seen_at is None or self._halts or self.pulled_frames != self._seen_frames:
            self._seen_frames, self._seen_at = self.pulled_frames, now
        pulls = state not in (self._vlc.State.Ended, self._vlc.State.Error) and now - self._seen_at <= STALLED_S
        steady = now - self._off_pace_at < CATCH_UP_S
        if pulls and steady:
            return False
        log.warning("VLC %s (%s); the media is made anew", "does not pull any more" if steady else "is off pace", state)
        return True

    def _lose_pace(self, at: float) -> None:
        """Note since when VLC is off its pace; as it begins, or goes on after a pause, it may be."""
        if at > max(self._began_at, self._resumed_at) + UNSTEADY_S:
            self._off_pace_at = min(at, self._off_pace_at)

    def _on_log(self, data: Any, level: int, context: Any, template: bytes | None, args: Any) -> None:
        if (template or b"").startswith(OFF_PACE):
            self._do(functools.partial(self._lose_pace, self._clock.now()))
        super()._on_log(data, level, context, template, args)

    # -- VLC's reading thread ------------------------------------------------------------------------------

    def _on_get(self, _data: Any, _cookie: Any, decoded: Any, presented: Any, _flags: Any, size: Any, at: Any) -> int:
        """Give the next block, with its time since the media began; 1 (the end) when the program stops."""
        if not self._media_frames:
            self._settled.wait(SETTLE_S)  # VLC opens its stream with the first block
        try:
            self._block = b"" if self._closing else self.feed(BLOCK_FRAMES)
        except Exception:  # VLC would take what is left in its variables for a block
            log.exception("the programme failed")
            self._block = b""
        frames = len(self._block) // FRAME_BYTES
        presented[0] = at_us = self._media_frames * 1_000_000 // SAMPLE_RATE_HZ
        decoded[0] = at_us + min(EARLY_US, at_us // EARLY_RATE)
        size[0], at[0] = len(self._block), ctypes.cast(ctypes.c_char_p(self._block), ctypes.c_void_p)
        if self._media_frames < HELD_FRAMES <= self._media_frames + frames:
            # ctypes makes a thread state for every call from a thread of VLC's, an eighth of what the call takes,
            # unless one is held. It is lost with the thread: so not for a media that is made anew again and again.
            ctypes.pythonapi.PyGILState_Ensure()
        self._media_frames += frames
        self.pulled_frames += frames
        if self.pulled_frames > PRIMED_FRAMES and not self.primed.is_set():
            self.primed.set()
        return 0 if frames else 1
