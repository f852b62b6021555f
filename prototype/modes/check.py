"""`--check`: everything the music depends on, a line each, with the remedy. It changes nothing.

It works beside a running player, and whatever is broken becomes a line. No problem means that it will play.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TextIO

from base.errors import ConfigError, LibVlcMissing, SpoolBusy
from base.journal import standard_error_into_log
from base.notices import Notices
from base.texts import Said, reason_of
from base.workers import Clock, SystemClock, within
from builtin.soundfont import Font, Unplayable, fonts
from config import Settings
from modes.report import OK, PROBLEM, WARNING, Finding, Findings, found, report
from modes.server_check import examine
from music.segment import CHANNELS, SAMPLE_RATE_HZ
from music.stations import Station
from output.sound_server import Hearing, look_once
from output.stream_player import FRAME_BYTES, StreamPlayer
from output.vlc_library import LibVlc
from screen.printing import Lines
from screen.terminal import terminal_size
from spool.folders import FULL, INCOMING, LOCK_FILE, PART, ROOM_BYTES, FolderLock

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
    Hearing.NO_DEVICE.value: "check.sound.none",
}
SILENCE_S: Final = 1.2  # 0.5 s of it are VLC's look-ahead
LIMIT_S: Final = 10.0
NOTHING_PLAYED: Final = "nothing was played"


def sound(audio_output: str, clock: Clock) -> Findings:
    """Play a moment of silence: on the sound device where AUDIO_OUTPUT is one, else on VLC's dummy."""
    used = audio_output == "auto"
    try:
        version, complaint = libvlc_version(), play_silence(clock, real_device=used)
    except LibVlcMissing as error:
        yield Finding(PROBLEM, "vlc", reason_of(error))
        yield found(WARNING, "sound", "check.sound.without_vlc")
        return
    if not version.startswith(KNOWN_VLC):
        yield found(WARNING, "vlc", "check.vlc.version", version=version)
    elif complaint and not used:
        yield found(PROBLEM, "vlc", "check.vlc.silent", version=version)
    else:
        yield found(OK, "vlc", "check.vlc.ok", version=version)
    if complaint is None:
        yield found(PROBLEM, "sound", "check.sound.hangs", seconds=f"{LIMIT_S:.0f}")
    elif not used:
        yield found(OK, "sound", "check.sound.off", output=audio_output)
    elif complaint in UNHEARD:
        yield found(PROBLEM, "sound", UNHEARD[complaint])
    elif complaint == NOTHING_PLAYED or "%" in complaint:  # the mere template of a sentence of VLC's
        yield found(PROBLEM, "sound", "check.sound.none")
    elif complaint:
        yield found(PROBLEM, "sound", "check.sound.complaint", words=complaint)
    else:
        yield found(OK, "sound", "check.sound.ok")


def instruments(soundfont: Path | None) -> Findings:
    """Look for what plays the real instruments of the built-in music, which can do without."""
    try:
        path = Font([soundfont] if soundfont else fonts()).path
        yield found(OK, "instruments", "check.instruments.ok", path=path)
    except Unplayable as reason:
        yield Finding(WARNING if soundfont else OK, "instruments", reason_of(reason))


def disk(folder: Path, max_mb: float) -> Findings:
    """Look at the spool's lock, write a file where it is or will be, and count what fits."""
    try:
        with contextlib.suppress(OSError):  # who may not write there is told so below
            if (folder / LOCK_FILE).exists():
                lock = FolderLock(folder)
                lock.take()
                lock.release()
    except SpoolBusy as error:
        yield Finding(WARNING, "spool", reason_of(error))
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
        key = "check.spool.full" if error.errno in FULL else "check.spool.refused"
        yield found(PROBLEM, "spool", key, folder=folder, reason=error)


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
    size, encoding = terminal_size(stdout), (stdout.encoding or "ascii").upper()
    faulty = {
        "check.terminal.no_keys": stdin is None or not stdin.isatty(),
        "check.terminal.dumb": term in ("", "dumb", "unknown"),
        "check.terminal.encoding": not encoding.replace("-", "").startswith("UTF8"),
        "check.terminal.small": size.columns < LEAST_COLUMNS or size.lines < LEAST_LINES,
    }
    facts = {
        "term": term or '""', "encoding": encoding, "columns": size.columns, "lines": size.lines,
        "least_columns": LEAST_COLUMNS, "least_lines": LEAST_LINES,
    }  # fmt: skip
    for key in (key for key, is_so in faulty.items() if is_so):
        yield found(WARNING, "terminal", key, **facts)
    if not any(faulty.values()):
        yield found(OK, "terminal", "check.terminal.ok", **facts)


class _Trial(StreamPlayer):
    """A stream of silence that ends by itself."""

    def __init__(self, clock: Clock, *, real_device: bool) -> None:
        super().__init__(lambda n: bytes(n * FRAME_BYTES), LibVlc(), Notices(clock), clock, real_device=real_device)

    def listen(self) -> str:
        """Play to the end, or until `close`; return what libVLC has against the output, "" for nothing."""
        self._open()
        try:
            self._play()
            self._try_output(SILENCE_S)
            hearing = look_once() if self._real_device else Hearing.UNKNOWN
            if self._device_error or not self._played_buffers():
                return self._device_error or NOTHING_PLAYED
            return "" if hearing in (Hearing.UNKNOWN, Hearing.PLAYS) else hearing.value
        finally:
            self.close()
            self.end()


def libvlc_version() -> str:
    """Return libVLC's version, such as "3.0.21". Raises LibVlcMissing."""
    words: list[str] = LibVlc().load().libvlc_get_version().decode("utf-8", "replace").split()
    return words[0] if words else "?"


def play_silence(clock: Clock, *, real_device: bool) -> str | None:
    """Play a moment of silence on the sound device or, for the plugins' sake, on VLC's dummy of one.

    Returns what libVLC has against it, "" when it took the silence; None when the sound server does not let VLC go
    (even to start it may wait for one), whose thread is then left behind. Raises LibVlcMissing: it has no plugins.
    """
    trial = _Trial(clock, real_device=real_device)
    with standard_error_into_log():  # what VLC's plugins print
        complaint = within(LIMIT_S, trial.listen, None)
    trial.close()
    return complaint


def check(settings: Settings, lines: Lines, *, choose: Callable[[], Station], clock: Clock | None = None) -> int:
    """Examine everything and print it; return the exit code.

    `choose` returns the station that would be played; a ConfigError that it raises is a problem of the settings.
    """
    clock = clock or SystemClock()

    def findings() -> Findings:
        station = None
        try:
            station = choose()
            yield found(OK, "settings", "check.settings.ok")
        except ConfigError as error:
            yield from _faults(error.faults)
        for sentence in settings.warnings:
            yield Finding(WARNING, "settings", sentence)
        yield from sound(settings.audio_output, clock)
        if settings.engine != "acestep":
            yield from instruments(settings.soundfont)
        yield from disk(settings.spool_dir, settings.spool_max_mb)
        yield from terminal(sys.stdin, lines.stream, os.environ.get("TERM", ""))
        for one in settings.servers:
            yield from examine(one, clock, lines, station)

    return report(findings(), lines)


def check_faulty(faults: Sequence[Said], lines: Lines) -> int:
    """Print the `faults` of settings that cannot be used, and examine what does not depend on any; return 1."""

    def findings() -> Findings:
        yield from _faults(faults)
        yield found(WARNING, "settings", "check.settings.first")
        yield from sound("auto", SystemClock())
        yield from terminal(sys.stdin, lines.stream, os.environ.get("TERM", ""))

    return report(findings(), lines)


def _faults(faults: Sequence[Said]) -> Findings:
    return (Finding(PROBLEM, "settings", fault) for fault in faults)
