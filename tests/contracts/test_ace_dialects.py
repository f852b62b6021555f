"""Other servers of this API: the genuine routes of ACE-Step's Gradio app, and what emulates acestep-api in part."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ace_client import AceClient, AudioFile, JobReport, JobState, Timeouts
from base.errors import KeyRefused, ServerBusy, ServerNonsense, ServerRefused, ServerTrouble, ServerUnsupported
from base.notices import Notices
from base.texts import said
from base.workers import SystemClock
from config import Settings
from doubles import genuine_acestep
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import Reply, text, wrapped
from doubles.genuine_acestep import GenuineAcestep
from doubles.scripted_server import MemoryStore, ScriptedServer
from doubles.simulated_time import FakeClock, SimClock
from generation.calls import Run
from generation.jobs import Board, Job
from generator_loop import GeneratorLoop
from listening.sound_room import wait_until
from modes.server_check import examine
from music.segment import Recipe
from music.stations import Mood, builtin_stations
from screen.printing import Lines
from spool.spool import Spool
from whole.generator_session import Session

STATION = builtin_stations()[0]
RECIPE = Recipe("lofi", "slow lo-fi beats", 10.0, seed=7)
KEY = "s3cret"


@pytest.fixture(scope="module")
def gradio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GenuineAcestep]:
    """The genuine routes of the Gradio app, with a key."""
    if not genuine_acestep.is_installed():
        pytest.skip(genuine_acestep.MISSING)
    with GenuineAcestep(tmp_path_factory.mktemp("gradio"), gradio=True, api_key=KEY) as server:
        yield server


# --- the genuine Gradio app -----------------------------------------------------------------------------------------


@pytest.mark.server
def test_the_gradio_app_makes_music_like_acestep_api(gradio: GenuineAcestep, tmp_path: Path) -> None:
    """The job is over when the submit is answered, the link stands beside a path on its disk; no count of jobs."""
    client = AceClient(gradio.url, KEY)
    client.health()
    assert client.one_at_a_time
    assert client.models() == ("acestep-v15-turbo",)
    taken = client.submit(RECIPE)
    assert taken.ended
    assert taken.report is None
    reports = client.poll([taken.task_id, "unknown"])
    assert reports["unknown"].state is JobState.LOST
    (file,) = reports[taken.task_id].files
    client.download(file, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes()[:4] == b"RIFF"
    with pytest.raises(ServerRefused, match="/v1/stats"):
        client.stats()


@pytest.mark.server
def test_the_gradio_apps_failure_is_a_jobs_failure_with_its_reason(gradio: GenuineAcestep) -> None:
    """An HTTP 500 to the submit; a failed save is success without a file, as in acestep-api."""
    client = AceClient(gradio.url, KEY)
    client.health()
    gradio.plan("fail", "no-file")
    report = client.submit(RECIPE).report
    assert report is not None
    assert (report.state, report.detail) == (JobState.FAILED, "stand-in: CUDA out of memory")
    silent = client.submit(RECIPE).task_id
    assert client.poll([silent])[silent].files == ()


@pytest.mark.server
def test_the_gradio_apps_key_is_asked_for(gradio: GenuineAcestep) -> None:
    """As acestep-api's is; /health is open to all."""
    stranger = AceClient(gradio.url)
    stranger.health()
    with pytest.raises(KeyRefused, match="ACESTEP_API_KEY"):
        stranger.submit(RECIPE)


@pytest.mark.server
def test_the_generator_uses_all_that_the_gradio_app_makes(gradio: GenuineAcestep, tmp_path: Path) -> None:
    """Workers that would ask at once take turns; each piece is fetched before the next is asked for."""
    settings = Settings(
        acestep_api_url=gradio.url, engine="acestep", segment_seconds=10.0, prefetch_target=3, poll_interval_sec=0.1
    )
    client, store, stop = AceClient(gradio.url, KEY), MemoryStore(tmp_path), threading.Event()
    asked: list[float] = []
    submit = client.submit

    def counted(recipe: Recipe, **how: Any) -> Any:
        asked.append(recipe.duration_s)
        return submit(recipe, **how)

    client.submit = counted  # type: ignore[method-assign]
    clock = SystemClock()
    run = Run(clock, Notices(clock), stop)
    loop = GeneratorLoop(settings, [client], cast("Spool", store), Mood(STATION), run)
    loop.start()
    assert wait_until(lambda: len(store.ready()) >= 3)
    stop.set()
    client.close()
    assert loop.join(5.0)
    assert len(store.ready()) == len(asked) == 3


# --- what is read ---------------------------------------------------------------------------------------------------


def report_of(fake: FakeAcestep, rows: object) -> JobReport:
    """Return the report that the client makes of a finished job's rows."""
    fake.answer_next(wrapped([{"task_id": "a", "status": 1, "result": json.dumps(rows)}]))
    return AceClient(fake.url).poll(["a"])["a"]


@pytest.mark.parametrize(
    ("row", "links"),
    [
        ({"file": "/v1/audio?path=%2Ftmp%2Fa.wav"}, ["/v1/audio?path=%2Ftmp%2Fa.wav"]),
        ({"file": "/tmp/a.wav", "url": "/v1/audio?path=%2Ftmp%2Fa.wav"}, ["/v1/audio?path=%2Ftmp%2Fa.wav"]),
        ({"file": "C:\\out\\a b.wav", "url": "/v1/audio?path=x"}, ["/v1/audio?path=x"]),
        ({"file": "/tmp/a b.wav"}, ["/v1/audio?path=%2Ftmp%2Fa%20b.wav", "/tmp/a b.wav"]),
        ({"file": "C:\\out\\a b.wav"}, ["/v1/audio?path=C%3A%5Cout%5Ca%20b.wav"]),
        ({"file": "d:/out/a.wav", "url": ""}, ["/v1/audio?path=d%3A%2Fout%2Fa.wav"]),
        ({"file": "\\\\nas\\a.wav"}, ["/v1/audio?path=%5C%5Cnas%5Ca.wav"]),
        ({"file": "outputs/a.wav"}, ["outputs/a.wav", "/v1/audio?path=outputs%2Fa.wav"]),
        ({"file": "http://127.0.0.1:1/a.wav"}, ["http://127.0.0.1:1/a.wav"]),
        ({"file": "/tmp/a?.wav"}, ["/v1/audio?path=%2Ftmp%2Fa%3F.wav", "/tmp/a?.wav"]),
        ({"path": "/srv/a.wav"}, ["/v1/audio?path=%2Fsrv%2Fa.wav", "/srv/a.wav"]),
        ({"audio_url": "/files/1?x=2"}, ["/files/1?x=2"]),
        ({"file": "", "url": None}, []),
    ],
)
def test_a_file_is_a_link_or_a_path_on_the_servers_disk(
    fake: FakeAcestep, row: dict[str, object], links: list[str]
) -> None:
    """Links are used as they are; a path is asked for as acestep-api's own links do it."""
    files = report_of(fake, [row]).files
    assert [link for file in files for link in (file.url, file.otherwise) if link] == links


def test_the_second_link_is_tried_where_the_first_is_not_known(fake: FakeAcestep, tmp_path: Path) -> None:
    """And the first refusal is told when neither is."""
    client = AceClient(fake.url)
    (file,) = client.poll([client.submit(RECIPE).task_id]).popitem()[1].files
    assert client.download(AudioFile("/nowhere", otherwise=file.url), tmp_path / "a") > 1000
    with pytest.raises(ServerRefused, match="no longer has the file"):
        client.download(AudioFile("/v1/audio?path=x", otherwise="/nowhere"), tmp_path / "a")


@pytest.mark.parametrize(
    ("rows", "seeds"),
    [
        ([{"file": "a?", "seed_value": "1,2"}, {"file": "b?", "seed_value": "1,2"}], ["1", "2"]),
        ([{"file": "a?", "seed_value": "1, 2"}, {"file": "b?"}], ["1", "2"]),
        ([{"file": "a?", "seed_value": "1"}, {"file": "b?", "seed_value": 2}], ["1", "2"]),
        ([{"file": "a?", "seed": 1}, {"file": "b?", "seed": 2}], ["1", "2"]),
        ([{"file": "a?", "seed_value": 7}, {"file": "b?"}], ["7", ""]),
        ([{"file": "a?", "seed_value": "1,2,3"}, {"file": "b?"}], ["", ""]),
        ([{"file": "a?"}], [""]),
    ],
)
def test_seeds_stand_in_each_row_or_all_in_one(fake: FakeAcestep, rows: list[object], seeds: list[str]) -> None:
    """What cannot be told apart is unknown."""
    assert [file.seed for file in report_of(fake, rows).files] == seeds


def test_a_result_without_any_file_names_what_it_has(fake: FakeAcestep) -> None:
    """Another API's rows are a failed job with a reason, not a file that cannot be found."""
    report = report_of(fake, [{"audio_base64": "xx", "length": 3}])
    assert report.state is JobState.FAILED
    assert "audio_base64, length" in str(report.detail)


LINK = "/v1/audio?path=a"
ROW = {"task_id": "a", "status": 1, "result": [{"file": LINK}]}


@pytest.mark.parametrize(
    "result",
    [
        [LINK], LINK, json.dumps(LINK), json.dumps(json.dumps([{"file": LINK}])), [[{"file": LINK}]],
        [{"file": [LINK]}], [{"file": {"url": LINK}}], {"files": [LINK]}, {"audio_paths": [LINK], "seed": 1},
        [{"audios": [{"path": LINK}]}], {"files": [], "audio_paths": [LINK]}, [{"audio_path": LINK, "wave": ""}],
        [{"download_url": LINK}], [{"file_url": LINK}], [{"file_path": LINK}], [{"audio": {"url": LINK}}],
    ],
)  # fmt: skip
def test_a_result_may_name_its_files_in_any_form(fake: FakeAcestep, result: object) -> None:
    """As rows, as bare links, as a list of them in one row, and as JSON text of these."""
    assert [file.url for file in report_of(fake, result).files] == [LINK]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("done", "SUCCEEDED"), ("Finished", "SUCCEEDED"), ("complete", "SUCCEEDED"), ("waiting", "QUEUED"),
        ("scheduled", "QUEUED"), ("processing", "RUNNING"), ("incomplete", "RUNNING"), ("cancelled", "FAILED"),
        ("CANCELED", "FAILED"), ("failure", "FAILED"), ("timed_out", "FAILED"), ("timeout", "FAILED"),
        ("expired", "FAILED"), ("aborted", "FAILED"), ("not_found", "LOST"), ("Finishing up", "RUNNING"),
        ("success_pending", "RUNNING"), ("cancelling", "RUNNING"), ("completed_with_warnings", "SUCCEEDED"),
        ("in_queue", "QUEUED"), ("not finished", "RUNNING"), ("failed_to_queue", "FAILED"), ("killed", "FAILED"),
    ],
)  # fmt: skip
def test_the_state_of_a_job_may_be_any_word_for_it(fake: FakeAcestep, word: str, state: str) -> None:
    """By the beginning of the word; what is not known counts as running."""
    row = ROW | {"status": word}
    fake.answer_next(wrapped([row]), 2)
    client = AceClient(fake.url)
    client.poll(["a"])
    assert client.poll(["a"])["a"].state.name == state


@pytest.mark.parametrize(
    "data",
    [
        {"data": [ROW]}, {"tasks": [ROW], "total": 1}, json.dumps([ROW]), {"data": json.dumps([ROW])}, ROW,
        {"result": ROW},
        {"a": {"status": 1, "result": [{"file": LINK}]}}, [{**ROW, "task_id": None, "job_id": "a"}],
        [{"id": "a", "status": "1", "result": [LINK]}], [{"task_id": "a", "status": "done", "audio_url": LINK}],
        [{"task_id": "a", "status": "done", "result": None, "files": [{"url": LINK}]}],
    ],
)  # fmt: skip
def test_the_row_of_a_job_is_found_under_other_wrappings(fake: FakeAcestep, data: object) -> None:
    """One more, as text, alone, or by its id; and by any of the names that a submit's answer gives it."""
    fake.answer_next(wrapped(data))
    assert [file.url for file in AceClient(fake.url).poll(["a"])["a"].files] == [LINK]


@pytest.mark.parametrize(("given", "asked"), [(5, [5, "a"]), ("5", ["5", "a"]), ("a/1", ["a/1", "a"])])
def test_a_job_is_asked_for_by_its_id_as_it_was_given(fake: FakeAcestep, given: object, asked: list[object]) -> None:
    """A server that numbers its jobs may know no job that is called by a text."""
    fake.answer_next(wrapped({"task_id": given}))
    client = AceClient(fake.url)
    task_id = client.submit(RECIPE).task_id
    fake.answer_next(wrapped([{"task_id": given, "status": 1, "result": [LINK]}]))
    assert client.poll([task_id, "a"])[task_id].state is JobState.SUCCEEDED
    assert fake.asked("/query_result")[-1].body["task_id_list"] == asked


@pytest.mark.parametrize("route", ["/query_result", "/v1/audio", "/v1/stats"])
def test_who_is_asked_too_often_has_no_full_queue(fake: FakeAcestep, tmp_path: Path, route: str) -> None:
    """A limit of requests is told by the same status as a queue without room."""
    fake.answer_next(Reply(429, b'{"detail": "rate limit"}', headers={"Retry-After": "30"}), route=route)
    client = AceClient(fake.url)
    calls: dict[str, Callable[[], object]] = {
        "/query_result": lambda: client.poll(["a"]),
        "/v1/audio": lambda: client.download(AudioFile(LINK), tmp_path / "a"),
        "/v1/stats": client.stats,
    }
    with pytest.raises(ServerTrouble, match=r"HTTP 429: rate limit") as caught:
        calls[route]()
    assert not isinstance(caught.value, ServerBusy)
    assert caught.value.retry_after_s == 30.0


@pytest.mark.parametrize(
    ("row", "stage", "progress", "detail"),
    [
        ({"status": "running", "progress": 0.4, "stage": "diffusion"}, "diffusion", 0.4, ""),
        ({"status": "running", "progress": 40, "result": []}, "", 0.4, ""),
        ({"status": 0, "result": '[{"progress": 0.4}]', "progress": 0.9}, "", 0.4, ""),
        ({"status": "failed", "message": "no VRAM"}, "", None, "no VRAM"),
        ({"status": 2, "result": [{"msg": "no VRAM"}]}, "", None, "no VRAM"),
    ],
)
def test_what_is_told_of_a_job_may_stand_in_its_row(
    fake: FakeAcestep, row: dict[str, object], stage: str, progress: float | None, detail: str
) -> None:
    """Or in the first of its result, which goes first."""
    fake.answer_next(wrapped([{"task_id": "a"} | row]))
    report = AceClient(fake.url).poll(["a"])["a"]
    assert (report.stage, report.progress, report.detail) == (stage, progress, detail)


@pytest.mark.parametrize(("status", "state"), [(0, "LOST"), ("0", "LOST"), ("running", "RUNNING"), ("unknown", "LOST")])
def test_a_job_that_a_word_says_to_be_at_work_is_not_lost(fake: FakeAcestep, status: object, state: str) -> None:
    """Nothing in the result means that it is not known only where acestep-api's own 0 stands."""
    fake.answer_next(wrapped([{"task_id": "a", "status": status, "result": []}]))
    assert AceClient(fake.url).poll(["a"])["a"].state.name == state


@pytest.mark.parametrize("data", [[], {"results": []}, {"data": {"tasks": []}}, {"tasks": [{"id": "b", "status": 1}]}])
def test_a_job_without_a_row_is_not_known(fake: FakeAcestep, data: object) -> None:
    """Under any wrapping, and so a server is well that knows of none; the first such answer is only odd."""
    fake.answer_next(wrapped(data), 3, route="/query_result")
    client = AceClient(fake.url)
    client.health()
    assert [client.poll(["a"])["a"].state.name for _ in range(2)] == ["RUNNING", "LOST"]


@pytest.mark.parametrize(
    "reply",
    [
        {"data": {"data": {"task_id": "a"}}}, {"result": {"task_id": "a"}, "success": True},
        {"data": {"task": {"id": "a"}}}, {"data": json.dumps({"task_id": "a"})},
        {"code": "success", "data": {"task_id": "a"}}, {"code": True, "data": {"task_id": "a"}},
        {"code": 0, "message": "ok", "data": {"task_id": "a"}},
    ],
)  # fmt: skip
def test_the_id_of_a_job_is_found_under_other_wrappings(fake: FakeAcestep, reply: object) -> None:
    """And where the code is a word."""
    fake.answer_next(text(200, json.dumps(reply)))
    assert AceClient(fake.url).submit(RECIPE).task_id == "a"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (text(200, '{"code": 1001, "msg": "no GPU", "data": null}'), "HTTP 500: no GPU"),
        (text(503, '{"message": "warming up"}'), "HTTP 503: warming up"),
        (text(503, '{"error": {"message": "warming up", "code": "busy"}}'), r"HTTP 503: warming up\)"),
        (text(503, '{"detail": [{"loc": ["x"], "msg": "too long"}]}'), r"HTTP 503: .*too long"),
        (text(429, "{}"), r"\(HTTP 429\)"),
        (text(200, '{"code": 500, "data": null}'), r"\(HTTP 500\)"),
    ],
)
def test_an_error_may_be_worded_under_any_name(fake: FakeAcestep, reply: Any, said: str) -> None:
    """And where there are no words, none are told."""
    fake.answer_next(reply)
    with pytest.raises(ServerTrouble, match=said):
        AceClient(fake.url).submit(RECIPE)


@pytest.mark.parametrize("form", [lambda rows: rows, lambda rows: {"data": rows}])
def test_rows_are_read_with_and_without_their_wrapping(fake: FakeAcestep, form: Callable[[object], object]) -> None:
    """The oldest Gradio app answers with the bare list."""
    fake.answer_next(text(200, json.dumps(form([{"task_id": "a", "status": 0, "result": "[{}]"}]))))
    assert AceClient(fake.url).poll(["a"])["a"].state is JobState.RUNNING


@pytest.mark.parametrize(
    ("data", "task_id", "ended", "detail"),
    [
        ({"task_id": "a", "status": "queued"}, "a", False, None),
        ({"task_id": "a", "status": "succeeded"}, "a", True, None),
        ({"job_id": "b", "status": "running"}, "b", False, None),
        ([{"task_id": 5}], "5", False, None),
        ({"task_id": "a", "status": "failed", "error": "Traceback\nout of memory"}, "a", True, "out of memory"),
    ],
)
def test_a_submit_may_be_answered_when_the_job_is_over(
    fake: FakeAcestep, data: object, task_id: str, ended: bool, detail: str | None
) -> None:
    """The answer itself tells, and from then on jobs are asked for one at a time."""
    fake.answer_next(wrapped(data))
    client = AceClient(fake.url)
    taken = client.submit(RECIPE)
    assert (taken.task_id, taken.ended, client.one_at_a_time) == (task_id, ended, ended)
    assert (taken.report and taken.report.detail) == detail


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"success": False, "message": "no GPU"}, "no GPU"),
        ({"status": "error", "message": "no GPU"}, "no GPU"),
        ({"status": "failed", "error": {"message": "no GPU"}}, "no GPU"),
        ({"ok": False, "data": None, "msg": "no GPU"}, "no GPU"),
        ({"data": {"status": "error", "message": "no GPU"}, "code": 200}, "no GPU"),
        ({"code": 200, "data": {"success": False, "detail": "no GPU"}}, "no GPU"),
    ],
)
def test_why_no_job_was_taken_is_told_in_the_servers_words(fake: FakeAcestep, reply: object, words: str) -> None:
    """Also where it says so under HTTP 200, in a form of its own."""
    fake.answer_next(text(200, json.dumps(reply)))
    with pytest.raises(ServerTrouble, match=words):
        AceClient(fake.url).submit(RECIPE)


@pytest.mark.parametrize(
    "reply",
    [
        text(429, '{"detail": "Server busy: queue is full"}'),
        text(409, '{"detail": "another job is running"}'),
        text(423, ""),
        text(503, '{"detail": "Server busy: queue is full"}', "application/json"),
        text(503, '{"error": "At capacity, try again later"}', "application/json"),
        text(503, '{"message": "too many jobs"}', "application/json"),
        wrapped(None, 503, "queue is full"),
        wrapped(None, 409, "busy"),
    ],
)
def test_a_server_without_room_for_a_job_may_say_so_by_several_statuses(fake: FakeAcestep, reply: Any) -> None:
    """It surely took none; that is no refusal of what was asked for."""
    fake.answer_next(reply)
    with pytest.raises(ServerBusy, match=r"queue full.*HTTP"):
        AceClient(fake.url).submit(RECIPE)


def test_one_that_loads_or_is_behind_a_gateway_is_not_full(fake: FakeAcestep) -> None:
    """What we asked for may have been done then."""
    for reply in (text(503, '{"detail": "Model loading"}'), text(503, "Service busy", "text/html")):
        fake.answer_next(reply)
        with pytest.raises(ServerTrouble) as caught:
            AceClient(fake.url).submit(RECIPE)
        assert caught.value.arrived


def test_a_file_that_is_not_given_is_no_fault_of_the_key(fake: FakeAcestep, tmp_path: Path) -> None:
    """acestep-api answers 403 for a place on its disk that it does not serve, and the other link may be served."""
    client = AceClient(fake.url, KEY)
    (file,) = client.poll([client.submit(RECIPE).task_id]).popitem()[1].files
    denied = text(403, '{"detail": "Access denied: path outside allowed directory"}', "application/json")
    fake.answer_next(denied, 2, route="/v1/audio")
    with pytest.raises(ServerRefused, match=r"does not give.*Access denied") as caught:
        client.download(AudioFile("/v1/audio?path=x"), tmp_path / "a")
    assert not isinstance(caught.value, KeyRefused)
    assert client.download(AudioFile("/v1/audio?path=x", otherwise=file.url), tmp_path / "a") > 1000


@pytest.mark.parametrize("place", ["https://music.example/api/release_task", "/login?next=%2F"])
def test_where_a_server_sends_us_is_told(fake: FakeAcestep, place: str) -> None:
    """So that a person can set it, or see that it is a login."""
    fake.answer_next(Reply(308, headers={"Location": place}))
    with pytest.raises(ServerRefused, match="elsewhere") as caught:
        AceClient(fake.url).submit(RECIPE)
    assert place in str(caught.value)


def test_a_model_that_is_not_loaded_is_said_with_the_remedy(fake: FakeAcestep) -> None:
    """The Gradio app before somebody pressed the button: not a failed job."""
    fake.answer_next(text(500, '{"detail": "DiT model not initialized"}', "application/json"))
    with pytest.raises(ServerRefused, match=r"Initialize Service.*--init_service"):
        AceClient(fake.url).submit(RECIPE)


# --- who is one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"status": "ok"}, {"status": "healthy", "x": 1}, {"status": True}, {"ok": 1}])
def test_health_may_be_worded_otherwise(fake: FakeAcestep, data: object) -> None:
    """What counts is that it can be asked for jobs."""
    fake.answer_next(wrapped(data), route="/health")
    AceClient(fake.url).health()


@pytest.mark.parametrize("reply", [text(404, "{}"), text(405, ""), text(200, "OK"), text(200, "<html>")])
def test_a_server_without_health_is_one_where_it_knows_jobs(fake: FakeAcestep, reply: Any) -> None:
    """And none where it does not."""
    fake.answer_next(reply, 9, route="/health")
    AceClient(fake.url).health()
    fake.answer_next(text(200, "<html>"), 9, route="/query_result")
    with pytest.raises((ServerRefused, ServerNonsense)):
        AceClient(fake.url).health()


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_that_cannot_be_polled_is_never_asked_for_a_job(fake: FakeAcestep, status: int) -> None:
    """It would work for nobody; the remedy is said."""
    fake.answer_next(text(status, ""), 99, route="/query_result")
    with pytest.raises(ServerUnsupported, match=r"knows no /query_result.*--enable-api"):
        AceClient(fake.url).health()
    assert fake.submits == []


# --- where it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "link"),
    [
        ("http://127.0.0.1:8001", "http://localhost:8001/v1/a?b"),
        ("http://localhost:8001", "http://127.0.0.1:8001/v1/a?b"),
        ("http://localhost:8001", "http://[::1]:8001/v1/a?b"),
        ("http://127.0.0.1:8001", "http://0.0.0.0:8001/v1/a?b"),
        ("http://127.0.0.1:8001", f"http://{socket.gethostname()}:8001/v1/a?b"),
        ("http://gpubox:8001", "http://127.0.0.1:8001/v1/a?b"),
        ("http://gpubox:8001", "http://GPUBOX.:8001/v1/a?b"),
        ("http://gpubox", "http://localhost:80/v1/a?b"),
    ],
)
def test_a_link_by_another_name_of_the_same_machine_is_fetched_at_ours(ours: str, link: str) -> None:
    """The server may know itself by another name; the request goes where every other goes."""
    assert AceClient(ours)._http.resolve(link) == f"{ours}/v1/a?b"


@pytest.mark.parametrize("origin", ["", "http://gpubox", "http://GPUBOX:80", "http://localhost"])
@pytest.mark.parametrize("path", ["", "/music", "/music/ace", "/v1", "/m%C3%BCsik"])
def test_a_link_is_found_behind_a_proxys_path_whether_or_not_the_server_knows_of_it(path: str, origin: str) -> None:
    """Some proxies take their path away and tell nobody, others tell the server, which puts it before its links."""
    channel = AceClient(f"http://gpubox{path}/")._http
    for link in ("/v1/audio?path=%2Fa", f"{path}/v1/audio?path=%2Fa"):
        assert channel.resolve(origin + link) == f"http://gpubox{path}/v1/audio?path=%2Fa"
    assert channel.resolve(f"{origin}/musical/a") == f"http://gpubox{path}/musical/a"
    spelt = AceClient("http://gpubox/m\N{LATIN SMALL LETTER U WITH DIAERESIS}sik")._http.resolve(
        f"{origin}/m%c3%bcsik/a"
    )
    assert spelt == "http://gpubox/m%c3%bcsik/a"


@pytest.mark.parametrize("link", ["http://other:8001/a", "http://localhost:8002/a", "https://localhost:8001/a"])
def test_a_link_to_another_server_can_never_be_fetched(link: str, tmp_path: Path) -> None:
    """It is final, and no request is made."""
    with pytest.raises(ServerUnsupported, match="not fetched") as caught:
        AceClient("http://127.0.0.1:8001").download(AudioFile(link), tmp_path / "a")
    assert caught.value.is_final


def test_a_body_without_end_is_final(fake: FakeAcestep, tmp_path: Path) -> None:
    """It would be as long the next time."""
    fake.audio = lambda index, seconds: bytes(2_000_000)
    client = AceClient(fake.url, max_file_bytes=1_000_000)
    (file,) = client.poll([client.submit(RECIPE).task_id]).popitem()[1].files
    with pytest.raises(ServerTrouble, match="more than") as caught:
        client.download(file, tmp_path / "a")
    assert caught.value.is_final


# --- what the generator makes of it ---------------------------------------------------------------------------------


def test_a_server_that_answers_nobody_at_work_gets_one_job_at_a_time() -> None:
    """The next is asked for when the music of the one before is fetched."""
    board = Board(Settings(), lambda _: None)
    job = board.add(Job("a", RECIPE, 0.0), 0.0)
    board.observe({"a": JobReport("a", JobState.SUCCEEDED, files=(AudioFile("x"),))}, 5.0)
    assert board.has_room()
    assert not board.has_room(alone=True)
    board.leave(job)
    assert board.has_room(alone=True)


class Elsewhere(ScriptedServer):
    """Its results point to another host."""

    def download(self, file: AudioFile, destination: Path) -> int:
        """Refuse as the client does."""
        self.calls.append((self.now(), "download"))
        raise ServerUnsupported("a result points elsewhere: not fetched")


def test_a_server_whose_music_cannot_be_fetched_is_named_once_and_left_alone(tmp_path: Path) -> None:
    """In an hour it makes a handful of jobs, not thousands, and is said once."""
    with contextlib.closing(SimClock()) as clock:
        run = Session(tmp_path, clock, server=Elsewhere(lambda: 0.0))
        run.start()
        run.listen(3600.0)
        assert run.end()
    assert 1 <= len(run.server.asked) <= 12
    assert run.notices.keys == ["server.up", "server.wrong"]


def test_a_job_that_failed_before_the_answer_is_judged_like_any_other(fake: FakeAcestep, tmp_path: Path) -> None:
    """With the server's reason; it is not polled for."""
    fake.answer_next(wrapped({"task_id": "a", "status": "failed", "error": "no VRAM"}), route="/release_task")
    clock, notices = FakeClock(), Notices(FakeClock())
    client = AceClient(fake.url, timeouts=Timeouts(submit_s=5.0))
    loop = GeneratorLoop(
        Settings(acestep_api_url=fake.url, engine="acestep", segment_seconds=10.0), [client],
        cast("Spool", MemoryStore(tmp_path)), Mood(STATION), Run(clock, notices),
    )  # fmt: skip
    assert len(loop.produce_one()) == 1
    assert [notice.args for notice in notices.recent() if notice.key == "job.failed"] == [
        (("reason", said("quote", words="no VRAM")),)
    ]
    assert all("a" not in request.body["task_id_list"] for request in fake.asked("/query_result"))


@pytest.mark.parametrize("key", [KEY, "wrong"])
def test_the_check_tries_the_key_also_where_there_are_no_counts(fake: FakeAcestep, key: str) -> None:
    """The Gradio app has no /v1/stats; its list of models wants the key too."""
    fake.api_key = KEY
    fake.answer_next(text(404, '{"detail": "Not Found"}', "application/json"), 9, route="/v1/stats")
    asked = Settings(acestep_api_url=fake.url, acestep_api_key=key, engine="acestep")
    findings = examine(asked, FakeClock(), Lines(io.StringIO(), "en"), None)
    found = {finding.subject: finding.said.key for finding in findings}
    assert found["key"] == ("check.key.ok" if key == KEY else "call.refuses_key")
