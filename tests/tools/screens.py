"""Snapshots to look at: a good afternoon, a bad one, and every mode of the screen."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

from base.notices import Level, Notice
from base.texts import said
from generation.jobs import GeneratorSnapshot, JobView, ServerState
from music.segment import SAMPLE_RATE_HZ, Analysis, Recipe, SegmentInfo, Source
from music.stations import builtin_stations
from programme.history import Heard
from programme.programme import MixerSnapshot, PlayingView
from screen.view import ControlsView, Mode, Snapshot, TimerView
from spool.spool import SpoolSnapshot

STATIONS = builtin_stations()
REFUSED = said("call.unreachable", url="http://127.0.0.1:8001", reason=said("os.ECONNREFUSED"))


def segment(prompt: str, number: int = 1, audible_s: float = 27.4) -> SegmentInfo:
    """Return the description of a segment of the first station, whatever its prompt."""
    recipe = Recipe("lofi", prompt, 30.0, 82, "F major", "4/4")
    length_frames = 30 * SAMPLE_RATE_HZ
    cue_out_frames = int(audible_s * SAMPLE_RATE_HZ)
    created_at = "2025-06-03T13:40:12+00:00"
    return SegmentInfo(
        f"s{number}", recipe, "acestep", str(3141592653 + number), created_at,
        Analysis(length_frames, 0, cue_out_frames, -16.2, -1.0), 9.84, 1.2,
    )  # fmt: skip


def levels(seed: int = 7, length: int = 100) -> tuple[float, ...]:
    """Return levels that look like music: a slow swell, a beat, and a little chance."""
    rng = random.Random(seed)
    return tuple(
        -25 + 7 * math.sin(index / 17) + 6 * abs(math.sin(index / 2.4)) + rng.uniform(-3, 3) for index in range(length)
    )


def afternoon() -> Snapshot:
    """Return an ordinary moment: fresh music, two of three ready, two jobs at the server."""
    playing_info, *ready = (
        segment(STATIONS[0].recipe(index, 30.0).prompt, number, audible_s)
        for number, (index, audible_s) in enumerate(((19, 27.4), (20, 26.1), (21, 28.0)), 1)
    )
    history = [
        Heard(
            f"{13 + minute // 60}:{minute % 60:02}",
            source,
            f"h{minute}",
            segment(STATIONS[0].recipe(minute, 30.0).prompt),
        )
        for minute, source in zip(range(40, 64), itertools.cycle([*[Source.FRESH] * 5, Source.LIBRARY]), strict=False)
    ]
    rng = random.Random(3)
    playing = PlayingView(Source.FRESH, "s1", playing_info, 11.4, 27.4)
    generator = GeneratorSnapshot(
        server=ServerState.UP,
        jobs=(
            JobView("j1", 30.0, "Generating music (batch size: 1)", 6.2, 0.62),
            JobView("j2", 30.0, "", 3.1, None, 2),
        ),
        produced=128,
        retries=3,
        failures=1,
        last_generation_s=9.84,
        median_generation_s=10.1,
        factor=0.36,
        generation_history_s=tuple(9 + rng.uniform(0, 4) for _ in range(24)),
    )
    texts: tuple[tuple[Level, str, tuple[tuple[str, object], ...], str], ...] = (
        ("good", "server.up", (), "13:37"),
        ("warning", "server.down", (("url", "http://127.0.0.1:8001"),), "14:02"),
    )
    notices = (*texts, ("good", "server.up", (), "14:03"))
    return Snapshot(
        mixer=MixerSnapshot(playing, volume=0.8, levels_db=levels()),
        generator=generator,
        spool=SpoolSnapshot(tuple(ready), played=117, kept=9, size_mb=712.4),
        station=STATIONS[0],
        stations=STATIONS,
        player_state="playing",
        liked=True,
        recording="recordings/2025-06-03.wav",
        timer=TimerView("work", 1450.0, 2, 8000.0),
        uptime_s=3731.0,
        uninterrupted_s=3731.0,
        notices=tuple(Notice(level, key, args, 0.0, wall) for level, key, args, wall in notices),
        history=(
            *(replace(one, liked=one.key in ("h41", "h60")) for one in history),
            Heard("14:04", Source.FRESH, "s1", playing_info, liked=True),
        ),
        wall="14:04",
        crossfade_s=4.0,
        depth_history=tuple(rng.choice((1, 2, 2, 3, 3, 3)) for _ in range(40)),
        waited_s=(58.2, 41.0, 43.7, 36.9, 48.4),
    )


def trouble() -> Snapshot:
    """Return a bad moment: the server is down, the queue empty, the disk full, and built-in music plays on."""
    good = afternoon()
    return replace(
        good,
        mixer=replace(good.mixer, playing=PlayingView(Source.BUILTIN, "seed 7", None, 40.0, 95.0), muted=True),
        generator=replace(
            good.generator, server=ServerState.DOWN, server_reason=REFUSED, jobs=(), lost=2, rejected=1, factor=1.7
        ),
        spool=SpoolSnapshot(played=117, kept=9, size_mb=1024.0, writable=False),
        notices=good.notices[:2],
        recording="",
        liked=False,
        timer=None,
        player_state="no device",
    )


def alone() -> Snapshot:
    """Return an afternoon with the built-in engine, without a server."""
    good = afternoon()
    history = tuple(replace(one, source=Source.BUILTIN) for one in good.history)
    return replace(
        good,
        mixer=replace(
            good.mixer, playing=replace(good.mixer.playing, source=Source.BUILTIN), stock={Source.BUILTIN: 1}
        ),
        generator=GeneratorSnapshot(server=ServerState.OFF),
        spool=SpoolSnapshot(kept=1),
        history=history,
        recording="",
    )


def screen(name: str, language: str = "en") -> Snapshot:
    """Return a snapshot by its name."""
    good = afternoon()
    typed = "静かな森の朝、フルート" if language == "ja" else "warm piano, soft rain"
    return {
        "main": good,
        "trouble": trouble(),
        "first": Snapshot(station=good.station, stations=good.stations),
        "alone": alone(),
        "help": replace(good, controls=ControlsView(Mode.HELP)),
        "history": replace(good, controls=ControlsView(Mode.HISTORY, selected=1)),
        "timer": replace(good, controls=ControlsView(Mode.TIMER, selected=3)),
        "stations": replace(good, controls=ControlsView(Mode.STATIONS, selected=3)),
        "prompt": replace(good, controls=ControlsView(Mode.PROMPT, typed, len(typed))),
    }[name]
