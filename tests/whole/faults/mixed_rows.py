"""Several things at once: what fails together in practice, and what nobody thought of together."""

from __future__ import annotations

import errno
from typing import Final

from music.segment import Source
from whole.faults.api_rows import dies
from whole.faults.levers import (
    delete_spool,
    device_lost,
    disk,
    every,
    once,
    raising,
    restart_server,
    server,
    server_down,
    together,
    wall_jumps,
)
from whole.faults.own_rows import BUG, mood_storm
from whole.faults.table import Fault

AREA: Final = "combinations"


# fmt: off
ROWS = (
    Fault(AREA, "server away and disk full", together(server_down, disk(full=True)), "server.down", 180.0),
    Fault(AREA, "server away, disk read-only, built-in engine broken",
          together(server_down, disk(read_only=True), raising("", "render", BUG)), "thread.failed", 400.0,
          thread="builtin", plays=Source.BED),
    Fault(AREA, "server killed every 25 s, one job in five fails, one call in ten too",
          together(every(25.0, dies), server(fail_rate=0.2, error_rate=0.1)), "job.lost", 300.0),
    Fault(AREA, "device lost as the server is killed", together(device_lost, restart_server(5.0)), "job.lost"),
    Fault(AREA, "device lost, disk full, server away", together(device_lost, disk(full=True), server_down), "", 300.0),
    Fault(AREA, "another mood with the disk full", together(disk(full=True), once(mood_storm)), "spool.full", 120.0),
    Fault(AREA, "another mood every 5 s while jobs fail", together(every(5.0, mood_storm), server(fail_rate=0.5)),
          "job.failed", 120.0),
    Fault(AREA, "spool deleted while the loader fails", together(once(delete_spool), raising("loader", "step", BUG)),
          "thread.failed", thread="loader"),
    Fault(AREA, "slow server, every second file is no music", server(speed=0.9, corrupt_rate=0.5), "segment.rejected",
          300.0),
    Fault(AREA, "three files a job, one call in five fails", server(files_per_job=3, error_rate=0.2), "", 200.0),
    Fault(AREA, "wall clock back, disk full, jobs lost",
          together(wall_jumps(-1e8), disk(full=True), restart_server(5.0)), "job.lost", 90.0),
    Fault(AREA, "renames fail while the server is restarted and the mood changes",
          together(disk(broken={"rename": errno.EIO}), restart_server(5.0), once(mood_storm)), "spool.refused", 120.0),
    Fault(AREA, "everything at once",
          together(server(fail_rate=0.3, corrupt_rate=0.2, error_rate=0.2), disk(full=True), every(30.0, dies),
                   every(17.0, mood_storm), every(7.0, lambda programme: programme.mixer.skip()), wall_jumps(-1e7)),
          "spool.full", 300.0),
)
# fmt: on
