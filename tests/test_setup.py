"""What `make run` installs, on machines that are played by a few small programs: apt-get, sudo, id, python."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[1] / ".ci"
TOOLS = ("sh", "env", "grep", "awk", "df", "cat", "tail", "rm", "mkdir", "dirname")
INSTRUMENTS = "libfluidsynth3 timgm6mb-soundfont"
VLC = "libvlc5 libvlc-bin vlc-plugin-base"

Run = Callable[..., subprocess.CompletedProcess[str]]


class Machine:
    """A folder with the scripts, and a PATH that holds a few tools and the programs that a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "program"
        self.bin = folder / "bin"
        self.log = folder / "calls"
        self.bin.mkdir()
        shutil.copytree(CI, self.folder / ".ci")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or "")
        self.has("id", "echo 1000")
        self.has("ldconfig", "exit 0")

    def has(self, name: str, body: str) -> None:
        """Put a program there; its calls are noted."""
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.log}"\n{body}\n')
        path.chmod(0o755)

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one of the scripts."""
        return subprocess.Popen(
            ["/bin/sh", f".ci/{script}", *arguments], cwd=self.folder, env={"PATH": str(self.bin)}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        process = self.start(script, *arguments)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def calls(self, name: str) -> list[str]:
        """Return how a program was called."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.split()[0] == name]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a Debian machine without anything, used by somebody without rights."""
    if os.name != "posix":
        pytest.skip("needs a POSIX shell")
    found = Machine(tmp_path)
    found.has("apt-get", "exit 0")
    return found


def test_root_installs_everything_in_one_call(machine: Machine) -> None:
    """One call for what is needed and what it sounds better with."""
    machine.has("id", "echo 0")
    assert machine.run("system", "python", "venv", "vlc").returncode == 0
    assert machine.calls("apt-get") == [
        f"apt-get install -y --no-install-recommends python3 python3-venv {VLC} {INSTRUMENTS}"
    ]


def test_sudo_that_asks_nothing_is_used(machine: Machine) -> None:
    """It may install where it need not ask."""
    machine.has("sudo", 'while [ "$1" = -n ] || [ "$1" = env ] || [ "${1#*=}" != "$1" ]; do shift; done; "$@"')
    machine.has("true", "exit 0")
    assert machine.run("system", "vlc").returncode == 0
    assert len(machine.calls("apt-get")) == 1


@pytest.mark.parametrize(
    ("sudo", "wanted"), [(True, "    sudo apt-get install"), (False, "    su -c 'apt-get install")]
)
def test_who_may_not_is_given_the_command(machine: Machine, sudo: bool, wanted: str) -> None:
    """The exact line, with sudo where there is one, and nothing is tried."""
    if sudo:
        machine.has("sudo", "exit 1")
    found = machine.run("system", "vlc")
    assert found.returncode == 1
    assert wanted in found.stderr
    assert VLC in found.stderr
    assert machine.calls("apt-get") == []


def test_what_is_not_needed_may_be_missing(machine: Machine) -> None:
    """A release without FluidSynth costs a line."""
    machine.has("id", "echo 0")
    machine.has("apt-get", 'case "$*" in *fluidsynth*) exit 100 ;; esac')
    found = machine.run("system", "vlc")
    assert found.returncode == 0
    assert f"not needed: {INSTRUMENTS}" in found.stderr
    assert machine.calls("apt-get")[-1] == f"apt-get install -y --no-install-recommends {VLC}"


def test_a_failure_is_named(machine: Machine) -> None:
    """When nothing can be had, the command is told."""
    machine.has("id", "echo 0")
    machine.has("apt-get", "exit 100")
    found = machine.run("system", "vlc")
    assert found.returncode == 1
    assert f"could not install {VLC}" in found.stderr


def test_instruments_alone_are_offered_quietly(machine: Machine) -> None:
    """No rights: two lines and no failure. Rights: no word from the package manager, whatever it says."""
    offered = machine.run("system", "instruments")
    assert offered.returncode == 0
    assert INSTRUMENTS in offered.stderr
    assert "vlc" not in offered.stderr
    machine.has("id", "echo 0")
    machine.has("apt-get", "echo much; echo more >&2; exit 100")
    failed = machine.run("system", "instruments")
    assert failed.returncode == 0
    assert "much" not in failed.stdout + failed.stderr
    assert "more" not in failed.stdout + failed.stderr


def test_without_a_package_manager_only_the_needed_is_a_problem(machine: Machine) -> None:
    """Instruments are not worth a word there."""
    (machine.bin / "apt-get").unlink()
    assert machine.run("system", "vlc").returncode == 1
    quiet = machine.run("system", "instruments")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_all_that_is_missing_is_asked_for_together(machine: Machine) -> None:
    """No Python, no venv, no libVLC: one command, not three rounds of them."""
    (machine.folder / "requirements.txt").write_text("numpy==1\n")
    found = machine.run("venv", "requirements.txt")
    assert found.returncode == 1
    assert f"apt-get install -y --no-install-recommends python3 python3-venv {VLC}" in found.stderr
    assert found.stderr.count("apt-get install") == 1


def test_an_old_python_is_named(machine: Machine) -> None:
    """When the system's newest Python is too old, that is said, and not "could not install"."""
    machine.has("id", "echo 0")
    machine.has("python3", "exit 1")
    (machine.folder / "requirements.txt").write_text("numpy==1\n")
    found = machine.run("venv", "requirements.txt")
    assert found.returncode == 1
    assert "older than 3.11" in found.stderr


def test_two_at_once_follow_each_other(machine: Machine) -> None:
    """`make serve` and `make run`, in two terminals of a fresh copy: the second waits, and then looks anew."""
    (machine.bin / "python3").symlink_to(sys.executable)
    (machine.folder / "requirements.txt").write_text("numpy==1\n")
    with (machine.folder / ".ci" / "venv").open() as script:
        fcntl.flock(script, fcntl.LOCK_EX)
        second = machine.start("venv", "requirements.txt")
        assert second.stdout is not None
        assert "waiting for another make" in second.stdout.readline()
        assert machine.calls("apt-get") == []
    _, said = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"apt-get install -y --no-install-recommends {VLC}" in said


@pytest.mark.parametrize(
    ("module", "said", "remedy"),
    [
        (
            "venv",
            "Error: [Errno 1] Operation not permitted: 'lib' -> '/x/.venv/lib64'",
            "copy the program to another disk",
        ),
        ("pip", "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: none", "check the network"),
    ],
)
def test_why_nothing_was_set_up_is_said(machine: Machine, module: str, said: str, remedy: str) -> None:
    """A stick without links, a train without a network."""
    machine.has("ldconfig", "echo libvlc.so.5")
    fake = f'case "$2" in {module}) echo "{said}"; exit 1 ;; venv | pip) exit 0 ;; esac\nexec {sys.executable} "$@"'
    machine.has("python3", fake)
    (machine.folder / "requirements.txt").write_text("numpy==1\n")
    python = machine.folder / ".venv" / "bin" / "python"
    if module == "pip":
        python.parent.mkdir(parents=True)
        shutil.copy(machine.bin / "python3", python)
    found = machine.run("venv", "requirements.txt")
    assert found.returncode == 1
    assert remedy in found.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_named(machine: Machine) -> None:
    """The true reason, before anything is installed."""
    (machine.folder / "requirements.txt").write_text("numpy==1\n")
    machine.folder.chmod(0o555)
    found = machine.run("venv", "requirements.txt")
    machine.folder.chmod(0o755)
    assert "read-only, or belongs to somebody else" in found.stderr
    assert machine.calls("apt-get") == []
