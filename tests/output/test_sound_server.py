"""What the sound server makes of our stream: told truly, said once, and never in the way."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from base.notices import Notices
from doubles.simulated_time import FakeClock
from output import sound_server
from output.sound_server import NAME, Hearing, SoundServer, Traits, ask_traits, look, look_once, settle


@dataclass
class Volume:
    """A volume as pulsectl has it."""

    value_flat: float = 1.0


@dataclass
class Sink:
    """A sound device."""

    index: int = 0
    state: str = "running"
    mute: int = 0
    volume: Volume = field(default_factory=Volume)
    flags: int = 0x20
    name: str = "out"

    @property
    def monitor_source(self) -> int:
        """What records it."""
        return 100 + self.index


@dataclass
class Stream:
    """What a program plays."""

    sink: int = 0
    mute: int = 0
    corked: bool = False
    name: str = "audio stream"  # as VLC calls its
    pid: int = field(default_factory=os.getpid)
    volume: Volume = field(default_factory=Volume)

    @property
    def proplist(self) -> dict[str, str]:
        """What is known of it."""
        return {"application.process.id": str(self.pid)}


@dataclass
class Server:
    """A sound server."""

    sinks: list[Sink]
    streams: list[Stream]
    name: str = "pulseaudio"
    recorders: list[SimpleNamespace] = field(default_factory=list)

    def server_info(self) -> SimpleNamespace:
        """Return what it says of itself."""
        return SimpleNamespace(server_name=self.name)

    def sink_list(self) -> list[Sink]:
        """Return the devices."""
        return self.sinks

    def sink_input_list(self) -> list[Stream]:
        """Return the streams."""
        return self.streams

    def source_output_list(self) -> list[SimpleNamespace]:
        """Return what is recorded."""
        return self.recorders

    def event_mask_set(self, *_: str) -> None:
        """Be asked for news."""

    def event_callback_set(self, _callback: object) -> None:
        """Be told who wants them."""


@pytest.mark.parametrize(
    ("sink", "stream", "hearing"),
    [
        (Sink(), Stream(), Hearing.PLAYS),
        (Sink(), Stream(mute=1), Hearing.STREAM_MUTED),
        (Sink(), Stream(volume=Volume(0.0)), Hearing.STREAM_MUTED),
        (Sink(mute=1), Stream(), Hearing.DEVICE_MUTED),
        (Sink(volume=Volume(0.0)), Stream(), Hearing.DEVICE_MUTED),
        (Sink(state="suspended"), Stream(), Hearing.SUSPENDED),
        (Sink(state="suspended"), Stream(corked=True), Hearing.PLAYS),
        (Sink(state="idle"), Stream(corked=True), Hearing.PLAYS),
        (Sink(mute=1), None, Hearing.UNKNOWN),
        (Sink(), Stream(mute=1, pid=1), Hearing.UNKNOWN),
        (Sink(), Stream(mute=1, name=NAME), Hearing.UNKNOWN),
    ],
)
def test_it_is_told_what_becomes_of_our_stream(sink: Sink, stream: Stream | None, hearing: Hearing) -> None:
    """Ours is the one that VLC opens in our process; other programs' mutes are theirs."""
    others = [Stream(mute=1, pid=1), Stream(name=NAME)]
    assert look(Server([Sink(7, mute=1), sink], [*others, *([stream] if stream else [])]))[0] is hearing


def test_a_suspended_device_is_remembered_while_we_have_no_stream_on_it() -> None:
    """Else it would be tried in vain; once it is resumed it may be tried."""
    server = Server([Sink(3, state="suspended")], [Stream(sink=3)])
    hearing, index = look(server)
    server.streams = []
    assert (hearing, look(server, index)) == (Hearing.SUSPENDED, (Hearing.SUSPENDED, 3))
    server.sinks[0].state = "idle"
    assert look(server, index) == (Hearing.UNKNOWN, None)
    assert look(server, 99) == (Hearing.UNKNOWN, None)


DUMMY = Sink(3, name="auto_null")


@pytest.mark.parametrize(
    ("sinks", "streams", "hearing"),
    [
        ([DUMMY], [Stream(sink=3)], Hearing.NO_DEVICE),
        ([DUMMY], [Stream(sink=3, mute=1, corked=True)], Hearing.NO_DEVICE),
        ([replace(DUMMY, state="suspended")], [Stream(sink=3)], Hearing.NO_DEVICE),
        ([DUMMY], [], Hearing.NO_DEVICE),
        ([DUMMY], [Stream(sink=3, pid=1)], Hearing.NO_DEVICE),
        ([DUMMY, Sink()], [Stream(sink=3)], Hearing.NO_DEVICE),
        ([DUMMY, Sink()], [Stream()], Hearing.PLAYS),
        ([DUMMY, Sink()], [], Hearing.UNKNOWN),
        ([Sink()], [Stream(sink=2**32 - 1)], Hearing.NO_DEVICE),
        ([], [Stream(sink=2**32 - 1)], Hearing.NO_DEVICE),
        ([replace(DUMMY, name="a null sink made on purpose")], [Stream(sink=3)], Hearing.PLAYS),
        ([], [], Hearing.UNKNOWN),
    ],
)
def test_a_sink_that_stands_for_no_device_is_none(sinks: list[Sink], streams: list[Stream], hearing: Hearing) -> None:
    """A server makes one where there is no other, and moves us to it: nobody would hear what is played on."""
    assert look(Server(sinks, streams)) == (hearing, None)


@pytest.mark.parametrize(
    ("source", "name", "hearing"),
    [(103, "parec", Hearing.PLAYS), (103, "Peak detect", Hearing.NO_DEVICE), (7, "parec", Hearing.NO_DEVICE)],
)
def test_what_is_recorded_is_heard(source: int, name: str, hearing: Hearing) -> None:
    """On a machine without a device too, whose sound is sent elsewhere; a level meter hears nothing."""
    server = Server([DUMMY], [Stream(sink=3)], recorders=[SimpleNamespace(source=source, name=name)])
    assert look(server)[0] is hearing


def test_a_mute_is_said_when_it_comes_and_when_it_goes() -> None:
    """Each once, however often the server has news."""
    notices = Notices(FakeClock())
    server = SoundServer(notices)
    for hearing in (
        Hearing.UNKNOWN, Hearing.PLAYS, Hearing.STREAM_MUTED, Hearing.STREAM_MUTED, Hearing.UNKNOWN,
        Hearing.PLAYS, Hearing.SUSPENDED, Hearing.PLAYS, Hearing.DEVICE_MUTED,
    ):  # fmt: skip
        server._note(hearing)
    assert [notice.key for notice in notices.recent()] == ["sound.stream_muted", "sound.heard", "sound.device_muted"]


@pytest.mark.parametrize("wishes", [(True, True), (True, False), (False, True), (False, False)])
def test_a_silence_of_our_own_will_is_no_mute_of_the_system(wishes: tuple[bool, bool]) -> None:
    """As it begins and as it ends too: who asks may see the one and hear the other."""
    server = Server([Sink()], [Stream(volume=Volume(0.0))])
    hearing = Hearing.PLAYS if any(wishes) else Hearing.STREAM_MUTED
    assert look(server, None, iter(wishes).__next__) == (hearing, None)


def test_a_mute_of_the_system_stays_one_while_we_are_silent_too() -> None:
    """A pause does not end it; who ends it in the pause is heard, though the stream is still at 0."""
    notices, stream, stop = Notices(FakeClock()), Stream(mute=1), threading.Event()
    server = SoundServer(notices)
    server.is_silent = lambda: not stream.volume.value_flat
    pulse, said, states = Server([Sink()], [stream]), list[list[str]](), [(1, 0.0), (0, 0.0)]

    def event_listen(_timeout_s: float) -> None:
        said.append([notice.key for notice in notices.recent()])
        if states:
            stream.mute, stream.volume = states[0][0], Volume(states.pop(0)[1])
        else:
            stop.set()

    vars(pulse)["event_listen"] = event_listen
    server._watch(pulse, RuntimeError, stop)
    assert said == [["sound.stream_muted"], ["sound.stream_muted"], ["sound.stream_muted", "sound.heard"]]


def test_what_changes_amid_a_look_is_looked_at_before_the_next_wait() -> None:
    """The news come with the answers then, and would end no wait: for half a minute nobody would know."""
    sink, stop, callbacks = Sink(), threading.Event(), list[Callable[[object], None]]()
    server, pulse, heard = SoundServer(Notices(FakeClock())), Server([sink], [Stream()]), list[Hearing]()

    def sink_list() -> list[Sink]:
        before = replace(sink)
        if sink.state == "running":
            sink.state = "suspended"
            with contextlib.suppress(RuntimeError):  # as pulsectl does, to end a wait
                callbacks[0](None)
        return [before]

    def event_listen(_timeout_s: float) -> None:
        heard.append(server.hearing)
        stop.set()

    vars(pulse).update(sink_list=sink_list, event_listen=event_listen, event_callback_set=callbacks.append)
    server._watch(pulse, RuntimeError, stop)
    assert heard == [Hearing.SUSPENDED]


@pytest.mark.parametrize(
    ("flags", "name", "traits"),
    [
        ((0x20, 0x23), "pulseaudio", Traits(has_volumes=True, keeps_by_role=False)),
        ((0x20, 0x60), "pulseaudio", Traits(has_volumes=False, keeps_by_role=False)),
        ((), "pulseaudio", Traits(has_volumes=True, keeps_by_role=False)),
        ((0x22,), "PulseAudio (on PipeWire 0.3.65)", Traits(has_volumes=True, keeps_by_role=True)),
    ],
)
def test_a_server_tells_of_what_sort_it_is(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[int, ...], name: str, traits: Traits
) -> None:
    """Where volumes are flat a pause would turn the device down for all, where they are a role's all music."""

    @contextlib.contextmanager
    def connected(_library: object) -> Iterator[Server]:
        yield Server([Sink(flags=one) for one in flags], [], name)

    monkeypatch.setattr("output.sound_server._connected", connected)
    monkeypatch.setitem(sys.modules, "pulsectl", object())
    assert ask_traits() == traits


def test_volumes_are_asked_for_while_the_device_comes_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """VLC's first block waits for both: for the longer of the two, not for one after the other."""
    steps, latencies = list[object](), [400_000, 200_000, 100_000]
    traits = Traits(has_volumes=True)

    def latency(*_: object) -> int:
        steps.append(latencies[0])
        return latencies.pop(0)

    def ask() -> Traits:
        steps.append("traits")
        return traits

    simple = {"new": lambda *_: 1, "write": lambda *_: 0, "get_latency": latency, "free": lambda *_: None}
    library = SimpleNamespace(**{f"pa_simple_{name}": function for name, function in simple.items()})
    monkeypatch.setattr("ctypes.CDLL", lambda _name: library)
    monkeypatch.setattr(sound_server, "ask_traits", ask)
    monkeypatch.setattr(sound_server, "HOLD_S", 0.0)
    settle(threading.Event(), steps.append)
    assert steps == ["traits", 400_000, 200_000, 100_000, traits]


def test_a_machine_without_the_library_of_the_server_is_asked_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known then, and nothing fails."""
    monkeypatch.setitem(sys.modules, "pulsectl", None)
    assert look_once() is Hearing.UNKNOWN
    assert ask_traits() == Traits()


def test_a_server_that_goes_away_while_it_is_asked_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way its library says so."""
    pulsectl = pytest.importorskip("pulsectl")

    def gone(_pulse: object) -> None:
        raise pulsectl.PulseDisconnected

    monkeypatch.setattr(pulsectl.Pulse, "connect", gone)
    monkeypatch.setattr(pulsectl.Pulse, "init", lambda _pulse: None)
    monkeypatch.setattr(pulsectl.Pulse, "close", lambda _pulse: None)
    assert look_once() is Hearing.UNKNOWN
