"""The generator: what it asks for, how it waits, what it does when something fails, in line and in threads."""

from __future__ import annotations

import gc
import statistics
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ace_client import AceClient, AudioFile, JobState
from base.errors import KeyRefused, ServerBusy, ServerError, ServerRefused, ServerTrouble, ServerUnreachable, SpoolError
from base.notices import Notices
from doubles.fake_acestep import FakeAcestep
from doubles.scripted_server import CORRUPT, EMPTY, FAILS, GOOD, HANGS, ScriptedServer
from doubles.simulated_time import FakeClock, SimClock
from doubles.sounds import there
from generation.calls import Run, Stopped
from generation.jobs import Job, Standing
from generator_loop import GeneratorLoop
from music.segment import Recipe
from music.stations import Mood, builtin_stations
from spool.spool import Spool
from spool.state_files import JobsFile
from whole.generator_session import DEFAULTS, Session, session

Make = Callable[..., Session]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a session in line."""
    return lambda **levers: session(tmp_path, **levers)


@pytest.fixture
def remembering(tmp_path: Path) -> Make:
    """Make a session in line that remembers its jobs for the next run."""
    return lambda **levers: session(tmp_path, jobs_file=tmp_path / "jobs.json", **levers)


POLL_S = DEFAULTS.poll_interval_sec


def durations(run: Session) -> list[float]:
    """Return the durations asked for."""
    return [job.recipe.duration_s for job in run.server.asked]


# A job that goes well


def test_a_job_becomes_a_segment_with_all_that_is_known_of_it(make: Make) -> None:
    """An entry carries recipe, seed, engine, measurements and times."""
    run = make(speed=0.3, poll_interval_sec=0.5)
    [entry] = run.loop.produce_one()
    info = entry.info
    assert info is not None
    assert entry.shelf == "ready"
    assert (info.engine, info.seed, info.recipe.prompt) == ("acestep", "42", "prompt 1 of mood 0")
    assert info.audible_s == 24.0
    assert info.generation_s == pytest.approx(9.0, abs=0.5)
    assert info.server_wait_s == pytest.approx(0.0, abs=0.5)
    assert info.created_at.endswith("+00:00")


@pytest.mark.parametrize("target", [1, 2, 3, 5])
def test_a_full_queue_asks_for_nothing(make: Make, target: int) -> None:
    """Ready and in flight stay at PREFETCH_TARGET."""
    run = make(prefetch_target=target)
    assert run.produce(target + 3) == target
    assert len(run.server.asked) == target


def test_dead_tails_are_made_up_for_by_one_segment_more(make: Make) -> None:
    """The target counts in audible seconds too."""
    run = make(prefetch_target=3, tail_s=14.0, segment_max_seconds=30.0)
    assert run.produce(8) == 4


def test_every_file_of_a_job_is_used(make: Make) -> None:
    """BATCH_SIZE files a job are as many segments, and are counted as such in flight."""
    run = make(batch_size=2, files_per_job=2, prefetch_target=3)
    assert run.produce(5) == 4
    assert len(run.server.asked) == 2


def test_polls_come_sooner_near_the_end(make: Make) -> None:
    """A slow poll interval does not delay a result whose end is foreseeable."""
    run = make(poll_interval_sec=10.0, speed=0.5)
    [entry] = run.loop.produce_one()
    assert entry.info is not None
    assert entry.info.generation_s is not None
    assert entry.info.generation_s < 17.5
    assert len(run.server.times_of("poll")) < 6


@pytest.mark.parametrize(("newer", "most_s"), [(True, 0.5), (False, 1.5)])
@pytest.mark.parametrize("job_s", [0.9, 4.6, 8.0, 27.1])
def test_what_is_finished_is_seen_soon(make: Make, newer: bool, most_s: float, job_s: float) -> None:
    """Within half a second (median) where progress is told, and within a poll where it is not."""
    run, late_s = make(newer=newer, speed=job_s / 30.0, prefetch_target=20, segment_max_seconds=30.0), []
    for _ in range(9):
        run.produce(1)
        late_s.append(run.clock.now() - run.server.free_at)
    assert sorted(late_s)[4] <= most_s


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize(("before_s", "job_s"), [(2.5, 1.0), (8.0, 3.0), (1.0, 4.0)])
def test_a_server_that_changes_its_speed_is_soon_asked_in_time(
    make: Make, newer: bool, before_s: float, job_s: float
) -> None:
    """After ten jobs what is finished is seen as soon as ever."""
    run, late_s = make(newer=newer, speed=before_s / 30.0, prefetch_target=20, segment_max_seconds=30.0), []
    run.produce(6)
    run.server.speed = job_s / 30.0
    for _ in range(14):
        run.produce(1)
        late_s.append(run.clock.now() - run.server.free_at)
    assert sorted(late_s[9:])[2] <= 0.5


def test_the_factor_is_learned_without_the_first_job(make: Make) -> None:
    """The first job loads models and says nothing of the speed; the factor is per audible second."""
    run = make(first_job_extra_s=200.0, poll_interval_sec=0.2, prefetch_target=5)
    run.produce(1)
    assert run.loop.snapshot().factor is None
    run.produce(3)
    assert run.loop.snapshot().factor == pytest.approx(9.0 / 24.0, rel=0.1)


# Longer where the speed allows


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9])
def test_pieces_grow_where_the_speed_allows(in_threads: Make, factor: float) -> None:
    """An hour with 24 s of 30 to hear: it begins as ever, most pieces are of a minute, and the queue is never at 0."""
    run = in_threads(speed=0.8 * factor)
    depths: list[int] = []
    take = run.store.play
    run.store.play = lambda: (depths.append(len(run.store.ready())), take())[1]  # type: ignore[method-assign, func-returns-value]
    run.listen(3600.0)
    assert durations(run)[:3] == [30.0] * 3
    assert max(durations(run)) == 60.0
    assert statistics.median(durations(run)) == 60.0
    assert run.silent_s == 0.0
    assert min(depths[depths.index(3) :] if 3 in depths else depths[20:]) >= 1


def test_a_server_that_slows_down_is_asked_for_less(in_threads: Make) -> None:
    """Before the queue suffers the jobs are as short as they began."""
    run = in_threads(speed=0.1, segment_max_seconds=120.0)
    run.listen(600.0)
    assert durations(run)[-1] == 120.0
    run.server.speed = 1.5
    run.listen(1500.0)
    assert set(durations(run)[-3:]) == {30.0}


def test_a_longer_job_that_fails_is_asked_for_at_the_full_length(in_threads: Make) -> None:
    """A GPU too small for more than 30 s costs a try now and then, is no failure to speak of, and nothing is said."""
    run = in_threads(fails_above_s=30.0)
    run.listen(3600.0)
    assert run.silent_s == 0.0
    assert run.said("job.shorter") == run.said("job.no_thinking") == 0
    failed = [job for job in run.server.asked if job.fate == FAILS]
    assert {job.recipe.duration_s for job in failed} == {60.0}
    assert len(failed) < len(run.server.asked) / 10


def test_a_limit_as_long_as_the_segment_asks_for_nothing_else(in_threads: Make) -> None:
    """SEGMENT_MAX_SECONDS=30 is as it was."""
    run = in_threads(segment_max_seconds=30.0)
    run.listen(900.0)
    assert set(durations(run)) == {30.0}


# Failed jobs


def test_a_failed_job_is_asked_for_again_under_the_same_conditions(make: Make) -> None:
    """MAX_RETRY more tries with the same recipe, but for the seed; a success without a file is a failure too."""
    run = make(max_retry=2)
    run.server.next_fates(FAILS, EMPTY, GOOD)
    assert run.produce() == 1
    first = run.server.asked[0].recipe
    assert {(replace(job.recipe, seed=first.seed), job.thinking) for job in run.server.asked} == {(first, True)}
    assert len({job.recipe.seed for job in run.server.asked}) == 3
    assert run.recipes == 1
    assert run.loop.snapshot().failures == run.said("job.failed") == 2


def test_repeated_failures_go_down_the_ladder_and_success_climbs_back(make: Make) -> None:
    """30 s, then once without thinking, then 20 s, then 10 s; the next job begins at the full length again."""
    run = make(max_retry=1, prefetch_target=9)
    run.server.next_fates(*[FAILS] * 6)
    assert run.produce(3) == 3
    assert durations(run) == [30, 30, 30, 20, 20, 20, 10, 30, 30]
    assert [job.thinking for job in run.server.asked] == [True, True, False] * 2 + [True] * 3
    assert run.said("job.shorter") == 0, "one job that worked at 10 s is no proof"


def test_what_is_too_long_is_concluded_from_proofs_and_taken_back_aloud(make: Make) -> None:
    """Two jobs that fail at 30 s and work at 20 s settle it; it is tried again, and one success takes it back."""
    run = make(max_retry=2, prefetch_target=30, fails_above_s=20.0)
    assert run.produce(2) == 2
    assert durations(run) == [30, 30, 30, 30, 20] * 2
    assert run.said("job.shorter") == 1
    assert run.loop.snapshot().duration_s == 20.0
    run.produce(5)
    assert durations(run)[10:] == [20, 20, 20, 20, 30, 20], "tried again after four successes"
    run.server.fails_above_s = 600.0
    run.produce(9)
    assert durations(run)[16:] == [20] * 7 + [30] * 2, "then after eight"
    assert run.said("job.longer") == 1


@pytest.mark.parametrize("max_retry", [0, 2])
def test_chance_proves_nothing(make: Make, max_retry: int) -> None:
    """Where every second job fails, nothing is held against the language model or the length for long."""
    run = make(max_retry=max_retry, prefetch_target=300, fail_rate=0.5)
    run.produce(200)
    assert run.said("job.no_thinking") + run.said("job.shorter") <= 1
    assert sum(job.thinking and job.recipe.duration_s == 30.0 for job in run.server.asked) > 150


@pytest.mark.parametrize(
    ("segment_s", "rungs"),
    [
        (20.0, [20.0, 10.0]),
        (25.0, [25.0, 20.0, 10.0]),
        (30.0, [30.0, 20.0, 10.0]),
        (60.0, [60.0, 20.0, 10.0]),
        (90.0, [90.0, 60.0, 20.0, 10.0]),
    ],
)
def test_the_ladder_only_gets_shorter(make: Make, segment_s: float, rungs: list[float]) -> None:
    """Rungs that are no shorter than SEGMENT_SECONDS are left out; THINKING=false never asks for thinking."""
    run = make(segment_seconds=segment_s, max_retry=0, thinking=False)
    run.server.next_fates(*[FAILS] * (len(rungs) - 1))
    run.produce()
    assert durations(run) == rungs
    assert not any(job.thinking for job in run.server.asked)


def test_a_climb_that_fails_again_and_again_is_tried_less_often(make: Make) -> None:
    """Where 30 s never work, most jobs are asked for at 20 s."""
    run = make(prefetch_target=1, fails_above_s=20.0)
    for _ in range(30):
        run.produce()
        run.store.play()
    assert sum(job.recipe.duration_s == 30.0 for job in run.server.asked) <= 6 * 4
    assert len(run.store.added) == 30


def test_after_the_ladders_end_one_try_a_minute_for_ever(make: Make) -> None:
    """An out-of-memory loop is tried at most once a minute, said once, and ends with the first success."""
    run = make(max_retry=1, fails_above_s=5.0)
    run.at(7200.0, run.stop.set)
    with pytest.raises(Stopped):
        run.produce()
    rare = [job.at for job in run.server.asked if job.at > 120.0]
    assert all(later - earlier >= 59.0 for earlier, later in pairwise(rare))
    assert 100 <= len(rare) <= 120
    assert run.said("job.rarely") == 1
    run.stop.clear()
    run.server.fails_above_s = 600.0
    assert run.produce(2) == 2


def test_without_a_language_model_thinking_is_given_up_and_said_once(make: Make) -> None:
    """5Hz LM init failed: three jobs that work only without settle that, at the full duration."""
    run = make(lm_init_fails=True, max_retry=2, prefetch_target=5)
    assert run.produce(4) == 4
    assert [job.thinking for job in run.server.asked] == [True, True, True, False] * 3 + [False]
    assert set(durations(run)) == {30.0}
    assert run.said("job.no_thinking") == 1


def test_thinking_is_tried_again_and_taken_back_aloud(make: Make) -> None:
    """After four successes without, one job tries with it; one success is enough."""
    run = make(lm_init_fails=True, max_retry=2, prefetch_target=30)
    run.produce(3)
    run.server.lm_init_fails = False
    assert run.produce(6) == 6
    assert [job.thinking for job in run.server.asked][12:] == [False] * 4 + [True] * 2
    assert run.said("job.thinking") == 1


def test_a_restarted_server_may_think_again(make: Make) -> None:
    """What failed for a process that is gone is tried again."""
    run = make(lm_init_fails=True, max_retry=2, prefetch_target=9)
    run.produce(4)
    assert [job.thinking for job in run.server.asked[-2:]] == [False, False]
    run.server.lm_init_fails = False
    run.server.restart(20.0)
    assert run.produce(2) == 2
    assert run.server.asked[-1].thinking
    assert run.said("job.thinking") == 1


# Files


def test_a_corrupt_file_is_a_failed_try(make: Make) -> None:
    """It is counted, its reason is said, nothing of it is left, and the job is asked for again."""
    run = make()
    run.server.next_fates(CORRUPT, GOOD)
    assert run.produce() == 1
    snapshot = run.loop.snapshot()
    assert (snapshot.rejected, snapshot.failures, snapshot.produced) == (1, 1, 1)
    assert run.said("segment.rejected") == 1
    assert list(run.folder.iterdir()) == []


def test_files_that_are_lost_again_and_again_are_said_once_and_blamed_on_nobody(make: Make) -> None:
    """Only names and numbers differ in the reasons; no job is judged by it, and the tries become rarer."""
    run = make(speed=0.0)
    calls = run.server.calls
    run.server.trouble = lambda name: (
        ServerRefused(f"no file /tmp/{len(calls)}.wav", status=404) if name == "download" else None
    )
    run.at(120.0, lambda: setattr(run.server, "trouble", lambda name: None))
    assert run.produce() == 1
    assert run.notices.keys == ["server.up", "segment.rejected"]
    assert set(durations(run)) == {30.0}
    assert 5 <= len(run.server.asked) <= 12
    assert run.loop.snapshot().failures == 0


def test_what_the_server_says_of_a_failure_is_shown(make: Make) -> None:
    """Newer servers give the error; the same one is said once until a job works."""
    run = make(max_retry=3)
    run.server.reason = "Insufficient free VRAM: 1.5 GiB"
    run.server.next_fates(FAILS, FAILS, GOOD, FAILS, GOOD)
    assert run.produce(2) == 2
    told = [dict(notice.args)["reason"] for notice in run.notices.recent() if notice.key == "job.failed"]
    assert set(map(str, told)) == {"Insufficient free VRAM: 1.5 GiB"}
    assert run.said("job.failed") == 2


def test_one_bad_file_does_not_spoil_the_others(make: Make) -> None:
    """What is good of a job is used, and the job counts as done."""
    run = make(files_per_job=3, batch_size=3, speed=0.0)
    run.server.call_faults |= dict.fromkeys(range(4, 8), lambda: ServerRefused("no longer there", status=404))
    assert run.produce() == 2
    assert run.loop.snapshot().rejected == 1
    assert len(run.server.asked) == 1


@pytest.mark.parametrize("late_s", [0.1, 1.0, 3.0])
def test_a_file_that_is_there_a_little_after_its_job_is_waited_for(make: Make, late_s: float) -> None:
    """Some servers say that a job is done before they have written its file: nothing is made twice, or said."""
    run = make(late_files_s=late_s, files_per_job=2, batch_size=2)
    run.at(120.0, run.stop.set)
    assert run.produce() == 2
    assert [job.downloads for job in run.server.asked] == [2]
    assert len(run.server.times_of("download")) <= 6
    assert run.notices.keys == ["server.up"]


@pytest.mark.parametrize("retry_after_s", [None, 60.0])
@pytest.mark.parametrize("speed", [0.02, 0.3])
def test_a_server_with_room_for_one_job_is_no_busy_one(
    in_threads: Make, speed: float, retry_after_s: float | None
) -> None:
    """What it is asked for beside our own job comes as soon as that has ended: no line, no pause, few requests."""
    run = in_threads(room=1, speed=speed, retry_after_s=retry_after_s)
    run.listen(1800.0)
    assert run.end()
    assert run.notices.keys == ["server.up"]
    assert run.silent_s == 0.0
    made = len(run.server.asked)
    assert {job.downloads for job in run.server.asked[:-2]} == {1}
    assert len(run.server.times_of("submit")) <= 2 * made + 1
    assert len(run.server.times_of("health")) <= made + 5


@pytest.mark.parametrize("speed", [0.02, 0.3])
def test_an_end_of_ours_comes_before_the_wait_that_a_server_asks_for(in_threads: Make, speed: float) -> None:
    """Also where it has room for one job and does not say that this is why it fails."""
    run = in_threads(room=1, speed=speed, full=ServerTrouble, retry_after_s=60.0)
    run.listen(1800.0)
    assert run.end()
    assert run.silent_s == 0.0


def test_between_two_tries_of_a_submit_nobody_looks_every_second(in_threads: Make) -> None:
    """Nothing is under way then that could have been lost."""
    run = in_threads(busy=True, retry_after_s=60.0)
    run.listen(600.0)
    assert len(run.server.calls) <= 60


def test_a_server_that_says_when_it_will_be_well_is_not_asked_before(make: Make) -> None:
    """Also where the submit may have arrived."""
    run = make()
    run.server.trouble = lambda name: ServerTrouble("HTTP 503", retry_after_s=90.0) if name == "submit" else None
    run.stop_at(600.0)
    assert len(run.server.times_of("submit")) <= 8


def test_polls_wait_as_long_as_the_server_asks(make: Make) -> None:
    """A limit of requests is kept, and nothing is lost by it."""
    run = make()
    limited = ServerTrouble("HTTP 429", retry_after_s=40.0)
    run.server.trouble = lambda name: limited if name == "poll" else None
    run.at(120.0, lambda: setattr(run.server, "trouble", lambda name: None))
    assert run.produce() == 1
    assert len(run.server.times_of("poll")) <= 6
    assert len(run.server.asked) == 1


def test_a_download_that_breaks_off_is_repeated(make: Make) -> None:
    """A finished job's file is fetched again, not generated again."""
    run = make(newer=False, speed=0.0)
    run.server.call_faults |= dict.fromkeys((4, 5), lambda: ServerTrouble("broken off"))
    assert run.produce() == 1
    assert len(run.server.asked) == 1


def test_a_file_outlives_a_server_that_goes_away_before_the_download(make: Make) -> None:
    """An unreachable server delays the download and loses nothing."""
    run = make(speed=0.0)

    def go_away() -> ServerError:
        run.server.away.append((run.clock.now(), run.clock.now() + 400.0))
        return ServerUnreachable("gone")

    run.server.call_faults[4] = go_away
    assert run.produce() == 1
    assert run.server.calls[3][1] == "download"
    assert len(run.server.asked) == 1
    assert run.clock.now() > 400.0


def test_a_disk_that_refuses_is_said_and_survived(make: Make) -> None:
    """SpoolError is no failure of the server."""
    run = make(prefetch_target=2)
    run.store.refuse_next = 1
    assert run.produce(3) == 2
    assert run.said("segment.unstored") == 1
    assert run.loop.snapshot().failures == 0
    first, second, _ = run.server.asked
    assert second.at - first.at >= 9.0 + 10.0, "a broken disk is no reason to keep the GPU busy"


def test_a_download_that_the_disk_refuses_is_tried_once_more(make: Make) -> None:
    """The spool may have found room elsewhere; the music is not generated again."""
    run = make(speed=0.0)
    original, refusing = run.server.download, [True]

    def download(*args: Any) -> int:
        if refusing:
            refusing.pop()
            raise SpoolError("no space left")
        return original(*args)

    run.server.download = download  # type: ignore[method-assign, assignment]
    assert run.produce() == 1
    assert len(run.server.asked) == 1
    assert run.said("segment.unstored") == 0


# Calls that fail


def test_of_an_error_only_its_words_are_held(make: Make) -> None:
    """By its traceback hang the connection, and the music that was uploaded."""
    run, errors, held = make(), list["weakref.ref[ServerError]"](), list[ServerError | None]()

    def trouble(name: str) -> ServerError | None:
        if name != "poll" or run.clock.now() > 60.0:
            return None
        error = ServerTrouble("HTTP 500")
        errors.append(weakref.ref(error))
        return error

    def look() -> None:
        gc.collect()
        assert run.loop.snapshot().server_reason
        held.extend(error() for error in errors)

    run.server.trouble = trouble
    run.at(55.0, look)
    assert run.produce() == 1
    assert held
    assert not any(held)


def test_a_submit_that_may_have_arrived_is_not_repeated_before_the_counts_are_known(make: Make) -> None:
    """Health and counts come before another submit; nothing was at work, so it is asked for anew, and not blamed."""
    run = make()
    run.server.call_faults[2] = lambda: ServerTrouble("time-out")
    assert run.produce() == 1
    names = [name for _, name in run.server.calls]
    assert names[:6] == ["health", "submit", "health", "stats", "stats", "submit"]
    assert run.loop.snapshot().failures == 0


def test_a_job_that_we_cannot_name_is_waited_for(make: Make) -> None:
    """The answer to a submit was lost on the way: the next comes when the server has nothing of it left to do."""
    run = make(speed=0.9)
    run.server.lose_answers = 1
    assert run.produce() == 1
    first, second = run.server.asked
    assert second.at - first.at >= first.needs_s
    assert run.notices.keys == ["server.up"]


def test_a_strangers_jobs_do_not_hold_us_up_for_ever(make: Make) -> None:
    """When as many jobs have ended as there were, ours was among them, whatever others have asked for since."""
    run = make(speed=1.0)
    run.server.lose_answers = 1
    for number in range(60):
        run.at(25.0 * number, lambda: run.server.foreign_job(30.0))
    assert run.produce() == 1
    first, second = run.server.asked
    assert 30.0 <= second.at - first.at <= 100.0


def test_a_deaf_server_costs_at_most_one_job(in_threads: Make) -> None:
    """Nobody answers for 150 s while the models load: one submit is under way at a time, and it is said."""
    run = in_threads(prefetch_target=3)
    run.server.deaf_s, run.server.deaf_until_s = 30.0, 150.0
    run.listen(300.0)
    assert run.warnings() == ["server.silent"]
    assert run.said("server.up") == 1
    assert [job.downloads for job in run.server.asked[1:4]] == [1, 1, 1]
    assert sum(job.downloads == 0 for job in run.server.asked if job.state is JobState.SUCCEEDED) <= 1


def test_a_submit_that_is_never_answered_keeps_the_others_a_minute(
    in_threads: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all else is answered meanwhile, something between may have swallowed it."""
    run = in_threads()
    run.listen(60.0)
    submit, once, before = run.server.submit, [1200.0], len(run.server.asked)

    def swallowed_once(recipe: Recipe, **how: Any) -> object:
        if once:
            run.clock.wait(run.stop, once.pop())
            raise ServerTrouble("no answer")
        return submit(recipe, **how)

    monkeypatch.setattr(run.server, "submit", swallowed_once)
    run.listen(300.0)
    assert not once
    assert len(run.server.asked) > before


def test_a_submit_that_surely_did_not_arrive_is_repeated(make: Make) -> None:
    """429 backs off, more and more, and is no failure of the job."""
    run = make(busy=True)
    run.at(300.0, lambda: setattr(run.server, "busy", False))
    assert run.produce() == 1
    times = run.server.times_of("submit")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[:5] == sorted(gaps[:5])
    assert max(gaps) <= 30.0
    assert len(times) < 40
    assert run.loop.snapshot().failures == 0
    assert run.said("server.busy") == 1


def test_a_long_wait_that_the_server_asks_for_is_told_at_once(make: Make) -> None:
    """Minutes in which nothing can be asked for are worth a line before they are over."""
    run = make()
    full = ServerBusy("HTTP 429", retry_after_s=86_400.0)
    run.server.trouble = lambda name: full if name == "submit" else None
    run.stop_at(60.0)
    assert run.warnings() == ["server.busy"]


def test_while_submits_fail_nothing_is_promised_and_the_server_is_asked_calmly(in_threads: Make) -> None:
    """That /health answers in between is no good news; it is asked for once a second at most, whoever waits."""
    run = in_threads()
    run.server.trouble = lambda name: ServerTrouble("HTTP 500") if name == "submit" else None
    run.listen(300.0)
    assert run.said("server.up") == 0
    probes = run.server.times_of("health")
    assert len(probes) < 300.0
    run.server.trouble = lambda name: None
    run.listen(120.0)
    assert run.said("server.up") == 1


def test_polls_that_fail_mean_nothing_for_a_job(make: Make) -> None:
    """A minute of HTTP 500 on every poll leaves the job alone."""
    run = make(speed=0.3)
    run.server.call_faults |= dict.fromkeys(range(3, 12), lambda: ServerTrouble("HTTP 500"))
    assert run.produce() == 1
    assert len(run.server.asked) == 1
    assert run.loop.snapshot().failures == 0


def test_a_job_of_which_nothing_is_heard_for_too_long_is_given_up(make: Make) -> None:
    """Polls that fail for ever do not hold the generator up for ever."""
    run = make(first_job_timeout_sec=60.0, job_timeout_sec=30.0, prefetch_target=2)
    run.produce()
    failing = range(len(run.server.calls) + 2, len(run.server.calls) + 40)
    run.server.call_faults |= dict.fromkeys(failing, lambda: ServerTrouble("HTTP 500"))
    run.produce()
    assert len(run.server.asked) >= 3
    assert run.said("job.hung") == 0, "it is the polls that fail"
    assert run.said("server.unwell") == 1


# The server goes away and comes back


def test_no_server_is_said_once_and_probed_calmly(make: Make) -> None:
    """/health is probed with capped back-off, and one line tells that it is gone, one that it is back."""
    run = make()
    run.server.away.append((0.0, 3600.0))
    assert run.produce() == 1
    probes = run.server.times_of("health")
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert max(gaps) <= 10.0
    assert sum(gaps) / len(gaps) >= 5.0
    assert len(set(gaps)) > len(gaps) / 2, "no jitter"
    assert run.notices.keys == ["server.down", "server.up"]


def test_engine_auto_takes_a_missing_server_as_normal(make: Make) -> None:
    """With ENGINE=auto one calm line says that the built-in engine plays."""
    run = make(engine="auto")
    run.server.away.append((0.0, 100.0))
    run.produce()
    assert run.said("server.absent") == 1
    assert run.warnings() == []


def test_a_server_that_goes_later_is_a_warning_with_engine_auto_too(make: Make) -> None:
    """Once it was there, its absence is worth a warning, and the remedy."""
    run = make(engine="auto")
    run.produce()
    run.server.away.append((run.clock.now(), run.clock.now() + 60.0))
    run.produce()
    assert run.said("server.down") == 1
    assert run.said("server.up") == 2


def test_a_job_survives_an_outage_of_the_network(make: Make) -> None:
    """The id is kept, and polled again when the server answers; the time without it is not held against the job."""
    run = make(job_timeout_sec=120.0, stall_sec=60.0)
    run.produce()
    run.server.speed = 3.0
    began = run.clock.now()
    run.server.away.append((began + 10.0, began + 70.0))
    run.server.away.append((began + 75.0, began + 500.0))
    run.server.no_stats = True
    run.server.next_fates(HANGS)
    run.at(began + 550.0, run.server.stop_hanging)
    assert run.produce() == 1
    assert len(run.server.asked) == 2
    assert run.loop.snapshot().lost == 0


@pytest.mark.parametrize("newer", [True, False])
def test_jobs_of_a_killed_server_are_asked_for_again(make: Make, newer: bool) -> None:
    """A lost job is said once and asked for again under the same conditions, and does not count as a failure."""
    run = make(max_retry=0, newer=newer, speed=0.5)
    run.at(6.0, lambda: run.server.restart(30.0))
    assert run.produce() == 1
    first, second = run.server.asked
    assert (first.recipe, first.thinking) == (second.recipe, second.thinking)
    assert second.at < 60.0, "a stale row was believed"
    snapshot = run.loop.snapshot()
    assert (snapshot.lost, snapshot.failures) == (1, 0)
    assert run.said("job.lost") == 1


def test_a_restart_between_two_polls_is_seen_in_the_counts(make: Make) -> None:
    """A server with nothing to do has lost the jobs that it shows as running."""
    run = make(speed=1.0)
    run.at(10.2, lambda: run.server.restart(0.0))
    assert run.produce() == 1
    assert run.server.asked[1].at < 45.0


def test_a_server_without_counts_is_waited_for(make: Make) -> None:
    """A missing /v1/stats loses no job."""
    run = make(speed=2.0, newer=False, no_stats=True)
    assert run.produce() == 1
    assert len(run.server.asked) == 1


def test_a_server_that_forgets_at_once_is_not_flooded(make: Make) -> None:
    """Jobs lost again and again are asked for at growing intervals."""
    run = make(forgets_at_once=True)
    run.at(600.0, run.stop.set)
    with pytest.raises(Stopped):
        run.produce()
    assert len(run.server.asked) < 50


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_once_and_tried_again_calmly(make: Make, status: int) -> None:
    """One message with the remedy, then a look every 30 s, and on it goes when the key is accepted."""
    run = make(refuses=status)
    run.at(900.0, lambda: setattr(run.server, "refuses", None))
    assert run.produce() == 1
    assert run.warnings() == ["server.key_refused"]
    assert 25 <= len(run.server.times_of("stats")) <= 35
    assert len(run.server.times_of("submit")) <= 3
    assert run.notices.keys == ["server.key_refused", "server.up"]


def test_a_refused_request_is_not_repeated_unchanged(make: Make) -> None:
    """HTTP 422 is said once and looked at every 30 s."""
    run = make()
    run.server.call_faults |= dict.fromkeys(range(2, 40), lambda: ServerRefused("no (HTTP 422)", status=422))
    assert run.produce() == 1
    assert run.warnings() == ["server.refused"]
    assert run.clock.now() > 300.0


# Jobs that stand still


def test_a_job_that_stands_still_is_given_up_after_stall_sec(make: Make) -> None:
    """No change of progress for STALL_SEC while it runs; what hung is still used should it end."""
    run = make(stall_sec=60.0, prefetch_target=3)
    run.produce()
    run.server.next_fates(HANGS)
    began = run.clock.now()
    run.at(began + 300.0, run.server.stop_hanging)
    assert run.produce() == 1
    assert run.said("job.hung") == 1
    assert 60.0 <= run.server.asked[2].at - began <= 70.0
    assert [job.downloads for job in run.server.asked] == [1, 1, 1], "the hung job's music was lost"


def test_the_first_job_may_stand_still_while_models_load(make: Make) -> None:
    """A first job of 15 minutes is waited for, and said once."""
    run = make(first_job_extra_s=900.0, newer=False)
    run.at(100.0, lambda: states.append(run.loop.snapshot().server))
    states: list[str] = []
    assert run.produce() == 1
    assert len(run.server.asked) == 1
    assert states == ["loading"]
    assert run.loop.snapshot().server == "up"
    assert run.said("server.loading") == 1


def test_the_first_job_has_a_deadline_too(make: Make) -> None:
    """FIRST_JOB_TIMEOUT_SEC ends the wait for a first job that never ends."""
    run = make(first_job_timeout_sec=600.0)
    run.server.next_fates(HANGS)
    run.at(700.0, run.server.stop_hanging)
    run.produce()
    assert 600.0 <= run.server.asked[1].at <= 615.0


def test_without_progress_the_learned_speed_sets_the_deadline(make: Make) -> None:
    """On an older server a job that takes ten times as long as the others is dead, before JOB_TIMEOUT_SEC."""
    run = make(newer=False, stall_sec=60.0, job_timeout_sec=3600.0, speed=0.3, prefetch_target=5)
    run.produce(3)
    run.server.next_fates(HANGS)
    began = run.clock.now()
    run.at(began + 150.0, run.server.stop_hanging)
    run.produce()
    assert 60.0 <= run.server.asked[4].at - began <= 110.0


def test_a_job_that_moves_slowly_ends_at_the_deadline(make: Make) -> None:
    """JOB_TIMEOUT_SEC holds for a job that shows progress, and its music is used when it ends all the same."""
    run = make(job_timeout_sec=200.0, prefetch_target=2)
    run.produce()
    run.server.speed = 10.0
    run.at(run.clock.now() + 250.0, lambda: setattr(run.server, "speed", 0.3))
    run.produce()
    assert len(run.server.asked) >= 3
    assert run.server.asked[1].downloads == 1


# What a person wants meanwhile


def test_what_was_asked_for_in_an_older_mood_goes_to_the_library(make: Make) -> None:
    """Music of the mood before is kept, but not played next."""
    run = make()
    run.at(4.0, lambda: setattr(run, "mood", 1))
    assert run.produce() == 1
    assert [entry.shelf for entry in run.store.added] == ["played"]
    run.produce()
    assert run.store.added[-1].shelf == "ready"


def test_a_failed_job_of_an_older_mood_is_not_asked_for_again(make: Make) -> None:
    """The next try would be for music that is no longer wanted."""
    run = make()
    run.server.next_fates(FAILS)
    run.at(4.0, lambda: setattr(run, "mood", 1))
    assert run.produce() == 0
    run.produce()
    assert run.server.asked[-1].recipe.prompt.endswith("mood 1")


def test_resting_asks_for_nothing(make: Make) -> None:
    """In a break nothing is generated; afterwards it goes on."""
    run = make()
    run.loop.set_resting(True)
    assert run.produce(3) == 0
    assert run.server.asked == []
    run.loop.set_resting(False)
    assert run.produce() == 1


@pytest.mark.parametrize("mode", ({"engine": "builtin"}, {"play_library": True}))
def test_who_wants_no_server_leaves_it_alone(make: Make, mode: dict[str, Any]) -> None:
    """ENGINE=builtin and --play-library make no call and start no thread; the screen does not say so for hours."""
    run = make(**mode)
    before = threading.active_count()
    run.loop.start()
    assert threading.active_count() == before
    assert run.server.calls == []
    assert run.loop.snapshot().server == "off"
    assert run.loop.join(0.0)


# The real parts together


def test_the_real_client_spool_and_ingest_work_together(tmp_path: Path) -> None:
    """Against the HTTP double: two segments with all their metadata stand in the spool, and nothing in incoming/."""
    clock = FakeClock()
    notices = Notices(clock)
    spool = Spool(tmp_path / "spool", 100.0, notices, clock)
    spool.open()
    settings = replace(DEFAULTS, segment_seconds=20.0, prefetch_target=2)
    with FakeAcestep(now=clock.now, speed=0.3) as server:
        client = AceClient(server.url, clock=clock)
        loop = GeneratorLoop(settings, [client], spool, Mood(builtin_stations()[0]), Run(clock, notices))
        for _ in range(4):
            loop.produce_one()
        client.close()
    infos = [entry.info for entry in spool.ready()]
    assert [info.recipe.duration_s for info in infos if info] == [20.0, 20.0]
    assert all(info and info.audible_s > 15.0 and info.seed for info in infos)
    seeds = [info.recipe.seed for info in infos if info]
    assert [(body["seed"], body["use_random_seed"]) for body in server.submits] == [(seed, False) for seed in seeds]
    assert len(set(seeds)) == 2
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []
    assert loop.snapshot().factor == pytest.approx(0.3, rel=0.4)
    spool.close()


# From one run to the next


@pytest.mark.parametrize("ended_meanwhile", [True, False])
def test_jobs_left_at_the_server_are_taken_over(remembering: Make, ended_meanwhile: bool) -> None:
    """A run that was killed leaves a job; the next one uses it instead of queueing behind it."""
    run = remembering(prefetch_target=1, speed=0.5)
    run.stop_at(3.0)
    if ended_meanwhile:
        run.clock.wait(run.stop, 60.0)
    while not run.store.added:
        run.produce()
        run.clock.wait(run.stop, 1.0)
    run.produce(3)
    assert len(run.server.asked) == 1
    assert run.server.asked[0].downloads == 1
    run.next_run()
    run.produce(3)
    assert len(run.store.added) == 1, "used twice"


def test_a_job_that_is_done_as_the_program_stops_is_left_for_the_next_run(remembering: Make) -> None:
    """A download that the stop breaks off is made up for at the next start."""
    run = remembering(prefetch_target=1, speed=0.0)

    def stop_now() -> ServerError:
        run.stop.set()
        return ServerTrouble("broken off")

    run.server.call_faults[4] = stop_now
    with pytest.raises(Stopped):
        run.produce()
    assert run.server.calls[3][1] == "download"
    run.next_run()
    run.produce(2)
    assert len(run.server.asked) == 1
    assert len(run.store.added) == 1


def test_jobs_that_the_server_lost_meanwhile_are_forgotten_silently(remembering: Make) -> None:
    """Nothing is said of jobs of an earlier run that are gone."""
    run = remembering()
    run.stop_at(3.0)
    run.server.newer = False
    run.server.restart(1.0)
    run.clock.wait(run.stop, 2.0)
    assert run.produce() == 1
    assert run.said("job.lost") == 0
    assert run.loop.snapshot().lost == 0


def test_a_segment_stored_just_before_a_kill_is_not_stored_twice(remembering: Make) -> None:
    """The id of a segment follows from its job, and one that is there is not taken in again."""
    run = remembering(prefetch_target=1)
    file, remembered, original = there(run.jobs_file), list[str](), run.store.add

    def add(*args: Any, **more: Any) -> Any:
        remembered.append(file.read_text("utf-8"))
        return original(*args, **more)

    run.store.add = add  # type: ignore[method-assign]
    run.produce()
    file.write_text(remembered[0], "utf-8")
    run.next_run()
    run.produce(2)
    assert len(run.store.added) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "[" * 100_000, '{"url": 3}', '{"url": "http://127.0.0.1:8001", "jobs": [{}]}']
)
def test_a_jobs_file_that_makes_no_sense_is_ignored(remembering: Make, content: str) -> None:
    """Whatever stands in it, the program starts."""
    run = remembering()
    there(run.jobs_file).write_text(content, "utf-8")
    run.next_run()
    assert run.produce() == 1


def test_a_jobs_file_that_cannot_be_written_changes_nothing(make: Make, tmp_path: Path) -> None:
    """It is a comfort, not a need."""
    run = make(jobs_file=tmp_path / "no" / "such" / "folder" / "jobs.json")
    assert run.produce() == 1


# The end


class StoppingClock(FakeClock):
    """Sets the stop event in the n-th wait."""

    def __init__(self, stop_in: int) -> None:
        super().__init__()
        self.stop_in = stop_in
        self.stop = threading.Event()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if len(self.waited_s) + 1 == self.stop_in:
            self.stop.set()
            self.waited_s.append(timeout_s)
            return event.is_set()
        assert not self.stop.is_set(), "waited on after the stop"
        return super().wait(event, timeout_s)


def trouble_of_every_kind(run: Session) -> None:
    """Make a short session wait in every way there is."""
    run.server.away += [(0.0, 30.0), (40.0, 60.0)]
    run.server.next_fates(FAILS, CORRUPT, GOOD)
    run.server.call_faults |= {9: lambda: ServerBusy("full"), 15: lambda: ServerTrouble("broken")}


def test_every_wait_ends_at_once_when_the_program_stops(tmp_path: Path) -> None:
    """Whatever it waits for, the generator leaves at the stop event without another wait."""
    whole = session(tmp_path)
    trouble_of_every_kind(whole)
    whole.produce()
    waits = len(whole.clock.waited_s)  # type: ignore[union-attr]
    assert waits > 20
    for number in range(1, waits + 1):
        clock = StoppingClock(number)
        run = session(tmp_path, clock=clock, stop=clock.stop)
        trouble_of_every_kind(run)
        with pytest.raises(Stopped):
            run.produce()


# In threads


def test_two_jobs_stand_at_the_server_while_the_queue_is_low(in_threads: Make) -> None:
    """Its single worker never idles, and nothing is wasted when the queue is full."""
    run = in_threads(prefetch_target=3)
    at_work: list[int] = []
    run.listen(20.0, lambda: at_work.append(run.server.at_work))
    assert at_work[2:15].count(2) >= 10
    run.listen(600.0)
    assert run.silent_s == 0.0
    assert run.most_ahead <= 3
    assert len(run.server.asked) <= 620 / 24 + 4


def test_one_poll_asks_for_the_jobs_of_both_workers(in_threads: Make) -> None:
    """The number of polls does not grow with the number of jobs."""
    run = in_threads(poll_interval_sec=1.5, speed=2.0)
    run.listen(100.0)
    assert {len(ids) for ids in run.server.polled_ids} >= {2}
    assert len(run.server.polled_ids) <= 100 / 1.5 * 1.3


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("job_s", [1.5, 3.0, 8.0, 20.0])
@pytest.mark.parametrize("heard_s", [9.0, 24.0])
def test_no_more_is_asked_than_at_a_steady_pace(in_threads: Make, newer: bool, job_s: float, heard_s: float) -> None:
    """With a full queue all requests are no more than submits, downloads, and polls at POLL_INTERVAL_SEC.

    Those see an end half an interval late on average.
    """
    run = in_threads(newer=newer, speed=job_s / 30, segment_max_seconds=30.0, tail_s=30.0 - heard_s, prefetch_target=2)
    run.listen(120.0)
    calls, jobs = len(run.server.calls), len(run.server.asked)
    run.listen(1200.0)
    jobs = len(run.server.asked) - jobs
    assert jobs >= min(1150 / heard_s, 1150 / job_s) - 1
    assert len(run.server.calls) - calls <= jobs * (job_s / POLL_S + 0.5 + 2)


@pytest.mark.parametrize("server", ["up", "away"])
def test_workers_that_wait_look_by_turns(in_threads: Make, server: str) -> None:
    """With a full queue, or without a server, all of them together wake little more than once a second."""
    run = in_threads()
    assert isinstance(run.clock, SimClock)
    run.clock.run_for(120.0)
    if server == "away":
        run.server.restart(3600.0)
        run.clock.run_for(60.0)
    switches = run.clock.switches
    run.clock.run_for(600.0)
    assert run.clock.switches - switches <= 600 * 1.3


def test_what_is_taken_from_the_queue_is_soon_asked_for(in_threads: Make) -> None:
    """All that is missing, one job after the other, whoever looked when the first was taken."""
    run = in_threads(prefetch_target=3, segment_max_seconds=30.0)
    assert isinstance(run.clock, SimClock)
    run.clock.run_for(120.0)
    for _ in range(20):
        asked, now = len(run.server.asked), run.clock.now()
        run.store.play()
        run.store.play()
        run.clock.run_for(60.0)
        assert [job.at - now <= 2.5 for job in run.server.asked[asked:]] == [True, True]


def test_who_brings_in_what_nobody_waits_for_keeps_nobody_from_asking(
    in_threads: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken from the queue during a long download is soon asked for by another worker."""
    run = in_threads(prefetch_target=3, segment_max_seconds=30.0)
    assert isinstance(run.clock, SimClock)
    download, board, recipe = run.server.download, run.loop._servers[0].board, Recipe("lofi", "beats", 30.0)
    downloads: list[float] = []

    def slowly(file: AudioFile, destination: Path) -> int:
        downloads.append(run.clock.now())
        run.clock.wait(run.stop, 8.0)
        return download(file, destination)

    run.clock.run_for(120.0)
    for _ in range(5):
        left = Job(run.server.submit(recipe).task_id, recipe, run.clock.now(), standing=Standing.LEFT)
        monkeypatch.setattr(run.server, "download", slowly)
        board.add(left, left.asked_at)
        downloads.clear()
        while not downloads:
            run.clock.run_for(0.5)
        asked, now = len(run.server.asked), run.clock.now()
        while run.store.play():
            pass
        run.clock.run_for(2.5)
        assert len(run.server.asked) > asked, now
        monkeypatch.setattr(run.server, "download", download)
        run.clock.run_for(120.0)


def test_a_one_slot_queue_is_never_overfilled(in_threads: Make) -> None:
    """With PREFETCH_TARGET=1 one job at a time is asked for, by whichever worker is free."""
    run = in_threads(prefetch_target=1, tail_s=0.0)
    run.listen(900.0)
    assert run.most_ahead == 1
    assert run.silent_s == 0.0


def test_a_job_behind_a_hung_one_is_not_given_up(in_threads: Make) -> None:
    """Only the hung job counts as hung; behind it nothing piles up, and when it ends all is used."""
    run = in_threads(stall_sec=60.0, prefetch_target=3)
    run.listen(60.0)
    run.server.next_fates(HANGS)
    run.listen(1500.0)
    assert run.said("job.hung") == 1
    assert run.server.at_work <= 4
    asked = len(run.server.asked)
    run.server.stop_hanging()
    run.listen(120.0)
    assert len(run.server.asked) > asked
    assert all(job.downloads == 1 for job in run.server.asked[:asked])


@pytest.mark.parametrize("newer", [True, False])
def test_a_hung_server_is_healed_by_its_restart(in_threads: Make, newer: bool) -> None:
    """After the restart the hung job is out of the way, and music comes again within a minute."""
    run = in_threads(stall_sec=60.0, newer=newer)
    run.listen(60.0)
    run.server.next_fates(*[HANGS] * 3)
    run.listen(2000.0)
    before = len(run.store.added)
    run.server.restart(20.0)
    run.server._fates.clear()
    run.listen(80.0)
    assert len(run.store.added) >= before + 2


def test_a_server_killed_every_two_minutes_keeps_the_queue_filled(in_threads: Make) -> None:
    """An hour of it: the queue never runs dry after the first segment, and no job is given up as hung."""
    run = in_threads()
    for _ in range(30):
        run.listen(115.0)
        run.server.restart(5.0)
        run.listen(5.0)
    assert run.silent_s == 0.0
    assert run.said("job.hung") == 0


@pytest.mark.parametrize(("target", "listened_s"), [(2, 45.5), (3, 48.9)])
def test_all_workers_end_with_the_program_while_the_server_is_away(
    in_threads: Make, target: int, listened_s: float
) -> None:
    """Those too that rest while another one waits for the server: who made `run` sees that they ended."""
    run = in_threads(prefetch_target=target)
    run.listen(listened_s)
    run.server.restart(60.0)
    run.listen(3.0)


def test_a_restart_is_seen_through_at_once(in_threads: Make) -> None:
    """The stale row of the job that ran is not believed for as long as the stall rule would."""
    run = in_threads(speed=1.0)
    run.listen(40.0)
    assert len(run.server.asked) == 3
    run.server.restart(5.0)
    run.listen(17.0)
    assert len(run.server.asked) == 5


def test_one_worker_probes_for_both(in_threads: Make) -> None:
    """While the server is away its /health is asked for by one thread only, and one line tells of it."""
    run = in_threads()
    run.listen(60.0)
    probes = len(run.server.times_of("health"))
    run.server.away.append((run.clock.now(), run.clock.now() + 1000.0))
    run.listen(1100.0)
    assert 100 <= len(run.server.times_of("health")) - probes <= 150
    assert run.warnings() == ["server.down"]


def test_several_files_a_job_are_counted_in_flight(in_threads: Make) -> None:
    """With BATCH_SIZE=3 and PREFETCH_TARGET=3 one job at a time is enough."""
    run = in_threads(batch_size=3, files_per_job=3, prefetch_target=3, tail_s=0.0)
    busy: list[int] = []
    run.listen(600.0, lambda: busy.append(run.server.at_work))
    assert max(busy) == 1
    assert run.silent_s == 0.0


@pytest.mark.parametrize("seed", (0, 1, *(pytest.param(seed, marks=pytest.mark.virtual) for seed in range(2, 6))))
@pytest.mark.parametrize("target", [1, 3])
def test_random_faults_of_all_kinds_lose_nothing(in_threads: Make, seed: int, target: int) -> None:
    """Failures, hangs, corrupt files, call errors and restarts together: what was made well is stored once."""
    run = in_threads(
        seed, prefetch_target=target, fail_rate=0.2, hang_rate=0.03, corrupt_rate=0.05, error_rate=0.1,
        newer=seed % 2 == 0, stall_sec=60.0,
    )  # fmt: skip
    for _ in range(8):
        run.listen(900.0)
        run.server.restart(20.0)
    run.server.fail_rate = run.server.hang_rate = run.server.error_rate = run.server.corrupt_rate = 0.0
    run.server.restart(5.0)
    before = len(run.store.added)
    run.listen(300.0)
    assert run.most_ahead <= target + 4  # hung jobs that ended after all come on top
    assert before > 50  # a job in 33 blocks the server until it is restarted
    assert sum(entry.info.audible_s for entry in run.store.added[before:] if entry.info) >= 8 * 24.0
    keys = [entry.key for entry in run.store.added]
    assert len(keys) == len(set(keys))
    finished = [
        job for job in run.server.asked if job.downloads == 0 and job.fate == GOOD and job.state is JobState.SUCCEEDED
    ]
    answered = {task_id for ids in run.server.polled_ids for task_id in ids}
    assert [job.task_id for job in finished if job.task_id in answered][:-2] == []
    assert list(run.folder.iterdir()) == []


def test_the_same_seed_gives_the_same_run(in_threads: Make) -> None:
    """A failing seed can be replayed."""

    def trace(seed: int) -> list[tuple[float, str]]:
        run = in_threads(seed, fail_rate=0.3, error_rate=0.1)
        run.listen(600.0)
        return run.server.calls

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


ERRORS: tuple[Callable[[], ServerError], ...] = (
    lambda: ServerUnreachable("nothing listens"),
    lambda: ServerTrouble("HTTP 500"),
    lambda: ServerBusy("HTTP 429"),
    lambda: ServerRefused("HTTP 404", status=404),
    lambda: KeyRefused("HTTP 401", status=401),
)


@pytest.mark.parametrize("target", [1, 3])
@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.virtual) for turn in range(1, 5))])
def test_any_single_call_may_fail(in_threads: Make, turn: int, target: int) -> None:
    """For every call of a short session, in one way a turn: the session goes on, and nothing that was made is lost."""
    number = 0
    while True:
        number += 1
        run = in_threads(prefetch_target=target, poll_interval_sec=5.0)
        run.server.call_faults[number] = ERRORS[(number + turn) % len(ERRORS)]
        run.listen(150.0)
        assert run.end()
        assert len(run.store.added) >= 3, f"call {number} ({run.server.calls[number - 1][1]}) stopped the music"
        spoiled = [job.task_id for job in run.server.asked if job.downloads != 1 and job.state is JobState.SUCCEEDED]
        assert len(spoiled) <= 1, f"call {number} lost {spoiled}"
        if number >= 24:
            return


def test_a_bug_in_what_the_generator_is_given_is_survived(in_threads: Make) -> None:
    """An exception nobody foresaw is counted, and the worker starts again with nothing left behind."""
    run = in_threads()
    original, failing = run.next_recipe, [True] * 5

    def next_recipe(duration_s: float) -> Recipe:
        if failing:
            failing.pop()
            raise ZeroDivisionError
        return original(duration_s)

    run.next_recipe = next_recipe  # type: ignore[method-assign]
    run.listen(120.0)
    assert len(run.store.added) >= 3
    assert run.most_ahead <= 4


def test_moods_change_while_jobs_are_under_way(in_threads: Make) -> None:
    """Music of the new mood is asked for at once, and that of the old one is kept for the library."""
    run = in_threads(prefetch_target=3)
    run.listen(13.0)
    old = len(run.server.asked)
    run.mood = 1
    run.listen(25.0)
    assert run.server.asked[old].recipe.prompt.endswith("mood 1")
    ready = [entry.info.recipe.prompt for entry in run.store.added if entry.info and entry.shelf == "ready"]
    library = [entry.info.recipe.prompt for entry in run.store.added if entry.info and entry.shelf == "played"]
    assert all(prompt.endswith("mood 0") for prompt in library)
    assert library
    assert ready[-1].endswith("mood 1")


# Several servers

URLS = "http://one:8001,http://two:8001"


def two_servers(in_threads: Make, **levers: Any) -> tuple[Session, ScriptedServer]:
    """Start a session with a second server like the first."""
    other = ScriptedServer(lambda: 0.0, seed=1, speed=levers.get("speed", 0.3))
    return in_threads(acestep_api_url=URLS, others=[other], segment_max_seconds=30.0, **levers), other


def test_two_servers_make_nearly_twice_the_music(in_threads: Make, tmp_path: Path) -> None:
    """Where one is too slow, both are kept at work."""
    (tmp_path / "two").mkdir()
    one = in_threads(speed=2.0, segment_max_seconds=30.0)
    two, _ = two_servers(in_threads, speed=2.0, folder=tmp_path / "two")
    made = []
    for run in (one, two):
        run.listen(7200.0)
        made.append(sum(entry.info.audible_s for entry in run.store.added if entry.info))
    assert made[1] >= 1.9 * made[0]


def test_the_faster_of_two_servers_is_asked_first(in_threads: Make) -> None:
    """With time for everything the slow one gets next to nothing; each file is fetched where it was made."""
    run, slow = two_servers(in_threads, speed=0.1)
    slow.speed = 0.5
    run.listen(3600.0)
    assert len(slow.asked) < len(run.server.asked) / 4
    assert all(job.downloads == 1 for server in (run.server, slow) for job in server.asked[:-2])
    assert run.silent_s == 0.0


@pytest.mark.parametrize("first_dies", [True, False])
def test_a_server_that_dies_costs_nothing_but_speed(in_threads: Make, first_dies: bool) -> None:
    """The other keeps the queue filled; the dead one is said once, comes back, and takes part again."""
    run, other = two_servers(in_threads, prefetch_target=1, speed=0.5)
    dies, stays = (run.server, other) if first_dies else (other, run.server)
    run.listen(300.0)
    dies.away.append((run.clock.now(), run.clock.now() + 1800.0))
    run.listen(1800.0)
    assert run.silent_s == 0.0
    assert run.said("server.down") == 1
    assert run.loop.snapshot().server == "up"
    assert str(run.loop.snapshot().server_reason).startswith("1/2 · ")
    stays.speed = 3.0
    before = len(dies.asked)
    run.listen(600.0)
    assert len(dies.asked) > before
    assert str(run.loop.snapshot().server_reason) == "2/2"


def test_a_server_that_fails_at_everything_keeps_no_slot_from_the_other(in_threads: Make) -> None:
    """The queue is filled by the one that works."""
    run, other = two_servers(in_threads, prefetch_target=1, speed=0.5)
    other.fail_rate = 1.0
    run.listen(5400.0)
    assert run.loop.snapshot().factor == pytest.approx(0.625, rel=0.2)
    assert run.silent_s == 0.0


def test_jobs_are_taken_over_from_the_server_where_they_are(make: Make, tmp_path: Path) -> None:
    """The file names the server of each job; what is known of one outlives what is written of others."""
    file = JobsFile(tmp_path / "jobs.json")
    recipe = Recipe("lofi", "calm", 30.0)
    file.save("http://one:8001", lambda: [("a", recipe)])
    file.save("http://two:8001", lambda: [("b", recipe)])
    again = JobsFile(tmp_path / "jobs.json")
    assert again.load("http://two:8001") == [("b", recipe)]
    again.save("http://two:8001", list)
    assert JobsFile(tmp_path / "jobs.json").load("http://one:8001") == [("a", recipe)]
    assert JobsFile(tmp_path / "jobs.json").load("http://two:8001") == []
