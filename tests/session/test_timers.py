"""Session timers: phases in turn, an end that fades, and views that count down."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screen.view import TimerView
from session.timers import BREAK_S, Phase, SessionTimer


def test_without_a_timer_nothing_is_shown_and_nothing_fades() -> None:
    """No --for and no --pomodoro: work for ever, no view."""
    timer = SessionTimer(5.0)
    assert timer.tick(5.0) is Phase.WORK
    assert timer.tick(1e9) is None
    assert timer.view(100.0) is None


def test_play_for_fades_and_ends() -> None:
    """--for plays, fades over the last seconds, and ends; each phase is told once."""
    timer = SessionTimer(100.0, play_for_s=60.0, fade_s=10.0)
    told = [(now, timer.tick(now)) for now in (100.0, 149.9, 150.0, 155.0, 160.0, 170.0)]
    assert [(now, phase) for now, phase in told if phase] == [
        (100.0, Phase.WORK),
        (150.0, Phase.ENDING),
        (160.0, Phase.ENDED),
    ]
    assert timer.view(130.0) == TimerView("work", 30.0, 0, 30.0)
    assert timer.view(155.0) == TimerView("ending", 5.0, 0, 5.0)
    assert timer.view(200.0) == TimerView("ending", 0.0, 0, 0.0)


def test_pomodoro_takes_work_and_break_in_turn() -> None:
    """Work and break follow each other for ever, rounds count from 1."""
    timer = SessionTimer(0.0, pomodoro=(25.0, 5.0))
    told = [(now, phase) for now in range(91) if (phase := timer.tick(float(now)))]
    assert told == [
        (0, Phase.WORK),
        (25, Phase.BREAK),
        (30, Phase.WORK),
        (55, Phase.BREAK),
        (60, Phase.WORK),
        (85, Phase.BREAK),
        (90, Phase.WORK),
    ]
    assert timer.view(10.0) == TimerView("work", 15.0, 1)
    assert repr(timer.view(57.0)) == repr(TimerView("break", 3.0, 2))  # not "round 2.0"


def test_both_timers_end_at_the_earlier_moment() -> None:
    """With --for and --pomodoro a phase never promises more time than the session has."""
    timer = SessionTimer(0.0, play_for_s=40.0, pomodoro=(25.0, 5.0), fade_s=4.0)
    assert timer.view(31.0) == TimerView("work", 9.0, 2, 9.0)
    assert timer.phase(36.0) is Phase.ENDING
    assert timer.phase(40.0) is Phase.ENDED


def test_slept_through_phases_are_not_told() -> None:
    """After a long time without a tick only the phase reached is told."""
    timer = SessionTimer(0.0, pomodoro=(25.0, 5.0))
    assert timer.tick(0.0) is Phase.WORK
    assert timer.tick(26.0 + 30.0 * 100) is Phase.BREAK
    assert timer.tick(26.0 + 30.0 * 200) is None


def test_a_short_session_is_not_all_fade() -> None:
    """The fade takes at most half of the session, and a fade of no length is a plain end."""
    assert SessionTimer(0.0, play_for_s=3.0, fade_s=10.0).phase(1.4) is Phase.WORK
    assert SessionTimer(0.0, play_for_s=4.0, fade_s=0.0).phase(3.9) is Phase.WORK


@given(st.floats(0, 1e6), st.floats(1, 1e5) | st.none(), st.tuples(st.floats(1, 1e4), st.floats(1, 1e4)) | st.none())
def test_views_never_promise_the_impossible(now: float, play_for_s: float | None, rest: tuple[float, float]) -> None:
    """Whatever the times: nothing negative, nothing beyond the end."""
    timer = SessionTimer(0.0, play_for_s, rest)
    view = timer.view(now)
    if view is not None:
        assert view.remaining_s >= 0.0
        assert view.ends_in_s is None or view.remaining_s <= view.ends_in_s
        assert view.phase in ("work", "break", "ending")


@given(st.floats(0, 300), st.sampled_from([None, 60.0, 100.0]), st.sampled_from([None, (25.0, 5.0), (7.0, 3.0)]))
def test_no_phase_begins_before_the_next_is_expected(
    now: float, play_for_s: float | None, pomodoro: tuple[float, float] | None
) -> None:
    """Who sleeps until then misses nothing, and is there when the phase begins."""
    timer = SessionTimer(0.0, play_for_s=play_for_s, pomodoro=pomodoro, fade_s=10.0)
    wait_s = timer.next_s(now)
    assert wait_s > 0
    if wait_s < math.inf:
        just_before = min(now + 0.99 * wait_s, math.nextafter(now + wait_s, now))  # 1 % may be too little for a float
        assert timer.phase(just_before) is timer.phase(now)
    elif pomodoro is None:
        assert timer.phase(now + 1e6) is timer.phase(now)


def test_the_next_phase_is_expected_when_it_begins() -> None:
    """Work, break, fade and end, each at its time."""
    timer = SessionTimer(0.0, play_for_s=60.0, pomodoro=(25.0, 5.0), fade_s=10.0)
    assert [timer.next_s(now) for now in (0.0, 20.0, 26.0, 49.0, 59.0)] == [25.0, 5.0, 4.0, 1.0, 1.0]
    assert SessionTimer(0.0).next_s(100.0) == math.inf


@given(st.floats(1.0, 1e5), st.floats(0.1, 3.0))
def test_the_end_waits_until_the_fade_has_been_heard(play_for_s: float, tail_s: float) -> None:
    """However short the time: a fade of at most half of it ends with it, and the program leaves a tail later."""
    timer = SessionTimer(0.0, play_for_s=play_for_s, tail_s=tail_s)
    view = timer.view(play_for_s / 2 + 0.001)
    assert view is not None
    fade_s = min(12.0, play_for_s / 2)
    assert timer.phase(play_for_s - fade_s + 0.001) is Phase.ENDING
    assert timer.phase(play_for_s + 0.99 * tail_s) is Phase.ENDING
    assert timer.phase(play_for_s + 1.01 * tail_s) is Phase.ENDED
    assert timer.next_s(play_for_s + 0.5 * tail_s) == pytest.approx(0.5 * tail_s, abs=1e-6)


def test_the_end_can_be_set_put_off_and_taken_away() -> None:
    """While it plays: a first end, more time, less of it, none; the phase is told anew each time."""
    timer = SessionTimer(0.0, fade_s=10.0)
    assert timer.tick(0.0) is Phase.WORK
    timer.end_in(60.0, 100.0)
    assert (timer.tick(100.0), timer.view(100.0)) == (Phase.WORK, TimerView("work", 60.0, 0, 60.0))
    timer.extend(600.0, 155.0)
    assert timer.view(155.0) == TimerView("work", 605.0, 0, 605.0)
    timer.extend(-595.0, 155.0)
    assert timer.tick(155.0) is Phase.WORK
    assert timer.tick(160.0) is Phase.ENDING
    timer.extend(60.0, 161.0)
    assert timer.tick(161.0) is Phase.WORK
    timer.end_in(None, 162.0)
    assert (timer.view(162.0), timer.next_s(162.0)) == (None, math.inf)
    timer.extend(30.0, 200.0)
    assert timer.view(200.0) == TimerView("work", 30.0, 0, 30.0)
    timer.extend(-1000.0, 200.0)
    assert timer.phase(200.0) is Phase.ENDED


@pytest.mark.parametrize(("end_s", "phase"), [(-60.0, Phase.ENDING), (3.0, Phase.ENDING), (12.0, Phase.WORK)])
def test_an_end_that_is_set_while_it_plays_is_faded_to_as_long_as_there_is_time(end_s: float, phase: Phase) -> None:
    """At once to one that is near, or past; else over at most half of the time."""
    timer = SessionTimer(0.0, fade_s=10.0, tail_s=1.0)
    timer.tick(0.0)
    timer.end_in(end_s, 100.0)
    assert timer.phase(100.0 + end_s / 4 if end_s > 0 else 100.5) is phase


def test_a_break_can_begin_and_end_before_its_time() -> None:
    """With a pomodoro the rounds go on counting and the turns follow from there; it is not begun or ended twice."""
    timer = SessionTimer(0.0, pomodoro=(25.0, 5.0))
    assert timer.begin_break(40.0)
    assert not timer.begin_break(41.0)
    assert timer.view(41.0) == TimerView("break", 4.0, 2)
    assert timer.view(45.0) == TimerView("work", 25.0, 3)
    assert timer.begin_break(50.0)
    assert timer.skip_break(51.0)
    assert not timer.skip_break(52.0)
    assert timer.view(52.0) == TimerView("work", 24.0, 4)


def test_a_break_without_a_pomodoro_is_one_break() -> None:
    """It ends by itself or when it is skipped, and no other follows."""
    timer = SessionTimer(0.0)
    assert not timer.skip_break(5.0)
    assert timer.begin_break(10.0)
    assert timer.view(11.0) == TimerView("break", BREAK_S - 1, 1)
    assert timer.phase(10.0 + BREAK_S) is Phase.WORK
    assert timer.begin_break(1000.0)
    assert timer.skip_break(1001.0)
    assert (timer.phase(1001.0), timer.next_s(1001.0)) == (Phase.WORK, math.inf)


@given(
    st.sampled_from([None, (25.0, 5.0), (7.0, 3.0)]),
    st.lists(
        st.tuples(st.floats(0, 40), st.sampled_from(["break", "skip", "end", "extend", "off"]), st.floats(-50, 100))
    ),
)
def test_whatever_is_done_to_it_a_timer_stays_possible(
    pomodoro: tuple[float, float] | None, steps: list[tuple[float, str, float]]
) -> None:
    """Nothing negative, rounds never go back, a skipped break is over and a begun one is on."""
    timer, now, round_ = SessionTimer(0.0, pomodoro=pomodoro), 0.0, 0
    for wait_s, what, seconds in steps:
        now += wait_s
        if what == "break":
            timer.begin_break(now)
        elif what == "skip":
            timer.skip_break(now)
        elif what == "extend":
            timer.extend(seconds, now)
        else:
            timer.end_in(None if what == "off" else abs(seconds), now)
        view, phase = timer.view(now), timer.phase(now)
        assert timer.next_s(now) > 0
        if phase in (Phase.WORK, Phase.BREAK) and what in ("break", "skip"):
            assert phase is (Phase.BREAK if what == "break" else Phase.WORK)
        if view:
            assert view.remaining_s >= 0
            assert pomodoro is None or view.round >= round_
            round_ = view.round
