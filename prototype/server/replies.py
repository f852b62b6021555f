"""What acestep-api says, as values: pure functions from the `data` of a reply to frozen dataclasses.

The server is another program of another version: every field may be missing, null, of another type, or new.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from base.errors import ServerNonsense, ServerTrouble
from base.texts import Said, said
from server.faults import AUDIO_ROUTE, REASON_FIELDS, plain_text

MAX_ID_CHARS: Final = 200
MAX_STAGE_CHARS: Final = 40
MAX_SEED_CHARS: Final = 20
ID_FIELDS: Final = ("task_id", "job_id", "id")
WRAPPERS: Final = ("data", "result", "results", "task", "tasks", "job", "jobs")
LINK_FIELDS: Final = ("url", "file", "audio_url", "file_url", "download_url", "path", "audio_path", "file_path")
LIST_FIELDS: Final = (*LINK_FIELDS, "files", "audio", "audios", "audio_paths")
BARE_LINK: Final = re.compile(r"https?://|/|[A-Za-z]:[\\/]|\\\\")
DEPTH: Final = 4
SEED_FIELDS: Final = ("seed_value", "seed")

Clean = Callable[[object, int], str]
"""Makes the server's words fit for a person: one line, no longer than so many characters."""


class JobState(enum.Enum):
    """Where a job is. RUNNING also stands for queued where the server does not tell them apart."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


STATES: Final = {
    JobState.QUEUED: r"(en|in[_ -]?)?queue|pend|wait|schedul",
    JobState.RUNNING: r"[a-z]+ing(?![a-z])|.*pend",  # what is finishing has not ended
    JobState.SUCCEEDED: r"1$|succe|complete|done|finish",
    JobState.FAILED: r"2$|fail|error|crash|cancel|abort|stopp|kill|terminat|revoke|reject|expire|time[d_ -]*out",
    JobState.LOST: r"lost|unknown|missing|no[_ -]such|not[_ -]?found",
}
"""How its words begin, in this order. Unknown ones count as RUNNING: the deadline of the job decides."""


@dataclass(frozen=True)
class AudioFile:
    """One piece of music to download: `url` is a link at the server, `seed` "" where it did not say.

    `otherwise` is the link to try where the server does not know the first, "" for none.
    """

    url: str
    seed: str = ""
    otherwise: str = ""


@dataclass(frozen=True)
class JobReport:
    """One job at one moment.

    `progress` is 0..1, None where the server does not report it. SUCCEEDED with no `files` is a failure to save.
    `detail` is what the server says of a failure, usually nothing, or what is said of its reply. `doubtful`: the reply
    was odd, ask once more.
    """

    task_id: str
    state: JobState
    progress: float | None = None
    stage: str = ""
    files: tuple[AudioFile, ...] = ()
    detail: Said | str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class Submitted:
    """A job the server took. `queue_position` counts from 1; None where the server does not say.

    `ended`: the server answered only when the job was over; a `report` is there where that was said not to be well.
    `is_number`: it is a number that the server calls it by.
    """

    task_id: str
    queue_position: int | None = None
    ended: bool = False
    report: JobReport | None = None
    is_number: bool = False


@dataclass(frozen=True)
class ServerStats:
    """The server's own counts since its start; None where it does not say.

    `queued` can be too high (a refused job is counted for ever): believe `queue_size`.
    """

    queued: int | None = None
    running: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    queue_size: int | None = None

    @property
    def at_work(self) -> int:
        """Jobs queued and running."""
        queued = self.queued if self.queue_size is None else self.queue_size
        return (queued or 0) + (self.running or 0)


def submitted(data: object, clean: Clean) -> Submitted:
    """Read the reply to a submit. Raises ServerTrouble: if the server has the job, we cannot ask for it."""
    fields = _mapping(_job(data), said("reply.job"))
    task_id = _id(fields)
    if not task_id:
        words = _reason(fields, clean)
        raise ServerTrouble(said("reply.no_job", words=words) if words else said("reply.no_task_id"))
    position = _number(fields.get("queue_position"))
    state = _state(fields.get("status"))
    return Submitted(
        task_id,
        int(position) if position is not None and 1 <= position < 1e9 else None,
        ended=state in (JobState.SUCCEEDED, JobState.FAILED),
        report=JobReport(task_id, state, detail=_reason(fields, clean)) if state is JobState.FAILED else None,
        is_number=isinstance(_given_id(fields), int),
    )


def job_reports(data: object, task_ids: Sequence[str], clean: Clean) -> dict[str, JobReport]:
    """Read the reply to a poll: one report for each id asked, LOST for those the server does not know.

    Raises ServerTrouble when the whole is no list of rows.
    """
    found = _rows(data, task_ids)
    if found is None:
        raise _lacking(said("reply.results"))
    rows = {_id(row): row for row in found}
    return {
        task_id: _report(task_id, rows[task_id], clean)
        if task_id in rows
        else JobReport(task_id, JobState.LOST, doubtful=True)
        for task_id in task_ids
    }


def stats(data: object) -> ServerStats:
    """Read the reply to /v1/stats. Raises ServerTrouble when it is none."""
    fields = _mapping(data, said("reply.statistics"))
    jobs = fields.get("jobs")
    jobs = jobs if isinstance(jobs, dict) else {}
    counts = {name: _count(jobs.get(name)) for name in ("queued", "running", "succeeded", "failed")}
    return ServerStats(**counts, queue_size=_count(fields.get("queue_size")))


def models(data: object, clean: Clean) -> tuple[str, ...]:
    """Read the reply to /v1/models: `{"models": [{"name"}]}`, or newer `[{"id"}]`."""
    rows = data.get("models") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise _lacking(said("reply.models"))
    names = [clean(row.get("name") or row.get("id"), 100) for row in rows if isinstance(row, dict)]
    return tuple(name for name in names if name)


def _report(task_id: str, row: Mapping[str, Any], clean: Clean) -> JobReport:
    entries = _entries(row if row.get("result") is None else row["result"])
    first = entries[0] if entries else {}
    status = row.get("status", first.get("status", 0))
    state = _state(status)
    stage = clean(first.get("stage", row.get("stage")), MAX_STAGE_CHARS)
    if state is JobState.RUNNING and entries == [] and _number(status) is not None:
        # Status 0 with an empty list is how the server answers for an id it has never seen: it was restarted.
        return JobReport(task_id, JobState.LOST)
    if state is JobState.RUNNING and stage.lower() in ("queued", "pending"):
        state = JobState.QUEUED
    if state is JobState.SUCCEEDED and entries is None:
        return JobReport(task_id, JobState.FAILED, detail=said("unmade.unreadable"), doubtful=True)
    if state is JobState.SUCCEEDED and entries and not any(entry.keys() & set(LINK_FIELDS) for entry in entries):
        named = clean(", ".join(map(str, first)), 80)
        return JobReport(task_id, JobState.FAILED, detail=said("unmade.names_no_file", words=named or "-"))
    return JobReport(
        task_id,
        state,
        progress=_progress(first.get("progress", row.get("progress"))),
        stage=stage,
        files=_files(entries or []) if state is JobState.SUCCEEDED else (),
        detail=(_reason(first, clean) or _reason(row, clean)) if state is JobState.FAILED else "",
    )


def _parsed(value: object) -> object:
    """Return what a JSON text holds, itself written as one or not; anything else as it is."""
    try:
        while isinstance(value, str):
            value = json.loads(value)
    except (ValueError, RecursionError):
        pass
    return value


def _given_id(fields: Mapping[str, Any]) -> object:
    return next((fields[name] for name in ID_FIELDS if fields.get(name)), "")


def _id(fields: Mapping[str, Any]) -> str:
    """Return the id of a job, "" where there is none that could be asked for."""
    task_id = _given_id(fields)
    if isinstance(task_id, int) and not isinstance(task_id, bool):
        return str(task_id)
    return task_id if isinstance(task_id, str) and len(task_id) <= MAX_ID_CHARS and task_id.isprintable() else ""


def _job(data: object, depth: int = DEPTH) -> object:
    """Return the fields of a job that was taken, out of whatever they are wrapped in."""
    data = _parsed(data[0] if isinstance(data, list) and len(data) == 1 else data)
    if not isinstance(data, dict) or _id(data) or not depth:
        return data
    return next((_job(data[name], depth - 1) for name in WRAPPERS if name in data), data)


def _rows(data: object, task_ids: Sequence[str], depth: int = DEPTH) -> list[dict[str, Any]] | None:
    """Return the rows of the jobs, out of whatever they are wrapped in; None where there are none to be seen."""
    data = _parsed(data)
    if isinstance(data, list):
        return data if all(isinstance(row, dict) for row in data) else None
    if not isinstance(data, dict) or not depth:
        return None
    if _id(data) and data.keys() & {"status", "result"}:
        return [data]
    if by_id := [data[one] | {"task_id": one} for one in task_ids if isinstance(data.get(one), dict)]:
        return by_id
    wrapped = [_rows(data[name], task_ids, depth - 1) for name in WRAPPERS if name in data]
    return max((rows for rows in wrapped if rows is not None), key=len, default=None)


def _entries(result: object, depth: int = DEPTH) -> list[dict[str, Any]] | None:
    """Return a row for each file of a result, which is a string holding a JSON list; None when it cannot be read.

    A row may be a bare link, and may hold a list of files.
    """
    result = _parsed(result)
    if not depth:
        return None
    if isinstance(result, str):
        return [{"file": result}] if BARE_LINK.match(result) else None
    if isinstance(result, dict):
        several = next(
            (result[name] for name in LIST_FIELDS if result.get(name) and isinstance(result[name], (list, dict))), None
        )
        return [result | row for row in _entries(several, depth - 1) or []] or [result]
    if not isinstance(result, list):
        return None
    rows = [row for one in result for row in _entries(one, depth - 1) or []]
    return rows if rows or not result else None


def _state(status: object) -> JobState:
    number = _number(status)
    word = f"{number:g}" if number is not None else str(status).lower()
    return next((state for state, words in STATES.items() if re.match(words, word)), JobState.RUNNING)


def _progress(value: object) -> float | None:
    """Return a progress from 0 to 1; what is far more than that, or says so, is in percent."""
    percent = isinstance(value, str) and "%" in value
    number = _number(value.strip(" %") if isinstance(value, str) else value)
    return None if number is None else min(max(number / 100 if percent or number > 2 else number, 0.0), 1.0)


def _files(entries: list[dict[str, Any]]) -> tuple[AudioFile, ...]:
    """Return every file of a result once, in order."""
    files: dict[str, AudioFile] = {}
    for index, entry in enumerate(entries):
        links = _links(entry)
        if links:
            files.setdefault(links[0], AudioFile(links[0], _seed(entries, index), "".join(links[1:2])))
    return tuple(files.values())


def _links(entry: Mapping[str, Any]) -> list[str]:
    """Return where a file may be had, best first.

    A `file` is a link in acestep-api, and a path on the server's disk in the Gradio app, where older ones give no
    `url` beside it. A path is fetched as acestep-api's links do it.
    """
    words = [entry.get(name) for name in LINK_FIELDS]
    word = next((word.strip() for word in words if isinstance(word, str) and word.strip()), "")
    if not word or word.startswith(("http://", "https://", "//")) or re.search(r"\?.*=", word):
        return [word] if word else []
    by_path = f"{AUDIO_ROUTE}?path={quote(word, safe='')}"
    if re.match(r"[A-Za-z]:[\\/]|\\\\", word):
        return [by_path]
    is_route = not word.startswith("/") or word.startswith("/v1/")
    return [word, by_path] if is_route else [by_path, word]


def _seed(entries: list[dict[str, Any]], index: int) -> str:
    """Return the seed of a file: its row's own, or its place among the seeds of all, separated by commas."""
    for entry in (entries[index], entries[0]):
        seeds = str(next((entry[name] for name in SEED_FIELDS if entry.get(name)), "")).split(",")
        if len(seeds) == len(entries):
            return plain_text(seeds[index], MAX_SEED_CHARS)
        if len(seeds) == 1 and entry is entries[index] and seeds[0]:
            return plain_text(seeds[0], MAX_SEED_CHARS)
    return ""


def _reason(fields: Mapping[str, Any], clean: Clean) -> str:
    """Return why a job failed, as far as the server says."""
    return clean(next(filter(None, (_last_line(fields.get(name)) for name in REASON_FIELDS)), ""), 200)


def _mapping(data: object, what: Said) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise _lacking(what)
    return data


def _lacking(what: Said) -> ServerNonsense:
    return ServerNonsense(said("reply.lacks", what=what))


def _number(value: object) -> float | None:
    """Return a finite number, also one written as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None


def _last_line(text: object) -> str:
    """Return the last line with words in it: of a traceback, the one that names the error."""
    lines = [line for line in text.splitlines() if line.strip()] if isinstance(text, str) else []
    return lines[-1] if lines else ""
