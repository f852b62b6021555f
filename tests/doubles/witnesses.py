"""The generator's client and its spool, with a memory: what we were told of, what came in, what may be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from base.errors import SpoolError
from base.notices import Notices
from doubles.faulty_files import FaultyFiles
from doubles.simulated_time import SimClock
from generation.calls import Client
from music.segment import Audio, Recipe, SegmentInfo
from server.replies import AudioFile, JobReport, ServerStats, Submitted
from spool.spool import Entry, Spool


class Witness:
    """A client that remembers what it was told, and whose downloads meet the same disk as the spool."""

    def __init__(self, client: Client, files: FaultyFiles) -> None:
        self.client = client
        self.told: set[str] = set()
        self._files = files

    @property
    def one_at_a_time(self) -> bool:
        """Whether the server answers nobody while it makes music."""
        return self.client.one_at_a_time

    def submit(self, recipe: Recipe, *, thinking: bool = True, upload: bytes = b"") -> Submitted:
        """Ask for a job, and remember its name."""
        submitted = self.client.submit(recipe, thinking=thinking, upload=upload)
        self.told.add(submitted.task_id)
        return submitted

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Ask how jobs are."""
        return self.client.poll(task_ids)

    def download(self, file: AudioFile, destination: Path) -> int:
        """Fetch a file. Raises SpoolError when the disk refuses it."""
        if self._files.refuses_writing and destination.parent.name == "incoming":
            raise SpoolError(f"cannot write {destination}")
        return self.client.download(file, destination)

    def close(self) -> None:
        """There is nobody to wait for."""

    def health(self) -> None:
        """Ask whether it is there."""
        self.client.health()

    def stats(self) -> ServerStats:
        """Ask what it does."""
        return self.client.stats()


class WitnessedSpool(Spool):
    """A spool that remembers what was brought in, and what may be missing: unwanted, or of an earlier mood."""

    def __init__(self, root: Path, max_mb: float, notices: Notices, clock: SimClock, files: FaultyFiles) -> None:
        self.wall_s = 1_800_000_000.0
        super().__init__(root, max_mb, notices, clock, files, lambda: self.wall_s + clock.time_s)
        self.brought: dict[str, str] = {}
        """Segment id -> the key of its entry."""
        self.excused: set[str] = set()
        self.continued = 0
        """How many segments go on with another."""

    def add(self, samples: Audio, info: SegmentInfo, *, shelf: str = "ready") -> Entry:
        """Put a segment on a shelf."""
        entry = super().add(samples, info, shelf=shelf)
        self.brought[info.segment_id] = entry.key
        self.continued += info.continues is not None
        if shelf != "ready":
            self.excused.add(entry.key)
        return entry

    def discard(self, key: str, reason: str) -> None:
        """Dislike."""
        self.excused.add(key)
        super().discard(key, reason)

    def retire_ready(self, predicate: Callable[[Entry], bool]) -> int:
        """Move what was queued for an earlier mood to the library."""
        self.excused |= {entry.key for entry in self.ready() if predicate(entry)}
        return super().retire_ready(predicate)
