"""The board of the jobs at a server: polls, and which job is taken for dead."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from ace_client import AudioFile, JobReport, JobState
from config import Settings
from generation.jobs import MOST_AT_SERVER, Board, Job, Standing
from music.segment import Recipe

RECIPE = Recipe("lofi", "calm", 30.0)
SETTINGS = Settings(poll_interval_sec=1.5, job_timeout_sec=300.0, first_job_timeout_sec=1200.0, stall_sec=120.0)


def new_board() -> Board:
    """Make an empty board."""
    return Board(SETTINGS, lambda _: None)


def ask(board: Board, task_id: str, now: float = 0.0, mood: int = 0) -> Job:
    """Ask the server."""
    return board.add(Job(task_id, RECIPE, now, mood=mood), now)


def inherit(board: Board, task_id: str) -> Job:
    """Take over a job of an earlier run."""
    return board.add(Job(task_id, RECIPE, 1.0, standing=Standing.LEFT, inherited=True), 1.0)


def running(task_id: str, progress: float | None = None, stage: str = "") -> dict[str, JobReport]:
    """Report that a job runs."""
    return {task_id: JobReport(task_id, JobState.RUNNING, progress, stage)}


def test_jobs_do_not_pile_up_behind_hung_ones() -> None:
    """There is room for a few at the server; what was given up before an outage is no longer there."""
    board = new_board()
    for number in range(MOST_AT_SERVER):
        assert board.has_room()
        board.abandon(ask(board, f"{number}", now=float(number)))
    assert not board.has_room()
    board.server_away(5.0, 20.0)
    assert board.has_room()


def test_an_id_belongs_to_the_job_that_got_it_last() -> None:
    """A server that was restarted may count anew: what it says of an id is not told of two jobs."""
    board = new_board()
    hung, running_one = ask(board, "1"), ask(board, "2")
    board.abandon(hung)
    ask(board, "1", now=5.0), ask(board, "2", now=6.0)
    done = JobReport("", JobState.SUCCEEDED, files=(AudioFile("/a"),))
    board.observe({"1": done, "2": done}, 9.0)
    assert [job.state for job in (hung, running_one)] == [JobState.LOST, JobState.LOST]
    assert board.take_finished(9.0, cold=False) is None


def test_music_that_was_not_brought_in_is_known_to_the_next_run() -> None:
    """While it is fetched, another job may be asked for, and the program be killed then."""
    board = new_board()
    for task_id in "abc":
        ask(board, task_id)
    done, failed = JobReport("a", JobState.SUCCEEDED, files=(AudioFile("/a"),)), JobReport("b", JobState.FAILED)
    board.observe({"a": done, "b": failed}, 9.0)
    assert [task_id for task_id, _ in board.persistent()] == ["a", "c"]


def test_one_poll_at_a_time() -> None:
    """While a poll is under way, nobody else gets ids; an ended one frees the turn, however it ended."""
    board = new_board()
    ask(board, "a")
    assert board.begin_poll(5.0) == ["a"]
    assert board.begin_poll(50.0) == []
    board.end_poll(50.0, 3.0)
    assert board.begin_poll(52.0) == []
    assert board.begin_poll(53.0) == ["a"]
    board.observe(running("a"), 53.0)
    board.end_poll(53.0, 100.0)
    assert board.begin_poll(54.6) == ["a"]


def test_who_waits_without_a_job_looks_a_few_times_a_second() -> None:
    """While another is not answered, or told to wait: the last poll's time is long past, which is no reason to spin."""
    assert new_board().until_poll_s(1000.0) == SETTINGS.poll_interval_sec / 5


def test_a_job_of_which_no_poll_tells_is_dead_in_the_end() -> None:
    """Without a word for longer than a job may take, even one that waits behind another is given up."""
    board = new_board()
    ask(board, "a")
    behind = ask(board, "b", now=1.0)
    assert board.overdue_reason(behind, 300.0, cold=False) is None
    assert "no word" in str(board.overdue_reason(behind, 302.0, cold=False))
    assert board.overdue_reason(behind, 302.0, cold=True) is None


def test_a_job_behind_another_waits_without_limit() -> None:
    """Its time starts when the one ahead of it ends."""
    board = new_board()
    ask(board, "a")
    behind = ask(board, "b", now=1.0)
    for now in range(2, 5000, 50):
        board.observe(running("a") | running("b"), float(now))
        assert board.overdue_reason(behind, float(now), cold=False) is None
    board.observe({"a": JobReport("a", JobState.FAILED)} | running("b"), 5000.0)
    board.observe(running("b"), 5290.0)
    assert board.overdue_reason(behind, 5290.0, cold=False) is None
    board.observe(running("b"), 5305.0)
    assert "not done" in str(board.overdue_reason(behind, 5305.0, cold=False))


def test_a_place_in_a_strangers_queue_is_waited_for() -> None:
    """A job that the server calls queued gets as many deadlines as there are jobs ahead of it."""
    board = new_board()
    job = board.add(Job("a", RECIPE, 0.0, queue_position=4), 0.0)
    queued = {"a": JobReport("a", JobState.QUEUED, stage="queued")}
    for now in range(0, 1200, 100):
        board.observe(queued, float(now))
        assert board.overdue_reason(job, float(now), cold=False) is None
    board.observe(queued, 1201.0)
    assert board.overdue_reason(job, 1201.0, cold=False)


def test_any_change_is_a_sign_of_life() -> None:
    """Progress or stage, either resets the stall rule."""
    board = new_board()
    job = ask(board, "a")
    board.observe(running("a", 0.1, "lm"), 1.0)
    board.observe(running("a", 0.1, "diffusion"), 100.0)
    board.observe(running("a", 0.1, "diffusion"), 219.0)
    assert board.overdue_reason(job, 219.0, cold=False) is None
    board.observe(running("a", 0.1, "diffusion"), 221.0)
    assert "no progress" in str(board.overdue_reason(job, 221.0, cold=False))


def test_time_without_a_server_is_not_held_against_a_job() -> None:
    """After an outage every clock of a job goes on from where it stood."""
    board = new_board()
    job = ask(board, "a")
    board.observe(running("a", 0.5, "diffusion"), 100.0)
    board.server_away(10_000.0, 10_100.0)
    assert board.overdue_reason(job, 10_100.0, cold=False) is None
    board.observe(running("a", 0.6, "diffusion"), 10_150.0)
    board.observe(running("a", 0.7, "diffusion"), 10_250.0)
    assert board.overdue_reason(job, 10_250.0, cold=False) is None
    board.observe(running("a", 0.8, "diffusion"), 10_305.0)
    assert board.overdue_reason(job, 10_305.0, cold=False)


def test_polls_without_an_answer_are_not_held_against_a_job() -> None:
    """It is judged by what the server said last: after minutes without a word, the next word counts."""
    board = new_board()
    job = ask(board, "a")
    board.observe(running("a", 0.5, "diffusion"), 10.0)
    assert board.overdue_reason(job, 305.0, cold=False) is None


def test_music_that_nobody_waits_for_is_handed_out_once() -> None:
    """One worker collects it; a job that failed or was lost is dropped."""
    board = new_board()
    board.abandon(ask(board, "hung"))
    inherit(board, "inherited")
    inherit(board, "lost")
    done = JobReport("hung", JobState.SUCCEEDED, files=(AudioFile("x"),))
    assert board.observe({"hung": done, "lost": JobReport("lost", JobState.LOST)}, 2.0) == 0
    job = board.take_finished(3.0, cold=False)
    assert job is not None
    assert job.task_id == "hung"
    assert board.take_finished(3.0, cold=False) is None
    assert board.pending_ids() == ["inherited"]
    board.leave(job)
    assert [task_id for task_id, _ in board.persistent()] == ["inherited"]


def test_a_job_given_up_is_forgotten_some_day() -> None:
    """The board does not grow for ever."""
    board = new_board()
    board.abandon(ask(board, "hung"))
    board.take_finished(8000.0, cold=False)
    assert board.pending_ids() == []


def test_a_long_job_has_time_in_proportion() -> None:
    """JOB_TIMEOUT_SEC is for a minute of music: ten times as much may take ten times as long."""
    board = new_board()
    job = board.add(Job("a", Recipe("", "", 600.0), 0.0), 0.0)
    board.observe(running("a"), 2900.0)
    assert board.overdue_reason(job, 2900.0, cold=False) is None
    board.observe(running("a"), 3001.0)
    assert "not done" in str(board.overdue_reason(job, 3001.0, cold=False))


def test_nobody_knows_when_a_hung_job_ends() -> None:
    """What is pending counts the work that is left; behind a job that hangs there is time for nothing long."""
    board = Board(SETTINGS, lambda duration_s: 0.5 * duration_s)
    job = ask(board, "a")
    ask(board, "b", 1.0)
    assert board.pending(10.0) == (60.0, 20.0)
    board.abandon(job)
    assert board.pending(10.0) == (0.0, math.inf)


def test_being_late_does_not_make_the_server_look_slower() -> None:
    """A job that ended somewhere between two looks is taken to have ended in the middle, several at even distances."""
    board = new_board()
    first = ask(board, "a")
    board.observe(running("a"), 1.0)
    board.observe({"a": JobReport("a", JobState.SUCCEEDED)}, 2.0)
    assert first.run_s == 1.5
    second, third = ask(board, "b", now=2.0), ask(board, "c", now=2.0)
    board.observe({one: JobReport(one, JobState.SUCCEEDED) for one in "bc"}, 6.0)
    assert (second.run_s, third.run_s) == pytest.approx((4 / 3, 4 / 3))


@pytest.mark.parametrize(("expected_s", "progress"), [(8.0, None), (30.0, 0.5)])
def test_a_job_that_is_looked_at_when_it_is_due_took_as_long_as_expected(
    expected_s: float, progress: float | None
) -> None:
    """A little less, so that a server that has become faster is found out; what the progress says goes first."""
    board = Board(SETTINGS, lambda _: expected_s)
    job = ask(board, "a")
    board.observe(running("a", progress), 4.0)
    board.observe({"a": JobReport("a", JobState.SUCCEEDED)}, 8.15)
    assert 7.9 < job.run_s < 8.0


@pytest.mark.parametrize("took_s", [3.0, 9.9, 12.0, 30.0])
def test_a_job_that_had_ended_when_it_was_answered_is_looked_at_at_once(took_s: float) -> None:
    """Whatever was expected of it: such a server stands still until its music is fetched; and it took what it took."""
    board = Board(SETTINGS, lambda _: 10.0)
    job = board.add(Job("a", RECIPE, 100.0), 100.0 + took_s)
    assert board.begin_poll(100.0 + took_s) == ["a"]
    board.observe({"a": JobReport("a", JobState.SUCCEEDED)}, 100.1 + took_s)
    assert took_s - 0.1 <= job.run_s <= took_s + 0.1


@pytest.mark.parametrize("talks", [True, False])
def test_nobody_waits_for_the_expected_end_alone(talks: bool) -> None:
    """A job that ends early, whenever that is, is seen within three intervals of polling."""
    for left_s in range(1, 120):
        board = Board(SETTINGS, lambda _, left_s=left_s: float(left_s))  # type: ignore[misc]
        job = ask(board, "a")
        job.talks = talks
        board.observe(running("a", None, "at work" if talks else ""), 0.0)
        assert 0.3 <= board.until_poll_s(0.0) <= (3.0 if talks else 4.5)


@pytest.mark.parametrize("progress", [None, lambda _: 1.0, lambda now: 0.98, lambda now: 1.0 - 0.1 / (1.0 + now)])
@pytest.mark.parametrize("job_s", [0.5, 3.0, 8.0, 30.0])
def test_no_more_is_asked_than_at_a_steady_pace(job_s: float, progress: Callable[[float], float] | None) -> None:
    """Dense around the expected end, rare while there is long to go; in all the same, and as much where it is late."""
    for late_s in (0.1, 60.0):
        board, now, polls = Board(SETTINGS, lambda _: job_s), 0.0, 0
        ask(board, "a")
        while now < job_s + late_s:
            now += board.until_poll_s(now)
            polls += bool(board.begin_poll(now))
            board.observe(running("a", progress and progress(now)), now)
            assert polls <= now / 1.5 + 1
        assert now < job_s + late_s + (0.5 if late_s < 1.0 and progress is None else 3.0)
