"""Endless music for working: parse, log, play, and tell how it was.

In the order of its importance: libVLC is opened while the settings are read, soft noise is heard (`opening`) while
what makes music is imported (`sound`), and music while the rest is (`session`).

Exit codes: 0 after playing, 1 when a check found a problem, 2 when something must be changed before it can start,
130 when a check or a rendering was interrupted.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it without a traceback

import process
from libvlc import LibVlc

if __name__ == "__main__":
    process.prepare()
    libvlc_being_opened = LibVlc()

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import config
from config import Settings
from errors import ConfigError, StartupError
from opening import Opening
from stations import Station, custom, load_stations
from values import SystemClock

LOG_BYTES: Final = 5_000_000
FAREWELL_S: Final = 0.3
EXIT_OK: Final = 0
EXIT_CANNOT_START: Final = 2
EXIT_INTERRUPTED: Final = 130  # as shells have it


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log into a rotating file, and send there what libraries print on standard error: it would spoil the screen."""
    from logging.handlers import RotatingFileHandler

    logging.raiseExceptions = False  # a full disk must not print
    saved = os.dup(2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        logging.captureWarnings(True)
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
    except OSError:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def say_farewell(text: str) -> None:
    """Print the last words, but do not wait for a terminal that takes nothing."""

    def body() -> None:
        with contextlib.suppress(OSError):  # it may be gone
            print(text, flush=True)

    speaker = threading.Thread(target=body, daemon=True)
    speaker.start()
    speaker.join(FAREWELL_S)


def choose_station(settings: Settings, stations: Sequence[Station]) -> Station:
    """Return the station asked for. Raises ConfigError, naming those there are."""
    if settings.prompt:
        return custom(settings.prompt)
    for station in stations:
        if station.key == settings.station:
            return station
    names = ", ".join(station.key for station in stations)
    raise ConfigError([f"STATION: {settings.station!r} is not a station; choose one of {names}"])


def play(settings: Settings, libvlc: LibVlc) -> int:
    """Play until asked to stop, then tell how it was."""
    stations = load_stations(settings.stations_file or "")
    station = choose_station(settings, stations)
    libvlc.load()
    opening = Opening(settings, libvlc, SystemClock())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: opening.stop_event.set())
    opening.start()
    opening.wait()
    with logging_to(settings.log_path):
        from sound import Sound

        sound = Sound(opening, station)
        sound.start()
        try:
            from session import Session
            from summary import stats_dict, summary_lines

            last = Session(sound, stations).run()
        finally:
            sound.stop()
    kept = settings.spool_dir / "kept"
    if settings.stats_json:
        import json

        settings.stats_json.write_text(json.dumps(stats_dict(last, kept), indent=2) + "\n", "utf-8")
    say_farewell("\n".join(summary_lines(last, kept, settings.language)))
    return EXIT_OK


def beside_playing(settings: Settings) -> int | None:
    """Do what was asked for instead of playing and return the exit code, None when nothing was."""
    if settings.check:
        import doctor

        return doctor.check(settings, lambda: choose_station(settings, load_stations(settings.stations_file or "")))
    if settings.render:
        import offline

        return offline.render(settings)
    if settings.list_stations or settings.library:
        import listing

        if settings.list_stations:
            return listing.list_stations(load_stations(settings.stations_file or ""), settings.language)
        return listing.list_library(settings.spool_dir, settings.language)
    return None


def main(arguments: Sequence[str], libvlc: LibVlc | None = None) -> int:
    """Do what the command line says; return the exit code."""
    logging.basicConfig(handlers=[logging.NullHandler()])  # until there is a log file
    try:
        settings = config.load(arguments, os.environ, config.DOTENV_PATH)
        try:
            code = beside_playing(settings)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        return play(settings, libvlc or LibVlc()) if code is None else code
    except ConfigError as error:
        if "--check" in arguments:
            import doctor

            return doctor.check_faulty(error.faults, os.environ)
        print(error, file=sys.stderr)
        return EXIT_CANNOT_START
    except StartupError as error:
        print(error, file=sys.stderr)
        return EXIT_CANNOT_START
    except KeyboardInterrupt:
        return EXIT_OK


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_code = main(sys.argv[1:], libvlc_being_opened)
    os._exit(exit_code)  # a thread that hangs in a dead sound server must not keep the program
