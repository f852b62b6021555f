"""Whether this machine can play: libVLC and the sound device, the spool's disk, the terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final, TextIO

import device
from clock import Clock
from errors import LibVlcMissing, SpoolBusy
from findings import OK, PROBLEM, WARNING, Finding, Findings, found
from fluid import Font, Unplayable, fonts
from folder_lock import LOCK_FILE, FolderLock
from outlet import terminal_size
from pcm import CHANNELS, SAMPLE_RATE_HZ
from soundserver import Hearing
from storage import INCOMING, PART, ROOM_BYTES

KNOWN_VLC: Final = "3."
BYTES_PER_HOUR: Final = 3600 * SAMPLE_RATE_HZ * CHANNELS * 2  # 16-bit
GB: Final = 1e9
LEAST_COLUMNS: Final = 60
LEAST_LINES: Final = 16
PROBE_BYTES: Final = 2**16
UNHEARD: Final = {
    Hearing.STREAM_MUTED.value: "check.sound.stream_muted",
    Hearing.DEVICE_MUTED.value: "check.sound.device_muted",
    Hearing.SUSPENDED.value: "check.sound.suspended",
}


def sound(audio_output: str, clock: Clock) -> Findings:
    """Play a moment of silence: on the sound device where AUDIO_OUTPUT is one, else on VLC's dummy."""
    used = audio_output == "auto"
    complaint: str | None = None
    try:
        version = device.libvlc_version()
        with contextlib.suppress(TimeoutError):
            complaint = device.play_silence(clock, real_device=used)
    except LibVlcMissing as error:
        yield found(PROBLEM, "vlc", "check.vlc.missing", reason=error)
        yield found(WARNING, "sound", "check.sound.without_vlc")
        return
    if not version.startswith(KNOWN_VLC):
        yield found(WARNING, "vlc", "check.vlc.version", version=version)
    elif complaint and not used:
        yield found(PROBLEM, "vlc", "check.vlc.silent", version=version)
    else:
        yield found(OK, "vlc", "check.vlc.ok", version=version)
    if complaint is None:
        yield found(PROBLEM, "sound", "check.sound.hangs", seconds=f"{device.LIMIT_S:.0f}")
    elif not used:
        yield found(OK, "sound", "check.sound.off", output=audio_output)
    elif complaint in UNHEARD:
        yield found(PROBLEM, "sound", UNHEARD[complaint])
    elif complaint:
        # VLC's words can be the mere template of a sentence, which tells nothing.
        reason = "" if "%" in complaint else f" ({complaint})"
        yield found(PROBLEM, "sound", "check.sound.none", reason=reason)
    else:
        yield found(OK, "sound", "check.sound.ok")


def instruments(soundfont: Path | None) -> Findings:
    """Look for what plays the real instruments of the built-in music, which can do without."""
    try:
        path = Font([soundfont] if soundfont else fonts()).path
        yield found(OK, "instruments", "check.instruments.ok", path=path)
    except Unplayable as reason:
        yield found(WARNING if soundfont else OK, "instruments", reason.key, **reason.fields)


def disk(folder: Path, max_mb: float) -> Findings:
    """Look at the spool's lock, write a file where it is or will be, and count what fits."""
    try:
        with contextlib.suppress(OSError):  # who may not write there is told so below
            if (folder / LOCK_FILE).exists():
                lock = FolderLock(folder)
                lock.take()
                lock.release()
    except SpoolBusy as error:
        yield found(WARNING, "spool", "check.spool.busy", reason=error)
    try:
        existing = next(place for place in (folder / INCOMING, folder, *folder.parents) if place.is_dir())
        # Named as a partial file, so that the next start of the player deletes what a kill leaves behind.
        with tempfile.NamedTemporaryFile(dir=existing, prefix=f"{PART}check-") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        key = "check.spool.ok" if folder.is_dir() else "check.spool.new"
        yield found(OK, "spool", key, folder=folder)
        yield _room(shutil.disk_usage(existing).free, max_mb * 2**20)
    except OSError as error:
        yield found(PROBLEM, "spool", "check.spool.refused", folder=folder, reason=error.strerror or error)


def _room(free_bytes: float, wanted_bytes: float) -> Finding:
    free, hours = f"{free_bytes / GB:.1f}", f"{free_bytes / BYTES_PER_HOUR:,.1f}"
    if free_bytes < ROOM_BYTES:
        return found(PROBLEM, "disk", "check.disk.full", free=free)
    if free_bytes < wanted_bytes:
        wanted = f"{wanted_bytes / GB:.1f}"
        return found(WARNING, "disk", "check.disk.low", free=free, hours=hours, wanted=wanted)
    return found(OK, "disk", "check.disk.ok", free=free, hours=hours)


def terminal(stdin: TextIO | None, stdout: TextIO, term: str) -> Findings:
    """Look whether the dashboard can be drawn and the keys be read. `term` is the variable TERM."""
    if not stdout.isatty():
        yield found(OK, "terminal", "check.terminal.none")
        return
    size = terminal_size(stdout)
    encoding = (stdout.encoding or "ascii").upper()
    well = True
    for faulty, key, fields in (
        (stdin is None or not stdin.isatty(), "check.terminal.no_keys", {}),
        (term in ("", "dumb", "unknown"), "check.terminal.dumb", {"term": term or '""'}),
        (not encoding.replace("-", "").startswith("UTF8"), "check.terminal.encoding", {"encoding": encoding}),
        (
            size.columns < LEAST_COLUMNS or size.lines < LEAST_LINES,
            "check.terminal.small",
            {
                "columns": size.columns, "lines": size.lines,
                "least_columns": LEAST_COLUMNS, "least_lines": LEAST_LINES,
            },
        ),
    ):  # fmt: skip
        if faulty:
            well = False
            yield found(WARNING, "terminal", key, **fields)
    if well:
        yield found(OK, "terminal", "check.terminal.ok", columns=size.columns, lines=size.lines, encoding=encoding)
