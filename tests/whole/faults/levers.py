"""Faults as contexts over a running programme: they begin on entry and end on exit. The rows combine them."""

from __future__ import annotations

import copy
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from doubles.fake_acestep import FakeAcestep
from doubles.scripted_server import ScriptedServer
from whole.harness import Programme

Inject = Callable[[Programme], AbstractContextManager[object]]


def fake(programme: Programme) -> FakeAcestep:
    """Return the server of a programme that speaks HTTP."""
    assert isinstance(programme.server, FakeAcestep)
    return programme.server


def scripted(programme: Programme) -> ScriptedServer:
    """Return the server of a programme that does not."""
    assert isinstance(programme.server, ScriptedServer)
    return programme.server


def server(**levers: Any) -> Inject:
    """Move levers of the server, and move them back."""
    return _moved(lambda programme: programme.server, levers)


def disk(**levers: Any) -> Inject:
    """Move levers of the disk, and move them back."""
    return _moved(lambda programme: programme.files, levers)


def once(action: Callable[[Programme], object]) -> Inject:
    """Do something as the fault begins; there is nothing to end."""

    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        action(programme)
        yield

    return inject


def last(action: Callable[[Programme], object]) -> Inject:
    """Do something as the fault ends."""

    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        yield
        action(programme)

    return inject


def every(period_s: float, action: Callable[[Programme], object]) -> Inject:
    """Do something now, and again every `period_s`."""

    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        goes_on = [True]

        def act() -> None:
            if goes_on:
                action(programme)
                programme.later(period_s, act)

        act()
        yield
        goes_on.clear()

    return inject


def together(*injects: Inject) -> Inject:
    """Let several faults be at once."""

    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        with ExitStack() as stack:
            for one in injects:
                stack.enter_context(one(programme))
            yield

    return inject


def meanwhile(part: str, name: str, stand_in: Callable[[Programme, Any], Any]) -> Inject:
    """Put `stand_in(programme, real)` before a method of a part of the programme ("": of itself), while it lasts."""

    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        owner = getattr(programme, part) if part else programme
        real = getattr(owner, name)
        broken, lasts = stand_in(programme, real), [True]

        def either(*args: Any, **named: Any) -> Any:
            return (broken if lasts else real)(*args, **named)

        setattr(owner, name, either)
        yield
        lasts.clear()  # a retry may still hold what we put there
        delattr(owner, name)

    return inject


def raising(part: str, name: str, error: Exception, nth: int = 1) -> Inject:
    """Let every `nth` call of a method raise."""

    def stand_in(_programme: Programme, real: Any) -> Any:
        numbers = itertools.count(1)

        def fails(*args: Any, **named: Any) -> Any:
            if next(numbers) % nth:
                return real(*args, **named)
            raise copy.copy(error)  # raised twice, one would remember both of its ways

        return fails

    return meanwhile(part, name, stand_in)


@contextmanager
def server_down(programme: Programme) -> Iterator[None]:
    """Nothing listens; what was at work there is lost."""
    if isinstance(programme.server, FakeAcestep):
        programme.server.kill()
        yield
        programme.server.start()
        return
    programme.server.restart(down_s=0.0)
    since = programme.server.now()
    programme.server.away.append((since, float("inf")))
    yield
    programme.server.away.remove((since, float("inf")))


def restart_server(down_s: float) -> Inject:
    """Kill the server; it listens again after a while."""
    return once(lambda programme: scripted(programme).restart(down_s))


@contextmanager
def calm(_programme: Programme) -> Iterator[None]:
    """Let nothing happen: what is wrong, if anything, is so from the start."""
    yield


@contextmanager
def device_lost(programme: Programme) -> Iterator[None]:
    """There is no sound device; the programme is held, and nothing of it may be used up."""
    programme.hold(True)
    programme.play(1.0)
    used = dict(programme.loader.started)
    yield
    if programme.loader.started != used:
        programme.remarks.append("segments were used up unheard")
    programme.hold(False)


@contextmanager
def listener_pauses(programme: Programme) -> Iterator[None]:
    """The listener pauses."""
    programme.pause(True)
    yield
    programme.pause(False)


def delete_spool(programme: Programme) -> None:
    """Somebody deletes the whole spool folder while we play: what was in it is gone, and not by us."""
    programme.spool.excused |= set(programme.spool.brought.values())
    shutil.rmtree(programme.folder / "spool", ignore_errors=True)


def wall_jumps(seconds: float) -> Inject:
    """Somebody sets the machine's clock."""

    def jump(programme: Programme) -> None:
        programme.spool.wall_s += seconds

    return once(jump)


def _moved(owner: Callable[[Programme], object], levers: dict[str, Any]) -> Inject:
    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        thing = owner(programme)
        before = {name: getattr(thing, name) for name in levers}
        for name, value in levers.items():
            setattr(thing, name, value)
        yield
        for name, value in before.items():
            setattr(thing, name, value)

    return inject
