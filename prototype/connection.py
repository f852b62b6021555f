"""Whether acestep-api can be used just now, and the one thread at a time that finds out.

Whoever meets an unreachable or refusing server reports it here and waits; one of those who wait probes. A person
reads one line when it goes and one when it is back, however many threads and calls were concerned.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

from clock import Clock
from errors import ServerError, ServerRefused, ServerUnreachable
from notices import Notices
from policy import backoff_s
from transit import Client

LONGEST_PROBE_S: Final = 10.0
REFUSED_PROBE_S: Final = 30.0
OTHERS_LOOK_S: Final = 0.5


class Stopped(Exception):
    """The program ends: leave whatever you do."""


class Connection:
    """The server's state as all workers see it: "connecting", "up", "loading", "down", "refused" or "off".

    `on_return(away_s)` is called by the probing thread before anybody goes on; what it raises of ServerError
    keeps the server away.

    Threads: any; `_lock` guards every field.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        notices: Notices,
        rng: random.Random,
        url: str,
        engine: str,
        on_return: Callable[[float], None],
    ) -> None:
        self._lock = threading.Lock()
        self._client = client
        self._clock = clock
        self._notices = notices
        self._rng = rng
        self._url = url
        self._engine = engine
        self._on_return = on_return
        self._state = "off" if engine == "builtin" else "connecting"
        self._detail = ""
        self._since = clock.now()
        self._probing = False
        self._probes = 0
        self._absence_said = False
        self._refusal_said: int | None = None
        self._loading_said = False
        self._ever_up = False

    @property
    def state(self) -> tuple[str, str]:
        """The state and, where it is not well, the reason."""
        with self._lock:
            return self._state, self._detail

    def lost(self, error: ServerUnreachable) -> None:
        """Note that a call did not get through."""
        with self._lock:
            if self._state in ("up", "loading"):
                self._enter("down", str(error))

    def refused(self, error: ServerRefused) -> None:
        """Note that the server said no, and say so once until a job is accepted again."""
        with self._lock:
            known = self._refusal_said == error.status
            self._refusal_said = error.status
            if self._state != "refused":
                self._enter("refused", str(error))
        if not known:
            key = "server.key_refused" if error.wants_key else "server.refused"
            self._notices.say(key, "error", reason=str(error), status=error.status)

    def accepted(self) -> None:
        """Note that the server took a job."""
        with self._lock:
            was_refused, self._refusal_said = self._refusal_said is not None, None
        if was_refused:
            self._notices.say("server.up", "good")

    def loading(self, *, begins: bool) -> bool:
        """Note whether the server seems to load its models; return whether that is to be said."""
        with self._lock:
            if self._state not in ("up", "loading"):
                return False
            self._state = "loading" if begins else "up"
            news = begins and not self._loading_said
            self._loading_said = self._loading_said or begins
            return news

    def wait_until_up(self, stop: threading.Event) -> None:
        """Return when the server can be used. Raises Stopped."""
        while not stop.is_set():
            with self._lock:
                if self._state in ("up", "loading"):
                    return
                probing = not self._probing and self._state != "off"
                self._probing = self._probing or probing
                wait_s = self._until_probe_s() if probing else OTHERS_LOOK_S
            if probing:
                try:
                    self._probe(stop, wait_s)
                finally:
                    with self._lock:
                        self._probing = False
            else:
                self._clock.wait(stop, wait_s)
        raise Stopped

    def _enter(self, state: str, detail: str) -> None:
        """Change the state to one in which nobody calls. Called under the lock."""
        self._state, self._detail = state, detail
        self._since, self._probes = self._clock.now(), 0
        self._loading_said = False

    def _until_probe_s(self) -> float:
        """Seconds before the next probe: none before the very first. Called under the lock."""
        self._probes += 1
        if self._state == "refused":
            return REFUSED_PROBE_S
        if self._state == "connecting" and self._probes == 1:
            return 0.0
        return backoff_s(self._probes, self._rng, first_s=0.5, longest_s=LONGEST_PROBE_S)

    def _probe(self, stop: threading.Event, wait_s: float) -> None:
        """Wait, ask the server, and take over what it says."""
        if self._clock.wait(stop, wait_s):
            raise Stopped
        with self._lock:
            state, since = self._state, self._since
        try:
            self._client.health()
            if state == "refused":
                self._try_key()
            self._on_return(self._clock.now() - since)
        except ServerRefused as error:
            self.refused(error)
        except ServerError as error:
            self._still_away(error)
        else:
            self._returned()

    def _try_key(self) -> None:
        """Ask for what wants the key, as /health is open to all. A server without that route cannot refuse it."""
        try:
            self._client.stats()
        except ServerRefused as error:
            if error.wants_key:
                raise

    def _still_away(self, error: ServerError) -> None:
        unreachable = isinstance(error, ServerUnreachable)
        with self._lock:
            if self._state == "refused" and not unreachable:
                return
            if self._state == "refused":
                self._enter("down", str(error))
            self._detail = str(error)
            said, self._absence_said = self._absence_said, True
            expected = unreachable and not self._ever_up and self._engine == "auto"
        if said:
            return
        if expected:
            self._notices.say("server.absent", url=self._url)
        elif unreachable:
            self._notices.say("server.down", "warning", url=self._url)
        else:
            self._notices.say("server.unwell", "warning", reason=str(error))

    def _returned(self) -> None:
        with self._lock:
            news = self._absence_said or not self._ever_up
            self._state, self._detail = "up", ""
            self._ever_up, self._absence_said = True, False
        if news:
            self._notices.say("server.up", "good")
