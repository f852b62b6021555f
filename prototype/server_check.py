"""Whether acestep-api can be used: does it answer, does it take our key, does it make music, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trial
from ace_client import AceClient, Timeouts
from ace_replies import ServerStats
from clock import Clock
from config import Settings
from errors import ConfigError, CorruptSegment, JobFailed, JobLost, JobStalled, ServerError, ServerRefused, SpoolError
from findings import OK, PROBLEM, WARNING, Finding, Findings, found
from messages import text
from stations import Station
from widgets import span

JOB_S: Final = 10.0  # the shortest that acestep-api makes


class ServerCheck:
    """One examination of the server. `say` prints a sentence in between, `passing` one until the next line.

    Threads: one.
    """

    def __init__(
        self, settings: Settings, clock: Clock, say: Callable[[str], None], passing: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._language = settings.language
        self._clock = clock
        self._say = say
        self._passing = passing

    def findings(self, station: Station | None) -> Findings:
        """Examine step by step, as far as each step allows the next. Without a station there is no job."""
        settings = self._settings
        if settings.engine == "builtin":
            yield found(OK, "server", "check.server.off")
            return
        try:
            client = AceClient(
                settings.acestep_api_url, settings.acestep_api_key, settings.lm_model_path, settings.lm_backend,
                settings.batch_size, clock=self._clock,
                timeouts=Timeouts(submit_s=settings.first_job_timeout_sec),
            )  # fmt: skip
            client.health()
        except ConfigError as error:
            yield found(PROBLEM, "server", "check.settings.fault", fault=error)
        except ServerError as error:
            if settings.engine == "acestep":
                yield found(PROBLEM, "server", "check.server.needed", reason=error)
            else:
                yield found(WARNING, "server", "check.server.auto", reason=error)
        else:
            yield found(OK, "server", "check.server.ok", url=settings.acestep_api_url)
            yield from self._key(client, station)
            client.close()

    def _key(self, client: AceClient, station: Station | None) -> Findings:
        """Ask for what wants the key, as /health is open to all; go on to a job unless it is refused."""
        stats = ServerStats()
        try:
            try:
                stats = client.stats()
            except ServerRefused as error:
                if error.wants_key:
                    raise
                client.models()  # wants the key too; the Gradio app has no counts
            yield found(OK, "key", "check.key.ok" if self._settings.acestep_api_key else "check.key.open")
        except ServerRefused as error:
            key = "check.key.refused" if error.wants_key else "check.key.unknown"  # an older server has no such route
            yield found(PROBLEM if error.wants_key else OK, "key", key, reason=error)
            if error.wants_key:
                return
        except ServerError as error:
            yield found(WARNING, "key", "check.key.unknown", reason=error)
        if station is not None:
            yield from self._music(client, station, busy=bool(stats.running or stats.queue_size))

    def _music(self, client: AceClient, station: Station, *, busy: bool) -> Findings:
        """Have one short piece made, and say of what went wrong what it means."""
        longest_s = self._settings.first_job_timeout_sec
        self._say(text(self._language, "check.job.begins", seconds=f"{JOB_S:.0f}"))
        bench = trial.Bench(client, self._clock, longest_s, self._settings.cue_dbfs, self._waiting)
        try:
            made, thinking = self._made(bench, station)
        except (JobFailed, JobLost) as error:
            yield found(PROBLEM, "model", "check.job.failed", reason=error)
        except JobStalled:
            yield found(PROBLEM, "model", "check.job.late", seconds=f"{longest_s:.0f}")
        except ServerError as error:
            yield found(PROBLEM, "model", "check.job.refused", reason=error)
        except (CorruptSegment, SpoolError, OSError) as error:
            yield found(PROBLEM, "model", "check.job.file", reason=error)
        else:
            yield found(OK, "model", "check.job.ok", model=_models(client))
            yield self._language_model(thinking)
            yield self._speed(made, busy and not made.waited)

    def _made(self, bench: trial.Bench, station: Station) -> tuple[trial.Trial, bool]:
        """Return the trial and whether the language model took part: where jobs fail with it, one goes without."""
        recipe = station.recipe(0, JOB_S)
        if self._settings.thinking:
            try:
                return trial.run(bench, recipe, thinking=True), True
            except JobFailed:
                self._say(text(self._language, "check.job.again"))
        return trial.run(bench, recipe, thinking=False), False

    def _language_model(self, used: bool) -> Finding:
        if used:
            return found(OK, "lm", "check.lm.ok", name=self._settings.lm_model_path)
        return found(WARNING, "lm", "check.lm.fails") if self._settings.thinking else found(OK, "lm", "check.lm.off")

    def _speed(self, made: trial.Trial, busy: bool) -> Finding:
        fast = made.factor < 1
        return found(
            OK if fast or busy else WARNING,
            "speed",
            "check.speed.busy" if busy else "check.speed.ok" if fast else "check.speed.slow",
            seconds=f"{made.made_s:.0f}",
            time=span(self._language, made.took_s),
            factor=f"{made.factor:.2f}",
        )

    def _waiting(self, waited_s: float) -> None:
        self._passing(text(self._language, "ui.check.waiting", time=span(self._language, waited_s)))


def _models(client: AceClient) -> str:
    """Return the names of the server's models; its own name where it does not say."""
    try:
        return ", ".join(client.models()) or "acestep-api"
    except ServerError:
        return "acestep-api"
