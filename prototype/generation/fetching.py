"""From a finished job to segments on the shelf: every file it brought is fetched, examined and stored."""

from __future__ import annotations

import contextlib
import datetime
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from base.errors import AppError, CorruptSegment, ServerError, SpoolError
from base.notices import Notices
from generation.jobs import Job
from music.analysis import Analysis, Segment
from music.segment import Recipe, Samples, SegmentInfo
from server.replies import AudioFile
from spool.spool import Entry

log = logging.getLogger(__name__)


class Store(Protocol):
    """The part of the spool that the generator uses; any thread may call it."""

    def incoming_path(self, suffix: str, *, elsewhere: bool = False) -> Path:
        """Return a fresh path for a partial file; not on the spool's own disk when `elsewhere`."""
        ...

    def add(self, samples: Samples, info: SegmentInfo, *, shelf: str = "ready") -> Entry:
        """Put a segment on a shelf."""
        ...

    def ready(self) -> Sequence[Entry]:
        """Return the queue."""
        ...

    def library(self) -> Sequence[Entry]:
        """Return what was played or kept."""
        ...


Ingest = Callable[[Path, float, float], Segment]
Download = Callable[[AudioFile, Path], object]


@dataclass
class Crop:
    """What a job brought: entries, the sum of what can be heard of them, and why files were not used."""

    entries: list[Entry] = field(default_factory=list)
    audible_s: float = 0.0
    rejected: list[AppError] = field(default_factory=list)
    unstored: int = 0


class Harvest:
    """Fetches, examines and stores.

    Threads: any; it holds nothing that changes.
    """

    def __init__(self, store: Store, ingest: Ingest, notices: Notices, cue_dbfs: float) -> None:
        self._store = store
        self._ingest = ingest
        self._notices = notices
        self._cue_dbfs = cue_dbfs

    def bring_in(self, job: Job, download: Download, shelf: Callable[[], str]) -> Crop:
        """Take in every file of a job that succeeded; `shelf` is asked as each is stored.

        A file that cannot be used, or a disk that refuses, is said and does not stop the others.
        """
        crop = Crop()
        recipe = job.recipe or Recipe("", "", 0.0)
        for index, file in enumerate(job.files):
            segment_id = f"{re.sub(r'[^A-Za-z0-9]+', '-', job.task_id)[:48].strip('-')}-{index}"
            if job.adopted and self._has(segment_id):
                continue  # killed between storing it and forgetting its job
            try:
                segment = self._fetch(file, recipe, download)
                if segment.missing:
                    self._notices.say("segment.cut_off", "warning", name=segment_id, missing=segment.missing)
                info = _info(segment_id, job, recipe, file, segment.analysis)
                crop.entries.append(self._store.add(segment.samples, info, shelf=shelf()))
                crop.audible_s += info.audible_s
                log.info(
                    "segment %s: %.1f s audible, generated in %.1f s, of which %.1f s waiting at the server; queue %d",
                    segment_id, info.audible_s, info.generation_s or 0.0, info.server_wait_s or 0.0,
                    len(self._store.ready()),
                )  # fmt: skip
            except (CorruptSegment, ServerError) as error:
                crop.rejected.append(error)
            except (SpoolError, OSError) as error:
                crop.unstored += 1
                self._notices.say("segment.unstored", "error", reason=str(error))
        return crop

    def _has(self, segment_id: str) -> bool:
        shelves = (*self._store.ready(), *self._store.library())
        return any(entry.info is not None and entry.info.segment_id == segment_id for entry in shelves)

    def _fetch(self, file: AudioFile, recipe: Recipe, download: Download) -> Segment:
        """Download and examine; when the spool's disk refuses, once more to another place."""
        try:
            return self._fetch_once(file, recipe, download)
        except (SpoolError, OSError) as error:
            log.info("a download could not be written, once more: %s", error)
            return self._fetch_once(file, recipe, download, elsewhere=True)

    def _fetch_once(self, file: AudioFile, recipe: Recipe, download: Download, *, elsewhere: bool = False) -> Segment:
        path = self._store.incoming_path(".part", elsewhere=elsewhere)
        try:
            download(file, path)
            return self._ingest(path, recipe.duration_s, self._cue_dbfs)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _info(segment_id: str, job: Job, recipe: Recipe, file: AudioFile, sound: Analysis) -> SegmentInfo:
    ended_at, began_at = job.ended_at or job.since, job.began_at or job.since
    return SegmentInfo(
        segment_id=segment_id,
        recipe=recipe,
        engine="acestep",
        seed=file.seed,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(),
        length_frames=sound.length_frames,
        cue_in_frames=sound.cue_in_frames,
        cue_out_frames=sound.cue_out_frames,
        loudness_lufs=sound.loudness_lufs,
        peak_dbfs=sound.peak_dbfs,
        generation_s=None if job.adopted else round(ended_at - job.since, 3),
        server_wait_s=None if job.adopted else round(began_at - job.since, 3),
    )
