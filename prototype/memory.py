"""Large arrays go back to the system as soon as they are freed.

glibc maps large blocks one by one, but raises the size from which it does so with every such block that is freed;
after the first segments (11 MB and more) all of them come from the heap, which then grows and is never given back.
A fixed threshold keeps the program's memory flat. Other C libraries do not need it.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # malloc.h
LARGE_BYTES: Final = 2**20


def return_large_blocks() -> None:
    """Set the threshold, where there is one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
