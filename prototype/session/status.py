"""What the player does and did, for scripts and status bars: the names are kept from version to version.

Seconds are numbers, what is unknown is null, times of day are the listener's ("14:02"). `state` is "playing", "paused",
"break", "ending" or "unheard" (`player` says why: "starting", "no device", "suspended", "stream muted", "device muted"
or "stopped"); `piece` is null while only the soft noise plays; `source` is "fresh", "library", "built-in" or "bed".
`last_waiting_s` is how long the latest fresh piece lay ready before it was played, `median_waiting_s` how long they do.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

from base.texts import text
from music.segment import SAMPLE_RATE_HZ, Source
from programme.programme import PlayingView
from screen.panels import piece_title, source_name, timer_words, why_unheard
from screen.printing import harmless
from screen.view import Snapshot
from screen.vitals import TROUBLES
from screen.widgets import clock_time, sentence

SCHEMA: Final = 1


def status_dict(snapshot: Snapshot, language: str) -> dict[str, Any]:
    """Return all that the screen shows now, ready for JSON."""
    mixer, generator, spool, timer = snapshot.mixer, snapshot.generator, snapshot.spool, snapshot.timer
    found = {
        "schema": SCHEMA,
        "state": state_of(snapshot),
        "player": snapshot.player_state,
        "station": {"key": snapshot.station.key, "title": snapshot.station.title(language)},
        "prompt": snapshot.prompt,
        "source": mixer.playing.source.value,
        "piece": _piece(snapshot, language) if mixer.playing.key else None,
        "volume_percent": round(100 * mixer.volume),
        "ambience": {"name": snapshot.ambience[0], "volume_percent": snapshot.ambience[1]},
        "muted": mixer.muted,
        "paused": mixer.paused,
        "continuing": snapshot.continuing,
        "recording": snapshot.recording or None,
        "timer": timer and dataclasses.asdict(timer),
        "queue": {
            "target": snapshot.target,
            "ready": [_made(snapshot, PlayingView(Source.FRESH, info=info), language) for info in spool.ready],
            "ready_s": spool.ready_s,
            "making": [dataclasses.asdict(job) for job in generator.jobs],
        },
        "server": {"state": generator.server, "detail": str(generator.server_reason or "")},
        "generation": {
            "produced": generator.produced,
            **{name: getattr(generator, name) for name in TROUBLES},
            "last_s": generator.last_generation_s,
            "median_s": generator.median_generation_s,
            "last_waiting_s": snapshot.waited_s[-1] if snapshot.waited_s else None,
            "median_waiting_s": snapshot.typically_waited_s,
            "real_time_factor": generator.factor,
        },
        "library": {"kept": spool.kept, "played": spool.played, "size_mb": spool.size_mb, "writable": spool.writable},
        "uptime_s": snapshot.uptime_s,
        "uninterrupted_s": snapshot.uninterrupted_s,
        "silent_s": mixer.silent_frames / SAMPLE_RATE_HZ,
        "notices": [
            {"time": one.wall, "level": one.level, "key": one.key, "message": sentence(language, one.key, one.args)}
            for one in snapshot.notices
        ],
        "history": [
            {"time": one.wall, "key": one.key, "source": one.source.value, "liked": one.liked}
            | {"title": piece_title(one, snapshot.stations, language)}
            for one in snapshot.history
        ],
    }  # fmt: skip
    return {name: _harmless(value) for name, value in found.items()}


def _harmless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _harmless(one) for name, one in value.items()}
    if isinstance(value, list):
        return list(map(_harmless, value))
    return harmless(value) if isinstance(value, str) else value


def stats_dict(snapshot: Snapshot, kept_folder: Path) -> dict[str, object]:
    """Return the session's figures, ready for JSON; what was never measured is None.

    `shares` are fractions of the played time by source and sum to 1 (all 0 when nothing was played).
    """
    mixer, generator, spool = snapshot.mixer, snapshot.generator, snapshot.spool
    frames = {source: mixer.frames.get(source, 0) for source in Source}
    played = sum(frames.values())
    return {
        "schema": SCHEMA,
        "uptime_s": snapshot.uptime_s,
        "played_s": played / SAMPLE_RATE_HZ,
        "paused_s": mixer.paused_frames / SAMPLE_RATE_HZ,
        "silent_s": mixer.silent_frames / SAMPLE_RATE_HZ,
        "longest_silence_s": mixer.longest_silence_s,
        "uninterrupted_s": snapshot.uninterrupted_s,
        "shares": {source.value: frames[source] / played if played else 0.0 for source in Source},
        "segments": generator.produced,
        **{name: getattr(generator, name) for name in TROUBLES},
        "median_generation_s": generator.median_generation_s,
        "median_waiting_s": snapshot.typically_waited_s,
        "real_time_factor": generator.factor,
        "queue_depth": len(spool.ready),
        "played_on_disk": spool.played,
        "kept": spool.kept,
        "kept_folder": str(kept_folder),
        "station": snapshot.station.key,
        "prompt": snapshot.prompt,
    }


def status_line(snapshot: Snapshot, language: str) -> str:
    """Return it in one line for a person."""
    mixer = snapshot.mixer
    playing = mixer.playing
    state = state_of(snapshot)
    words = [why_unheard(snapshot, language) or text(language, f"ctl.state.{state}")]
    words.append(snapshot.station.title(language))
    words.append(piece_title(playing, snapshot.stations, language))
    if playing.total_s is not None:
        words.append(f"{clock_time(playing.elapsed_s)}/{clock_time(playing.total_s)}")
    words.append(source_name(language, playing.source))
    words.append(text(language, "ui.head.volume", percent=f"{round(100 * mixer.volume)} %"))
    if mixer.muted:
        words.append(text(language, "ui.head.muted"))
    return " · ".join([*words, *timer_words(snapshot.timer, language)])


def state_of(snapshot: Snapshot) -> str:
    """Return the one word that says it."""
    if snapshot.player_state != "playing":
        return "unheard"
    if snapshot.mixer.paused:
        return "paused"
    return "playing" if snapshot.timer is None or snapshot.timer.phase == "work" else snapshot.timer.phase


def _piece(snapshot: Snapshot, language: str) -> dict[str, Any]:
    playing = snapshot.mixer.playing
    return _made(snapshot, playing, language) | {
        "key": playing.key,
        "elapsed_s": playing.elapsed_s,
        "length_s": playing.total_s,
        "liked": snapshot.liked,
    }


def _made(snapshot: Snapshot, piece: PlayingView, language: str) -> dict[str, Any]:
    info = piece.info
    recipe = info.recipe if info else None
    return {
        "title": piece_title(piece, snapshot.stations, language),
        "prompt": recipe.prompt if recipe else None,
        "bpm": recipe.bpm if recipe else None,
        "key_scale": recipe.key_scale if recipe else None,
        "seed": info.seed if info else None,
        "engine": info.engine if info else None,
        "length_s": info.audible_s if info else None,
    }
