"""Whether acestep-api can be used just now, and the one thread at a time that finds out.

Whoever meets an unreachable or refusing server reports it here and waits; one of those who wait probes. Calls that
fail otherwise are counted by route: one bad answer is nothing, PATIENCE_S of them are worth a line, even though
everybody goes on. A person reads one line when something begins and one when it is over, however many threads and
calls were concerned. What can be concluded, from what, stands in `conclusions`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tenacity import Retrying

from base import errors
from base.texts import Said, reason_of
from generation import conclusions
from generation.calls import FETCHES, PROBES, SUBMITS, Client, Run, Stopped, Watch
from generation.jobs import ServerState

log = logging.getLogger(__name__)

REFUSED_PROBE_S: Final = 30.0
UNSUPPORTED_S: Final = 600.0
"""Nothing but another server helps; that one is noticed at once if it was away in between."""

PATIENCE_S: Final = 8.0
PROBES_FOR_COUNTS: Final = 4
WHOLE, HEALTH, SUBMIT, POLL, DOWNLOAD = "", "health", "submit", "poll", "download"
BUSY_AFTER: Final = 3


@dataclass(frozen=True)
class Trouble:
    """The calls to one route that failed one after the other: when the first began, when and how the last ended.

    Of the error itself nothing is held: by its traceback hang the connection, and the music that was uploaded.
    """

    since: float
    until: float
    reason: Said
    silent: bool


class Connection:
    """The server's state as all workers see it.

    Instead of CONNECTING and DOWN it is RESTARTING where `kept()` says that `--serve` is about to bring it back.
    `on_return(away_s)` is called by the probing thread before anybody goes on, when the server may be another one
    than before; what it raises of ServerError keeps the server away.

    Threads: any; `_lock` guards every field.
    """

    def __init__(
        self,
        client: Client,
        run: Run,
        url: str,
        engine: str,
        on_return: Callable[[float], None],
        kept: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lock = threading.Lock()
        self._client, self._run, self._clock = client, run, run.clock
        self._url, self._engine, self._on_return, self._kept = url, engine, on_return, kept
        self._restarting = False
        self._state = ServerState.OFF if engine == "builtin" else ServerState.CONNECTING
        self._reason: Said | None = None
        self._rests_until = run.clock.now()
        self._probing = False
        self._others = Watch(run)
        self._probes = 0
        self._troubles: dict[str, Trouble] = {}
        self._said: dict[tuple[str, int], str] = {}
        self._slowest_submit_s = 0.0
        self.heard_at = run.clock.now()
        """When the server last answered a call that tells how it is."""
        self._loading = self._loading_said = False
        self._ever_up = self._key_taken = False
        self._owes_good_news = True

    @property
    def state(self) -> tuple[ServerState, Said | None]:
        """The state and, where it is not well, the reason."""
        with self._lock:
            if self._restarting and self._state in (ServerState.CONNECTING, ServerState.DOWN):
                return ServerState.RESTARTING, None
            if self._state not in (ServerState.UP, ServerState.UNSURE):
                return self._state, self._reason
            lasting = [trouble.reason for trouble in self._troubles.values() if self._lasts(trouble)]
            if lasting or self._state == ServerState.UNSURE:
                return ServerState.UNWELL, lasting[-1] if lasting else self._reason
            return ServerState.LOADING if self._loading else ServerState.UP, None

    @property
    def is_up(self) -> bool:
        """Whether the server can be asked for jobs."""
        return self._state is ServerState.UP

    def is_troubled(self, route: str) -> bool:
        """Whether the last call to a route failed."""
        with self._lock:
            return route in self._troubles

    def failed(self, route: str, error: errors.ServerError, began_at: float) -> None:
        """Note that a call failed. Where it did not arrive, or was refused, nobody calls before the server is well.

        What fails otherwise is repeated, and said once that lasts.
        """
        if isinstance(error, errors.ServerTrouble):
            self.troubled(route, error, began_at)
            return
        refused = isinstance(error, errors.ServerRefused)
        with self._lock:
            if refused and self._state != ServerState.REFUSED:
                self._enter(ServerState.REFUSED, error)
                self._rests_until = self._clock.now() + UNSUPPORTED_S * isinstance(error, errors.ServerUnsupported)
            elif not refused and self._state in (ServerState.UP, ServerState.UNSURE):
                self._enter(ServerState.DOWN, error)
        if refused:
            self._say(route, error)

    def unsure(self, error: errors.ServerError) -> None:
        """Note that a submit may have arrived: nobody calls before the server answers and its counts are known."""
        with self._lock:
            if self._state == ServerState.UP:
                self._enter(ServerState.UNSURE, error)

    def troubled(self, route: str, error: errors.ServerError, began_at: float) -> None:
        """Note that a call failed which is repeated, and say so once that lasts."""
        with self._lock:
            since = self._troubles[route].since if route in self._troubles else began_at
            trouble = Trouble(since, self._clock.now(), reason_of(error), isinstance(error, errors.ServerSilent))
            self._troubles[route] = trouble
            lasts = self._lasts(trouble)
        if lasts:
            self._say(route, error)

    def answered(self, route: str, took_s: float = 0.0) -> None:
        """Note that a call was answered: what was said of its route, and of the server as a whole, is over.

        A server that answers a submit only as the job is done is deaf until then: its silence is nothing to tell.
        """
        with self._lock:
            self.heard_at = self._clock.now()
            if route == SUBMIT:
                self._slowest_submit_s = max(self._slowest_submit_s, took_s)
            self._troubles.pop(HEALTH, None)
            self._troubles.pop(route, None)
            self._key_taken = self._key_taken or route != HEALTH  # that one is open to all
            news = self._take_back(route)
        if news:
            self._run.notices.say("server.up", "good")

    def retrying(self, route: str) -> Retrying:
        """Return what makes a call to a route, repeats it when it fails on the way, and tells of that what is due."""
        began_at = self._clock.now()

        def note(attempt: int, error: BaseException | None) -> None:
            self._run.counts.add(retries=1)
            log.info("a call to acestep-api failed in transit, try %d: %s", attempt, error)
            if isinstance(error, errors.ServerError) and route != SUBMIT:
                self.troubled(route, error, began_at)
            elif isinstance(error, errors.ServerTrouble) and (
                attempt >= BUSY_AFTER or (error.retry_after_s or 0.0) > PATIENCE_S
            ):
                self._say(SUBMIT, error)

        return (SUBMITS if route == SUBMIT else FETCHES).of(self._run, note)

    def note_loading(self, begins: bool) -> None:
        """Note whether the server seems to load its models, and say so once."""
        with self._lock:
            news = begins and not self._loading_said
            self._loading, self._loading_said = begins, self._loading_said or begins
        if news:
            self._run.notices.say(*conclusions.LOADING.drawn)

    def wait_until_up(self) -> None:
        """Return when the server can be used. Raises Stopped."""
        while not self._run.stop.is_set():
            found = self._others.found
            with self._lock:
                if self._state == ServerState.UP:
                    return
                probing, self._probing = not self._probing, True
                wait_s = self._until_probe_s() if probing else 0.0
            if not probing:
                self._others.rest(found)
                continue
            try:
                self._probe(wait_s)
            finally:
                with self._lock:
                    self._probing = False
                self._others.wake()
        raise Stopped

    def _take_back(self, route: str) -> bool:
        """Take back what was said of a route; return whether that is worth a line. Called under the lock."""
        over = {route} if route == HEALTH else {route, WHOLE}
        self._said = {key: of for key, of in self._said.items() if of not in over}
        is_well = self._state == ServerState.UP and not self._said and not self._troubles
        news = self._owes_good_news and self._key_taken and is_well
        self._owes_good_news = self._owes_good_news and not news
        return news

    def _lasts(self, trouble: Trouble) -> bool:
        """Whether a trouble is worth a line: many calls, or one that was waited for in vain."""
        patience_s = max(PATIENCE_S, 2 * self._slowest_submit_s) if trouble.silent else PATIENCE_S
        return trouble.until - trouble.since >= patience_s

    def _enter(self, state: ServerState, error: errors.ServerError) -> None:
        """Change the state to one in which nobody calls. Called under the lock."""
        self._state, self._reason = state, reason_of(error)
        self._probes = 0
        self._loading = self._loading_said = False

    def _until_probe_s(self) -> float:
        """Seconds before the next probe: none before the very first. Called under the lock."""
        self._probes += 1
        if self._state == ServerState.REFUSED:
            return REFUSED_PROBE_S
        if self._state == ServerState.CONNECTING and self._probes == 1:
            return 0.0
        return PROBES.wait_s(self._probes, self._run.rng)

    def _probe(self, wait_s: float) -> None:
        """Wait, ask the server, and take over what it says."""
        self._run.pause(wait_s)
        with self._lock:
            state = self._state
        try:
            self._client.health()
            if state == ServerState.REFUSED and self._clock.now() < self._rests_until:
                return
            if state in (ServerState.REFUSED, ServerState.UNSURE):
                self._ask_with_key()
            if state != ServerState.UNSURE:
                self._on_return(self._clock.now() - self.heard_at)
        except errors.ServerRefused as error:
            self.failed(WHOLE, error, self._clock.now())
        except errors.ServerError as error:
            self._still_away(error)
        else:
            self._returned()

    def _ask_with_key(self) -> None:
        """Ask for what wants the key, as /health is open to all, and for the counts.

        A server without that route cannot refuse the key; one that never gives its counts is used without.
        """
        try:
            self._client.stats()
            with self._lock:
                self._key_taken = True
        except errors.KeyRefused:
            raise
        except errors.ServerRefused:
            return
        except errors.ServerTrouble:
            if self._probes < PROBES_FOR_COUNTS:
                raise

    def _returned(self) -> None:
        """Let everybody go on. A server that was only silent is well again; for the rest each route has to show it."""
        with self._lock:
            was_unsure = self._state == ServerState.UNSURE
            self._state, self._reason, self._ever_up = ServerState.UP, None, True
            news = False
            for route, trouble in list(self._troubles.items()):
                if not was_unsure:
                    del self._troubles[route]
                elif trouble.silent:
                    del self._troubles[route]
                    news = self._take_back(route) or news
        if news:
            self._run.notices.say("server.up", "good")

    def _still_away(self, error: errors.ServerError) -> None:
        unreachable = isinstance(error, errors.ServerUnreachable)
        self._restarting = unreachable and self._kept()
        with self._lock:
            if self._state == ServerState.REFUSED and not unreachable:
                return
            if unreachable and self._state in (ServerState.REFUSED, ServerState.UNSURE):
                self._enter(ServerState.DOWN, error)
            self._reason = reason_of(error)
        self._say(WHOLE, error)

    def _say(self, route: str, error: errors.ServerError) -> None:
        """Say what a failed call shows, once until a call to that route (WHOLE: any) is answered."""
        conclusion = conclusions.of_call(error)
        refused = isinstance(error, errors.ServerRefused)
        with self._lock:
            if conclusion is conclusions.AWAY and self._restarting:
                conclusion = conclusions.RESTARTING
            elif conclusion is conclusions.AWAY and not self._ever_up and self._engine == "auto":
                conclusion = conclusions.ABSENT
            key = (conclusion.line, error.status if isinstance(error, errors.ServerRefused) else 0)
            known = key in self._said
            self._said.setdefault(key, WHOLE if conclusion is conclusions.KEY else route)
            self._owes_good_news = True
        if not known:
            self._run.notices.say(
                conclusion.line, "error" if refused else conclusion.level, reason=error, url=self._url
            )
