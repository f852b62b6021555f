"""The check: whatever is broken becomes a line with the remedy, and the exit code tells."""

from __future__ import annotations

import ast
import errno
import functools
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.cells import cell_len

import app
import config
from ace_client import AceClient
from base.errors import ConfigError, JobStalled, LibVlcMissing
from base.texts import said as text_of
from base.texts import texts
from config import Settings
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import Reply, Request, text, wrapped
from doubles.printed import printed
from doubles.scripted_server import ScriptedServer, scripted_ingest
from doubles.simulated_time import FakeClock
from listening.sound_room import APP, SoundRoom, is_usable
from modes import check as check_mode
from modes import server_check
from modes.check import SILENCE_S, terminal
from modes.report import SUBJECTS
from modes.server_check import Bench
from music.segment import Recipe
from music.stations import builtin_stations
from output.sound_server import SETTLE_S, Hearing, Traits
from screen.printing import Lines
from spool.folders import FolderLock

PROTOTYPE = Path(check_mode.__file__).parent
NOWHERE = "http://127.0.0.1:9"
LANGUAGES = ("en", "ja")
Disk = namedtuple("Disk", "total used free")
Check = Callable[..., tuple[int, str]]


@dataclass
class Machine:
    """What libVLC and its sound device are like; an exception is raised, None is no answer."""

    version: str | Exception = "3.0.21"
    complaint: str | None = ""


@pytest.fixture(autouse=True)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose levers a test may move; the real one for real-time tests."""
    fake = Machine()

    def version() -> str:
        if isinstance(fake.version, Exception):
            raise fake.version
        return fake.version

    if "realtime" not in request.keywords:
        monkeypatch.setattr(check_mode, "libvlc_version", version)
        monkeypatch.setattr(check_mode, "play_silence", lambda _clock, **_: fake.complaint)
    return fake


@pytest.fixture
def clock() -> FakeClock:
    """The time of the check and of the server."""
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeAcestep]:
    """A server that makes music in 0.3 of its length."""
    with FakeAcestep(now=clock.now, speed=0.3) as fake:
        yield fake


@pytest.fixture
def check(tmp_path: Path, clock: FakeClock) -> Check:
    """A function that runs the check with changed settings and returns its exit code and what it printed."""

    def run(url: str = NOWHERE, **changes: Any) -> tuple[int, str]:
        station = changes.pop("station", lambda: builtin_stations()[0])
        stream = changes.pop("stream", None)
        settings = replace(Settings(), acestep_api_url=url, **{"spool_dir": tmp_path / "spool", **changes})
        return printed(check_mode.check, settings, stream, choose=station, clock=clock)

    return run


def line(said: str, subject: str) -> str:
    """Return the line about a subject."""
    found = [one for one in said.splitlines() if one.split("  ")[1:2] == [subject] or f"  {subject}  " in one]
    assert len(found) == 1, said
    return found[0]


# All is well


def test_a_healthy_machine_is_well(check: Check, server: FakeAcestep) -> None:
    """Everything is ok, the speed is measured by one short job under the settings' conditions, the code is 0."""
    code, said = check(server.url)
    assert code == 0
    assert [one.split()[0] for one in said.splitlines() if "  " in one] == ["ok"] * 12
    assert "10 s of music in 3.0 s: 3.3× faster than it plays" in line(said, "speed")
    assert "acestep-v15-turbo" in line(said, "model")
    assert "can take minutes" in said
    assert said.endswith("all is well: make run plays\n")
    (job,) = server.submits
    assert (job["audio_duration"], job["thinking"], job["batch_size"]) == (10.0, True, 1)


def test_lines_stand_in_columns(check: Check, server: FakeAcestep) -> None:
    """In Japanese too, what is said begins in the same cell on every line."""
    said = check(server.url, lang="ja")[1]
    starts = set()
    for one in said.splitlines():
        parts = one.split("  ")
        if parts[0] == "OK":
            words = parts[-1].strip()
            starts.add(cell_len(one[: one.rindex(words)]))
    assert len(starts) == 1


def test_the_station_that_plays_is_asked_for(check: Check, server: FakeAcestep) -> None:
    """The short job has the mood's own conditions."""
    check(server.url, station=lambda: builtin_stations()[2])
    assert server.submits[0]["prompt"] == builtin_stations()[2].recipe(0, 10.0).prompt


# Settings


def test_warnings_of_env_are_warnings(check: Check) -> None:
    """A typo in .env is a warning beside the settings' own line."""
    code, said = check(engine="builtin", warnings=(text_of("env.near", where=".env", name="VOLUM", near="VOLUME"),))
    assert code == 0
    assert "warning" in next(one for one in said.splitlines() if "VOLUM" in one)
    assert "it will play, with 1 warning" in said


def test_a_wrong_station_is_a_problem(check: Check, server: FakeAcestep) -> None:
    """Faults of the stations' file are told one by one; without a station no job is asked for."""

    def faulty() -> Any:
        raise ConfigError([text_of("stations.unnamed", name=name, group="textures") for name in "xy"])

    code, said = check(server.url, station=faulty)
    assert code == 1
    assert said.count("problem  settings") == 2
    assert "2 problems: do" in said
    assert server.submits == []


@pytest.mark.parametrize(("language", "word"), [("C.UTF-8", "problem"), ("ja_JP.UTF-8", "問題")])
def test_settings_that_cannot_be_used_do_not_stop_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, word: str
) -> None:
    """With faulty settings each fault is a line, and what needs no setting is examined; the code is 1."""
    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    monkeypatch.setenv("LC_ALL", language)
    assert app.main(["--check", "--volume", "999", "--poll-interval-sec", "x"]) == 1
    said = capsys.readouterr().out
    assert said.count(f"{word}  ") == 2
    assert "999" in said
    assert "libVLC" in said


# Sound


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_libvlc_is_a_problem(check: Check, machine: Machine, language: str) -> None:
    """The package to install is named; the sound device waits for it."""
    machine.version = LibVlcMissing(text_of("vlc.missing", install="sudo apt-get install libvlc5"))
    code, said = check(engine="builtin", lang=language)
    assert code == 1
    assert "sudo apt-get install libvlc5" in line(said, "libVLC")


def test_a_libvlc_of_another_age_is_a_warning(check: Check, machine: Machine) -> None:
    """Version 4 may work."""
    machine.version = "4.0.0-dev"
    code, said = check(engine="builtin")
    assert code == 0
    assert line(said, "libVLC").startswith("warning")


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("no suitable output", "there is none (no suitable output): connect one"),
        ("%s: %s", "there is none: connect one"),
        (Hearing.NO_DEVICE.value, "there is none: connect one"),
        (None, "does not answer within 10 s: restart the sound server"),
    ],
)
def test_no_sound_device_is_a_problem(check: Check, machine: Machine, complaint: str | None, words: str) -> None:
    """Music that nobody can hear is a problem, whatever VLC says of it."""
    machine.complaint = complaint
    code, said = check(engine="builtin")
    assert code == 1
    assert words in line(said, "sound device")


def test_a_device_that_is_not_used_is_not_tried(
    check: Check, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AUDIO_OUTPUT=none there need be none; that VLC can play at all is tried on its dummy."""
    tried = []

    def play_silence(_clock: object, *, real_device: bool) -> str:
        tried.append(real_device)
        return ""

    monkeypatch.setattr(check_mode, "play_silence", play_silence)
    code, said = check(engine="builtin", audio_output="none")
    assert (code, tried) == (0, [False])
    assert "AUDIO_OUTPUT=none" in line(said, "sound device")
    monkeypatch.setattr(check_mode, "play_silence", lambda _clock, **_: "nothing was played")
    code, said = check(engine="builtin", audio_output="none")
    assert code == 1
    assert "install its plugins anew" in line(said, "libVLC")


# Server


@pytest.mark.parametrize(("engine", "level", "code"), [("auto", "warning", 0), ("acestep", "problem", 1)])
def test_no_server(check: Check, engine: str, level: str, code: int) -> None:
    """Without a server the built-in engine plays: a warning; where acestep-api is forced, it is a problem."""
    ended, said = check(engine=engine)
    assert ended == code
    assert line(said, "server").startswith(level)
    assert "start it with `acestep-api`" in line(said, "server")


def test_the_builtin_engine_needs_no_server(check: Check, server: FakeAcestep) -> None:
    """With ENGINE=builtin no server is asked anything."""
    assert check(server.url, engine="builtin")[0] == 0
    assert server.requests == []


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_refused_key_is_a_problem_and_no_job_is_sent(check: Check, server: FakeAcestep, key: str) -> None:
    """A missing or wrong key is found by a route that wants one; the key itself is not printed."""
    server.api_key = "the-key"
    code, said = check(server.url, acestep_api_key=key)
    assert code == 1
    assert "ACESTEP_API_KEY" in line(said, "server's key")
    assert server.submits == []
    assert "wrong" not in said


def test_an_accepted_key(check: Check, server: FakeAcestep) -> None:
    """The right key is said to be accepted."""
    server.api_key = "the-key"
    code, said = check(server.url, acestep_api_key="the-key")
    assert code == 0
    assert line(said, "server's key").endswith("accepted")


# The job


def test_a_language_model_that_fails_is_a_warning(check: Check, server: FakeAcestep) -> None:
    """Where jobs fail with the language model they are tried without, and it is said what that means."""
    server.lm_init_fails = True
    code, said = check(server.url)
    assert code == 0
    assert [job["thinking"] for job in server.submits] == [True, False]
    assert line(said, "language model").startswith("warning")
    assert "5Hz LM init failed" in line(said, "language model")
    assert "THINKING=false" in line(said, "language model")


def test_without_thinking_the_language_model_is_not_used(check: Check, server: FakeAcestep) -> None:
    """THINKING=false asks once, without."""
    said = check(server.url, thinking=False)[1]
    assert [job["thinking"] for job in server.submits] == [False]
    assert "THINKING=false" in line(said, "language model")


@pytest.mark.parametrize("fate", ["fail", "no-file"])
def test_jobs_that_fail_are_a_problem(check: Check, server: FakeAcestep, fate: str) -> None:
    """When it fails both ways the server makes no music."""
    server.plan(fate, fate)
    code, said = check(server.url)
    assert code == 1
    assert "makes no music" in line(said, "model")


@pytest.mark.parametrize("kind", ["silent", "nan", "short", "empty", "garbage", "truncated", "web-page"])
def test_music_that_is_none_is_a_problem(
    check: Check, server: FakeAcestep, kind: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What the server made is listened to as in playing; nothing of it stays on the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.plan(kind)
    code, said = check(server.url)
    assert code == 1
    assert line(said, "model").startswith("problem")
    assert not list(tmp_path.rglob("check-*"))


def test_slow_generation_is_a_warning(check: Check, server: FakeAcestep) -> None:
    """Slower than playback: it plays, with earlier pieces in between."""
    server.speed = 2.5
    code, said = check(server.url)
    assert code == 0
    assert line(said, "speed").startswith("warning")
    assert "2.5× slower than it plays" in line(said, "speed")


@pytest.mark.parametrize("newer", [True, False])
def test_a_busy_server_is_not_called_slow(check: Check, server: FakeAcestep, newer: bool) -> None:
    """Time behind other jobs is not counted; where the server does not tell it, that is said instead of "slow"."""
    server.speed, server.newer = 0.6, newer
    for _ in range(3):
        server.answer(Request("POST", "/release_task", {}, {}, {"audio_duration": 30, "batch_size": 1}))
    code, said = check(server.url)
    assert code == 0
    assert line(said, "speed").startswith("ok")
    assert bool(re.search(r"1\.[56]× faster", said)) is newer
    assert ("while the server had other jobs" in said) is not newer


def test_a_job_that_hangs_ends_the_wait(check: Check, server: FakeAcestep, clock: FakeClock) -> None:
    """The wait is bounded by the deadline of a first job."""
    server.plan("hang")
    code, said = check(server.url, first_job_timeout_sec=90.0)
    assert code == 1
    assert "no music after 90 s" in line(said, "model")
    assert clock.time_s <= 91


def test_a_lost_job_is_a_problem(check: Check, server: FakeAcestep, clock: FakeClock) -> None:
    """A server that restarts in the middle is found out at once."""
    clock.at(1.2, server.restart)
    server.newer = False
    code, said = check(server.url)
    assert code == 1
    assert "was it restarted?" in line(said, "model")
    assert clock.time_s < 5


def test_a_few_failed_polls_do_no_harm(check: Check, server: FakeAcestep, clock: FakeClock) -> None:
    """A poll that fails means nothing for the job, however often it happens; too many in a row do."""
    server.speed = 0.8
    for at_s in (0.1, 2.6, 5.1):
        clock.at(at_s, lambda: server.answer_next(text(502, "Bad Gateway"), 4, "/query_result"))
    assert check(server.url)[0] == 0
    server.answer_next(text(502, "Bad Gateway"), 6, "/query_result")  # one of them while it is looked at
    assert check(server.url)[0] == 1


NONSENSE = [None, 5, "x", [], {}, [None], {"status": 7}, [{"task_id": None, "result": "}"}], {"models": 3}]
REPLIES = (*map(wrapped, NONSENSE), text(200, "<html>"), text(200, "{"), text(500, "oops"), text(404, ""))


@pytest.mark.parametrize("reply", REPLIES, ids=[*map(repr, NONSENSE), "a page", "cut off", "status 500", "status 404"])
def test_replies_that_make_no_sense_are_lines(check: Check, server: FakeAcestep, reply: Reply) -> None:
    """Whatever a route answers, the check ends with lines and an exit code."""
    for route in ("/health", "/v1/stats", "/v1/models", "/release_task", "/query_result", "/v1/audio"):
        server.answer_next(reply, 9, route)
        code, said = check(server.url, first_job_timeout_sec=60.0)
        assert code in (0, 1)
        assert "settings" in said
        server._faults.clear()


def test_the_servers_words_cannot_reach_the_terminal(check: Check, server: FakeAcestep) -> None:
    """Escape sequences in what the server says are not printed."""
    server.answer_next(text(503, "\x1b]0;hello\x07"), 9, "/release_task")
    server.reply_filter = lambda request, data: (
        {"models": [{"name": "\x1b[31mred"}]} if request.route == "/v1/models" else data
    )
    assert "\x1b" not in check(server.url)[1]
    server._faults.clear()
    assert "\x1b" not in check(server.url)[1]


# Spool, disk, terminal


def test_a_running_player_is_named(check: Check, tmp_path: Path) -> None:
    """The check works beside a player, says whose the spool is, and leaves its lock alone."""
    (tmp_path / "spool" / "incoming").mkdir(parents=True)
    lock = FolderLock(tmp_path / "spool")
    lock.take()
    code, said = check(engine="builtin")
    assert code == 0
    assert re.search(rf"^warning +spool +process {os.getpid()} already plays", said, re.MULTILINE)
    assert "can be written to" in said
    lock.release()
    assert "already plays" not in check(engine="builtin")[1]
    lock.take()  # the check has given it back
    lock.release()
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []


def test_the_check_makes_no_spool(check: Check, tmp_path: Path) -> None:
    """A spool that is not there yet is not made, only tried for."""
    assert "can be made" in line(check(engine="builtin")[1], "spool")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place where nobody can write: /proc")
def test_a_spool_that_cannot_be_written_is_a_problem(check: Check) -> None:
    """A folder that takes no files is named, with the remedy."""
    code, said = check(engine="builtin", spool_dir=Path("/proc/nowhere/spool"))
    assert code == 1
    assert "or set SPOOL_DIR to another folder" in line(said, "spool")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_matter_of_rights(check: Check, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Where there is no room, room is the remedy."""

    def full(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    code, said = check(engine="builtin")
    assert code == 1
    assert "free some space" in line(said, "spool")
    assert "owner" not in line(said, "spool")


@pytest.mark.parametrize(
    ("free_bytes", "level", "code"), [(1e6, "problem", 1), (5e8, "warning", 0), (1.3824e9, "ok", 0)]
)
def test_the_room_on_the_disk(
    check: Check, monkeypatch: pytest.MonkeyPatch, free_bytes: float, level: str, code: int
) -> None:
    """Free space is told in hours of music: 0.69 GB each."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, free_bytes))
    ended, said = check(engine="builtin")
    assert ended == code
    assert line(said, "disk").startswith(level)
    if level == "ok":
        assert "1.4 GB free: room for 2.0 h" in said


class Terminal(io.StringIO):
    """Stands for a terminal of an encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("term", "size", "encoding", "words"),
    [
        ("xterm", (80, 24), "utf-8", "ok        terminal      80 × 24, UTF-8"),
        ("dumb", (80, 24), "utf-8", "TERM=dumb cannot be drawn on"),
        ("xterm", (59, 24), "utf-8", "59 × 24 is small: make the window at least 60 × 16"),
        ("xterm", (80, 15), "utf-8", "80 × 15 is small"),
        ("xterm", (80, 24), "ANSI_X3.4-1968", "set LANG to a name that ends in .UTF-8"),
    ],
)
def test_the_terminal(
    monkeypatch: pytest.MonkeyPatch, term: str, size: tuple[int, int], encoding: str, words: str
) -> None:
    """What the dashboard would not look right on is told, each with its remedy."""
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size(size))
    found = list(terminal(Terminal(), Terminal(encoding), term))
    assert len(found) == 1
    assert words.split("  ")[-1].strip() in str(found[0].said)
    assert (found[0].level == "ok") == words.startswith("ok")


def test_no_terminal_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe as output is fine; a pipe or nothing as input costs the keys."""
    assert [one.said.key for one in terminal(io.StringIO(), io.StringIO(), "")] == ["check.terminal.none"]
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    for stdin in (io.StringIO(), None):
        assert [one.said.key for one in terminal(stdin, Terminal(), "xterm")] == ["check.terminal.no_keys"]


# How it is printed


@pytest.mark.parametrize("no_color", [False, True])
def test_colour_is_for_terminals_that_want_it(
    check: Check, monkeypatch: pytest.MonkeyPatch, server: FakeAcestep, no_color: bool
) -> None:
    """On a terminal the words are coloured, unless NO_COLOR is set; while a job runs, the time is shown."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    said = check(server.url, stream=Terminal())[1]
    assert ("\x1b[32mok" in said) is not no_color
    assert "waiting for music: 2.0 s\r\x1b[K" in said


@pytest.mark.parametrize("volume", ["9", "999"])
def test_ctrl_c_ends_it_quietly(
    volume: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted, with faulty settings too, the program ends with 130 and without a traceback."""

    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "DOTENV_PATH", tmp_path / ".env")
    monkeypatch.setattr(check_mode, "play_silence", interrupted)
    assert app.main(["--check", "--engine", "builtin", "--spool-dir", str(tmp_path), "--volume", volume]) == 130
    assert capsys.readouterr().err == ""


def test_everything_found_has_a_text() -> None:
    """Each text of the check is used, each one used is written down, and what is found gives the fields it takes."""
    used = set()
    for path in (PROTOTYPE / name for name in ("check.py", "server_check.py", "report.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("check."):
                used.add(node.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "found":
                fields = {keyword.arg: "" for keyword in node.keywords if keyword.arg}
                literals = [one.value for one in node.args if isinstance(one, ast.Constant)]
                for key in literals[-1:] if all(keyword.arg for keyword in node.keywords) else []:
                    if str(key).startswith("check."):
                        texts("en")[str(key)].format(**fields)
    assert used == {key for key in texts("en") if key.startswith("check.")}
    assert all(f"ui.check.{subject}" in texts("en") for subject in SUBJECTS)


# For real


def for_real(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run the program itself with no server."""
    environment = environment | {"ACESTEP_API_URL": NOWHERE, "PULSE_LOG": "0"}
    done = subprocess.run(
        [sys.executable, str(APP), "--check", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_trial_begins_when_the_device_is_near_and_at_its_own_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server tells the one, and may remember a 0 of a player that was muted, which would be called a mute."""
    clock, told = FakeClock(step_s=0.1), list[tuple[str, float]]()
    trial = check_mode._Trial(clock, real_device=True)
    not_open = [True, True]

    def audio_set_volume(percent: int) -> int:
        if not_open:
            return -int(not_open.pop())
        told.append((f"volume {percent}", clock.time_s))
        return 0

    trial._player = SimpleNamespace(audio_set_volume=audio_set_volume)
    vars(trial).update(_open=lambda: None, end=lambda: None, _played_buffers=lambda: bool(told))

    def play() -> None:
        trial._settled = threading.Event()
        trial._do(functools.partial(trial._begin_stream, trial._settled, Traits(has_volumes=True, keeps_by_role=True)))

    def looked() -> Hearing:
        told.append(("looked", clock.time_s))
        return Hearing.PLAYS

    vars(trial)["_play"] = play
    monkeypatch.setattr(check_mode, "look_once", looked)
    assert trial.listen() == ""
    assert [name for name, _ in told] == ["volume 100", "looked"]
    assert told[0][1] < SILENCE_S < told[1][1] < SILENCE_S + SETTLE_S


@pytest.mark.realtime
def test_a_real_sound_device_is_found(tmp_path: Path) -> None:
    """With a sound server that has a sink, silence is played on it."""
    if not is_usable():
        pytest.skip("pulseaudio is not installed")
    with SoundRoom() as room:
        code, said = for_real(room.environment, "--spool-dir", str(tmp_path))
    assert code == 0
    assert line(said, "sound device").startswith("ok")


@pytest.mark.realtime
def test_a_machine_without_sound_is_found_out(tmp_path: Path) -> None:
    """With no sound server and no card, it is said that there is no device, and nothing else is printed."""
    if Path("/dev/snd").exists():
        pytest.skip("this machine has a sound card")
    code, said = for_real(os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": ""})
    assert code == 1
    assert line(said, "sound device").startswith("problem")


@pytest.mark.realtime
def test_what_needs_no_sound_device_is_not_told_to_have_none(tmp_path: Path) -> None:
    """With AUDIO_OUTPUT=none, what VLC has against the devices it tried by itself is nothing against VLC."""
    silent = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": "", "AUDIO_OUTPUT": "none"}
    code, said = for_real(silent, "--spool-dir", str(tmp_path))
    assert code == 0
    assert line(said, "libVLC").startswith("ok")


@pytest.mark.realtime
def test_a_sound_server_that_hangs_does_not_hold_the_check(tmp_path: Path) -> None:
    """A sound server that takes the connection and says nothing costs ten seconds, and the program still ends."""
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "native"))
        dead.listen()
        code, said = for_real(os.environ | {"PULSE_SERVER": f"unix:{tmp_path}/native"}, "--spool-dir", str(tmp_path))
    assert code == 1
    assert line(said, "sound device").startswith("problem")


@pytest.mark.realtime
def test_a_libvlc_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    """A wrong library path is told with the package to install."""
    code, said = for_real(os.environ | {"PYTHON_VLC_LIB_PATH": str(tmp_path / "libvlc.so")})
    assert code == 1
    assert line(said, "libVLC").startswith("problem")


def test_a_server_that_is_deaf_while_it_loads_is_waited_for(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that may have arrived is asked for once more, as the server answers again; polls in vain mean nothing."""
    monkeypatch.setattr(server_check, "ingest", scripted_ingest)
    never = threading.Event()
    deaf = ScriptedServer(clock.now, wait=lambda seconds: clock.wait(never, seconds), deaf_s=30.0, deaf_until_s=150.0)
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    bench = Bench(Settings(), cast("AceClient", deaf), clock, Lines(screen, "en"))
    made = bench.run(Recipe("lofi", "calm", 10.0), thinking=True)
    assert made.made_s == 10.0
    assert len(deaf.asked) == 2
    assert screen.getvalue().count("waiting for music") > 4, "nothing is said for minutes"
    deaf.deaf_until_s = 1e9
    with pytest.raises(JobStalled):
        bench.run(Recipe("lofi", "calm", 10.0), thinking=True)


@pytest.mark.parametrize(
    ("complaint", "words"),
    [("stream muted", "mutes this program"), ("device muted", "is muted"), ("suspended", "is suspended")],
)
def test_a_muted_sound_is_a_problem_of_its_own(check: Check, machine: Machine, complaint: str, words: str) -> None:
    """What the sound server mutes is said, with where to turn it on; it is not "none"."""
    machine.complaint = complaint
    code, said = check(engine="builtin")
    assert code == 1
    assert words in line(said, "sound device")
    assert "there is none" not in said
