"""The client of acestep-api: one method a route, one call one outcome, typed values in and out.

It retries nothing: what to do about an error is the generator loop's policy. All errors are ServerError (and
SpoolError where the destination of a download cannot be written).
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from base import errors
from base.texts import reason_of, said
from base.workers import Clock, SystemClock
from config import Settings
from music.segment import SAMPLE_RATE_HZ, Recipe
from server import replies
from server.faults import POLL_ROUTE, SUBMIT_ROUTE, InternalError
from server.replies import AudioFile, JobReport, JobState, ServerStats, Submitted
from server.transport import HttpChannel, Timeouts

__all__ = ["AceClient", "AudioFile", "JobReport", "JobState", "ServerStats", "Submitted", "Timeouts"]

MAX_FILE_BYTES: Final = 256 * 2**20
"""Ten minutes of float32 stereo, the longest the server makes, are 220 MiB."""

MAX_UPLOAD_BYTES: Final = 32 * 2**20
"""A minute of 24-bit stereo is 17 MiB before it is compressed."""

PROBE_S: Final = 5.0
PATIENT_S: Final = 10.0
"""What is asked again anyhow, and tells how the server is, is not waited for as long as a job or a file."""
WELL: Final = frozenset({"ok", "healthy", "up", "ready", "running", "alive", "online", "true"})
"""What servers of this API say of themselves in /health; acestep-api says ok."""


class AceClient:
    """One acestep-api.

    Threads: any number may call any method at once; `close` may be called by any of them. `_lock` guards `_doubted`;
    the flags only follow what the server last said.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        lm_model_path: str = "acestep-5Hz-lm-0.6B",
        lm_backend: str = "vllm",
        batch_size: int = 1,
        *,
        clock: Clock | None = None,
        timeouts: Timeouts | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        """Raise ConfigError for an address or a key that cannot be used."""
        timeouts = timeouts or Timeouts()
        self._http = HttpChannel(base_url, api_key, clock or SystemClock(), timeouts)
        self._submit_s = timeouts.submit_s
        self._patient_s, self._probe_s = (min(most_s, timeouts.read_s) for most_s in (PATIENT_S, PROBE_S))
        self._lm = {"lm_model_path": lm_model_path, "lm_backend": lm_backend}
        self._batch_size = batch_size
        self._max_file_bytes = max_file_bytes
        self._lock = threading.Lock()
        self._doubted: set[str] = set()
        self._numbers: set[str] = set()  # ids that are none of text at the server
        self.one_at_a_time = False
        """Whether the server answers nobody while it makes music, as ACE-Step's Gradio app does.

        What is asked for beside a job only waits there, and so does the music that is ready.
        """
        self._polls_work = False

    @classmethod
    def of(cls, settings: Settings, *, clock: Clock | None = None, timeouts: Timeouts | None = None) -> AceClient:
        """Return the client of the one server of the settings. Raises ConfigError as the constructor does."""
        return cls(
            settings.acestep_api_url,
            settings.acestep_api_key,
            settings.lm_model_path,
            settings.lm_backend,
            settings.batch_size,
            clock=clock,
            timeouts=timeouts or Timeouts(submit_s=settings.first_job_timeout_sec),
        )

    def __repr__(self) -> str:
        return f"AceClient({self._http.url!r})"

    def submit(self, recipe: Recipe, *, thinking: bool = True, upload: bytes = b"") -> Submitted:
        """Ask for a job that makes `recipe`. The answer may take as long as the job, or as loading the models.

        A recipe that continues a segment needs the canvas as a FLAC file, at most MAX_UPLOAD_BYTES, in `upload`.
        Raises UploadRefused where the server does not take one.

        Not idempotent. After ServerUnreachable, ServerBusy or ServerRefused the server surely has no new job; after any
        other ServerTrouble it may have one that we cannot name.
        """
        if len(upload) > MAX_UPLOAD_BYTES:
            raise errors.UploadRefused(said("call.upload_too_large", size=f"{len(upload) / 2**20:.0f}"), is_final=True)
        body = self._request(recipe, thinking)
        try:
            canvas = upload if recipe.continues else None
            data = self._http.json(SUBMIT_ROUTE, body, read_s=self._submit_s, upload=canvas)
        except (errors.ServerRefused, InternalError) as error:
            if recipe.continues and not isinstance(error, errors.KeyRefused):
                raise errors.UploadRefused(reason_of(error), is_final=error.is_final) from error
            if not isinstance(error, InternalError) or not self.one_at_a_time:
                raise
            task_id = f"unnamed-{uuid.uuid4().hex}"
            return Submitted(task_id, ended=True, report=JobReport(task_id, JobState.FAILED, detail=error.detail))
        taken = replies.submitted(data, self._http.clean)
        self.one_at_a_time |= taken.ended
        if taken.is_number:
            self._numbers.add(taken.task_id)
        return taken

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Return a report for each of the ids, in one call (none for no ids).

        What one odd reply says of a job does not count, the job goes on; the same from the next poll does.
        """
        wanted = list(task_ids)
        if not wanted:
            return {}
        ids = [int(task_id) if task_id in self._numbers else task_id for task_id in wanted]
        data = self._http.json(POLL_ROUTE, {"task_id_list": ids}, read_s=self._patient_s)
        reports = replies.job_reports(data, wanted, self._http.clean)
        doubtful = {task_id for task_id, report in reports.items() if report.doubtful}
        with self._lock:
            new, self._doubted = doubtful - self._doubted, (self._doubted - set(wanted)) | doubtful
        return reports | {task_id: JobReport(task_id, JobState.RUNNING) for task_id in new}

    def download(self, file: AudioFile, destination: Path) -> int:
        """Stream one file of a result to `destination`; return its size in bytes.

        On any failure no file is left behind. The bytes are not looked at: whether they are music is for `segment` to
        say. Raises SpoolError when the disk does not take them.
        """
        try:
            return self._fetch(file.url, destination)
        except errors.ServerRefused as refusal:
            if not file.otherwise:
                raise
            try:
                return self._fetch(file.otherwise, destination)
            except (errors.ServerRefused, errors.ServerTrouble):
                raise refusal from None

    def health(self) -> None:
        """Return when the server answers as acestep-api does; whether it can make music only a job tells.

        What counts is that it can be asked for jobs: a server without /health is one, another program with it is
        none. Raises ServerError otherwise, within a few seconds.
        """
        try:
            self._healthy(self._http.json("/health", read_s=self._probe_s))
        except errors.ServerUnreachable:
            self._polls_work = False
            raise
        except (errors.ServerRefused, errors.ServerNonsense) as error:
            self._answers_polls(error)
        else:
            if not self._polls_work:
                self._answers_polls(None)
        self._polls_work = True

    def _healthy(self, data: object) -> None:
        """Take in what /health says. Raises ServerTrouble where it says that it is not well."""
        if not isinstance(data, dict) or "status" not in data:
            raise errors.ServerNonsense(said("call.unlike", url=self._http.url))
        if str(data["status"]).lower() not in WELL:
            words = self._http.clean(str(data["status"]), 60)
            raise errors.ServerTrouble(said("call.says", url=self._http.url, words=words))
        if "gradio" in str(data.get("service")).lower():
            self.one_at_a_time = True

    def _answers_polls(self, doubt: errors.ServerError | None) -> None:
        """Ask for a job that nobody knows. Raises `doubt`, or why the server cannot be used."""
        try:
            data = self._http.json(POLL_ROUTE, {"task_id_list": ["probe"]}, read_s=self._probe_s)
            report = replies.job_reports(data, ["probe"], self._http.clean)["probe"]
            if doubt is not None and report.doubtful:
                raise doubt
        except errors.ServerUnsupported:
            raise
        except errors.KeyRefused:
            return
        except errors.ServerRefused as error:
            raise doubt or error from None
        except errors.ServerTrouble as error:
            if doubt or isinstance(error, errors.ServerNonsense):
                raise doubt or error from None

    def stats(self) -> ServerStats:
        """Return the server's counts; they start at zero when it restarts."""
        return replies.stats(self._http.json("/v1/stats", read_s=self._patient_s))

    def models(self) -> tuple[str, ...]:
        """Return the names of the loaded models."""
        return replies.models(self._http.json("/v1/models"), self._http.clean)

    def close(self) -> None:
        """End every call under way, in any thread, with ServerTrouble; refuse later ones."""
        self._http.close()

    def _request(self, recipe: Recipe, thinking: bool) -> dict[str, object]:
        body: dict[str, object] = {
            "task_type": "text2music",
            "prompt": recipe.prompt,
            "lyrics": "[Instrumental]",
            "vocal_language": "unknown",
            "audio_duration": recipe.duration_s,
            "batch_size": self._batch_size,
            "audio_format": "wav",
            "thinking": thinking,
            # Keeps the language model from rewriting the prompt.
            "use_cot_caption": False,
            "use_cot_language": False,
        }
        if thinking and not recipe.continues:
            body |= self._lm
        if context := recipe.continues:
            body |= {
                "task_type": "repaint",
                # The language model plays no part, but would be loaded, and its absence fails the job.
                "thinking": False,
                # Both always: the end's default is that of the upload, and older servers take 0 for absent.
                "repainting_start": context.length_frames / SAMPLE_RATE_HZ,
                "repainting_end": recipe.canvas_s,
                "batch_size": 1,  # one piece goes on in one way
                "chunk_mask_mode": "explicit",
                "audio_cover_strength": 1.0,
                "cover_noise_strength": 0,
            }
            del body["audio_duration"]
        if recipe.bpm is not None:
            body["bpm"] = recipe.bpm
        if recipe.seed is not None:
            body |= {"seed": recipe.seed, "use_random_seed": False}
        if recipe.key_scale:
            body["key_scale"] = recipe.key_scale
        if recipe.time_signature:
            # The server's vocabulary is 2, 3, 4 and 6, for 2/4, 3/4, 4/4 and 6/8.
            body["time_signature"] = recipe.time_signature.partition("/")[0]
        return body

    def _fetch(self, link: str, destination: Path) -> int:
        try:
            with (
                contextlib.closing(self._http.file(link, self._max_file_bytes)) as chunks,
                destination.open("wb") as sink,
            ):
                return sum(map(sink.write, chunks))
        except BaseException as error:
            with contextlib.suppress(OSError):  # then the spool sweeps it at the next start
                destination.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise errors.SpoolError(said("spool.cannot_write", path=destination, reason=error)) from error
            raise
