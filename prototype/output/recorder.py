"""Records the programme as it is played: `take` never waits, a thread of its own writes the file."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import soundfile as sf

from base.files import open_safely, own_target
from base.notices import Notices
from music.audio_files import LONGEST_WAV_FRAMES, Encoder, format_of
from music.segment import SAMPLE_RATE_HZ, Samples

log = logging.getLogger(__name__)

WAITING_BLOCKS: Final = 300  # about a minute of sound: the disk may be that late
WRITE_S: Final = 1.0  # to wake up for every block would cost as much again as to write it
PIPE_WRITE_S: Final = 0.1  # a pipe holds a third of a second
PIPE_BYTES: Final = 4 * SAMPLE_RATE_HZ  # what is kept for a reader that is late: a second


@dataclass
class Recording:
    """One recording that was asked for.

    `path` changes as it is opened where a `new` file is wanted and one has that name (the writer's field).
    `lost_frames` found no room on their way to the disk (counted in `take`).
    """

    path: Path
    tags: Mapping[str, str] = field(default_factory=dict)
    new: bool = False
    lost_frames: int = 0


class Recorder:
    """One recording at a time.

    Threads: `take` is called by the feeding thread, `run` owns the file; `start`, `end` and `watch` come from anywhere.
    None of them waits for the disk.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._queue: queue.SimpleQueue[Samples | Recording | None] = queue.SimpleQueue()
        self._current: Recording | None = None
        self._late_said: Recording | None = None
        self._sink: File | Pipe | None = None
        self._written: Recording | None = None

    @property
    def path(self) -> Path | None:
        """Where it is recorded to now."""
        current = self._current
        return current.path if current is not None else None

    def start(self, path: Path, tags: Mapping[str, str] | None = None, *, new: bool = False) -> None:
        """Begin to record into `path`, from the next block on; into a FIFO as raw 16-bit samples, while it is read.

        `tags` as of `Encoder`. No other file loses its name to a `new` one, which gets a number then.
        """
        current = Recording(path, tags or {}, new)
        self._queue.put(current)
        self._current = current

    def end(self) -> None:
        """Finish the recording, if there is one; it is said when it is on the disk."""
        self._current = None
        self._queue.put(None)

    def take(self, block: Samples) -> None:
        """Record a block: float32, shape (n_frames, 2). Never waits: when the disk is too late, the block is lost."""
        current = self._current
        if current is None:
            return
        if self._queue.qsize() < WAITING_BLOCKS:
            self._queue.put(block)
        else:
            current.lost_frames += len(block)

    def watch(self) -> None:
        """Say once in a recording that the disk is too slow for it."""
        current = self._current
        if current is not None and current.lost_frames and current is not self._late_said:
            self._late_said = current
            self._notices.say("recorder.late", "warning", path=str(current.path))

    def run(self, stop: threading.Event) -> None:
        """Write what was taken, once every WRITE_S, until `stop` is set and all is written; `end` has it seen."""
        try:
            while True:
                if self._sink is not None:
                    stop.wait(PIPE_WRITE_S if isinstance(self._sink, Pipe) else WRITE_S)
                elif not stop.is_set():
                    self._write(self._queue.get())
                last = stop.is_set()
                with contextlib.suppress(queue.Empty):
                    while True:
                        self._write(self._queue.get_nowait())
                if last:
                    return
        finally:
            self._write(None)

    def _write(self, item: Samples | Recording | None) -> None:
        """Write a block, or begin or end a file. One that fails is given up."""
        try:
            if item is None or isinstance(item, Recording):
                self._end()
                self._written = item
                self._sink = _open(item) if item is not None else None
            elif self._sink is not None:
                if isinstance(self._sink, File) and self._sink.is_full(len(item)):
                    begun, sink = self._sink.path, self._sink
                    self._sink = None
                    sink.close()
                    self._sink = File(begun.with_name(f"{begun.stem}+{begun.suffix}"), sink.tags, new=False)
                self._sink.write(item)
        except (OSError, ValueError, sf.SoundFileError) as error:  # ValueError: a FIFO went away, its name is no format
            failed, given_up, self._sink, self._written = self._written, self._sink, None, None
            if given_up is not None:
                with contextlib.suppress(OSError, sf.SoundFileError):
                    given_up.close()
            self._notices.say("recorder.failed", "warning", reason=error)
            if failed is self._current:
                self._current = None

    def _end(self) -> None:
        """Close what is open, and say what is in it: only then it is surely there."""
        sink, ended = self._sink, self._written
        self._sink = None
        if sink is None or ended is None:
            return
        sink.close()
        self._written = None
        if ended.lost_frames:
            lost_s = f"{ended.lost_frames / SAMPLE_RATE_HZ:.1f}"
            self._notices.say("recorder.incomplete", "warning", path=str(ended.path), seconds=lost_s)
        elif isinstance(sink, File) and not sink.frames:
            self._notices.say("recorder.empty")
        else:
            self._notices.say("recorder.ended", "good", path=str(ended.path))


def _open(recording: Recording) -> File | Pipe:
    asked = recording.path
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISFIFO(asked.stat().st_mode):
            return Pipe(asked)
    asked.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in itertools.count(2):
        try:
            return File(recording.path, recording.tags, new=recording.new)
        except FileExistsError:
            recording.path = asked.with_name(f"{asked.stem}-{number}{asked.suffix}")
    raise AssertionError("there is always another number")


class File:
    """A sound file, of the kind that its name says.

    Threads: one.
    """

    def __init__(self, path: Path, tags: Mapping[str, str], *, new: bool) -> None:
        """Raise FileExistsError when it must be `new` and is not."""
        self.path = path
        self.tags = tags
        self._kind = format_of(path)
        self.frames = 0
        self._new, self._is_ours = new, new or not os.path.lexists(path)
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if new else os.O_TRUNC)
        self._fd = open_safely(path if new else own_target(path), flags)
        try:
            self._encoder = Encoder(self._fd, self._kind, **tags)
        except (OSError, sf.SoundFileError):
            self._new = self._is_ours
            self._let_go()
            raise

    def is_full(self, frames: int) -> bool:
        """Whether so many frames more would not fit."""
        return self._kind[0] == "WAV" and self.frames + frames > LONGEST_WAV_FRAMES

    def write(self, block: Samples) -> None:
        """Append a block. Raises OSError or SoundFileError."""
        self._new = self._is_ours
        self._encoder.write(block)
        self.frames += len(block)

    def close(self) -> None:
        """Finish the file; what the disk refuses at last is an error too. Raises OSError."""
        try:
            self._encoder.close()
            os.fsync(self._fd)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Close the descriptor; a new file without any sound goes, one of a name that was given if there was some."""
        with contextlib.suppress(OSError):
            if self._new and not (self.frames and os.fstat(self._fd).st_size):
                self.path.unlink()
        os.close(self._fd)


class Pipe:
    """A FIFO, as Snapcast reads one: raw samples, 16 bit little-endian, 48 kHz, stereo; while nobody reads, nothing.

    Threads: one. It never waits for the reader: what one that is late has not taken is kept for a second, then lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._pending = b""

    def write(self, block: Samples) -> None:
        """Give a block to the reader, if there is one that takes it."""
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)  # ENXIO: nobody reads
            except OSError:
                return
        if len(self._pending) < PIPE_BYTES:
            self._pending += np.rint(np.clip(block, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        try:
            self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:  # the reader went away; the next block looks for another
            self.close()

    def close(self) -> None:
        """Let go of the reader."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._pending = None, b""
