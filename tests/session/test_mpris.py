"""The player on the session bus: what it says, what it obeys, and a real bus with playerctl on it."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from jeepney import DBusAddress, HeaderFields, Message, new_method_call

from base.workers import SystemClock
from doubles.sounds import info
from listening.sound_room import wait_until
from music.segment import Source
from music.stations import builtin_stations
from programme.history import Heard
from programme.programme import MixerSnapshot, PlayingView
from screen.controls import Act, Command, Set, VolumeTo
from screen.view import Snapshot
from session import mpris
from session.mpris import NAME, OWNED, PLAYER, PROPERTIES, ROOT, Mpris, Track, session_bus, status_of

ABOUT = info(key="one")
PLAYING = Snapshot(
    mixer=MixerSnapshot(playing=PlayingView(Source.FRESH, "one", ABOUT, 12.5, 30.0), volume=0.8),
    station=builtin_stations()[0],
    player_state="playing",
    liked=True,
    history=(Heard("14:02", Source.FRESH, "none"), Heard("14:03", Source.FRESH, "one")),
)


class Desk:
    """The player's side: a snapshot to be changed, and the commands that came."""

    def __init__(self) -> None:
        self.snapshot = PLAYING
        self.obeyed: list[Command] = []
        self.stop = threading.Event()
        self.mpris = Mpris(self.obeyed.append, lambda: self.snapshot, "en", SystemClock())


def call(desk: Desk, interface: str, member: str, *arguments: Any) -> Any:
    """Call a method as the bus does; return the first value of the answer, or the error's name."""
    try:
        body = desk.mpris._called(interface, member, arguments)[1]
    except mpris._Wrong as wrong:
        return wrong.args[0]
    return body[0] if body else None


@pytest.mark.parametrize(
    ("member", "command"),
    [
        ("Next", Act.SKIP), ("Previous", Act.BACK), ("PlayPause", Act.PAUSE), ("Play", Set(Act.PAUSE, on=False)),
        ("Pause", Set(Act.PAUSE, on=True)), ("Stop", Set(Act.PAUSE, on=True)),
    ],
)  # fmt: skip
def test_methods_are_commands(member: str, command: Command) -> None:
    """Each as the key or the media key of that name."""
    desk = Desk()
    assert call(desk, PLAYER, member) is None
    assert desk.obeyed == [command]


def test_what_cannot_be_done_is_refused_by_name() -> None:
    """As the specification has it: seeking has no effect, the rest are errors; nothing is obeyed."""
    desk = Desk()
    assert call(desk, PLAYER, "Seek", 5_000_000) is None
    assert call(desk, ROOT, "Raise") is None
    wrong: dict[tuple[Any, ...], str] = {
        (PLAYER, "OpenUri", "file:///x"): "NotSupported",
        (PLAYER, "Explode"): "UnknownMethod",
        (ROOT, "Next"): "UnknownMethod",
        (PROPERTIES, "Get", PLAYER, "Colour"): "UnknownProperty",
        (PROPERTIES, "Get"): "UnknownInterface",
        (PROPERTIES, "GetAll", "org.example"): "UnknownInterface",
        (PROPERTIES, "Set", PLAYER, "Position", ("x", 5)): "PropertyReadOnly",
        (PROPERTIES, "Set", PLAYER, "Volume", ("s", "loud")): "InvalidArgs",
        (PROPERTIES, "Set", PLAYER, "Volume", ("d", float("nan"))): "InvalidArgs",
        (PROPERTIES, "Set", PLAYER, "Volume"): "InvalidArgs",
    }
    for arguments, error in wrong.items():
        assert call(desk, *arguments) == error, arguments
    assert desk.obeyed == []


@pytest.mark.parametrize(
    ("member", "signature", "arguments"),
    [
        ("Get", "sas", (PLAYER, ["Volume"])), ("Set", "ssi", (PLAYER, "Volume", 5)), ("Get", None, ()),
        ("Set", "sss", (PLAYER, "Volume", "d")), ("Set", "ss(ds)", (PLAYER, "Volume", ("d", "x"))),
        ("Set", "sav", (PLAYER, [("s", "Volume")])), ("GetAll", "as", ([PLAYER],)),
    ],
)  # fmt: skip
def test_arguments_of_another_kind_are_refused(member: str, signature: str | None, arguments: tuple[Any, ...]) -> None:
    """The caller is told, and the others' connection stays."""
    desk, sent = Desk(), list[Message]()
    message = new_method_call(DBusAddress(mpris.PATH, NAME, PROPERTIES), member, signature, arguments)
    message.header.serial = 7
    desk.mpris._answer(cast("Any", SimpleNamespace(send=sent.append)), message)
    assert [reply.header.fields[HeaderFields.error_name] for reply in sent] == [mpris.ERROR + "InvalidArgs"]
    assert desk.obeyed == []


def test_what_can_be_set_is_obeyed() -> None:
    """The volume from 0 to 1; a rate of 0 pauses, another has no effect."""
    desk = Desk()
    for name, value in (("Volume", 0.55), ("Volume", 7.0), ("Volume", -1.0), ("Rate", 0.0), ("Rate", 2.0)):
        assert call(desk, PROPERTIES, "Set", PLAYER, name, ("d", value)) is None
    assert desk.obeyed == [VolumeTo(55), VolumeTo(100), VolumeTo(0), Set(Act.PAUSE, on=True)]


def test_metadata_says_what_plays() -> None:
    """Title, station, length in microseconds, heart; a listener's own file has its own; for noise there is no track."""
    desk = Desk()
    found = call(desk, PROPERTIES, "Get", PLAYER, "Metadata")[1]
    assert found["mpris:length"] == ("x", 30_000_000)
    assert found["xesam:artist"] == ("as", ["Lo-fi beats"])
    assert found["xesam:userRating"] == ("d", 1.0)
    assert found["xesam:comment"] == ("as", [ABOUT.recipe.prompt])
    assert found["xesam:title"][1]
    assert call(desk, PROPERTIES, "GetAll", PLAYER)["Metadata"][1] == found
    assert call(desk, PROPERTIES, "Get", PLAYER, "Position") == ("x", 12_500_000)
    desk.snapshot = replace(PLAYING, mixer=MixerSnapshot(PlayingView(Source.LIBRARY, "a.flac", title="Björk\n – 雨")))
    assert call(desk, PROPERTIES, "Get", PLAYER, "Metadata")[1]["xesam:title"] == ("s", "Björk – 雨")
    desk.snapshot = replace(PLAYING, mixer=MixerSnapshot())
    found = call(desk, PROPERTIES, "Get", PLAYER, "Metadata")[1]
    assert found["mpris:trackid"] == ("o", "/org/mpris/MediaPlayer2/TrackList/NoTrack")
    assert "mpris:length" not in found


@pytest.mark.parametrize(
    ("state", "paused", "status"),
    [
        ("playing", False, "Playing"), ("playing", True, "Paused"), ("no device", False, "Stopped"),
        ("suspended", True, "Stopped"), ("device muted", False, "Playing"), ("starting", False, "Stopped"),
    ],
)  # fmt: skip
def test_the_status_is_what_is_heard(state: str, paused: bool, status: str) -> None:
    """Without a device nothing plays; muted it goes on."""
    assert status_of(replace(PLAYING, player_state=state, mixer=replace(PLAYING.mixer, paused=paused))) == status


def test_seeked_is_told_for_jumps_alone() -> None:
    """Not for playing, pausing, going on or another piece; but for a jump and for going on after Stopped."""
    track = Track()
    told = [
        track.follow(key, position_s, now, status)
        for now, key, position_s, status in [
            (0.0, "a", 0.2, "Playing"), (5.0, "a", 5.4, "Playing"), (6.0, "a", 6.0, "Paused"),
            (90.0, "a", 6.0, "Paused"), (91.0, "a", 6.1, "Playing"), (95.0, "b", 0.3, "Playing"),
            (96.0, "b", 20.0, "Playing"),
            (97.0, "b", 21.0, "Stopped"), (99.0, "b", 21.0, "Playing"), (100.0, "", 5.0, "Playing"),
        ]
    ]  # fmt: skip
    assert [index for index, jumped in enumerate(told) if jumped] == [6, 8]
    assert track.number == 3


class Bus:
    """A connection to a bus on which nobody speaks: `told` is what was sent to all."""

    def __init__(self) -> None:
        self.sock, self._other = socket.socketpair()
        self.told: queue.Queue[Any] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
        self._other.close()

    def send_and_get_reply(self, _message: object, timeout: float) -> Any:
        return SimpleNamespace(body=(OWNED[0],))

    def receive(self, timeout: float) -> None:
        raise TimeoutError

    def send(self, message: Any) -> None:
        self.told.put(message.body)


def test_what_changes_is_told_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says that something has changed wakes the thread, which sleeps without an end; and so does the end."""
    monkeypatch.setattr(mpris, "LOOK_S", None)
    monkeypatch.setattr(mpris, "MUSIC_S", 1e6)
    desk, bus = Desk(), Bus()
    monkeypatch.setattr("jeepney.io.blocking.open_dbus_connection", lambda _address: bus)
    desk.snapshot = Snapshot(mixer=MixerSnapshot())
    thread = threading.Thread(target=desk.mpris.run, args=(desk.stop,))
    thread.start()
    desk.snapshot = PLAYING
    desk.mpris.refresh()
    assert bus.told.get(timeout=20)[1]["PlaybackStatus"] == ("s", "Playing")
    desk.snapshot = replace(PLAYING, mixer=replace(PLAYING.mixer, paused=True))
    desk.mpris.refresh()
    assert bus.told.get(timeout=20) == (PLAYER, {"PlaybackStatus": ("s", "Paused")}, [])
    desk.mpris.notify("a break")
    assert "a break" in bus.told.get(timeout=20)
    desk.stop.set()
    desk.mpris.refresh()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """A session bus of our own, which can be started again at the same address."""
    if not shutil.which("dbus-daemon") or not shutil.which("playerctl"):
        pytest.skip("dbus-daemon and playerctl are not installed")
    address = f"unix:path={tmp_path / 'bus'}"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setattr(mpris, "RETRY_S", 0.1)
    monkeypatch.setattr(mpris, "LOOK_S", 0.05)
    daemons: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        (tmp_path / "bus").unlink(missing_ok=True)
        command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}"]
        daemons.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.kill()
        daemon.wait()


def playerctl(*words: str) -> str:
    """Ask by playerctl."""
    done = subprocess.run(["playerctl", *words], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip()


@pytest.mark.realtime
def test_playerctl_sees_and_steers_the_player(bus: Callable[[], subprocess.Popen[bytes]]) -> None:
    """On a bus of its own: status, metadata, position, volume, all commands, changes, and a second player beside it."""
    bus()
    desk, other = Desk(), Desk()
    threads = [threading.Thread(target=desk.mpris.run, args=(desk.stop,))]
    threads[0].start()
    assert wait_until(lambda: playerctl("-l") == "sagyo_on")
    assert playerctl("status") == "Playing"
    assert playerctl("metadata", "xesam:artist") == "Lo-fi beats"
    assert playerctl("metadata", "mpris:length") == "30000000"
    assert playerctl("position").startswith("12.5")
    assert playerctl("volume") == "0.800000"
    for words in (["next"], ["previous"], ["play-pause"], ["pause"], ["stop"], ["volume", "0.3"]):
        playerctl(*words)
    commands = [Act.SKIP, Act.BACK, Act.PAUSE, Set(Act.PAUSE, on=True), Set(Act.PAUSE, on=True), VolumeTo(30)]
    assert wait_until(lambda: desk.obeyed == commands)
    follower = subprocess.Popen(["playerctl", "-F", "status"], stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    assert follower.stdout.readline().strip() == "Playing"
    desk.snapshot = replace(PLAYING, mixer=replace(PLAYING.mixer, paused=True))
    assert follower.stdout.readline().strip() == "Paused"
    follower.kill()
    follower.communicate()
    threads.append(threading.Thread(target=other.mpris.run, args=(other.stop,)))
    threads[1].start()
    assert wait_until(lambda: set(playerctl("-l").split()) == {"sagyo_on", f"sagyo_on.instance{os.getpid()}"})
    for one in (desk, other):
        one.stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert playerctl("-l") == ""


@pytest.mark.realtime
def test_a_bus_that_dies_is_found_again(bus: Callable[[], subprocess.Popen[bytes]]) -> None:
    """None at first, then one, which is killed and comes back; one that stands still keeps nobody from quitting."""
    desk = Desk()
    thread = threading.Thread(target=desk.mpris.run, args=(desk.stop,))
    thread.start()
    daemon = bus()
    assert wait_until(lambda: playerctl("-l") == "sagyo_on")
    assert session_bus() == os.environ["DBUS_SESSION_BUS_ADDRESS"]
    assert NAME.endswith("sagyo_on")
    daemon.kill()
    daemon.wait()
    daemon = bus()
    assert wait_until(lambda: playerctl("-l") == "sagyo_on")
    daemon.send_signal(19)
    desk.stop.set()
    thread.join(10)
    daemon.send_signal(18)
    assert not thread.is_alive()


@pytest.mark.realtime
def test_a_notification_reaches_the_desktop(bus: Callable[[], subprocess.Popen[bytes]]) -> None:
    """Whoever shows notifications is called once, with the words."""
    from jeepney import HeaderFields
    from jeepney.bus_messages import message_bus
    from jeepney.io.blocking import open_dbus_connection

    bus()
    assert wait_until(lambda: Path(session_bus().removeprefix("unix:path=")).exists())
    desk = Desk()
    with open_dbus_connection(session_bus()) as desktop:
        assert desktop.send_and_get_reply(message_bus.RequestName("org.freedesktop.Notifications"), timeout=5).body == (
            1,
        )
        thread = threading.Thread(target=desk.mpris.run, args=(desk.stop,))
        thread.start()
        desk.mpris.notify("time for a break")
        message = desktop.receive(timeout=10)
        while message.header.fields.get(HeaderFields.member) != "Notify":
            message = desktop.receive(timeout=10)
        assert message.body[3:5] == ("作業音 · sagyō-on", "time for a break")
    desk.stop.set()
    thread.join(10)
