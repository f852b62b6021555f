"""What the listener asks for is done: every command, the timer, and what must not happen."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

import config
from builtin.bed import Bed
from doubles.simulated_time import FakeClock
from doubles.sounds import info, piece, tone
from music.analysis import analyse, to_piece
from music.decoding import read
from music.segment import SAMPLE_RATE_HZ, Continuation, Growth, Source
from music.stations import Mood, builtin_stations
from output.stream_player import StreamPlayer
from output.vlc_library import LibVlc
from programme.mixer import Mixer
from screen import controls
from screen.controls import Act
from session.ambience import NAMES
from session.conductor import Conductor
from session.control import PLAIN, Answering
from session.opening import Opening, Surroundings
from session.sound import Sound
from session.timers import SessionTimer
from spool.state_files import load_remembered, read_taste
from spool.trimming import MOST_DISLIKED


class Desk:
    """A sound that is pulled by hand, and the conductor in front of it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        settings = config.load(["--spool-dir", str(folder), *arguments], {}, folder / "no.env")
        self.clock = FakeClock()
        self.stations = builtin_stations()
        self.sound = Sound(Opening(settings, self.stations[0], Surroundings(LibVlc(), self.clock)))
        self.sound.spool.open()
        self.programme = self.sound.programme
        self.mixer = self.programme if isinstance(self.programme, Mixer) else Mixer(Bed())
        self.rests: list[bool] = []
        self.conductor = Conductor(
            self.sound,
            self.stations,
            SessionTimer(self.clock.now(), settings.play_for, settings.pomodoro),
            set_resting=self.rests.append,
        )

    def listen(self, seconds: float) -> None:
        """Pull the programme, after the player has done what it is told."""
        if self.programme is self.mixer:
            self.sound.player._serve(0.0)
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

    def playing(self) -> str:
        """Return what is heard, as its key."""
        return self.mixer.snapshot().playing.key

    def wait_in_stock(self, *keys: str) -> None:
        """Have pieces ready to be skipped to."""
        for key in keys:
            self.mixer.offer(piece(20, key=key))
        self.listen(0.1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with an empty spool."""
    made = Desk(tmp_path)
    yield made
    made.sound.spool.close()


COMMANDS = st.sampled_from(
    [controls.Act.PAUSE, controls.Act.MUTE, controls.Volume(5), controls.Volume(-5), controls.Volume(30), None]
)


@pytest.mark.parametrize("player", ["stream", "playlist"])
def test_commands_act_on_what_was_wished(player: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """However fast they come, and whether the sound has followed (None) or not: each counts."""
    desk = Desk(tmp_path_factory.mktemp("spool"), "--player", player)
    paused, muted, percent = False, False, 100

    @given(st.lists(COMMANDS, max_size=30))
    def obeys(commands: list[controls.Command | None]) -> None:
        nonlocal paused, muted, percent
        for command in commands:
            if command is None:
                desk.listen(0.1)
                continue
            desk.conductor.obey(command)
            paused ^= command is controls.Act.PAUSE
            muted ^= command is controls.Act.MUTE
            if isinstance(command, controls.Volume):
                percent = min(100, max(0, percent + command.step))
            player = desk.sound.player
            assert (player.volume_percent, player.is_paused, player.muted) == (percent, paused, muted)
        desk.listen(0.1)
        heard = desk.programme.snapshot()
        assert (heard.paused, heard.muted, round(100 * heard.volume)) == (paused, muted, percent)

    obeys()
    desk.sound.spool.close()


def test_a_break_does_not_undo_a_pause(tmp_path: Path) -> None:
    """In a list of files too: who has paused stays paused when the break ends."""
    desk = Desk(tmp_path, "--player", "playlist", "--pomodoro", "25/5")
    desk.conductor.obey(controls.Act.PAUSE)
    for minute in (0, 25, 30):
        desk.clock.time_s = minute * 60.0
        desk.conductor.tick()
        assert desk.programme.snapshot().resting == (minute == 25)
    assert desk.programme.snapshot().paused
    assert desk.said() == ["timer.break", "timer.work"]


@pytest.mark.parametrize(("skips", "reached"), [(1, "b"), (2, "c"), (3, "d"), (9, "d")])
def test_each_skip_counts(desk: Desk, skips: int, reached: str) -> None:
    """Keys in one write skip as many pieces, but no more than there are."""
    desk.wait_in_stock("a", "b", "c", "d")
    desk.listen(5)
    for _ in range(skips):
        desk.conductor.obey(controls.Act.SKIP)
    desk.listen(3)
    assert desk.playing() == reached
    desk.wait_in_stock("e")
    desk.listen(3)
    assert desk.playing() == reached


@pytest.mark.parametrize(
    "commands", [[controls.Act.DISLIKE], [controls.Act.DISLIKE] * 2, [controls.Act.SKIP, controls.Act.DISLIKE]]
)
@pytest.mark.parametrize("heard_s", [0, 5])
def test_a_dislike_costs_one_piece(desk: Desk, commands: list[controls.Command], heard_s: float) -> None:
    """Disliked twice, or skipped and disliked, in one write: the next piece, which nobody has heard, is not lost."""
    key = desk.play_segment("bad")
    desk.wait_in_stock("b", "c")
    desk.listen(heard_s)
    for command in commands:
        desk.conductor.obey(command)
    desk.listen(3)
    assert desk.playing() == "b"
    assert desk.sound.spool.get(key) is None
    assert desk.said() == ["like.never_again"]


def test_a_piece_that_is_fading_in_can_be_disliked(desk: Desk) -> None:
    """What is coming in is what is heard: it is left as soon as it is in."""
    desk.wait_in_stock("a", "b", "c")
    desk.listen(17)
    assert (desk.mixer.snapshot().fading, desk.playing()) == (True, "b")
    desk.conductor.obey(controls.Act.DISLIKE)
    desk.listen(1.2)
    assert (desk.mixer.snapshot().fading, desk.playing()) == (False, "c")


def test_like_twice_and_record_twice_in_one_write(desk: Desk) -> None:
    """What toggles is as before after two of them."""
    key = desk.play_segment()
    for command in (controls.Act.LIKE, controls.Act.LIKE, controls.Act.RECORD, controls.Act.RECORD):
        desk.conductor.obey(command)
    assert not desk.sound.spool.is_kept(key)
    assert desk.sound.recorder.path is None


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


def test_a_volume_that_was_changed_elsewhere_is_shown_and_remembered(desk: Desk, tmp_path: Path) -> None:
    """In the system's sound settings; a key begins there, even before it is shown."""
    desk.sound.player.volume = 0.4
    desk.conductor.tick()
    assert desk.sound.player.volume_percent == load_remembered(tmp_path)["volume"] == 40
    desk.sound.player.volume = 0.3
    desk.conductor.obey(controls.Volume(-5))
    assert (desk.sound.player.volume_percent, desk.sound.player.volume) == (25, 0.25)
    desk.sound.spool.close()
    assert load_remembered(tmp_path)["volume"] == 25


def test_muted_is_not_paused(desk: Desk) -> None:
    """The programme goes on meanwhile."""
    desk.conductor.obey(controls.Act.MUTE)
    desk.listen(0.3)
    assert desk.mixer.snapshot().muted
    assert desk.mixer.snapshot().paused_frames == 0


def test_a_recording_is_as_loud_as_it_is_heard(desk: Desk, tmp_path: Path) -> None:
    """Also where the programme leaves volume and mute to the sound server."""
    desk.sound.begin_playing()
    player, recorder = desk.sound.player, desk.sound.recorder
    assert isinstance(player, StreamPlayer)
    player._gain = 1.0
    recorder.start(tmp_path / "recording.wav")
    levels: list[float] = []
    vars(recorder)["take"] = lambda block: levels.append(float(np.std(block[len(block) // 2 :])))
    heard = []
    for command in (controls.VolumeTo(100), controls.VolumeTo(50), Act.MUTE):
        desk.conductor.obey(command)
        desk.listen(0)
        heard.append(float(np.std(np.frombuffer(player.feed(SAMPLE_RATE_HZ), np.float32)[SAMPLE_RATE_HZ:])))
    assert levels == pytest.approx([heard[0], heard[1] / 2, 0.0], rel=0.05)
    assert min(heard) > 0.5 * max(heard) > 0


def test_like_keeps_and_takes_back(desk: Desk) -> None:
    """The key l moves the piece to kept/ with its metadata, l again takes it back."""
    key = desk.play_segment()
    desk.conductor.obey(controls.Act.LIKE)
    assert desk.sound.spool.is_kept(key)
    entry = desk.sound.spool.get(key)
    assert entry is not None
    assert entry.path is not None
    assert entry.path.parent.name == "kept"
    desk.conductor.obey(controls.Act.LIKE)
    assert not desk.sound.spool.is_kept(key)


def test_a_builtin_piece_can_be_liked(desk: Desk) -> None:
    """A piece that only exists in memory is written to kept/."""
    about = info(key="builtin-lofi-1", engine="builtin")
    desk.mixer.offer(piece(20, source=Source.BUILTIN, key="builtin-lofi-1", about=about))
    desk.listen(0.2)
    desk.conductor.obey(controls.Act.LIKE)
    assert desk.sound.spool.snapshot().kept == 1
    assert desk.sound.spool.is_kept("builtin-lofi-1")


def test_the_bed_can_be_neither_liked_nor_disliked(desk: Desk) -> None:
    """Noise is no piece; the listener is told."""
    desk.listen(0.2)
    desk.conductor.obey(controls.Act.LIKE)
    desk.conductor.obey(controls.Act.DISLIKE)
    assert desk.said() == ["like.nothing"]


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
    desk.conductor.obey(controls.Act.RECORD)
    assert desk.sound.recorder.path is not None
    assert desk.sound.recorder.path.parent.name == "recordings"
    desk.conductor.obey(controls.Act.RECORD)
    assert desk.sound.recorder.path is None


def test_quit_asks_for_the_end(desk: Desk) -> None:
    """The key q ends the session."""
    desk.conductor.obey(controls.Act.QUIT)
    assert desk.sound.stop_event.is_set()


def test_for_fades_out_and_quits(tmp_path: Path) -> None:
    """--for 1m: the music fades at the end and the program leaves by itself."""
    desk = Desk(tmp_path, "--for", "60s")
    desk.clock.time_s = 50.0
    desk.conductor.tick()
    desk.listen(13)
    assert not desk.mixer.read(1000).any()
    assert not desk.sound.stop_event.is_set()
    desk.clock.time_s = 60.0
    desk.conductor.tick()
    assert desk.sound.stop_event.is_set()


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
    assert desk.conductor.obey(controls.PlayFor(None)).said.key == "timer.off"


def test_a_timer_that_is_set_is_followed_at_once(desk: Desk) -> None:
    """A break begins and ends with the command, and an end that has come is no later."""
    for command, rests in ((controls.Act.BREAK, [True]), (controls.Act.SKIP_BREAK, [True, False])):
        desk.conductor.obey(command)
        assert desk.rests[-len(rests) :] == rests
    assert desk.said()[-2:] == ["timer.break", "timer.work"]
    desk.conductor.obey(controls.PlayFor(0.0))
    assert desk.sound.stop_event.is_set()


@pytest.mark.parametrize("seconds", [1, 10, 60])
def test_the_closing_fade_is_as_long_as_what_is_left(tmp_path: Path, seconds: int) -> None:
    """--for 10s: silence comes with the end, not after it, and the music is not cut before."""
    desk = Desk(tmp_path, "--for", f"{seconds}s")
    desk.conductor.tick()
    fade_s = min(12.0, seconds / 2)
    desk.clock.time_s = seconds - fade_s
    desk.conductor.tick()
    blocks = [abs(desk.mixer.read(SAMPLE_RATE_HZ // 10)).max() for _ in range(round(fade_s * 10) + 1)]
    assert blocks[-1] == 0.0
    assert min(blocks[:-1]) > 0.0
    desk.sound.spool.close()


@pytest.mark.parametrize("seconds", [1, 2, 3.9])
def test_an_end_that_is_near_is_told_in_seconds_and_fades_although_nobody_looks_yet(desk: Desk, seconds: float) -> None:
    """A timer of a few seconds, set while it plays: who follows it may look as late as its end."""
    desk.play_segment()
    desk.conductor.tick()
    told = desk.conductor.obey(controls.PlayFor(seconds)).said.words("en")
    blocks = [abs(desk.mixer.read(SAMPLE_RATE_HZ // 10)).max() for _ in range(round(seconds * 10) + 1)]
    assert blocks[-1] == 0.0
    assert 0.0 < blocks[-2] < 0.2 * blocks[0]
    assert told == f"the music ends in {math.ceil(seconds)} s"


def play_in_turn(desk: Desk, *names: str) -> list[str]:
    """Have segments of 20 s heard one after the other, the loader following; return their keys."""
    played = []
    for name in names:
        about = info(key=name)
        entry = desk.sound.spool.add(tone(20), about, shelf="played")
        desk.mixer.offer(piece(20, source=Source.FRESH, key=entry.key, about=about))
        desk.conductor.obey(controls.Act.SKIP)
        settle(desk)
        assert desk.playing() == entry.key
        played.append(entry.key)
    return played


def settle(desk: Desk) -> None:
    """Let a command be heard and noted."""
    desk.listen(2)
    desk.sound.loader.step()


def test_back_goes_back_and_what_was_left_comes_after(desk: Desk) -> None:
    """Two steps back, one at a time or in one write, then forward over what was left, in its order."""
    first, second, third = play_in_turn(desk, "a", "b", "c")
    for wait in (True, False):
        desk.conductor.obey(controls.Act.BACK)
        if wait:
            settle(desk)
            assert desk.playing() == second
        desk.conductor.obey(controls.Act.BACK)
        settle(desk)
        assert desk.playing() == first
        assert desk.conductor.obey(controls.Act.BACK).said.key == "back.nothing"
        for expected in (second, third):
            desk.conductor.obey(controls.Act.SKIP)
            settle(desk)
            assert desk.playing() == expected


def test_back_from_noise_is_the_piece_that_ended(desk: Desk) -> None:
    """Nothing else was there: the last piece is the one before."""
    (key,) = play_in_turn(desk, "a")
    desk.listen(22)
    assert desk.playing() == ""
    desk.conductor.obey(controls.Act.BACK)
    settle(desk)
    assert desk.playing() == key


def test_a_replayed_builtin_piece_gives_way_to_nothing_better(desk: Desk) -> None:
    """Who asked for it hears it to its end, although fresh music waits."""
    about = info(key="builtin-lofi-1", engine="builtin")
    desk.mixer.play(piece(30, source=Source.BUILTIN, key="builtin-lofi-1", about=about))
    desk.listen(2)
    desk.mixer.offer(piece(20, source=Source.FRESH, key="fresh"))
    desk.listen(20)
    assert desk.playing() == "builtin-lofi-1"


def test_the_history_plays_from_there(desk: Desk) -> None:
    """What was heard can be chosen; a disliked piece cannot until that is taken back."""
    first, _, third = play_in_turn(desk, "a", "b", "c")
    assert desk.conductor.obey(controls.Replay(first)).done
    settle(desk)
    assert desk.playing() == first
    desk.conductor.obey(controls.Act.DISLIKE)
    settle(desk)
    assert desk.playing() == third
    assert not desk.conductor.obey(controls.Replay(first)).done
    assert not desk.conductor.obey(controls.Replay("never heard")).done
    desk.conductor.obey(controls.Act.UNDO)
    assert desk.conductor.obey(controls.Replay(first)).done


def test_undo_takes_back_a_like_a_dislike_and_a_mood(desk: Desk) -> None:
    """The latest first, each once, and then there is nothing more."""
    (key,) = play_in_turn(desk, "a")
    before = desk.sound.mood.station
    for command in (controls.Act.LIKE, controls.Act.DISLIKE, controls.Station("piano"), controls.Prompt("rain")):
        assert desk.conductor.obey(command).done
    assert desk.sound.spool.get(key) is None
    desk.conductor.obey(controls.Act.UNDO)
    assert desk.sound.mood.station.key == "piano"
    desk.conductor.obey(controls.Act.UNDO)
    assert desk.sound.mood.station == before
    desk.conductor.obey(controls.Act.UNDO)
    assert desk.sound.spool.is_kept(key)
    desk.conductor.obey(controls.Act.UNDO)
    assert not desk.sound.spool.is_kept(key)
    assert desk.sound.spool.get(key) is not None
    assert not desk.conductor.obey(controls.Act.UNDO).done


def hear_one(desk: Desk, prompt: str, key: str) -> None:
    """Have a piece of this prompt heard."""
    about = info(key=key, prompt=prompt)
    entry = desk.sound.spool.add(tone(20), about, shelf="played")
    desk.mixer.play(piece(20, source=Source.FRESH, key=entry.key, about=about))
    desk.listen(2)


def asked_for(desk: Desk, kind: str, word: str) -> int:
    """Return how many of the next jobs will ask for something."""
    mood = Mood(desk.sound.mood.station, taste=desk.sound.mood.taste)
    prompts = [mood.next_recipe(30).prompt for _ in range(200)]
    return sum(mood.station.choices(prompt).get(kind) == word for prompt in prompts)


@pytest.mark.parametrize("way", ["keys", "ctl"])
def test_likes_and_dislikes_steer_what_is_asked_for(desk: Desk, tmp_path: Path, way: str) -> None:
    """What a liked piece was made of is asked for more often, of a disliked one less; undone, as before."""
    answering = Answering(desk.conductor.obey, lambda: pytest.fail("asked for its state"), desk.stations, "en")

    def do(command: str) -> None:
        if way == "ctl":
            assert answering(command)["code"] == 0
        else:
            desk.conductor.obey(PLAIN[command])

    lofi = desk.stations[0]
    made_of = lofi.choices(lofi.recipe(5, 30).prompt)
    before = [asked_for(desk, *choice) for choice in made_of.items()]
    for number in range(3):
        hear_one(desk, lofi.recipe(5, 30).prompt, f"liked{number}")
        do("like")
    liked = [asked_for(desk, *choice) for choice in made_of.items()]
    assert all(now > then for now, then in zip(liked, before, strict=True))
    assert [opinion.liked for opinion in read_taste(tmp_path)] == [True] * 3
    for number in range(6):
        hear_one(desk, lofi.recipe(5, 30).prompt, f"disliked{number}")
        do("dislike")
    disliked = [asked_for(desk, *choice) for choice in made_of.items()]
    assert all(now < then for now, then in zip(disliked, before, strict=True))
    for _ in range(6):
        do("undo")
    assert [asked_for(desk, *choice) for choice in made_of.items()] == liked
    for _ in range(3):
        do("undo")
    assert [asked_for(desk, *choice) for choice in made_of.items()] == before
    assert read_taste(tmp_path) == []


def test_a_piece_has_one_opinion_the_last(desk: Desk) -> None:
    """Liked, and liked no more, and that undone; liked and then disliked; disliked twice."""
    lofi, taste = desk.stations[0], desk.sound.mood.taste
    hear_one(desk, lofi.recipe(5, 30).prompt, "one")
    said = []
    for act in (Act.LIKE, Act.LIKE, Act.UNDO, Act.DISLIKE, Act.DISLIKE, Act.UNDO, Act.UNDO):
        desk.conductor.obey(act)
        said.append([opinion.liked for opinion in taste.opinions])
    assert said == [[True], [], [True], [False], [False], [True], []]


def test_what_was_made_of_other_words_steers_nothing(desk: Desk) -> None:
    """A prompt of one's own, a station that is gone, a listener's own file, words that the station had once."""
    lofi = desk.stations[0]
    for number, about in enumerate(
        (info(key="own", station="custom"), info(key="gone", station="gone"), info(key="once", prompt="x, y"), None)
    ):
        desk.mixer.play(piece(20, key=f"k{number}", about=about))
        desk.listen(2)
        for act in (Act.LIKE, Act.DISLIKE, Act.UNDO, Act.UNDO):
            assert desk.conductor.obey(act).done
        desk.conductor.obey(Act.LIKE)
    assert lofi.steered_by(desk.sound.mood.taste) == lofi


ANY_COMMAND = st.sampled_from(
    [
        *controls.Act,
        controls.Set(controls.Act.PAUSE, False), controls.Set(controls.Act.MUTE, True), controls.VolumeTo(30),
        controls.Volume(5), controls.Station("piano"), controls.Station("lofi"), controls.Prompt("rain"),
        controls.PlayFor(600.0), controls.PlayFor(None), controls.Extend(-60.0), controls.Replay("nothing"), None,
    ]
)  # fmt: skip


def test_no_order_of_commands_loses_anything(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is asked for, None being time: every dislike can be taken back, and no piece is lost."""
    desk = Desk(tmp_path_factory.mktemp("spool"))
    keys = set(play_in_turn(desk, "a", "b", "c", "d"))

    @settings(max_examples=30)
    @given(st.lists(ANY_COMMAND, max_size=MOST_DISLIKED))
    def obeys(commands: list[controls.Command | None]) -> None:
        for command in commands:
            if command is None:
                settle(desk)
                desk.conductor.tick()
            else:
                assert desk.conductor.obey(command).said.key
        settle(desk)
        assert desk.programme.snapshot().paused == desk.sound.player.is_paused
        while desk.conductor.obey(controls.Act.UNDO).done:
            pass
        assert {entry.key for entry in desk.sound.spool.library()} == keys

    obeys()
    desk.sound.spool.close()


def test_an_end_that_was_put_off_brings_the_sound_back(desk: Desk) -> None:
    """In the closing fade: more time, and the music is as loud as before."""
    play_in_turn(desk, "a")
    desk.conductor.obey(controls.PlayFor(10.0))
    desk.conductor.tick()
    desk.clock.time_s = 6.0
    desk.conductor.tick()
    desk.listen(4.5)
    assert not desk.mixer.read(1000).any()
    assert desk.conductor.obey(controls.Extend(600.0)).said.fields == (("minutes", 10),)
    for _ in range(2):
        desk.conductor.obey(Act.PAUSE)  # and back, which is no part of that fade any more
    desk.listen(1)
    assert desk.mixer.read(1000).any()


def test_what_cannot_go_on_may_be_told_not_to(desk: Desk) -> None:
    """As unmuting what is not muted; only who wants it is told that it cannot be."""
    desk.play_segment()
    desk.sound.mood.continuing.possible = False
    answers = [desk.conductor.obey(one) for one in (Act.CONTINUE, controls.Set(Act.CONTINUE, on=True))]
    answers.append(desk.conductor.obey(controls.Set(Act.CONTINUE, on=False)))
    told = [(answer.said.key, answer.done) for answer in answers]
    assert told == [("chain.impossible", False), ("chain.impossible", False), ("chain.off", True)]


def test_after_a_pause_in_the_closing_fade_the_end_is_silent_all_the_same(desk: Desk) -> None:
    """The timer goes on in a pause; the fade does not, where nothing is pulled: its rest would be cut off."""
    play_in_turn(desk, "a")
    desk.sound.player._gain = 1.0
    desk.conductor.obey(controls.PlayFor(10.0))
    desk.clock.time_s = 6.0
    desk.conductor.tick()
    desk.listen(1)
    for desk.clock.time_s in (7.0, 9.0):
        desk.conductor.obey(Act.PAUSE)
    desk.listen(1)
    assert not desk.mixer.read(1000).any()


def test_breaks_are_begun_ended_and_announced_once(desk: Desk) -> None:
    """A break now, and back before its time."""
    told: list[str] = []
    desk.conductor._announce = told.append
    for command in (controls.Act.BREAK, controls.Act.BREAK, controls.Act.SKIP_BREAK, controls.Act.SKIP_BREAK):
        desk.conductor.obey(command)
        desk.conductor.tick()
    assert told == ["timer.break", "timer.work"]
    assert desk.rests == [True, False]


def grow_one(desk: Desk) -> Growth:
    """Have a piece heard of which 5 s are made so far."""
    growth = Growth(5 * SAMPLE_RATE_HZ)
    made = piece(20, source=Source.BUILTIN, key="growing", about=info(key="growing", engine="builtin"))
    desk.mixer.offer(replace(made, growth=growth))
    desk.listen(0.2)
    return growth


def kept_frames(desk: Desk, folder: Path) -> list[int]:
    """Return how long the files of liked pieces are."""
    desk.sound.spool.close()
    return [sf.info(str(path)).frames for path in (folder / "kept").iterdir()]


def test_a_growing_piece_is_liked_at_once_and_kept_when_it_is_made(desk: Desk, tmp_path: Path) -> None:
    """However long that takes; told at once, and nobody waits for it who has other things to write."""
    growth = grow_one(desk)
    before = desk.conductor.to_be_kept
    assert desk.conductor.obey(Act.LIKE).said.key == "like.kept"
    assert desk.said() == ["like.kept"]
    assert desk.conductor.is_liked("growing")
    assert (before, desk.conductor.to_be_kept) == ((), ("growing",))
    for _ in range(60):
        desk.clock.time_s += 1.0
        desk.conductor.tick()
    assert not desk.sound.spool.is_kept("growing")
    desk.conductor.obey(controls.VolumeTo(35))
    assert load_remembered(tmp_path)["volume"] == 35
    growth.frames = 20 * SAMPLE_RATE_HZ
    growth.ended.set()
    desk.conductor.tick()
    assert desk.conductor.is_liked("growing")
    assert kept_frames(desk, tmp_path) == [20 * SAMPLE_RATE_HZ]
    assert desk.said() == ["like.kept"]


def test_what_was_left_off_of_a_piece_is_asked_for_when_it_is_liked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener had turned to something else, which is not there yet; or has taken a dislike back."""
    asked: list[str] = []
    monkeypatch.setattr(desk.sound.builtin, "complete", lambda piece: asked.append(piece.key))
    grow_one(desk)
    for act in (Act.LIKE, Act.DISLIKE, Act.UNDO):
        desk.conductor.obey(act)
    assert asked == ["growing"] * 2


def test_a_growing_piece_is_kept_as_far_as_it_is_made_at_the_end(desk: Desk, tmp_path: Path) -> None:
    """The program ends before the piece is made."""
    grow_one(desk)
    desk.conductor.obey(Act.LIKE)
    desk.conductor.finish()
    assert kept_frames(desk, tmp_path) == [5 * SAMPLE_RATE_HZ]


@pytest.mark.parametrize("case", ["built-in", "fresh", "goes on"])
def test_a_liked_piece_is_levelled_once(desk: Desk, case: str) -> None:
    """What is written of a piece without a file is heard from the library as it was heard when it was liked."""
    before = Continuation("zero", 0, 0, "zero", 0.0, -30.0, -12.0, 1.5) if case == "goes on" else None
    samples, source = tone(10, amplitude=0.02), Source.BUILTIN if case == "built-in" else Source.FRESH
    measured = analyse(samples, -45.0)
    about = replace(info(key="k"), analysis=measured, continues=before)
    heard = to_piece(samples, measured, -23.0, source, "k", about)
    assert abs(heard.samples[:]).max() > 0.03
    desk.mixer.offer(heard)
    desk.listen(0.2)
    desk.conductor.obey(Act.LIKE)
    (entry,) = desk.sound.spool.library()
    assert entry.path is not None
    assert entry.info is not None
    written = read(entry.path).samples
    assert entry.info.analysis.loudness_lufs == pytest.approx(analyse(written, -45.0).loudness_lufs, abs=0.1)
    assert entry.info.continues is None
    if case != "goes on":  # that had the level of its first segment, and is a piece of its own now
        again = to_piece(written, entry.info.analysis, -23.0, Source.LIBRARY, "k", entry.info)
        assert len(again.samples) == len(heard.samples)
        assert abs(again.samples[:] - heard.samples[:])[1000:-1000].max() < 1e-3


@pytest.mark.parametrize("back", [controls.Act.LIKE, controls.Act.UNDO])
def test_a_like_can_be_taken_back_while_the_piece_is_made(desk: Desk, back: controls.Act) -> None:
    """It is kept when it is made whole, but not if that was taken back before; which can be undone too."""
    growth = grow_one(desk)
    desk.conductor.obey(controls.Act.LIKE)
    desk.conductor.obey(back)
    assert not desk.conductor.is_liked("growing")
    growth.ended.set()
    desk.conductor.tick()
    assert not desk.sound.spool.is_kept("growing")
    desk.conductor.obey(controls.Act.LIKE if back is Act.UNDO else Act.UNDO)
    assert desk.sound.spool.is_kept("growing")


def test_a_like_that_two_write_at_the_end_is_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends while the piece is being written."""
    grow_one(desk).ended.set()
    keep, todo, threads = desk.sound.spool.keep, list[Callable[[], None]](), list[threading.Thread]()

    def while_it_ends(*arguments: Any) -> bool:
        monkeypatch.setattr(desk.sound.spool, "keep", keep)
        threads.append(threading.Thread(target=desk.conductor.finish))
        threads[0].start()
        threads[0].join(0.2)
        return keep(*arguments)

    monkeypatch.setattr(desk.sound, "later", lambda _name, errand: todo.append(errand))
    desk.conductor.obey(Act.LIKE)
    monkeypatch.setattr(desk.sound.spool, "keep", while_it_ends)
    todo.pop()()
    threads[0].join(10)
    assert desk.sound.spool.is_kept("growing")


@pytest.mark.parametrize("undone", [False, True])
def test_a_dislike_is_stronger_than_a_like_that_waits(desk: Desk, undone: bool) -> None:
    """What was liked while it was made, and then disliked, is not kept; unless the dislike is undone."""
    growth = grow_one(desk)
    for act in (Act.LIKE, Act.DISLIKE, *[Act.UNDO] * undone):
        desk.conductor.obey(act)
    growth.ended.set()
    desk.conductor.tick()
    assert desk.sound.spool.is_kept("growing") == desk.conductor.is_liked("growing") == undone


@pytest.mark.parametrize("act", [Act.LIKE, Act.DISLIKE])
def test_a_like_that_is_taken_back_while_it_is_written_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    """Who writes it may be at it for a while; what is disliked meanwhile is never heard again."""
    grow_one(desk).ended.set()
    keep = desk.sound.spool.keep

    def slow(*arguments: Any) -> bool:
        monkeypatch.setattr(desk.sound.spool, "keep", keep)
        todo.append(lambda: desk.conductor.obey(act))
        todo.pop()()
        return keep(*arguments)

    todo: list[Callable[[], object]] = []
    monkeypatch.setattr(desk.sound, "later", lambda _name, errand: todo.append(errand))
    monkeypatch.setattr(desk.sound.spool, "keep", slow)
    desk.conductor.obey(Act.LIKE)
    todo.pop()()
    assert not desk.conductor.is_liked("growing")
    assert (desk.sound.spool.get("growing") is None) == (act is Act.DISLIKE)


def test_who_likes_what_was_just_disliked_has_changed_their_mind(desk: Desk) -> None:
    """Until something else is heard. It may be disliked again; and each step can be undone."""
    key, conductor, spool = desk.play_segment(), desk.conductor, desk.sound.spool
    for act, shelf in ((Act.DISLIKE, None), (Act.LIKE, "kept"), (Act.DISLIKE, None)):
        conductor.obey(act)
        entry = spool.get(key)
        assert (entry and entry.shelf) == shelf
    for shelf in ("kept", None, "played"):
        conductor.obey(Act.UNDO)
        entry = spool.get(key)
        assert (entry and entry.shelf) == shelf


def test_the_sound_under_the_music_follows_its_keys_and_is_remembered(tmp_path: Path) -> None:
    """Each sound in its turn, at its own volume; the next session begins with the last one."""
    desk = Desk(tmp_path)
    desk.listen(0.1)
    answers = [desk.conductor.obey(Act.AMBIENCE) for _ in NAMES]
    assert [answer.said.key for answer in answers] == [f"ambience.{name}" for name in (*NAMES[1:], "off")]
    desk.conductor.obey(controls.Ambience("brown"))
    assert desk.conductor.obey(controls.AmbienceVolume(+15)).said.fields == (("percent", 55),)
    assert desk.conductor.obey(controls.Ambience("nowhere")).done is False
    desk.sound.stop()
    later = Desk(tmp_path)
    later.sound.stop()
    assert later.sound.ambience.view == ("brown", 55)
    assert Desk(tmp_path, "--ambience", "waves").sound.ambience.view == ("waves", 55)


@pytest.mark.parametrize("on", [True, False, None])
def test_what_vlc_plays_by_itself_is_not_recorded(tmp_path: Path, on: bool | None) -> None:
    """Where VLC plays files, none of the sound comes by us: no file without any is begun, nor said to be."""
    desk = Desk(tmp_path, "--player", "playlist")
    command = controls.Act.RECORD if on is None else controls.Set(controls.Act.RECORD, on=on)
    assert desk.conductor.obey(command).done is False
    assert desk.sound.recorder.path is None
    assert desk.said() == (["recorder.no_stream"] if on is not False else [])


def test_vlcs_list_has_nothing_under_it(tmp_path: Path) -> None:
    """Where VLC plays files, the listener is told what is needed."""
    desk = Desk(tmp_path, "--player", "playlist", "--ambience", "rain")
    assert desk.conductor.obey(Act.AMBIENCE).done is False
    assert desk.said() == ["ambience.no_stream"]
    assert desk.sound.ambience.view[0] == "off"
