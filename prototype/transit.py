"""The calls of acestep-api that the generator uses, and their repetition when they fail on the way.

tenacity repeats what is safe to repeat: a call that changes nothing, or one that surely did not arrive. The waits
grow exponentially with jitter, are capped, and end when the program does.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from ace_replies import AudioFile, JobReport, ServerStats, Submitted
from errors import ServerTrouble
from policy import backoff_s
from values import Recipe

TRANSIT_TRIES: Final = 6
MOST_PATIENT_S: Final = 120.0  # however long a server asks us to wait
FETCH_TRIES: Final = 12  # two to four minutes: what is fetched was generated and is not made again


class Client(Protocol):
    """acestep-api, as `ace_client.AceClient` gives it: one call, one outcome; any thread may call."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether the server answers nobody while it makes music."""
        ...

    def submit(self, recipe: Recipe, *, thinking: bool = True) -> Submitted:
        """Ask for a job."""
        ...

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Ask how jobs are."""
        ...

    def download(self, file: AudioFile, destination: Path, stop: threading.Event | None = None) -> int:
        """Fetch a file."""
        ...

    def health(self) -> None:
        """Ask whether it is there."""
        ...

    def stats(self) -> ServerStats:
        """Ask what it does."""
        ...


def _asked_s(state: RetryCallState) -> float:
    """Return the wait that the server asked for, within reason."""
    error = state.outcome.exception() if state.outcome else None
    return min((isinstance(error, ServerTrouble) and error.retry_after_s) or 0.0, MOST_PATIENT_S)


def retrying(
    pause: Callable[[float], None],
    rng: random.Random,
    note: Callable[[int, BaseException | None], None],
    *,
    idempotent: bool,
) -> Retrying:
    """Return a tenacity policy for one call.

    `pause` waits, and raises when the program ends. `note` is told each failed attempt that will be repeated.
    """

    def passing(error: BaseException) -> bool:
        return isinstance(error, ServerTrouble) and not error.is_final and (idempotent or not error.arrived)

    def before_sleep(state: RetryCallState) -> None:
        note(state.attempt_number, state.outcome.exception() if state.outcome else None)

    return Retrying(
        retry=retry_if_exception(passing),
        wait=lambda state: max(backoff_s(state.attempt_number, rng), _asked_s(state)),
        stop=stop_after_attempt(FETCH_TRIES if idempotent else TRANSIT_TRIES),
        sleep=lambda seconds: pause(float(seconds)),
        before_sleep=before_sleep,
        reraise=True,
    )
