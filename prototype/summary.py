"""What is told after quitting: a few lines for a person, and the same figures for machines (`--stats-json`). Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from messages import text as say
from pcm import SAMPLE_RATE_HZ
from snapshots import Snapshot
from values import Source
from widgets import aligned, clean, clock_time, count, number, span

SCHEMA: Final = 1


def stats_dict(snapshot: Snapshot, kept_folder: Path) -> dict[str, object]:
    """Return the session's figures, ready for JSON; what was never measured, or is no number, is None.

    `shares` are fractions of the played time by source and sum to 1 (all 0 when nothing was played).
    """
    mixer, generator, spool = snapshot.mixer, snapshot.generator, snapshot.spool
    frames = {source: max(0.0, number(mixer.frames.get(source, 0)) or 0.0) for source in Source}
    played = sum(frames.values())
    return {
        "schema": SCHEMA,
        "uptime_s": number(snapshot.uptime_s),
        "played_s": played / SAMPLE_RATE_HZ,
        "paused_s": (number(mixer.paused_frames) or 0.0) / SAMPLE_RATE_HZ,
        "silent_s": (number(mixer.silent_frames) or 0.0) / SAMPLE_RATE_HZ,
        "longest_silence_s": number(mixer.longest_silence_s),
        "uninterrupted_s": number(snapshot.uninterrupted_s),
        "shares": {source.value: frames[source] / played if played else 0.0 for source in Source},
        "segments": count(generator.produced),
        "retries": count(generator.retries),
        "failures": count(generator.failures),
        "rejected": count(generator.rejected),
        "lost": count(generator.lost),
        "median_generation_s": number(generator.median_generation_s),
        "real_time_factor": number(generator.factor),
        "queue_depth": len(spool.ready),
        "played_on_disk": count(spool.played),
        "kept": count(spool.kept),
        "kept_folder": str(kept_folder),
        "station": snapshot.station,
        "prompt": snapshot.prompt,
    }


def summary_lines(snapshot: Snapshot, kept_folder: Path, language: str) -> list[str]:
    """Return the farewell, aligned in terminal cells."""
    mixer, generator = snapshot.mixer, snapshot.generator
    stats = stats_dict(snapshot, kept_folder)
    silence = number(mixer.longest_silence_s) or 0.0
    made = [say(language, "ui.summary.produced", count=count(generator.produced))]
    made += [
        say(language, f"ui.summary.{key}", count=figure)
        for key, figure in (("retries", count(generator.retries)), ("failures", count(generator.failures)))
        if figure
    ]
    speed = []
    if number(generator.median_generation_s) is not None:
        speed.append(say(language, "ui.summary.median", time=span(language, generator.median_generation_s)))
    factor = number(generator.factor)
    if factor is not None:
        speed.append(say(language, "ui.summary.factor", factor=f"{min(max(0.0, factor), 9999.0):.2f}"))
    kept, comma = count(snapshot.spool.kept), say(language, "ui.comma")
    likes = say(language, "ui.summary.kept", count=kept, folder=clean(kept_folder)) if kept else ""
    rows = [
        ("played", clock_time(stats["played_s"])),
        ("silence", span(language, silence) if silence > 0 else say(language, "ui.summary.none")),
        ("sources", comma.join(_shares(snapshot, language))),
        ("generation", comma.join(made)),
        ("speed", comma.join(speed)),
        ("likes", likes or say(language, "ui.summary.nolikes")),
    ]
    labelled = [(say(language, f"ui.summary.{key}"), words) for key, words in rows if words]
    return [say(language, "ui.summary.title"), *aligned(labelled)]


def _shares(snapshot: Snapshot, language: str) -> list[str]:
    """Return the sources that were heard, in whole percent."""
    frames = {source: max(0.0, number(snapshot.mixer.frames.get(source, 0)) or 0.0) for source in Source}
    played = sum(frames.values())
    return [
        say(language, "ui.summary.share", percent=_percent(frames[source] / played), source=_name(language, source))
        for source in Source
        if frames[source] > 0
    ]


def _percent(share: float) -> str:
    """Return whole percent, without rounding a little to nothing or almost all to all."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 < share < 1 else f"{100 * share:.0f}"


def _name(language: str, source: Source) -> str:
    return say(language, f"ui.source.{source.value}")
