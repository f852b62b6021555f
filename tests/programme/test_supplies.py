"""The library: what it chooses, and that choosing, noting and showing cost the same however much there is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.notices import Notices
from doubles.simulated_time import FakeClock
from doubles.sounds import LOFI, info, piece, tone
from music import audio_files
from music.audio_files import Packed
from music.continuing import continues
from music.segment import Continuation, SegmentInfo, Source
from music.stations import Mood, Station, custom
from programme.following import Following
from programme.supplies import Decoded, Filed, Fresh, Levels, Library
from spool.folders import KEPT, PLAYED, READY, Files, FolderLock, Listed
from spool.spool import READ_AT_ONCE, Entry, Spool

SOUND = tone(0.02)


class NoDisk(Files):
    """A disk on which everything succeeds, and which knows the names alone."""

    def __init__(self) -> None:
        self.names: set[Path] = set()

    def make_folder(self, path: Path) -> None: ...
    def listing(self, path: Path) -> list[Listed]:
        return []

    def write(self, path: Path, data: bytes | memoryview) -> None:
        self.names.add(path)

    def exists(self, path: Path) -> bool:
        return path in self.names

    def rename(self, old: Path, new: Path) -> None:
        self.names.remove(old)
        self.names.add(new)

    def sync_folder(self, path: Path) -> None: ...
    def remove(self, path: Path) -> None:
        self.names.discard(path)

    def stamp(self, path: Path, modified_ns: int) -> None: ...


class NoLock(FolderLock):
    """A lock that nobody else wants."""

    def take(self) -> None: ...


def shelves(max_mb: float = 1024) -> Spool:
    """Return an open spool that is in no folder."""
    clock, root = FakeClock(), Path("nowhere")
    spool = Spool(root, max_mb, Notices(clock), clock, NoDisk(), lambda: 0.0, NoLock(root))
    spool.open()
    return spool


def about(name: str, station: str = "lofi", key_scale: str = "", after: SegmentInfo | None = None) -> SegmentInfo:
    """Return the metadata of a segment; it goes on with the one `after` which it comes, if that is given."""
    made = info(0.02, key=name, station=station)
    begins_s = after.begins_s + 20.0 if after else 0.0
    chain = Continuation(after.segment_id, 1, 0, after.piece_id, begins_s, -23.0, -10.0, 0.0) if after else None
    return replace(made, seed=name, recipe=replace(made.recipe, key_scale=key_scale), continues=chain)


def chosen_of_all(
    entries: tuple[Entry, ...], mood: Mood, following: Following, heard: list[str], last: str, busy: set[str],
    nothing_else: bool, only_kept: bool,
) -> Entry | None:  # fmt: skip
    """Choose by looking at everything."""
    free = [entry for entry in entries if entry.key not in busy and (entry.shelf == KEPT or not only_kept)]
    matching = [entry for entry in free if mood.matches(entry.info)]
    if mood.asked_for and (matching or not nothing_else):
        free = matching
    if rest := next((entry for entry in free if continues(entry.info, last) and entry.key not in heard), None):
        return rest
    pieces = {entry.info.piece_id for entry in entries if entry.info and entry.key in heard}
    fit = [entry for entry in free if entry.info and entry.info.piece_id not in pieces]
    if not fit and nothing_else:
        if rest := next((entry for entry in free if continues(entry.info, last)), None):
            return rest
        fit = free
    ranks = [(not mood.matches(entry.info), entry.shelf != KEPT) for entry in fit]
    best = following.choose([entry for entry, rank in zip(fit, ranks, strict=True) if rank == min(ranks)])
    if best is None or best.info is None:
        return best
    parts = [entry for entry in fit if entry.info and entry.info.piece_id == best.info.piece_id]
    return min(parts, key=lambda entry: entry.info.begins_s if entry.info else 0.0)


rows = st.lists(
    st.tuples(
        st.sampled_from(["lofi", "lofi", "piano", "koto"]),
        st.sampled_from(["C major", "F# major", "A minor"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=16,
)


@given(rows, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 6))
def test_the_choice_is_that_among_all(
    pieces: list[tuple[str, str, bool, bool]], asked: bool, nothing_else: bool, only_kept: bool, no_repeat: int
) -> None:
    """Few are looked at, yet what plays is what looking at everything would give, piece after piece."""
    spool, mood = shelves(), Mood(LOFI, asked_for=asked)
    before: SegmentInfo | None = None
    for index, (station, key_scale, liked, joined) in enumerate(pieces):
        goes_on = before if joined and before and before.recipe.station == station else None
        before = about(f"s{index}", station, key_scale, goes_on)
        spool.add(SOUND, before, shelf=KEPT if liked else PLAYED)
    library = Library(spool, mood, no_repeat, nothing_else=nothing_else, only_kept=only_kept)
    reference, heard, last = Following(), list[str](), ""
    busy: set[str] = set()
    for _ in range(2 * len(pieces) + 1):
        expected = chosen_of_all(spool.library(), mood, reference, heard, last, busy, nothing_else, only_kept)
        found = library.next(busy)
        assert found is expected
        if found is None:
            break
        heard = [*heard, found.key][-no_repeat:] if no_repeat else []
        last = found.info.segment_id if found.info else ""
        reference.after(found.info)
        library.heard(piece(0.1, source=Source.LIBRARY, key=found.key, about=found.info))
        busy = {found.key}


@pytest.mark.parametrize("no_repeat", [0, 1, 3])
def test_a_built_in_piece_that_is_liked_does_not_follow_itself(no_repeat: int) -> None:
    """It is library at once, for which the built-in engine gives way; that may not be to the piece that is heard."""
    spool = shelves()
    library = Library(spool, Mood(LOFI), no_repeat)
    for index in range(max(1, no_repeat)):
        library.heard(piece(0.1, source=Source.BUILTIN, key=f"made-{index}", about=about(f"made-{index}")))
        spool.keep("made-0", SOUND, about("made-0"))
        assert library.next(set()) is None
    library.heard(piece(0.1, source=Source.BUILTIN, key="another", about=about("another")))
    assert getattr(library.next(set()), "key", "") == "made-0"


@pytest.mark.parametrize("station", [LOFI, custom("soft harp")], ids=["station", "prompt"])
def test_a_mood_knows_its_own_by_station_or_prompt(station: Station) -> None:
    """What was made for it, nothing else, and no file of the listener's own."""
    mood = Mood(station)
    made = replace(about("a"), recipe=mood.next_recipe(30.0))
    other = replace(about("b"), recipe=Mood(custom("loud harp")).next_recipe(30.0))
    assert [mood.matches(one) for one in (made, other, None)] == [True, False, False]


def operations(work: Callable[[], object]) -> int:
    """Count the bytecodes that `work` takes in this thread."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def a_segment_of(spool: Spool, mood: Mood) -> None:
    """Do all that a segment and a picture bring about in the spool."""
    library, fresh = Library(spool, mood, 8), Fresh(spool, mood)
    for name in ("one", "two"):
        added = spool.add(SOUND, about(name))
        assert fresh.next(set()) is added
        entry = library.next({added.key})
        assert entry
        library.heard(piece(0.1, source=Source.LIBRARY, key=entry.key, about=entry.info))
        spool.keep(entry.key)
        spool.unkeep(entry.key)
        spool.mark_played(added.key)
        spool.discard(added.key, "disliked")
    assert spool.find("s7") and not spool.find("s-7")
    assert spool.snapshot().played and spool.unsaved == 0


def test_no_cost_grows_with_the_library() -> None:
    """Choosing, hearing, liking, disliking, trimming and looking take as many steps with 20 times as much."""
    costs = []
    for count in (40, 800):
        spool = shelves(max_mb=count * len(audio_files.encode(SOUND, about("s10"))) / 2**20)
        for index in range(count):
            station = "lofi" if index % 2 else "piano"
            spool.add(SOUND, about(f"s{index}", station), shelf=KEPT if index % 3 else PLAYED)
        costs.append(operations(lambda spool=spool: a_segment_of(spool, Mood(LOFI))))  # type: ignore[misc]
    assert costs[1] < 1.1 * costs[0], costs


def test_a_large_library_is_read_behind_the_music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue, and some of the mood, are there before most files have been looked into; the rest comes by and by."""
    clock, seen = FakeClock(), []
    spool = Spool(tmp_path, 1024, Notices(clock), clock)
    spool.open()
    stations = ["piano"] * (3 * READ_AT_ONCE) + ["lofi"] * 5
    for index, station in enumerate(stations):
        spool.add(SOUND, about(f"s{index}", station), shelf=PLAYED)
    waiting = [spool.add(SOUND, about(f"r{index}")) for index in range(3)]
    spool.close()
    looked_into: list[Path] = []
    read_info = audio_files.read_info

    def counted(path: Path) -> SegmentInfo | None:
        looked_into.append(path)
        return read_info(path)

    monkeypatch.setattr(audio_files, "read_info", counted)
    stop = threading.Event()

    class Watch(FakeClock):
        """Notes what is known at each wait, and ends when all is."""

        def wait(self, event: threading.Event, timeout_s: float) -> bool:
            seen.append((len(looked_into), len(again.ready()), len(again.library(mood="lofi")), again.is_read))
            if again.is_read:
                stop.set()
            return stop.is_set()

    watch = Watch()
    again = Spool(tmp_path, 1024, Notices(watch), watch, station="lofi")
    again.run(stop)
    assert seen[0] == (len(waiting) + READ_AT_ONCE, len(waiting), 5, False)
    assert [entry.key for entry in again.ready()] == [entry.key for entry in waiting]
    assert seen[-1] == (len(stations) + len(waiting), len(waiting), 5, True)
    assert len(seen) == len(stations) // READ_AT_ONCE + 1
    assert len(again.library()) == len(stations)


@pytest.mark.parametrize("which", ["mixer", "list"])
def test_a_listeners_own_file_keeps_its_title(tmp_path: Path, which: str) -> None:
    """Whoever plays it; what is ours has a prompt."""
    spool = Spool(tmp_path, 1024, Notices(FakeClock()), FakeClock())
    preparer = Decoded(Levels(-23.0, -45.0)) if which == "mixer" else Filed(spool)
    path = tmp_path / "my song.wav"
    for about, title in ((None, "my song"), (info(2.0), "")):
        path.write_bytes(audio_files.encode(tone(2.0), about))
        offer = Entry(path.name, KEPT, path, about)
        assert preparer.prepare(offer, Source.LIBRARY, str).title == title


def test_a_piece_made_of_what_is_still_to_be_written_leaves_that_as_it_is() -> None:
    """It is cut, eased and softened at its edges; the file that the disk gets later is the segment."""
    samples, about = tone(2.0), info(2.0)
    waiting = Packed.of(samples)
    before = waiting[:]
    piece = Decoded(Levels(-23.0, -45.0)).prepare(Entry("k", READY, None, about, waiting), Source.FRESH, str)
    assert not piece.samples[:1].any()
    np.testing.assert_array_equal(waiting[:], before)
