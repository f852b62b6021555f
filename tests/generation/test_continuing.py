"""Which segments are continued, at which server, and when a server is asked for no more continuations."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from base.notices import Notices
from config import Settings
from doubles.scripted_server import NO_SOUND, Asked, MemoryStore, ScriptedServer
from doubles.simulated_time import FakeClock
from doubles.sounds import info
from generation.continuing import Chain
from generation.polling import JobServer
from music.continuing import Continuing
from music.segment import Continuation, Piece, SegmentInfo, Source
from server.replies import JobState
from spool.spool import Spool
from whole.generator_session import Session, session
from whole.scales import TinyJoints

URLS = "http://a:1,http://b:2"


Running = Callable[..., tuple[Session, list[ScriptedServer]]]


@pytest.fixture
def running(in_threads: Callable[..., Session]) -> Running:
    """Start a session in which every piece goes on, with one server or two; levers are those of the first."""

    def start(servers: int = 1, **levers: Any) -> tuple[Session, list[ScriptedServer]]:
        others = [ScriptedServer(lambda: 0.0, seed=9, speed=0.3) for _ in range(servers - 1)]
        if others:
            levers["acestep_api_url"] = URLS
        run = in_threads(continuing="on", others=others, **levers)
        return run, [run.server, *others]

    return start


def continued(server: ScriptedServer) -> list[Asked]:
    """Return the jobs of a server that continue something."""
    return [job for job in server.asked if job.recipe.continues]


def test_the_piece_that_is_heard_goes_on_before_the_next_one(tmp_path: Path) -> None:
    """Though the beginning of the next is longer in the queue than what continues this one."""
    store, continuing, notices = MemoryStore(tmp_path), Continuing(always=True), Notices(FakeClock())
    more = replace(info(key="more"), continues=Continuation("heard", 0, 0, "heard", 20.0, -23.0, -10.0, 0.0))
    for one in (info(key="next"), more):
        store.add(NO_SOUND, one)
    continuing.playing = lambda: Piece(NO_SOUND, Source.FRESH, "heard", info(key="heard"))
    chain = Chain(Settings(), continuing, cast("Spool", store), notices, TinyJoints())
    home = cast("JobServer", SimpleNamespace(url="http://a:1", is_promising=True))
    chain.homes = [home]
    assert chain.next(home) is more


def test_a_segment_that_cannot_be_read_any_more_ends_its_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for on its account; another piece is begun."""
    run = session(tmp_path, continuing="on")
    monkeypatch.setattr(run.store, "find", lambda _: None)
    assert [run.produce() for _ in range(3)] == [1, 0, 1]
    assert not continued(run.server)


def test_a_piece_goes_on_segment_by_segment_and_then_another_begins(running: Running) -> None:
    """Each continues the one before it, until PIECE_MINUTES are over; while one goes on, the next has begun."""
    run, _ = running(piece_minutes=2.0)
    run.listen(1200.0)
    pieces: dict[str, list[SegmentInfo]] = {}
    for entry in run.store.added:
        assert entry.info is not None
        pieces.setdefault(entry.info.piece_id, []).append(entry.info)
    lasted_s = [parts[-1].begins_s + parts[-1].audible_s for parts in pieces.values()]
    whole = [seconds for seconds in lasted_s[:-1] if seconds >= 120.0]
    assert len(whole) >= 3
    assert max(lasted_s) < 120.0 + 60.0
    for parts in pieces.values():
        follows = [part.continues.segment_id if part.continues else None for part in parts]
        assert follows == [None, *(part.segment_id for part in parts[:-1])]
    assert run.silent_s == 0.0


@pytest.mark.parametrize("status", [415, 500])
def test_a_server_that_takes_no_upload_does_not_keep_the_other_from_it(status: int, running: Running) -> None:
    """It is said once, of that server; the other goes on with every piece, and both make music."""
    run, (refusing, other) = running(servers=2, speed=0.05, refuse_uploads=status)
    run.listen(1200.0)
    assert run.said("chain.refused") == 1
    assert run.continuing.possible
    assert not continued(refusing)
    assert len(continued(other)) >= 10
    assert len(refusing.asked) >= 3
    assert run.silent_s == 0.0


def test_what_no_server_can_do_is_given_up(running: Running) -> None:
    """Said of each; nothing goes on in this session."""
    run, servers = running(servers=2)
    for server in servers:
        server.refuse_uploads = 415
    run.listen(600.0)
    assert run.said("chain.refused") == 2
    assert not run.continuing.possible
    assert run.silent_s == 0.0


def test_a_server_that_fails_at_every_continuation_is_asked_for_no_more(running: Running) -> None:
    """After a few, between which other jobs worked; the music goes on, and it is said once."""
    run, _ = running(repaints_fail=True)
    run.listen(1800.0)
    assert run.said("chain.unable") == 1
    assert len(continued(run.server)) <= 6
    assert not run.continuing.possible
    assert run.silent_s <= 10.0


def test_where_every_job_fails_nothing_is_held_against_continuations(running: Running) -> None:
    """After a quarter of an hour without a job that works, pieces go on again."""
    run, _ = running()
    run.listen(200.0)
    run.server.fail_rate = 1.0
    run.listen(900.0)
    run.server.fail_rate, before = 0.0, len(continued(run.server))
    run.listen(1200.0)
    assert run.said("chain.unable") == 0
    assert len(continued(run.server)) > before + 5


def test_a_server_that_dies_of_every_continuation_is_asked_for_no_more(running: Running) -> None:
    """As on a small GPU, where it runs out of memory: the job is lost, and the server comes back without it."""
    run, _ = running()

    def die() -> None:
        if any(job.state is JobState.RUNNING and not job.stale for job in continued(run.server)):
            run.server.restart(10.0)

    run.listen(1800.0, die)
    assert run.said("chain.unable") == 1
    assert len(continued(run.server)) <= 20


def test_a_piece_goes_on_at_the_other_server_while_one_is_away(running: Running) -> None:
    """And at the first again when that is back, though the other was at it meanwhile."""
    run, (fast, slow) = running(servers=2, speed=0.05)
    fast.away.append((300.0, 600.0))
    run.listen(300.0)
    counts = [(len(continued(fast)), len(continued(slow)))]
    for _ in range(2):
        run.listen(300.0)
        counts.append((len(continued(fast)), len(continued(slow))))
    assert counts[0][0] >= 3
    assert counts[1][1] > counts[0][1] + 3
    assert counts[2][0] > counts[1][0] + 3


def test_one_that_could_go_on_but_is_away_keeps_no_slot_from_the_other(running: Running) -> None:
    """The queue is filled with pieces of their own meanwhile."""
    run, (_, other) = running(servers=2, refuse_uploads=415)
    other.away.append((300.0, 1200.0))
    depths: list[int] = []
    run.listen(600.0)
    run.listen(500.0, lambda: depths.append(len(run.store.ready())))
    assert sorted(depths)[len(depths) // 2] >= run.settings.prefetch_target
    assert run.silent_s == 0.0


def test_a_continuation_that_was_under_way_is_joined_by_the_next_run(running: Running, tmp_path: Path) -> None:
    """The file of jobs knows what each continues."""
    run, (server,) = running(jobs_file=tmp_path / "jobs.json", speed=0.5)
    run.listen(300.0)
    while not (pending := [job for job in continued(server) if job.state is JobState.RUNNING]):
        run.listen(1.0)
    before = {entry.key for entry in run.store.added}
    assert run.end()
    run.listen(60.0)
    run.stop = threading.Event()
    run.loop = run.new_loop()
    run.start()
    run.listen(30.0)
    adopted = [entry.info for entry in run.store.added if entry.key not in before and entry.info]
    place = pending[0].recipe.continues
    assert place is not None
    assert place.segment_id in {info.continues.segment_id for info in adopted if info.continues}


def test_a_server_that_others_restart_is_not_taken_for_one_that_cannot(running: Running) -> None:
    """Every two minutes or so, for three hours: it is lost over other jobs too."""
    run, (server,) = running(speed=0.3)
    rng = random.Random(5)
    for _ in range(90):
        run.listen(rng.uniform(40.0, 200.0))
        server.restart(10.0)
    assert run.said("chain.unable") == 0
    assert len(continued(server)) >= 30
