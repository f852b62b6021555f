"""The calm lines that take the screen's place when the output is no terminal, or with --plain.

What is new since the last look: notices, the piece that plays now, and once a minute the queue.
"""

from __future__ import annotations

from typing import Final

from messages import text as say
from notices import Notice
from panels import piece_title, ready_seconds, source_name, why_unheard
from snapshots import Snapshot
from widgets import clean, count, sentence, span

QUEUE_LINE_EVERY_S: Final = 60.0


class PlainLog:
    """Turns one snapshot after the other into lines. Owned by the user-interface thread."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._told: tuple[Notice, ...] = ()
        self._playing = ""
        self._queue_told_at: float | None = None

    def lines(self, snapshot: Snapshot, now: float, wall: str) -> list[str]:
        """Return what to print, `wall` ("14:02") before each line but the notices, which have their own time."""
        found = [
            f"{clean(notice.wall)} {sentence(self._language, notice.key, notice.args)}"
            for notice in snapshot.notices
            if not any(notice is told or notice == told for told in self._told)
        ]
        self._told = snapshot.notices
        found += [f"{wall} {line}" for line in [*self._now_playing(snapshot), *self._queue(snapshot, now)]]
        return found

    def _now_playing(self, snapshot: Snapshot) -> list[str]:
        playing = snapshot.mixer.playing
        if snapshot.player_state == "starting":
            return []
        unheard = why_unheard(snapshot, self._language)
        source = source_name(self._language, playing.source)
        title = piece_title(self._language, playing.source, playing.info)
        line = say(self._language, "ui.plain.playing", source=source, title=title)
        line = unheard or line
        told, self._playing = self._playing, line
        return [line] if line != told else []

    def _queue(self, snapshot: Snapshot, now: float) -> list[str]:
        if self._queue_told_at is not None and now - self._queue_told_at < QUEUE_LINE_EVERY_S:
            return []
        self._queue_told_at = now
        state = clean(snapshot.generator.server)
        known = state in ("connecting", "up", "loading", "unwell", "down", "restarting", "refused", "off")
        return [
            say(
                self._language,
                "ui.plain.queue",
                depth=len(snapshot.spool.ready),
                target=count(snapshot.target),
                time=span(self._language, ready_seconds(snapshot.spool.ready)),
                jobs=len(snapshot.generator.jobs),
                server=say(self._language, f"ui.server.{state}") if known else state,
            )
        ]
