"""What whoever plays a programme promises: the mixer, and VLC's list of files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import pytest

from base.notices import Notices
from base.workers import at_once
from doubles.fake_vlc import FakeVlc
from doubles.simulated_time import FakeClock
from doubles.sounds import QuietBed, piece
from music.segment import SAMPLE_RATE_HZ, Piece, Source
from output.vlc_library import LibVlc
from player import LONGEST_LIST, PlaylistPlayer
from programme.mixer import Mixer
from programme.programme import Dropped, Started

LENGTH_S = 20.0


class Stage:
    """A programme that is heard on a virtual clock."""

    def __init__(self, folder: Path, which: str) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.vlc = FakeVlc(self.clock)
        self.mixer = Mixer(QuietBed(), crossfade_s=1.0)
        self.list = PlaylistPlayer(cast("LibVlc", self.vlc), Notices(self.clock), self.clock, at_once)
        self.programme: Mixer | PlaylistPlayer = self.mixer if which == "mixer" else self.list
        self.list.begin()
        self.told = threading.Event()
        self.programme.on_change = self.told.set
        self.events: list[tuple[str, str]] = []

    def piece(self, key: str, source: Source = Source.FRESH, *, temporary: bool = False) -> Piece:
        """Return a piece of 20 s, with a file."""
        path = self.folder / f"{key}.wav"
        path.touch()
        made = piece(LENGTH_S, source=source, key=key)
        return Piece(made.samples, source, key, path=path, temporary=temporary, title=f"the song {key}")

    def offer(self, *keys: str, source: Source = Source.FRESH) -> None:
        """Put pieces in stock."""
        for key in keys:
            self.programme.offer(self.piece(key, source))

    def listen(self, seconds: float) -> None:
        """Let time pass, and take events when they are told."""
        for _ in range(round(seconds * 10)):
            if self.programme is self.mixer:
                self.mixer.read(SAMPLE_RATE_HZ // 10)
            self.clock.time_s += 0.1
            self.list.step()
            if self.told.is_set():
                self.told.clear()
                self.events += [(type(event).__name__, event.piece.key) for event in self.programme.take_events()]

    @property
    def playing(self) -> str:
        """The key of what is heard."""
        return self.programme.snapshot().playing.key

    def started(self) -> list[str]:
        """Return what began to be heard, in order."""
        return [key for name, key in self.events if name == Started.__name__]


@pytest.fixture(params=["mixer", "list"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """A programme with nothing in stock."""
    return Stage(tmp_path, request.param)


def test_pieces_are_heard_in_their_order_and_told(stage: Stage) -> None:
    """First in, first out, each told as it begins; what comes after a gap is heard too."""
    stage.listen(1)
    assert (stage.playing, stage.programme.playing_piece()) == ("", None)
    stage.offer("a", "b")
    stage.listen(45)
    assert (stage.started(), stage.playing) == (["a", "b"], "")
    stage.offer("c")
    stage.listen(2)
    assert (stage.started(), stage.playing) == (["a", "b", "c"], "c")
    assert stage.programme.snapshot().playing.title == "the song c"
    assert stage.programme.snapshot().frames[Source.FRESH] == pytest.approx(42 * SAMPLE_RATE_HZ, rel=0.06)


def test_the_best_source_goes_first(stage: Stage) -> None:
    """Fresh, library, built-in; and what comes while another plays is still chosen by that."""
    stage.offer("built-in", source=Source.BUILTIN)
    stage.offer("library", source=Source.LIBRARY)
    stage.listen(2)
    stage.offer("fresh")
    stage.listen(62)
    assert stage.started() == ["library", "fresh", "built-in"]


def test_the_library_may_be_preferred(stage: Stage) -> None:
    """Scarce fresh music is spread."""
    stage.programme.prefer_library(True)
    stage.offer("fresh")
    stage.offer("library", source=Source.LIBRARY)
    stage.listen(1)
    assert stage.playing == "library"


@pytest.mark.parametrize(("skips", "reached"), [(1, "b"), (2, "c"), (3, "d"), (9, "d")])
def test_each_skip_counts(stage: Stage, skips: int, reached: str) -> None:
    """Skips in one write go on by as many pieces, but no more than there are."""
    stage.offer("a", "b", "c", "d")
    stage.listen(2)
    for _ in range(skips):
        stage.programme.skip()
    stage.listen(3)
    assert stage.playing == reached
    stage.offer("e")
    stage.listen(3)
    assert stage.playing == reached


def test_a_skip_waits_for_the_piece_that_comes(stage: Stage) -> None:
    """With nothing in stock the piece plays on until something is."""
    stage.offer("a")
    stage.listen(2)
    stage.programme.skip()
    stage.listen(3)
    assert stage.playing == "a"
    stage.offer("b")
    stage.listen(1)
    assert stage.playing == "b"


def test_leaving_costs_one_piece(stage: Stage) -> None:
    """Disliked twice, and what is not heard any more: the next piece is not lost."""
    stage.offer("a", "b", "c")
    stage.listen(2)
    for key in ("a", "a", "z"):
        stage.programme.leave(key)
    stage.listen(3)
    assert stage.playing == "b"


@pytest.mark.parametrize("heard_s", [2.0, 18.0])
def test_a_change_of_mood_drops_what_waits_and_takes_what_comes(stage: Stage, heard_s: float) -> None:
    """What is unwanted leaves the stock unheard, also shortly before its turn; the next piece comes at once."""
    stage.offer("a", "b", "c")
    stage.listen(heard_s)
    stage.programme.withdraw(lambda piece: piece.key in "bc")
    stage.programme.change_soon()
    stage.listen(0.2)
    assert sorted(stage.events) == [(Dropped.__name__, "b"), (Dropped.__name__, "c"), (Started.__name__, "a")]
    stage.offer("new")
    stage.listen(1.2)
    assert stage.playing == "new"


def test_pause_and_break_add_up(stage: Stage) -> None:
    """The end of a break does not undo the listener's pause; while paused nothing is used up."""
    stage.offer("a")
    stage.listen(2)
    stage.programme.pause(True)
    stage.programme.rest(True)
    stage.listen(1)
    stage.programme.rest(False)
    stage.listen(60)
    now = stage.programme.snapshot()
    assert (now.paused, now.resting) == (True, False)
    assert now.paused_frames == pytest.approx(61 * SAMPLE_RATE_HZ, rel=0.02)
    stage.programme.pause(False)
    stage.listen(5)
    assert stage.started()[-1] == "a"


def test_volume_and_mute_are_told(stage: Stage) -> None:
    """Within 0 and 1, and apart."""
    for volume in (0.25, -1.0, 7.0, 0.5):
        stage.programme.set_volume(volume)
        stage.programme.mute(volume == 0.5)
        stage.listen(0.2)
        now = stage.programme.snapshot()
        assert (now.volume, now.muted) == (min(1.0, max(0.0, volume)), volume == 0.5)


# -- the list alone ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Stage:
    """VLC's list."""
    return Stage(tmp_path, "list")


def test_the_list_lowers_its_volume_to_the_end(files: Stage) -> None:
    """Step by step, over what is left."""
    files.offer("a")
    files.listen(1)
    files.programme.fade_out(4.0)
    heard = []
    for _ in range(5):
        heard.append(files.vlc.volume)
        files.listen(1)
        if files.clock.now() > 3:  # the end is nearer than it was
            files.programme.fade_out(1.0)
    assert heard == sorted(heard, reverse=True)
    assert (heard[0], heard[-1]) == (100, 0)


def test_each_file_is_as_loud_as_is_wished(files: Stage) -> None:
    """A stream of its own may begin at 100 %, which is no wish of the listener's."""
    files.vlc.forgets = True
    files.programme.set_volume(0.125)
    files.offer("a", "b")
    files.listen(25)
    assert files.started() == ["a", "b"]
    assert (files.vlc.volume, files.programme.snapshot().volume) == (50, 0.125)


def test_a_pause_that_vlc_obeys_late_does_not_outlast_its_end(files: Stage) -> None:
    """Two quick keys: VLC says that it plays, and stops after that."""
    files.offer("a")
    files.listen(1)
    obey, asked = files.vlc.set_pause, list[int]()
    vars(files.vlc)["set_pause"] = asked.append
    files.programme.pause(True)
    while not asked:
        files.list.step()
    files.programme.pause(False)
    files.list.step()
    obey(1)
    vars(files.vlc)["set_pause"] = obey
    files.listen(5)
    assert (files.vlc.state.name, files.vlc.volume) == ("Playing", 100)


def test_temporary_files_are_deleted_and_others_are_not(files: Stage) -> None:
    """Whether they were heard, dropped, or never came to be heard; a piece that is liked has a file of its own."""
    for key in "abcd":
        files.programme.offer(files.piece(key, Source.BUILTIN, temporary=True))
    files.offer("mine", source=Source.LIBRARY)
    files.listen(21)
    assert files.started() == ["mine", "a"]
    files.listen(21)
    assert not (files.folder / "a.wav").exists()
    files.programme.withdraw(lambda piece: piece.key == "d")
    files.listen(0.2)
    assert not (files.folder / "d.wav").exists()
    files.list.end()
    assert [path.name for path in files.folder.iterdir()] == ["mine.wav"]


def test_the_list_does_not_grow_for_ever_and_nothing_is_held(files: Stage) -> None:
    """It is made anew in time, without a piece being left out; media are let go by us."""
    keys = [f"{number:03}" for number in range(3 * LONGEST_LIST)]
    for key in keys:
        files.vlc.lengths[str(files.folder / f"{key}.wav")] = 3.0
        files.offer(key)
        files.listen(3)
        assert files.vlc.count() <= LONGEST_LIST
    files.listen(20)
    assert files.started() == keys
    files.listen(5)
    assert max(media.held for media in files.vlc.made[:-LONGEST_LIST]) == 0
    assert max(media.held for media in files.vlc.made) <= 1


def test_a_file_that_vlc_cannot_play_is_passed_over(files: Stage) -> None:
    """It is gone, or no music: the next one plays."""
    files.vlc.broken.add(str(files.folder / "b.wav"))
    files.offer("a", "b", "c")
    files.listen(22)
    assert files.playing == "c"
