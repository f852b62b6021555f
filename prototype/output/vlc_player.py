"""What every player shares: opening, watching and healing of one libVLC."""

from __future__ import annotations

import ctypes
import logging
import math
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from base.notices import Notices
from base.workers import Clock
from output.sound_server import SETTLE_S, Hearing
from output.vlc_library import LOG_ERROR, UNDERRUN, LibVlc, Searches

log = logging.getLogger(__name__)

PROBE_S: Final = 1.5
PROBE_WAIT_S: Final = 1.0
WAKE_S: Final = 1.0  # of an idle device that was suspended, as a stream on it goes on; of one that we are moved to
RAMP_STEP: Final = 0.03  # of the volume: one that jumps is heard as a click
RAMP_TICK_S: Final = 0.002
TAKEN_S: Final = 1.0  # from our telling a volume to the server's, at most
RELEASED_TICK_S: Final = 0.1  # then a resume is heard as soon as any other key


def percent_of(gain: float) -> int:
    """Return a volume as VLC has it on every output: its percents are cubic."""
    return round(100 * math.pow(gain, 1 / 3))


class VlcPlayer:
    """Opening, watching and healing of one `MediaListPlayer`.

    Threads: everything with `_vlc`, `_instance`, `_list_player` belongs to the thread in `run`. `_commands` is the
    only way in. `state` is a word for the dashboard: "starting", "playing", "no device", "suspended" or "stopped".
    What is wished of volume and pause is single assignments of one thread, and the owner's to carry out.
    """

    TICK_S = 0.8  # a device that is away for less than WAKE_S is seen back in time
    RELEASE_S = 60.0  # of pause, before others may have the device

    def __init__(
        self, libvlc: LibVlc, notices: Notices, clock: Clock, *, volume: float = 1.0, real_device: bool = True
    ) -> None:
        self.state = "starting"
        self.volume = volume
        self._libvlc = libvlc
        self._notices = notices
        self._clock = clock
        self._real_device = real_device
        self.hearing: Callable[[], Hearing] = lambda: Hearing.UNKNOWN
        """What the sound server makes of our stream."""
        self.muted = False
        self._paused_at: float | None = None
        self._paused_s = 0.0
        self._gain: float | None = None  # the volume that VLC was told last; None: volume and pause are not its own
        self._untold = False  # it had no output yet
        self._told_at = 0.0
        self._halted = False
        self._released = False
        self._on_device: Callable[[bool], None] = lambda present: None
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closing = False
        self._owner = 0
        self._vlc: Any = None
        self._instance: Any = None
        self._list_player: Any = None
        self._player: Any = None
        self._media_list: Any = None
        self._callbacks: list[Any] = []  # libVLC keeps no reference
        self._searches = Searches()
        self._device_error = ""
        self._probe_at: float | None = None
        self._resumed_at = self._device_at = -math.inf
        self._on_real = False
        self._settled = threading.Event()
        self._settled.set()

    # -- any thread ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Make the callbacks return at once, so that VLC can stop, and wake the owner."""
        self._closing = True
        self._settled.set()
        self._commands.put(None)

    def watch_device(self, on_device: Callable[[bool], None]) -> None:
        """Have the owner thread tell whether there is a sound device: as it is now, and when that changes."""

        def begin() -> None:
            self._on_device = on_device
            on_device(self._probe_at is None)

        self._do(begin)

    def set_volume(self, volume: float) -> None:
        """Set the volume (0..1, linear gain)."""
        self.volume = min(1.0, max(0.0, volume))
        self._do(self._follow)

    @property
    def volume_percent(self) -> int:
        """The volume as it is shown; 0 only where nothing is heard."""
        return max(1, round(100 * self.volume)) if self.volume else 0

    def mute(self, muted: bool) -> None:
        """Mute or unmute; the programme goes on."""
        self.muted = muted
        self._do(self._follow)

    def pause(self, paused: bool) -> None:
        """Stop, or go on where it stands; while paused nothing is used up."""
        if paused != self.is_paused:
            self._paused_s = self.paused_s
            self._paused_at = self._clock.now() if paused else None
        self._do(self._follow)

    @property
    def is_paused(self) -> bool:
        """Whether the listener has paused."""
        return self._paused_at is not None

    @property
    def paused_s(self) -> float:
        """Return how long the listener has paused in all."""
        since = self._paused_at
        return self._paused_s + (0.0 if since is None else self._clock.now() - since)

    @property
    def level(self) -> float:
        """What VLC is to make of the volume (linear gain); 1 where that is not its own."""
        return 1.0 if self._gain is None else self._wished_gain()

    @property
    def is_silent(self) -> bool:
        """Whether the stream's volume is 0 because the listener wants it, or was just now."""
        return not self.level or self._gain == 0.0

    def _do(self, command: Callable[[], None]) -> None:
        """Have the owner thread run `command`."""
        self._commands.put(command)

    # -- the owner thread ----------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Own libVLC until `stop` is set. Raises LibVlcMissing."""
        self.begin()
        try:
            while not stop.is_set() and not self._closing:
                self.step(RELEASED_TICK_S if self._released else self.TICK_S)
        finally:
            self.end()

    def begin(self) -> None:
        """Open libVLC and play. Raises LibVlcMissing."""
        self._owner = threading.get_ident()
        self._open()
        self._play()
        self.state = "playing"

    def step(self, patience_s: float = 0.0) -> None:
        """Run the commands that arrived, waiting so long for the first; then see to it that it plays."""
        self._obey(patience_s)
        self._watch()

    def _open(self) -> None:
        self._vlc = self._libvlc.load()
        self._instance = self._libvlc.instance()
        self._instance.log_set(self._keep(self._vlc.CallbackDecorators.LogCb, self._on_log), None)
        self._list_player = self._libvlc.list_player(self._instance)
        self._media_list = self._instance.media_list_new()
        self._list_player.set_media_list(self._media_list)
        self._adopt(self._list_player.get_media_player(), real=self._real_device)

    def end(self) -> None:
        """Let libVLC go."""
        self.state = "stopped"
        if self._list_player is not None:
            self._list_player.stop()
            self._instance.log_unset()
            self._list_player.release()
            self._player.release()
            self._media_list.release()
            self._instance.release()
        self._list_player = self._player = self._media_list = self._instance = None
        self._callbacks.clear()

    def _serve(self, timeout_s: float) -> None:
        """Run the commands that arrived, waiting up to `timeout_s` for the first."""
        try:
            command = self._commands.get(timeout=timeout_s)
            while command is not None:
                command()
                command = self._commands.get_nowait()
        except queue.Empty:
            return

    # -- volume and pause, which a sound server does at once -----------------------------------------------

    @property
    def _stands(self) -> bool:
        return self.is_paused

    def _wished_gain(self) -> float:
        return 0.0 if self.muted or self._stands else self.volume

    @property
    def _halts(self) -> bool:
        """Whether VLC is to stop; a device that is tried shows by playing that it is there."""
        return self._stands and self._probe_at is None

    @property
    def _is_behind(self) -> bool:
        return self._gain is not None and (self._untold or self._gain != self.level or self._halted != self._halts)

    def _obey(self, patience_s: float) -> None:
        """Run the commands that arrived, waiting so long for the first, and go a step towards what is wished.

        It is silent before VLC stops, and after it.
        """
        self._serve(min(patience_s, RAMP_TICK_S) if self._is_behind else patience_s)
        gain, level = self._gain, self.level
        if gain is None or not self._is_behind:
            return
        if self._untold or (gain != level and not self._halted):
            self._turn(level if abs(level - gain) <= RAMP_STEP else gain + math.copysign(RAMP_STEP, level - gain))
        else:
            if gain:
                self._turn(0.0)  # it stood without our will
            self._halted, self._resumed_at = self._halts, self._clock.now()
            self._list_player.set_pause(int(self._halted))

    def _turn(self, gain: float) -> None:
        """Tell VLC a volume; an output that plays and takes none has none."""
        taken = self._player.audio_set_volume(percent_of(gain)) == 0
        self._untold = not taken and not self._played_buffers()
        self._gain, self._told_at = gain, self._clock.now()

    def _note_state(self) -> Any:
        """Return what VLC does, and note whether it stands: it takes no pause while it opens, and may obey one late."""
        state = self._player.get_state()
        if state in (self._vlc.State.Playing, self._vlc.State.Paused):
            self._halted = state == self._vlc.State.Paused
        return state

    def _heed(self, now: float) -> None:
        """Adopt a volume that our stream was given in the system's sound settings: keys and resumes begin there."""
        if self._gain is not None and not self._is_behind and now - self._told_at >= TAKEN_S:
            percent = self._player.audio_get_volume()
            if percent > 0 and abs(percent - percent_of(self._gain)) > 1:  # a server may round
                self._gain = self.volume = min(1.0, (percent / 100) ** 3)

    def _take_volume(self) -> None:
        """Have VLC begin at the wished volume, whatever a sound server remembers of the one before."""
        self._halted = False
        self._turn(self._wished_gain())

    def _watch(self) -> None:
        now = self._clock.now()
        if self._closing:
            return
        if (hearing := self.hearing()) is not Hearing.NO_DEVICE:
            self._device_at = now
        since = self._resumed_at if hearing is Hearing.SUSPENDED else self._device_at
        lost = self._real_device and hearing.is_lost and now - since >= WAKE_S
        if self._probe_at is not None:
            if now >= self._probe_at and not lost:
                self._probe()
        elif self._rests(now):
            return
        elif self._device_error or lost:
            self._lose_device(now, hearing.value if lost else self._device_error)
        elif self._needs_playing(now):
            self._play()
        else:
            self._heed(now)

    def _rests(self, now: float) -> bool:
        """Give the device away after a long pause, and take it back; return whether it is away."""
        since = self._paused_at
        if since is not None and not self._released and now - since >= self.RELEASE_S:
            log.info("paused for long: the sound device is free for others")
            self._list_player.stop()
            self._released, self._gain = True, None
        if self._released and since is None:
            self._released, self._device_error = False, ""
            self._play()
        return self._released

    def _lose_device(self, now: float, reason: str) -> None:
        log.warning("sound device lost: %s", reason)
        self.state = "suspended" if reason == "suspended" else "no device"
        self._notices.say(f"player.{self.state.replace(' ', '_')}", "warning")
        self._on_device(False)
        self._play_unheard()
        self._probe_at = now + PROBE_S

    def _probe(self) -> None:
        """Try the real device; keep it when VLC plays a buffer on it without an error, and the server mixes it."""
        self._device_error = ""
        self._use_output(real=True)
        self._play()
        self._try_output(
            PROBE_WAIT_S,
            lambda: not (self.hearing().is_lost or self.hearing() is Hearing.UNKNOWN) and self._played_buffers(),
        )
        if self._device_error or self.hearing().is_lost or not self._played_buffers():
            self._play_unheard()
            self._probe_at = self._clock.now() + PROBE_S
        elif not self._closing:
            self._probe_at = None
            self.state = "playing"
            self._on_device(True)
            self._notices.say("player.device_back", "good")

    def _try_output(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Obey until an error, the end or `enough`: for so long, and before that for as long as the stream settles."""
        deadline = latest = self._clock.now() + seconds
        while not self._device_error and not self._closing and self._clock.now() < deadline:
            self._obey(0.05)
            if not self._settled.is_set():
                deadline = min(self._clock.now() + seconds, latest + SETTLE_S)
            if enough():
                break

    def _use_output(self, *, real: bool) -> None:
        """Give the list player a fresh media player: VLC keeps a dead output as long as the player lives."""
        old, fresh = self._player, self._instance.media_player_new()
        self._adopt(fresh, real=real)
        self._list_player.stop()
        self._list_player.set_media_player(fresh)
        old.release()

    def _adopt(self, player: Any, *, real: bool) -> None:
        self._player, self._gain, self._halted = player, None, False
        player.set_role(self._vlc.MediaPlayerRole._None)  # else we share with all videos what the server keeps of them
        self._on_real = real
        if not real:
            player.audio_output_set("adummy")

    def _played_buffers(self) -> bool:
        media, stats = self._player.get_media(), self._vlc.MediaStats()
        if media is None:
            return False
        known = media.get_stats(stats)
        media.release()
        return bool(known) and stats.played_abuffers > 0

    def _note_device_error(self, words: str) -> None:
        """Note it, but for one that VLC tried by itself, and for "suspended", as it calls a resumed device too."""
        if self._real_device and (words != "suspended" or self.hearing() is Hearing.UNKNOWN):
            self._device_error = self._device_error or words

    def _on_log(self, _data: Any, level: int, context: Any, template: bytes | None, _args: Any) -> None:
        """VLC's threads: an error of an audio output means there is no sound device (any more)."""
        words = (template or b"").decode("utf-8", "replace")
        if self._searches.note(words) or (level < LOG_ERROR and words != "suspended"):
            return
        if threading.get_ident() == self._owner or words.startswith(UNDERRUN):
            return  # VLC looks for an output module in our own call; whether the one it finds works shows later
        name = ctypes.c_char_p()
        self._vlc.dll.libvlc_log_get_object(context, ctypes.byref(name), None, None)
        if name.value == b"audio output" or "audio output" in words:
            self._do(lambda: self._note_device_error(words))
        else:
            log.debug("libVLC: %s", words)

    def _keep(self, kind: Any, function: Callable[..., Any]) -> Any:
        callback = kind(function)
        self._callbacks.append(callback)
        return callback

    # -- what the two players do differently ---------------------------------------------------------------

    def _play(self) -> None:
        raise NotImplementedError

    def _play_unheard(self) -> None:
        raise NotImplementedError

    def _needs_playing(self, now: float) -> bool:
        raise NotImplementedError

    def _follow(self) -> None:
        """Note that a wish has changed; `step` goes after it."""
