"""What VLC's own list is fed with: the spool's files in their order, and something else when there are none."""

from __future__ import annotations

import logging

import wavfile
from errors import SpoolError
from inflight import Later, at_once
from mood import Mood
from sources import ENGINE_SOURCES, BuiltinSupply, Library
from spool import Entry, Spool
from values import Piece, QueuedFile, Source

log = logging.getLogger(__name__)


class Playlist:
    """Answers "the next file, please" in the order fresh, library, built-in.

    Threads: `next_file` and `on_started` belong to the player's owner thread, which also obeys the keys: what is to be
    written is written by `later`, where the disk may be waited for.
    """

    def __init__(
        self,
        spool: Spool,
        mood: Mood,
        builtin: BuiltinSupply,
        *,
        engine: str = "auto",
        no_repeat: int = 8,
        later: Later = at_once,
    ) -> None:
        self._later = later
        self._writing = False
        self._written: QueuedFile | None = None
        self._spool = spool
        self._builtin = builtin
        self._allowed = ENGINE_SOURCES[engine]
        self._library = Library(spool, mood, no_repeat, engine)
        self._given: set[str] = set()
        self.started = dict.fromkeys(Source, 0)

    def next_file(self, waiting: int) -> QueuedFile | None:
        """Return the next file; `waiting` is how many VLC still has, with none left anything will do."""
        if Source.FRESH in self._allowed:
            fresh = next(
                (entry for entry in self._library.fresh() if entry.path and entry.key not in self._given), None
            )
            if file := self._give(fresh, Source.FRESH):
                return file
        if waiting:
            return None
        if Source.LIBRARY in self._allowed and (file := self._give(self._library.pick(self._given), Source.LIBRARY)):
            return file
        return self._next_builtin() if Source.BUILTIN in self._allowed else None

    def on_started(self, file: QueuedFile) -> None:
        """Note that a file began to be heard."""
        self._given.discard(file.key)
        self.started[file.source] += 1
        log.info("play %s (%s), queue depth %d", file.key, file.source.value, max(0, len(self._spool.ready()) - 1))
        if file.source is not Source.BUILTIN:
            self._library.heard(file.key)
            self._spool.mark_played(file.key)

    def _give(self, entry: Entry | None, source: Source) -> QueuedFile | None:
        if entry is None or entry.path is None:
            return None
        self._given.add(entry.key)
        return QueuedFile(entry.path, entry.key, source, entry.info)

    def _next_builtin(self) -> QueuedFile | None:
        file, self._written = self._written, None
        if file is None and not self._writing and (piece := self._builtin.take()):
            self._writing = True
            self._later("built-in piece", lambda: self._write(piece))
            file, self._written = self._written, None
        return file

    def _write(self, piece: Piece) -> None:
        try:
            path = self._spool.incoming_path(".wav")
            wavfile.write(path, piece.samples, piece.info)
            self._written = QueuedFile(path, piece.key, Source.BUILTIN, piece.info)
        except (OSError, SpoolError) as error:
            log.warning("no file for a built-in piece: %s", error)
        finally:
            self._writing = False
