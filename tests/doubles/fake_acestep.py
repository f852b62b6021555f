"""FakeAcestep: an acestep-api in this process, with a lever for everything that has been seen to go wrong.

It answers as the genuine server does (the contract suite in test_ace_client.py runs against both), over real HTTP
on a loopback port. Its jobs need no thread: what is queued, running and done follows from `now()` at each request.

    with FakeAcestep() as server:                       # every job is done at once
        server.plan("fail", "fail")
    FakeAcestep(now=clock.now, speed=0.3)               # 0.3 s a second of audio, on a test's own clock
    FakeAcestep(manual=True); server.finish()           # a job ends when the test says so
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

from doubles.fake_audio import BAD_KINDS, bad_audio, good_wav
from doubles.fake_http import RANDOM_ERRORS, Delivery, Fault, HttpFront, Reply, Request, text, wrapped
from doubles.fake_jobs import JOB_FATES, STATUSES, Job, result_rows


@dataclass
class FakeAcestep:
    """The server; its public fields are levers that may be moved at any time.

    Threads: any; `_lock` guards every field whose name starts with `_`.
    """

    now: Callable[[], float] = time.monotonic
    port: int = 0
    api_key: str = ""
    newer: bool = True
    """Newer versions report progress and stage, and keep a stale row for a job that ran when they died."""
    speed: float = 0.0
    """Generation seconds per second of audio."""
    manual: bool = False
    """Jobs end by `finish` only."""
    workers: int = 1
    """Fixed once the server is made."""
    newest_first: bool = False
    queue_limit: int = 200
    files_per_job: int | None = None
    """None: as many as asked, 2 by default, as the genuine server."""
    audio: Callable[[int, float], bytes] = good_wav
    """(number of the file, its seconds) -> its bytes."""
    repainted: Callable[[dict[str, Any], int], bytes] | None = None
    """(what was asked, number of the file) -> the bytes of a repaint; None: as any other job."""
    refuse_uploads: int = 0
    """The HTTP status that meets every upload."""
    lm_init_fails: bool = False
    """Jobs with thinking fail; without it they work."""
    fail_rate: float = 0.0
    hang_every: int = 0
    error_rate: float = 0.0
    """Share of HTTP requests, health included, that get a 500, 502 or 503 and change nothing."""
    download_pause_s: float = 0.0
    """Real seconds between two chunks of 64 KiB of a download."""
    reply_filter: Callable[[Request, Any], Any] | None = None
    """Rewrites the `data` of every successful reply: for shapes that make no sense."""
    seed: int = 0
    requests: list[Request] = field(default_factory=list)
    """Everything that was asked, in order."""

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._random = random.Random(self.seed)
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._free_at = [-math.inf] * self.workers
        self._plan: deque[str] = deque()
        self._faults: list[Fault] = []
        self._files: dict[str, tuple[int, Job]] = {}
        self._born: list[Job] = []
        self._count = self._file_count = self._phantoms = 0
        self._front = HttpFront(self.answer)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen, on the port of the last time if there was one."""
        self.port = self._front.start(self.port)
        return self

    def stop(self) -> None:
        """Stop listening and break every connection; the jobs stay as they are."""
        self._front.stop()

    def kill(self) -> None:
        """Die as by kill -9: what was not done is lost, what was done survives the next start."""
        self._front.stop()
        with self._lock:
            now = self._advance()
            for job in list(self._jobs.values()):
                if job.state(now) == "running" and self.newer:
                    job.stale = True
                elif job.state(now) in ("queued", "running"):
                    del self._jobs[job.task_id]
            self._queue.clear()
            self._born.clear()
            self._phantoms = 0
            self._free_at = [-math.inf] * self.workers

    def restart(self) -> None:
        """Die and come back on the same port."""
        self.kill()
        self.start()

    def plan(self, *fates: str) -> None:
        """Set what becomes of the next jobs asked for, in order: JOB_FATES."""
        unknown = set(fates) - set(JOB_FATES)
        if unknown:
            raise ValueError(f"no such fate: {unknown}")
        with self._lock:
            self._plan.extend(fates)

    def answer_next(self, reply: Reply, count: int = 1, route: str = "") -> None:
        """Meet the next requests with this reply; nothing is done for them."""
        self._add(Fault(route, "reply", count, reply))

    def drop_next(self, count: int = 1, route: str = "", *, after: bool = False) -> None:
        """Break the connection instead of answering; with `after`, do first what was asked."""
        self._add(Fault(route, "drop-after" if after else "drop", count))

    def stall_next(self, count: int = 1, route: str = "") -> None:
        """Do what is asked, but do not answer until `release` (or `stop`)."""
        self._add(Fault(route, "stall", count))

    def truncate_next(self, count: int = 1, route: str = "/v1/audio") -> None:
        """Break off the body in the middle."""
        self._add(Fault(route, "half", count))

    def clear_faults(self) -> None:
        """Meet the next requests as they should be; what `stall_next` holds stays held."""
        with self._lock:
            self._faults.clear()

    def release(self) -> None:
        """Answer the requests that `stall_next` holds."""
        self._front.release()

    def finish(self, task_id: str | None = None) -> None:
        """End the oldest running (also: hung) job, or the one named, now."""
        with self._lock:
            now = self._advance()
            running = [job for job in self._jobs.values() if job.state(now) == "running" and not job.stale]
            job = self._jobs[task_id] if task_id else min(running, key=lambda job: job.started_at or 0.0)
            job.started_at = now if job.started_at is None else job.started_at
            job.ends_at = self._free_at[job.worker] = now
            with contextlib.suppress(ValueError):
                self._queue.remove(job)
            self._advance()

    def lose_jobs(self) -> None:
        """Forget every job, finished ones too, without a restart."""
        with self._lock:
            self._jobs.clear()
            self._queue.clear()
            self._free_at = [-math.inf] * self.workers

    def asked(self, route: str) -> list[Request]:
        """Return the requests to one route so far."""
        with self._lock:
            return [request for request in self.requests if request.route == route]

    @property
    def submits(self) -> list[dict[str, Any]]:
        """The bodies of all requests for a job so far."""
        return [request.body for request in self.asked("/release_task") if isinstance(request.body, dict)]

    def jobs(self, state: str = "") -> list[Job]:
        """Return the jobs that are known, all or those in one state."""
        with self._lock:
            now = self._advance()
            return [job for job in self._jobs.values() if not state or job.state(now) == state]

    def answer(self, request: Request) -> Delivery:
        """Return what to send for one request, faults included."""
        with self._lock:
            self.requests.append(request)
            fault = next((f for f in self._faults if f.count and f.route in ("", request.route)), None)
            if fault:
                fault.count -= 1
                if fault.how == "reply" and fault.reply:
                    return Delivery(fault.reply)
                if fault.how == "drop":
                    return Delivery(text(500, ""), how="drop")
            elif self._random.random() < self.error_rate:
                return Delivery(self._random.choice(RANDOM_ERRORS))
            reply = self._route(request)
            pause_s = self.download_pause_s if request.route == "/v1/audio" else 0.0
            return Delivery(reply, how=fault.how.removesuffix("-after") if fault else "reply", pause_s=pause_s)

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _route(self, request: Request) -> Reply:
        if (
            self.api_key
            and request.route != "/health"
            and request.headers.get("authorization") != f"Bearer {self.api_key}"
        ):
            return text(401, json.dumps({"detail": "Invalid API key"}), "application/json")
        handlers = {
            ("POST", "/release_task"): self._submit,
            ("POST", "/query_result"): self._query,
            ("GET", "/v1/audio"): self._audio,
            ("GET", "/v1/stats"): self._stats,
            ("GET", "/v1/models"): self._models,
            ("GET", "/health"): self._health,
        }
        handler = handlers.get((request.method, request.route))
        if handler is None:
            return text(404, json.dumps({"detail": "Not Found"}), "application/json")
        answer = handler(request)
        if isinstance(answer, Reply):
            return answer
        return wrapped(self.reply_filter(request, answer) if self.reply_filter else answer)

    def _health(self, request: Request) -> Any:
        return {"status": "ok", "service": "ACE-Step API", "version": "1.0"}

    def _submit(self, request: Request) -> Any:
        if not isinstance(request.body, dict):
            return text(500, "Internal Server Error")
        if self.refuse_uploads and request.headers.get("content-type", "").startswith("multipart/"):
            return text(self.refuse_uploads, "Internal Server Error")
        if request.body.get("lm_backend", "vllm") not in ("vllm", "pt", *(["mlx"] if self.newer else [])):
            return text(500, "Internal Server Error")
        now = self._advance()
        if len(self._queue) >= self.queue_limit:
            self._phantoms += 1
            return text(429, json.dumps({"detail": "Server busy: queue is full"}), "application/json")
        job = Job(str(uuid.UUID(int=self._random.getrandbits(128))), self._count, request.body, now, self._fate())
        if self.lm_init_fails and request.body.get("thinking"):
            job.fate = "fail"
        self._count += 1
        self._jobs[job.task_id] = job
        self._born.append(job)
        self._queue.append(job)
        position = len(self._queue)
        self._advance()
        return {"task_id": job.task_id, "status": "queued", "queue_position": position}

    def _fate(self) -> str:
        if self._plan:
            return self._plan.popleft()
        if self.hang_every and (self._count + 1) % self.hang_every == 0:
            return "hang"
        return "fail" if self._random.random() < self.fail_rate else "ok"

    def _advance(self) -> float:
        """Start every queued job whose turn has come by now, each at the moment its worker was free."""
        now = self.now()
        while self._queue:
            worker = min(range(self.workers), key=self._free_at.__getitem__)
            if self._free_at[worker] > now:
                break
            job = self._queue.pop() if self.newest_first else self._queue.popleft()
            job.worker = worker
            job.started_at = max(self._free_at[worker], job.created_at)
            if not self.manual and job.fate != "hang":
                job.ends_at = job.started_at + self.speed * job.seconds
            self._free_at[worker] = job.ends_at
        return now

    def _query(self, request: Request) -> Any:
        ids = request.body.get("task_id_list", []) if isinstance(request.body, dict) else []
        now = self._advance()
        rows = []
        for task_id in json.loads(ids) if isinstance(ids, str) else ids:
            job = self._jobs.get(task_id)
            status = STATUSES[job.state(now)] if job else 0
            rows_of_job = (
                result_rows(job, now, self._links(job) if status == 1 else [], newer=self.newer) if job else []
            )
            result = json.dumps(rows_of_job, ensure_ascii=False)
            rows.append({"task_id": task_id, "result": result, "status": status})
        return rows

    def _links(self, job: Job) -> list[str]:
        if job.fate == "no-file":
            return []
        asked = job.asked.get("batch_size")
        wanted = (
            self.files_per_job if self.files_per_job is not None else int(str(asked)) if str(asked).isdecimal() else 2
        )
        suffix = str(job.asked.get("audio_format", "mp3"))
        paths = [f"/tmp/api audio/{job.task_id}-{number}.{suffix}" for number in range(wanted)]
        for path in paths:
            if path not in self._files:
                self._files[path] = (self._file_count, job)
                self._file_count += 1
        return [f"/v1/audio?path={quote(path, safe='')}" for path in paths]

    def _audio(self, request: Request) -> Any:
        path = request.query.get("path", "")
        number, job = self._files.get(path, (0, None))
        if job is None or job.fate == "vanished":
            return text(404, json.dumps({"detail": f"Audio file not found: {path}"}), "application/json")
        if job.fate in BAD_KINDS:
            audio = bad_audio(job.fate, job.seconds)
        elif self.repainted is not None and job.asked.get("task_type") == "repaint":
            audio = self.repainted(job.asked, number)
        else:
            audio = self.audio(number, job.seconds)
        return Reply(200, audio, "audio/wav")

    def _stats(self, request: Request) -> Any:
        now = self._advance()
        states = [job.state(now) for job in self._born]
        jobs = {state: states.count(state) for state in ("queued", "running", "succeeded", "failed")}
        jobs["queued"] += self._phantoms
        return {"jobs": jobs | {"total": len(states)}, "queue_size": len(self._queue), "avg_job_seconds": 5.0}

    def _models(self, request: Request) -> Any:
        return {"models": [{"name": "acestep-v15-turbo", "is_default": True}], "default_model": "acestep-v15-turbo"}
