"""libVLC for real: what is pulled, what is healed, and that it always ends.

They play on VLC's dummy output, so that no sound device is needed, and take real time.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from base.errors import LibVlcMissing
from base.notices import Notices
from base.workers import SystemClock, at_once
from doubles.simulated_time import FakeClock
from doubles.sounds import tone
from listening.sound_room import wait_until
from music.segment import SAMPLE_RATE_HZ, Piece, Source
from output import stream_player
from output.sound_server import Hearing, Traits
from output.stream_player import BLOCK_FRAMES, EARLY_US, FRAME_BYTES, StreamPlayer
from output.vlc_library import LibVlc
from output.vlc_player import RAMP_STEP, RAMP_TICK_S
from player import PlaylistPlayer

realtime = pytest.mark.realtime
OWN_VOLUME = Traits(has_volumes=True)


@contextmanager
def playing(player: StreamPlayer | PlaylistPlayer) -> Iterator[threading.Thread]:
    """Run a player's owner thread, and see it end."""
    stop = threading.Event()
    thread = threading.Thread(target=player.run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        player.close()
        thread.join(3)
        assert not thread.is_alive()


def silence(n_frames: int) -> bytes:
    """Feed a player."""
    return bytes(n_frames * FRAME_BYTES)


def stream(feed: Callable[[int], bytes] = silence) -> StreamPlayer:
    """Return a stream player that needs no device."""
    return StreamPlayer(feed, LibVlc(), Notices(SystemClock()), SystemClock(), real_device=False)


def list_player() -> PlaylistPlayer:
    """Return a player of files that needs no device."""
    return PlaylistPlayer(LibVlc(), Notices(SystemClock()), SystemClock(), at_once, real_device=False)


def began(player: PlaylistPlayer, before: list[str]) -> list[str]:
    """Add what began to be heard since."""
    before.extend(event.piece.key for event in player.take_events())
    return before


def playable(path: Path, seconds: float) -> Piece:
    """Write a file; return it as a piece."""
    sf.write(path, tone(seconds), SAMPLE_RATE_HZ)
    return Piece(tone(seconds), Source.FRESH, path.stem, path=path)


@realtime
def test_the_stream_is_pulled_at_real_pace() -> None:
    """VLC takes about a second of samples a second, and looks less than a second ahead."""
    player = stream()
    with playing(player):
        assert wait_until(lambda: player.pulled_frames > 0)
        threading.Event().wait(2.0)
        assert 1.5 * SAMPLE_RATE_HZ < player.pulled_frames < 3.2 * SAMPLE_RATE_HZ


@realtime
def test_a_thread_of_vlcs_is_known_from_call_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python keeps what belongs to it, instead of making it for every block."""
    monkeypatch.setattr(stream_player, "HELD_FRAMES", 1)
    kept, seen = threading.local(), list[int]()

    def feed(n_frames: int) -> bytes:
        seen.append(getattr(kept, "calls", 0))
        kept.calls = seen[-1] + 1
        return silence(n_frames)

    with playing(stream(feed)):
        assert wait_until(lambda: len(seen) >= 4)
    assert seen == [*range(len(seen))]


@realtime
def test_twenty_exits_in_a_row_are_clean() -> None:
    """Stopping never hangs, however soon it comes."""
    for attempt in range(20):
        player = stream()
        began = time.monotonic()
        with playing(player):
            if attempt % 2:
                assert wait_until(lambda one=player: one.pulled_frames > 0)  # type: ignore[misc]
        assert time.monotonic() - began < 5


@realtime
def test_what_was_opened_beside_the_imports_is_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first instance and the first list player were begun; those that follow are others."""
    monkeypatch.delenv("PYTHON_VLC_LIB_PATH", raising=False)
    libvlc = LibVlc()
    libvlc.connect()
    one = libvlc.instance()
    begun = libvlc._list_player
    assert [libvlc.list_player(one)._as_parameter_.value, libvlc._list_player] == [begun, None]
    another = libvlc.list_player(one)
    assert another.get_media_player() is not None
    assert another._as_parameter_.value != begun
    assert libvlc.instance()._as_parameter_.value != one._as_parameter_.value


@realtime
@pytest.mark.parametrize("by_itself", [True, False])
def test_a_stream_that_ended_is_made_anew(by_itself: bool, caplog: pytest.LogCaptureFixture) -> None:
    """When VLC reaches an end, or stops, the same programme goes on in a new media."""
    player = stream()
    with playing(player):
        assert wait_until(lambda: player.pulled_frames > 0)
        if by_itself:
            player.feed = lambda _n_frames: b""
            assert wait_until(lambda: "made anew" in caplog.text)
            player.feed = silence
        else:
            player._do(player._list_player.stop)
        before = player.pulled_frames
        assert wait_until(lambda: "made anew" in caplog.text and player.pulled_frames > before)


@realtime
def test_the_playlist_goes_on_when_new_files_come(tmp_path: Path) -> None:
    """Files play in order; after the list has run dry a new file starts by itself."""
    pieces = [playable(tmp_path / f"{name}.wav", 1.0) for name in "abc"]
    player = list_player()
    with playing(player):
        for one in pieces[:2]:
            player.offer(one)
        begun: list[str] = []
        assert wait_until(lambda: began(player, begun) == ["a", "b"])
        assert wait_until(lambda: player.snapshot().playing.key == "")
        player.offer(pieces[2])
        assert wait_until(lambda: began(player, begun) == ["a", "b", "c"])


def asked(player: StreamPlayer) -> tuple[int, int, int, bytes]:
    """Ask as VLC does: what is returned, the two times in microseconds, and the block."""
    decoded, presented, flags = ctypes.c_int64(-1), ctypes.c_int64(-1), ctypes.c_uint()
    size, at = ctypes.c_size_t(99), ctypes.c_void_p()
    variables: tuple[Any, ...] = decoded, presented, flags, size, at
    code = player._on_get(None, None, *map(ctypes.pointer, variables))
    return code, decoded.value, presented.value, ctypes.string_at(at.value or 0, size.value) if size.value else b""


def test_vlc_gets_block_after_block_with_their_times() -> None:
    """Every block is the programme's next one, and begins where the one before ended."""
    blocks: list[bytes] = []

    def feed(n_frames: int) -> bytes:
        blocks.append(bytes([len(blocks) + 1]) * n_frames * FRAME_BYTES)
        return blocks[-1]

    player = stream(feed)
    block_us = BLOCK_FRAMES * 1_000_000 // SAMPLE_RATE_HZ
    for index in range(8):
        code, _, presented_us, block = asked(player)
        assert (code, presented_us, block) == (0, index * block_us, blocks[index])
    assert player.pulled_frames == 8 * BLOCK_FRAMES
    assert player.primed.is_set()


def test_vlc_is_held_back_by_as_much_as_it_takes_ahead_and_no_faster() -> None:
    """Decoding times run ahead of what is heard, little by little, up to EARLY_US: the beginning waits for nothing."""
    player = stream()
    early_us = [decoded - presented for _, decoded, presented, _ in (asked(player) for _ in range(100))]
    assert (early_us[0], early_us[-1]) == (0, EARLY_US)
    block_us = BLOCK_FRAMES * 1_000_000 // SAMPLE_RATE_HZ
    assert all(0 <= later - before <= block_us / 48 + 1 for before, later in itertools.pairwise(early_us))


def test_a_programme_that_fails_ends_the_media_and_no_memory_is_read() -> None:
    """VLC is told that it is the end, with nothing to copy; the next call gives music again."""
    failures = [ZeroDivisionError()]

    def feed(n_frames: int) -> bytes:
        if failures:
            raise failures.pop()
        return silence(n_frames)

    player = stream(feed)
    assert asked(player) == (1, 0, 0, b"")
    assert asked(player) == (0, 0, 0, silence(BLOCK_FRAMES))


def test_a_closed_player_gives_nothing_more() -> None:
    """Else VLC could not stop."""
    player = stream()
    player.close()
    assert asked(player) == (1, 0, 0, b"")


def test_whoever_watches_the_device_learns_how_it_is_now() -> None:
    """The owner thread tells it, so that no loss and no return falls between asking and listening."""
    player, told = stream(), list[bool]()
    player.watch_device(told.append)
    assert told == []
    player._serve(0.0)
    player._probe_at = 1.0
    player.watch_device(told.append)
    player._serve(0.0)
    assert told == [True, False]


def test_missing_libvlc_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libVLC there is one line that says what to install."""
    monkeypatch.setitem(sys.modules, "vlc", None)
    with pytest.raises(LibVlcMissing, match=r"libvlc5 vlc-plugin-base|brew install"):
        LibVlc().load()


@realtime
def test_the_playlist_stays_paused_when_skipped(tmp_path: Path) -> None:
    """Keys in one write: paused and skipped twice it stands at the third file, and goes on from there."""
    player = list_player()
    for name in "abcd":
        player.offer(playable(tmp_path / f"{name}.wav", 20.0))
    with playing(player):
        assert wait_until(lambda: player.snapshot().playing.elapsed_s > 0)
        player.pause(True)
        player.skip()
        player.skip()
        assert wait_until(lambda: player.snapshot().playing.key == "c")
        assert wait_until(lambda: player._player.get_state() == player._vlc.State.Paused)
        player.pause(False)
        assert wait_until(lambda: player._player.get_state() == player._vlc.State.Playing)
        assert player.snapshot().playing.key == "c"


STATE = SimpleNamespace(Opening=1, Playing=3, Paused=4, Ended=6, Error=7)


class ListPlayer:
    """Notes what it is told, as its own media player too, whose output is there when it is `open`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.volumes: list[int] = []
        self.percent = 100
        self.open = True
        self.paused = False
        self.role: object = None

    def set_role(self, role: object) -> None:
        """Be of a role."""
        self.role = role

    def stop(self) -> None:
        """Stop."""
        self.told.append("stop")

    def set_pause(self, paused: int) -> None:
        """Stop or go on; a volume at that moment would be heard as a click."""
        assert self.percent == 0
        self.paused = bool(paused)

    def audio_set_volume(self, percent: int) -> int:
        """Set the volume, if there is an output."""
        if not self.open:
            return -1
        self.percent = percent
        self.volumes.append(percent)
        return 0

    def audio_get_volume(self) -> int:
        """Return the volume, which others may have changed."""
        return self.percent

    def get_media(self) -> None:
        """Return none: nothing was played."""


def watched(hearing: Hearing = Hearing.PLAYS) -> tuple[StreamPlayer, FakeClock, list[str]]:
    """Return a player whose libVLC is a list of what is asked of it."""
    clock, list_player = FakeClock(), ListPlayer()
    player = StreamPlayer(silence, LibVlc(), Notices(clock), clock)
    player._list_player = player._player = list_player
    player._vlc = SimpleNamespace(MediaStats=object, State=STATE, MediaPlayerRole=SimpleNamespace(Music="Music"))
    for name in ("_play", "_play_unheard"):
        setattr(player, name, lambda name=name: list_player.told.append(name))
    vars(player)["_needs_playing"] = lambda _now: False
    player.hearing = lambda: hearing
    return player, clock, list_player.told


def watch_for(player: StreamPlayer, clock: FakeClock, seconds: float) -> None:
    """Let the owner thread look every half second."""
    for _ in range(round(seconds / 0.5)):
        player._watch()
        clock.time_s += 0.5


def test_a_long_pause_gives_the_device_away_and_a_resume_takes_it_back() -> None:
    """After a minute, not before; a pause that ends before, and starts again, counts anew."""
    player, clock, told = watched()
    player.pause(True)
    watch_for(player, clock, 50)
    player.pause(False)
    watch_for(player, clock, 5)
    player.pause(True)
    watch_for(player, clock, 59)
    assert told == []
    watch_for(player, clock, 60)
    assert told == ["stop"]
    player._device_error = "what VLC said of the device that was closed"
    player.pause(False)
    watch_for(player, clock, 120)
    assert told == ["stop", "_play"]


def test_the_stream_is_silent_by_our_own_will_until_the_device_is_given_away() -> None:
    """Else the system would be said to mute it, as its volume is still 0."""
    player, vlc, _ = served()
    clock, silent = cast("FakeClock", player._clock), list[bool]()
    vars(vlc)["stop"] = lambda: silent.append(player.is_silent)
    player.pause(True)
    follow(player)
    watch_for(player, clock, 61)
    assert silent == [True]


@pytest.mark.parametrize(
    ("hearing", "notice"), [(Hearing.SUSPENDED, "player.suspended"), (Hearing.NO_DEVICE, "player.no_device")]
)
def test_a_device_that_nobody_hears_is_none_until_that_changes(hearing: Hearing, notice: str) -> None:
    """It is said once; while it is suspended, or replaced by none, it is not tried, and 'back' is not said."""
    player, clock, told = watched(hearing)
    present = list[bool]()
    player.watch_device(present.append)
    player._serve(0.0)
    watch_for(player, clock, 60)
    assert (told, player.state, present) == (["_play_unheard"], hearing.value, [True, False])
    assert [said.key for said in player._notices.recent()] == [notice]
    tried: list[float] = []
    vars(player)["_probe"] = lambda: tried.append(clock.time_s)
    player.hearing = lambda: Hearing.UNKNOWN
    watch_for(player, clock, 0.5)
    assert len(tried) == 1


@pytest.mark.parametrize(("hearing", "lost"), [(Hearing.PLAYS, False), (Hearing.UNKNOWN, True)])
def test_where_the_server_is_heard_it_alone_tells_of_a_suspended_device(hearing: Hearing, lost: bool) -> None:
    """An idle device is suspended in a pause, and resumed after it; VLC says "suspended" both times."""
    player, clock, told = watched(hearing)
    vars(player)["_probe"] = lambda: None
    for paused in (True, False):
        player.pause(paused)
        player._note_device_error("suspended")
        watch_for(player, clock, 1)
    assert (told, player.state) == ((["_play_unheard"], "suspended") if lost else ([], "starting"))


@pytest.mark.parametrize(("missing_s", "lost"), [(0.5, False), (2.0, True)])
def test_a_stream_that_is_moved_may_be_without_a_device_for_a_moment(missing_s: float, lost: bool) -> None:
    """As when the sound goes from the loudspeakers to a headset: nothing is said, nothing begins anew."""
    player, clock, told = watched()
    vars(player)["_probe"] = lambda: None
    watch_for(player, clock, 5.0)
    player.hearing = lambda: Hearing.NO_DEVICE
    watch_for(player, clock, missing_s)
    player.hearing = lambda: Hearing.PLAYS
    watch_for(player, clock, 5.0)
    assert told == (["_play_unheard"] if lost else [])


@pytest.mark.parametrize(("paused", "slept_s", "lost"), [(True, 0.5, False), (True, 2.0, True), (False, 0.5, True)])
def test_a_device_that_wakes_after_a_pause_is_waited_for(paused: bool, slept_s: float, lost: bool) -> None:
    """The stream goes on by then; one that is suspended while it plays, or does not wake, is none."""
    player, _, _ = served()
    clock = cast("FakeClock", player._clock)
    vars(player)["_probe"] = lambda: None
    for wish in (paused, False):
        player.pause(wish)
        follow(player)
    player.hearing = lambda: Hearing.SUSPENDED
    watch_for(player, clock, slept_s)
    player.hearing = lambda: Hearing.PLAYS
    watch_for(player, clock, 2)
    assert (player.state == "suspended") == lost


@pytest.mark.parametrize(
    ("off_pace_at", "anew"), [((), False), ((1.9,), False), ((9.0,), True), ((9.0, 9.3), True), ((1.9, 10.1), False)]
)
@pytest.mark.parametrize("words", [b"playback way too late (%ld): ...", b"playback way too early (%ld): ..."])
def test_a_stream_that_has_lost_its_pace_is_made_anew(words: bytes, off_pace_at: tuple[float, ...], anew: bool) -> None:
    """Soon after VLC fills in silence or throws away, whenever we hear of it; not for what it does as it begins."""
    clock = FakeClock(1.0)
    player = StreamPlayer(silence, LibVlc(), Notices(clock), clock)
    player._vlc, player._player = SimpleNamespace(State=STATE), SimpleNamespace(get_state=lambda: STATE.Playing)
    player._begin_stream(player._settled, Traits())
    for clock.time_s in off_pace_at:
        player._on_log(None, 3, None, words, None)
    clock.time_s = 20.0
    player._serve(0.0)
    assert player._needs_playing(10.2) is anew


SOUGHT = (0, b'looking for %s module matching "%s": %zd candidates')
USED = (0, b'using %s module "%s"')
NONE_FITS = (0, b"no %s modules matched")
REFUSED = (4, b"%s: %s")


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ((SOUGHT, REFUSED, USED), ""),
        ((SOUGHT, REFUSED, USED, REFUSED), "%s: %s"),
        ((SOUGHT, REFUSED, NONE_FITS, (4, b"no suitable audio output module")), "no suitable audio output module"),
        ((REFUSED,), "%s: %s"),
        (((4, b"cannot estimate delay: %s"),), ""),
        (((4, b"cannot recover playback stream: %s"),), "cannot recover playback stream: %s"),
    ],
)
def test_an_output_that_vlc_leaves_is_no_lost_device(told: tuple[tuple[int, bytes], ...], error: str) -> None:
    """On a machine without a sound server it tries that first, then finds the sound card; nor is an underrun one."""
    player, _, _ = watched()

    def log_get_object(_context: object, name: Any, *_: object) -> None:
        ctypes.cast(name, ctypes.POINTER(ctypes.c_char_p))[0] = b"audio output"

    player._vlc.dll = SimpleNamespace(libvlc_log_get_object=log_get_object)
    for level, words in told:
        player._on_log(None, level, None, words, None)
    player._serve(0.0)
    assert player._device_error == error


def test_the_first_block_waits_for_the_sound_server_and_the_end_does_not() -> None:
    """VLC opens its stream with the first block; closing wakes whoever waits."""
    player = stream()
    player._settled = threading.Event()
    given: list[int] = []
    reader = threading.Thread(target=lambda: given.append(asked(player)[0]))
    reader.start()
    assert given == []
    player.close()
    reader.join(5)
    assert given == [1]


def served(traits: Traits = OWN_VOLUME, volume: float = 1.0) -> tuple[StreamPlayer, ListPlayer, list[Any]]:
    """Return a player at the moment when VLC opens its stream, and what the programme is told."""
    player, _, _ = watched()
    left: list[Any] = []
    player.set_volume(volume)
    player.leave_to(lambda *wishes: left.append(wishes))
    player._begin_stream(player._settled, traits)
    return player, cast("ListPlayer", player._player), left


def follow(player: StreamPlayer) -> None:
    """Let the owner thread do what is wished."""
    player._serve(0.0)
    for _ in range(100):
        player._obey(0.0)
    assert not player._is_behind


def test_a_pause_falls_silent_stops_and_goes_on_as_loud() -> None:
    """In small steps, as a jump clicks; VLC is silent before it stops, and after; nothing is left to the programme."""
    player, vlc, left = served(volume=0.5)
    follow(player)
    for paused in (True, False):
        vlc.volumes.clear()
        player.pause(paused)
        follow(player)
        gains = [(percent / 100) ** 3 for percent in [*([] if paused else [0]), *vlc.volumes]]
        assert sorted(vlc.volumes, reverse=paused) == vlc.volumes
        assert max(abs(one - other) for one, other in itertools.pairwise(gains)) < 2 * RAMP_STEP
        assert (vlc.paused, vlc.volumes[-1]) == (paused, 0 if paused else 79)
    assert set(left) == {(1.0, False, False)}


def test_a_ramp_does_not_wait_for_the_next_tick() -> None:
    """As soon as something is wished the owner goes step after step, and then rests again."""
    player, _, _ = served()
    waits = list[float]()
    vars(player)["_serve"] = waits.append
    player.pause(True)
    for _ in range(40):
        player._obey(0.5)
    assert (max(waits[:30]), waits[-1]) == (RAMP_TICK_S, 0.5)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pause", "mute", "set_volume"]),
            st.sampled_from([0, 0.05, 1]),
            st.sampled_from([0, 1, 9, 99]),
        )
    )
)
def test_however_fast_keys_come_the_last_ones_count(keys: list[tuple[str, float, int]]) -> None:
    """Whether VLC has followed or not; and a stream that begins then begins as it is wished, its pause too."""
    player, vlc, _ = served()
    wished: dict[str, float] = {"pause": 0, "mute": 0, "set_volume": 1}
    for name, value, steps in keys:
        getattr(player, name)(value if name == "set_volume" else bool(value))
        wished[name] = value if name == "set_volume" else bool(value)
        for _ in range(steps):
            player._obey(0.0)
    silent = wished["pause"] or wished["mute"]
    percent = 0 if silent else round(100 * wished["set_volume"] ** (1 / 3))
    for _ in range(2):
        follow(player)
        assert (vlc.paused, vlc.percent) == (wished["pause"], percent)
        assert player.is_silent == (percent == 0)
        vlc.volumes, vlc.paused = [], False
        player._begin_stream(player._settled, OWN_VOLUME)
        assert vlc.volumes == [percent], "what the server remembers would be heard"


def test_a_stream_whose_output_comes_late_gets_its_volume_then() -> None:
    """VLC has no output until it has its first block; the server might remember another volume."""
    player, vlc, _ = served(volume=0.0)
    vlc.volumes.clear()
    vlc.open = False
    player._begin_stream(player._settled, OWN_VOLUME)
    player.set_volume(1.0)
    for _ in range(50):
        player._obey(0.0)
    vlc.open = True
    follow(player)
    assert vlc.volumes[-1] == 100


def test_a_device_that_comes_back_in_a_pause_is_found() -> None:
    """It shows by playing that it is there; VLC stands, silent all the time, when that is known."""
    player, _, _ = watched()
    clock, vlc = cast("FakeClock", player._clock), cast("ListPlayer", player._player)
    steps: list[bool] = []

    def played() -> bool:
        clock.time_s += 0.02
        steps.append(vlc.paused)
        return len(steps) > 9 and not any(steps)

    vars(player).update(_use_output=lambda **_: None, _played_buffers=played)
    vars(player)["_play"] = lambda: player._begin_stream(player._settled, OWN_VOLUME)
    player.pause(True)
    player._probe_at, vlc.percent = 0.0, 0
    present = list[bool]()
    player.watch_device(present.append)
    player._watch()
    assert (player.state, present) == ("playing", [False, True])
    follow(player)
    assert (vlc.paused, set(vlc.volumes)) == (True, {0})


@pytest.mark.parametrize(("keeps_by_role", "role"), [(True, None), (False, "Music")])
def test_a_role_is_told_where_its_volume_is_not_that_of_all_music(keeps_by_role: bool, role: object) -> None:
    """Else a mute of another player of music were ours, and a pause of ours its volume."""
    _, vlc, _ = served(Traits(has_volumes=True, keeps_by_role=keeps_by_role))
    assert vlc.role == role


def test_where_no_server_has_volumes_the_programme_obeys() -> None:
    """VLC is told nothing: it would obey as late, in jumps, and twice. When a server comes it has all, and back."""
    player, vlc, left = served(Traits(), volume=0.5)
    player.pause(True)
    player.mute(True)
    follow(player)
    assert (vlc.volumes, left[-1], player.left_volume, player.level) == ([], (0.5, True, True), 0.5, 1.0)
    player._begin_stream(player._settled, OWN_VOLUME)
    assert (left[-1], player.left_volume, player.level) == ((1.0, False, False), 1.0, 0.0)
    player._begin_stream(threading.Event(), Traits())  # of a media that is gone
    assert player.left_volume == 1.0
    player._begin_stream(player._settled, Traits())
    assert left[-1] == (0.5, True, True)


def test_a_volume_of_the_systems_sound_settings_is_adopted() -> None:
    """A key goes on from there, and a pause comes back to it; not what is heard of our own, nor 0, which is said."""
    player, vlc, _ = served()
    clock = cast("FakeClock", player._clock)
    for percent, volume_percent, heard in ((50, 12, 50), (0, 12, 0), (10, 1, 10), (153, 100, 153)):
        vlc.percent = percent
        watch_for(player, clock, 2.0)
        assert (player.volume_percent, vlc.percent) == (volume_percent, heard)
    vlc.percent = 50
    watch_for(player, clock, 2.0)
    for paused in (True, False):
        player.pause(paused)
        follow(player)
        watch_for(player, clock, 2.0)
    assert (vlc.percent, player.volume) == (50, 0.125)
    player.set_volume(0.2)
    follow(player)
    vlc.percent = 50  # the server is slow
    player._watch()
    assert player.volume == 0.2


@pytest.mark.parametrize("keep_silent", [StreamPlayer.pause, StreamPlayer.mute])
def test_a_volume_of_the_system_while_we_are_silent_is_heard_after_that(
    keep_silent: Callable[[StreamPlayer, bool], None],
) -> None:
    """The pause, or the mute, stays one till then; what was told last is the volume, here or there."""
    player, vlc, _ = served()
    clock = cast("FakeClock", player._clock)
    keep_silent(player, True)
    follow(player)
    watch_for(player, clock, 2.0)
    vlc.percent = 50
    watch_for(player, clock, 1.0)
    follow(player)
    assert (vlc.percent, player.volume) == (0, 0.125)
    keep_silent(player, False)
    follow(player)
    assert vlc.percent == 50


def test_a_volume_of_0_ends_in_the_systems_sound_settings_too() -> None:
    """It is shown as it is heard."""
    player, vlc, _ = served(volume=0.0)
    follow(player)
    vlc.percent = 50
    watch_for(player, cast("FakeClock", player._clock), 2.0)
    assert (vlc.percent, player.volume_percent, player.is_silent) == (50, 12, False)


def test_a_pause_is_no_stall() -> None:
    """VLC pulls nothing while it is paused; when it does not go on then, it is one."""
    player, _, _ = served()
    vars(player._player)["get_state"] = lambda: 4
    player.pause(True)
    follow(player)
    needs = functools.partial(StreamPlayer._needs_playing, player)
    assert not any(needs(now) for now in (0.0, 2.0, 10.0, 60.0))
    player.pause(False)
    follow(player)
    assert [needs(now) for now in (61.0, 62.0, 64.0)] == [False, False, True]


@pytest.mark.parametrize("wished", [True, False])
def test_a_pause_is_asked_for_until_vlc_tells_of_it(wished: bool) -> None:
    """It takes none while it opens a media, and may obey the one before after that."""
    player, vlc, _ = served()
    vars(vlc)["get_state"] = lambda: STATE.Playing if wished else STATE.Paused
    player.pause(wished)
    follow(player)
    vlc.paused = not wished
    player._needs_playing = functools.partial(StreamPlayer._needs_playing, player)  # type: ignore[method-assign]
    player._watch()
    follow(player)
    assert vlc.paused == wished


def test_paused_time_is_added_up() -> None:
    """Whoever carries it out; a pause that is asked for twice is one."""
    player, clock, _ = watched()
    for paused in (False, True, True, False, False, True):
        player.pause(paused)
        clock.time_s += 1.0
    assert player.paused_s == 3.0


def test_what_the_sound_server_keeps_of_us_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a mute would be one of all players of music; what the listener has there stays."""
    monkeypatch.setenv("PULSE_PROP", "media.role=phone")
    LibVlc()
    properties = os.environ["PULSE_PROP"].split()
    assert properties[-1] == "media.role=phone"
    assert "module-stream-restore.id=sink-input-by-application-id:sagyo-on" in properties
    assert "state.restore-props=false" in properties
