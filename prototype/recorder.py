"""Records the programme as it is played: `take` never waits, a thread of its own writes the file."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from pathlib import Path
from typing import Final

import soundfile as sf

from notices import Notices
from pcm import CHANNELS, SAMPLE_RATE_HZ, Samples

log = logging.getLogger(__name__)

WAITING_BLOCKS: Final = 600  # about a minute of sound: the disk may be that late
WRITE_S: Final = 1.0  # to wake up for every block would cost as much again as to write it
FORMATS: Final = {".flac": "FLAC", ".ogg": "OGG"}  # anything else is written as WAV
LONGEST_FRAMES: Final = 2**30 - 2**16  # what fits into a WAV file of 4 GiB, 6 hours; then a new part begins


class Recorder:
    """One recording at a time.

    Threads: `take` is called by the feeding thread, `run` owns the file; `start` and `end` come from anywhere.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._queue: queue.Queue[Samples | Path | None] = queue.Queue(WAITING_BLOCKS)
        self.path: Path | None = None

    def start(self, path: Path) -> None:
        """Begin to record into `path`, from the next block on."""
        self._queue.put(path)
        self.path = path

    def end(self) -> None:
        """Finish the recording, if there is one."""
        self.path = None
        self._queue.put(None)

    def take(self, block: Samples) -> None:
        """Record a block: float32, shape (n_frames, 2). Never waits: when the disk is too late, the block is lost."""
        if self.path is not None:
            try:
                self._queue.put_nowait(block)
            except queue.Full:
                log.warning("the disk is too slow for the recording: a block is lost")

    def run(self, stop: threading.Event) -> None:
        """Write what was taken, once every WRITE_S, until `stop` is set and all is written."""
        file: sf.SoundFile | None = None
        try:
            while True:
                last = stop.wait(WRITE_S)
                with contextlib.suppress(queue.Empty):
                    while True:
                        file = self._write(file, self._queue.get_nowait())
                if last:
                    return
        finally:
            if file is not None:
                file.close()

    def _write(self, file: sf.SoundFile | None, item: Samples | Path | None) -> sf.SoundFile | None:
        """Write a block, or begin or end a file; return the one that is open now. One that fails is given up."""
        try:
            return self._written(file, item)
        except (OSError, sf.SoundFileError) as error:
            self._notices.say("recorder.failed", "warning", reason=str(error))
            self.path = None
            return None

    def _written(self, file: sf.SoundFile | None, item: Samples | Path | None) -> sf.SoundFile | None:
        if item is None or isinstance(item, Path):
            if file is not None:
                file.close()
            return _open(item) if item is not None else None
        if file is not None:
            if file.frames + len(item) > LONGEST_FRAMES and file.format == "WAV":
                begun = Path(file.name)
                file.close()
                file = _open(begun.with_name(f"{begun.stem}+{begun.suffix}"))
            file.write(item)
        return file


def _open(path: Path) -> sf.SoundFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = FORMATS.get(path.suffix.lower(), "WAV")
    return sf.SoundFile(path, "w", SAMPLE_RATE_HZ, CHANNELS, format=kind)
