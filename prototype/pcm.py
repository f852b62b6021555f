"""The form of all audio in the program: what a frame is, and how many there are in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # importing numpy takes longer than opening the loudspeaker: not for a name in annotations
    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 48_000
CHANNELS: Final = 2

Samples: TypeAlias = "npt.NDArray[np.float32]"
"""Audio: float32, shape (n_frames, 2), nominally in [-1, 1], at SAMPLE_RATE_HZ."""
