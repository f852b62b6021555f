"""The program from outside: what it says and how it ends when something is wrong before the first sound."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf

from base import process
from doubles.fake_audio import chord
from spool.folders import FolderLock

APP = Path(__file__).parents[1] / "prototype" / "app.py"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, str(APP), "--spool-dir", str(folder / "spool"), *arguments],
        env={**os.environ, "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_group(tmp_path: Path) -> None:
    """--help is grouped and ends with 0."""
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    assert "--station" in done.stdout


def test_all_bad_settings_are_reported_at_once(tmp_path: Path) -> None:
    """Exit code 2, one line a fault, no traceback, nothing started."""
    done = run(tmp_path, "--segment-seconds", "x", "--prefetch-target", "0", "--lm-backend", "cuda")
    assert done.returncode == 2
    for name in ("--segment-seconds", "--prefetch-target", "--lm-backend"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "spool").exists()


def test_an_unknown_station_names_those_there_are(tmp_path: Path) -> None:
    """A typing error is answered with the list."""
    done = run(tmp_path, "--station", "polka")
    assert done.returncode == 2
    assert "polka" in done.stderr
    assert "lofi" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_station_is_told_beside_all_else(tmp_path: Path) -> None:
    """It is looked up at once, but where the file with stations of one's own cannot be read: nobody knows then."""
    done = run(tmp_path, "--station", "nowhere", "--volume", "loud")
    assert "nowhere" in done.stderr
    assert "--volume" in done.stderr
    done = run(tmp_path, "--station", "nowhere", "--check", "--volume", "loud")
    assert "nowhere" in done.stdout
    done = run(tmp_path, "--station", "nowhere", "--stations-file", str(tmp_path / "none.toml"))
    assert "--stations-file" in done.stderr
    assert "nowhere" not in done.stderr
    (tmp_path / "mine.toml").write_text("[mine]\nbpm = 1\n[yours]\nbpm = 2\n")
    done = run(tmp_path, "--stations-file", str(tmp_path / "mine.toml"), "--volume", "loud")
    assert all(part in done.stderr for part in ("mine", "yours", "--volume"))


def test_a_python_without_the_packages_says_what_starts_it() -> None:
    """The system's Python: one line with the command, and not that libVLC is missing."""
    words = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{str(APP.parent)!r}]; import base.process"]
    words[-1] += "; base.process.prepare()"
    done = subprocess.run(words, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "make run" in done.stderr
    assert "libVLC" not in done.stderr


def test_an_old_python_says_so_and_reads_nothing_that_it_could_not() -> None:
    """The system's of macOS or of an older Linux: one line, where newer syntax and imports would be a traceback."""
    code = f"""
import runpy, sys
from pathlib import Path

class Listener:
    def find_spec(self, name, *_):
        if name not in ("base", "base.process") and name.partition(".")[0] in {{one.stem for one in folder.iterdir()}}:
            raise SyntaxError(name)

folder = Path({str(APP.parent)!r})
sys.meta_path.insert(0, Listener())
sys.version_info = (3, 9, 6)
runpy.run_path({str(APP)!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Python 3.11" in done.stderr
    for file in (APP, Path(process.__file__)):
        ast.parse(file.read_text("utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("hidden", [["-P"], ["-I"]])
def test_it_finds_its_own_modules_where_python_leaves_their_folder_out(hidden: list[str]) -> None:
    """PYTHONSAFEPATH is as -P."""
    words = [sys.executable, *hidden, str(APP), "--version"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0


def test_a_missing_libvlc_is_one_line(tmp_path: Path) -> None:
    """Without libVLC: the package to install, exit code 2."""
    done = run(tmp_path, PYTHON_VLC_LIB_PATH="nowhere/libvlc.so")
    assert done.returncode == 2
    assert "libVLC 3 is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_changes_the_environment_while_libvlc_is_opened() -> None:
    """VLC's threads look into it: a change at that moment has ended the program with SIGSEGV (setenv(3))."""
    code = f"""
import os, sys, threading

start, threads = threading.Thread.start, []

def noted(thread):
    threads.append(thread.name)
    start(thread)

def note(event, arguments):
    if event in ("os.putenv", "os.unsetenv") and threads:
        sys.exit(f"{{event}} {{arguments}} beside {{threads}}")

threading.Thread.start = noted
os.environ.pop("PYTHON_VLC_LIB_PATH", None)
sys.path.insert(0, {str(APP.parent)!r})
sys.addaudithook(note)
from base import process
process.prepare()
from output.vlc_library import LibVlc
libvlc = LibVlc()
libvlc.load()
import numpy, player, session.session
assert threads == ["libvlc"]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_second_program_on_the_spool_is_refused(tmp_path: Path) -> None:
    """One spool, one program: the second says so in one line."""
    (tmp_path / "spool").mkdir()
    lock = FolderLock(tmp_path / "spool")
    lock.take()
    try:
        done = run(tmp_path, "--audio-output", "none")
    finally:
        lock.release()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(os.getpid()) in done.stderr


@pytest.mark.realtime
def test_it_plays_and_ends_by_itself(tmp_path: Path) -> None:
    """--for 3s on no device: music from the built-in engine, a summary, figures for machines, exit code 0."""
    figures = tmp_path / "figures.json"
    done = run(
        tmp_path,
        "--plain",
        "--for",
        "3s",
        "--audio-output",
        "none",
        "--engine",
        "builtin",
        "--stats-json",
        str(figures),
    )
    assert done.returncode == 0
    assert "now playing" in done.stdout
    assert '"silent_s": 0.0' in figures.read_text()


def test_what_decoders_say_of_a_file_is_not_printed(tmp_path: Path) -> None:
    """libmpg123 prints notes; what a person has to know of a damaged file stands in our own line."""
    sf.write(tmp_path / "whole.mp3", chord(4.0), 48_000, format="MP3")
    data = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 :])
    done = run(tmp_path, "--render", str(tmp_path / "a.mp3"), "-o", str(tmp_path / "out.wav"))
    assert done.returncode == 0
    assert "a.mp3" in done.stdout
    assert done.stderr == ""


@pytest.mark.realtime
def test_what_libraries_say_is_not_printed(tmp_path: Path) -> None:
    """Without a sound server ALSA and VLC complain on standard error: into the log, not over the screen."""
    nowhere = {"PULSE_SERVER": "", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = run(tmp_path, "--plain", "--engine", "builtin", "--for", "2s", **nowhere)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.realtime
def test_signals_that_we_were_started_to_ignore_do_not_end_the_music(tmp_path: Path) -> None:
    """Under nohup, or in the background of a script: SIGHUP and SIGINT change nothing, SIGTERM still ends."""
    script = 'trap "" INT HUP QUIT; exec "$0" "$@"'
    arguments = ("--spool-dir", str(tmp_path), "--audio-output", "none", "--plain")
    playing = subprocess.Popen(
        ["sh", "-c", script, sys.executable, str(APP), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert playing.stdout is not None
        assert playing.stdout.readline()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            playing.send_signal(number)
        assert playing.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            playing.wait(3)
        playing.terminate()
        assert playing.wait(10) == 0
    finally:
        playing.kill()
        playing.communicate()


@pytest.mark.parametrize("module", ["config", "base.process", "session.build"])
def test_ctrl_c_during_the_first_imports_shows_no_traceback(module: str) -> None:
    """Python's own handler would raise in the middle of them."""
    code = f"""
import os, runpy, signal, sys

class Listener:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Listener())
sys.path.insert(0, {str(APP.parent)!r})
sys.argv = [{str(APP)!r}, "--list-stations"]
runpy.run_path({str(APP)!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_ctrl_c_while_the_settings_are_read_is_an_ordinary_end() -> None:
    """As at any other moment of playing; only a check or a rendering is interrupted."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(APP.parent)!r})
import app, config
config.load = lambda *_: os.kill(os.getpid(), signal.SIGINT)
sys.exit(app.main([]))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_signal_ends_it_whatever_the_main_thread_is_at(tmp_path: Path) -> None:
    """Also amid the wait for that end, whose lock a handler would wait for without end."""
    code = f"""
import signal, sys, threading
from types import SimpleNamespace
sys.path.insert(0, {str(APP.parent)!r})
import app

def build(settings, station, stations, around, enter):
    def run():
        with around.stop._cond:
            signal.raise_signal(signal.SIGTERM)
        around.stop.wait()
        raise app.StartupError(app.said("ctl.quit"))
    return SimpleNamespace(run=run)

app.build = build
app.main(["--spool-dir", {str(tmp_path)!r}], SimpleNamespace(connect=lambda: 0, load=lambda: 0))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0


def test_what_is_ignored_stays_ignored() -> None:
    """A handler is set for the signals that are not ignored, and for no other."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    try:
        process.heed((signal.SIGUSR1, signal.SIGUSR2), signal.default_int_handler)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGUSR2) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])
