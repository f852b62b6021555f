"""The fault matrix: what a row is, and how a row inside this process is tried.

    healthy, fresh music is heard → the fault begins → it lasts → it ends → fresh music is heard again

All along a listener pulls the programme, and nothing but the faulty part is a double. A row of another kind (a real
process, a real device) is anything with `area`, `name` and `run(folder)`; see `matrix`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ace_client import AceClient, Timeouts
from doubles.fake_acestep import FakeAcestep
from doubles.fake_audio import good_wav
from doubles.scripted_server import ScriptedServer
from music.segment import Source
from whole.harness import SETTINGS, Programme
from whole.scales import FULL, TINY, tiny_file

FIRST_FRESH_S = 120.0
SETTLE_S = 15.0
RECOVERY_S = 400.0
QUICK = Timeouts(connect_s=1.0, read_s=0.5, reply_s=5.0, file_s=5.0, submit_s=0.5)


@dataclass(frozen=True)
class Outcome:
    """What came of one row; `problems` is empty when everything held."""

    silent_s: float = 0.0
    heard: str = ""
    said: str = ""
    recovery: str = ""
    problems: tuple[str, ...] = ()
    took_s: float = 0.0


class Row(Protocol):
    """One line of the matrix."""

    @property
    def area(self) -> str:
        """What kind of thing fails."""
        ...

    @property
    def name(self) -> str:
        """What happens, in a few words."""
        ...

    def run(self, folder: Path) -> Outcome:
        """Try it, with an empty folder to work in."""
        ...


Inject = Callable[[Programme], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """A fault inside this process. `inject` makes it begin and, as its context ends, end."""

    area: str
    name: str
    inject: Inject
    says: str = ""
    """Key of the notice that tells a person; "": there is nothing to tell."""
    lasts_s: float = 60.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    """Levers of the server from the start."""
    http: bool = False
    """The real client talks to FakeAcestep over HTTP; else it is a ScriptedServer in memory."""
    full: bool = False
    """48 kHz and real audio bytes (with `http`)."""
    from_start: bool = False
    """The fault is there before the first sound."""
    heals: bool = True
    """Fresh music is heard again once the fault has ended."""
    loses: bool = False
    """What is made meanwhile cannot be had, however one tries."""
    plays: Source | None = None
    """What must be heard while it lasts."""
    thread: str = ""
    """The threads that fail; no others may."""
    prepare: Callable[[Path], object] = lambda folder: None
    """What is done with the folder before the start."""
    holds: Callable[[Programme], bool] = lambda programme: True
    """What else must be true in the end."""

    def run(self, folder: Path) -> Outcome:
        """Try it."""
        began_at = time.monotonic()
        self.prepare(folder)
        with self._programme(folder) as programme:
            outcome = self._judge(programme)
        return replace(outcome, took_s=time.monotonic() - began_at)

    def _programme(self, folder: Path) -> Programme:
        # Never longer pieces: a larger stock would hide the fault for minutes.
        chosen = {"segment_seconds": 20.0, **self.settings}
        settings = replace(SETTINGS, **{"segment_max_seconds": chosen["segment_seconds"], **chosen})
        if not self.http:
            server = ScriptedServer(lambda: 0.0, **self.server)
            return Programme(folder, server, settings=settings)
        scale = FULL if self.full else TINY
        fake = FakeAcestep(**{"speed": 0.3, "audio": good_wav if self.full else tiny_file, **self.server})
        fake.start()
        client = AceClient(fake.url, batch_size=settings.batch_size, timeouts=QUICK)
        return Programme(folder, fake, client=client, settings=settings, scale=scale)

    def _judge(self, programme: Programme) -> Outcome:
        problems: list[str] = []
        if not self.from_start:
            if not programme.play_until_fresh(FIRST_FRESH_S):
                problems.append("no fresh music to begin with")
            programme.play(SETTLE_S)
        heard, clock = programme.heard, programme.clock
        begins_s, begins_at = heard.now_s, clock.now()
        with self.inject(programme):
            programme.play(self.lasts_s)
        sources = {span.source for span in heard.spans if span.ends_s > begins_s}
        healed_at = clock.now()
        again = self.heals and programme.play_until_fresh(RECOVERY_S)
        recovery = f"{clock.now() - healed_at:.0f} s" if again else "-"
        if self.heals and not again:
            problems.append(f"no fresh music for {RECOVERY_S:.0f} s after the end")
        lost = programme.lost()
        problems += [f"lost: {one}" for one in lost[:3] if not self.loses]
        if heard.silent_frames:
            problems.append(f"silent for {heard.silent_frames} frames")
        problems += [f"heard again too soon: {key}" for key in heard.repeats[:3]]
        if self.says and not programme.said(self.says, begins_at):
            keys = dict.fromkeys(notice.key for notice in programme.notices.recent() if notice.at >= begins_at)
            problems.append(f"did not say {self.says}, but {', '.join(keys) or 'nothing'}")
        if self.plays and self.plays not in sources:
            problems.append(f"{self.plays.value} was not heard")
        if (failed := {name.rstrip("-0123456789") for name, _ in programme.failures}) != set(self.thread.split()):
            problems.append(f"threads that failed: {', '.join(sorted(failed)) or 'none'} {programme.failures[-1:]}")
        problems += programme.remarks
        if not self.holds(programme):
            problems.append("what must hold in the end does not")
        return Outcome(
            heard.silent_frames / programme.scale.rate_hz,
            " ".join(source.value for source in Source if source in sources),
            self.says,
            recovery,
            tuple(problems),
        )
