"""Whether libVLC can make a sound here: its version, and a moment of silence played on the sound device."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from clock import Clock
from errors import LibVlcMissing
from libvlc import LibVlc
from notices import Notices
from player import FRAME_BYTES, StreamPlayer
from soundserver import SETTLE_S, Hearing, look_once

SILENCE_S: Final = 1.2  # 0.5 s of it are VLC's look-ahead
LIMIT_S: Final = 10.0


class _Trial(StreamPlayer):
    """A stream of silence that ends by itself; `complaint` is what libVLC has against the output, "" for nothing."""

    def __init__(self, clock: Clock, *, real_device: bool) -> None:
        super().__init__(lambda n: bytes(n * FRAME_BYTES), LibVlc(), Notices(clock), clock, real_device=real_device)
        self.complaint = ""

    def run(self, stop: threading.Event) -> None:
        self._open()
        try:
            self._play()
            self._settled.wait(SETTLE_S)
            ends_at = self._clock.now() + SILENCE_S
            while not self._device_error and not stop.is_set() and self._clock.now() < ends_at:
                self._serve(0.05)
            self.complaint = self._device_error or ("" if self._played_buffers() else "nothing was played")
            hearing = look_once() if self._real_device else Hearing.UNKNOWN
            if not self.complaint and hearing not in (Hearing.UNKNOWN, Hearing.PLAYS):
                self.complaint = hearing.value
        finally:
            self.close()
            self._shut()


def libvlc_version() -> str:
    """Return libVLC's version, such as "3.0.21". Raises LibVlcMissing."""
    words: list[str] = LibVlc().load().libvlc_get_version().decode("utf-8", "replace").split()
    return words[0] if words else "?"


def play_silence(clock: Clock, *, real_device: bool, limit_s: float = LIMIT_S) -> str:
    """Play a moment of silence on the sound device or, for the plugins' sake, on VLC's dummy of one.

    Returns what libVLC has against it, "" when it took the silence. Raises LibVlcMissing when it has no plugins, and
    TimeoutError when the sound server does not let VLC go (even to start it may wait for one); its thread is then
    left behind.
    """
    trial, stop, missing = _Trial(clock, real_device=real_device), threading.Event(), list[LibVlcMissing]()

    def body() -> None:
        try:
            trial.run(stop)
        except LibVlcMissing as error:
            missing.append(error)

    with _quiet():
        thread = threading.Thread(target=body, name="sound-check", daemon=True)
        thread.start()
        thread.join(limit_s)
    stop.set()
    if thread.is_alive():
        trial.close()
        raise TimeoutError
    if missing:
        raise missing[0]
    return trial.complaint


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what VLC's plugins print on standard error off the screen."""
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
