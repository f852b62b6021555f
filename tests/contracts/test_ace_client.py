"""ace_client: one contract suite against FakeAcestep and the genuine server, and its traps against the fake."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pytest
import soundfile

from ace_client import AceClient, AudioFile, JobReport, JobState, ServerStats, Timeouts
from base.errors import (
    ConfigError,
    ServerError,
    ServerRefused,
    ServerTrouble,
    ServerUnreachable,
    ServerUnsupported,
    SpoolError,
)
from doubles import genuine_acestep
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import Reply, Request, answering, text, wrapped
from doubles.genuine_acestep import GenuineAcestep
from doubles.simulated_time import FakeClock
from listening.sound_room import wait_until
from music.segment import Recipe

KEY = "s3cret-Key_42"
RECIPE = Recipe("lofi", "slow lo-fi beats", 10.0)
QUICK = Timeouts(connect_s=1.0, read_s=0.3, reply_s=2.0, file_s=2.0, submit_s=0.3)


class Rig(Protocol):
    """What both servers can be told."""

    @property
    def url(self) -> str: ...
    def plan(self, *fates: str) -> None: ...
    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def start(self) -> object: ...


@contextlib.contextmanager
def genuine(root: Path, **settings: Any) -> Iterator[GenuineAcestep]:
    """Start the genuine server, or skip."""
    if not genuine_acestep.is_installed():
        pytest.skip(genuine_acestep.MISSING)
    with GenuineAcestep(root, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def shared_genuine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GenuineAcestep]:
    """The one genuine server of most tests."""
    with genuine(tmp_path_factory.mktemp("acestep")) as server:
        yield server


@pytest.fixture(params=["fake", pytest.param("genuine", marks=pytest.mark.server)])
def server(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Each of the two servers, with nothing planned."""
    if request.param == "fake":
        with FakeAcestep(newer=False) as fake:
            yield fake
    else:
        shared = request.getfixturevalue("shared_genuine")
        shared.set(plan=[], speed=0.0)
        yield shared


def client_of(server: Rig, **settings: Any) -> AceClient:
    """A client of this server."""
    return AceClient(server.url, **settings)


def finished(client: AceClient, task_id: str) -> JobReport:
    """Poll until a job has ended."""
    ends = (JobState.SUCCEEDED, JobState.FAILED)
    assert wait_until(lambda: client.poll([task_id])[task_id].state in ends)
    return client.poll([task_id])[task_id]


# --- the contract ---------------------------------------------------------------------------------------------------


def test_a_server_answers_health_models_and_stats(server: Rig) -> None:
    """The three questions without a job work on a fresh server."""
    client = client_of(server)
    client.health()
    assert client.models() == ("acestep-v15-turbo",)
    assert client.stats().running == 0


def test_a_job_becomes_one_file_of_music(server: Rig, tmp_path: Path) -> None:
    """Submit, poll, download: a WAV of the asked length, 48 kHz stereo, one result where the server would make two."""
    client = client_of(server)
    report = finished(client, client.submit(RECIPE).task_id)
    assert report.state is JobState.SUCCEEDED
    (file,) = report.files
    assert file.seed.isdigit()
    size = client.download(file, tmp_path / "a.part")
    raw = (tmp_path / "a.part").read_bytes()
    assert len(raw) == size
    assert raw[:4] == b"RIFF"
    info = soundfile.info(io.BytesIO(raw))
    assert (info.samplerate, info.channels, round(info.duration)) == (48_000, 2, 10)


def test_every_file_of_a_job_is_reported_with_its_seed(server: Rig, tmp_path: Path) -> None:
    """A batch of two gives two different files in one result."""
    client = client_of(server, batch_size=2)
    report = finished(client, client.submit(RECIPE).task_id)
    assert len({file.url for file in report.files}) == len({file.seed for file in report.files}) == 2
    assert all(client.download(file, tmp_path / "a.part") > 1000 for file in report.files)


def test_an_unknown_id_is_lost_and_does_not_hide_the_others(server: Rig) -> None:
    """Status 0 with an empty list is what the server says of an id it does not know."""
    client = client_of(server)
    known = client.submit(RECIPE).task_id
    finished(client, known)
    reports = client.poll([known, "d5b8-unknown"])
    assert reports[known].state is JobState.SUCCEEDED
    assert reports["d5b8-unknown"].state is JobState.LOST


def test_a_failed_job_is_reported_as_failed(server: Rig) -> None:
    """Status 2."""
    server.plan("fail")
    client = client_of(server)
    assert finished(client, client.submit(RECIPE).task_id).state is JobState.FAILED


def test_success_without_a_file_has_no_files(server: Rig) -> None:
    """The server reports success also when it could not save the audio."""
    server.plan("no-file")
    client = client_of(server)
    report = finished(client, client.submit(RECIPE).task_id)
    assert (report.state, report.files) == (JobState.SUCCEEDED, ())


def test_a_file_that_is_gone_is_refused_and_leaves_nothing(server: Rig, tmp_path: Path) -> None:
    """404 on a download: the same download can never work."""
    server.plan("vanished")
    client = client_of(server)
    (file,) = finished(client, client.submit(RECIPE).task_id).files
    with pytest.raises(ServerRefused, match="no longer has the file") as caught:
        client.download(file, tmp_path / "a.part")
    assert caught.value.status == 404
    assert not (tmp_path / "a.part").exists()


def test_jobs_wait_behind_a_hung_one_and_stats_show_it(server: Rig) -> None:
    """One worker: a hung job keeps the next one waiting, neither is lost, and its place in the queue is told."""
    server.plan("hang")
    client = client_of(server)
    hung = client.submit(RECIPE).task_id
    assert wait_until(lambda: client.stats().running == 1)
    waiting = client.submit(RECIPE)
    assert waiting.queue_position == 1
    reports = client.poll([hung, waiting.task_id])
    assert {report.state for report in reports.values()} <= {JobState.RUNNING, JobState.QUEUED}
    assert client.stats().queue_size == 1
    free(server)
    assert finished(client, waiting.task_id).state is JobState.SUCCEEDED


def free(server: Rig) -> None:
    """Let a hung job go on."""
    if isinstance(server, FakeAcestep):
        server.finish()
    elif isinstance(server, GenuineAcestep):
        server.set(free=True)


def test_a_killed_server_loses_what_was_not_done_and_keeps_what_was(server: Rig, tmp_path: Path) -> None:
    """Down: ServerUnreachable for every call. Up again: open jobs are LOST, finished ones still have their files."""
    client = client_of(server)
    done = client.submit(RECIPE).task_id
    (file,) = finished(client, done).files
    server.plan("hang")
    hung, queued = client.submit(RECIPE).task_id, client.submit(RECIPE).task_id
    server.kill()
    for call in (client.health, client.stats, lambda: client.poll([hung]), lambda: client.submit(RECIPE)):
        with pytest.raises(ServerUnreachable, match="start it with `acestep-api`"):
            call()
    server.start()
    reports = client.poll([done, hung, queued])
    assert [reports[job].state for job in (done, hung, queued)] == [JobState.SUCCEEDED, JobState.LOST, JobState.LOST]
    assert client.download(file, tmp_path / "a.part") > 1000
    assert client.stats().queued == client.stats().running == 0


def test_an_unknown_lm_backend_is_a_bare_500_that_names_the_setting(server: Rig) -> None:
    """The server answers text, not JSON; the message says what to look at."""
    with pytest.raises(ServerTrouble, match="LM_BACKEND"):
        client_of(server, lm_backend="VLLM").submit(RECIPE)


@pytest.fixture(params=["fake", pytest.param("genuine", marks=pytest.mark.server)])
def locked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Each of the two servers with a key and room for one waiting job."""
    if request.param == "fake":
        with FakeAcestep(newer=False, api_key=KEY, queue_limit=1) as fake:
            yield fake
    else:
        with genuine(tmp_path, api_key=KEY, environment={"ACESTEP_QUEUE_MAXSIZE": "1"}) as server:
            yield server


def test_a_server_with_a_key_takes_it_and_a_full_queue_is_said_to_be_full(locked: Rig, tmp_path: Path) -> None:
    """401 on every route without the right key (never retried, never shown); 429 surely changed nothing."""
    client = client_of(locked, api_key=KEY)
    (file,) = finished(client, client.submit(RECIPE).task_id).files
    for key in ("", "wrong-one"):
        stranger = client_of(locked, api_key=key)
        stranger.health()
        for call in (
            lambda: stranger.submit(RECIPE),  # noqa: B023 (called in this round)
            lambda: stranger.poll(["x"]),  # noqa: B023
            stranger.stats,
            stranger.models,
            lambda: stranger.download(file, tmp_path / "a.part"),  # noqa: B023
        ):
            with pytest.raises(ServerRefused, match="ACESTEP_API_KEY") as caught:
                call()
            assert caught.value.status == 401
            assert "wrong-one" not in str(caught.value)
    assert client.download(file, tmp_path / "a.part") > 1000

    locked.plan("hang")
    client.submit(RECIPE)
    assert wait_until(lambda: client.stats().running == 1)
    client.submit(RECIPE)
    with pytest.raises(ServerTrouble, match="queue full") as full:
        client.submit(RECIPE)
    assert not full.value.arrived
    stats = client.stats()
    assert (stats.queued, stats.queue_size) == (2, 1)


def test_thinking_without_a_language_model_fails(fake: FakeAcestep) -> None:
    """Newer servers still make music without thinking, and then get no LM fields."""
    fake.lm_init_fails = True
    client = client_of(fake)
    assert finished(client, client.submit(RECIPE).task_id).state is JobState.FAILED
    assert finished(client, client.submit(RECIPE, thinking=False).task_id).state is JobState.SUCCEEDED
    assert not fake.submits[-1].keys() & {"lm_backend", "lm_model_path"}


@pytest.mark.server
def test_the_published_server_makes_nothing_at_all_without_a_language_model(tmp_path: Path) -> None:
    """In ace-step15-fork 20260212 jobs without thinking fail too (it asks None whether it is initialised)."""
    with genuine(tmp_path, lm_fails=True) as server:
        client = client_of(server)
        for thinking in (True, False):
            assert finished(client, client.submit(RECIPE, thinking=thinking).task_id).state is JobState.FAILED


@pytest.mark.server
def test_while_it_loads_the_port_is_closed_and_a_failed_load_ends_it(tmp_path: Path) -> None:
    """A server that loads looks like one that is not there."""
    if not genuine_acestep.is_installed():
        pytest.skip(genuine_acestep.MISSING)
    server = GenuineAcestep(tmp_path, load_s=0.2, load_fails=True)
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        server.launch()
        with pytest.raises(ServerUnreachable):
            client_of(server).health()
        assert not server.wait_until_up()
        assert server.process is not None
        assert server.process.wait() == 3


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_submit_sends_exactly_what_the_server_needs(fake: FakeAcestep) -> None:
    """No default of the server is relied on where it would be wrong (2 files, mp3, English, a rewritten prompt)."""
    recipe = Recipe("jazz", "warm jazz", 30.0, 90, "A minor", "6/8", 42)
    AceClient(fake.url, lm_model_path="lm", lm_backend="pt", batch_size=3).submit(recipe)
    assert fake.submits == [
        {
            "task_type": "text2music",
            "prompt": "warm jazz",
            "lyrics": "[Instrumental]",
            "vocal_language": "unknown",
            "audio_duration": 30.0,
            "batch_size": 3,
            "audio_format": "wav",
            "thinking": True,
            "use_cot_caption": False,
            "use_cot_language": False,
            "use_random_seed": False,
            "seed": 42,
            "lm_model_path": "lm",
            "lm_backend": "pt",
            "bpm": 90,
            "key_scale": "A minor",
            "time_signature": "6",
        }
    ]


def test_what_a_recipe_leaves_open_is_not_sent(fake: FakeAcestep) -> None:
    """Bpm and seed None, an empty key and an empty signature leave the choice to the model."""
    client_of(fake).submit(RECIPE)
    assert not fake.submits[0].keys() & {"bpm", "key_scale", "time_signature", "seed", "use_random_seed"}


def test_every_request_has_its_own_connection_and_the_key(fake: FakeAcestep, tmp_path: Path) -> None:
    """No pooled connection can go stale under a submit; the key goes along on each route, the download too."""
    fake.api_key = KEY
    client = client_of(fake, api_key=KEY)
    (file,) = finished(client, client.submit(RECIPE).task_id).files
    client.download(file, tmp_path / "a.part")
    client.stats()
    assert {request.headers["connection"] for request in fake.requests} == {"close"}
    assert {request.headers["authorization"] for request in fake.requests} == {f"Bearer {KEY}"}


def test_a_password_in_netrc_never_takes_the_place_of_the_key(
    fake: FakeAcestep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with a key of ours nor without one."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for key in (KEY, ""):
        client_of(fake, api_key=key).stats()
    assert [request.headers.get("authorization") for request in fake.requests] == [f"Bearer {KEY}", None]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_ignores_the_proxy_variables(fake: FakeAcestep, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A proxy cannot reach this machine's own server."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    AceClient(f"http://{host}:{fake.port}").health()


# --- what is answered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (text(500, "Internal Server Error"), ServerTrouble, "HTTP 500: Internal Server Error"),
        (text(502, "<html>bad</html>", "text/html"), ServerTrouble, r"\(HTTP 502\)"),
        (text(503, ""), ServerTrouble, "HTTP 503"),
        (text(408, ""), ServerTrouble, "HTTP 408"),
        (text(400, '{"detail": "must be an object"}'), ServerRefused, "HTTP 400: must be an object"),
        (text(401, '{"detail": "Missing"}'), ServerRefused, "wants a key.*ACESTEP_API_KEY"),
        (text(403, '{"detail": "no"}'), ServerRefused, "refuses access.*ACESTEP_API_KEY"),
        (text(404, '{"detail": "Not Found"}'), ServerRefused, "ACESTEP_API_URL"),
        (text(415, '{"detail": "type"}'), ServerRefused, "HTTP 415: type"),
        (text(422, '{"detail": [{"loc": ["body"], "msg": "bad"}]}'), ServerRefused, "HTTP 422: .*bad"),
        (Reply(307, headers={"Location": "http://127.0.0.1:9/x"}), ServerRefused, "set ACESTEP_API_URL"),
        (wrapped(None, 500, "format failed"), ServerTrouble, "HTTP 500: format failed"),
        (wrapped(None, 200, "half done"), ServerTrouble, "half done"),
        (wrapped(None, 401, "key please"), ServerRefused, "ACESTEP_API_KEY"),
        (wrapped({"task_id": "x"}, -1), ServerTrouble, "HTTP 500"),
        (text(200, "<html>hello</html>", "text/html"), ServerTrouble, "a web page.*ACESTEP_API_URL"),
        (text(200, "pong"), ServerTrouble, "no JSON"),
        (text(200, ""), ServerTrouble, "no JSON"),
        (text(200, "[" * 100_000), ServerTrouble, "no JSON"),
        (Reply(200, b"\xff\xfe\x00"), ServerTrouble, "no JSON"),
        (text(200, "[1, 2]"), ServerTrouble, "makes no sense"),
        (text(200, "null"), ServerTrouble, "unknown form"),
        (wrapped([]), ServerTrouble, "makes no sense"),
        (wrapped(None), ServerTrouble, "makes no sense"),
        (wrapped({"task_id": None}), ServerTrouble, "without a usable task_id"),
        (wrapped({"task_id": ["x"]}), ServerTrouble, "without a usable task_id"),
        (wrapped({"task_id": "x" * 999}), ServerTrouble, "without a usable task_id"),
        (wrapped({"task_id": "a\x1b[2Jb"}), ServerTrouble, "without a usable task_id"),
        (wrapped({"task_id": "x", "pad": "y" * 5_000_000}), ServerTrouble, "more than 4 MiB"),
    ],
)
def test_a_bad_answer_to_a_submit_is_one_typed_error(
    fake: FakeAcestep, reply: Reply, error: type[ServerError], said: str
) -> None:
    """The error says who failed and what to do; one request was made, and the job counts as arrived."""
    fake.answer_next(reply, 5)
    with pytest.raises(error, match=said) as caught:
        client_of(fake).submit(RECIPE)
    assert len(fake.requests) == 1
    assert getattr(caught.value, "arrived", True)
    assert getattr(caught.value, "status", reply.status) in (reply.status, 401)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        ({"task_id": "a", "queue_position": 3, "new_field": {}}, 3),
        ({"task_id": "a", "queue_position": "2"}, 2),
        ({"task_id": "a", "queue_position": 0}, None),
        ({"task_id": "a", "queue_position": None}, None),
        ({"task_id": "a", "queue_position": float("nan")}, None),
        ({"task_id": "a"}, None),
    ],
)
def test_a_queue_position_that_makes_no_sense_is_not_told(
    fake: FakeAcestep, data: dict[str, object], position: int | None
) -> None:
    """Only what is a place from 1 counts."""
    fake.answer_next(wrapped(data))
    assert client_of(fake).submit(RECIPE).queue_position == position


def poll_one(fake: FakeAcestep, row: dict[str, object]) -> JobReport:
    """Return the report for job "a" that the client makes of a row."""
    fake.answer_next(wrapped([{"task_id": "a", **row}]))
    return client_of(fake).poll(["a"])["a"]


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"status": 0, "result": "[]"}, JobState.LOST),
        ({"status": "0", "result": []}, JobState.LOST),
        ({"status": 0, "result": '[{"status": 0}]'}, JobState.RUNNING),
        ({"status": 0, "result": '[{"status": 0, "stage": "queued"}]'}, JobState.QUEUED),
        ({"status": 0, "result": '[{"stage": "running"}]'}, JobState.RUNNING),
        ({"status": 0, "result": None}, JobState.RUNNING),
        ({"status": 0, "result": "garbage"}, JobState.RUNNING),
        ({"status": 0, "result": "[1, null]"}, JobState.RUNNING),
        ({"status": 7, "result": "[{}]"}, JobState.RUNNING),
        ({"status": None, "result": "[{}]"}, JobState.RUNNING),
        ({"status": [1], "result": "[{}]"}, JobState.RUNNING),
        ({"status": "1", "result": '[{"file": "/v1/audio?path=a"}]'}, JobState.SUCCEEDED),
        ({"status": 1.0, "result": '{"file": "/v1/audio?path=a"}'}, JobState.SUCCEEDED),
        ({"status": "completed", "result": '[{"file": "/x"}]'}, JobState.SUCCEEDED),
        ({"result": '[{"status": 1, "file": "/x"}]'}, JobState.SUCCEEDED),
        ({"status": 1, "result": "[]"}, JobState.SUCCEEDED),
        ({"status": 1, "result": "garbage"}, JobState.FAILED),
        ({"status": 1, "result": "[" * 100_000}, JobState.FAILED),
        ({"status": 2, "result": "[]"}, JobState.FAILED),
        ({"status": 2, "result": None}, JobState.FAILED),
    ],
)
def test_the_state_of_a_job_is_read_whatever_its_form(
    fake: FakeAcestep, row: dict[str, object], state: JobState
) -> None:
    """An empty list at status 0 means lost; what is not understood counts as running."""
    fake.answer_next(wrapped([{"task_id": "a", **row}]), 2)
    client = client_of(fake)
    assert client.poll(["a"])["a"].state in (state, JobState.RUNNING)
    assert client.poll(["a"])["a"].state is state


@pytest.mark.parametrize(
    ("progress", "read"),
    [
        (0.5, 0.5),
        ("0.25", 0.25),
        (45, 0.45),
        ("45 %", 0.45),
        ("1%", 0.01),
        (250, 1.0),
        (1.7, 1.0),
        (-3, 0.0),
        (None, None),
        ("x", None),
        (True, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
    ],
)
def test_progress_is_between_0_and_1_or_unknown(fake: FakeAcestep, progress: object, read: float | None) -> None:
    """Whatever the server says: Python's JSON takes NaN and Infinity for numbers."""
    assert poll_one(fake, {"status": 0, "result": json.dumps([{"progress": progress}])}).progress == read


def test_files_are_taken_once_in_order_and_empty_ones_left_out(fake: FakeAcestep) -> None:
    """Several files, an empty one, a repeated one, and rows that are none."""
    rows = [{"file": "a?", "seed_value": "1, 2,3,4"}, {"file": ""}, {"file": "b?"}, {"file": "a?"}, 5, {"file": None}]
    report = poll_one(fake, {"status": 1, "result": json.dumps(rows)})
    assert [file.url for file in report.files] == ["a?", "b?"]


@pytest.mark.parametrize(
    "echo",
    [
        str.upper,
        str.title,
        lambda key: json.dumps(key)[1:-1],
        lambda key: quote(key, safe=""),
        html.escape,
        lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    ],
    ids=["capitals", "title", "json", "url", "html", "base64"],
)
def test_an_echoed_key_is_hidden_in_every_form(fake: FakeAcestep, echo: Callable[[str], str]) -> None:
    """Proxies and frameworks change what they echo."""
    key = 's3cret/key<"+\\'
    error = f"RuntimeError: no such key {echo(key)} known"
    fake.answer_next(wrapped([{"task_id": "a", "status": 2, "result": json.dumps([{"error": error}])}]))
    client = client_of(fake, api_key=key)
    assert client.poll(["a"])["a"].detail == "RuntimeError: no such key *** known"


def test_the_servers_words_are_one_plain_line_without_the_key(fake: FakeAcestep) -> None:
    """A stage or an error cannot move the cursor of our terminal, and an echoed key is not shown."""
    error = f"Traceback:\n  File x\nRuntimeError: \x1b[31m5Hz LM init failed {KEY}\n\n"
    fake.answer_next(wrapped([{"task_id": "a", "status": 2, "result": json.dumps([{"error": error}])}]))
    fake.answer_next(
        wrapped([{"task_id": "a", "status": 0, "result": json.dumps([{"stage": "a\x1b]0;b\n" + "c" * 99}])}])
    )
    client = client_of(fake, api_key=KEY)
    assert client.poll(["a"])["a"].detail == "RuntimeError: 5Hz LM init failed ***"
    stage = client.poll(["a"])["a"].stage
    assert stage.isprintable()
    assert len(stage) <= 40


def test_what_one_odd_reply_says_of_a_job_does_not_count(fake: FakeAcestep) -> None:
    """A row that is left out, or that cannot be read, is asked for once more; the job goes on meanwhile."""
    client = client_of(fake)
    good = {"task_id": "a", "status": 1, "result": '[{"file": "/v1/audio?path=a"}]'}
    for odd in ([{"status": 1}], [{**good, "result": '[{"fi'}]):
        for answer, state in ((odd, "RUNNING"), ([good], "SUCCEEDED"), (odd, "RUNNING")):
            fake.answer_next(wrapped(answer))
            assert client.poll(["a"])["a"].state.name == state
        fake.answer_next(wrapped([good]))
        client.poll(["a"])
    fake.answer_next(wrapped([{"task_id": "b", "status": 0, "result": "[{}]"}]), 2)
    client.poll(["a", "b"])
    reports = client.poll(["a", "b"])
    assert [reports[job].state for job in "ab"] == [JobState.LOST, JobState.RUNNING]


@pytest.mark.parametrize("data", [None, {}, {"task_id": "a"}, "text", 5, [None], [[]], ["a"]])
def test_a_reply_to_a_poll_that_is_no_list_of_rows_is_trouble(fake: FakeAcestep, data: object) -> None:
    """No job may be taken for lost because a reply was broken."""
    fake.answer_next(wrapped(data))
    with pytest.raises(ServerTrouble, match="makes no sense"):
        client_of(fake).poll(["a"])


def test_a_poll_for_no_jobs_asks_nothing(fake: FakeAcestep) -> None:
    """No ids, no request."""
    assert client_of(fake).poll([]) == {}
    assert fake.requests == []


@pytest.mark.parametrize(
    ("data", "stats"),
    [
        ({}, ServerStats()),
        ({"jobs": None, "queue_size": "3"}, ServerStats(queue_size=3)),
        ({"jobs": {"queued": 2, "running": -1, "new": 1}, "avg_job_seconds": "nan"}, ServerStats(queued=2)),
        ({"jobs": [1], "queue_size": True, "avg_job_seconds": 2}, ServerStats()),
        ({"jobs": {"queued": 5, "running": 1}, "queue_size": 0}, ServerStats(5, 1, queue_size=0)),
    ],
)
def test_stats_are_read_as_far_as_they_make_sense(fake: FakeAcestep, data: object, stats: ServerStats) -> None:
    """What is missing or absurd is unknown, and stands for no job at work."""
    fake.answer_next(wrapped(data))
    found = client_of(fake).stats()
    assert found == stats
    assert found.at_work == {(None, 3): 3, (2, None): 2, (5, 0): 1}.get((stats.queued, stats.queue_size), 0)


def test_models_are_read_in_both_forms(fake: FakeAcestep) -> None:
    """Newer servers answer as OpenRouter does, without the wrapping."""
    fake.answer_next(text(200, '{"data": [{"id": "acestep/turbo"}, {"id": null}, 5]}'))
    assert client_of(fake).models() == ("acestep/turbo",)
    fake.answer_next(wrapped({"models": 5}))
    with pytest.raises(ServerTrouble):
        client_of(fake).models()


@pytest.mark.parametrize("data", [{}, [], None, {"status": "loading"}, {"hello": 1}])
def test_health_is_good_only_when_the_server_says_so(fake: FakeAcestep, data: object) -> None:
    """Another program on that port is not taken for acestep-api."""
    fake.reply_filter = lambda request, _: data
    with pytest.raises(ServerTrouble):
        client_of(fake).health()


# --- when the line is bad -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_that_breaks_during_a_submit_leaves_it_open_whether_it_arrived(
    fake: FakeAcestep, after: bool
) -> None:
    """One request, never sent again: it may have made a job."""
    fake.drop_next(after=after)
    with pytest.raises(ServerTrouble, match="broke off") as caught:
        client_of(fake).submit(RECIPE)
    assert caught.value.arrived
    assert len(fake.requests) == 1
    assert len(fake.jobs()) == after


def test_no_answer_in_time_is_trouble_and_the_job_may_exist(fake: FakeAcestep) -> None:
    """A read timeout after sending a submit."""
    fake.stall_next()
    with pytest.raises(ServerTrouble, match=r":\d+ does not answer .* in time") as caught:
        client_of(fake, timeouts=QUICK).submit(RECIPE)
    assert caught.value.arrived
    assert len(fake.jobs()) == 1


def test_an_answer_that_drips_ends_at_its_deadline() -> None:
    """Each byte is a sign of life; the whole has a time of its own."""
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", *[b"x"] * 200]
    with answering(*drops, pause_s=0.02) as port, pytest.raises(ServerTrouble, match="too slowly"):
        AceClient(f"http://127.0.0.1:{port}", timeouts=Timeouts(1.0, 0.5, 0.3, 0.3)).stats()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 1000,
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 999\r\n\r\nhalf",
        b"HTTP/1.1 999 Oops\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_any_bytes_at_all_are_trouble_and_nothing_worse(raw: bytes) -> None:
    """Whatever listens there."""
    with answering(raw) as port, pytest.raises(ServerTrouble):
        AceClient(f"http://127.0.0.1:{port}", timeouts=QUICK).stats()


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    """A refused connection, and a host without an address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url, why in ((f"http://127.0.0.1:{port}", "refused"), ("http://no.such.host.invalid:1", "no such host")):
        client = AceClient(url, timeouts=QUICK)
        with pytest.raises(ServerUnreachable, match=why):
            client.submit(RECIPE)
        with pytest.raises(ServerUnreachable):
            client.download(AudioFile("/v1/audio?path=a"), tmp_path / "a.part")


@pytest.mark.skipif(sys.platform != "linux", reason="how a full backlog behaves differs between systems")
def test_a_connection_that_never_comes_about_is_unreachable() -> None:
    """A connect timeout: the request surely did not arrive."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as crowd:
        for _ in range(4):
            waiting = crowd.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = AceClient(f"http://127.0.0.1:{full.getsockname()[1]}", timeouts=Timeouts(connect_s=0.2))
        with pytest.raises(ServerUnreachable, match="in time"):
            client.submit(RECIPE)


@contextlib.contextmanager
def in_trouble(call: Callable[[], object]) -> Iterator[None]:
    """Make a call in a thread meanwhile; at the end it has ended at once, in ServerTrouble."""
    caught: list[Exception] = []

    def body() -> None:
        try:
            call()
        except ServerTrouble as error:
            caught.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    yield
    thread.join(2.0)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_close_ends_a_call_that_waits_and_refuses_new_ones(fake: FakeAcestep) -> None:
    """The program ends at once although the server says nothing."""
    fake.stall_next()
    client = client_of(fake)
    with in_trouble(client.stats):
        assert wait_until(lambda: len(fake.requests) == 1)
        client.close()
    with pytest.raises(ServerTrouble, match="closed"):
        client.health()
    assert len(fake.requests) == 1


# --- downloads ------------------------------------------------------------------------------------------------------


def a_file(fake: FakeAcestep, client: AceClient) -> AudioFile:
    """One result to download."""
    return finished(client, client.submit(RECIPE).task_id).files[0]


def test_a_link_is_used_as_it_is_already_encoded(fake: FakeAcestep, tmp_path: Path) -> None:
    """Blanks and slashes in the server's path; also as an absolute link to the same server."""
    client = client_of(fake)
    file = a_file(fake, client)
    assert "%20" in file.url
    assert client.download(file, tmp_path / "a") == client.download(AudioFile(fake.url + file.url), tmp_path / "b")


@pytest.mark.parametrize(
    "link",
    [
        "http://{other}/v1/audio?path=x",
        "//{other}/v1/audio?path=x",
        "https://127.0.0.1:{port}/v1/audio",
        "http://127.0.0.1:{port}@{other}/x",
        "http://me@127.0.0.1:{port}/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://[bad/x",
        "http://127.0.0.1:99999/x",
        "C:\\music\\a.wav",
    ],
)
def test_a_link_to_anywhere_else_is_not_followed(fake: FakeAcestep, tmp_path: Path, link: str) -> None:
    """The key goes to the configured server only."""
    with FakeAcestep() as stranger:
        client = client_of(fake, api_key=KEY)
        with pytest.raises(ServerUnsupported, match="not fetched"):
            client.download(AudioFile(link.format(other=f"127.0.0.1:{stranger.port}", port=fake.port)), tmp_path / "a")
        assert stranger.requests == fake.requests == []


@pytest.mark.parametrize("link", ["@{other}/x", ":80@{other}/x", "/\\{other}/x", "v1/audio?path=none", ".{other}"])
def test_a_relative_link_stays_at_the_server(fake: FakeAcestep, tmp_path: Path, link: str) -> None:
    """However it is written, it cannot change the host."""
    with FakeAcestep() as stranger:
        with pytest.raises((ServerRefused, ServerTrouble)):
            client_of(fake, api_key=KEY).download(
                AudioFile(link.format(other=f"127.0.0.1:{stranger.port}")), tmp_path / "a"
            )
        assert stranger.requests == []


def test_a_redirect_is_not_followed(fake: FakeAcestep, tmp_path: Path) -> None:
    """Not even for a download."""
    with FakeAcestep() as stranger:
        fake.answer_next(Reply(302, headers={"Location": f"{stranger.url}/v1/audio?path=x"}))
        with pytest.raises(ServerRefused, match="elsewhere"):
            client_of(fake, api_key=KEY).download(AudioFile("/v1/audio?path=x"), tmp_path / "a")
        assert stranger.requests == []


def test_a_download_that_breaks_off_leaves_nothing(fake: FakeAcestep, tmp_path: Path) -> None:
    """Fewer bytes than announced are no file."""
    client = client_of(fake)
    file = a_file(fake, client)
    fake.truncate_next()
    with pytest.raises(ServerTrouble, match="broke off"):
        client.download(file, tmp_path / "a.part")
    assert not (tmp_path / "a.part").exists()
    assert client.download(file, tmp_path / "a.part") > 1000


def test_a_file_has_a_largest_size(fake: FakeAcestep, tmp_path: Path) -> None:
    """Announced or not, and unpacked too."""
    fake.audio = lambda index, seconds: bytes(1_000_001)
    client = client_of(fake, max_file_bytes=1_000_000)
    with pytest.raises(ServerTrouble, match="more than"):
        client.download(a_file(fake, client), tmp_path / "a.part")
    endless = [b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(100_000)] * 11]
    announced = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n"]
    for parts in (endless, announced):
        with answering(*parts) as port, pytest.raises(ServerTrouble, match="more than"):
            client = AceClient(f"http://127.0.0.1:{port}", max_file_bytes=1_000_000)
            client.download(AudioFile("/v1/audio"), tmp_path / "a.part")
    assert not (tmp_path / "a.part").exists()


def test_a_slow_download_ends_at_its_deadline(fake: FakeAcestep, tmp_path: Path) -> None:
    """The deadline is for the whole file, on the clock that was passed in."""
    file = a_file(fake, client_of(fake))
    with pytest.raises(ServerTrouble, match="too slowly"):
        client_of(fake, clock=FakeClock(step_s=60.0)).download(file, tmp_path / "a.part")
    assert not (tmp_path / "a.part").exists()


def test_a_download_stops_when_the_program_does(fake: FakeAcestep, tmp_path: Path) -> None:
    """In the middle of the file, without leaving a part of it."""
    client, part = client_of(fake), tmp_path / "a.part"
    file = a_file(fake, client)
    fake.download_pause_s = 30.0
    with in_trouble(lambda: client.download(file, part)):
        assert wait_until(part.exists)
        client.close()
    assert not part.exists()


def test_a_web_page_or_json_where_music_belongs_is_trouble(fake: FakeAcestep, tmp_path: Path) -> None:
    """Success with another type of content."""
    client = client_of(fake)
    file = a_file(fake, client)
    for reply in (wrapped(None, 500, "gone"), text(200, "<html>", "text/html; charset=utf-8")):
        fake.answer_next(reply)
        with pytest.raises(ServerTrouble, match="where music belongs"):
            client.download(file, tmp_path / "a.part")


@pytest.mark.parametrize("kind", ["empty", "garbage", "truncated", "silent", "nan", "short", "web-page"])
def test_bad_music_is_downloaded_as_it_is(fake: FakeAcestep, tmp_path: Path, kind: str) -> None:
    """To judge it is not the client's job."""
    fake.plan(kind)
    client = client_of(fake)
    size = client.download(a_file(fake, client), tmp_path / "a.part")
    assert (tmp_path / "a.part").stat().st_size == size


def test_a_disk_that_does_not_take_it_is_no_fault_of_the_server(fake: FakeAcestep, tmp_path: Path) -> None:
    """SpoolError, so that the server is not blamed."""
    client = client_of(fake)
    file = a_file(fake, client)
    with pytest.raises(SpoolError, match="cannot write"):
        client.download(file, tmp_path / "gone" / "a.part")
    if Path("/dev/full").exists():
        (tmp_path / "full.part").symlink_to("/dev/full")
        with pytest.raises(SpoolError, match="no space left"):
            client.download(file, tmp_path / "full.part")


# --- the settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8001",
        "ftp://x",
        "http://",
        "http://a:b@x",
        "http://x:0",
        "http://x:99999",
        "http://x?a",
        "http://x#a",
    ],
)
def test_an_address_that_is_none_is_a_config_error(url: str) -> None:
    """Before any request; a password in it is not repeated."""
    with pytest.raises(ConfigError, match="ACESTEP_API_URL") as caught:
        AceClient(url)
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_a_config_error_that_does_not_show_it(key: str) -> None:
    """The libraries' own errors would quote it."""
    with pytest.raises(ConfigError, match="ACESTEP_API_KEY") as caught:
        AceClient("http://127.0.0.1:8001", key)
    assert key not in str(caught.value)


def test_the_key_is_in_no_message(fake: FakeAcestep, tmp_path: Path) -> None:
    """Not when the server echoes it, not in the representation of the client."""
    client = client_of(fake, api_key=KEY, timeouts=QUICK)
    messages = [repr(client), str(client)]
    for reply in (text(401, f"bad key {KEY}"), text(500, f'{{"detail": "{KEY}"}}'), wrapped(None, 400, KEY)):
        fake.answer_next(reply, 2)
        for call in (lambda: client.submit(RECIPE), lambda: client.download(AudioFile("/x"), tmp_path / "a")):
            with pytest.raises(ServerError) as caught:
                call()
            messages += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    with pytest.raises(ServerUnsupported) as elsewhere:
        client.download(AudioFile(f"http://other/{KEY}"), tmp_path / "a")
    messages.append(str(elsewhere.value))
    fake.stop()
    with pytest.raises(ServerUnreachable) as gone:
        client.health()
    messages += [str(gone.value), repr(gone.value.__cause__)]
    assert not [message for message in messages if KEY in message]


def test_an_address_may_have_a_path_of_its_own(fake: FakeAcestep) -> None:
    """A server behind a proxy: routes and links are put behind its path."""
    client = AceClient(f"{fake.url}/music/")
    with pytest.raises(ServerRefused):
        client.stats()
    assert fake.requests[0].route == "/music/v1/stats"
    assert client._http.resolve("/v1/audio?path=%2Fa") == f"{fake.url}/music/v1/audio?path=%2Fa"


# --- the double -----------------------------------------------------------------------------------------------------


def test_the_fake_works_off_its_queue_one_job_after_another() -> None:
    """One worker, in order; progress and stage as newer servers give them; a killed one leaves a stale row."""
    clock = FakeClock()
    with FakeAcestep(now=clock.now, speed=0.5) as fake:
        client = client_of(fake)
        first, second = client.submit(RECIPE).task_id, client.submit(RECIPE).task_id
        clock.time_s = 2.0
        reports = client.poll([first, second])
        assert (reports[first].state, reports[first].progress) == (JobState.RUNNING, 0.4)
        assert reports[second].state is JobState.QUEUED
        clock.time_s = 7.5
        reports = client.poll([first, second])
        assert (reports[first].state, reports[second].progress) == (JobState.SUCCEEDED, 0.5)
        third = client.submit(RECIPE).task_id
        fake.restart()
        clock.time_s = 99.0
        reports = client.poll([first, second, third])
        assert [reports[job].state.name for job in (first, second, third)] == ["SUCCEEDED", "RUNNING", "LOST"]
        assert client.stats().running == 0


def test_the_fakes_other_levers_do_what_they_say() -> None:
    """Manual ends, several workers, newest first, random errors and failures."""
    with FakeAcestep(manual=True, workers=2, newest_first=True) as fake:
        client = client_of(fake)
        jobs = [client.submit(RECIPE).task_id for _ in range(4)]
        assert [job.task_id for job in fake.jobs("running")] == jobs[:2]
        fake.finish()
        assert [job.task_id for job in fake.jobs("running")] == [jobs[1], jobs[3]]
        fake.lose_jobs()
        assert client.poll(jobs)[jobs[0]].state is JobState.LOST
    with FakeAcestep(error_rate=0.5, fail_rate=0.5, seed=3) as fake:
        client = client_of(fake)
        outcomes = [outcome(client.health) for _ in range(40)]
        assert 8 < outcomes.count(ServerTrouble) < 32
        fake.error_rate = 0.0
        states = [finished(client, client.submit(RECIPE).task_id).state for _ in range(40)]
        assert 8 < states.count(JobState.FAILED) < 32


def outcome(call: Callable[[], None]) -> type[Exception] | None:
    """The error that a call ends in, if any."""
    try:
        call()
    except ServerError as error:
        return type(error)
    return None


def test_shapes_that_make_no_sense_raise_nothing_but_server_errors(fake: FakeAcestep) -> None:
    """Every reply replaced, field by field, by each kind of JSON value."""
    values: list[object] = [None, True, 0, -1, 1e308, "", "x", "[]", "[null]", "[[1]]", [], [None], {}, {"a": 1}, [[]]]

    def strange(request: Request, data: Any) -> Any:
        return {"task_id": value, "queue_position": value, "jobs": value, "status": value, "models": value}

    def strange_rows(request: Request, data: Any) -> Any:
        return [{"task_id": "a", "status": value, "result": [{"file": value, "progress": value, "seed_value": value}]}]

    client = client_of(fake)
    calls: list[Callable[[], object]] = [
        client.health,
        client.stats,
        client.models,
        lambda: client.submit(RECIPE),
        lambda: client.poll(["a"]),
    ]
    for value in values:
        for fake.reply_filter in (strange, strange_rows, lambda request, data: value):  # noqa: B023
            for call in calls:
                with contextlib.suppress(ServerError):
                    call()
