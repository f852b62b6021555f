"""`--serve`: the right start for each machine, patience with a server that works, none with one that hangs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

import config
from ace_client import AceClient, ServerStats
from base.errors import ServerError, ServerNonsense, ServerRefused, ServerUnreachable
from base.process import ENDING
from base.texts import Said, said
from base.workers import Worker
from config import Settings
from doubles import genuine_acestep
from doubles.genuine_acestep import free_port
from doubles.simulated_time import FakeClock
from listening.sound_room import wait_until
from modes import serve, server_plan
from modes.serve import Keeper, Patience, end_group, in_the_way, rotate
from modes.server_plan import SMALL_CARD, Card, Plan, cards, chosen_card, find_folder, planned
from music.segment import Recipe
from spool.state_files import KeeperFile, is_kept

BIG, SMALL = Card(0, "GPU-aa", "RTX 3090", 24_576), Card(1, "GPU-bb", "RTX 3070", 8_192)
FIRST_S, JOB_S = 1200.0, 300.0


def settings_of(tmp_path: Path, **environ: str) -> Settings:
    """Return settings as they are read from an environment."""
    return config.load([], {"SPOOL_DIR": str(tmp_path / "spool"), **environ}, tmp_path / ".env")


# --- the plan -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory_mib", "small"),
    [(6_144, True), (8_192, True), (10_240, True), (11_264, False), (12_288, False), (24_576, False)],
)
def test_a_small_card_gets_what_it_needs(tmp_path: Path, memory_mib: int, small: bool) -> None:
    """Cards of 8 and 10 GB move the model out and load no language model; larger ones are left alone; both are said."""
    plan = planned(settings_of(tmp_path), "uv", tmp_path, [Card(0, "GPU-aa", "A", memory_mib)], {})
    assert {name: plan.variables.get(name) for name in SMALL_CARD} == (
        SMALL_CARD if small else dict.fromkeys(SMALL_CARD)
    )
    ids = [text_id for text_id, _ in plan.reasons]
    assert ("serve.small_card" in ids, "serve.thinking" in ids, "serve.card" in ids) == (small, small, not small)


def test_the_settings_reach_the_server_and_the_key_no_command_line(tmp_path: Path) -> None:
    """Address, language model and backend; the key only in the environment, which other users cannot read."""
    settings = settings_of(
        tmp_path, LM_BACKEND="pt", ACESTEP_API_KEY="secret-key", ACESTEP_API_URL="http://127.0.0.1:8123"
    )
    plan = planned(settings, "/bin/uv", tmp_path, [], {"PATH": "/bin"})
    assert plan.command == ("/bin/uv", "run", "acestep-api", "--host", "127.0.0.1", "--port", "8123")
    assert plan.variables["ACESTEP_LM_BACKEND"] == "pt"
    assert plan.variables["ACESTEP_LM_MODEL_PATH"] == settings.lm_model_path
    assert plan.variables["ACESTEP_API_KEY"] == "secret-key"
    assert plan.variables["PATH"] == "/bin"


def test_what_a_person_set_for_the_server_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment goes before the files, all of them before our choice; settings of ours that were chosen win."""
    monkeypatch.setattr(server_plan, "DOTENV_PATH", tmp_path / "ours")
    (tmp_path / "ours").write_text("ACESTEP_CONFIG_PATH=acestep-v15-xl-turbo\n")
    (tmp_path / ".env").write_text(
        "ACESTEP_INIT_LLM=true\nACESTEP_LM_BACKEND=mlx\nACESTEP_OFFLOAD_TO_CPU=false\nHOME=x\n"
    )
    environ = {"ACESTEP_OFFLOAD_TO_CPU": "true", "HOME": "/home/me"}
    settings = config.load(["--spool-dir", str(tmp_path / "s")], {}, tmp_path / "none")
    plan = planned(settings, "uv", tmp_path, [SMALL], environ)
    assert (plan.variables["ACESTEP_INIT_LLM"], plan.variables["ACESTEP_LM_BACKEND"]) == ("true", "mlx")
    assert (plan.variables["ACESTEP_OFFLOAD_TO_CPU"], plan.variables["HOME"]) == ("true", "/home/me")
    assert plan.variables["ACESTEP_CONFIG_PATH"] == "acestep-v15-xl-turbo"
    assert said("serve.kept", names="ACESTEP_INIT_LLM=true") in plan.reasons
    chosen = config.load(["--lm-backend", "pt"], {}, tmp_path / "none")
    assert planned(chosen, "uv", tmp_path, [SMALL], environ).variables["ACESTEP_LM_BACKEND"] == "pt"


def test_what_is_only_for_this_program_stays_with_it(tmp_path: Path) -> None:
    """The Makefile's search path, and the one thread that numpy has here."""
    environ = {"PYTHONPATH": "prototype", "VIRTUAL_ENV": "x", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "8"}
    variables = planned(settings_of(tmp_path), "uv", tmp_path, [], environ).variables
    assert {name for name in environ if name in variables} == {"MKL_NUM_THREADS"}


@pytest.mark.parametrize(
    ("visible", "card", "added"),
    [
        (None, BIG, {"CUDA_VISIBLE_DEVICES": "GPU-aa"}),
        ("1", SMALL, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        ("1,0", SMALL, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        ("GPU-b", SMALL, {}),
        ("", None, {}),
        ("-1", None, {}),
        ("7", None, {}),
        ("MIG-x", None, {}),
    ],
)
def test_of_several_cards_the_one_that_is_used_counts(
    visible: str | None, card: Card | None, added: Mapping[str, str]
) -> None:
    """The largest, unless a person chose; not the memory of a card that the server cannot see."""
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert chosen_card([SMALL, BIG], environ) == (card, added)


def test_one_card_needs_no_choice() -> None:
    """Nor does none."""
    assert chosen_card([SMALL], {}) == (SMALL, {})
    assert chosen_card([], {}) == (None, {})


def program(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '0, GPU-aa, NVIDIA, Inc. X, 8192'", []),
        ("echo '0, GPU-aa, RTX 3070, 8192'; echo '1, GPU-bb, GB10, [N/A]'", [Card(0, "GPU-aa", "RTX 3070", 8192)]),
        ("echo 'NVIDIA-SMI has failed'; exit 9", []),
        ("printf '\\377'", []),
    ],
)
def test_nvidia_smi_is_believed_where_it_makes_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: list[Card]
) -> None:
    """A driver that fails, memory that it does not know, bytes that are no text: as if there were no such card."""
    program(tmp_path / "nvidia-smi", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert cards() == found


def test_the_folder_is_the_chosen_one_else_beside_or_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was chosen and is none is not replaced by another."""
    monkeypatch.setattr(server_plan, "PROJECT_ROOT", tmp_path / "project")
    assert find_folder(None) is None
    for folder in (tmp_path / "project" / "ACE-Step-1.5", tmp_path / "ACE-Step-1.5"):
        (folder / "acestep").mkdir(parents=True)
        (folder / "pyproject.toml").touch()
        assert find_folder(None) == folder
    (tmp_path / "other").mkdir()
    assert find_folder(tmp_path / "other") is None
    assert find_folder(tmp_path / ("x" * 300)) is None  # nor can be looked into


# --- what keeps us from it ------------------------------------------------------------------------------------------


class FakeServer:
    """A server that answers what it is told: an error, or counts."""

    def __init__(self, health: ServerError | None = None, stats: ServerStats | ServerError | None = None) -> None:
        self.health_error = health
        self.counts = stats or ServerStats()

    def health(self) -> None:
        if self.health_error:
            raise self.health_error

    def stats(self) -> ServerStats:
        if isinstance(self.counts, ServerError):
            raise self.counts
        return self.counts


AWAY = ServerUnreachable("away")


def obstacles(settings: Settings, server: FakeServer, folder: Path | None, uv: str | None) -> list[str]:
    """Return the ids of what is said."""
    settings.spool_dir.mkdir(exist_ok=True)
    file = KeeperFile(settings.spool_dir, settings.acestep_api_url)
    try:
        return [text_id for text_id, _ in in_the_way(settings, cast("AceClient", server), file, folder, uv)]
    finally:
        file.release()


def test_each_obstacle_is_named(tmp_path: Path) -> None:
    """No folder and no uv together; a server that answers, another program, another machine: before all else."""
    free = settings_of(tmp_path, ACESTEP_API_URL=f"http://127.0.0.1:{free_port()}")
    assert obstacles(free, FakeServer(AWAY), tmp_path, "uv") == []
    assert obstacles(free, FakeServer(AWAY), None, None) == ["serve.no_folder", "serve.no_uv"]
    assert obstacles(free, FakeServer(), None, None) == ["serve.answers_already"]
    for error in (ServerNonsense("a page"), ServerRefused("no", status=404)):
        assert obstacles(free, FakeServer(error), tmp_path, "uv") == ["serve.port_taken"]
    elsewhere = settings_of(tmp_path, ACESTEP_API_URL="http://192.0.2.1:8001")
    assert obstacles(elsewhere, FakeServer(), tmp_path, "uv") == ["serve.elsewhere"]
    nowhere = settings_of(tmp_path, ACESTEP_API_URL="http://gpu.invalid:8001")
    assert obstacles(nowhere, FakeServer(AWAY), tmp_path, "uv") == ["serve.elsewhere"]
    for url in ("https://127.0.0.1:8001", "http://127.0.0.1:8001/music"):
        assert obstacles(settings_of(tmp_path, ACESTEP_API_URL=url), FakeServer(), tmp_path, "uv") == ["serve.address"]


def test_a_port_that_something_silent_holds_is_taken(tmp_path: Path) -> None:
    """It need not speak HTTP, nor answer at all."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = settings_of(tmp_path, ACESTEP_API_URL=f"http://127.0.0.1:{other.getsockname()[1]}")
        assert obstacles(settings, FakeServer(AWAY), tmp_path, "uv") == ["serve.port_taken"]


def test_a_second_keeper_of_the_port_does_nothing(tmp_path: Path) -> None:
    """Also while the first one's server still loads, and nothing listens."""
    settings = settings_of(tmp_path, ACESTEP_API_URL=f"http://127.0.0.1:{free_port()}")
    settings.spool_dir.mkdir()
    first = KeeperFile(settings.spool_dir, settings.acestep_api_url)
    assert first.take()
    assert obstacles(settings, FakeServer(AWAY), tmp_path, "uv") == ["serve.kept_already"]
    first.release()
    assert obstacles(settings, FakeServer(AWAY), tmp_path, "uv") == []


def test_the_player_knows_of_a_living_keeper(tmp_path: Path) -> None:
    """What one that was killed has left is nothing; nor is one of another port or machine."""
    url = "http://127.0.0.1:8001"
    file = KeeperFile(tmp_path, url)
    assert not is_kept(tmp_path, url)
    assert file.take()
    assert is_kept(tmp_path, url)
    assert not is_kept(tmp_path, "http://127.0.0.1:8002")
    assert not is_kept(tmp_path, "http://192.0.2.1:8001")
    file.release()
    assert not is_kept(tmp_path, url)


# --- patience -------------------------------------------------------------------------------------------------------


def watched(looks: list[tuple[float, ServerStats | None]]) -> float | None:
    """Return the time of the look at which the server was given up, None if it never was."""
    patience = Patience(FIRST_S, JOB_S, 0.0)
    for now, stats in looks:
        if patience.hung_s(stats is not None, stats, now) is not None:
            return now
    return None


def every(
    step_s: float, end_s: float, at: Callable[[float], ServerStats | None]
) -> list[tuple[float, ServerStats | None]]:
    """Return looks in equal distances."""
    return [(step * step_s, at(step * step_s)) for step in range(int(end_s / step_s))]


def test_a_server_that_never_answered_is_waited_for() -> None:
    """It may fetch its models for hours."""
    assert watched(every(2.0, 20_000.0, lambda now: None)) is None


def test_a_job_that_hangs_while_others_wait_is_too_much() -> None:
    """After as long as a job may take; the first one, for which the models load, may take longer."""
    hung = ServerStats(running=1, queue_size=1, succeeded=3, failed=0)
    assert watched(every(2.0, 2_000.0, lambda now: hung)) == JOB_S + 2
    first = dataclasses.replace(hung, succeeded=0, failed=2)
    assert watched(every(2.0, 2_000.0, lambda now: first)) == FIRST_S + 2


def test_a_job_that_nobody_waits_behind_may_run() -> None:
    """But the time it has run counts as soon as another one waits."""
    alone = ServerStats(running=1, queue_size=0, succeeded=3)
    waiting = dataclasses.replace(alone, queue_size=1)
    assert watched(every(2.0, 2_000.0, lambda now: alone)) is None
    assert watched(every(2.0, 2_000.0, lambda now: alone if now < 900 else waiting)) == 900


def test_slow_jobs_are_no_hang() -> None:
    """With a full queue for days: each of them ends in time; that old ones are forgotten is no sign of life."""
    slow = watched(every(10.0, 200_000.0, lambda now: ServerStats(running=1, queue_size=5, succeeded=int(now // 290))))
    assert slow is None
    forgetting = every(10.0, 2_000.0, lambda now: ServerStats(running=1, queue_size=5, succeeded=900 - int(now // 20)))
    assert watched(forgetting) == 310


def test_an_idle_server_is_no_hang() -> None:
    """Nor does its idle time count against the next job."""
    idle, busy = ServerStats(running=0, queue_size=0, succeeded=3), ServerStats(running=1, queue_size=1, succeeded=3)
    assert watched(every(10.0, 5_200.0, lambda now: idle if now < 5_000 else busy)) is None


def test_a_deaf_server_is_ended_after_the_longest_job() -> None:
    """It may be deaf while it works."""
    up = ServerStats(running=1, queue_size=0)
    assert watched(every(2.0, 5_000.0, lambda now: up if now < 100 else None)) == 98 + FIRST_S + 2


def test_a_server_that_tells_no_counts_is_never_judged_by_them() -> None:
    """Another version, or one whose key we lack: it answers, and that is all we know."""
    patience = Patience(FIRST_S, JOB_S, 0.0)
    assert all(patience.hung_s(True, None, float(now)) is None for now in range(0, 90_000, 60))


# --- the keeper -----------------------------------------------------------------------------------------------------


class Told:
    """What was said."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.fields: list[dict[str, object]] = []

    def tell(self, words: Said) -> None:
        self.ids.append(words.key)
        self.fields.append(dict(words.fields))

    def pauses(self) -> list[object]:
        """Return the seconds before each new start."""
        return [fields["seconds"] for key, fields in zip(self.ids, self.fields, strict=True) if key == "serve.again"]


class ProgramClock(FakeClock):
    """A clock that does not wait, but for a real program to do what it does at once."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        threading.Event().wait(0.005)
        return super().wait(event, timeout_s)


def keeper(tmp_path: Path, script: str, clock: Any, told: Told, server: FakeServer | None = None) -> Keeper:
    """Return a keeper of a program that is a line of sh."""
    settings = settings_of(tmp_path, ACESTEP_API_URL=f"http://127.0.0.1:{free_port()}")
    settings.spool_dir.mkdir()
    plan = Plan(tmp_path, ("/bin/sh", "-c", script), dict(os.environ), ())
    client = cast("AceClient", server or FakeServer(AWAY))
    return Keeper(plan, client, settings, clock, told.tell, threading.Event())


def lives(tmp_path: Path, script: str, hours: float, server: FakeServer | None = None) -> tuple[Told, FakeClock]:
    """Keep a program for some hours of a clock that does not wait, but for the program to end."""
    clock, told, stop = ProgramClock(), Told(), threading.Event()
    clock.at(hours * 3600, stop.set)
    keeper(tmp_path, script, clock, told, server).run(stop)
    return told, clock


def test_the_pauses_grow_and_have_a_limit(tmp_path: Path) -> None:
    """A server that never comes up is tried again for ever, without haste, and its last words are told."""
    told, _ = lives(tmp_path, "echo no such model; exit 3", 0.1)
    assert told.pauses()[:8] == ["1", "2", "4", "8", "16", "32", "60", "60"]
    assert told.fields[told.ids.index("serve.load_failed")] == {"code": 3, "words": "no such model"}


def test_a_server_that_made_music_comes_back_at_once(tmp_path: Path) -> None:
    """However often it ends: those on small cards do after some jobs."""
    told, _ = lives(tmp_path, "sleep 0.2; exit 1", 0.1, FakeServer(stats=ServerStats(succeeded=4, running=0)))
    assert set(told.pauses()) == {"1"}
    assert told.ids.count("serve.up") > 2


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'torch.OutOfMemoryError: CUDA out of memory. Tried'; exit 1", "serve.card_full"),
        ("kill -9 $$", "serve.killed"),
        ("exit 137", "serve.killed"),
        ("exit 0", "serve.died"),
    ],
)
def test_why_it_ended_is_said(tmp_path: Path, script: str, said: str) -> None:
    """As far as its exit code and its last words show it."""
    assert lives(tmp_path, script, 0.002)[0].ids[0] == said


def test_after_the_card_was_full_it_is_used_with_care(tmp_path: Path) -> None:
    """The next start has all that saves its memory."""
    script = 'echo "offload $ACESTEP_OFFLOAD_DIT_TO_CPU"; echo "CUDA out of memory"; exit 1'
    lives(tmp_path, script, 0.01)
    words = (tmp_path / "spool" / "acestep-api.log").read_text().splitlines()
    assert words[0::2][:2] == ["offload ", "offload true"]


def test_a_hung_server_is_ended_and_started_again(tmp_path: Path) -> None:
    """It, and all that it started."""
    hung = FakeServer(stats=ServerStats(running=1, queue_size=2, succeeded=1))
    told, _ = lives(tmp_path, "sleep 1000 & echo $!; wait", 0.2, hung)
    assert told.ids[:3] == ["serve.up", "serve.hung", "serve.again"]
    assert not any(_lives(int(pid)) for pid in (tmp_path / "spool" / "acestep-api.log").read_text().split())


def test_a_server_that_will_not_end_is_made_to(tmp_path: Path) -> None:
    """After a while, or at once in a hurry; neither what ignores the signal nor what outlives its parent is left."""
    script = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & while :; do sleep 0.1; done"
    for hurried in (True, False):
        process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
        threading.Event().wait(0.2)  # until it has set its trap
        hurry, clock = threading.Event(), ProgramClock()
        if hurried:
            hurry.set()
        end_group(process, hurry, clock)
        assert process.poll() == -signal.SIGKILL
        assert (clock.time_s < 1.0) == hurried


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is written to: the writer goes on at its new beginning."""
    monkeypatch.setattr(serve, "LOG_BYTES", 100)
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as sink:
        sink.write(b"x" * 99)
        rotate(path)
        assert path.stat().st_size == 99
        sink.write(b"y" * 99)
        rotate(path)
        sink.write(b"z")
    assert path.read_bytes() == b"z"
    assert (tmp_path / "a.log.1").stat().st_size == 198


# --- the whole, with the genuine server -----------------------------------------------------------------------------

FAKE_UV = """#!/bin/sh
# As uv does: run the program as a child, and wait for it.
[ "$1 $2 $3 $5" = "run acestep-api --host --port" ] || exit 2
[ -z "$ACESTEP_API_KEY" ] || case "$*" in *"$ACESTEP_API_KEY"*) exit 9;; esac
echo "$$" >> "$FAKE_UV_PIDS"
PYTHONPATH={path} {python} {stub} --port "$6" --root "$PWD" --speed 0.02 &
echo "$!" >> "$FAKE_UV_PIDS"
wait $!
"""


class Served:
    """`app.py --serve` with a uv that starts the stubbed server."""

    def __init__(self, tmp_path: Path) -> None:
        self.port = free_port()
        self.folder, self.spool, self.pids = tmp_path / "ACE-Step-1.5", tmp_path / "spool", tmp_path / "pids"
        (self.folder / "acestep").mkdir(parents=True)
        (self.folder / "pyproject.toml").touch()
        stub = Path(genuine_acestep.__file__)
        program(tmp_path / "bin" / "uv", FAKE_UV.format(path=stub.parents[1], python=sys.executable, stub=stub))
        self.client = AceClient(f"http://127.0.0.1:{self.port}", "the-key")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("ACESTEP", "SAGYO"))}
        self.environ = environ | {
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FAKE_UV_PIDS": str(self.pids),
            "ACESTEP_API_URL": f"http://127.0.0.1:{self.port}",
            "ACESTEP_API_KEY": "the-key",
            "ACESTEP_DIR": str(self.folder),
            "SPOOL_DIR": str(self.spool),
            "JOB_TIMEOUT_SEC": "10",
            "STALL_SEC": "5",
            "FIRST_JOB_TIMEOUT_SEC": "60",
            "UI_LANG": "en",
        }
        app = Path(config.__file__).with_name("app.py")
        self.command = [sys.executable, str(app), "--serve"]
        self.process = subprocess.Popen(
            self.command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def answers(self) -> bool:
        """Whether the server answers."""
        try:
            self.client.health()
        except ServerError:
            return False
        return True

    def living(self) -> list[int]:
        """Return which of the processes that were ever started still live."""
        pids = [int(pid) for pid in self.pids.read_text().split()] if self.pids.exists() else []
        return [pid for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    if Path("/proc/self/stat").exists():  # there `ps` may be missing
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return told.stdout[:1] not in ("", "Z")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A keeper with its server up; whatever is left of it is killed at the end."""
    if not genuine_acestep.is_installed():
        pytest.skip(genuine_acestep.MISSING)
    run = Served(tmp_path)
    try:
        assert wait_until(run.answers, 30.0)
        yield run
    finally:
        run.process.kill()
        run.process.communicate()
        for pid in run.living():
            os.kill(pid, signal.SIGKILL)


def stop_and_read(run: Served, number: signal.Signals = signal.SIGINT) -> str:
    """End the keeper with a signal; return what it printed."""
    run.process.send_signal(number)
    out, _ = run.process.communicate(timeout=30)
    return out.decode()


@pytest.mark.realtime
@pytest.mark.parametrize("number", ENDING)
def test_it_ends_by_any_signal_and_leaves_no_child(served: Served, number: signal.Signals) -> None:
    """With exit code 0; the player is told no longer that it comes back."""
    assert is_kept(served.spool, served.environ["ACESTEP_API_URL"])
    said = stop_and_read(served, number)
    assert served.process.returncode == 0
    assert "the server is ended" in said
    assert served.living() == []
    assert not is_kept(served.spool, served.environ["ACESTEP_API_URL"])


@pytest.mark.realtime
def test_a_second_one_does_nothing(served: Served) -> None:
    """It says so, and the first goes on."""
    second = subprocess.run(served.command, check=False, env=served.environ, capture_output=True, text=True, timeout=30)
    assert second.returncode == 2
    assert "already answers" in second.stdout
    assert served.answers()


@pytest.mark.realtime
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_and_hung_at_random_it_comes_back(served: Served, seed: int) -> None:
    """Server or starter killed, or its job hung with another behind it: after each a new one makes music."""
    chance = random.Random(seed)
    recipe = Recipe("lofi", "soft piano", 20.0)
    for round_ in range(1, 4):
        assert wait_until(served.answers, 30.0)
        served.client.submit(recipe)
        assert wait_until(lambda: bool(served.client.stats().succeeded), 20.0)
        if chance.random() < 0.5:
            os.kill(chance.choice(served.living()), signal.SIGKILL)
        else:
            _hang(served.port)
            for _ in range(2):
                served.client.submit(recipe)
        started = 2 * (round_ + 1)  # processes: a starter and a server each
        assert wait_until(lambda: len(served.pids.read_text().split()) >= started, 60.0)  # noqa: B023 (called now)
    assert wait_until(served.answers, 30.0)
    said = stop_and_read(served)
    assert said.count("it is started again") == 3
    assert served.living() == []


def _hang(port: int) -> None:
    """Let the next job of the stub hang."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/_stub", '{"plan": ["hang"]}')
    assert connection.getresponse().status == 200
    connection.close()


def test_a_worker_that_fails_leaves_no_process(tmp_path: Path) -> None:
    """Should the keeper itself make a mistake, its server ends and another one begins."""

    class Broken(FakeServer):
        def health(self) -> None:
            raise RuntimeError("a bug")

    told, stop, clock = Told(), threading.Event(), FakeClock()
    clock.at(60.0, stop.set)
    kept = keeper(tmp_path, "echo $$; sleep 1000", clock, told, Broken())
    Worker("keeper", kept.run, stop, clock, lambda _, error: told.tell(said("serve.failed", reason=error))).run()
    assert len(told.ids) > 1
    assert set(told.ids) == {"serve.failed"}
    assert not any(_lives(int(pid)) for pid in (tmp_path / "spool" / "acestep-api.log").read_text().split())
