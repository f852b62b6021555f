"""Stations: captions fit for the model, neighbours that fit each other, and files of the user's own."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import ConfigError
from base.texts import LONGEST_PROMPT
from music.stations import BPM_MAX, BPM_MIN, SEGMENTS_PER_KEY, Station, builtin_stations, custom, load_stations, named

STATIONS = builtin_stations()
BY_KEY = {station.key: station for station in STATIONS}
SHARPS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F#": 6, "F": -1, "Bb": -2, "Eb": -3, "Ab": -4, "Db": -5}

names = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=6, unique=True).map(tuple)


def write(tmp_path: Path, text: str) -> Path:
    """Write a stations file and return its path."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> tuple[str, ...]:
    """Return the faults that loading `path` reports."""
    with pytest.raises(ConfigError) as caught:
        load_stations(path)
    return tuple(map(str, caught.value.faults))


def signature(key_scale: str) -> int:
    """Return the sharps (flats negative) of a key such as "A minor"."""
    tonic, mode = key_scale.split()
    return SHARPS[tonic] - (3 if mode == "minor" else 0)


def test_a_dozen_stations_with_names_in_both_languages() -> None:
    """There are a dozen built-in stations, each with its own name and title in both languages."""
    assert len(STATIONS) == len(BY_KEY) == 12
    assert [station.key for station in STATIONS[:3]] == ["lofi", "ambient", "piano"]
    for language in ("en", "ja"):
        assert len({station.title(language) for station in STATIONS}) == 12
    assert all(not station.title("ja").isascii() for station in STATIONS)


@pytest.mark.parametrize("station", STATIONS, ids=lambda station: station.key)
def test_an_afternoon_does_not_repeat_itself(station: Station) -> None:
    """More than 100 segments of a station have different prompts, all below the model's limit."""
    prompts = [station.recipe(index, 30).prompt for index in range(station.variations)]
    assert len(set(prompts)) == len(prompts) > 100
    assert max(map(len, prompts)) == station.longest_prompt_chars <= LONGEST_PROMPT < 512


@pytest.mark.parametrize("station", STATIONS, ids=lambda station: station.key)
def test_captions_are_written_for_the_model(station: Station) -> None:
    """Prompts are instrumental and say neither a tempo in numbers, nor a key, nor how the piece begins or ends."""
    forbidden = r"\bbpm\b|\d|\b(outro|intro|ending|finale|fade|fading|vocals?|voice|sing|lyrics|[A-G] (major|minor))\b"
    for index in range(station.variations):
        prompt = station.recipe(index, 30).prompt
        assert prompt.endswith("instrumental")
        assert not re.search(forbidden, prompt, re.IGNORECASE), prompt


@pytest.mark.parametrize("station", STATIONS, ids=lambda station: station.key)
def test_neighbours_fit(station: Station) -> None:
    """Tempo and metre stay; the key moves at most one step on the circle of fifths, also from last to first."""
    recipes = [station.recipe(index, 30) for index in range(SEGMENTS_PER_KEY * len(station.key_scales) + 1)]
    assert len({(recipe.bpm, recipe.time_signature) for recipe in recipes}) == 1
    assert BPM_MIN <= (station.bpm or 0) <= BPM_MAX and station.time_signature in ("2", "3", "4", "6")
    for before, after in itertools.pairwise(recipes):
        assert abs(signature(before.key_scale) - signature(after.key_scale)) <= 1
        assert before.prompt != after.prompt
    assert {recipe.key_scale for recipe in recipes} == set(station.key_scales)


@given(names, names | st.just(()), names | st.just(()), st.integers(-1000, 1000))
def test_every_variation_comes_once_in_a_period(
    captions: tuple[str, ...], instruments: tuple[str, ...], textures: tuple[str, ...], start: int
) -> None:
    """Whatever the lists, from any point on, all variations come before one comes again; and always the same ones."""
    instruments, textures = tuple(f"i{x}" for x in instruments), tuple(f"t{x}" for x in textures)
    station = Station("x", "x", "x", captions, instruments=instruments, textures=textures)
    recipes = [station.recipe(start + step, 20) for step in range(station.variations)]
    assert len({recipe.prompt for recipe in recipes}) == station.variations
    assert station.recipe(start + station.variations, 20).prompt == recipes[0].prompt
    assert station.recipe(start, 20) == recipes[0]


def test_no_file_means_the_built_in_stations() -> None:
    """An empty path loads the built-in stations alone."""
    assert load_stations("") == STATIONS


@pytest.mark.parametrize("word", ["jazz", "Jazz", "JAZZ CAFÉ", "ジャズ喫茶"])
def test_a_station_goes_by_its_name_and_its_titles(word: str) -> None:
    """In small or capital letters; another's title never hides a name."""
    jazz = next(one for one in STATIONS if one.key == "jazz")
    assert named(word, STATIONS) is jazz
    assert named("jazz", [jazz, replace(jazz, key="mine", title_en="Jazz")]) is jazz
    assert named("polka", STATIONS) is None


def test_a_file_adds_changes_and_orders(tmp_path: Path) -> None:
    """A file adds a station, changes only the named fields of a built-in one, and may put some first."""
    path = write(
        tmp_path,
        'order = ["harbour", "jazz"]\n[lofi]\nbpm = 84\ntitle = "Mine"\n'
        '[harbour]\ncaptions = ["slow dub"]\nkeys = ["F# minor", "B♭ major"]\ntime_signature = "6"\n',
    )
    loaded = load_stations(path)
    assert [station.key for station in loaded[:3]] == ["harbour", "jazz", "lofi"]
    assert len(loaded) == 13
    lofi = next(station for station in loaded if station.key == "lofi")
    assert (lofi.bpm, lofi.title("en"), lofi.title("ja")) == (84, "Mine", "Mine")
    assert lofi.captions == BY_KEY["lofi"].captions
    assert loaded[0] == Station(
        "harbour", "harbour", "harbour", ("slow dub",), key_scales=("F# minor", "B♭ major"), time_signature="6"
    )
    assert loaded[0].recipe(3, 25).prompt == "slow dub, instrumental"


def test_all_faults_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    """Each fault names the file, the station, the field, the value and what is accepted."""
    path = write(
        tmp_path,
        'loose = 1\norder = ["nowhere"]\n[lofi]\ntempo = 3\nbpm = 900\nkeys = ["H minor"]\n'
        '[mine]\ntime_signature = 5\n["Bad Name"]\ncaptions = []\n[custom]\ncaptions = ["x"]\n',
    )
    found = faults(path)
    assert all(fault.startswith(f"{path}: ") for fault in found)
    text = "\n".join(found)
    for part in (
        "loose = 1: must be a table",
        "order = ['nowhere']: must be a list of station names",
        "[lofi] bpm = 900: must be a whole number from 30 to 300",
        "[lofi] keys = ['H minor']: must be a list like",
        "[lofi] tempo: no such field; there are title",
        "[mine] time_signature = 5: must be 2, 3, 4 or 6",
        "[mine] captions: missing",
        "[Bad Name]: the name must be",
        "[Bad Name] captions = []: must be a list of one or more texts",
        "[custom]: the name must be",
    ):
        assert part in text
    assert len(found) == 10


@pytest.mark.parametrize(
    "field",
    ["bpm = true", "bpm = 80.5", "bpm = nan", "bpm = '80'", "bpm = 29", "bpm = 301",
     "captions = 'one'", "captions = ['']",
     "captions = [1]", 'captions = ["a\\u001b[31m"]', "keys = []", "keys = ['A Minor']", "keys = 'A minor'",
     "time_signature = true", "time_signature = '4/4'", "title = ''", "title = 3", f"title = '{'x' * 41}'",
     "textures = {}", "instruments = ['  ']"],
)  # fmt: skip
def test_bad_values_are_faults(tmp_path: Path, field: str) -> None:
    """No value outside the documented range passes, whatever its type."""
    (fault,) = faults(write(tmp_path, f"[lofi]\n{field}\n"))
    assert f"[lofi] {field.split()[0]} = " in fault and ": must be " in fault


def test_a_prompt_beyond_the_models_limit_is_a_fault(tmp_path: Path) -> None:
    """The longest combination counts, and one character less passes."""
    texts = 'captions = ["a", "{}"]\ninstruments = ["bb"]\n'
    longest = LONGEST_PROMPT - len(", bb, instrumental")
    (fault,) = faults(write(tmp_path, "[mine]\n" + texts.format("c" * (longest + 1))))
    assert "= 512 characters: must be at most 511" in fault
    mine = load_stations(write(tmp_path, "[mine]\n" + texts.format("c" * longest)))[-1]
    assert max(len(mine.recipe(index, 30).prompt) for index in range(2)) == LONGEST_PROMPT


@pytest.mark.parametrize(
    "content", [b"[lofi\n", b"\xff\xfe\x00", b"a = 1\na = 2\n", b"[lofi]\nbpm = \n", b"a = " + 5000 * b"9"]
)
def test_a_file_that_is_not_toml_is_a_fault(tmp_path: Path, content: bytes) -> None:
    """Broken TOML and foreign bytes are one fault naming the file."""
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    (fault,) = faults(path)
    assert fault.startswith(f"{path}: not a TOML file in UTF-8: ")


def test_a_figure_that_is_too_long_to_be_shown_is_a_fault(tmp_path: Path) -> None:
    """Python writes no integer of so many digits."""
    path = tmp_path / "mine.toml"
    path.write_text("[lofi]\nbpm = 0x" + 5000 * "f")
    assert faults(path) == (f"{path}: [lofi] bpm = …: must be a whole number from 30 to 300",)


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    """A missing file and a folder are one fault naming the path."""
    for path in (tmp_path / "nowhere.toml", tmp_path):
        (fault,) = faults(path)
        assert fault.startswith(f"{path}: cannot read the stations file: ")


def test_a_prompt_of_the_users_own_is_passed_on_as_it_is() -> None:
    """The custom station asks for the typed words at every index and leaves tempo and key to the model."""
    station = custom("  harp and\nrain ")
    for index in (0, 7):
        recipe = station.recipe(index, 40)
        assert (recipe.station, recipe.prompt, recipe.duration_s) == ("custom", "harp and rain", 40)
        assert (recipe.bpm, recipe.key_scale, recipe.time_signature) == (None, "", "")


@pytest.mark.parametrize(
    "text",
    [
        '["a\\u001b[31mb"]\ncaptions=["x"]\n',
        '[harbour]\ncaptions=["c"]\n"\\u001b]0;x\\u0007"=1\n',
        '[harbour]\ntitle="\\u001b[2J\\u202e"\ncaptions=["c"]\n',
        'order = ["\\u009b2J"]\n',
    ],
)
def test_a_file_cannot_command_the_terminal(tmp_path: Path, text: str) -> None:
    """Whatever stands in it, the faults that are printed hold no escape sequence and no direction mark."""
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_stations(tmp_path / "mine.toml")
    assert all(line.isprintable() for line in str(caught.value).splitlines())


@pytest.mark.parametrize("station", builtin_stations(), ids=lambda station: station.key)
def test_pieces_are_named_by_what_differs_in_both_languages(station: Station) -> None:
    """Instrument and texture, in Japanese in Japanese; each station says what it is like."""
    for language in ("en", "ja"):
        names = {station.piece_name(station.recipe(index, 30).prompt, language) for index in range(station.variations)}
        assert len(names) == len(station.instruments) * len(station.textures)
        assert all(name.count(" · ") == 1 and "instrumental" not in name for name in names)
        japanese = [any("\u3040" <= char <= "\u9fff" for char in name) for name in (*names, station.about(language))]
        assert set(japanese) == {language == "ja"}


def test_a_piece_of_other_words_is_named_by_its_prompt(tmp_path: Path) -> None:
    """What is no instrument or texture of the station; words of one's own without Japanese names."""
    (mine,) = [one for one in load_stations(write(tmp_path, '[lofi]\ninstruments = ["harp"]\n')) if one.key == "lofi"]
    assert mine.piece_name("something else", "ja") == "something else"
    assert mine.piece_name(mine.recipe(0, 30).prompt, "ja") == "harp · レコードのノイズ"
    assert custom("soft harp").piece_name("soft harp", "en") == "soft harp"
    assert custom("soft harp").about("ja") == "soft harp"


def test_there_is_a_japanese_name_for_each_word_or_for_none(tmp_path: Path) -> None:
    """Names that would be told of other words are a fault."""
    (fault,) = faults(write(tmp_path, '[lofi]\ntextures_ja = ["雨"]\n'))
    assert "textures_ja: must have a name for each of textures" in fault
    text = '[lofi]\ntextures = ["rain"]\ntextures_ja = ["雨"]\nabout = "other"\n'
    mine = load_stations(write(tmp_path, text))[0]
    assert mine.piece_name(mine.recipe(0, 30).prompt, "ja").endswith(" · 雨")
    assert mine.about("ja") == "other"
