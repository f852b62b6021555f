"""`--render`: the programme that the player would play of these files, as one file, as fast as the machine can.

Decoding, cutting, levelling and mixing are those of playing. Only the bed is missing: in its place stands nothing, so
the first piece fades in out of silence, and the last one fades to silence as it would fade to the bed; with that fade
the programme ends. Two pieces stand ready while one is mixed, so that memory does not grow with the number of files.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import soundfile as sf

from base.errors import CorruptSegment, StartupError
from base.files import partial_beside, take_place
from base.process import Exit
from base.texts import said, text
from config import Settings
from music.analysis import ingest, to_piece
from music.audio_files import FORMATS, Encoder, format_of
from music.decoding import MAX_LENGTH_S
from music.metering import LoudnessMeter
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Piece, Samples, Source
from programme.mixer import Mixer
from screen.printing import Lines, harmless
from screen.widgets import clock_time, column, span

BLOCK_FRAMES: Final = 4096
AHEAD: Final = 2


class Silence:
    """What stands behind the music instead of the bed."""

    peak = 0.0

    def read(self, n_frames: int) -> bytes:
        """Return `n_frames` of nothing."""
        return bytes(4 * CHANNELS * n_frames)


@dataclass
class Report:
    """What was written: counted as it goes by."""

    pieces: int = 0
    frames: int = 0
    peak: float = 0.0
    silence_s: float = 0.0


def render(settings: Settings, lines: Lines) -> int:
    """Mix `settings.render` into `settings.output` and print a report; return the exit code.

    A file that cannot be used is left out with a line; where none is left or the disk refuses, nothing is written.
    Raises StartupError when the output may not be written to.
    """
    target = _checked(cast("Path", settings.output), settings.render)
    began_at, meter, report = time.monotonic(), LoudnessMeter(), Report()
    try:
        frames = _at_most_s(settings.render) * SAMPLE_RATE_HZ if target.suffix.lower() in ("", ".wav") else 0.0
        with partial_beside(target) as partial:
            with Encoder(partial, format_of(target, round(frames)), title=target.stem) as file:
                for block in programme(settings, lines, report):
                    meter.feed(block)
                    file.write(block)
            if report.frames:
                take_place(partial, target)
    except (OSError, sf.SoundFileError) as error:
        lines.tell(said("render.unwritten", path=target, reason=error))
        return Exit.PROBLEM
    finally:
        lines.close()
    if not report.frames:
        lines.tell(said("render.nothing"))
        return Exit.PROBLEM
    took_s = time.monotonic() - began_at
    for line in _told(report, meter.integrated_lufs(), took_s, target, len(settings.render), settings.language):
        lines.say(line)
    return Exit.WELL


def programme(settings: Settings, lines: Lines, report: Report) -> Iterator[Samples]:
    """Yield the programme block by block and count it into `report`."""
    mixer = Mixer(Silence(), crossfade_s=settings.crossfade_seconds)
    pieces = _pieces(settings, lines)
    ended = False
    while True:
        while not ended and mixer.snapshot().stock.get(Source.FRESH, 0) < AHEAD:
            piece = next(pieces, None)
            ended = piece is None
            if piece is not None:
                report.pieces += 1
                mixer.offer(piece)
                mixer.read(0)  # takes the piece into stock
        if not report.pieces:
            return
        block = mixer.read(BLOCK_FRAMES)
        now = mixer.snapshot()
        over = ended and now.playing.source is Source.BED and not now.fading
        if over:
            block = _without_end(block)
        report.frames += len(block)
        report.peak = max(report.peak, float(np.abs(block).max(initial=0.0)))
        if not over:
            report.silence_s = now.longest_silence_s
        yield block
        if over:
            return


def _pieces(settings: Settings, lines: Lines) -> Iterator[Piece]:
    """Yield the files as pieces, in their order; one that cannot be used gets a line instead."""
    given = settings.render
    for number, path in enumerate(given, 1):
        lines.passing(said("ui.render.progress", number=number, count=len(given), name=path))
        try:
            found = ingest(path, 0.0, settings.cue_dbfs)
        except (CorruptSegment, OSError) as error:
            lines.tell(said("render.left_out", name=path, reason=error))
            continue
        if found.missing:
            lines.tell(said("segment.cut_off", name=path, missing=found.missing))
        yield to_piece(found.samples, found.analysis, settings.target_lufs, Source.FRESH, str(path))


def _without_end(block: Samples) -> Samples:
    """Return `block` up to its last sound: the fade of the last piece ends somewhere inside."""
    heard = np.flatnonzero(block.any(axis=1))
    return block[: int(heard[-1]) + 1] if len(heard) else block[:0]


def _checked(output: Path, given: Sequence[Path]) -> Path:
    """Return the file to write, links followed. Raises StartupError when it is one of those to read, or no file."""
    target = output.resolve()
    try:
        format_of(output)
        format_of(target)
    except ValueError as error:
        raise StartupError(said("render.no_format", path=output, formats=", ".join(FORMATS))) from error
    if target.exists() and not target.is_file():
        raise StartupError(said("render.no_file", path=output))
    for path in given:
        with contextlib.suppress(OSError):
            if target.exists() and target.samefile(path):
                raise StartupError(said("render.is_read", path=output))
    return target


def _at_most_s(given: Sequence[Path]) -> float:
    """Return how long the files may be together, as far as their headers tell."""
    total_s = 0.0
    for path in given:
        with contextlib.suppress(OSError, sf.SoundFileError):
            total_s += min(sf.info(str(path)).duration, MAX_LENGTH_S)
    return total_s


def _told(report: Report, lufs: float, took_s: float, target: Path, given: int, language: str) -> list[str]:
    duration_s = report.frames / SAMPLE_RATE_HZ
    rows = {
        "file": harmless(target),
        "pieces": text(language, "ui.render.of", used=report.pieces, given=given),
        "duration": clock_time(duration_s),
        "loudness": f"{lufs:.1f} LUFS",
        "peak": f"{20 * np.log10(max(report.peak, 1e-10)):.1f} dBFS",
        "silence": span(language, report.silence_s),
        "speed": text(language, "ui.render.times", times=f"{duration_s / max(took_s, 1e-3):.0f}"),
    }
    labels = column([text(language, f"ui.render.{name}") for name in rows])
    return [f"{label}  {words}" for label, words in zip(labels, rows.values(), strict=True)]
