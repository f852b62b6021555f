"""Every error the program raises on purpose, split by what the catcher can do about it.

AppError                    message = the fact and the remedy, fit for a person to read
├── StartupError            say it in one line, exit with code 2
│   ├── ConfigError         … listing every faulty setting at once
│   ├── LibVlcMissing       … naming the package to install
│   └── SpoolBusy           … naming the other program
├── ServerError             the call failed; the job, if any, may still be fine
│   ├── ServerUnreachable   surely did not arrive: probe /health, then the same call again
│   ├── ServerTrouble       5xx, 429, time-out, broken or nonsensical reply: back off, then again if idempotent
│   └── ServerRefused       4xx: the same call will be refused again; say so, change something
├── JobError                the job gave no music: ask for it again
│   ├── JobFailed           the server says so
│   ├── JobLost             the server does not know it any more (restart)
│   └── JobStalled          no sign of life, or past its deadline
├── CorruptSegment          the bytes are no music we would play: counts as a failed job
└── SpoolError              the disk does not do what we ask: play from memory, say so
"""

from __future__ import annotations


class AppError(Exception):
    """Base of all errors raised on purpose; `str()` is a sentence for a person."""


class StartupError(AppError):
    """The program cannot start; a person must change something."""


class ConfigError(StartupError):
    """One or more settings are wrong.

    `faults` holds one line a setting: field, value and the accepted range.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(faults))


class LibVlcMissing(StartupError):
    """libVLC cannot be loaded."""


class SpoolBusy(StartupError):
    """Another running program owns the spool."""


class ServerError(AppError):
    """A call to acestep-api failed."""


class ServerUnreachable(ServerError):
    """Nothing listens there: the request surely did not arrive."""


class ServerTrouble(ServerError):
    """A passing failure: time-out, 429, 5xx, broken transfer, a reply that makes no sense.

    `arrived` is False only when the request surely changed nothing at the server.
    """

    def __init__(self, message: str, *, arrived: bool = True) -> None:
        self.arrived = arrived
        super().__init__(message)


class ServerRefused(ServerError):
    """The server understood and said no (HTTP 4xx but 429); `status` is the HTTP code."""

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
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
