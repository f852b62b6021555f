"""Pieces that go on, through the whole program: a server whose model knows one composition, and worse ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from ace_client import AceClient
from contracts.test_ace_client import genuine
from doubles import composition
from doubles.fake_acestep import FakeAcestep
from doubles.fake_audio import wav_bytes
from doubles.scripted_server import ScriptedServer
from music.segment import SAMPLE_RATE_HZ, Samples, SegmentInfo, Source
from programme.programme import Started
from screen.controls import Act, Set
from server.replies import JobReport, JobState
from whole.harness import SETTINGS, STATIONS, Programme
from whole.scales import FULL, TINY, TinyJoints

RATE: Final = SAMPLE_RATE_HZ
CONTINUE: Final = replace(SETTINGS, continuing="on", station="lofi", library_no_repeat=0)
SPOOLED: Final = (Source.FRESH, Source.LIBRARY)
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
@pytest.mark.parametrize("how", ["newer", pytest.param("older", marks=pytest.mark.virtual)])
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


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("key", "chain.harmony"), ("silent", "chain.failed"),
        *(
            pytest.param(*case, marks=pytest.mark.virtual)
            for case in (("dying", "chain.level"), ("tempo", "chain.harmony"), ("quiet", "chain.level"),
                         ("unchanged", "chain.failed"), ("other", "chain.unlike"))
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_plays_as_ordinary_pieces(how: str, line: str, tmp_path: Path) -> None:
    """Counted, said calmly, the piece ended after two in a row; and never a silence."""
    with FakeAcestep(
        repainted=composition.repainted(how), audio=lambda n, s: wav_bytes(composition.excerpt(n, s))
    ) as server:
        client = AceClient(server.url)
        settings = replace(CONTINUE)
        with Programme(tmp_path, server, client=client, settings=settings, scale=FULL, threads=False) as programme:
            listener = Listener(programme)
            programme.play(100.0)
            assert listener.joined == 0
            assert {line, "chain.ended"} <= lines(programme)
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


def quick(folder: Path, *, continuing: str = "on", **levers: Any) -> Programme:
    """A programme at TINY scale, with a server that goes on with everything."""
    settings = replace(SETTINGS, continuing=continuing, station="lofi", library_no_repeat=0)
    server = ScriptedServer(lambda: 0.0, **{"speed": 0.05, **levers})
    scale = replace(TINY, joints=TinyJoints(misfit_of=0))
    return Programme(folder, server, settings=settings, scale=scale, threads=False)


def heard_after(programme: Programme, seconds: float) -> list[SegmentInfo]:
    """Play on, and return what of the server's is heard from now on."""
    since_s = programme.heard.now_s
    programme.play(seconds)
    spans = [span for span in programme.heard.spans if span.ends_s > since_s and span.source in SPOOLED]
    known = {entry.key: entry.info for entry in (*programme.spool.ready(), *programme.spool.library())}
    return [info for span in spans if (info := known.get(span.key))]


def test_the_key_keeps_what_is_heard_going_and_lets_it_end_again(tmp_path: Path) -> None:
    """Shown as long as it holds; the pieces after it end as ever, and the next start knows nothing of it."""
    with quick(tmp_path, continuing="off") as programme:
        programme.play(60.0, lambda: programme.heard.since(0.0, Source.FRESH) != [])
        programme.play(5.0)
        assert not programme.session.snapshot().continuing
        assert programme.conductor.obey(Act.CONTINUE).said.key == "chain.on"
        assert programme.session.snapshot().continuing
        kept = heard_after(programme, 150.0)
        assert len({info.piece_id for info in kept}) == 1
        assert len(kept) >= 3
        assert programme.conductor.obey(Act.CONTINUE).said.key == "chain.off"
        assert not programme.session.snapshot().continuing
        after = heard_after(programme, 400.0)
        ended = [info for info in after if info.piece_id != kept[0].piece_id]
        assert len(ended) >= 5
        assert not any(info.continues for info in ended)
        assert programme.heard.silent_frames == 0
        assert programme.lost() == []
    with quick(tmp_path, continuing="off") as programme:
        programme.play(20.0)
        assert not programme.session.snapshot().continuing


def test_who_says_on_or_off_gets_it_however_often(tmp_path: Path) -> None:
    """A script does not know how it is: only the key of that name changes it each time."""
    with quick(tmp_path, continuing="off") as programme:
        programme.play(60.0, lambda: programme.heard.since(0.0, Source.FRESH) != [])
        programme.play(5.0)
        for on in (False, True, True, False, False):
            assert programme.conductor.obey(Set(Act.CONTINUE, on=on)).said.key == ("chain.on" if on else "chain.off")
            assert programme.session.snapshot().continuing == on


def test_only_what_was_generated_can_be_kept_going(tmp_path: Path) -> None:
    """Not what the built-in engine plays; the key says so."""
    with quick(tmp_path, continuing="off", away=[(0.0, 1e9)]) as programme:
        programme.play(20.0)
        answer = programme.conductor.obey(Act.CONTINUE)
        assert (answer.said.key, answer.done) == ("chain.nothing", False)


@pytest.mark.parametrize("how", ["skip", "dislike", "mood"])
def test_who_turns_away_ends_the_piece_and_nothing_is_lost(how: str, tmp_path: Path) -> None:
    """What was made of it is library; another piece begins and goes on."""
    with quick(tmp_path) as programme:
        programme.play(300.0, lambda: bool(chained(programme)))
        programme.play(10.0)
        left = chained(programme)
        assert left is not None
        turns: dict[str, Callable[[], object]] = {
            "skip": programme.mixer.skip,
            "dislike": programme.dislike,
            "mood": lambda: programme.change_station(STATIONS[1]),
        }
        turns[how]()
        programme.play(20.0)
        after = heard_after(programme, 300.0)
        assert left.piece_id not in {info.piece_id for info in after[1:]}
        assert any(info.continues for info in after)
        assert not programme.mood.continuing.wanted(left.piece_id)
        assert programme.heard.silent_frames == 0
        assert programme.lost() == []


def chained(programme: Programme) -> SegmentInfo | None:
    """Return what is heard, if it continues something."""
    piece = programme.mixer.playing_piece()
    return piece.info if piece and piece.info and piece.info.continues else None


def test_a_continuation_that_is_late_leaves_the_piece_to_its_own_ending(tmp_path: Path) -> None:
    """Slower than it is played: what is joined to nothing is heard to its end."""
    with quick(tmp_path, speed=1.2) as programme:
        listener = Listener(programme)
        programme.play(1800.0)
        assert programme.spool.continued >= listener.joined + 3
        lengths_s = [(later - at) / programme.scale.rate_hz for (at, _), (later, _) in pairwise(listener.started)]
        pieces = zip(pairwise(listener.started), lengths_s, listener.sources, strict=False)
        ends = [
            (one, length_s)
            for ((_, one), (_, other)), length_s, source in pieces
            if source is Source.FRESH and not follows(one, other)
        ]
        assert len(ends) >= 10
        assert all(length_s >= one.audible_s - 2 * CONTINUE.crossfade_seconds for one, length_s in ends)
        assert programme.heard.silent_frames == 0
        assert programme.lost() == []
