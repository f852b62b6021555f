"""libVLC, found and opened. The only module that imports `vlc`.

Opening an instance, and a player that connects to the sound server, is begun beside the imports: calls of libVLC let
other threads run.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from typing import Any, Final

from base.errors import LibVlcMissing
from base.texts import Said, said
from output.sound_server import NAME

log = logging.getLogger(__name__)

SONAME: Final = "libvlc.so.5"
# A volume or a mute of ours that a sound server keeps is not for all players of music, nor for VLC: it stands under our
# name in PulseAudio and older WirePlumbers; newer ones do not keep it at all.
STREAM_PROPERTIES: Final = f"module-stream-restore.id=sink-input-by-application-id:{NAME} state.restore-props=false"
TITLE: Final = "sagyō-on".encode()  # in the system's sound settings
APPLICATION: Final = (NAME.encode(), b"", b"audio-x-generic")  # the icon is one that every desktop has
# Of VLC's resamplers soxr alone costs nothing at equal rates; the default runs every sample through its filter.
ARGUMENTS: Final = (
    "--quiet",
    "--no-video",
    "--no-lua",
    "--no-media-library",
    "--no-audio-time-stretch",
    "--audio-resampler=soxr",
)
LOG_ERROR: Final = 4
OFF_PACE: Final = b"playback way too"  # late, early: VLC's words as it throws away what it has, or fills in silence
UNDERRUN: Final = "cannot estimate delay"  # of ALSA, from which VLC recovers; where it does not, it says so
INSTALL: Final = {"linux": "vlc.install_linux", "darwin": "vlc.install_macos"}


def _install() -> Said:
    return said(INSTALL.get(sys.platform, "vlc.install"))


def _loaded() -> Any:
    """Return libVLC where the system's loader knows it; python-vlc would search with a compiler and ldconfig.

    Before any thread of VLC's runs: they look into the environment, which nobody may change meanwhile (setenv(3)).
    """
    if sys.platform != "linux" or "PYTHON_VLC_LIB_PATH" in os.environ:
        return None
    try:
        library = ctypes.CDLL(SONAME)
    except OSError:
        log.debug("%s is not on the loader's path", SONAME)
        return None
    os.environ["PYTHON_VLC_LIB_PATH"] = SONAME
    return library


class Searches:
    """Which of VLC's threads look for a module: what it has against those that it tries and leaves is no fault.

    Threads: each notes its own words.
    """

    def __init__(self) -> None:
        self._threads: set[int] = set()

    def note(self, words: str) -> bool:
        """Note the template of a sentence of VLC's; return whether this thread looks for a module."""
        thread = threading.get_ident()
        if words.startswith("looking for %s module"):
            self._threads.add(thread)
        elif words.startswith(("using %s module", "no %s modules")):
            self._threads.discard(thread)
        return thread in self._threads


class LibVlc:
    """One libVLC. Where the system's loader knows it, opening begins at once, in a thread of its own.

    Threads: `load` any; `connect` the main thread; `instance` and `list_player` the owner of them.
    """

    def __init__(self) -> None:
        os.environ["PULSE_PROP"] = f"{STREAM_PROPERTIES} {os.environ.get('PULSE_PROP', '')}"
        self._library = _loaded()
        self._instance: int | None = None
        self._list_player: int | None = None
        self._opening = threading.Thread(target=self._begin, name="libvlc", daemon=True)
        self._opening.start()

    def load(self) -> Any:
        """Import and return the `vlc` module. Raises LibVlcMissing, naming the package to install."""
        try:
            import vlc
        except (ImportError, OSError, NotImplementedError, AttributeError, NameError, SystemExit) as error:
            raise LibVlcMissing(said("vlc.missing", install=_install())) from error
        return vlc

    def instance(self) -> Any:
        """Return a `vlc.Instance` of the caller's own: the one that was begun, the next time a new one.

        It may take long when it waits for a dead sound server. Raises LibVlcMissing.
        """
        vlc = self.load()
        self._opening.join()
        address, self._instance = self._instance, None
        opened = vlc.Instance(address or list(ARGUMENTS))
        if opened is None:
            raise LibVlcMissing(said("vlc.no_plugins", install=_install()))
        opened.set_user_agent(TITLE, TITLE)
        opened.set_app_id(*APPLICATION)
        return opened

    def list_player(self, instance: Any) -> Any:
        """Return a `vlc.MediaListPlayer`: the one that was begun, the next time a new one."""
        address, self._list_player = self._list_player, None
        return self.load().MediaListPlayer(address) if address else instance.media_list_player_new()

    def connect(self) -> None:
        """Begin to open a list player too. It may print on standard error what it has against the sound devices."""
        begun = self._opening

        def body() -> None:
            begun.join()
            if self._instance is not None:
                self._library.libvlc_media_list_player_new.restype = ctypes.c_void_p
                self._list_player = self._library.libvlc_media_list_player_new(ctypes.c_void_p(self._instance))

        self._opening = threading.Thread(target=body, name="libvlc", daemon=True)
        self._opening.start()

    def _begin(self) -> None:
        if self._library is None:
            return  # it lies where only python-vlc finds it
        self._library.libvlc_new.restype = ctypes.c_void_p
        words = [word.encode() for word in ARGUMENTS]
        self._instance = self._library.libvlc_new(len(words), (ctypes.c_char_p * len(words))(*words))
        if self._instance is not None:
            instance = ctypes.c_void_p(self._instance)
            self._library.libvlc_set_user_agent(instance, TITLE, TITLE)
            self._library.libvlc_set_app_id(instance, *APPLICATION)
