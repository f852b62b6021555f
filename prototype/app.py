"""Endless music for working: parse, log, play and tell how it was, or tell the player that is running what to do.

libVLC is opened while the settings are read; what comes then, and in which order, stands in `session.build`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the other imports ends it without a traceback
    sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH and -I leave it out

from base import process

if __name__ == "__main__":
    process.prepare()  # a Python too old for the other imports is told so

import contextlib
import functools
import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import config
from base.errors import ConfigError, StartupError
from base.files import write_named
from base.journal import Journal, standard_error_into_log
from base.process import Exit
from base.texts import Said, reason_of, said
from base.workers import SystemClock, within
from config import Settings
from output.vlc_library import LibVlc
from session.build import Stages, build
from session.opening import Surroundings

if TYPE_CHECKING:
    from music.stations import Station
    from screen.printing import Lines
    from screen.view import Snapshot

if __name__ == "__main__":
    libvlc_being_opened = LibVlc()


FAREWELL_S: Final = 0.3
DECODING: Final = ("render", "export", "library")  # modes in which libmpg123 prints its notes on damaged files
OWN_UMASK: Final = 0o077


def say_farewell(text: str) -> None:
    """Print the last words, but do not wait for a terminal that takes nothing, or is gone."""
    with contextlib.suppress(OSError):
        within(FAREWELL_S, lambda: print(text, flush=True), None)


def complain(text: str) -> None:
    """Print what keeps the program from doing what it should; the exit code says so too."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def choose_station(settings: Settings) -> tuple[Station, Sequence[Station]]:
    """Return the station asked for, and all there are. Raises ConfigError, naming them."""
    from music.stations import custom, load_stations, named

    stations = load_stations(settings.stations_file or "")
    if station := custom(settings.prompt) if settings.prompt else named(settings.station, stations):
        return station, stations
    names = ", ".join(station.key for station in stations)
    raise ConfigError([said("fault.no_station", name=settings.station, names=names)])


def look_up(settings: Settings) -> Sequence[Said]:
    """Return what is wrong with the station, which is looked up when it is to be played."""
    try:
        if settings.mode in ("", "check"):
            choose_station(settings)
    except ConfigError as error:
        return error.faults
    return ()


def write_figures(path: Path, last: Snapshot, kept: Path) -> Said | None:
    """Write the figures for machines; return why that was not possible, None when it was."""
    from session.status import stats_dict

    figures = json.dumps(stats_dict(last, kept), indent=2) + "\n"
    try:
        written = within(FAREWELL_S, lambda: write_named(path, figures.encode()), False)
    except OSError as error:
        return said("stats.unwritten", path=path, reason=error)
    return None if written else said("stats.no_answer", path=path)


def play(settings: Settings, libvlc: LibVlc, journal: Journal) -> int:
    """Play until asked to stop, then tell how it was."""
    station, stations = choose_station(settings)
    os.umask(OWN_UMASK)
    stop = threading.Event()
    with standard_error_into_log():
        libvlc.connect()
        libvlc.load()
        process.heed_aside(process.ENDING, stop.set)
        around = Surroundings(libvlc, SystemClock(), sys.stdout, journal.begin, stop)
        with Stages(stop) as stages:
            session = build(settings, station, stations, around, stages.enter)
            process.settle()
            last = session.run()
    from screen.plain_lines import summary_lines

    kept = settings.spool_dir / "kept"
    lost = session.sound.lost(last.notices)
    if settings.stats_json and (unwritten := write_figures(settings.stats_json, last, kept)):
        lost.append(unwritten)
    lines = summary_lines(last, kept, settings.language)
    say_farewell("\n".join([*lines, *(one.words(settings.language) for one in lost)]))
    return Exit.WELL


def tell(settings: Settings, lines: Lines) -> int:
    """Send a command to the player of the spool and print what became of it; return the exit code."""
    from base.control_socket import NotReached, ask
    from screen.printing import Lines, harmless

    refusing = Lines(sys.stderr, settings.language)
    try:
        reply = ask(settings.spool_dir, " ".join(settings.ctl))
    except NotReached as reason:
        if settings.ctl == ("help",):
            from session.control import USAGE

            lines.say(USAGE)
            return Exit.WELL
        refusing.tell(reason_of(reason))
        return Exit.NOT_REACHED
    code = reply.get("code")
    if "status" in reply and "--json" in settings.ctl:
        lines.say(json.dumps(reply["status"], ensure_ascii=False, indent=2))
    else:
        (refusing if code else lines).say(harmless(reply.get("message", "")))
    return code if isinstance(code, int) else Exit.NOT_REACHED


def beside_playing(settings: Settings) -> int | None:
    """Do what was asked for instead of playing; return the exit code, None when nothing was."""
    if not (mode := settings.mode):
        return None
    from screen.printing import Lines

    do: Callable[[Settings, Lines], int]
    if mode == "ctl":
        do = tell
    elif mode == "check":
        from modes.check import check

        do = functools.partial(check, choose=lambda: choose_station(settings)[0])
    elif mode == "render":
        from modes.render import render as do
    elif mode == "export":
        from modes.export import export as do
    elif mode == "serve":
        from modes.serve import serve as do
    elif mode == "list_stations":
        from modes.listing import list_stations as do
    elif mode == "library":
        from modes.listing import list_library as do
    elif mode == "forget_taste":
        from modes.listing import forget as do
    process.settle()
    decoders = standard_error_into_log() if mode in DECODING else contextlib.nullcontext()
    try:
        with decoders:
            return do(settings, Lines(sys.stdout, settings.language))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def main(arguments: Sequence[str], libvlc: LibVlc | None = None) -> int:
    """Do what the command line says; return the exit code."""
    journal = Journal()
    logging.basicConfig(level=logging.INFO, handlers=[journal])
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # nothing may print over the screen
    language = ""
    try:
        try:
            settings = config.load(arguments, os.environ, config.DOTENV_PATH, look_up)
            language = settings.language
            code = beside_playing(settings)
        except ConfigError as error:
            language = language or error.language
            if "--check" not in arguments:
                raise
            from modes.check import check_faulty
            from screen.printing import Lines

            return check_faulty(error.faults, Lines(sys.stdout, language))
        return play(settings, libvlc or LibVlc(), journal) if code is None else code
    except StartupError as error:
        complain(error.words(language))
        return Exit.CANNOT_START
    except KeyboardInterrupt:
        return Exit.WELL
    finally:
        journal.finish(FAREWELL_S)


if __name__ == "__main__":
    process.heed((signal.SIGINT,), signal.default_int_handler)
    exit_code = main(sys.argv[1:], libvlc_being_opened)
    os._exit(exit_code)  # a thread that hangs in a dead sound server must not keep the program
