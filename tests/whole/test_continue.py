"""Pieces that go on, through the whole program: a server whose model knows one composition, and worse ones."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import soundfile

from ace_client import AceClient
from contracts.test_ace_client import genuine
from doubles import composition
from doubles.fake_acestep import FakeAcestep
from doubles.fake_audio import wav_bytes
from music.segment import SAMPLE_RATE_HZ, Samples, SegmentInfo, Source
from programme.programme import Started
from server.replies import JobReport, JobState
from whole.harness import SETTINGS, Programme
from whole.scales import FULL

RATE: Final = SAMPLE_RATE_HZ
CONTINUE: Final = replace(SETTINGS, continuing="on", station="lofi", library_no_repeat=0)
RUNNING: Final = (JobState.QUEUED, JobState.RUNNING)


class Patient(AceClient):
    """A client whose polls wait until a job has ended: the server's time is real, the programme's is not."""

    def poll(self, task_ids: Iterable[str]) -> dict[str, JobReport]:
        """Ask until something has changed."""
        ids = list(task_ids)
        for _ in range(1200):
            reports = super().poll(ids)
            if any(report.state not in RUNNING for report in reports.values()):
                break
            threading.Event().wait(0.02)
        return reports


class Listener:
    """Hears a programme out and remembers it."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.blocks: list[Samples] = []
        self.started: list[tuple[int, SegmentInfo]] = []
        self.sources: list[Source] = []
        read, take = programme.mixer.read, programme.mixer.take_events

        def remember(n_frames: int) -> Samples:
            self.blocks.append(read(n_frames))
            return self.blocks[-1]

        def watch() -> Any:
            events = take()
            for event in events:
                if isinstance(event, Started) and event.piece.info:
                    self.started.append((sum(map(len, self.blocks)), event.piece.info))
                    self.sources.append(event.piece.source)
            return events

        programme.mixer.read = remember  # type: ignore[method-assign]
        programme.mixer.take_events = watch  # type: ignore[method-assign]

    @property
    def joined(self) -> int:
        """How many segments continued the one that was heard before them."""
        return sum(follows(one, other) for (_, one), (_, other) in pairwise(self.started))

    @property
    def longest_chain(self) -> tuple[int, int, int]:
        """The number of its joins, and the frames between which it was heard alone."""
        best = joins = began = 0
        span = (0, 0)
        for number, (at, info) in enumerate(self.started):
            joins = joins + 1 if number and follows(self.started[number - 1][1], info) else 0
            began = began if joins else at
            if joins > best:
                best, span = joins, (began + 6 * RATE, at + 8 * RATE)
        return (best, *span)


def follows(one: SegmentInfo, other: SegmentInfo) -> bool:
    """Return whether a segment goes on with another."""
    return other.continues is not None and other.continues.segment_id == one.segment_id


def lines(programme: Programme) -> set[str]:
    """What was said."""
    return {notice.key for notice in programme.notices.recent()}


def against(out: Samples, at: int) -> tuple[int, float]:
    """Return how far the composition is ahead of the programme at a frame, and the programme's level for 2 s."""
    part = out[at : at + 2 * RATE]
    place = composition.place_of(part)
    original = composition.composition()[place : place + len(part)]
    return place - at, 10 * float(np.log10(np.mean(part**2.0) / np.mean(original**2.0)))


@pytest.mark.server
@pytest.mark.parametrize("how", ["newer", "older"])
def test_the_programme_of_a_chain_of_five_is_the_composition(how: str, tmp_path: Path) -> None:
    """Over every join: to the sample from a newer server, within 0.5 dB and 1 ms from an older one."""
    (tmp_path / "server").mkdir()
    with (
        genuine(tmp_path / "server", continues=how) as server,
        Programme(tmp_path, client=Patient(server.url), settings=CONTINUE, scale=FULL, threads=False) as programme,
    ):
        listener = Listener(programme)
        programme.play(300.0, lambda: listener.longest_chain[0] >= 4)
        programme.play(10.0)
        out = np.concatenate(listener.blocks)
    joins, begin, end = listener.longest_chain
    assert joins >= 4, lines(programme)
    joined_at = [at for at, _ in listener.started if begin < at < end]
    pairs = [(against(out, at - 3 * RATE), against(out, at + RATE)) for at in joined_at]
    late_ms = max(1000 * abs(one - other) / RATE for (one, _), (other, _) in pairs)
    step_db = max(abs(one - other) for (_, one), (_, other) in pairs)
    print(f"{how}: {joins} joins in {(end - begin) / RATE:.0f} s, at most {late_ms:.3f} ms, {step_db:.3f} dB")
    assert len(pairs) >= 4
    if how == "newer":
        place = pairs[0][0][0] + begin
        original = composition.composition()[place : place + end - begin]
        gain = np.vdot(original, out[begin:end]) / np.vdot(original, original)
        error = np.abs(out[begin:end] - gain * original).max()
        print(f"largest error {20 * np.log10(error):.1f} dBFS")
        assert error < 1e-4
    assert late_ms <= (0.0 if how == "newer" else 1.0)
    assert step_db <= 0.5


def model(how: str) -> Any:
    """The model behind FakeAcestep."""

    def repainted(asked: dict[str, Any], number: int) -> bytes:
        upload, _ = soundfile.read(io.BytesIO(asked["src_audio"]), dtype="float32", always_2d=True)
        start, end = float(asked["repainting_start"]), float(asked["repainting_end"])
        return wav_bytes(composition.continued(upload, start, end, how, number))

    return repainted


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("key", "chain.harmony"), ("dying", "chain.level"), ("silent", "chain.level"),
        *(
            pytest.param(*case, marks=pytest.mark.virtual)
            for case in (("tempo", "chain.harmony"), ("quiet", "chain.level"), ("unchanged", "chain.level"),
                         ("other", "chain.unlike"))
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_plays_as_ordinary_pieces(how: str, line: str, tmp_path: Path) -> None:
    """Counted, said calmly, the piece ended after two in a row; and never a silence."""
    with FakeAcestep(repainted=model(how), audio=lambda n, s: wav_bytes(composition.excerpt(n, s))) as server:
        client = AceClient(server.url)
        settings = replace(CONTINUE)
        with Programme(tmp_path, server, client=client, settings=settings, scale=FULL, threads=False) as programme:
            listener = Listener(programme)
            programme.play(100.0)
            assert listener.joined == 0
            assert {line, "chain.ended"} <= lines(programme) or how in ("silent", "unchanged")
            assert programme.mixer.snapshot().longest_silence_s < 0.3
            assert listener.sources.count(Source.FRESH) >= 3
            assert programme.failures == []


@pytest.mark.parametrize("status", [500, *(pytest.param(status, marks=pytest.mark.virtual) for status in (400, 415))])
def test_a_server_that_takes_no_upload_is_told_once_and_used_as_ever(status: int, tmp_path: Path) -> None:
    """Continuing is off for the session; the music is not."""
    with FakeAcestep(refuse_uploads=status, audio=lambda n, s: wav_bytes(composition.excerpt(n, s))) as server:
        client = AceClient(server.url)
        with Programme(tmp_path, server, client=client, settings=CONTINUE, scale=FULL, threads=False) as programme:
            listener = Listener(programme)
            programme.play(90.0)
            told = [notice.key for notice in programme.notices.recent() if notice.key == "chain.refused"]
            assert told == ["chain.refused"]
            assert not programme.mood.continuing.possible
            assert listener.sources.count(Source.FRESH) >= 3
            assert "server.refused" not in lines(programme)
            assert programme.mixer.snapshot().longest_silence_s < 0.3
