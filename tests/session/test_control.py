"""Commands from anywhere: what each line means, and a socket that nothing which is sent can disturb."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import selectors
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import config
from app import tell
from base import control_socket
from base.control_socket import LONGEST_LINE, PATIENCE_S, NotReached, ask
from base.texts import reason_of, said
from base.workers import SystemClock
from generation.jobs import JobView
from music.stations import builtin_stations
from screen import controls
from screen.controls import Act, Command, Set
from screen.printing import Lines
from screen.view import Snapshot, TimerView
from session.conductor import Answer
from session.control import (
    MOST_CLIENTS,
    PLAIN,
    RENEW_S,
    SERVED_AT_ONCE,
    USAGE,
    Answering,
    ControlServer,
    Refused,
    parse,
)
from session.status import status_dict, status_line
from tools.screens import afternoon

STATIONS = builtin_stations()


class Player:
    """A control socket in a folder, served by a thread; `obeyed` is what came through."""

    def __init__(self, folder: Path, clock: SystemClock | None = None) -> None:
        self.folder = folder
        self.obeyed: list[Command] = []
        self.answer = Answer(said("ctl.next"))
        self.stop = threading.Event()
        self.server = ControlServer(folder, Answering(self.obey, Snapshot, STATIONS, "en"), clock or SystemClock())
        self.thread = threading.Thread(target=self.server.run, args=(self.stop,))

    def obey(self, command: Command) -> Answer:
        """Note a command."""
        self.obeyed.append(command)
        return self.answer

    def __enter__(self) -> Self:
        self.thread.start()
        self.wait_for_its_socket()
        return self

    def wait_for_its_socket(self) -> None:
        """Return when the socket is there."""
        for _ in range(500):
            if any(place.exists() for place in control_socket.places(self.folder)):
                return
            self.stop.wait(0.01)
        raise AssertionError("no socket")

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.server.close()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        """Connect as anybody may."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.folder / "control.sock"))
        return connection


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    """A player that runs."""
    with Player(tmp_path) as made:
        yield made


def reply_on(connection: socket.socket) -> dict[str, Any]:
    """Read one reply to its end."""
    data = b""
    while part := connection.recv(65536):
        data += part
    connection.close()
    assert data.count(b"\n") == 1
    found = json.loads(data)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("line", "command"),
    [
        *PLAIN.items(),
        ("volume 70", controls.VolumeTo(70)),
        ("volume +5", controls.Volume(5)),
        ("volume -5", controls.Volume(-5)),
        ("volume 30%", controls.VolumeTo(30)),
        ("ambience rain", controls.Ambience("rain")),
        ("ambience off", controls.Ambience("off")),
        ("ambience RAIN", controls.Ambience("rain")),
        ("ambience +5", controls.AmbienceVolume(5)),
        ("station piano", controls.Station("piano")),
        ("station Piano", controls.Station("piano")),
        ("station lo-fi beats", controls.Station("lofi")),
        ("prompt  warm   tape piano", controls.Prompt("warm tape piano")),
        ("prompt 雨の音", controls.Prompt("雨の音")),
        ("timer 50m", controls.PlayFor(3000.0)),
        ("timer 50", controls.PlayFor(3000.0)),
        ("timer +10m", controls.Extend(600.0)),
        ("timer -90s", controls.Extend(-90.0)),
    ],
)
def test_each_line_has_its_command(line: str, command: Command) -> None:
    """What is written means what the key of that name does."""
    assert parse(line, STATIONS) == command


NONSENSE = ("", "play it", "volume", "volume loud", "volume ++5", "station no", "prompt", "timer", "timer x", "x" * 400)


@pytest.mark.parametrize("line", NONSENSE)
def test_a_line_that_means_nothing_is_refused(line: str) -> None:
    """With what there is instead."""
    with pytest.raises(Refused):
        parse(line, STATIONS)
    assert Answering(lambda _command: Answer(said("ctl.next")), Snapshot, STATIONS, "en")(line)["code"] == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("prompt " + "長" * 512, "too long"),
        ("prompt a\x07b", "holds control characters"),
        ("timer 200h", "too large"),
        ("timer soon", "not a duration"),
        ("volume loud", "not a number"),
        ("volume 5.5", "not a whole number"),
        ("ambience +loud", "not a number"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_reason(line: str, reason: str) -> None:
    """As a setting is; "there is no such command" would send the person elsewhere."""
    with pytest.raises(Refused) as refused:
        parse(line, STATIONS)
    assert f": {reason}; there are:" in str(refused.value)
    assert str(refused.value).startswith(line.split()[0])


def test_who_asks_a_running_player_for_help_or_mistypes_is_answered() -> None:
    """By what there is; what was mistyped is not repeated at length."""
    answering = Answering(lambda _command: Answer(said("ctl.next")), Snapshot, STATIONS, "en")
    assert [answering(line)["code"] for line in ("next", "help", "play it")] == [0, 0, 2]
    assert USAGE in answering("help")["message"]
    for word in ("station", "volume"):
        assert "x" * 41 not in answering(f"{word} {'x' * 400}")["message"]


def test_whatever_a_key_does_can_be_said() -> None:
    """Under one word or more; the sound under the music is named instead of being the next one."""
    said = {command.act if isinstance(command, controls.Set) else command for command in PLAIN.values()}
    assert set(controls.Act) - said == {controls.Act.AMBIENCE}


@pytest.mark.parametrize("done", [True, False])
def test_the_client_tells_what_happened(player: Player, done: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """By a sentence, on the error stream if it was not done, and by the exit code."""
    player.answer = Answer(said("ctl.volume", percent=55) if done else said("undo.nothing"), done)
    settings = config.load(["--spool-dir", str(player.folder), "--ctl", "volume", "-5"], {}, player.folder / "no.env")
    assert tell(settings, Lines(sys.stdout, "en")) == (0 if done else 1)
    out, error = capsys.readouterr()
    assert (out, error) == (("volume 55 %\n", "") if done else ("", "there is nothing to take back\n"))
    assert player.obeyed == [controls.Volume(-5)]


def test_help_needs_no_player(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who binds a key wants to know the words first."""
    settings = config.load(["--spool-dir", str(tmp_path), "--ctl", "help"], {}, tmp_path / "no.env")
    assert tell(settings, Lines(sys.stdout, "en")) == 0
    assert capsys.readouterr() == (f"{USAGE}\n", "")


def test_nothing_in_the_status_can_command_a_terminal() -> None:
    """Whatever a prompt, a stage or a reason holds, wherever it stands."""
    nasty, job = "a\x1b[31mb\x9b2J\x1b]0;c\x07d\r", JobView("", 1.0, "\x1b[1mloading", 1.0, 0.5)
    good = afternoon()
    generator = replace(good.generator, server_reason=said("quote", words=nasty), jobs=(job,))
    status = status_dict(replace(good, prompt=nasty, recording=nasty, generator=generator), "en")
    assert (status["prompt"], status["recording"], status["queue"]["making"][0]["stage"]) == ("abd", "abd", "loading")
    assert status["server"]["detail"].strip('"“”') == "abd"


def test_the_status_says_what_is_heard() -> None:
    """How it is in one word, the piece with what it was asked to be, and the same in one line."""
    good = replace(afternoon(), player_state="playing")
    status = status_dict(good, "en")
    assert (status["state"], status["volume_percent"], status["piece"]["bpm"], status["piece"]["engine"]) == (
        "playing", 80, 82, "acestep"
    )  # fmt: skip
    line = status_line(good, "en")
    assert all(word in line for word in ("0:11/0:27", "80 %", "vibraphone"))
    paused = replace(good, mixer=replace(good.mixer, paused=True))
    resting = replace(good, timer=TimerView("break", 60.0, 1))
    assert [status_dict(one, "en")["state"] for one in (paused, resting)] == ["paused", "break"]


def test_status_is_one_line_or_json(player: Player, capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the JSON are those that scripts rely on."""
    arguments = ["--spool-dir", str(player.folder), "--ctl", "status"]
    assert tell(config.load(arguments, {}, player.folder / "no.env"), Lines(sys.stdout, "en")) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert tell(config.load([*arguments, "--json"], {}, player.folder / "no.env"), Lines(sys.stdout, "en")) == 0
    status = json.loads(capsys.readouterr().out)
    assert set(status) == {
        "schema", "state", "player", "station", "prompt", "source", "piece", "volume_percent", "ambience", "muted",
        "paused", "continuing", "recording", "timer", "queue", "server", "generation", "library", "uptime_s",
        "uninterrupted_s", "silent_s", "notices", "history",
    }  # fmt: skip
    assert set(status["queue"]) == {"target", "ready", "ready_s", "making"}
    assert status["generation"]["last_waiting_s"] is status["generation"]["median_waiting_s"] is None
    assert (status["schema"], status["piece"], status["state"]) == (1, None, "unheard")


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_player(tmp_path: Path) -> None:
    """Mode 0600; nothing is left behind."""
    with Player(tmp_path):
        status = (tmp_path / "control.sock").lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert list(tmp_path.iterdir()) == []


def ask_until_there(folder: Path) -> dict[str, Any]:
    """Ask until the player has put its socket into its place."""
    for _ in range(500):
        try:
            return ask(folder, "next")
        except NotReached:
            threading.Event().wait(0.01)
    raise AssertionError("no player")


def leave_stale(path: Path) -> None:
    """Leave a socket as a killed player does."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))


@pytest.mark.parametrize("left", ["nothing", "stale", "link", "file"])
def test_nothing_that_runs_is_told_from_what_stands_there(tmp_path: Path, left: str) -> None:
    """No player, one that was killed, a link or a file in its place: each is said; a player starts over all of them."""
    path = tmp_path / "control.sock"
    if left == "stale":
        leave_stale(path)
    elif left == "link":
        path.symlink_to(tmp_path / "victim")
    elif left == "file":
        path.write_text("mine")
    with pytest.raises(NotReached) as reason:
        ask(tmp_path, "next")
    assert reason_of(reason.value).key == ("ctl.nobody" if left in ("nothing", "stale") else "ctl.no_socket")
    with Player(tmp_path):
        if left == "file":
            assert path.read_text() == "mine"
        else:
            assert ask_until_there(tmp_path)["code"] == 0
        assert not (tmp_path / "victim").exists()


def test_a_spool_with_a_long_name_is_reached_all_the_same(tmp_path: Path) -> None:
    """108 bytes is all a socket's path may have."""
    folder = tmp_path / ("long" * 20) / ("name" * 20)
    folder.mkdir(parents=True)
    with Player(folder):
        assert ask(folder, "next")["code"] == 0
        place = control_socket.places(folder)[1]
        assert stat.S_IMODE(place.lstat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.lstat().st_mode) == 0o700
    assert not place.exists()


def test_another_users_socket_is_not_spoken_to(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the server answer another user."""
    mine = os.geteuid()
    monkeypatch.setattr("base.control_socket.os.geteuid", lambda: mine + 1)
    with pytest.raises(NotReached) as reason:
        ask(player.folder, "next")
    assert reason_of(reason.value).key == "ctl.foreign"
    if mine:
        with player.connect() as connection:
            connection.sendall(b"next\n")
            assert connection.recv(100) == b""
    monkeypatch.undo()


def test_a_hundred_clients_at_once_are_all_obeyed(player: Player) -> None:
    """Each gets its own answer, and no command is lost."""
    replies: list[int] = []
    clients = [
        threading.Thread(target=lambda: replies.append(ask(player.folder, "next", 30)["code"])) for _ in range(100)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert replies == [0] * 100
    assert player.obeyed == [Act.SKIP] * 100


def test_who_is_slow_keeps_nobody_waiting(player: Player) -> None:
    """Half a line, no line and an unread reply on many connections: the next one is answered; half is not obeyed."""
    held = [player.connect() for _ in range(30)]
    for index, connection in enumerate(held):
        connection.sendall((b"", b"volume 1", b"status --json\n")[index % 3])
    assert ask(player.folder, "pause")["code"] == 0
    assert player.obeyed == [Set(Act.PAUSE, on=True)]
    held[1].shutdown(socket.SHUT_WR)
    assert reply_on(held[1])["key"] == "ctl.broken_line"
    for connection in held:
        connection.close()
    assert player.obeyed == [Set(Act.PAUSE, on=True)]


def test_a_reply_that_is_taken_bit_by_bit_is_whole(player: Player) -> None:
    """Longer than what the system holds of it at a time."""
    long = "x" * 1_000_000
    player.server._answer = replace(player.server._answer, snapshot=lambda: Snapshot(recording=long))
    assert ask(player.folder, "status")["status"]["recording"] == long


class Trickling(SystemClock):
    """Lets some clients send another byte of their lines whenever the server has served SERVED_AT_ONCE."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.turns = 0

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait as well."""
        self.turns += 1
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.send(b"x")
        return super().wait(event, timeout_s)


def test_who_never_ends_a_line_keeps_nobody_waiting(tmp_path: Path) -> None:
    """However many send on and on, one that says at once what it wants has its turn among the next."""
    clock = Trickling()
    with Player(tmp_path, clock) as player:
        clock.clients = [player.connect() for _ in range(2 * SERVED_AT_ONCE)]
        first = player.connect()
        first.sendall(b"next\n")
        reply_on(first)  # the others have been let in, and send
        begun, last = clock.turns, player.connect()
        last.sendall(b"next\n")
        assert reply_on(last)["code"] == 0
        assert clock.turns - begun < 20
    for client in clock.clients:
        client.close()


def test_more_clients_than_there_is_room_for_are_told(player: Player) -> None:
    """They hold their connections and say nothing; the one above the limit hears that it is too many."""
    held = [player.connect() for _ in range(MOST_CLIENTS)]
    late = player.connect()
    assert reply_on(late)["key"] == "ctl.busy"
    for connection in held:
        connection.close()


@pytest.mark.parametrize(("sent", "ended"), [(b"a" * LONGEST_LINE, False), (b"volume 1", True)])
def test_a_line_without_an_end_is_cut_off(
    sent: bytes, ended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endless bytes cost no memory, and who hangs up is not waited for."""
    monkeypatch.setattr("session.control.PATIENCE_S", 1e9)
    with Player(tmp_path) as player:
        connection = player.connect()
        connection.sendall(sent)
        if ended:
            connection.shutdown(socket.SHUT_WR)
        assert reply_on(connection)["key"] == "ctl.broken_line"


def test_the_socket_comes_back_when_it_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody tidied the spool while it played."""
    monkeypatch.setattr("session.control.RENEW_S", 0.05)
    with Player(tmp_path) as player:
        (tmp_path / "control.sock").unlink()
        player.wait_for_its_socket()
        assert ask(tmp_path, "next")["code"] == 0


def test_who_has_nobody_to_answer_looks_at_its_socket_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every RENEW_S; and with a client, as soon as that is late: the end, or a line, wakes it at once."""
    waits: queue.Queue[float] = queue.Queue()

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            waits.put(timeout or 0.0)
            return super().select(timeout)

    monkeypatch.setattr(selectors, "DefaultSelector", Selector)
    with Player(tmp_path) as player:
        assert RENEW_S - 1.0 < waits.get(timeout=20) <= RENEW_S
        with player.connect():
            assert PATIENCE_S - 1.0 < waits.get(timeout=20) <= PATIENCE_S
            assert waits.empty()


def test_a_read_only_folder_keeps_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder has become so by the end: that is no failure of the thread, and the next player replaces it."""
    unlink = Path.unlink

    def refused(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "control.sock":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        unlink(path, missing_ok=missing_ok)

    failed: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: failed.append(told.exc_value))
    monkeypatch.setattr(Path, "unlink", refused)
    with Player(tmp_path):
        pass
    assert failed == []
    assert [path.name for path in tmp_path.iterdir()] == ["control.sock"]


@given(st.lists(st.binary(max_size=300), max_size=5), st.booleans())
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_player_answers_and_goes_on(player: Player, parts: list[bytes], ends: bool) -> None:
    """Bytes of any kind, in any pieces: one reply or a closed connection, and the next command is obeyed."""
    with player.connect() as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if ends:
                connection.sendall(b"\n")
            connection.shutdown(socket.SHUT_WR)
            assert reply_on(connection)["code"] in (0, 1, 2)
        except (BrokenPipeError, ConnectionResetError):
            pass
    before = len(player.obeyed)
    assert ask(player.folder, "next")["code"] == 0
    assert len(player.obeyed) == before + 1
