"""The session: the pace it makes music at, and what the screen is told."""

from __future__ import annotations

import dataclasses
import logging
import queue
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

import pytest
import soundfile as sf

import config
from doubles.fake_vlc import FakeVlc
from doubles.scripted_server import ScriptedServer
from doubles.simulated_time import FakeClock
from doubles.sounds import info, performed, piece, tone
from music.segment import SAMPLE_RATE_HZ, Growth, Piece, Source
from music.stations import builtin_stations
from output.vlc_library import LibVlc
from player import PlaylistPlayer
from programme.mixer import Mixer
from screen import controls
from screen.dashboard import Dashboard
from screen.keyboard import Keyboard
from session.conductor import Answer
from session.opening import Opening, Surroundings
from session.session import Session, Terminal
from session.sound import Sound
from session.timers import TICK_S
from whole.harness import Programme

STATIONS = builtin_stations()
SUSPENSION = (signal.SIGTSTP, signal.SIGCONT, signal.SIGTTIN, signal.SIGTTOU)


class Evening:
    """A session with VLC's list, driven by hand: the loader, the built-in engine and VLC's owner take turns."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        settings = config.load(["--spool-dir", str(folder), "--volume", "100", *arguments], {}, folder / "no.env")
        self.clock = FakeClock()
        self.folder = folder
        self.vlc = FakeVlc(self.clock)
        around = Surroundings(
            cast("LibVlc", self.vlc), self.clock, clients=[ScriptedServer(lambda: 0.0)],
            begin_piece=lambda _recipe, _seed: performed(tone(20)),
        )  # fmt: skip
        self.sound = Sound(Opening(settings, STATIONS[0], around))
        self.sound.spool.open()
        self.session = Session(self.sound, STATIONS)
        if isinstance(self.sound.player, PlaylistPlayer):
            self.sound.player.begin()

    def listen(self, seconds: float) -> None:
        """Let time pass."""
        assert isinstance(self.sound.player, PlaylistPlayer)
        for _ in range(round(seconds * 5)):
            self.clock.time_s += 0.2
            self.sound.loader.step()
            if self.sound.builtin.wanted:
                self.sound.builtin.step()
            self.sound.player.step()
            self.session.conductor.tick()

    def obey(self, command: controls.Command) -> None:
        """Press a key."""
        self.session.conductor.obey(command)

    def source(self) -> Source:
        """Return the source of what plays."""
        return self.sound.programme.snapshot().playing.source


@pytest.fixture
def files(tmp_path: Path) -> Evening:
    """An evening with VLC's list."""
    return Evening(tmp_path, "--player", "playlist")


def test_a_liked_builtin_piece_of_the_list_is_really_written(files: Evening) -> None:
    """With its whole sound, also after its own file has been deleted; a file of the spool only changes its shelf."""
    files.listen(3)
    assert files.source() is Source.BUILTIN
    files.obey(controls.Act.LIKE)
    files.sound.spool.add(tone(20), info(key="fresh"))
    files.listen(25)
    assert files.source() is Source.FRESH
    files.obey(controls.Act.LIKE)
    kept = sorted((files.folder / "kept").glob("*.wav"))
    assert [sf.info(str(path)).frames for path in kept] == [20 * SAMPLE_RATE_HZ] * 2


def test_the_list_leaves_no_builtin_files_behind(files: Evening) -> None:
    """However long it plays: what was heard is deleted, and what waits is in no more than two files."""
    files.listen(200)
    assert files.sound.loader.started[Source.BUILTIN] >= 9
    assert len(list((files.folder / "incoming").iterdir())) <= 2
    cast("PlaylistPlayer", files.sound.player).end()
    assert list((files.folder / "incoming").iterdir()) == []


def test_another_mood_is_heard_soon_in_the_list_too(files: Evening) -> None:
    """The piece that plays gives way as soon as there is one of the new mood; nothing of the old one comes."""
    for name in "abc":
        files.sound.spool.add(tone(20), info(key=name))
    files.listen(3)
    files.obey(controls.Station("piano"))
    files.listen(2)
    assert files.sound.spool.ready() == ()
    piece = files.sound.programme.playing_piece()
    assert piece is not None
    assert piece.info is not None
    assert piece.info.recipe.station == "piano"


def test_a_disliked_piece_is_left_and_never_comes_again(files: Evening) -> None:
    """The next one plays."""
    bad, good = (files.sound.spool.add(tone(20), info(key=name)).key for name in ("bad", "good"))
    files.listen(3)
    files.obey(controls.Act.DISLIKE)
    files.listen(1)
    assert files.sound.programme.snapshot().playing.key == good
    assert files.sound.spool.get(bad) is None


def test_back_leads_to_what_was_heard_in_the_list_too(files: Evening) -> None:
    """To the piece before, and from there to the one that was left."""
    keys = [files.sound.spool.add(tone(20), info(key=name)).key for name in "abc"]
    files.listen(23)
    for expected in (keys[1], keys[0]):
        assert files.sound.programme.snapshot().playing.key == expected
        files.obey(controls.Act.BACK)
        files.listen(1)
    files.listen(20)
    assert files.sound.programme.snapshot().playing.key == keys[1]


def test_the_log_has_its_three_figures_in_the_list_too(files: Evening, caplog: pytest.LogCaptureFixture) -> None:
    """Generation time, waiting time and queue depth of each segment that begins."""
    caplog.set_level(logging.INFO)
    files.sound.spool.add(tone(20), info(key="a"))
    files.sound.spool.add(tone(20), info(key="b"))
    files.listen(1)
    assert "(fresh): generation - s, at the server - s, on the shelf 0.4 s, queue depth 1" in caplog.text


def test_a_break_rests_in_the_list_too(tmp_path: Path) -> None:
    """The music stands, nothing is used up, and then goes on."""
    files = Evening(tmp_path, "--player", "playlist", "--pomodoro", "25/5")
    files.listen(10)
    files.clock.time_s = 25 * 60.0
    files.listen(60)
    before = files.session.snapshot().mixer
    assert before.resting
    files.listen(200)
    assert files.session.snapshot().mixer.playing.elapsed_s == before.playing.elapsed_s
    files.listen(60)
    assert not files.session.snapshot().mixer.resting


@pytest.mark.parametrize("arguments", [["--play-library"], ["--engine", "builtin"], ["--engine", "acestep"], []])
def test_one_order_of_sources_serves_all(tmp_path: Path, arguments: list[str]) -> None:
    """What is played, and whether music is asked for, follows from one tuple."""
    order = {
        "--play-library": (Source.LIBRARY,),
        "builtin": (Source.BUILTIN,),
        "acestep": (Source.FRESH, Source.LIBRARY),
    }
    evening = Evening(tmp_path, *arguments)
    assert evening.sound.order == (
        order[arguments[-1]] if arguments else (Source.FRESH, Source.LIBRARY, Source.BUILTIN)
    )


def test_the_pace_is_that_of_what_has_been_learned(tmp_path: Path) -> None:
    """Generation seconds per second of programme: of the audible part, a crossfade of which the next piece shares."""
    with Programme(tmp_path) as programme:
        assert programme.sound.pacing.factor() is None
        programme.play_until_fresh()
        programme.play(120)
        speed = programme.generator._servers[0].speed
        heard_s = speed.audible_share * programme.generator.snapshot().duration_s
        assert speed.factor is not None
        expected = speed.factor * heard_s / (heard_s - programme.settings.crossfade_seconds)
        assert programme.sound.pacing.factor() == pytest.approx(expected)


def test_an_evening_of_likes_and_dislikes_is_heard_in_the_next_jobs(tmp_path: Path) -> None:
    """Who likes one texture and dislikes another is sent more of the one, less of the other, and still all of them."""
    station = STATIONS[0]
    loved, hated = station.textures[1], station.textures[4]

    def textures() -> list[str]:
        return [station.choices(job.recipe.prompt)["texture"] for job in server.asked]

    def judge(programme: Programme) -> None:
        piece = programme.mixer.playing_piece()
        texture = station.choices(piece.info.recipe.prompt).get("texture") if piece and piece.info else None
        judged = {opinion.piece for opinion in programme.mood.taste.opinions}
        if piece and piece.info and piece.info.segment_id not in judged and texture in (loved, hated):
            (programme.like if texture == loved else programme.dislike)()

    server = ScriptedServer(lambda: 0.0)
    with Programme(tmp_path, server, threads=False) as programme:
        for _ in range(180):
            programme.play(10)
            judge(programme)
        first = len(server.asked)
        programme.play(3000)
    later = textures()[first + 5 :]
    assert set(later) == set(station.textures)
    assert later.count(hated) < 0.8 * len(later) / 7 < 1.2 * len(later) / 7 < later.count(loved)


def test_the_screen_is_told_what_is_wished_at_once(tmp_path: Path) -> None:
    """Pause, volume and mute as the listener wished them, whether the sound has followed or not; the rest as it is."""
    evening = Evening(tmp_path)
    for command in (controls.Act.PAUSE, controls.Act.MUTE, controls.Volume(-30), controls.Station("piano")):
        evening.obey(command)
    told = evening.session.snapshot()
    assert (told.mixer.paused, told.mixer.muted, told.mixer.volume) == (True, True, 0.7)
    assert told.station.key == "piano"
    assert (told.player_state, told.liked, told.recording) == ("starting", False, "")
    evening.clock.time_s = 7.0
    assert (evening.session.snapshot().uptime_s, evening.session.snapshot().uninterrupted_s) == (7.0, 7.0)


def test_a_recording_that_the_end_ends_is_told_with_the_farewell(tmp_path: Path) -> None:
    """Nobody sees the screen any more: where it is; but nothing that was told before."""
    evening = Evening(tmp_path)
    evening.obey(controls.Act.RECORD)
    evening.sound.recorder.take(tone(1))
    last = evening.session.snapshot()
    evening.sound.recorder.end()
    evening.sound.stop_event.set()
    evening.sound.recorder.run(evening.sound.stop_event)
    assert [str(one) for one in evening.sound.lost(last.notices)] == [f"recorded: {last.recording}"]
    assert evening.sound.lost(evening.session.snapshot().notices) == []


def test_likes_that_change_places_between_two_looks_are_seen(tmp_path: Path) -> None:
    """One is liked and another is not any more: as many as before, of the same size."""
    evening = Evening(tmp_path)
    keys = [evening.sound.spool.add(tone(2), info(key=name), shelf="played").key for name in "ab"]
    for key in keys:
        evening.sound.loader.history.add(Piece(tone(2), Source.LIBRARY, key))
    evening.sound.spool.keep(keys[0])
    told = [[one.liked for one in evening.session.snapshot().history]]
    evening.sound.spool.unkeep(keys[0])
    evening.sound.spool.keep(keys[1])
    told.append([one.liked for one in evening.session.snapshot().history])
    assert told == [[True, False], [False, True]]


def test_a_phase_of_the_timer_is_followed_when_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the clock on the screen would be at the break, and the music not yet."""
    evening = Evening(tmp_path, "--pomodoro", "25/5")
    wait = Mock(return_value=True)
    monkeypatch.setattr(evening.clock, "wait", wait)
    for evening.clock.time_s in (10.0, 25 * 60 - 0.5):
        evening.session.run()
    assert [call.args[1] for call in wait.call_args_list] == [TICK_S, 0.5]


def test_what_is_liked_and_still_being_made_is_kept_when_the_session_ends(tmp_path: Path) -> None:
    """As far as it is made."""
    evening = Evening(tmp_path)
    programme = evening.sound.programme
    assert isinstance(programme, Mixer)
    made = piece(20, source=Source.BUILTIN, key="growing", about=info(key="growing", engine="builtin"))
    programme.offer(dataclasses.replace(made, growth=Growth(5 * SAMPLE_RATE_HZ)))
    programme.read(SAMPLE_RATE_HZ // 10)
    evening.obey(controls.Act.LIKE)
    assert not evening.sound.spool.is_kept("growing")
    evening.session.stop()
    assert evening.sound.spool.is_kept("growing")


def test_no_handler_is_called_amid_the_end(files: Evening) -> None:
    """It would wait for ever for what the main thread holds: a change of the window's size, Ctrl-Z and fg."""
    called: list[bool] = []
    numbers = (signal.SIGWINCH, *SUSPENSION)
    handlers = [signal.signal(number, lambda *_: called.append(True)) for number in numbers]
    here = SimpleNamespace(close=lambda: list(map(signal.raise_signal, numbers[:3])))
    try:
        Terminal(files.session, cast("Keyboard", here), cast("Dashboard", here)).stop()
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
    assert not called


def test_what_a_person_changes_is_shown_at_once(files: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a key, by a command or a media key from elsewhere, after it was obeyed; and another size of the window."""
    shown: list[bool] = []
    by: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    obeying: list[Callable[[controls.Command], Answer]] = []
    monkeypatch.setattr("session.session.Answering", lambda obey, *_: obeying.append(obey))
    monkeypatch.setattr("session.session.Mpris", lambda obey, *_: Mock(obey=obeying.append(obey)))  # type: ignore[func-returns-value]
    session = Session(files.sound, STATIONS)
    dashboard = SimpleNamespace(
        refresh=lambda: by.put((shown.append(files.sound.player.is_paused), threading.current_thread())[1]),  # type: ignore[func-returns-value]
        ring=lambda: None,
        run=lambda _stop: None,
    )
    renewed: list[bool] = []
    keyboard = SimpleNamespace(keys=lambda _stop: iter([" ", "?"]), renew=lambda: renewed.append(True))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGWINCH, *SUSPENSION)}
    monkeypatch.setattr(files.sound, "begin", lambda _name, body: body(files.sound.stop_event))
    try:
        Terminal(session, cast("Keyboard", keyboard), cast("Dashboard", dashboard)).start()
        assert shown == [True, True]
        for obey in obeying:
            obey(controls.Act.PAUSE)
        assert shown == [True, True, False, True]
        signal.raise_signal(signal.SIGWINCH)
        *_, fifth = [by.get(timeout=10) for _ in range(5)]
        signal.raise_signal(signal.SIGCONT)
        assert threading.main_thread() not in (fifth, by.get(timeout=10))  # another signal may come amid it
        assert renewed == [True, True]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_the_desktop_is_told_what_changes(files: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command, a piece that begins, the device; whatever else it shows is seen within TICK_S. Else nobody wakes."""
    told: list[float] = []
    mpris = SimpleNamespace(refresh=lambda: told.append(files.clock.time_s))
    monkeypatch.setattr("session.session.Mpris", lambda *_: mpris)
    files.session = session = Session(files.sound, STATIONS)
    session.obey(controls.Act.MUTE)
    assert told == [0.0]
    files.sound.on_change()
    assert told == [0.0] * 2
    files.sound.spool.add(tone(20), info(key="a"))
    files.listen(1)
    assert len(told) == 3
    begun_at = files.clock.time_s
    files.clock.at(begun_at + 99.0, lambda: files.sound.player.set_volume(0.5))
    files.clock.at(begun_at + 200.0, files.sound.stop_event.set)
    told.clear()
    session.run()
    assert [seconds - begun_at for seconds in told] == [TICK_S, 100.0]
