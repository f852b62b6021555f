"""What the process needs before the first module of the program is imported, and when the last one is."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from types import FrameType
from typing import Final

PACKAGES: Final = ("vlc", "numpy", "soundfile", "soxr", "requests", "tenacity", "rich", "dotenv")
OLDEST_PYTHON: Final = (3, 11)
BLAS_THREADS: Final = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "OPENBLAS_MAIN_FREE",  # else numpy sets it as it is imported, while VLC's threads look into the environment
)
M_TRIM_THRESHOLD: Final = -1  # malloc.h
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LARGE_BYTES: Final = 2**20
KEPT_BYTES: Final = 2**23
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # SIGQUIT: Ctrl-\


class Exit(enum.IntEnum):
    """How the program ends."""

    WELL = 0
    PROBLEM = 1  # a mode found one, or could not do all that was asked for
    CANNOT_START = 2
    NOT_REACHED = 3  # no player took the command
    INTERRUPTED = 130  # a mode was; as shells have it


def prepare() -> None:
    """Prepare the process; before numpy is imported, and before other threads run. `settle` follows the imports."""
    require_packages()
    gc.disable()  # all that imports make is there to stay: looking through it for garbage takes time in vain
    open_streams()
    use_one_blas_thread()
    return_large_blocks()


def require_packages() -> None:
    """End the program with one line when this Python is not the one that was set up for it."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if sys.version_info < OLDEST_PYTHON:
        missing = ["Python 3.11"]
    if not missing:
        return
    lacks = ", ".join(missing)
    if (os.environ.get("LC_ALL") or os.environ.get("LANG", "")).startswith("ja"):
        text = f"この Python には必要なもの（{lacks}）がありません。make run で起動してください"
    else:
        text = f"this Python lacks what is needed ({lacks}): start it with make run"
    sys.stderr.write(f"{text}\n")
    raise SystemExit(Exit.CANNOT_START)


def settle() -> None:
    """Look for garbage from now on, but never in what has been imported."""
    gc.freeze()
    gc.enable()


def heed(numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> None:
    """Let `handler` take signals, but for those we were started to ignore: by `nohup`, or by a script as its job."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def heed_aside(numbers: Iterable[signal.Signals], act: Callable[[], object]) -> None:
    """Do something at each of those signals, in a thread of its own.

    A handler is called amid whatever the main thread does, and would wait without end for a lock that this holds: even
    to wait for an event takes that of the event.
    """
    from base.workers import Doorbell  # nothing of ours before `prepare`: an old Python could not read it

    bell = Doorbell()

    def follow() -> None:
        while True:
            bell.wait()
            act()

    threading.Thread(target=follow, name="signals", daemon=True).start()
    heed(numbers, lambda *_: bell.ring())


def open_streams() -> None:
    """Open what we were started without (`2>&-`): else another file would get its number, and be printed into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def use_one_blas_thread() -> None:
    """Keep numpy's BLAS from starting a thread a core, which spin for work.

    With all cores busy they cost more than twice the CPU and tore holes of a second into the sound (measured).
    """
    for variable in BLAS_THREADS:
        os.environ.setdefault(variable, "1")


def give_back() -> None:
    """Give back to the system what is free in between: after heavy work it is tens of MB, of small blocks."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def return_large_blocks() -> None:
    """Let large arrays go back to the system as soon as they are freed.

    glibc maps large blocks one by one, but raises the size from which it does so with every such block that is freed;
    after the first segments (11 MB and more) all of them come from the heap, which then grows and is never given back.
    A fixed threshold keeps the program's memory flat. Other C libraries do not need it. KEPT_BYTES at the heap's end
    stay until `give_back`: glibc would return all but 128 KB with every block, and fetch them anew for the next, which
    took as long as all the measuring of a segment. One arena for all threads: each of its own would keep as much.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
            ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
