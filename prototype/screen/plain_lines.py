"""What is told without the screen: while it plays, with --plain or no terminal, and after quitting."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from base.notices import Notice
from base.texts import text as say
from music.segment import SAMPLE_RATE_HZ, Source
from screen.panels import piece_title, source_name, why_unheard
from screen.view import Snapshot
from screen.widgets import clean, clock_time, column, sentence, span, speed, times

QUEUE_LINE_EVERY_S: Final = 60.0


class PlainLog:
    """Turns one snapshot after the other into lines. Owned by the user-interface thread."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._told: tuple[Notice, ...] = ()
        self._playing = ""
        self._queue_told_at: float | None = None

    def lines(self, snapshot: Snapshot, now: float) -> list[str]:
        """Return what to print, the time of day before each line: the snapshot's, or a notice's own."""
        found = [
            f"{clean(notice.wall)} {sentence(self._language, notice.key, notice.args)}"
            for notice in snapshot.notices
            if notice not in self._told
        ]
        self._told = snapshot.notices
        found += [
            f"{clean(snapshot.wall)} {line}" for line in [*self._now_playing(snapshot), *self._queue(snapshot, now)]
        ]
        return found

    def _now_playing(self, snapshot: Snapshot) -> list[str]:
        playing = snapshot.mixer.playing
        if snapshot.player_state == "starting":
            return []
        source = source_name(self._language, playing.source)
        title = piece_title(playing, snapshot.stations, self._language)
        line = say(self._language, "ui.plain.playing", source=source, title=title)
        line = why_unheard(snapshot, self._language) or line
        told, self._playing = self._playing, line
        return [line] if line != told else []

    def _queue(self, snapshot: Snapshot, now: float) -> list[str]:
        if self._queue_told_at is not None and now - self._queue_told_at < QUEUE_LINE_EVERY_S:
            return []
        self._queue_told_at = now
        line = say(
            self._language,
            "ui.plain.queue",
            depth=len(snapshot.spool.ready),
            target=snapshot.target,
            time=clock_time(snapshot.buffer_s),
            jobs=len(snapshot.generator.jobs),
            server=say(self._language, f"ui.server.{snapshot.generator.server}"),
        )
        return [say(self._language, "ui.comma").join([line, *_times(snapshot, self._language)])]


def _times(snapshot: Snapshot, language: str) -> list[str]:
    """Return how long a piece typically takes to make, and how long it then lies ready, as far as is known."""
    return times(language, median=snapshot.generator.median_generation_s, waited=snapshot.typically_waited_s)


def summary_lines(snapshot: Snapshot, kept_folder: Path, language: str) -> list[str]:
    """Return the farewell, aligned in terminal cells."""
    mixer, generator, kept = snapshot.mixer, snapshot.generator, snapshot.spool.kept
    silence, played = mixer.longest_silence_s, sum(mixer.frames.values())
    made = [
        say(language, f"ui.made.{key}", count=figure)
        for key in ("produced", "retries", "failures")
        if (figure := getattr(generator, key))
    ]
    speeds = [speed(language, generator.factor)] if generator.factor is not None else []
    speeds += _times(snapshot, language)
    likes = say(language, "ui.summary.kept", count=kept, folder=clean(str(kept_folder))) if kept else ""
    shares = [
        say(language, "ui.summary.share", percent=_percent(frames / played), source=source_name(language, source))
        for source in Source
        if (frames := mixer.frames.get(source, 0))
    ]
    comma = say(language, "ui.comma")
    rows = [
        ("played", clock_time(played / SAMPLE_RATE_HZ)),
        ("silence", span(language, silence) if silence > 0 else say(language, "ui.summary.none")),
        ("sources", comma.join(shares)),
        ("generation", comma.join(made)),
        ("speed", comma.join(speeds)),
        ("likes", likes or say(language, "ui.summary.nolikes")),
    ]
    labels = column([say(language, f"ui.summary.{key}") for key, words in rows if words])
    told = [words for _, words in rows if words]
    return [
        say(language, "ui.summary.title"),
        *(f"  {label}  {words}" for label, words in zip(labels, told, strict=True)),
    ]


def _percent(share: float) -> str:
    """Return whole percent, without rounding a little to nothing or almost all to all."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 < share < 1 else f"{100 * share:.0f}"
