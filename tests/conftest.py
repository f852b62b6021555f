"""For all tests: nothing depends on how fast the machine is, nor on who starts them."""

from __future__ import annotations

from base.process import use_one_blas_thread

use_one_blas_thread()  # as in the program; before numpy is imported

from hypothesis import settings  # noqa: E402

from listening.sound_room import let_signals_through  # noqa: E402

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
let_signals_through()
