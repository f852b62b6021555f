"""At home on a Linux desktop: media keys, lock screens and status bars see and steer the player through MPRIS.

The Media Player Remote Interfacing Specification 2.2 of freedesktop.org, on the session bus. Where there is no bus
nothing happens; one that dies is looked for again. Everything runs in one thread of its own, so that a bus or a program
that does not answer keeps nobody else waiting. jeepney is imported in it, when there is music.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from base.workers import Clock, Doorbell
from screen.controls import Act, Command, Set, VolumeTo
from screen.panels import piece_title
from screen.view import Snapshot
from screen.widgets import clean

if TYPE_CHECKING:
    from jeepney import Message
    from jeepney.io.blocking import DBusConnection

log = logging.getLogger(__name__)

NAME: Final = "org.mpris.MediaPlayer2.sagyo_on"
PATH: Final = "/org/mpris/MediaPlayer2"
ROOT: Final = "org.mpris.MediaPlayer2"
PLAYER: Final = "org.mpris.MediaPlayer2.Player"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
NOTES: Final = "org.freedesktop.Notifications"
NOTES_PATH: Final = "/org/freedesktop/Notifications"
ERROR: Final = "org.freedesktop.DBus.Error."
NO_TRACK: Final = "/org/mpris/MediaPlayer2/TrackList/NoTrack"

LOOK_S: Final = 10.0  # where nobody says that something has changed
RETRY_S: Final = 10.0
MUSIC_S: Final = 15.0
PACE_S: Final = 0.002  # whoever calls without pause
ANSWER_S: Final = 5.0
JUMP_S: Final = 1.0  # of the position, that is told; what is mixed is ahead of what is heard, by turns
DO_NOT_QUEUE: Final = 4
OWNED: Final = (1, 4)

Properties = dict[str, tuple[str, Any]]

CALLS: Final[dict[tuple[str, str], Command | None]] = {
    (ROOT, "Raise"): None,
    (ROOT, "Quit"): Act.QUIT,
    (PLAYER, "Next"): Act.SKIP,
    (PLAYER, "Previous"): Act.BACK,
    (PLAYER, "Pause"): Set(Act.PAUSE, on=True),
    (PLAYER, "Stop"): Set(Act.PAUSE, on=True),
    (PLAYER, "Play"): Set(Act.PAUSE, on=False),
    (PLAYER, "PlayPause"): Act.PAUSE,
    (PLAYER, "Seek"): None,
    (PLAYER, "SetPosition"): None,
    (PLAYER, "OpenUri"): None,
}
SIGNATURES: Final = {"Get": "ss", "GetAll": "s", "Set": "ssv"}  # the bus does not check what a caller makes of them
ROOT_PROPERTIES: Final[Properties] = {
    "CanQuit": ("b", True),
    "CanRaise": ("b", False),
    "HasTrackList": ("b", False),
    "Identity": ("s", "sagyō-on"),
    "DesktopEntry": ("s", "sagyo-on"),
    "SupportedUriSchemes": ("as", []),
    "SupportedMimeTypes": ("as", []),
}
XML: Final = """<node>
<interface name="org.freedesktop.DBus.Introspectable"><method name="Introspect">
<arg type="s" direction="out"/></method></interface>
<interface name="org.freedesktop.DBus.Peer"><method name="Ping"/></interface>
<interface name="org.freedesktop.DBus.Properties">
<method name="Get"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="out"/></method>
<method name="GetAll"><arg type="s" direction="in"/><arg type="a{{sv}}" direction="out"/></method>
<method name="Set"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="in"/></method>
<signal name="PropertiesChanged"><arg type="s"/><arg type="a{{sv}}"/><arg type="as"/></signal></interface>
<interface name="org.mpris.MediaPlayer2"><method name="Raise"/><method name="Quit"/>{root}</interface>
<interface name="org.mpris.MediaPlayer2.Player"><method name="Next"/><method name="Previous"/><method name="Pause"/>
<method name="PlayPause"/><method name="Stop"/><method name="Play"/>
<method name="Seek"><arg name="Offset" type="x" direction="in"/></method>
<method name="SetPosition"><arg name="TrackId" type="o" direction="in"/><arg name="Position" type="x" direction="in"/>
</method><method name="OpenUri"><arg name="Uri" type="s" direction="in"/></method>
<signal name="Seeked"><arg name="Position" type="x"/></signal>{player}</interface></node>"""


class Track:
    """Which piece plays, counted, and where it is expected to be; for one whose position jumps Seeked is told."""

    def __init__(self) -> None:
        self.number = 0
        self._key = ""
        self._position_s = 0.0
        self._seen_at = 0.0
        self._status = "Stopped"

    def follow(self, key: str, position_s: float, now: float, status: str) -> bool:
        """Note what plays at `now`; return whether the position is another than who saw it before would expect.

        Expected are 0 for a new piece and when playing after Stopped, and else what the time that went by makes of it.
        """
        passed_s = now - self._seen_at if self._status == "Playing" else 0.0
        expected_s = passed_s + (self._position_s if self._status != "Stopped" else 0.0)
        if key != self._key:
            self.number += 1
            expected_s = min(position_s, passed_s)
        self._key, self._position_s, self._seen_at, self._status = key, position_s, now, status
        return bool(key) and status != "Stopped" and abs(position_s - expected_s) > JUMP_S


class Mpris:
    """The player as the desktop sees it.

    Threads: `run` belongs to one thread, which owns all fields but the bell; any may call `obey` and `snapshot`.
    """

    def __init__(
        self, obey: Callable[[Command], object], snapshot: Callable[[], Snapshot], language: str, clock: Clock
    ) -> None:
        self._obey, self._snapshot, self._language, self._clock = obey, snapshot, language, clock
        self._track = Track()
        self._told: Properties = {}
        self._to_show: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._bell = Doorbell()

    def refresh(self) -> None:
        """Have told what has changed, or `stop` seen. Threads: any."""
        self._bell.ring()

    def notify(self, words: str) -> None:
        """Have the desktop show a notification, if there is one to show it. Threads: any."""
        self._to_show.put(words)
        self.refresh()

    def run(self, stop: threading.Event) -> None:
        """Stand at the session bus until `stop`."""
        if sys.platform != "linux":
            return
        begins_at = self._clock.now() + MUSIC_S
        while not self._snapshot().mixer.playing.key and (left_s := begins_at - self._clock.now()) > 0:
            self._bell.wait(timeout_s=left_s)
            if stop.is_set():
                return
        from jeepney.io.blocking import open_dbus_connection

        while not stop.is_set():
            # RuntimeError: a kind of address that jeepney does not know; ValueError: it does not let us in.
            with suppress(OSError, RuntimeError, ValueError, KeyError), open_dbus_connection(session_bus()) as bus:
                self._told = {}
                self._serve(bus, stop)
            self._clock.wait(stop, RETRY_S)

    def _serve(self, bus: DBusConnection, stop: threading.Event) -> None:
        """Answer and tell what changes, until `stop`. Raises OSError when the bus is gone."""
        from jeepney.bus_messages import message_bus

        for name in (NAME, f"{NAME}.instance{os.getpid()}"):
            if bus.send_and_get_reply(message_bus.RequestName(name, DO_NOT_QUEUE), timeout=ANSWER_S).body[0] in OWNED:
                log.info("the desktop knows the player as %s", name)
                break
        while not stop.is_set():
            self._tell(bus)
            self._show(bus)
            try:
                self._answer(bus, bus.receive(timeout=0.0))
                self._clock.wait(stop, PACE_S)
            except TimeoutError:
                self._bell.wait(bus.sock.fileno(), LOOK_S)

    def _tell(self, bus: DBusConnection) -> None:
        """Tell what changed since the last look. A position that goes on as it should is no change."""
        from jeepney import DBusAddress, new_signal

        snapshot = self._snapshot()
        playing, status = snapshot.mixer.playing, status_of(snapshot)
        jumped = self._track.follow(playing.key, playing.elapsed_s, self._clock.now(), status)
        properties = self._player_properties(snapshot)
        position = properties.pop("Position")
        changed = {name: value for name, value in properties.items() if self._told.get(name) != value}
        sender = DBusAddress(PATH, interface=PROPERTIES)
        if changed:
            bus.send(new_signal(sender, "PropertiesChanged", "sa{sv}as", (PLAYER, changed, [])))
        if jumped and self._told:
            bus.send(new_signal(DBusAddress(PATH, interface=PLAYER), "Seeked", "x", (position[1],)))
        self._told = properties

    def _show(self, bus: DBusConnection) -> None:
        """Hand over what is to be shown, without waiting for an answer."""
        from jeepney import DBusAddress, MessageFlag, new_method_call

        while not self._to_show.empty():
            words = clean(self._to_show.get())
            body: tuple[Any, ...] = ("sagyō-on", 0, "", "作業音 · sagyō-on", words, [], {}, -1)
            call = new_method_call(DBusAddress(NOTES_PATH, NOTES, NOTES), "Notify", "susssasa{sv}i", body)
            call.header.flags |= MessageFlag.no_reply_expected
            bus.send(call)

    def _answer(self, bus: DBusConnection, message: Message) -> None:
        """Answer a call; anything else that comes is none of ours."""
        from jeepney import HeaderFields, MessageFlag, MessageType, new_error, new_method_return

        header = message.header
        if header.message_type is not MessageType.method_call:
            return
        interface, member = header.fields.get(HeaderFields.interface, ""), header.fields.get(HeaderFields.member, "")
        given = header.fields.get(HeaderFields.signature, "")
        try:
            if header.fields.get(HeaderFields.path) != PATH:
                raise _Wrong("UnknownObject", "there is only " + PATH)
            if given != SIGNATURES.get(member, given):
                raise _Wrong("InvalidArgs", f"{member} takes {SIGNATURES[member]}, not {given}")
            signature, body = self._called(interface, member, message.body)
            reply = new_method_return(message, signature, body)
        except _Wrong as wrong:
            name, words = wrong.args
            reply = new_error(message, ERROR + name, "s", (words,))
        if not header.flags & MessageFlag.no_reply_expected:
            bus.send(reply)

    def _called(self, interface: str, member: str, arguments: tuple[Any, ...]) -> tuple[str | None, tuple[Any, ...]]:
        """Carry out a call; return the signature and the body of the answer. Raises _Wrong."""
        if interface == PROPERTIES:
            return self._property(member, arguments)
        if (interface, member) == ("org.freedesktop.DBus.Introspectable", "Introspect"):
            player = self._player_properties(self._snapshot())
            return "s", (XML.format(root=_described(ROOT_PROPERTIES), player=_described(player)),)
        if (interface, member) == ("org.freedesktop.DBus.Peer", "Ping"):
            return None, ()
        known = [call for call in CALLS if call[1] == member and interface in ("", call[0])]
        if not known:
            raise _Wrong("UnknownMethod", f"there is no {interface}.{member}")
        if member == "OpenUri":
            raise _Wrong("NotSupported", "it plays what it makes itself")
        if command := CALLS[known[0]]:
            self._obey(command)
        return None, ()

    def _property(self, member: str, arguments: tuple[Any, ...]) -> tuple[str | None, tuple[Any, ...]]:
        interface, name, value = (*arguments, None, None, None)[:3]
        if interface not in (ROOT, PLAYER):
            raise _Wrong("UnknownInterface", f"there is no {interface}")
        properties = ROOT_PROPERTIES if interface == ROOT else self._player_properties(self._snapshot())
        if member == "GetAll":
            return "a{sv}", (properties,)
        if name not in properties or member not in ("Get", "Set"):
            raise _Wrong("UnknownProperty", f"there is no {interface}.{name}")
        if member == "Get":
            return "v", (properties[name],)
        if name == "Rate" and value == ("d", 0.0):  # as the specification has it
            self._obey(Set(Act.PAUSE, on=True))
        elif name == "Volume" and value is not None and value[0] == "d" and value[1] == value[1]:
            self._obey(VolumeTo(round(100 * min(1.0, max(0.0, value[1])))))
        elif name == "Volume":
            raise _Wrong("InvalidArgs", "the volume is a number from 0 to 1")
        elif name != "Rate":
            raise _Wrong("PropertyReadOnly", f"{name} cannot be set")
        return None, ()

    def _player_properties(self, snapshot: Snapshot) -> Properties:
        return {
            "PlaybackStatus": ("s", status_of(snapshot)),
            "Rate": ("d", 1.0),
            "MinimumRate": ("d", 1.0),
            "MaximumRate": ("d", 1.0),
            "Metadata": ("a{sv}", self._metadata(snapshot)),
            "Volume": ("d", float(snapshot.mixer.volume)),
            "Position": ("x", round(1e6 * snapshot.mixer.playing.elapsed_s)),
            "CanGoNext": ("b", True),
            "CanGoPrevious": ("b", len(snapshot.history) > 1),
            "CanPlay": ("b", True),
            "CanPause": ("b", True),
            "CanSeek": ("b", False),
            "CanControl": ("b", True),
        }

    def _metadata(self, snapshot: Snapshot) -> Properties:
        playing = snapshot.mixer.playing
        recipe = playing.info.recipe if playing.info else None
        found: Properties = {
            "mpris:trackid": ("o", f"/org/sagyo_on/track/{self._track.number}" if playing.key else NO_TRACK),
            "xesam:title": ("s", clean(piece_title(playing, snapshot.stations, self._language))),
            "xesam:artist": ("as", [clean(snapshot.station.title(self._language))]),
            "xesam:album": ("s", "作業音 · sagyō-on"),
            "xesam:userRating": ("d", float(snapshot.liked)),
        }
        if playing.total_s is not None:
            found["mpris:length"] = ("x", round(1e6 * playing.total_s))
        if recipe is not None:
            found["xesam:comment"] = ("as", [clean(recipe.prompt)])
            found |= {"xesam:audioBPM": ("i", recipe.bpm)} if recipe.bpm else {}
        return found


class _Wrong(Exception):
    """A call that cannot be answered: the name of its D-Bus error, and what is wrong."""


def session_bus() -> str:
    """Return the address of the user's session bus, also where the environment does not tell."""
    return os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path=/run/user/{os.getuid()}/bus"


def status_of(snapshot: Snapshot) -> str:
    """Return MPRIS's word; without a device nothing plays and nothing is used up."""
    if snapshot.player_state in ("starting", "stopped", "no device", "suspended"):
        return "Stopped"
    return "Paused" if snapshot.mixer.paused else "Playing"


def _described(properties: Properties) -> str:
    access = {name: "readwrite" if name in ("Volume", "Rate") else "read" for name in properties}
    silent = '<annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>'
    return "".join(
        f'<property name="{name}" type="{value[0]}" access="{access[name]}">{silent * (name == "Position")}</property>'
        for name, value in properties.items()
    )
