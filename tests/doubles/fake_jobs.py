"""The jobs of FakeAcestep: their states follow from the time, their results look as the genuine server's."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from doubles.fake_audio import BAD_KINDS

JOB_FATES = ("ok", "fail", "hang", "no-file", "vanished", *BAD_KINDS)
STATUSES = {"queued": 0, "running": 0, "succeeded": 1, "failed": 2}


@dataclass
class Job:
    """One job; `started_at` None is queued, `ends_at` infinite is hung. `index` counts from 0 over the fake's life."""

    task_id: str
    index: int
    asked: dict[str, Any]
    created_at: float
    fate: str
    started_at: float | None = None
    ends_at: float = math.inf
    worker: int = 0
    stale: bool = False
    """Was running in a newer server when that died: the row stays as it was."""

    @property
    def seconds(self) -> float:
        """The duration asked for, of a repaint the whole canvas; 30 s where the model would choose."""
        try:
            length = "repainting_end" if self.asked.get("task_type") == "repaint" else "audio_duration"
            asked_s = float(self.asked.get(length) or 0)
        except (TypeError, ValueError):
            asked_s = 0.0
        return min(asked_s, 600.0) if asked_s > 0 else 30.0

    def state(self, now: float) -> str:
        """Return "queued", "running", "succeeded" or "failed"."""
        if self.started_at is None:
            return "queued"
        if self.stale or now < self.ends_at:
            return "running"
        return "failed" if self.fate == "fail" else "succeeded"

    def progress(self, now: float) -> float:
        """Return 0..1; a job that hangs, or ran when its server died, stays where it is."""
        if self.started_at is None:
            return 0.0
        if self.stale or math.isinf(self.ends_at):
            return 0.35
        return min((now - self.started_at) / max(self.ends_at - self.started_at, 1e-9), 0.99)


def result_rows(job: Job, now: float, links: list[str], *, newer: bool) -> list[dict[str, Any]]:
    """Return what the `result` string of a poll holds: one row a file, or one that names the state."""
    status = STATUSES[job.state(now)]
    row: dict[str, Any] = {"file": "", "wave": "", "status": status, "create_time": int(time.time()), "env": "test"}
    if newer:
        row |= {"progress": {0: job.progress(now), 1: 1.0, 2: 0.0}[status], "stage": job.state(now)}
    if status != 1:
        return [row | {"prompt": "", "lyrics": "", "metas": {}}]
    metas = {"bpm": job.asked.get("bpm", "N/A"), "duration": job.asked.get("audio_duration"), "genres": "N/A"}
    row |= {"prompt": job.asked.get("prompt", ""), "lyrics": "[Instrumental]", "metas": metas, "lm_model": "fake"}
    row |= {"seed_value": ",".join(str(1000 * job.index + number) for number in range(len(links)))}
    return [row | {"file": link} for link in links or [""]]
