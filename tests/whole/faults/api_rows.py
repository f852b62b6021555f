"""What acestep-api does wrong, as its client reports it: downtime, lost and hung and failing jobs, speed, refusals."""

from __future__ import annotations

from typing import Final

from base.errors import ServerTrouble
from doubles.scripted_server import CORRUPT, EMPTY, FAILS, HANGS
from music.segment import Source
from whole.faults.levers import Inject, every, once, raising, restart_server, scripted, server, server_down, together
from whole.faults.table import Fault
from whole.harness import Programme

AREA: Final = "API"
IMPATIENT: Final = {"stall_sec": 20.0, "job_timeout_sec": 90.0, "first_job_timeout_sec": 90.0}
PATIENT: Final = {"first_job_timeout_sec": 1200.0}


def fates(*which: str) -> Inject:
    """Decide what becomes of the next jobs."""
    return once(lambda programme: scripted(programme).next_fates(*which))


def dies(programme: Programme) -> None:
    """Kill the server; it is back in a moment."""
    scripted(programme).restart(3.0)


# fmt: off
ROWS = (
    Fault(AREA, "no server at the start; it comes after 2 minutes", server_down, "server.absent", 120.0,
          from_start=True, plays=Source.BUILTIN),
    Fault(AREA, "down for 10 minutes", server_down, "server.down", 600.0,
          settings={"library_no_repeat": 2}, plays=Source.LIBRARY),
    Fault(AREA, "killed, back after 5 s; a running job is left as a stale row", restart_server(5.0), "job.lost"),
    Fault(AREA, "an older one killed, back after 5 s; a running job is unknown", restart_server(5.0), "job.lost",
          server={"newer": False}),
    Fault(AREA, "restarted between two polls", restart_server(0.2), "job.lost",
          settings={"poll_interval_sec": 10.0}, server={"speed": 0.7}),
    Fault(AREA, "dies every 20 s", every(20.0, dies), "job.lost", 200.0),
    Fault(AREA, "jobs lost, and no /v1/stats to see it by", restart_server(5.0), "job.lost",
          server={"no_stats": True, "newer": False}),
    Fault(AREA, "forgets every job at once", server(forgets_at_once=True), "job.lost", 120.0),
    Fault(AREA, "one job fails", fates(FAILS), "job.failed"),
    Fault(AREA, "every second job fails", server(fail_rate=0.5), "job.failed", 200.0),
    Fault(AREA, "every job fails for 10 minutes", server(fail_rate=1.0), "job.rarely", 600.0),
    Fault(AREA, "success without a file", fates(EMPTY, EMPTY), "job.failed"),
    Fault(AREA, "a file that is no music", fates(CORRUPT, CORRUPT), "segment.rejected"),
    Fault(AREA, "a job hangs, and blocks all behind it until it ends after all",
          together(fates(HANGS), once(lambda programme: programme.later(140.0, scripted(programme).stop_hanging))),
          "job.hung", 150.0, settings=IMPATIENT),
    Fault(AREA, "a job hangs until somebody restarts the server",
          together(fates(HANGS), once(lambda programme: programme.later(140.0, lambda: dies(programme)))),
          "job.hung", 150.0, settings=IMPATIENT),
    Fault(AREA, "5Hz LM init failed: every thinking job fails", server(lm_init_fails=True), "job.no_thinking", 90.0),
    Fault(AREA, "out of memory beyond 12 s", server(fails_above_s=12.0), "job.shorter", 200.0),
    Fault(AREA, "slower than playback (factor 2)", server(speed=1.6), "", 400.0, plays=Source.LIBRARY),
    Fault(AREA, "100 times slower", server(speed=30.0), "job.hung", 1800.0),
    Fault(AREA, "the first job takes 15 minutes while models load", server(), "server.loading", 900.0,
          from_start=True, settings=PATIENT, server={"first_job_extra_s": 900.0}, plays=Source.BUILTIN),
    Fault(AREA, "queue full (429) for 2 minutes", server(busy=True), "server.busy", 120.0),
    Fault(AREA, "key refused (401)", server(refuses=401), "server.key_refused", 90.0),
    Fault(AREA, "request refused (422)", server(refuses=422), "server.refused", 90.0),
    Fault(AREA, "no such routes (404)", server(refuses=404), "server.refused", 90.0),
    Fault(AREA, "every call fails (500), some after having done what was asked", server(error_rate=1.0),
          "server.unwell", 120.0),
    Fault(AREA, "one call in ten fails", server(error_rate=0.1), "", 300.0),
    Fault(AREA, "every download breaks off for a minute", raising("witness", "download", ServerTrouble("broken off")),
          "server.unwell"),
    Fault(AREA, "every poll fails for 2 minutes", raising("witness", "poll", ServerTrouble("HTTP 502")),
          "server.unwell", 120.0),
    Fault(AREA, "three files a job instead of one", server(files_per_job=3), "", 120.0),
)
# fmt: on
