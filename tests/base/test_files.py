"""Files that a person named: whole or not at all, whatever had the name before."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.files import replace_safely, write_named


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let the disk take three bytes of a file: of that with the results of the tests too, hence no fixture."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("write", [write_named, replace_safely])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, write: object, before: bytes | None) -> None:
    """The file of before, or none: neither an empty one nor a part, under no name."""
    path = tmp_path / "figures.json"
    if before:
        path.write_bytes(before)
    with pytest.raises(OSError, match="too large"), full_disk():
        write(path, b"whole")  # type: ignore[operator]
    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([before] if before else [])


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    """The name may lead elsewhere, and others may be meant to read what is there."""
    target, link = tmp_path / "there.json", tmp_path / "here.json"
    target.write_bytes(b"old")
    target.chmod(0o644)
    link.symlink_to(target)
    write_named(link, b"new")
    assert link.is_symlink()
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"new", 0o644)


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A device stays one; a FIFO gives its reader all of it."""
    write_named(Path(os.devnull), b"gone")
    assert not Path(os.devnull).is_file()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_named(pipe, b"figures")
    assert os.read(reader, 100) == b"figures"
    os.close(reader)


def test_a_pipe_without_a_name_is_written_to() -> None:
    """As `/dev/stdout` in front of a pipe, or `>(jq .)`, which lead to nothing that could be replaced."""
    reader, writer = os.pipe()
    write_named(Path(f"/dev/fd/{writer}"), b"figures")
    assert os.read(reader, 100) == b"figures"
    os.close(reader)
    os.close(writer)


def test_a_file_that_is_a_mount_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container is given as a single file takes no other in its place."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    path = tmp_path / "figures.json"
    path.write_bytes(b"old figures")
    monkeypatch.setattr(Path, "replace", busy)
    write_named(path, b"figures")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"figures"]
