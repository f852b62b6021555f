"""Every error the program raises on purpose, split by what the catcher can do about it.

AppError                    says the fact and the remedy, as a text in the language of who reads it
├── StartupError            say it in one line, exit with code 2
│   ├── ConfigError         … listing every faulty setting at once
│   ├── LibVlcMissing       … naming the package to install
│   └── SpoolBusy           … naming the other program
├── ServerError             the call failed; the job, if any, may still be fine
│   ├── ServerUnreachable   surely did not arrive: probe /health, then the same call again
│   │   └── ServerBlocked   … by a proxy, TLS or a setting of this machine: say so, a person must change something
│   ├── ServerTrouble       5xx, broken transfer: back off, then again if idempotent
│   │   ├── ServerBusy      … 429: surely nothing was changed
│   │   ├── ServerSilent    … no answer in time: it loads, is at work, or hangs
│   │   └── ServerNonsense  … an answer that acestep-api would not give
│   ├── UploadRefused       it takes no music from us: the piece is not continued, all else goes on
│   └── ServerRefused       the same call will be refused again; say so, change something
│       ├── KeyRefused      … for the key
│       └── ServerUnsupported … by a server that music cannot be had from at all: ask for no more jobs
├── JobError                the job gave no music: ask for it again
│   ├── JobFailed           the server says so
│   ├── JobLost             the server does not know it any more (restart)
│   └── JobStalled          no sign of life, or past its deadline
├── CorruptSegment          the bytes are no music we would play: counts as a failed job
├── SpoolError              the disk does not do what we ask: play from memory, say so
└── (in their own modules)  Unplayable: no real instruments; Refused, NotReached: a command that does nothing
"""

from __future__ import annotations

from collections.abc import Sequence

from base.texts import Said, escaped, said


class AppError(Exception):
    """Base of all errors raised on purpose, with what is `said`; `str()` is English.

    A `str` in it is somebody else's words, and told as a quote.
    """

    def __init__(self, *sentences: Said | str) -> None:
        super().__init__(*sentences)

    def __str__(self) -> str:
        return self.words("en")

    def words(self, language: str) -> str:
        """Return it in a language, a line a sentence; nothing in it can command a terminal."""
        sentences = (one if isinstance(one, Said) else said("quote", words=one) for one in self.args)
        return "\n".join(escaped(one.words(language)) for one in sentences)


class StartupError(AppError):
    """The program cannot start; a person must change something."""


class ConfigError(StartupError):
    """One or more settings are wrong.

    `faults` are a sentence a setting: field, value and the accepted range. `language` is the one that was set, ""
    where that is known elsewhere.
    """

    def __init__(self, faults: Sequence[Said], language: str = "") -> None:
        self.faults = tuple(faults)
        self.language = language
        super().__init__(*faults)


class LibVlcMissing(StartupError):
    """libVLC cannot be loaded."""


class SpoolBusy(StartupError):
    """Another running program owns the spool."""


class ServerError(AppError):
    """A call to acestep-api failed.

    `arrived` is False only when the request surely changed nothing at the server. `is_final`: the same call cannot
    succeed, do not repeat it. `retry_after_s` is the wait that the server asks for, None where it names none.
    """

    arrived = True
    is_final = False
    retry_after_s: float | None = None


class ServerUnreachable(ServerError):
    """Nothing listens there: the request surely did not arrive."""

    arrived = False


class ServerBlocked(ServerUnreachable):
    """What keeps us from the server is not the server: the message names it (a proxy, a certificate, a variable)."""


class ServerTrouble(ServerError):
    """A passing failure: time-out, 429, 5xx, broken transfer, a reply that makes no sense."""

    def __init__(self, message: Said | str, *, is_final: bool = False, retry_after_s: float | None = None) -> None:
        self.is_final = is_final
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ServerBusy(ServerTrouble):
    """Its queue is full (HTTP 429): the request surely changed nothing."""

    arrived = False


class ServerSilent(ServerTrouble):
    """The server takes connections, but no answer came in time."""


class ServerNonsense(ServerTrouble):
    """The answer is none that acestep-api would give: another program's, or a page of something in between."""


class ServerRefused(ServerError):
    """The server understood and said no (HTTP 4xx but 429); `status` is the HTTP code, 0 where there is none."""

    is_final = True

    def __init__(self, message: Said | str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class KeyRefused(ServerRefused):
    """It is the key that it does not take."""


class ServerUnsupported(ServerRefused):
    """It speaks so differently that no music can be had from it; the message says what it lacks, and the remedy."""


class UploadRefused(ServerError):
    """The server takes no upload. `is_final` False: it failed at it, which may have had another reason."""

    arrived = False

    def __init__(self, message: Said | str, *, is_final: bool) -> None:
        self.is_final = is_final
        super().__init__(message)


class JobError(AppError):
    """A job ended without music."""


class JobFailed(JobError):
    """The server reports status 2, or success without a file."""


class JobLost(JobError):
    """The server no longer knows the job: it was restarted."""


class JobStalled(JobError):
    """The job showed no sign of life for too long, or passed its deadline."""


class CorruptSegment(AppError):
    """The bytes of a result are not music; the message is the reason."""


class SpoolError(AppError):
    """A file operation of the spool failed (disk full, read-only, deleted folder)."""
