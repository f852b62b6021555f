"""What the generator can conclude when music does not come: one row each, and all that may be done on its account.

A conclusion is drawn from evidence of its own kind only. A call that failed tells of the way to the server, not of a
job; only the server's verdict (status 2, success without a file, a file that is no music) tells of what was asked.
Each is said once, when it is drawn, and again only after it was taken back. Under each row stands what it is drawn
from, what changes, and what ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from base import errors
from base.notices import Level

Line = tuple[str, Level]
"""Key and level of a notice."""


@dataclass(frozen=True)
class Conclusion:
    """Keys of notices: `line` is said as it is drawn, `back` as it is taken back.

    Without `back`, the next thing that happens shows that it is over.
    """

    line: str
    back: str = ""
    level: Level = "warning"

    @property
    def drawn(self) -> Line:
        """What is said as it is drawn."""
        return self.line, self.level

    @property
    def over(self) -> Line:
        """What is said as it is taken back."""
        return self.back, "good"


AWAY: Final = Conclusion("server.down", "server.up")
"""A call and a probe of /health surely did not arrive: no call but the probe, and the time does not count against any
job, until /health answers."""

ABSENT: Final = Conclusion("server.absent", "server.up", "info")
"""As above, before any server was ever there, with ENGINE=auto: the built-in engine plays."""

RESTARTING: Final = Conclusion("server.restarting", "server.up", "info")
"""As for a server that is away, while `--serve` keeps one at this address."""

BLOCKED: Final = Conclusion("server.blocked", "server.up")
"""As for a server that is away, where what kept the call is a proxy, TLS, or a setting of this machine."""

SILENT: Final = Conclusion("server.silent", "server.up")
"""Connections are taken, and for PATIENCE_S no answer came in time: a submit under way is not repeated before the
server answers and its counts are known. Until the same call is answered."""

WRONG: Final = Conclusion("server.wrong", "server.up")
"""For PATIENCE_S the answers are none that acestep-api gives (web pages, no JSON); at once where it lacks a route. As
above, and no job is judged by it."""

UNWELL: Final = Conclusion("server.unwell", "server.up")
"""For PATIENCE_S a call fails in any other way: 5xx, broken transfers. As above."""

BUSY: Final = Conclusion("server.busy", "server.up")
"""429 to one submit, BUSY_AFTER times in a row: submits at growing intervals, polls go on, until a job is accepted."""

KEY: Final = Conclusion("server.key_refused", "server.up")
"""401 or 403 to a call that wants the key: no call but a probe with it every REFUSED_PROBE_S, until it is taken."""

REFUSING: Final = Conclusion("server.refused", "server.up")
"""Any other 3xx or 4xx to a submit or a poll: no call but a probe every REFUSED_PROBE_S, until a job is accepted."""

LOADING: Final = Conclusion("server.loading", level="info")
"""Polls are answered, no job was finished since the server started, and the first runs for LOADING_AFTER_S:
FIRST_JOB_TIMEOUT_SEC holds instead of JOB_TIMEOUT_SEC and STALL_SEC, until it ends."""

HUNG: Final = Conclusion("job.hung")
"""Polls are answered, and by what they say the job stood still for STALL_SEC or ran for JOB_TIMEOUT_SEC: another is
asked for, at most MOST_AT_SERVER in all, until a job ends. What hung is still used should it end."""

LOST: Final = Conclusion("job.lost", level="info")
"""The server answers for the id as for one it never saw, or has nothing to do while it shows it as unfinished: the job
is asked for again; what was learned of the server's process is tried anew."""

FAILED: Final = Conclusion("job.failed", level="info")
"""Status 2, or success without a file: the next try, by `policy`, until a job brings music."""

UNUSABLE: Final = Conclusion("segment.rejected")
"""The bytes are no music, or the server no longer has them; not a transfer that broke off. The file is left out; no
music is a failed job, a lost file is only asked for again. Until a file is used."""

NO_THINKING: Final = Conclusion("job.no_thinking", "job.thinking")
"""PROOFS jobs worked without thinking after failing with it, FAILED tries failed with it, none worked: thinking=false,
until one with it works. It is tried after some successes and after a restart."""

TOO_LONG: Final = Conclusion("job.shorter", "job.longer")
"""PROOFS jobs worked at a shorter length after failing with and without thinking at this one, none worked at it: the
next shorter length, until one of that length works. It is tried after some successes and after a restart."""

HOPELESS: Final = Conclusion("job.rarely", "job.works", "error")
"""A job failed at every length, with and without thinking: one try a minute, until one brings music."""

OF_CALLS: Final[dict[type[errors.ServerError], Conclusion]] = {
    errors.ServerUnreachable: AWAY,
    errors.ServerBlocked: BLOCKED,
    errors.ServerTrouble: UNWELL,
    errors.ServerBusy: BUSY,
    errors.ServerSilent: SILENT,
    errors.ServerNonsense: WRONG,
    errors.ServerRefused: REFUSING,
    errors.KeyRefused: KEY,
    errors.ServerUnsupported: WRONG,
}


def of_call(error: errors.ServerError) -> Conclusion:
    """Return what a call shows that failed, if it goes on so."""
    return next(OF_CALLS[kind] for kind in type(error).__mro__ if kind in OF_CALLS)
