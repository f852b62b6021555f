"""What the listener asks for is done: every command, the timer, and what must not happen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import config
import controls
from conductor import Conductor
from libvlc import LibVlc
from mixer import Mixer
from opening import Opening
from pcm import SAMPLE_RATE_HZ
from simulated_time import FakeClock
from sound import Sound
from sounds import info, piece, tone
from stations import builtin_stations
from timers import SessionTimer
from values import Source


class Desk:
    """A sound that is pulled by hand, and the conductor in front of it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        settings = config.load(["--spool-dir", str(folder), *arguments], {}, folder / "no.env")
        self.clock = FakeClock()
        self.stations = builtin_stations()
        self.sound = Sound(Opening(settings, LibVlc(), self.clock), self.stations[0])
        self.sound.spool.open()
        assert isinstance(self.sound.programme, Mixer)
        self.mixer = self.sound.programme
        self.quits = 0
        self.rests: list[bool] = []
        self.conductor = Conductor(
            self.sound,
            self.stations,
            SessionTimer(self.clock.now(), settings.play_for, settings.pomodoro),
            quit_=self.quit,
            set_resting=self.rests.append,
        )

    def quit(self) -> None:
        """Count that the end was asked for."""
        self.quits += 1

    def listen(self, seconds: float) -> None:
        """Pull the programme."""
        for _ in range(round(seconds * 10)):
            self.mixer.read(SAMPLE_RATE_HZ // 10)

    def said(self) -> list[str]:
        """Return the keys of the notices."""
        return [notice.key for notice in self.sound.notices.recent()]

    def play_segment(self, name: str = "one") -> str:
        """Have a played segment of 20 s heard; return its key."""
        about = info(key=name)
        entry = self.sound.spool.add(tone(20), about, shelf="played")
        self.mixer.offer(piece(20, key=entry.key, about=about))
        self.listen(0.2)
        return entry.key


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with an empty spool."""
    made = Desk(tmp_path)
    yield made
    made.sound.spool.close()


def test_pause_toggles(desk: Desk) -> None:
    """Space pauses, space again resumes."""
    desk.conductor.obey(controls.Pause())
    desk.listen(0.2)
    assert desk.mixer.snapshot().paused
    desk.conductor.obey(controls.Pause())
    desk.listen(0.2)
    assert not desk.mixer.snapshot().paused


def test_volume_is_clamped_and_remembered(desk: Desk, tmp_path: Path) -> None:
    """The volume stays within 0..100 % and is there again at the next start."""
    desk.conductor.obey(controls.Volume(-30))
    desk.listen(0.2)
    assert desk.mixer.snapshot().volume == pytest.approx(0.7)
    desk.conductor.obey(controls.Volume(500))
    desk.listen(0.2)
    assert desk.mixer.snapshot().volume == 1.0
    desk.conductor.obey(controls.Volume(-45))
    desk.sound.spool.close()
    again = Desk(tmp_path)
    assert again.mixer.snapshot().volume == pytest.approx(0.55)


def test_a_volume_asked_for_wins_over_the_remembered_one(desk: Desk, tmp_path: Path) -> None:
    """VOLUME given by the user is obeyed."""
    desk.conductor.obey(controls.Volume(-45))
    desk.sound.spool.close()
    again = Desk(tmp_path, "--volume", "80")
    assert again.mixer.snapshot().volume == pytest.approx(0.8)


def test_mute_toggles(desk: Desk) -> None:
    """The key m mutes and unmutes; the programme goes on."""
    desk.conductor.obey(controls.Mute())
    desk.listen(0.3)
    assert desk.mixer.snapshot().muted
    assert desk.mixer.snapshot().paused_frames == 0
    desk.conductor.obey(controls.Mute())
    desk.listen(0.3)
    assert not desk.mixer.snapshot().muted


def test_like_keeps_and_takes_back(desk: Desk) -> None:
    """The key l moves the piece to kept/ with its metadata, l again takes it back."""
    key = desk.play_segment()
    desk.conductor.obey(controls.Like())
    assert desk.sound.spool.is_kept(key)
    entry = desk.sound.spool.get(key)
    assert entry is not None
    assert entry.path is not None
    assert entry.path.parent.name == "kept"
    desk.conductor.obey(controls.Like())
    assert not desk.sound.spool.is_kept(key)


def test_a_builtin_piece_can_be_liked(desk: Desk) -> None:
    """A piece that only exists in memory is written to kept/."""
    about = info(key="builtin-lofi-1", engine="builtin")
    desk.mixer.offer(piece(20, source=Source.BUILTIN, key="builtin-lofi-1", about=about))
    desk.listen(0.2)
    desk.conductor.obey(controls.Like())
    assert desk.sound.spool.snapshot().kept == 1
    assert desk.sound.spool.is_kept("builtin-lofi-1")


def test_the_bed_can_be_neither_liked_nor_disliked(desk: Desk) -> None:
    """Noise is no piece; the listener is told."""
    desk.listen(0.2)
    desk.conductor.obey(controls.Like())
    desk.conductor.obey(controls.Dislike())
    assert desk.said() == ["like.nothing"]


def test_dislike_deletes_and_skips(desk: Desk) -> None:
    """The key d: never again, and on to the next piece."""
    key = desk.play_segment("bad")
    desk.mixer.offer(piece(20, key="next"))
    desk.conductor.obey(controls.Dislike())
    desk.listen(1.1)
    assert desk.mixer.snapshot().playing.key == "next"
    assert desk.sound.spool.get(key) is None
    assert desk.said() == ["like.never_again"]


def test_station_and_prompt_change_the_mood(desk: Desk) -> None:
    """A station or a typed prompt becomes the mood; the same again changes nothing."""
    desk.conductor.obey(controls.Station("piano"))
    assert desk.sound.mood.station.key == "piano"
    desk.conductor.obey(controls.Prompt("soft rain on a tin roof"))
    assert desk.sound.mood.next_recipe(30).prompt == "soft rain on a tin roof"
    token = desk.sound.mood.token()
    desk.conductor.obey(controls.Prompt("soft rain on a tin roof"))
    assert desk.sound.mood.token() == token == 2


def test_record_toggles(desk: Desk) -> None:
    """The key r starts a recording in the spool's recordings folder, r again ends it."""
    desk.conductor.obey(controls.Record())
    assert desk.sound.recorder.path is not None
    assert desk.sound.recorder.path.parent.name == "recordings"
    desk.conductor.obey(controls.Record())
    assert desk.sound.recorder.path is None


def test_quit_asks_for_the_end(desk: Desk) -> None:
    """The key q ends the session."""
    desk.conductor.obey(controls.Quit())
    assert desk.quits == 1


def test_for_fades_out_and_quits(tmp_path: Path) -> None:
    """--for 1m: the music fades at the end and the program leaves by itself."""
    desk = Desk(tmp_path, "--for", "60s")
    desk.clock.time_s = 50.0
    desk.conductor.tick()
    desk.listen(13)
    assert not desk.mixer.read(1000).any()
    assert desk.quits == 0
    desk.clock.time_s = 60.0
    desk.conductor.tick()
    assert desk.quits == 1


def test_pomodoro_rests_in_the_breaks(tmp_path: Path) -> None:
    """--pomodoro 25/5: in a break the bed plays and generation rests; then both come back."""
    desk = Desk(tmp_path, "--pomodoro", "25/5")
    desk.play_segment()
    desk.conductor.tick()
    desk.clock.time_s = 25 * 60.0
    desk.conductor.tick()
    desk.listen(5)
    assert desk.rests == [False, True]
    assert desk.mixer.snapshot().playing.source is Source.BED
    desk.mixer.offer(piece(20, key="after"))
    desk.clock.time_s = 30 * 60.0
    desk.conductor.tick()
    desk.listen(5)
    assert desk.rests == [False, True, False]
    assert desk.mixer.snapshot().playing.key == "after"
