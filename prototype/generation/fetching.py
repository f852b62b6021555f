"""From a finished job to segments on the shelf: every file it brought is fetched, examined and stored."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from base.errors import AppError, CorruptSegment, ServerError, SpoolError
from base.notices import Notices
from generation.jobs import Job
from music.analysis import Segment
from music.segment import Analysis, Continuation, Recipe, SegmentInfo
from server.replies import AudioFile
from spool.spool import Entry, Spool

log = logging.getLogger(__name__)

Ingest = Callable[[Path, float, float], Segment]
Download = Callable[[AudioFile, Path], object]
Join = Callable[[Recipe, Segment, float], tuple[Segment, Continuation | None]]


@dataclass
class Fetched:
    """What a job brought: entries, the sum of what can be heard of them, and why files were not used."""

    entries: list[Entry] = field(default_factory=list)
    audible_s: float = 0.0
    rejected: list[AppError] = field(default_factory=list)
    unstored: int = 0


@dataclass(frozen=True)
class Fetcher:
    """Fetches, examines and stores what jobs have made.

    `_join` cuts what continues a segment to what is new in it, and tells how the two meet.

    Threads: any; `_naming` is held while a name is chosen, which is among `_given` until the store knows it.
    """

    _store: Spool
    _ingest: Ingest
    _notices: Notices
    _cue_dbfs: float
    _join: Join
    _naming: threading.Lock = field(default_factory=threading.Lock)
    _given: set[str] = field(default_factory=set)

    def fetch(self, job: Job, download: Download, shelf: Callable[[], str]) -> Fetched:
        """Take in every file of a job that succeeded; `shelf` is asked as each is stored.

        A file that cannot be used, or a disk that refuses, is said and does not stop the others.
        """
        fetched = Fetched()
        for index, file in enumerate(job.files):
            before = self._namesakes(job, index) if job.inherited else ()
            if any(entry.info and entry.info.recipe == job.recipe for entry in before):
                continue  # killed between storing it and forgetting its job
            try:
                segment = self._examined(file, job.recipe, download)
                missing = segment.missing
                segment, continues = self._join(job.recipe, segment, self._cue_dbfs)
                with self._new_name(job, index) as segment_id:
                    info = _info(segment_id, job, file, segment.analysis, continues)
                    fetched.entries.append(self._store.add(segment.samples, info, shelf=shelf()))
                if missing:
                    self._notices.say("segment.cut_off", "warning", name=segment_id, missing=missing)
                fetched.audible_s += info.audible_s
                log.info(
                    "segment %s: %.1f s audible, generated in %.1f s, of which %.1f s waiting at the server; queue %d",
                    segment_id, info.audible_s, info.generation_s or 0.0, info.server_wait_s or 0.0,
                    len(self._store.ready()),
                )  # fmt: skip
            except (CorruptSegment, ServerError) as error:
                fetched.rejected.append(error)
            except (SpoolError, OSError) as error:
                fetched.unstored += 1
                self._notices.say("segment.unstored", "error", reason=error)
        return fetched

    @contextlib.contextmanager
    def _new_name(self, job: Job, index: int) -> Iterator[str]:
        """Yield a name that no segment has, nor one that is being stored."""
        with self._naming:
            names = (_name(job, index, number) for number in itertools.count())
            name = next(name for name in names if name not in self._given and not self._store.find(name))
            self._given.add(name)
        try:
            yield name
        finally:
            self._given.discard(name)

    def _namesakes(self, job: Job, index: int) -> list[Entry]:
        """Return the segments that have such a name already: some servers count anew when they start."""
        found = (self._store.find(_name(job, index, number)) for number in itertools.count())
        return [entry for entry in itertools.takewhile(bool, found) if entry]

    def _examined(self, file: AudioFile, recipe: Recipe, download: Download, *, elsewhere: bool = False) -> Segment:
        """Download and examine; when the spool's disk refuses, once more to another place."""
        try:
            path = self._store.incoming_path(".part", elsewhere=elsewhere)
            try:
                download(file, path)
                return self._ingest(path, recipe.canvas_s, self._cue_dbfs)
            finally:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        except (SpoolError, OSError) as error:
            if elsewhere:
                raise
            log.info("a download could not be written, once more: %s", error)
            return self._examined(file, recipe, download, elsewhere=True)


def _name(job: Job, index: int, number: int) -> str:
    """Return the name of a file of a job, the `number` of those that had the job's id before."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", job.task_id)[:48].strip("-")
    if word != job.task_id:
        word += f"-{zlib.crc32(job.task_id.encode()):08x}"
    return f"{word}-{number + 1}-{index}" if number else f"{word}-{index}"


def _info(segment_id: str, job: Job, file: AudioFile, sound: Analysis, continues: Continuation | None) -> SegmentInfo:
    return SegmentInfo(
        segment_id=segment_id,
        recipe=job.recipe,
        engine="acestep",
        seed=file.seed,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(),
        analysis=sound,
        generation_s=None if job.inherited else round(job.waited_s + job.run_s, 3),
        server_wait_s=None if job.inherited else round(job.waited_s, 3),
        continues=continues,
    )
