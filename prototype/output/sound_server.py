"""The sound server behind libVLC, PulseAudio or PipeWire in its place: what VLC does not know or does not tell of it.

A server may have mixed as much as 2 s ahead. VLC takes such a device for a slow one, throws away what it has just
given, and fills the hole with silence. A stream of our own makes the server mix less ahead before VLC comes (`settle`).
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from base.notices import Notices
from music.segment import CHANNELS, SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

NAME: Final = "sagyo-on"
SETTLE_S: Final = 2.5
HOLD_S: Final = 1.0  # by then VLC's stream stands beside ours
NEAR_US: Final = 150_000  # VLC takes up to 290 ms
LOOK_S: Final = 0.03
FLAT: Final = 0x40  # among a device's flags: its volume is that of its loudest stream
PROBE_BYTES: Final = 4 * CHANNELS * SAMPLE_RATE_HZ // 25
ANY: Final = 2**32 - 1
RECONNECT_S: Final = 5.0
LISTEN_S: Final = 30.0  # without news
NO_DEVICE: Final = "auto_null"  # what PulseAudio and WirePlumber call the sink that they make where there is none
METER: Final = "Peak detect"  # the stream of a level meter in the sound settings
_PLAYBACK: Final = 1
_FLOAT32LE: Final = 5


class Hearing(enum.Enum):
    """What becomes of our stream. UNKNOWN: there is none, or no server that could tell."""

    UNKNOWN = "unknown"
    PLAYS = "plays"
    STREAM_MUTED = "stream muted"
    DEVICE_MUTED = "device muted"
    SUSPENDED = "suspended"
    NO_DEVICE = "no device"

    @property
    def is_lost(self) -> bool:
        """Whether the music is to wait until that changes."""
        return self in (Hearing.SUSPENDED, Hearing.NO_DEVICE)


@dataclass(frozen=True)
class Traits:
    """What sort of server it is; as it stands here where there is none that tells."""

    has_volumes: bool = False
    """Each stream has a volume of its own: where volumes are flat it would be the device's."""
    keeps_by_role: bool = True
    """What is set for one stream it keeps for all of the same role, ours or not: WirePlumber before 0.5."""


class _Form(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _Buffer(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


def settle(ended: threading.Event, tell: Callable[[Traits], None]) -> None:
    """Wait until the default device is near, or nothing can be done for that; then hold it near for HOLD_S.

    `tell` is then told what sort of server it is. It may hang with a server that hangs: to be called
    in a thread that nobody waits for; `ended` ends it.
    """
    try:
        simple = ctypes.CDLL("libpulse-simple.so.0")
    except OSError:
        tell(Traits())
        return
    simple.pa_simple_new.restype = ctypes.c_void_p
    simple.pa_simple_get_latency.restype = ctypes.c_uint64
    form, buffer = _Form(_FLOAT32LE, SAMPLE_RATE_HZ, CHANNELS), _Buffer(ANY, PROBE_BYTES, ANY, ANY, ANY)
    name = NAME.encode()
    address = simple.pa_simple_new(
        None, name, _PLAYBACK, None, name, ctypes.byref(form), None, ctypes.byref(buffer), None
    )
    traits = Traits()
    if address:
        stream, before_us = ctypes.c_void_p(address), 2**63
        simple.pa_simple_write(stream, bytes(PROBE_BYTES), ctypes.c_size_t(PROBE_BYTES), None)
        traits = ask_traits()  # the device comes nearer meanwhile
        while NEAR_US < (ahead_us := simple.pa_simple_get_latency(stream, None)) < before_us:
            before_us = ahead_us
            ended.wait(LOOK_S)
    tell(traits)
    if address:
        threading.Event().wait(HOLD_S)
        simple.pa_simple_free(stream)


def look(
    pulse: Any, suspended: int | None = None, is_silent: Callable[[], bool] = lambda: False
) -> tuple[Hearing, int | None]:
    """Return what becomes of our stream, and the index of the suspended device, if it is that.

    Without a stream it is still `suspended` while that device is. A sink that stands for no device is none, unless
    somebody records what it is given. Where our own will `is_silent`, before or after we look, a volume of 0 is none
    of the system's.
    """
    own = is_silent()
    sinks = {sink.index: sink for sink in pulse.sink_list()}
    recorded = {one.source for one in pulse.source_output_list() if not str(one.name).startswith(METER)}
    devices = {at: one for at, one in sinks.items() if one.name != NO_DEVICE or one.monitor_source in recorded}
    ours = [one for one in pulse.sink_input_list() if one.proplist.get("application.process.id") == str(os.getpid())]
    stream = next((one for one in ours if one.name != NAME), None)  # that one is `settle`'s
    if stream.sink not in devices if stream else sinks and not devices:
        return Hearing.NO_DEVICE, None  # PipeWire has streams without any sink too, and takes what they play
    sink = devices.get(stream.sink if stream else suspended)
    if sink is not None and sink.state == "suspended" and not (stream and stream.corked):
        return Hearing.SUSPENDED, sink.index
    if stream is None or sink is None:
        return Hearing.UNKNOWN, None
    if stream.mute or not (stream.volume.value_flat or own or is_silent()):
        return Hearing.STREAM_MUTED, None
    return Hearing.DEVICE_MUTED if sink.mute or not sink.volume.value_flat else Hearing.PLAYS, None


@contextlib.contextmanager
def _connected(pulsectl: Any) -> Iterator[Any]:
    """Connect to a server that runs. Raises ConnectionError where none does, or it goes away while it is asked."""
    try:
        with pulsectl.Pulse(NAME, connect=False) as pulse:
            pulse.connect()
            yield pulse
    except (pulsectl.PulseError, pulsectl.PulseDisconnected) as error:
        raise ConnectionError(str(error)) from error


def ask_traits() -> Traits:
    """Ask a server that runs, if there is one."""
    try:
        import pulsectl

        with _connected(pulsectl) as pulse:
            flat = any(sink.flags & FLAT for sink in pulse.sink_list())
            return Traits(not flat, "PipeWire" in pulse.server_info().server_name)
    except (ImportError, OSError):
        return Traits()


def look_once() -> Hearing:
    """Ask a server that runs, if there is one."""
    try:
        import pulsectl

        with _connected(pulsectl) as pulse:
            return look(pulse)[0]
    except (ImportError, OSError):
        return Hearing.UNKNOWN


class SoundServer:
    """Watches the server, and says when it lets nobody hear us.

    Threads: `run` one, which may hang with the server; `hearing` is a single assignment, and any may read it.
    """

    def __init__(self, notices: Notices) -> None:
        self.hearing = Hearing.UNKNOWN
        self.is_silent: Callable[[], bool] = lambda: False
        """Whether the volume of our stream is 0 by our own will."""
        self._notices = notices
        self._muted = False

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop`."""
        try:
            import pulsectl  # slow, and not needed for the first sound
        except (ImportError, OSError):
            log.info("no PulseAudio here: whether it mutes us is not known")
            return
        while not stop.is_set():
            try:
                with _connected(pulsectl) as pulse:
                    self._watch(pulse, pulsectl.PulseLoopStop, stop)
            except ConnectionError as error:
                log.debug("no sound server to watch: %s", error)
            self._note(Hearing.UNKNOWN)
            stop.wait(RECONNECT_S)

    def _watch(self, pulse: Any, news: type[Exception], stop: threading.Event) -> None:
        suspended, came = None, False

        def on_event(_event: object) -> None:
            nonlocal came
            came = True
            raise news

        pulse.event_mask_set("sink", "sink_input", "source_output", "server")
        pulse.event_callback_set(on_event)
        while not stop.is_set():
            came = False
            hearing, suspended = look(pulse, suspended, self.is_silent)
            self._note(hearing)
            if not came:  # what comes amid a look ends no wait after it
                pulse.event_listen(LISTEN_S)

    def _note(self, hearing: Hearing) -> None:
        before, self.hearing = self.hearing, hearing
        if hearing is before:
            return
        if hearing in (Hearing.STREAM_MUTED, Hearing.DEVICE_MUTED):
            self._muted = True
            self._notices.say(f"sound.{hearing.name.lower()}", "warning")
        elif hearing is Hearing.PLAYS and self._muted:
            self._muted = False
            self._notices.say("sound.heard", "good")
