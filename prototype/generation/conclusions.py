"""What the generator can conclude when music does not come: one row each, and all that may be done on its account.

A conclusion is drawn from evidence of its own kind only. A call that failed tells of the way to the server, not of a
job; only the server's verdict (status 2, success without a file, a file that is no music) tells of what was asked.
Each is said once, when it is drawn, and again only after it was taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from base.errors import (
    ServerBlocked,
    ServerError,
    ServerNonsense,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
    ServerUnsupported,
)


@dataclass(frozen=True)
class Conclusion:
    """One row. `line` and `back` are keys of notices: what is said as it is drawn, and as it is taken back.

    Without `back`, the next thing that happens shows that it is over.
    """

    name: str
    line: str
    evidence: str
    changes: str
    ends: str
    back: str = ""


AWAY: Final = Conclusion(
    "server away", "server.down",
    "a call and a probe of /health surely did not arrive",
    "no call but the probe; the time does not count against any job",
    "/health answers", "server.up",
)  # fmt: skip
ABSENT: Final = Conclusion(
    "no server yet", "server.absent",
    "as above, before any server was ever there, with ENGINE=auto",
    "the built-in engine plays",
    "/health answers", "server.up",
)  # fmt: skip
RESTARTING: Final = Conclusion(
    "server restarting", "server.restarting",
    "as for a server that is away, while `--serve` keeps one at this address",
    "as for a server that is away",
    "/health answers", "server.up",
)  # fmt: skip
BLOCKED: Final = Conclusion(
    "proxy in the way", "server.blocked",
    "a call surely did not arrive, and what kept it is a proxy, TLS, or a setting of this machine",
    "as for a server that is away",
    "/health answers", "server.up",
)  # fmt: skip
SILENT: Final = Conclusion(
    "server silent", "server.silent",
    "connections are taken, and for PATIENCE_S no answer came in time",
    "a submit under way is not repeated before the server answers and its counts are known",
    "the same call is answered", "server.up",
)  # fmt: skip
WRONG: Final = Conclusion(
    "wrong service", "server.wrong",
    "for PATIENCE_S the answers are none that acestep-api gives (web pages, no JSON); at once where it lacks a route",
    "as above; no job is judged by it",
    "the same call is answered", "server.up",
)  # fmt: skip
UNWELL: Final = Conclusion(
    "server unwell", "server.unwell",
    "for PATIENCE_S a call fails in any other way: 5xx, broken transfers",
    "as above",
    "the same call is answered", "server.up",
)  # fmt: skip
BUSY: Final = Conclusion(
    "busy", "server.busy",
    "429 to one submit, three times in a row",
    "submits at growing intervals; polls go on",
    "a job is accepted", "server.up",
)  # fmt: skip
KEY: Final = Conclusion(
    "key refused", "server.key_refused",
    "401 or 403 to a call that wants the key",
    "no call but a probe with the key every 30 s",
    "a call that wants the key is answered", "server.up",
)  # fmt: skip
REFUSING: Final = Conclusion(
    "refusing", "server.refused",
    "any other 3xx or 4xx to a submit or a poll",
    "no call but a probe every 30 s",
    "a job is accepted", "server.up",
)  # fmt: skip
LOADING: Final = Conclusion(
    "loading", "server.loading",
    "polls are answered, no job was finished since the server started, and the first runs for LOADING_AFTER_S",
    "FIRST_JOB_TIMEOUT_SEC holds instead of JOB_TIMEOUT_SEC and STALL_SEC",
    "the first job ends",
)  # fmt: skip
HUNG: Final = Conclusion(
    "hung job", "job.hung",
    "polls are answered, and by what they say the job stood still for STALL_SEC or ran for JOB_TIMEOUT_SEC",
    "another job is asked for, at most MOST_AT_SERVER in all; what hung is still used should it end",
    "a job ends",
)  # fmt: skip
LOST: Final = Conclusion(
    "lost job", "job.lost",
    "the server answers for the id as for one it never saw, or has nothing to do while it shows it as unfinished",
    "the job is asked for again; what was learned of the server's process is tried anew",
    "a job is asked for",
)  # fmt: skip
FAILED: Final = Conclusion(
    "failed job", "job.failed",
    "status 2, or success without a file",
    "the next try, by `policy`",
    "a job brings music",
)  # fmt: skip
UNUSABLE: Final = Conclusion(
    "file unusable", "segment.rejected",
    "the bytes are no music, or the server no longer has them; not a transfer that broke off",
    "the file is left out; no music is a failed job, a lost file is only asked for again",
    "a file is used",
)  # fmt: skip
NO_THINKING: Final = Conclusion(
    "language model broken", "job.no_thinking",
    "PROOFS jobs worked without thinking after failing with it, FAILED tries failed with it, none worked",
    "thinking=false",
    "one job with thinking works: tried after some successes and after a restart", "job.thinking",
)  # fmt: skip
TOO_LONG: Final = Conclusion(
    "too long for the GPU", "job.shorter",
    "PROOFS jobs worked at a shorter length after failing with and without thinking at this one, none worked at it",
    "the next shorter length",
    "one job of that length works: tried after some successes and after a restart", "job.longer",
)  # fmt: skip
HOPELESS: Final = Conclusion(
    "nothing works", "job.rarely",
    "a job failed at every length, with and without thinking",
    "one try a minute",
    "a job brings music", "job.works",
)  # fmt: skip

CONCLUSIONS: Final = (
    AWAY, ABSENT, RESTARTING, BLOCKED, SILENT, WRONG, UNWELL, BUSY, KEY, REFUSING, LOADING, HUNG, LOST, FAILED,
    UNUSABLE, NO_THINKING, TOO_LONG, HOPELESS,
)  # fmt: skip


def of_call(error: ServerError) -> Conclusion:
    """Return what a call shows that failed, if it goes on so."""
    if isinstance(error, ServerRefused):
        return KEY if error.wants_key else WRONG if isinstance(error, ServerUnsupported) else REFUSING
    if isinstance(error, ServerUnreachable):
        return BLOCKED if isinstance(error, ServerBlocked) else AWAY
    if isinstance(error, ServerSilent):
        return SILENT
    if isinstance(error, ServerNonsense):
        return WRONG
    return UNWELL if error.arrived else BUSY
