"""Whether acestep-api can be used: does it answer, does it take our key, does it make music, and how fast.

One short job is made from start to end; nothing of it is kept.

A server may be deaf while it loads its models. That is waited for, and what may have arrived is asked for once more
only when it answers again.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ace_client import AceClient
from base import errors
from base.texts import reason_of, said
from base.workers import Clock
from config import Settings
from modes.report import OK, PROBLEM, WARNING, Finding, Findings, found
from music.analysis import ingest
from music.segment import Recipe
from music.stations import Station
from screen.printing import FAINT, Lines
from screen.widgets import span, speed
from server.replies import AudioFile, JobReport, JobState, ServerStats, Submitted

POLL_S: Final = 0.5  # the measured time is that exact
MOST_BAD_POLLS: Final = 5  # one after the other; the job itself is fine meanwhile
JOB_S: Final = 10.0  # the shortest that acestep-api makes


@dataclass(frozen=True)
class Trial:
    """What a job brought: `made_s` seconds of music (as asked for, all its files), after `took_s` seconds.

    `waited` says that the server told of a wait behind other jobs, which `took_s` leaves out.
    """

    made_s: float
    took_s: float
    waited: bool

    @property
    def factor(self) -> float:
        """Generation seconds per second of music asked for; a short job overstates it a little."""
        return self.took_s / self.made_s


@dataclass(frozen=True)
class Bench:
    """A server that answers, and how it is tried; in between the `lines` say what is done.

    Threads: one.
    """

    settings: Settings
    client: AceClient
    clock: Clock
    lines: Lines

    def run(self, recipe: Recipe, *, thinking: bool) -> Trial:
        """Ask for `recipe`, wait, fetch and examine what it made.

        Raises ServerError, JobFailed, JobLost, JobStalled (it takes too long), CorruptSegment when no file can be used,
        SpoolError and OSError when there is no place for them.
        """
        ends_at = self.clock.now() + self.settings.first_job_timeout_sec
        submitted, answered_s = self._submit(recipe, thinking, ends_at)
        if submitted.report is not None:
            raise _ending(submitted.report)
        files, took_s, waited = self._wait(submitted.task_id, ends_at)
        took_s = answered_s if submitted.ended else took_s
        if not files:
            raise errors.JobFailed(said("unmade.no_file"))
        usable, rejected = 0, errors.CorruptSegment(said("corrupt.no_file"))
        with tempfile.TemporaryDirectory(prefix="check-") as folder:
            for number, file in enumerate(files):
                path = Path(folder) / f"{number}.part"
                self.client.download(file, path)
                try:
                    ingest(path, recipe.duration_s, self.settings.cue_dbfs)
                    usable += 1
                except errors.CorruptSegment as error:
                    rejected = error
        if not usable:
            raise rejected
        return Trial(usable * recipe.duration_s, max(took_s, POLL_S / 10), waited)

    def _submit(self, recipe: Recipe, thinking: bool, ends_at: float) -> tuple[Submitted, float]:
        """Ask for a job, and where no answer came once more as soon as the server answers again.

        Returns: what the server took, and the seconds until it said so.
        """
        began_at, silent = self.clock.now(), False
        while self.clock.now() < ends_at:
            with contextlib.suppress(errors.ServerSilent):
                if silent:
                    self.client.health()
                asked_at = self.clock.now()
                return self.client.submit(recipe, thinking=thinking), self.clock.now() - asked_at
            silent = True
            self._waiting(self.clock.now() - began_at)
            self.clock.wait(threading.Event(), POLL_S)
        raise errors.JobStalled(said("unmade.not_done", seconds=f"{self.settings.first_job_timeout_sec:.0f}"))

    def _wait(self, task_id: str, ends_at: float) -> tuple[tuple[AudioFile, ...], float, bool]:
        """Poll until the job has ended; return its files, how long it ran, and whether it was seen to wait before."""
        never, asked_at = threading.Event(), self.clock.now()
        began_at, bad_polls = asked_at, 0
        while self.clock.now() < ends_at:
            self._waiting(self.clock.now() - asked_at)
            self.clock.wait(never, POLL_S)
            try:
                report = self.client.poll([task_id])[task_id]
                bad_polls = 0
            except errors.ServerSilent:
                continue
            except (errors.ServerTrouble, errors.ServerUnreachable):
                bad_polls += 1
                if bad_polls == MOST_BAD_POLLS:
                    raise
                continue
            if report.state is JobState.QUEUED:
                began_at = self.clock.now()
            elif report.state is JobState.SUCCEEDED:
                return report.files, self.clock.now() - began_at, began_at > asked_at
            elif report.state is not JobState.RUNNING:
                raise _ending(report)
        raise errors.JobStalled(said("unmade.not_done", seconds=f"{self.settings.first_job_timeout_sec:.0f}"))

    def findings(self, station: Station | None) -> Findings:
        """Ask for what wants the key, as /health is open to all; go on to a job unless it is refused."""
        stats = ServerStats()
        try:
            try:
                stats = self.client.stats()
            except errors.KeyRefused:
                raise
            except errors.ServerRefused:
                self.client.models()  # wants the key too; the Gradio app has no counts
            yield found(OK, "key", "check.key.ok" if self.settings.acestep_api_key else "check.key.open")
        except errors.KeyRefused as error:
            yield Finding(PROBLEM, "key", reason_of(error))
            return
        except errors.ServerRefused as error:
            yield found(OK, "key", "check.key.unknown", reason=error)  # an older server has no such route
        except errors.ServerError as error:
            yield found(WARNING, "key", "check.key.unknown", reason=error)
        if station is not None:
            yield from self._music(station, busy=bool(stats.running or stats.queue_size))

    def _music(self, station: Station, *, busy: bool) -> Findings:
        """Have one short piece made, and say of what went wrong what it means."""
        self.lines.tell(said("check.job.begins", seconds=f"{JOB_S:.0f}"), FAINT)
        try:
            made, thinking = self._made(station)
        except (errors.JobFailed, errors.JobLost) as error:
            yield found(PROBLEM, "model", "check.job.failed", reason=error)
        except errors.JobStalled:
            yield found(PROBLEM, "model", "check.job.late", seconds=f"{self.settings.first_job_timeout_sec:.0f}")
        except errors.ServerError as error:
            yield found(PROBLEM, "model", "check.job.refused", reason=error)
        except (errors.CorruptSegment, errors.SpoolError, OSError) as error:
            yield found(PROBLEM, "model", "check.job.file", reason=error)
        else:
            yield found(OK, "model", "check.job.ok", model=_models(self.client))
            yield self._language_model(thinking)
            yield self._speed(made, busy and not made.waited)

    def _made(self, station: Station) -> tuple[Trial, bool]:
        """Return the trial and whether the language model took part: where jobs fail with it, one goes without."""
        recipe = station.recipe(0, JOB_S)
        if self.settings.thinking:
            try:
                return self.run(recipe, thinking=True), True
            except errors.JobFailed:
                self.lines.tell(said("check.job.again"), FAINT)
        return self.run(recipe, thinking=False), False

    def _language_model(self, used: bool) -> Finding:
        if used:
            return found(OK, "lm", "check.lm.ok", name=self.settings.lm_model_path)
        return found(WARNING, "lm", "check.lm.fails") if self.settings.thinking else found(OK, "lm", "check.lm.off")

    def _speed(self, made: Trial, busy: bool) -> Finding:
        fast = made.factor < 1
        return found(
            OK if fast or busy else WARNING,
            "speed",
            "check.speed.busy" if busy else "check.speed.ok" if fast else "check.speed.slow",
            seconds=f"{made.made_s:.0f}",
            time=span(self.lines.language, made.took_s),
            speed=speed(self.lines.language, made.factor),
        )

    def _waiting(self, waited_s: float) -> None:
        self.lines.passing(said("ui.check.waiting", time=span(self.lines.language, waited_s)))


def _ending(report: JobReport) -> errors.AppError:
    if report.state is JobState.LOST:
        return errors.JobLost(said("unmade.unknown"))
    return errors.JobFailed(report.detail or said("unmade.no_reason"))


def _models(client: AceClient) -> str:
    """Return the names of the server's models; its own name where it does not say."""
    try:
        return ", ".join(client.models()) or "acestep-api"
    except errors.ServerError:
        return "acestep-api"


def examine(settings: Settings, clock: Clock, lines: Lines, station: Station | None) -> Findings:
    """Examine the server step by step, as far as each step allows the next. Without a station there is no job."""
    if settings.engine == "builtin":
        yield found(OK, "server", "check.server.off")
        return
    try:
        client = AceClient.of(settings, clock=clock)
        client.health()
    except errors.ConfigError as error:
        yield Finding(PROBLEM, "server", reason_of(error))
    except errors.ServerError as error:
        if settings.engine == "acestep":
            yield found(PROBLEM, "server", "check.server.needed", reason=error)
        else:
            yield found(WARNING, "server", "check.server.auto", reason=error)
    else:
        yield found(OK, "server", "check.server.ok", url=settings.acestep_api_url)
        yield from Bench(settings, client, clock, lines).findings(station)
        client.close()
