"""The built-in engine: always music, with form, harmony and feel; and a bed that never ends."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import tracemalloc
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builtin import harmony, kit, synth
from builtin.composer import FASTEST_PULSE_BPM, SLOWEST_PULSE_BPM, compose, form
from builtin.engine import LOUDNESS_LUFS, forget, perform, version
from builtin.score import Drum, Note, Part, Role, Score, amplitude, velocity_of
from builtin.signals import keep
from builtin.studio import Convolver, tape
from builtin.styles import (
    BASSES,
    COMPS,
    DRUMS,
    FILLS,
    PROGRESSIONS,
    SCALES,
    STYLES,
    choose_style,
    named_texture,
    named_voices,
)
from builtin.voices import VOICES, Choir, Solo, Struck
from doubles.pieces import STATIONS, piece, recipe, render
from listening import musical
from listening.listening import loudness_lufs, momentary_lufs, quiet_stretches
from listening.scores import alone, bars_of, bass_share, held_rub_share, levels_of, phrases_of
from music.keys import parse_key
from music.segment import SAMPLE_RATE_HZ, Recipe, Samples
from programme.openings import piece_recipe

BEATS = tuple(name for name, style in STYLES.items() if style.drums)
KEYS = ("C major", "F# minor", "Bb major", "A minor")
SEEDS = range(3)
each_station = pytest.mark.parametrize("station", STATIONS)

recipes = st.builds(
    Recipe,
    station=st.sampled_from((*STATIONS, "custom")),
    prompt=st.sampled_from(("", "techno in the rain", "no drums, harp", "日本の琴", "x" * 600)),
    duration_s=st.floats(0.0, 240.0),
    bpm=st.none() | st.integers(30, 300),
    key_scale=st.sampled_from(("", "garbage", "n/a", *KEYS)),
    time_signature=st.sampled_from(("", "2", "3", "4", "6", "7/8")),
)


def block_levels_db(samples: Samples, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the RMS level of each block of `seconds`, in dBFS."""
    size = round(seconds * SAMPLE_RATE_HZ)
    blocks = samples[: len(samples) // size * size].reshape(-1, size * 2).astype(float)
    return np.asarray(10 * np.log10((blocks**2).mean(1) + 1e-12))


@functools.cache
def written(station: str, seed: int) -> Score:
    """Return a whole piece of a station as it is written."""
    return compose(recipe(station, 180.0), seed)


def chroma(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the share of energy of each pitch class between 110 Hz and 1 kHz (within 30 cents of the note)."""
    power = np.abs(np.fft.rfft(samples.mean(1) * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    used = (hz > 110) & (hz < 1000)
    pitch = 69 + 12 * np.log2(hz[used] / 440)
    near = np.abs(pitch - np.round(pitch)) < 0.3
    shares = np.bincount(np.round(pitch[near]).astype(int) % 12, power[used][near], 12)
    return np.asarray(shares / shares.sum())


# -- the sound of a piece ---------------------------------------------------------------------------------------------


def test_what_pieces_have_in_common_can_be_forgotten() -> None:
    """Nothing large is left of a piece, and the next one sounds as it would have."""
    kept = kit.stroke, synth._choir_loop, synth._modes
    before = render(recipe("lofi", 20.0), 1)
    assert kit.stroke.cache_info().currsize
    forget()
    assert not any(one.cache_info().currsize for one in kept)
    np.testing.assert_array_equal(render(recipe("lofi", 20.0), 1), before)


@each_station
def test_a_piece_is_music_from_the_first_sample_to_the_last(station: str) -> None:
    """Every station: finite, below -1 dBFS, about -22 LUFS, there at once, without a hole, and not faded at the end."""
    score, samples = piece(station)
    assert samples.shape == (score.frames, 2) and abs(score.frames / SAMPLE_RATE_HZ - 60) < 2 * 4 * score.bar_s
    assert samples.dtype == np.float32 and samples.flags.c_contiguous
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 10 ** (-1 / 20)
    assert -24 < loudness_lufs(samples) < -20
    levels = block_levels_db(samples, 0.1)
    assert levels[0] > -36, "starts promptly"
    assert levels[1:].min() > -50, "no hole"
    assert levels[-10:].max() > -40, "no fade at the end"


@each_station
def test_a_piece_begins_with_its_main_texture(station: str) -> None:
    """Who starts the program or skips hears music at once: 0.4 s of the first 8 s are never 12 LU under the piece."""
    assert momentary_lufs(piece(station)[1][: 8 * SAMPLE_RATE_HZ]).min() > LOUDNESS_LUFS - 12


@pytest.mark.virtual
@each_station
@pytest.mark.parametrize("seed", SEEDS)
def test_every_piece_begins_with_its_main_texture(station: str, seed: int) -> None:
    """The same of more pieces."""
    score = written(station, seed)
    bars = itertools.islice(perform(score), math.ceil(8.2 / score.bar_s))
    assert momentary_lufs(np.concatenate(list(bars))[: 8 * SAMPLE_RATE_HZ]).min() > LOUDNESS_LUFS - 12


@each_station
def test_a_piece_never_seems_to_have_stopped(station: str) -> None:
    """Nowhere, its thinning and its tail included, is it below -45 dBFS for a second."""
    assert quiet_stretches([piece(station)[1]], -45.0, 1.0) == []


@each_station
def test_no_click_at_the_edges_or_inside(station: str) -> None:
    """The piece begins and ends at zero, and nothing in it jumps by more than its own waves do."""
    samples = piece(station)[1]
    assert np.abs(samples[[0, -1]]).max() < 1e-3
    assert np.abs(np.diff(samples, axis=0)).max() < 0.13
    assert abs(float(samples.mean())) < 1e-3, "no direct current"


@each_station
def test_the_sides_and_the_top(station: str) -> None:
    """Mono loses at most 1.5 dB and bass is mono; there is air above 8 kHz, as in the usual real recording."""
    samples = piece(station)[1][: 1 << 21]  # 44 s, a length of which a spectrum is quick
    assert musical.mono_loss_db(samples) <= 1.5
    assert musical.low_width_db(samples) < -15
    assert -46 < musical.air_db(samples) < -27


@pytest.mark.parametrize("station", BEATS)
def test_the_loud_moments_stand_out(station: str) -> None:
    """Where there is a beat, the level of 50 ms ranges over 10 dB and more (p95 - p10)."""
    assert musical.level_range_db(piece(station)[1]) >= 10


@each_station
def test_the_bass_is_heard_under_every_chord(station: str) -> None:
    """The bass, played alone, sounds in at least 95 % of the chords' time."""
    assert bass_share(piece(station)[0]) >= 0.95


@each_station
def test_no_part_drowns_another(station: str) -> None:
    """By the momentary loudness of each alone: drums stay under the whole and the bass near it; the tune is heard."""
    sounds = alone(piece(station)[0])
    parts = {role: momentary_lufs(sound) for role, sound in sounds.items()}
    whole = momentary_lufs(np.sum(list(sounds.values()), axis=0))
    rest = momentary_lufs(np.sum([sound for role, sound in sounds.items() if role is not Role.LEAD], axis=0))
    if Role.DRUMS in parts:
        assert -19 < np.median(parts[Role.DRUMS] - whole) < -2
    assert -14 < np.median(parts[Role.BASS] - whole) < -5
    sung = parts[Role.LEAD] > parts[Role.LEAD].max() - 25
    assert -9 < np.median((parts[Role.LEAD] - rest)[sung]) < 4


def test_a_seed_names_a_piece() -> None:
    """The same seed gives the same samples, another seed another piece, negative and huge seeds included."""
    asked = recipe(duration_s=4.0)
    pieces = [render(asked, seed) for seed in (0, 1, -1, 2**80)]
    assert np.array_equal(render(asked, -1), pieces[2])
    for one, other in itertools.combinations(pieces, 2):
        assert abs(np.corrcoef(one[:99_999].ravel(), other[:99_999].ravel())[0, 1]) < 0.9


@pytest.mark.parametrize("station", ["lofi", "strings", "techno"])
def test_the_beginning_can_be_had_before_the_rest(station: str) -> None:
    """The first bars made alone are the same to the sample as those of the whole, and bars follow bar lines."""
    score, whole = piece(station)
    beginning = list(itertools.islice(perform(score), 2))
    assert [len(bar) for bar in beginning] == [score.bar_frame(1), score.bar_frame(2) - score.bar_frame(1)]
    assert np.array_equal(np.concatenate(beginning), whole[: score.bar_frame(2)])


@pytest.mark.parametrize(
    ("station", "key_scale"),
    [("lofi", "D major"), ("ambient", "F# minor"), ("strings", "D major"), ("koto", "F# minor")],
)
def test_the_key_can_be_heard(station: str, key_scale: str) -> None:
    """At least 95 % of the tonal energy lies on notes of the key; a key a tritone away would hold far less."""
    asked = recipe(station, 16.0, key_scale=key_scale, prompt=f"{station} without drums")
    shares = chroma(render(asked, 4))
    tonic, mode = parse_key(key_scale) or (0, "")
    scale = (0, 2, 4, 5, 7, 9, 11) if mode == "major" else (0, 2, 3, 5, 7, 8, 10)
    assert sum(shares[(tonic + step) % 12] for step in scale) > 0.95
    assert sum(shares[(tonic + 6 + step) % 12] for step in scale) < 0.75


@pytest.mark.parametrize("bpm", [64, 96, 128])
def test_the_beat_can_be_heard(bpm: int) -> None:
    """The onsets of a piece repeat at the beat: their autocorrelation peaks there rather than off it."""
    piece = compose(recipe("techno", 60.0, bpm=bpm, prompt="techno"), 5)
    first = next(section.first_bar for section in piece.sections if section.energy > 0.6)
    needed = first + math.ceil(14 / piece.bar_s)
    samples = np.concatenate(list(itertools.islice(perform(piece), needed)))[piece.bar_frame(first) :]
    samples = samples[: 14 * SAMPLE_RATE_HZ]
    spectrum = np.fft.rfft(samples.mean(1))
    spectrum[90 * 14 :] = 0  # the kick drum remains: bins are 1/14 Hz apart
    hop = SAMPLE_RATE_HZ // 200
    level = np.sqrt((np.fft.irfft(spectrum).reshape(-1, hop) ** 2).mean(1))
    onsets = np.convolve(np.maximum(0, np.diff(level)), np.hanning(9))
    onsets -= onsets.mean()

    def strength(seconds: float) -> float:
        lag = round(seconds * 200)
        return float((onsets[:-lag] * onsets[lag:]).mean())

    beat_s = 60 / bpm
    assert strength(beat_s) > 1.5 * max(strength(beat_s * 0.88), strength(beat_s * 1.12))


# -- the score --------------------------------------------------------------------------------------------------------


def test_scores_differ_from_seed_to_seed() -> None:
    """Forty seeds write forty different pieces of the same recipe."""
    asked = recipe(duration_s=20.0)
    assert len({tuple((note.part, note.pitch) for note in compose(asked, seed).notes) for seed in range(40)}) == 40


@given(recipes, st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_every_score_keeps_the_rules(asked: Recipe, seed: int) -> None:
    """All rules of composing hold of one score, whatever was asked for."""
    score = compose(asked, seed)
    is_whole(asked, score)
    has_no_rubs_and_the_bass_of_its_chords(score)
    has_its_tune_out_of_the_chords_way(score)
    keeps_its_tempo_to_the_end(asked, score)


def is_whole(asked: Recipe, score: Score) -> None:
    """Whole bars and a tail; sections and chords without a gap; parts that are known; notes in order and in range."""
    assert score.frames == round((score.bars * score.bar_s + 4.0) * SAMPLE_RATE_HZ)
    assert abs(score.duration_s - asked.duration_s) <= 2.5 * score.bar_s or asked.duration_s < score.bar_s + 4
    if asked.key_scale in KEYS:
        assert (score.tonic, score.mode) == parse_key(asked.key_scale)
    for stretches in ([(s.first_bar * score.bar_s, s.bars * score.bar_s) for s in score.sections],
                      [(chord.start_s, chord.length_s) for chord in score.chords]):  # fmt: skip
        assert stretches[0][0] == 0
        for (start, length), (following, _) in itertools.pairwise(stretches):
            assert following == pytest.approx(start + length)
        assert sum(length for _, length in stretches) >= score.bars * score.bar_s - 1e-6
    assert list(score.notes) == sorted(score.notes, key=lambda note: (note.start_s, note.pitch))
    parts = {part.name: part for part in score.parts}
    assert all(part.instrument in VOICES or part.role is Role.DRUMS for part in score.parts)
    for note in score.notes:
        assert 0 <= note.start_s < score.duration_s and note.length_s > 0 and 0.1 <= note.velocity <= 1
        if parts[note.part].role is not Role.DRUMS:
            assert 28 <= note.pitch <= 96


def has_no_rubs_and_the_bass_of_its_chords(score: Score) -> None:
    """No two tones of any chord lie a semitone or a flat ninth apart, the bass included; its root begins with it."""
    basses = [note for note in score.notes if note.part in ("bass", "sub")]
    for chord in score.chords:
        assert not musical.rubs((*chord.voicing, chord.bass)), chord
        end_s = min(chord.start_s + chord.length_s, score.duration_s)
        begun = [note for note in basses if chord.start_s - 0.05 <= note.start_s < min(chord.start_s + 0.1, end_s)]
        assert any((note.pitch - chord.bass) % 12 == 0 for note in begun) or end_s - chord.start_s < 0.1


def has_its_tune_out_of_the_chords_way(score: Score) -> None:
    """No note of a tune lies a semitone beside a tone of its chord."""
    tunes = {part.name for part in score.parts if part.role is Role.LEAD}
    starts = np.array([chord.start_s for chord in score.chords])
    for note in score.notes:
        if note.part in tunes:
            at = int(np.searchsorted(starts, note.start_s - 0.1, "right")) - 1
            near = {int(np.searchsorted(starts, note.start_s + shift, "right")) - 1 for shift in (-0.1, 0.1)} | {at}
            tones = [{pitch % 12 for pitch in (*score.chords[i].voicing, score.chords[i].bass)} for i in near if i >= 0]
            assert any(note.pitch % 12 in t or not {(note.pitch + 1) % 12, (note.pitch - 1) % 12} & t for t in tones)


def keeps_its_tempo_to_the_end(asked: Recipe, score: Score) -> None:
    """The beat is the asked tempo (times a power of two), 70-85 where none is asked; something plays in every bar."""
    assert score.bpm == asked.bpm if asked.bpm else 70 <= score.bpm <= 85
    assert SLOWEST_PULSE_BPM <= score.pulse_bpm <= FASTEST_PULSE_BPM
    assert math.log2(score.pulse_bpm / score.bpm).is_integer()
    assert score.bar_s == pytest.approx({"3": 3, "6": 3}.get(asked.time_signature, 4) * 60 / score.pulse_bpm)
    sounding = [(note.start_s - 0.1, note.start_s + note.length_s + 0.1) for note in score.notes]
    bar_lines = np.arange(0, score.duration_s, score.bar_s)
    assert all(any(start <= at <= end for start, end in sounding) for at in bar_lines)


def test_neighbours_of_one_prompt_have_one_tempo() -> None:
    """Where the recipe leaves tempo and key to us, pieces that are to be crossfaded have the same."""
    scores = [compose(Recipe("custom", "rainy piano", 60), seed) for seed in range(5)]
    assert len({(score.bpm, score.tonic, score.mode) for score in scores}) == 1


def test_a_piece_of_another_tail_is_another_piece_and_is_named_so() -> None:
    """An opening that waits on the disk has to go on into the piece that it is of."""
    scores = {tail_s: compose(recipe("lofi", 150.0), 1, tail_s) for tail_s in (4.0, 10.0)}
    eight = {tail_s: [note for note in score.notes if note.start_s < 20] for tail_s, score in scores.items()}
    assert eight[4.0] != eight[10.0]
    assert version("font", 4.0) == version("font", 4.0) != version("font", 10.0)


def test_a_piece_whose_tempo_is_noted_is_the_same_piece() -> None:
    """What is made once more, or further, is asked for at the tempo that was chosen for it."""
    asked = Recipe("custom", "rainy piano", 60)
    first = compose(asked, 3)
    assert compose(dataclasses.replace(asked, bpm=round(first.bpm)), 3) == first


@given(st.integers(1, 200), st.integers(0, 99))
def test_every_form_has_a_beginning_and_an_end(bars: int, seed: int) -> None:
    """Sections of whole phrases cover all bars; from three phrases on there is an intro, and an outro of a phrase."""
    sections = form(bars, np.random.default_rng(seed))
    assert sum(section.bars for section in sections) == bars
    assert all(section.first_bar % 4 == 0 and section.bars > 0 for section in sections)
    if bars >= 12:
        assert (sections[0].name, sections[0].bars, sections[-1].name) == ("intro", 4, "outro")
        assert 4 <= sections[-1].bars < 8
    if bars >= 32:
        assert max(section.energy for section in sections) == 1.0
        assert len({section.name for section in sections}) >= 4


@each_station
@pytest.mark.parametrize("seed", SEEDS)
def test_a_piece_has_an_arc(station: str, seed: int) -> None:
    """Sections of whole phrases rise to a height and thin out; parts enter and rest; the last phrase is quiet."""
    score = written(station, seed)
    assert 120 <= score.duration_s <= 240
    assert len(score.sections) >= 6 and all(section.bars % 4 == 0 for section in score.sections)
    energies = [section.energy for section in score.sections]
    assert energies[0] < 0.5 and energies[-1] < 0.5 and max(energies) > 0.8
    assert energies.index(max(energies)) >= len(energies) // 2, "the height comes late"
    loud, quiet = (
        np.mean([amplitude(note.velocity) for note in score.notes if begin <= note.start_s < begin + length])
        for section in (score.sections[energies.index(max(energies))], score.sections[-1])
        for begin, length in [(section.first_bar * score.bar_s, section.bars * score.bar_s)]
    )
    assert loud > 1.4 * quiet


@each_station
def test_notes_are_as_loud_as_a_player_makes_them(station: str) -> None:
    """Levels spread by 3.9 dB and more inside a part, pieces of a station taken together by 4 or nearly so."""
    spreads = [musical.note_spread_db(levels_of(written(station, seed))) for seed in SEEDS]
    assert min(spreads) > 3.9 and np.mean(spreads) > 4.0


@each_station
@pytest.mark.parametrize("seed", SEEDS)
def test_bars_are_not_copied(station: str, seed: int) -> None:
    """At most a fifth of the bars repeat an earlier one, to the sixteenth, unless the style is made of loops."""
    assert musical.repeated_share(bars_of(written(station, seed))) <= (0.5 if STYLES[station].loops else 0.2)


@functools.cache
def an_hour(station: str) -> list[Score]:
    """Return the pieces of an hour as they are written, in the order in which the program asks for them."""
    return [compose(piece_recipe(STATIONS[station], seed), seed) for seed in range(1, 24)]


@each_station
def test_notes_that_are_held_do_not_rub(station: str) -> None:
    """Of any two parts, over the whole piece: at most 3 % of the time, 1 % on average."""
    shares = [held_rub_share(score) for score in an_hour(station)]
    assert max(shares) < 0.03 and np.mean(shares) < 0.01


@each_station
def test_an_hour_has_many_progressions(station: str) -> None:
    """Of four chords each, besides the turns: more than the bank's lines; and no chord's stand-in is borrowed."""
    lines = set()
    for score in an_hour(station):
        names = [(chord.symbol, score.section(round(chord.start_s / score.bar_s)).name) for chord in score.chords]
        for four in (names[at : at + 4] for at in range(0, len(names) - 3, 4)):
            if "turn" not in {section for _, section in four}:
                lines.add((score.mode, *(symbol for symbol, _ in four)))
    assert len(lines) > 28


def test_what_stands_for_a_chord_shares_two_tones_with_it() -> None:
    """The first chord of a line, and what is borrowed, stay; no root comes twice; many chords are replaced."""
    scale, bank = SCALES["diatonic"]["major"], PROGRESSIONS["jazz major"]
    known = sorted({symbol for lines in bank.values() for line in lines for symbol in line.split()})
    changed = 0
    for seed, line in itertools.product(range(50), (*bank["A"], *bank["B"], *bank["T"])):
        old, new = line.split(), harmony.varied(line, known, scale, np.random.default_rng(seed))
        roots = [harmony.chord_tones(symbol)[0] for symbol in new]
        assert new[0] == old[0] and len(set(roots)) >= len({harmony.chord_tones(symbol)[0] for symbol in old})
        for one, other in zip(old, new, strict=True):
            if one != other:
                changed += 1
                triads = [{(root + tone) % 12 for tone in tones if tone % 12 in (0, 3, 4, 7)}
                          for root, tones in map(harmony.chord_tones, (one, other))]  # fmt: skip
                assert all(triad <= set(scale) for triad in triads) and not {one, other} & {"VI7", "II9", "iv6"}
                assert len({roots[new.index(other)], harmony.chord_tones(one)[0]}) == 1 or triads[0] & triads[1]
    assert changed > 300


@each_station
def test_tunes_go_on_from_where_they_are(station: str) -> None:
    """In an hour phrases have many rhythms, seldom begin on the note of the one before, and stay within a tenth."""
    rhythms, again, count = set(), 0, 0
    for score in an_hour(station):
        phrases = phrases_of(score)
        for phrase in phrases:
            beats = [note.start_s % (2 * score.bar_s) / score.bar_s * score.beats for note in phrase]
            rhythms.add(tuple(round(2 * beat) for beat in beats))
        again += sum(one[0].pitch == other[0].pitch for one, other in itertools.pairwise(phrases))
        count += len(phrases)
    assert len(rhythms) > 30 and again < 0.28 * count


@each_station
def test_the_bass_steps_rather_than_leaps(station: str) -> None:
    """Roots that follow one another seldom lie more than half an octave apart: only at the edges of its range."""
    steps = [abs(b.bass - a.bass) for score in an_hour(station) for a, b in itertools.pairwise(score.chords)]
    assert np.mean([step > 6 for step in steps]) < 0.15


def test_no_crackle_of_a_record_comes_again() -> None:
    """What is left of a background, less what it was a round of its noise before, are the drops of both rounds."""
    vinyl, loop = kit.Texture("vinyl", np.random.default_rng(1)), kit.LOOP_S * SAMPLE_RATE_HZ
    one, other = (vinyl.play(at, loop) for at in (0, loop))
    fallen = np.abs(one - other).max(axis=0) > 1
    assert np.abs(one - other).max() > 3 and 10 < len(set(np.flatnonzero(fallen) // 2400)) < 120


@pytest.mark.parametrize("station", BEATS)
def test_drums_stand_in_their_place(station: str) -> None:
    """Every stroke is near the place of its drum in the beat; hats come before snares; off-beats swing."""
    score = compose(recipe(station, 60.0, prompt=station), 6)
    style, beat_s = STYLES[station], 60 / score.pulse_bpm
    unit = style.swing_beats
    late = defaultdict(list)
    for note in score.notes:
        if note.part == "drums":
            inside = (note.start_s / beat_s + 0.05) % (2 * unit)
            if inside < 0.1:
                late[Drum(note.pitch)].append((inside - 0.05) * beat_s)
    places = {drum: float(np.mean(found)) for drum, found in late.items() if len(found) > 8}
    for drum, found in late.items():
        assert np.std(found) < 0.012, drum
    early = [places[drum] for drum in (Drum.HAT, Drum.SHAKER, Drum.RIDE) if drum in places]
    behind = [places[drum] for drum in (Drum.SNARE, Drum.RIM, Drum.BRUSH) if drum in places]
    assert early and behind and max(early) < min(behind)


@pytest.mark.parametrize("station", BEATS)
def test_the_strokes_of_neighbours_meet(station: str) -> None:
    """While one piece is faded over the next, each drum of theirs strikes within 5 ms of the other's, or not at all."""
    met = 0
    for one, other in itertools.pairwise(compose(STATIONS[station].recipe(seed, 60.0), seed) for seed in range(1, 7)):
        begin_s = one.duration_s - one.tail_s
        going = [(note.pitch, note.start_s - begin_s) for note in one.notes if note.part == "drums"]
        for note in (note for note in other.notes if note.part == "drums" and note.start_s < one.tail_s):
            nearest = min((abs(at - note.start_s) for pitch, at in going if pitch == note.pitch), default=1.0)
            assert nearest < 0.005 or nearest > 0.03
            met += nearest < 0.005
    assert met > 10


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("soft techno for coding", "techno"),
        ("a deep drone", "focus"),
        ("koto in a garden", "koto"),
        ("restrained and sharp, a dozen trains", "lofi"),
        ("late jazz with swing", "jazz"),
        ("", "lofi"),
    ],
)
def test_a_prompt_of_the_users_own_finds_its_style(prompt: str, style: str) -> None:
    """The words of a prompt choose the style, as whole words only; lo-fi where none is known."""
    assert choose_style(Recipe("custom", prompt, 30)) is STYLES[style]


def test_a_station_plays_its_own_style_and_the_named_instrument() -> None:
    """Every station has its style; the instrument and texture of the prompt are played."""
    assert set(STATIONS) == set(STYLES)
    for key in STATIONS:
        assert choose_style(recipe(key, prompt="house techno with koto")) is STYLES[key]
    assert named_voices("vibraphone over rainfall") == ("vibes",)
    assert (named_texture("soft rainfall, vinyl"), named_texture("synthwave, window")) == ("rain", "")
    score = compose(recipe("jazz", 30.0, prompt="jazz with vibraphone, crackling vinyl"), 1)
    assert {part.instrument for part in score.parts if part.name == "lead"} == {"vibes"}
    assert score.texture == "vinyl"


def test_beatless_styles_and_prompts_have_no_drums() -> None:
    """Ambient, piano and drone stations never drum, nor does any prompt that says "no drums"."""
    for asked in (recipe("ambient"), recipe("piano"), recipe("focus"), recipe("lofi", prompt="lofi, no drums")):
        assert not [note for note in compose(asked, 1).notes if note.part == "drums"]
    assert [note for note in compose(recipe("lofi"), 1).notes if note.part == "drums"]


@given(recipes.filter(lambda asked: asked.duration_s < 8), st.integers())
@settings(max_examples=8, deadline=None)
def test_any_recipe_renders(asked: Recipe, seed: int) -> None:
    """Whatever the recipe, down to no duration at all: at least a bar, finite, below full scale."""
    samples = render(asked, seed)
    assert len(samples) == compose(asked, seed).frames > 4 * SAMPLE_RATE_HZ
    assert np.isfinite(samples).all()
    assert np.abs(samples).max(initial=0) <= 0.9


# -- the material -----------------------------------------------------------------------------------------------------


def test_every_chord_can_be_voiced() -> None:
    """All progressions can be read; each chord is open on every root, near any centre that a style may have."""
    symbols = {
        symbol for bank in PROGRESSIONS.values() for lines in bank.values() for line in lines for symbol in line.split()
    }
    for symbol, root, centre in itertools.product(sorted(symbols), range(12), range(58, 69)):
        voicing = harmony.voice(root, harmony.chord_tones(symbol)[1], (), centre)
        assert not musical.rubs(voicing) and voicing[0] >= harmony.LOWEST and len(voicing) >= 3
    with pytest.raises(ValueError, match="not a chord"):
        harmony.chord_tones("H7")


def test_every_pattern_can_be_played() -> None:
    """What a style names is there: patterns, drums, voices, progressions."""
    for style in STYLES.values():
        assert (
            set(style.comps) <= COMPS.keys() and set(style.basses) <= BASSES.keys() and set(style.drums) <= DRUMS.keys()
        )
        assert {*style.chords, *style.pad, *style.bass, *style.lead, *style.arpeggio} <= VOICES.keys()
        assert {f"{style.harmony} major", f"{style.harmony} minor"} <= PROGRESSIONS.keys()
    for groove in (*DRUMS.values(), *(fill for fills in FILLS.values() for fill in fills)):
        assert all(name.upper() in Drum.__members__ and len(steps) in (8, 16) for name, steps in groove.items())


@pytest.mark.parametrize("name", VOICES)
def test_every_instrument_is_as_loud_as_the_others(name: str) -> None:
    """A note of full velocity has an RMS of about 0.1 over its first 0.4 s (after the attack of what swells)."""
    voice, rng = VOICES[name], np.random.default_rng(0)
    for pitch in (33, 60, 84):
        if isinstance(voice, Struck):
            sound = synth.struck(voice, pitch, 1.0, SAMPLE_RATE_HZ, rng)
        elif isinstance(voice, Choir):
            sound = synth.choir(voice, pitch, SAMPLE_RATE_HZ, rng)
        else:
            sound = synth.solo(voice, pitch, 1.0, SAMPLE_RATE_HZ, rng)
        level = float(np.sqrt(np.mean(np.square(sound[:, : round(0.4 * SAMPLE_RATE_HZ)]))))
        assert np.isfinite(sound).all() and 0.05 < level < 0.2, pitch


@pytest.mark.parametrize("name", [name for name, voice in VOICES.items() if isinstance(voice, Solo)])
def test_a_held_tone_does_not_wobble(name: str) -> None:
    """The level of a solo voice moves by less than 3 dB while it is held."""
    voice = VOICES[name]
    assert isinstance(voice, Solo)
    sound = synth.solo(voice, 67, 0.7, 3 * SAMPLE_RATE_HZ, np.random.default_rng(0))
    levels = musical.level_curve(sound.T, SAMPLE_RATE_HZ // 10)
    assert levels.max() - levels.min() < 3


@pytest.mark.parametrize("name", ["piano", "pad", "cello"])
def test_a_chord_takes_no_more_memory_than_two_of_its_notes(name: str) -> None:
    """Notes are put into their places one by one: twelve that ring for eight seconds would be 40 MB."""
    most = []
    for count in (2, 12):
        player = synth.NumpyPlayer(Part("chords", Role.CHORDS, name), 1)
        notes = [Note("chords", 48 + step, 0.0, 8.0, 0.7) for step in range(count)]
        player.play(notes, 0, SAMPLE_RATE_HZ)  # what they have in common is kept
        tracemalloc.start()
        player.play(notes, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[1] < 1.3 * most[0]


def test_what_a_piece_holds_is_small() -> None:
    """Loops and strokes wait in 16 bits, and of a bar that was made nothing else is held: 17 MB, not 28 (measured)."""
    forget()
    tracemalloc.start()
    for _ in itertools.islice(perform(compose(recipe("lofi", 60.0), 1)), 12):
        held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 20 * 2**20


@given(st.floats(1e-6, 100.0), st.integers(0, 99))
def test_what_is_kept_is_rounded_below_hearing(level: float, seed: int) -> None:
    """By less than 96 dB under its peak; silence stays silence."""
    sound = np.float32(level) * np.random.default_rng(seed).standard_normal((2, 99)).astype(np.float32)
    scale, kept = keep(sound)
    assert kept.dtype == np.int16
    assert np.abs(scale * kept - sound).max() <= 10 ** (-96 / 20) * np.abs(sound).max()
    assert not keep(0 * sound)[1].any()


def test_drums_and_textures_can_be_made() -> None:
    """Each drum is finite and dies; each texture has an RMS of about 1; no two strokes running are copies."""
    for drum in Drum:
        sounds = [np.multiply(*kit.stroke(drum, 1.0, variation)) for variation in range(kit.VARIATIONS)]
        assert all(np.isfinite(sound).all() and np.abs(sound[:, -1]).max() < 1e-3 for sound in sounds)
        assert not np.array_equal(sounds[0], sounds[1])
    for name in ("rain", "stream", "vinyl", "wind", "hum"):
        assert 0.5 < float(kit.Texture(name, np.random.default_rng(3)).play(0, 9 * SAMPLE_RATE_HZ).std()) < 2.0, name


@given(st.floats(-40, 0))
def test_velocity_and_level_are_one(level_db: float) -> None:
    """A velocity's amplitude is the level it was made of."""
    assert 20 * math.log10(amplitude(velocity_of(level_db))) == pytest.approx(level_db)


@pytest.mark.parametrize(("hz", "gain_db"), [(100.0, 0.0), (1000.0, -3.0), (5000.0, -2.0), (12_000.0, 2.0)])
def test_an_equaliser_has_the_gain_it_is_asked_for_and_nothing_before_its_stroke(hz: float, gain_db: float) -> None:
    """As at each frequency, here of a tape with a shelf of air, so of a stroke nothing but its first milliseconds."""
    left, right = tape(6.0, 8.0)
    assert np.array_equal(left, right)
    turns = np.exp(-2j * np.pi * hz / SAMPLE_RATE_HZ * np.arange(len(left)))
    assert 20 * math.log10(abs(left @ turns)) == pytest.approx(gain_db, abs=0.7)
    assert np.square(left[:48]).sum() > 0.99 * np.square(left).sum()


def test_the_room_is_convolution_however_the_sound_is_cut() -> None:
    """Stretch by stretch, the room equals the textbook sum."""
    rng = np.random.default_rng(1)
    sound, heard = (rng.standard_normal((2, n)).astype(np.float32) for n in (5000, 300))
    expected = [np.convolve(sound[i], heard[i])[:5000] for i in range(2)]
    room = Convolver(heard)
    parts = [room.process(part) for part in np.split(sound, (7, 1000, 1001, 4000), axis=1)]
    assert np.allclose(np.concatenate(parts, axis=1), expected, atol=1e-3)
