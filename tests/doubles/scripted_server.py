"""ScriptedServer: acestep-api as the generator sees it through its client, in memory and on any clock.

It has no thread: what runs and what is done follows from `now()` at each call. One worker, first in, first out. Its
files are a few bytes that `scripted_ingest` understands, so that a day of music takes no time to make.
`MemoryStore` is a spool without a disk.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ace_client import AudioFile, JobReport, JobState, ServerStats, Submitted
from base.errors import (
    CorruptSegment,
    KeyRefused,
    ServerBusy,
    ServerError,
    ServerRefused,
    ServerSilent,
    ServerTrouble,
    ServerUnreachable,
    SpoolError,
    UploadRefused,
)
from music.analysis import Segment
from music.continuing import play_order
from music.segment import SAMPLE_RATE_HZ, Analysis, Audio, Recipe, Samples, SegmentInfo
from spool.spool import Entry

NO_SOUND: Samples = np.zeros((8, 2), np.float32)
GOOD, FAILS, HANGS, CORRUPT, EMPTY = "good", "fails", "hangs", "corrupt", "empty"


@dataclass
class Asked:
    """A job as the server knows it."""

    task_id: str
    recipe: Recipe
    thinking: bool
    at: float
    fate: str
    needs_s: float
    state: JobState = JobState.QUEUED
    began_at: float = 0.0
    stale: bool = False
    downloads: int = 0


@dataclass
class ScriptedServer:
    """A double of `ace_client.AceClient` and the server behind it; its public fields are levers.

    Threads: any; `_lock` guards what is not a lever.
    """

    now: Callable[[], float]
    seed: int = 0
    wait: Callable[[float], object] = lambda seconds: None
    """How a caller waits for a server that is deaf."""
    one_at_a_time: bool = False
    newer: bool = True
    """Newer servers tell progress and stage, and keep a stale row of a job that ran when they died."""
    speed: float = 0.3
    """Generation seconds per second of audio."""
    tail_s: float = 6.0
    first_job_extra_s: float = 0.0
    files_per_job: int = 1
    lm_init_fails: bool = False
    fails_above_s: float = 600.0
    """Longer jobs fail, as on a small GPU."""
    fail_rate: float = 0.0
    hang_rate: float = 0.0
    corrupt_rate: float = 0.0
    error_rate: float = 0.0
    """Share of calls answered by an error; half of them after having had their effect."""
    forgets_at_once: bool = False
    repaints_fail: bool = False
    """What continues a segment fails, and all else works."""
    refuse_uploads: int = 0
    """The HTTP status that meets every upload."""
    refuses: int | None = None
    """HTTP status of every call but /health."""
    busy: bool = False
    room: int = 99
    """So many jobs are taken at once."""
    full: type[ServerTrouble] = ServerBusy
    retry_after_s: float | None = None
    late_files_s: float = 0.0
    """So long after its job a file is there."""
    no_stats: bool = False
    away: list[tuple[float, float]] = field(default_factory=list)
    """Times during which nothing listens."""
    lose_answers: int = 0
    """So many submits have their effect, and their answers are lost."""
    deaf_s: float = 0.0
    """Until `deaf_until_s`, from the first job on, a call ends so late and unanswered; submits arrive all the same."""
    deaf_until_s: float = 0.0
    reason: str = ""
    """What is told of a job that failed."""
    trouble: Callable[[str], ServerError | None] = lambda name: None
    """Name of a call -> the error it ends in, without having had an effect."""
    call_faults: dict[int, Callable[[], ServerError]] = field(default_factory=dict)
    """Number of a call (from 1) -> the error it ends in."""

    asked: list[Asked] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)
    polled_ids: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)
        self._queue: deque[Asked] = deque()
        self._running: Asked | None = None
        self.free_at = 0.0  # when the last job ended
        self._known: dict[str, Asked] = {}
        self._born: list[Asked] = []
        self._fates: deque[str] = deque()
        self._warm = False

    # Levers

    def next_fates(self, *fates: str) -> None:
        """Decide the fate of the next jobs."""
        self._fates.extend(fates)

    def stop_hanging(self) -> None:
        """Let the job that hangs end well, now."""
        with self._lock:
            self._advance()
            if self._running is not None:
                self._running.fate, self._running.needs_s = GOOD, self.now() - self._running.began_at

    def restart(self, down_s: float = 5.0) -> None:
        """Kill the server; it listens again after `down_s`. Finished jobs survive, the others are lost."""
        with self._lock:
            self._advance()
            now = self.now()
            self.away.append((now, now + down_s))
            if self._running is not None and self.newer:
                self._running.stale = True
            elif self._running is not None:
                del self._known[self._running.task_id]
            for job in self._queue:
                del self._known[job.task_id]
            self._queue.clear()
            self._running, self.free_at, self._warm = None, now + down_s, False
            self._born.clear()

    @property
    def at_work(self) -> int:
        """Jobs queued and running."""
        with self._lock:
            self._advance()
            return len(self._queue) + (self._running is not None)

    def files_of(self, job: Asked) -> int:
        """How many files a job brings: what continues a segment, one."""
        return 1 if job.recipe.continues else self.files_per_job

    def times_of(self, name: str) -> list[float]:
        """When a method was called."""
        return [at for at, called in self.calls if called == name]

    # The client's methods

    def health(self) -> None:
        """Answer while something listens."""
        self._listen()
        with self._lock:
            self._take_call("health")

    def submit(self, recipe: Recipe, *, thinking: bool = True, upload: bytes = b"") -> Submitted:
        """Queue a job."""
        with self._lock:
            late = self._take_call("submit")
            if self.busy or len(self._queue) + (self._running is not None) >= self.room:
                raise self.full("the queue is full", retry_after_s=self.retry_after_s)
            if recipe.continues and self.refuse_uploads:
                raise UploadRefused(f"HTTP {self.refuse_uploads}", is_final=self.refuse_uploads != 500)
            needs_s = self.speed * recipe.canvas_s + (0.0 if self._warm else self.first_job_extra_s)
            self._warm = True
            number = len(self.asked) + 1
            job = Asked(f"task-{number}", recipe, thinking, self.now(), self._fate(recipe, thinking), needs_s)
            self.asked.append(job)
            self._born.append(job)
            if not self.forgets_at_once:
                self._known[job.task_id] = job
                self._queue.append(job)
            self._advance()
            if late is None and self.lose_answers:
                self.lose_answers -= 1
                late = ServerTrouble("the answer was broken off")
            if late is not None:
                raise late
            position = len(self._queue) + (self._running is not None)
        self._listen()
        return Submitted(job.task_id, position)

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Report on jobs."""
        ids = tuple(task_ids)
        self._listen()
        with self._lock:
            late = self._take_call("poll")
            self.polled_ids.append(ids)
            if late is not None:
                raise late
            return {task_id: self._report(task_id) for task_id in ids}

    def download(self, file: AudioFile, destination: Path) -> int:
        """Write what `scripted_ingest` reads."""
        self._listen()
        with self._lock:
            late = self._take_call("download")
            if late is not None:
                raise late
            job = self._known.get(file.url.partition("#")[0])
            if job is None or self.now() < job.began_at + job.needs_s + self.late_files_s:
                raise ServerRefused("no such file (HTTP 404)", status=404)
            job.downloads += 1
            good = job.fate != CORRUPT
            length_s = job.recipe.canvas_s
        return destination.write_bytes(f"{length_s} {max(1.5, length_s - self.tail_s)}".encode() if good else b"<html>")

    def stats(self) -> ServerStats:
        """Count jobs."""
        self._listen()
        with self._lock:
            self._take_call("stats")
            if self.no_stats:
                raise ServerRefused("no such route (HTTP 404)", status=404)
            ends = [job.state for job in self._born]
            return ServerStats(
                len(self._queue),
                int(self._running is not None),
                ends.count(JobState.SUCCEEDED),
                ends.count(JobState.FAILED),
            )

    def close(self) -> None:
        """Nothing is open."""

    def foreign_job(self, duration_s: float) -> None:
        """Queue a job of somebody else's."""
        with self._lock:
            self._advance()
            job = Asked(f"foreign-{len(self.asked)}", Recipe("", "", duration_s), False, self.now(), GOOD, duration_s)
            self._known[job.task_id] = job
            self._queue.append(job)
            self._born.append(job)

    # Inside

    def _listen(self) -> None:
        """Let a caller wait while we are deaf, in vain where that takes too long for it."""
        left_s = self.deaf_until_s - self.now()
        if self.asked and left_s > 0.0:
            self.wait(min(left_s, self.deaf_s))
            if left_s > self.deaf_s:
                raise ServerSilent("no answer in time")

    def _take_call(self, name: str) -> ServerError | None:
        """Note a call; raise its fault, or return one that is due after the call's effect."""
        now = self.now()
        self.calls.append((now, name))
        self._advance()
        if any(begins <= now < ends for begins, ends in self.away):
            raise ServerUnreachable("cannot reach acestep-api: nothing listens")
        if (error := self.trouble(name)) is not None:
            raise error
        if len(self.calls) in self.call_faults:
            raise self.call_faults[len(self.calls)]()
        if self.refuses is not None and name != "health":
            kind = KeyRefused if self.refuses in (401, 403) else ServerRefused
            raise kind(f"refused (HTTP {self.refuses})", status=self.refuses)
        if self._random.random() < self.error_rate:
            error = ServerTrouble(f"{name} failed (HTTP 500)")
            if name == "health" or self._random.random() < 0.5:
                raise error
            return error
        return None

    def _fate(self, recipe: Recipe, thinking: bool) -> str:
        if (self.lm_init_fails and thinking) or recipe.canvas_s > self.fails_above_s:
            return FAILS
        if recipe.continues and self.repaints_fail:
            return FAILS
        if self._fates:
            return self._fates.popleft()
        draw = self._random.random()
        for fate, rate in ((FAILS, self.fail_rate), (HANGS, self.hang_rate), (CORRUPT, self.corrupt_rate)):
            if draw < rate:
                return fate
            draw -= rate
        return GOOD

    def _advance(self) -> None:
        """Let the worker do what it did since the last call."""
        now = self.now()
        while True:
            job = self._running
            if job is None:
                if not self._queue or max(self.free_at, self._queue[0].at) > now:
                    return
                job = self._running = self._queue.popleft()
                job.state, job.began_at = JobState.RUNNING, max(self.free_at, job.at)
            ends_at = job.began_at + job.needs_s
            if job.fate == HANGS or ends_at > now:
                return
            job.state = JobState.FAILED if job.fate == FAILS else JobState.SUCCEEDED
            self._running, self.free_at = None, ends_at

    def _report(self, task_id: str) -> JobReport:
        job = self._known.get(task_id)
        if job is None:
            return JobReport(task_id, JobState.LOST)
        if job.state is JobState.SUCCEEDED:
            count = 0 if job.fate == EMPTY else self.files_of(job)
            return JobReport(
                task_id, job.state, files=tuple(AudioFile(f"{task_id}#{index}", "42") for index in range(count))
            )
        if job.state is JobState.FAILED:
            return JobReport(task_id, job.state, detail=self.reason)
        if not self.newer:
            return JobReport(task_id, JobState.RUNNING)
        if job.state is JobState.QUEUED:
            return JobReport(task_id, job.state, stage="queued")
        done = 0.5 if job.fate == HANGS or job.stale else (self.now() - job.began_at) / max(job.needs_s, 1e-9)
        return JobReport(task_id, job.state, progress=min(1.0, done), stage="diffusion")


def scripted_ingest(path: Path, asked_s: float, cue_dbfs: float) -> Segment:
    """Read what `ScriptedServer.download` wrote."""
    try:
        length_s, audible_s = (float(word) for word in path.read_text("utf-8").split())
    except ValueError:
        raise CorruptSegment("not audio") from None
    length, cue_out = round(length_s * SAMPLE_RATE_HZ), round(audible_s * SAMPLE_RATE_HZ)
    return Segment(NO_SOUND, Analysis(length, 0, cue_out, -18.0, -1.0))


class MemoryStore:
    """A spool without a disk, but for the partial files.

    Threads: any; `_lock` guards the shelves.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refuse_next = 0
        self.added: list[Entry] = []
        self._lock = threading.Lock()
        self._ready: list[Entry] = []
        self._played: list[Entry] = []
        self._parts = 0

    def incoming_path(self, suffix: str, *, elsewhere: bool = False) -> Path:
        """Return a fresh path."""
        with self._lock:
            self._parts += 1
            return self.folder / f"{self._parts}{suffix}"

    def add(self, samples: Audio, info: SegmentInfo, *, shelf: str = "ready") -> Entry:
        """Put a segment on a shelf."""
        with self._lock:
            if self.refuse_next:
                self.refuse_next -= 1
                raise SpoolError("the disk is broken")
            entry = Entry(info.segment_id, shelf, None, info, samples)
            self.added.append(entry)
            (self._ready if shelf == "ready" else self._played).append(entry)
            return entry

    def ready(self) -> tuple[Entry, ...]:
        """Return the queue."""
        with self._lock:
            return tuple(self._ready)

    def find(self, segment_id: str) -> Entry | None:
        """Return a segment, whatever shelf it is on."""
        with self._lock:
            return next((entry for entry in (*self._ready, *self._played) if entry.key == segment_id), None)

    def play(self) -> Entry | None:
        """Take the head of the queue, or what goes on with the last; None when it is empty."""
        with self._lock:
            last = self._played[-1].info if self._played else None
            queue = play_order(self._ready, lambda entry: entry.info, last.segment_id if last else "")
            if not queue:
                return None
            self._ready.remove(queue[0])
            self._played.append(queue[0])
            return queue[0]
