"""Session timers: phases in turn, an end that fades, and views that count down."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screen.view import TimerView
from session.conductor import Phase, SessionTimer


def test_without_a_timer_nothing_is_shown_and_nothing_fades() -> None:
    """No --for and no --pomodoro: work for ever, no view, full gain."""
    timer = SessionTimer(5.0)
    assert timer.tick(5.0) is Phase.WORK
    assert timer.tick(1e9) is None
    assert timer.view(100.0) is None
    assert timer.gain(1e9) == 1.0


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
    assert timer.view(57.0) == TimerView("break", 3.0, 2)


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


@pytest.mark.parametrize(("left_s", "gain"), [(20.0, 1.0), (10.0, 1.0), (5.0, math.sqrt(0.5)), (0.0, 0.0), (-5.0, 0.0)])
def test_the_fade_is_a_quarter_cosine(left_s: float, gain: float) -> None:
    """The gain is 1 before the fade, has lost 3 dB in its middle, and is 0 from the end on."""
    assert SessionTimer(0.0, play_for_s=60.0, fade_s=10.0).gain(60.0 - left_s) == pytest.approx(gain, abs=1e-9)


def test_a_short_session_is_not_all_fade() -> None:
    """The fade takes at most half of the session, and a fade of no length is a plain end."""
    assert SessionTimer(0.0, play_for_s=4.0, fade_s=10.0).phase(1.9) is Phase.WORK
    assert SessionTimer(0.0, play_for_s=4.0, fade_s=0.0).gain(3.9) == 1.0


@given(st.floats(0, 1e6), st.floats(1, 1e5) | st.none(), st.tuples(st.floats(1, 1e4), st.floats(1, 1e4)) | st.none())
def test_views_never_promise_the_impossible(now: float, play_for_s: float | None, rest: tuple[float, float]) -> None:
    """Whatever the times: nothing negative, nothing beyond the end, a gain within 0..1."""
    timer = SessionTimer(0.0, play_for_s, rest)
    view = timer.view(now)
    assert 0.0 <= timer.gain(now) <= 1.0
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
