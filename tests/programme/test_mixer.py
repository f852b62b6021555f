"""The programme: exact, seamless, never silent, whatever comes and whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doubles.sounds import QuietBed, info, piece, played, tone
from music.segment import PEAK_LIMIT, SAMPLE_RATE_HZ, Piece, Recipe, Samples, Source
from programme.crossfade import Overlap, angles, gains, law_for
from programme.mixer import Mixer
from programme.programme import Dropped, Started

RATE_HZ = 1000
FADE_S = 0.4

Script = list[tuple[int, str, float]]


def mixer(*pieces: Piece, crossfade_s: float = FADE_S) -> Mixer:
    """Return a mixer with a known bed at a low rate, that was offered some pieces."""
    made = Mixer(QuietBed(), crossfade_s=crossfade_s, rate_hz=RATE_HZ)
    for one in pieces:
        made.offer(one)
    return made


def short(seconds: float, source: Source = Source.FRESH, key: str = "one", amplitude: float = 0.1) -> Piece:
    """Return a constant tone of 50 Hz at the low rate."""
    samples = tone(seconds, amplitude=amplitude, hz=50, rate_hz=RATE_HZ)
    return Piece(samples, source, key)


def resting(seconds: float, begin_s: float, rest_s: float, key: str, level_dbfs: float = -23.0) -> Piece:
    """Return a tone of a level (RMS) that rests from `begin_s` on, without a click."""
    made = short(seconds, key=key, amplitude=2**0.5 * 10 ** (level_dbfs / 20))
    made.samples[round(begin_s * RATE_HZ) : round((begin_s + rest_s) * RATE_HZ)] *= 0
    return made


def longest_quiet_s(out: Samples) -> float:
    """Return the longest stretch below -50 dBFS, in blocks of 10 ms."""
    power = (out.astype(np.float64) ** 2).reshape(-1, RATE_HZ // 100 * 2).mean(axis=1)
    loud = np.flatnonzero(np.concatenate(([True], power >= 1e-5, [True])))
    return float(np.diff(loud).max() - 1) / 100


def steps(out: Samples) -> float:
    """Return the largest step from one frame to the next."""
    return float(np.abs(np.diff(out, axis=0)).max(initial=0.0))


def perform(target: Mixer, script: Script, total_frames: int, splits: list[int]) -> Samples:
    """Read `total_frames`, doing what `script` says at its frames, in blocks of the sizes `splits` repeats."""

    def act(command: str, value: float) -> None:
        commands: dict[str, Callable[[], None]] = {
            "fresh": lambda: target.offer(short(value, Source.FRESH)),
            "library": lambda: target.offer(short(value, Source.LIBRARY)),
            "builtin": lambda: target.offer(short(value, Source.BUILTIN)),
            "skip": target.skip,
            "soon": target.change_soon,
            "pause": lambda: target.pause(True),
            "resume": lambda: target.pause(False),
            "volume": lambda: target.set_volume(min(1.0, value / 3)),
            "mute": lambda: target.mute(value > 1),
            "rest": lambda: target.rest(value > 1),
            "hold": lambda: target.hold(value > 1),
            "withdraw": lambda: target.withdraw(lambda _piece: True),
            "prefer": lambda: target.prefer_library(value > 1),
        }
        commands[command]()

    return played(target, [(at, partial(act, command, value)) for at, command, value in script], total_frames, splits)


COMMANDS = (
    "fresh", "fresh", "library", "builtin", "skip", "soon", "pause", "resume", "volume", "mute", "rest", "hold",
    "withdraw", "prefer",
)  # fmt: skip
scripts = st.lists(st.tuples(st.integers(0, 6000), st.sampled_from(COMMANDS), st.floats(0.0, 3.0)), max_size=14)
block_sizes = st.lists(st.integers(1, 700), min_size=1, max_size=5)


@given(scripts, block_sizes, block_sizes)
def test_any_split_gives_the_same_samples(script: Script, one: list[int], other: list[int]) -> None:
    """The same inputs at the same frames give the same samples, however the calls are split."""
    first = perform(mixer(), script, 6000, one)
    second = perform(mixer(), script, 6000, other)
    assert np.array_equal(first, second)


@given(scripts, block_sizes)
@example([(173, "fresh", 1.0), (359, "fresh", 0.004), (1170, "skip", 0.0)], [1])
def test_no_command_clicks(script: Script, blocks: list[int]) -> None:
    """Whatever is asked in whatever order: no step larger than the material and the shortest ramp make."""
    out = perform(mixer(), script, 6000, blocks)
    assert np.isfinite(out).all()
    # 50 Hz at 0.1 moves 0.031 a frame; two of them in a fade 0.044; the shortest fades and the gate add to that.
    assert steps(out) < 0.07
    assert np.abs(out).max(initial=0.0) <= 1.0


@given(scripts, block_sizes)
def test_frames_are_conserved(script: Script, blocks: list[int]) -> None:
    """Every frame read is counted once: as one source's, or as paused."""
    target = mixer()
    perform(target, script, 6000, blocks)
    snapshot = target.snapshot()
    assert sum(snapshot.frames.values()) + snapshot.paused_frames == 6000


@given(scripts, block_sizes)
def test_never_silent(script: Script, blocks: list[int]) -> None:
    """Before volume and pause, the programme itself is never silent."""
    target = mixer()
    perform(target, script, 6000, blocks)
    assert target.snapshot().silent_frames == 0


def test_the_bed_plays_when_nothing_else_is_there() -> None:
    """With nothing in stock the bed is heard from the first frame."""
    target = mixer()
    assert np.allclose(target.read(500), QuietBed.LEVEL)
    assert target.snapshot().frames[Source.BED] == 500


@pytest.mark.parametrize("best", [Source.FRESH, Source.LIBRARY, Source.BUILTIN])
def test_the_best_source_goes_first(best: Source) -> None:
    """The order is fresh, library, built-in, whatever the order of arrival."""
    order = [Source.FRESH, Source.LIBRARY, Source.BUILTIN]
    target = mixer()
    for source in reversed(order[order.index(best) :]):
        target.offer(short(2, source, source.value))
    target.read(10)
    assert [event.piece.source for event in target.take_events()] == [best]


def test_library_first_when_fresh_is_scarce() -> None:
    """`prefer_library` lets the library go before fresh, and only it."""
    target = mixer()
    target.prefer_library(True)
    for source in (Source.BUILTIN, Source.FRESH, Source.LIBRARY):
        target.offer(short(2, source))
    target.read(10)
    assert target.snapshot().playing.source is Source.LIBRARY


def test_a_fade_keeps_the_power_of_uncorrelated_pieces() -> None:
    """Equal power: at every frame of the fade the squared gains add up to 1."""
    target = mixer()
    frames = 2 * RATE_HZ
    left, right = np.zeros((frames, 2), np.float32), np.zeros((frames, 2), np.float32)
    left[:, 0], right[:, 1] = 0.5, 0.5
    target.offer(Piece(left, Source.FRESH, "left"))
    target.offer(Piece(right, Source.FRESH, "right"))
    out = target.read(3 * RATE_HZ)
    fade = out[2 * RATE_HZ - 400 : 2 * RATE_HZ]
    assert np.allclose((fade**2).sum(axis=1), 0.25, atol=1e-4)
    assert fade[0, 1] == pytest.approx(0, abs=1e-3)
    assert fade[-1, 0] == pytest.approx(0, abs=2e-3)


def test_the_next_piece_enters_a_crossfade_before_the_end() -> None:
    """Two pieces of 3 s with 0.4 s of overlap: the second starts at 2.6 s and ends at 5.6 s."""
    target = mixer(short(3, key="a"), short(3, key="b"))
    started = {}
    for frame in range(0, 6000, 10):
        target.read(10)
        for event in target.take_events():
            assert isinstance(event, Started)
            started[event.piece.key] = frame
    assert started == {"a": 0, "b": 2600}


@pytest.mark.parametrize("seconds", [0.04, 0.05, 0.3, 0.7])
def test_a_short_piece_shortens_the_fade(seconds: float) -> None:
    """A piece never spends more than half of itself in one fade, and is heard."""
    target = mixer(short(2, key="long"), short(seconds, key="short"), short(2, key="last"))
    out = target.read(5000)
    assert [event.piece.key for event in target.take_events()] == ["long", "short", "last"]
    assert steps(out) < 0.06


def test_a_piece_too_short_to_fade_is_dropped() -> None:
    """Nothing shorter than two of the shortest fades is ever played."""
    target = mixer(Piece(np.full((39, 2), 0.5, np.float32), Source.FRESH, "crumb"))
    target.read(100)
    assert [type(event) for event in target.take_events()] == [Dropped]


@pytest.mark.parametrize("n_frames", [0, 1, 39])
def test_what_is_left_of_a_file_is_not_gone_back_to(n_frames: int, caplog: pytest.LogCaptureFixture) -> None:
    """Another program may have cut it since it was heard: what plays goes on."""
    target = mixer(short(30))
    target.read(2000)
    target.play(Piece(np.full((n_frames, 2), 0.5, np.float32), Source.LIBRARY, "crumb"))
    target.read(2000)
    assert [event.piece.key for event in target.take_events()] == ["one"]
    assert caplog.text == ""


def test_a_late_piece_still_fades() -> None:
    """When the next piece comes after its moment, what is left of the old one is used for the fade."""
    target = mixer(short(6, key="a"), crossfade_s=2)
    first = target.read(4500)  # the fade was due at 4000
    target.offer(short(6, key="b"))
    out = np.concatenate([first, target.read(1500)])
    assert [event.piece.key for event in target.take_events()] == ["a", "b"]
    assert target.snapshot().frames[Source.BED] == 0
    assert not target.snapshot().fading
    assert steps(out) < 0.05


def test_overlaps_stay_below_the_limit() -> None:
    """Two pieces at full level overlap without passing -1 dBFS."""
    target = mixer()
    for key in "abc":
        target.offer(short(2, key=key, amplitude=PEAK_LIMIT))
    assert np.abs(target.read(6000)).max() <= PEAK_LIMIT + 1e-6


def test_overlaps_of_moderate_pieces_are_left_alone() -> None:
    """The limit touches only what would pass it: quiet pieces keep their exact equal-power sum."""
    target = mixer(short(2, key="a"), short(2, key="b"))
    out = target.read(2000)
    angle = np.linspace(0, np.pi / 2, 401)[:-1, None]
    wave = tone(2, hz=50, rate_hz=RATE_HZ)
    expected = wave[1600:] * np.cos(angle) + wave[:400] * np.sin(angle)
    assert np.allclose(out[1600:], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("going", "coming"),
    [
        (resting(8, 8, 0, "fades out softly", -40), resting(8, 0, 1.9, "opens with a rest")),
        (resting(8, 8, 0, "fades out softly", -40), resting(8, 1.3, 0.6, "rests soon")),
        (resting(8, 6.1, 0.6, "rests late", -40), resting(8, 8, 0, "opens softly", -40)),
        (resting(8, 6, 1, "rests late"), resting(8, 1, 1, "rests soon")),
    ],
    ids=lambda one: one.key,
)
def test_a_fade_opens_no_hole(going: Piece, coming: Piece) -> None:
    """Where one of two pieces rests in the overlap, the other one is there, however softly."""
    target = mixer(going, coming, crossfade_s=2)
    assert longest_quiet_s(target.read(13_000)) <= 0.25


rests = st.tuples(st.integers(0, 150), st.integers(0, 200))
soft_levels = st.floats(-43.0, -1.0)


@given(rests, st.booleans(), soft_levels, soft_levels, block_sizes)
def test_no_fade_opens_a_hole(
    rest: tuple[int, int], first: bool, level: float, other_level: float, splits: list[int]
) -> None:
    """A rest anywhere in an overlap of 2 s, in either piece: no dead air, no peak, nothing lost, any split.

    Only one piece rests at a time, and inside the overlap; the tones are as loud as peaks allow, or soft.
    """
    begin_s = rest[0] / 100
    rest_s = min(rest[1] / 100, 2.0 - begin_s)
    level, other_level = min(level, -4.1), min(other_level, -4.1)  # a sine's peak is 3 dB above its RMS

    def play(sizes: list[int]) -> tuple[Mixer, Samples]:
        target = mixer(
            resting(8, 6 + begin_s if first else 8, rest_s, "a", level),
            resting(8, 8 if first else begin_s, rest_s, "b", other_level),
            crossfade_s=2,
        )
        return target, perform(target, [], 9_000, sizes)

    target, out = play(splits)
    assert longest_quiet_s(out) <= 0.25
    assert np.abs(out).max() <= PEAK_LIMIT + 1e-6
    assert sum(target.snapshot().frames.values()) == 9_000
    assert np.array_equal(out, play([9_000])[1])


def test_rests_of_both_pieces_leave_the_fade_plain() -> None:
    """Where nothing can be won, or nothing is to be won, the gains move all the time; so they do for a skip."""
    steady, silent = short(8, key="steady"), resting(8, 0, 8, "silent")
    for going, coming in ((steady, steady), (silent, silent)):
        assert law_for(Overlap(going, 6000, coming, 2000, (0.1, 0.1)), RATE_HZ)[0].moving_frames == 2000
    assert (
        law_for(Overlap(resting(8, 8, 0, "soft", -40), 3000, silent, 500, (0.1, 0.1)), RATE_HZ)[0].moving_frames == 500
    )


@pytest.mark.parametrize(
    ("going", "coming"),
    [
        (resting(8, 8, 0, "soft", -40), resting(8, 1.85, 1, "rests on")),
        (resting(8, 5.15, 1, "has rested"), resting(8, 8, 0, "soft", -40)),
    ],
    ids=lambda one: one.key,
)
def test_a_rest_is_seen_beyond_the_overlap(going: Piece, coming: Piece) -> None:
    """A rest that lies in the overlap for 0.15 s only is a long one all the same, and is shortened."""
    assert law_for(Overlap(going, 6000, coming, 2000, (0.1, 0.1)), RATE_HZ)[0].moving_frames == 500


@given(st.integers(1, 3000), st.floats(0.01, 1.0), st.floats(0.0, 1.5))
def test_a_lingering_fade_is_equal_power_too(length: int, moving: float, begin: float) -> None:
    """However long it lingers: squared gains add up to 1, one falls, the other rises, no step, and it arrives."""
    moving_for = max(1, round(moving * length))
    course = angles(np.arange(length + 1.0), length, moving_for, begin)
    falling, rising = gains(course, (0.1, 0.1))
    assert np.allclose(falling**2 + rising**2, 1.0)
    assert (np.diff(falling) <= 1e-12).all()
    assert (np.diff(rising) >= -1e-12).all()
    assert np.diff(course).max() <= (np.pi / 2 - begin) / moving_for + 1e-12
    assert [course[0], course[-1]] == pytest.approx([begin, np.pi / 2])


def test_skip_is_over_within_half_a_second() -> None:
    """After a skip the next piece is alone within 0.5 s."""
    target = mixer(short(10, key="a"), short(10, key="b"))
    target.read(1000)
    target.skip()
    target.read(500)
    assert target.snapshot().playing.key == "b"
    assert not target.snapshot().fading


def test_skip_hastens_a_fade_under_way() -> None:
    """A skip in a long crossfade ends it within 0.5 s instead of skipping the incoming piece too."""
    target = mixer(short(20, key="a"), short(20, key="b"), short(20, key="c"), crossfade_s=4)
    target.read(16_500)
    assert target.snapshot().fading
    target.skip()
    out = target.read(500)
    assert not target.snapshot().fading
    assert target.snapshot().playing.key == "b"
    assert steps(out) < 0.05


def test_skip_without_a_next_piece_waits_for_one() -> None:
    """A skip never leads into the noise: it is kept until there is something to skip to."""
    target = mixer(short(60, key="a"))
    target.read(1000)
    target.skip()
    target.read(1000)
    assert target.snapshot().playing.key == "a"
    target.offer(short(60, key="b"))
    target.read(500)
    assert target.snapshot().playing.key == "b"


def test_it_says_when_it_waits_for_a_piece() -> None:
    """While there is only the bed, or a skip leads nowhere yet; not in a break, which wants none."""
    target = mixer()

    def waits() -> bool:
        target.read(600)
        return target.snapshot().waiting

    assert waits()
    target.offer(short(60, key="a"))
    assert not waits()
    target.skip()
    assert waits()
    target.offer(short(60, key="b"))
    assert not waits()
    target.rest(True)
    target.skip()
    assert not waits()


def test_holding_skip_for_ten_seconds_is_never_silent() -> None:
    """A storm of skips with late pieces plays on."""
    target = mixer()
    for round_ in range(300):
        target.skip()
        if round_ % 7 == 0:
            target.offer(short(20, key=str(round_)))
        target.read(33)
    assert target.snapshot().silent_frames == 0


def test_change_soon_crossfades_at_the_next_arrival() -> None:
    """After a change of mood the first new piece fades in at once, over the whole crossfade."""
    target = mixer(short(60, key="old"), short(60, key="old too"))
    target.read(1000)
    target.withdraw(lambda _piece: True)
    target.change_soon()
    target.read(1000)
    assert target.snapshot().playing.key == "old"
    target.offer(short(60, key="new"))
    target.read(400)
    assert target.snapshot().playing.key == "new"


def test_pause_uses_nothing_up() -> None:
    """While paused the piece stands still and zeros are read; it goes on where it was."""
    target = mixer(short(20))
    target.read(1000)
    target.pause(True)
    target.read(50)
    elapsed_s = target.snapshot().playing.elapsed_s
    assert not target.read(5000).any()
    assert target.snapshot().playing.elapsed_s == elapsed_s
    target.pause(False)
    assert target.read(200)[60:].any()
    assert target.snapshot().paused_frames == 5000


def test_a_held_programme_stays_held_when_pause_ends() -> None:
    """No sound device and a pause add up: both must end."""
    target = mixer()
    target.hold(True)
    target.pause(True)
    target.pause(False)
    target.read(100)
    assert not target.read(100).any()
    target.hold(False)
    assert target.read(200).any()


def test_volume_moves_along_a_ramp() -> None:
    """A jump of the volume is spread over 50 ms."""
    target = mixer()
    target.read(100)
    target.set_volume(0.0)
    out = target.read(100)
    assert out[0, 0] > 0.9 * QuietBed.LEVEL
    assert not out[50:].any()
    assert steps(out) < 1.5 * QuietBed.LEVEL / 50


def test_every_change_of_what_is_heard_is_told() -> None:
    """The bed that steps in too, of which there is no event: the screen says so at once."""
    target, told = mixer(short(2.0)), []
    target.on_change = lambda: told.append(target.playing_piece() is None)
    for _ in range(25):
        target.read(100)
        target.take_events()
    assert told == [False, True]


def test_rest_fades_to_the_bed_and_back() -> None:
    """In a break the bed plays although music is in stock; afterwards the music comes back."""
    target = mixer(short(20, key="a"), short(20, key="b"))
    target.read(1000)
    target.rest(True)
    target.read(400)
    assert np.allclose(target.read(3000), QuietBed.LEVEL)
    target.rest(False)
    target.read(400)
    assert target.snapshot().playing.key == "b"


def test_fade_out_ends_in_silence_and_counts_none() -> None:
    """The end of a session fades everything to zero; that is no failure of the programme."""
    target = mixer()
    target.fade_out(1.0)
    out = target.read(2000)
    assert out[500, 0] == pytest.approx(QuietBed.LEVEL / 2, rel=0.01)
    assert not out[1000:].any()
    assert target.snapshot().silent_frames == 0


def test_a_fade_out_that_is_asked_for_again_takes_its_whole_time() -> None:
    """From where it is by then: no jump, and no silence before the end."""
    target = mixer()
    for frames in (500, 400):
        target.fade_out(1.0)
        target.read(frames)
    out = target.read(200)
    assert out[0, 0] == pytest.approx(QuietBed.LEVEL / 2 * 0.6, rel=0.02)
    target.fade_out(1.0)
    out = target.read(1000)
    assert out[900, 0] > 0
    target.fade_out(1.0)
    assert not target.read(100).any()


def test_a_broken_piece_does_not_stop_the_programme() -> None:
    """`read` never raises: a piece of the wrong shape is replaced by the bed."""
    target = mixer(Piece(np.zeros((5000, 7), np.float32), Source.FRESH, "wrong"))
    assert len(target.read(1000)) == 1000
    assert np.allclose(target.read(1000), QuietBed.LEVEL)


def test_silence_is_noticed() -> None:
    """A silent stretch in what is played is counted, in frames and as the longest."""
    target = mixer()
    samples = tone(4, hz=50, rate_hz=RATE_HZ)
    samples[1000:2000] = 0
    target.offer(Piece(samples, Source.FRESH, "hole"))
    for _ in range(30):
        target.read(100)
    assert target.snapshot().silent_frames == pytest.approx(1000, abs=20)
    assert target.snapshot().longest_silence_s == pytest.approx(1.0, abs=0.02)


def test_levels_follow_the_sound() -> None:
    """The meter shows the RMS of what is played, in dBFS."""
    target = mixer(piece(3, rate_hz=RATE_HZ))
    target.read(1000)
    for _ in range(10):
        target.read(100)
    assert target.snapshot().levels_db[-1] == pytest.approx(-23.0, abs=0.2)


@given(
    st.sampled_from(["pause", "mute", "hold", "fade_out", "volume"]), st.integers(0, 5), st.lists(st.integers(1, 90))
)
def test_the_last_defence_is_no_louder_than_asked(wish: str, at_block: int, splits: list[int]) -> None:
    """However often the mixer fails, before or after: pause, mute, no device, the end and volume 0 are silent."""
    target, wishes = mixer(), {
        "pause": lambda: target.pause(True), "mute": lambda: target.mute(True), "hold": lambda: target.hold(True),
        "fade_out": lambda: target.fade_out(0.05), "volume": lambda: target.set_volume(0.0),
    }  # fmt: skip
    target._mix = lambda _block: 1 // 0  # type: ignore[assignment, method-assign]
    for block in range(8):
        if block == at_block:
            wishes[wish]()
        target.read(50)
    assert [np.abs(target.read(n)).max(initial=0.0) for n in [50, *splits]] == [0.0] * (1 + len(splits))
    frames = target.snapshot()
    assert sum(frames.frames.values()) + frames.paused_frames == 8 * 50 + 50 + sum(splits)


def test_a_failure_does_not_step_in_level() -> None:
    """The bed that steps in follows the ramps: a pause while the mixer fails does not click."""
    target = mixer()
    target._mix = lambda _block: 1 // 0  # type: ignore[assignment, method-assign]
    target.read(100)
    target.pause(True)
    out = target.read(200)
    assert steps(out) < 0.001
    assert out[0, 0] > 0.009
    assert np.abs(out[60:]).max() == 0.0


def test_a_command_that_fails_costs_no_other() -> None:
    """What stands behind it in the inbox takes effect at the same frame."""
    target = mixer()
    target.withdraw(lambda _piece: bool(1 // 0))
    target.offer(short(2))
    target.withdraw(lambda _piece: bool(1 // 0))
    target.pause(True)
    target.read(10)
    assert target.snapshot().paused


def of_builtin(bpm: int | None, signature: str, cue_in_s: float = 0.0) -> Piece:
    """Return a built-in piece of a minute with a tempo."""
    recipe = Recipe("lofi", "", 60.0, bpm, "", signature)
    about = replace(info(60.0), recipe=recipe)
    about = replace(about, analysis=replace(about.analysis, cue_in_frames=round(cue_in_s * SAMPLE_RATE_HZ)))
    return replace(short(60, Source.BUILTIN, "built-in"), info=about)


@pytest.mark.parametrize(
    ("bpm", "signature", "cue_in_s", "phrase_s"),
    [(120, "4", 0.0, 8.0), (80, "4", 0.0, 6.0), (80, "3", 0.5, 4.5), (60, "4", 0.25, 8.0), (40, "4", 0.0, 6.0),
     (None, "", 0.0, 8.0), (100, "6", 0.0, 7.2), (60, "6/8", 0.0, 6.0)],
)  # fmt: skip
def test_built_in_music_gives_way_at_its_next_phrase(
    bpm: int | None, signature: str, cue_in_s: float, phrase_s: float
) -> None:
    """What is better and comes at 13 s is faded in where the next phrase of the built-in piece begins."""
    target = mixer(of_builtin(bpm, signature, cue_in_s))
    target.read(13_000)
    target.offer(short(20, Source.FRESH, "fresh"))
    at_frame = 13_000
    while target.snapshot().playing.source is Source.BUILTIN:
        target.read(1)
        at_frame += 1
    phrases = (at_frame - 1 + cue_in_s * RATE_HZ) / (phrase_s * RATE_HZ)
    assert phrases == pytest.approx(round(phrases), abs=1e-3)
    assert at_frame - 13_000 <= 8_001


def test_built_in_music_that_was_asked_for_is_heard_to_its_end() -> None:
    """The listener went back to it: what is better waits."""
    target = mixer(short(30, Source.BUILTIN))
    target.read(2000)
    target.play(short(30, Source.BUILTIN, "asked"))
    target.offer(short(30, key="better"))
    target.read(25_000)
    playing = target.snapshot().playing
    assert (playing.key, playing.asked) == ("asked", True)


def test_other_built_in_music_and_pieces_of_the_library_do_not_hurry() -> None:
    """Only what is better cuts a built-in piece short, and nothing else is cut short by what is fresh."""
    for playing, coming in ((Source.BUILTIN, Source.BUILTIN), (Source.LIBRARY, Source.FRESH)):
        target = mixer(replace(of_builtin(80, "4"), source=playing, key="now"))
        target.read(100)
        target.offer(short(20, coming, "next"))
        target.read(50_000)
        assert target.snapshot().playing.key == "now"


def test_nothing_is_decided_anew_until_it_can_be_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next transition is thought over when something was asked for, and when it comes, not with every read."""
    planned: list[int] = []
    plan = Mixer._plan

    def counted(mixer: Mixer) -> object:
        planned.append(1)
        return plan(mixer)

    monkeypatch.setattr(Mixer, "_plan", counted)
    mixer = Mixer(QuietBed(), crossfade_s=0.5)
    mixer.offer(piece(20.0, key="one"))
    mixer.offer(piece(20.0, key="two"))
    for _ in range(100):
        mixer.read(SAMPLE_RATE_HZ // 10)
    assert len(planned) <= 4
    mixer.skip()
    mixer.read(SAMPLE_RATE_HZ)
    assert mixer.snapshot().playing.key == "two"
