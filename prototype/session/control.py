"""Commands from anywhere: the running player answers at a Unix socket in its spool, for its own user alone.

One line a connection, one line of JSON back. Nothing of it runs in the threads that feed the sound or read the keys;
whatever is sent, and however much, costs no more than SERVED_AT_ONCE answers in PACE_S.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.control_socket import LONGEST_LINE, PATIENCE_S, is_ours, listen
from base.errors import AppError
from base.texts import Said, reason_of, said
from base.workers import Clock
from music.stations import Station, named
from screen import controls
from screen.controls import Act, Command, Set
from screen.view import Snapshot
from screen.widgets import sentence
from session.conductor import Answer
from session.status import status_dict, status_line
from settings.kinds import DURATION, PROMPT, whole

log = logging.getLogger(__name__)

PACE_S: Final = 0.02
SERVED_AT_ONCE: Final = 16
MOST_CLIENTS: Final = 128
RENEW_S: Final = 10.0
DONE: Final = 0  # the codes of a reply
NOT_NOW: Final = 1
UNKNOWN: Final = 2

Reply = dict[str, Any]

PLAIN: Final[dict[str, Command]] = {
    "play": Set(Act.PAUSE, on=False),
    "pause": Set(Act.PAUSE, on=True),
    "toggle": Act.PAUSE,
    "next": Act.SKIP,
    "previous": Act.BACK,
    "like": Act.LIKE,
    "dislike": Act.DISLIKE,
    "undo": Act.UNDO,
    "continue": Act.CONTINUE,
    "continue on": Set(Act.CONTINUE, on=True),
    "continue off": Set(Act.CONTINUE, on=False),
    "mute": Act.MUTE,
    "mute on": Set(Act.MUTE, on=True),
    "mute off": Set(Act.MUTE, on=False),
    "record start": Set(Act.RECORD, on=True),
    "record stop": Set(Act.RECORD, on=False),
    "break": Act.BREAK,
    "skip-break": Act.SKIP_BREAK,
    "timer off": controls.PlayFor(None),
    "quit": Act.QUIT,
}
USAGE: Final = (
    "play, pause, toggle, next, previous, like, dislike, undo, continue [on|off], volume N|+N|-N, mute [on|off],"
    " ambience NAME|off|+N|-N, station NAME, prompt TEXT,"
    " timer 50m|+10m|-10m|off, break, skip-break, record start|stop, quit, status [--json]"
)
NUMBER: Final = whole(-1_000_000, 1_000_000)


class Refused(AppError):
    """A line that is no command."""


def parse(line: str, stations: Sequence[Station]) -> Command:
    """Return the command that a line asks for. Raises Refused."""
    name, _, rest = " ".join(line.split()).partition(" ")
    if command := PLAIN.get(f"{name} {rest}".strip()):
        return command
    try:
        match name:
            case "volume" if rest:
                number = NUMBER.parse(rest.removesuffix("%"))
                return controls.Volume(number) if rest[0] in "+-" else controls.VolumeTo(number)
            case "ambience" if rest:
                if rest[0] in "+-":
                    return controls.AmbienceVolume(NUMBER.parse(rest))
                return controls.Ambience(rest.lower())
            case "station" if rest:
                if station := named(rest, stations):
                    return controls.Station(station.key)
                raise Refused(said("ctl.no_station", name=rest[:40], names=", ".join(one.key for one in stations)))
            case "prompt" if rest:
                return controls.Prompt(PROMPT.parse(rest))
            case "timer" if rest:
                seconds = DURATION.parse(rest.lstrip("+-")) or 0.0
                if rest[0] in "+-":
                    return controls.Extend(-seconds if rest[0] == "-" else seconds)
                return controls.PlayFor(seconds)
    except ValueError as error:
        reason = reason_of(error)
        raise Refused(said("ctl.bad_value", value=rest[:40], command=name, reason=reason, usage=USAGE)) from error
    raise Refused(said("ctl.unknown", usage=USAGE))


@dataclass(frozen=True)
class Answering:
    """What the player answers: it obeys a command as it obeys a key, or tells how it is.

    Threads: any; what it calls does not wait.
    """

    obey: Callable[[Command], Answer]
    snapshot: Callable[[], Snapshot]
    stations: Sequence[Station]
    language: str

    def __call__(self, line: str) -> Reply:
        """Return the reply to a line: its `code`, and what became of it as `key` and `message`."""
        if line.split() in (["status"], ["status", "--json"]):
            snapshot = self.snapshot()
            message, status = status_line(snapshot, self.language), status_dict(snapshot, self.language)
            return {"code": DONE, "key": "status", "message": message, "status": status}
        if line.split() == ["help"]:
            return self.say(DONE, said("ctl.help", usage=USAGE))
        try:
            answer = self.obey(parse(line, self.stations))
        except Refused as refused:
            return self.say(UNKNOWN, reason_of(refused))
        return self.say(DONE if answer.done else NOT_NOW, answer.said)

    def say(self, code: int, words: Said) -> Reply:
        """Return a reply with a text."""
        return {"code": code, "key": words.key, "message": sentence(self.language, *words)}


@dataclass(eq=False)
class _Client:
    """One connection: what it sent so far, and what it has not taken yet of its reply."""

    connection: socket.socket
    late_at: float
    line: bytes = b""
    reply: bytes = b""


class ControlServer:
    """Answers one line of each connection.

    Threads: `run` belongs to one thread, which owns every field; `close` may be called by any.
    """

    def __init__(self, folder: Path, answer: Answering, clock: Clock) -> None:
        self._folder = folder
        self._answer = answer
        self._clock = clock
        self._selector = selectors.DefaultSelector()  # the listener, and the connections with their clients
        self._listener: socket.socket | None = None

    def close(self) -> None:
        """Let `run` see at once that it is to stop."""
        if self._listener is not None:
            with suppress(OSError):  # it is closed already, or of a system that shuts down connections only
                self._listener.shutdown(socket.SHUT_RDWR)

    def run(self, stop: threading.Event) -> None:
        """Listen and answer until `stop`; where no socket can be had, or it is taken away, begin anew."""
        while not stop.is_set():
            try:
                listener, path = listen(self._folder)
            except OSError as error:
                log.warning("no commands can be taken from elsewhere: %s", error)
                self._clock.wait(stop, RENEW_S)
                continue
            self._listener = listener
            try:
                self._listen(stop, listener, path)
            finally:
                for client in self._clients():
                    self._leave(client)
                self._selector.unregister(listener)
                listener.close()

    def _clients(self) -> list[_Client]:
        return [key.data for key in self._selector.get_map().values() if key.data is not None]

    def _listen(self, stop: threading.Event, listener: socket.socket, path: Path) -> None:
        """Serve until `stop`, or until the socket has gone from its place."""
        inode, renew_at = path.lstat().st_ino, self._clock.now() + RENEW_S
        self._selector.register(listener, selectors.EVENT_READ)
        while not stop.is_set():
            next_at = min([renew_at, *(client.late_at for client in self._clients())])
            events = self._selector.select(max(0.0, next_at - self._clock.now()))
            events.sort(key=lambda event: len(event[0].data.line) if event[0].data else 0)  # who trickles comes last
            for key, _ in events[:SERVED_AT_ONCE]:  # the others' turn comes next
                if key.data is None:
                    self._accept(listener)
                elif key.data.reply:
                    self._write(key.data)
                else:
                    self._read(key.data)
            now = self._clock.now()
            for client in self._clients():
                if now >= client.late_at:
                    self._give_up(client)
            if now >= renew_at:
                renew_at = now + RENEW_S
                if not _is_there(path, inode):
                    return
            if events:
                self._clock.wait(stop, PACE_S)
        if _is_there(path, inode):
            with suppress(OSError):  # a folder that is read-only by now keeps it: the next player replaces it
                path.unlink()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # all have been taken
            while True:
                connection = listener.accept()[0]
                connection.setblocking(False)
                client = _Client(connection, self._clock.now() + PATIENCE_S)
                self._selector.register(connection, selectors.EVENT_READ, client)
                if not is_ours(connection):
                    self._leave(client)
                elif len(self._clients()) > MOST_CLIENTS:
                    self._reply(client, self._answer.say(NOT_NOW, said("ctl.busy")))

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(LONGEST_LINE)
        except OSError:
            self._leave(client)
            return
        client.line += data
        line, ended, _ = client.line[:LONGEST_LINE].partition(b"\n")
        if ended:
            self._reply(client, self._answer(line.decode("utf-8", "replace")))
        elif not data or len(client.line) >= LONGEST_LINE:
            self._reply(client, self._answer.say(UNKNOWN, said("ctl.broken_line")))

    def _reply(self, client: _Client, reply: Reply) -> None:
        client.reply = json.dumps(reply, default=lambda state: state.value).encode() + b"\n"
        client.late_at = self._clock.now() + PATIENCE_S
        self._selector.modify(client.connection, selectors.EVENT_WRITE, client)
        self._write(client)

    def _write(self, client: _Client) -> None:
        try:
            client.reply = client.reply[client.connection.send(client.reply) :]
        except BlockingIOError:
            return
        except OSError:
            client.reply = b""
        if not client.reply:
            self._leave(client)

    def _give_up(self, client: _Client) -> None:
        """Tell who has not ended the line in time, once; leave who has not taken the reply."""
        if client.reply:
            self._leave(client)
        else:
            self._reply(client, self._answer.say(UNKNOWN, said("ctl.broken_line")))

    def _leave(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()


def _is_there(path: Path, inode: int) -> bool:
    with suppress(OSError):
        return path.lstat().st_ino == inode
    return False
