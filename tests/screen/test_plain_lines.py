"""Calm lines while it plays, the farewell, and its figures for machines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from music.segment import SAMPLE_RATE_HZ, Source
from programme.programme import MixerSnapshot, PlayingView
from screen.plain_lines import PlainLog, summary_lines
from screen.view import Snapshot
from session.status import stats_dict
from tools.screens import afternoon

KEPT = Path("spool/kept")


def test_calm_lines_tell_what_is_new() -> None:
    """Without a terminal: notices and pieces as they come, the queue once a minute, nothing twice."""
    plain_log = PlainLog("en")
    first = plain_log.lines(replace(afternoon(), wall="14:03"), 0.0)
    assert first == [
        "13:37 acestep-api answers: fresh music is on its way",
        "14:02 cannot reach acestep-api at http://127.0.0.1:8001; the music goes on, start it with: acestep-api",
        "14:03 acestep-api answers: fresh music is on its way",
        "14:03 now playing [fresh] vibraphone · distant rain on a window",
        "14:03 queue 2 of 3 (lasts 1:02), 2 in the making, server: answers, 10 s a piece, waited 44 s",
    ]
    assert plain_log.lines(afternoon(), 59.0) == []
    later = replace(afternoon(), mixer=MixerSnapshot(PlayingView(Source.BED)), wall="14:05")
    assert plain_log.lines(later, 61.0) == [
        "14:05 now playing [bed] soft noise",
        "14:05 queue 2 of 3 (lasts 0:46), 2 in the making, server: answers, 10 s a piece, waited 44 s",
    ]


def test_a_piece_is_told_once() -> None:
    """The same piece under another key, as VLC's list may have it, is no news."""
    plain_log, one = PlainLog("en"), afternoon()
    plain_log.lines(one, 0.0)
    again = replace(one, mixer=replace(one.mixer, playing=replace(one.mixer.playing, key="other")))
    assert plain_log.lines(again, 1.0) == []


def session(**frames_s: float) -> Snapshot:
    """Return the end of an afternoon in which the sources were heard for so many seconds."""
    snapshot = afternoon()
    frames = {Source[name.upper()]: int(seconds * SAMPLE_RATE_HZ) for name, seconds in frames_s.items()}
    return replace(snapshot, mixer=replace(snapshot.mixer, frames=frames))


def test_summary_tells_the_session() -> None:
    """Time, silence, shares, counts, speed and the place of the likes are told, aligned."""
    assert summary_lines(session(fresh=3400, builtin=599, bed=1), KEPT, "en") == [
        "Thank you for listening.",
        "  time played      1:06:40",
        "  longest silence  none",
        "  music            85 % fresh, 15 % built-in, <1 % bed",
        "  made             128 pieces, 3 retried, 1 failed",
        "  speed            2.8× faster than it plays, 10 s a piece, waited 44 s",
        "  likes            9 in spool/kept",
    ]


def test_summary_in_japanese() -> None:
    """The same in Japanese, aligned by cells."""
    assert summary_lines(session(fresh=60), KEPT, "ja")[1:4] == [
        "  再生時間    1:00",
        "  最長の無音  なし",
        "  内訳        新曲 100%",
    ]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_summary_of_nothing(language: str) -> None:
    """A program that ended at once says what it knows and leaves out what it does not."""
    lines = summary_lines(Snapshot(), KEPT, language)
    assert len(lines) == 4
    assert "0:00" in lines[1]


def test_silence_is_owned_up_to() -> None:
    """A silence that happened is told."""
    snapshot = replace(afternoon(), mixer=MixerSnapshot(longest_silence_s=1.25))
    assert "  longest silence  1.2 s" in summary_lines(snapshot, KEPT, "en")


def test_stats_are_json_and_consistent() -> None:
    """The figures survive strict JSON, and the shares sum to 1."""
    stats = stats_dict(session(fresh=30, library=60, bed=10), KEPT)
    assert json.loads(json.dumps(stats, allow_nan=False)) == stats
    assert stats["shares"] == {"fresh": 0.3, "library": 0.6, "built-in": 0.0, "bed": 0.1}
    assert stats["played_s"] == 100.0
    assert stats["kept_folder"] == "spool/kept"
    assert stats["median_waiting_s"] == 43.7


def test_what_was_never_measured_is_null() -> None:
    """Before the first piece there is no speed; the figures are strict JSON."""
    stats = stats_dict(Snapshot(), KEPT)
    assert stats["real_time_factor"] is stats["median_generation_s"] is stats["median_waiting_s"] is None
    json.dumps(stats, allow_nan=False)
