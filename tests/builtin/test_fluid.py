"""Real instruments: what is played, how loud, and what happens without them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from base.texts import reason_of
from builtin import fluid, soundfont
from builtin.composer import compose
from builtin.engine import LOUDNESS_LUFS, numpy_cast, perform
from builtin.fluid import Orchestra
from builtin.kit import KitPlayer
from builtin.patches import KITS, PATCHES
from builtin.score import Drum, Note, Score
from builtin.soundfont import LEVEL_S, Font, Unplayable, fonts
from builtin.studio import Convolver
from builtin.styles import STYLES
from builtin.voices import VOICES
from doubles.pieces import STATIONS, piece, recipe, render
from listening.listening import momentary_lufs
from listening.scores import bass_share
from music.segment import SAMPLE_RATE_HZ, Recipe, Samples


def usable() -> bool:
    """Whether this machine has FluidSynth and a font."""
    try:
        Font(fonts())
    except Unplayable:
        return False
    return True


real = pytest.mark.skipif(not usable(), reason="needs FluidSynth and a General MIDI font")
LOFI = Recipe("lofi", "lo-fi hip hop, vibraphone", 6.0, 80, "C major", "4")


@pytest.fixture(scope="module")
def font() -> Font:
    """The best font of this machine."""
    return Font(fonts())


@functools.cache
def orchestra() -> Orchestra:
    """One that loads its font once."""
    return Orchestra()


def beginning(score: Score, seconds: float) -> Samples:
    """Return the first bars of a piece with real instruments."""
    return np.concatenate(list(itertools.islice(perform(score, orchestra().cast), math.ceil(seconds / score.bar_s))))


@functools.cache
def played(station: str) -> Samples:
    """Return the beginning of the station's piece, as often as it is looked at."""
    return beginning(piece(station)[0], 16.0)


def level_db(sound: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Return the RMS of both sides."""
    return 10 * float(np.log10(np.mean(sound**2) + 1e-12))


def test_every_patch_stands_for_a_voice_and_every_kit_for_a_style() -> None:
    """The tables name what there is, so that numpy can take any part over."""
    assert all(name in VOICES and patch.voice == name for name, patch in PATCHES.items())
    assert set(KITS) <= set(STYLES)


def test_the_best_known_font_comes_first_and_strangers_are_left_alone(tmp_path: Path) -> None:
    """A font of a name that nobody knows may be a single harpsichord."""
    far, near = tmp_path / "far", tmp_path / "near"
    for path in (
        near / "TimGM6mb.sf2", near / "harpsichord.sf2", near / "default-GM.sf2", near / "FluidR3_GM.txt",
        far / "FluidR3_GM.sf2", far / "MuseScore_General.sf3",
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.name for path in fonts((str(tmp_path / "none"), str(near), str(far)))]
    assert found == ["FluidR3_GM.sf2", "MuseScore_General.sf3", "TimGM6mb.sf2", "default-GM.sf2"]


def test_without_a_font_numpy_plays_the_same_as_ever_and_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, and one line tells how it gets better."""
    monkeypatch.setattr(fluid, "fonts", list)
    said: list[tuple[str, dict[str, object]]] = []
    orchestra = Orchestra(say=lambda key, **fields: said.append((key, fields)))
    for _ in range(2):
        assert np.array_equal(render(LOFI, 3, orchestra.cast), render(LOFI, 3, numpy_cast))
    assert [key for key, _ in said] == ["instruments.no_font"]
    assert "install" in said[0][1]
    assert orchestra.sound == ""


@pytest.mark.parametrize("content", [b"", b"hello " * 1000, b"RIFF\x10\0\0\0sfbkLIST\0\0\0\0"])
def test_a_broken_font_is_named_and_numpy_plays(tmp_path: Path, content: bytes) -> None:
    """Whatever the file holds, the music goes on."""
    path = tmp_path / "broken.sf2"
    path.write_bytes(content)
    said: list[str] = []
    orchestra = Orchestra(path, lambda key, **_: said.append(key))
    assert np.array_equal(render(LOFI, 3, orchestra.cast), render(LOFI, 3))
    assert said in (["instruments.broken_font"], ["instruments.no_library"])


@pytest.mark.parametrize("error", ["ImportError('none')", "OSError('wrong ELF class')", "AttributeError('no symbol')"])
def test_a_library_that_cannot_be_loaded_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str
) -> None:
    """A missing or broken FluidSynth is one line, too."""
    (tmp_path / "fluidsynth.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    with pytest.raises(Unplayable) as refused:
        Font([Path("any.sf2")])
    assert reason_of(refused.value).key == "instruments.no_library"


@real
def test_a_piece_is_the_same_whenever_it_is_played() -> None:
    """Bit by bit, with what else was played in between."""
    orchestra = Orchestra()
    first = render(LOFI, 5, orchestra.cast)
    render(LOFI, 6, orchestra.cast)
    assert np.array_equal(render(LOFI, 5, orchestra.cast), first)
    assert np.array_equal(render(LOFI, 5, Orchestra().cast), first)
    assert not np.array_equal(render(LOFI, 5), first)


@real
@pytest.mark.parametrize("name", sorted(PATCHES))
def test_a_real_instrument_is_as_loud_as_its_voice(name: str, font: Font) -> None:
    """So that the composer's balance holds with any font; at every force, in every register it plays."""
    patch = PATCHES[name]
    length = round(patch.level_s * SAMPLE_RATE_HZ)
    for pitch, (velocity, apart_db) in itertools.product((50, 62, 74), ((0.4, 2.5), (0.75, 2.0), (1.0, 2.5))):
        wanted = patch.simple(1).play([Note("", pitch, 0.0, patch.level_s, velocity)], 0, length)
        heard = font.note(patch, pitch, velocity, patch.level_s, patch.dark, 0.0)[:, :length]
        assert level_db(heard) == pytest.approx(level_db(wanted), abs=apart_db)
        middle, side = heard.sum(axis=0) / 2, (heard[0] - heard[1]) / 2
        assert 10 * np.log10(1 + np.mean(side**2) / np.mean(middle**2)) <= 1.5


@real
@pytest.mark.parametrize("name", sorted({name for style in STYLES.values() for name in style.bass} & set(PATCHES)))
def test_a_real_bass_is_as_loud_as_its_voice_while_it_is_held(name: str, font: Font) -> None:
    """Low notes lie far below where an instrument's colour is measured, and a bow swells: neither makes it louder."""
    for pitch in (30, 36, 42):
        note, frames = Note("bass", pitch, 1.0, 2.0, 0.75), 3 * SAMPLE_RATE_HZ
        players = fluid.RealPlayer(font, PATCHES[name], 0.0, 1, "bass"), PATCHES[name].simple(1)
        heard, wanted = (momentary_lufs(player.play([note], 0, frames).T).max() for player in players)
        assert heard == pytest.approx(wanted, abs=6.0)


@real
@pytest.mark.parametrize("station", STATIONS)
def test_a_real_bass_is_heard_under_every_chord(station: str) -> None:
    """Whatever plays it: a font's koto dies within half a second down there."""
    assert bass_share(piece(station)[0], Orchestra().cast) >= 0.95


@real
@pytest.mark.parametrize("path", sorted({path.resolve() for path in fonts()}), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["piano", "koto", "strings", "nylon"])
def test_the_colour_of_every_font_is_brought_near_the_voice(name: str, path: Path) -> None:
    """Dull or shrill: octave by octave the filtered note is nearer to what the mix is made for, and no louder."""
    patch, font, pitches = PATCHES[name], Font([path]), (50, 62, 74)
    filtering = font.equaliser(patch, pitches)
    plain = [font.note(patch, pitch, 0.75, LEVEL_S, patch.dark, 0.0) for pitch in pitches]
    coloured = [Convolver(filtering).process(sound) for sound in plain]
    wanted = 10 * np.log10(soundfont._voice_octaves(patch, pitches))
    before, after = (np.abs(10 * np.log10(soundfont._octaves(sounds)) - wanted) for sounds in (plain, coloured))
    assert after.mean() < 0.8 * before.mean()
    levels = [np.mean([level_db(sound) for sound in sounds]) for sounds in (plain, coloured)]
    assert levels[1] == pytest.approx(levels[0], abs=1.5)


@real
@pytest.mark.parametrize("name", sorted(name for name, patch in PATCHES.items() if patch.blend_db is not None))
def test_a_voice_plays_beside_an_instrument_where_they_do_not_beat(name: str, font: Font) -> None:
    """Two tones at one pitch cancel and add: neither do notes wobble more for it, nor is one loud and the next soft."""
    wobbles, spreads = [], []
    for patch in (PATCHES[name], dataclasses.replace(PATCHES[name], blend_db=None)):
        curves = []
        for pitch in range(36, 48) if name in ("bass", "cello") else range(64, 76):
            sound = fluid.RealPlayer(font, patch, 0.0, 1, "").play([Note("", pitch, 1.0, 2.0, 0.75)], 0, 134_400)
            curves.append(10 * np.log10(np.square(sound[:, 48_000:]).mean(0).reshape(-1, 960).mean(1) + 1e-9))
        trends = [np.polyval(np.polyfit(np.arange(70), curve[15:85], 2), np.arange(70)) for curve in curves]
        wobbles.append(np.mean([np.std(curve[15:85] - trend) for curve, trend in zip(curves, trends, strict=True)]))
        spreads.append(np.std([10 * np.log10(np.mean(10 ** (curve[:20] / 10))) for curve in curves]))
    assert wobbles[0] < wobbles[1] + 0.3
    assert spreads[0] < spreads[1] + 0.7


@real
def test_a_softer_note_is_duller(font: Font) -> None:
    """Velocity is more than level: the brightness follows it, also where the font has one sample for all."""
    centroids = []
    for velocity in (0.3, 0.6, 1.0):
        sound = font.note(PATCHES["piano"], 60, velocity, 1.0, 1.0, 0.0).sum(axis=0)
        power = np.abs(np.fft.rfft(sound)) ** 2
        centroids.append(float((power * np.arange(len(power))).sum() / power.sum()))
    assert centroids == sorted(centroids)
    assert centroids[2] > 1.15 * centroids[0]


@real
@pytest.mark.parametrize("station", sorted(KITS))
def test_every_stroke_of_a_kit_is_heard(station: str, font: Font) -> None:
    """A drum that the font lacks, or has otherwise, is played by numpy; each as loud as there."""
    score_notes = [Note("drums", drum, 0.0, 0.1, 0.8) for drum in Drum]
    player = fluid.RealPlayer(font, KITS[station], 0.0, 1, "drums")
    for note in score_notes:
        heard = player.play([note], 0, SAMPLE_RATE_HZ * 2)
        assert level_db(heard) == pytest.approx(level_db(KitPlayer().play([note], 0, SAMPLE_RATE_HZ * 2)), abs=3.0)


@real
@pytest.mark.parametrize("station", STATIONS)
def test_a_piece_begins_with_its_main_texture(station: str) -> None:
    """With real instruments too: 0.4 s of the first 8 s are never 12 LU under the piece."""
    assert momentary_lufs(played(station)[: 8 * SAMPLE_RATE_HZ]).min() > LOUDNESS_LUFS - 12


@real
@pytest.mark.virtual
@pytest.mark.parametrize("station", STATIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_piece_begins_with_its_main_texture(station: str, seed: int) -> None:
    """The same of more pieces."""
    heard = beginning(compose(recipe(station, 180.0), seed), 8.2)
    assert momentary_lufs(heard[: 8 * SAMPLE_RATE_HZ]).min() > LOUDNESS_LUFS - 12


@real
@pytest.mark.parametrize("station", STATIONS)
def test_every_station_stays_below_the_limit_and_keeps_its_loudness(station: str) -> None:
    """With real instruments or without: the loudness is about the same, the peak below -1 dBFS."""
    heard, plain = played(station), piece(station)[1]
    assert np.abs(heard).max() < 10 ** (-1 / 20)
    assert level_db(heard.T) == pytest.approx(level_db(plain[: len(heard)].T), abs=3.0)
