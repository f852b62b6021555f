"""The settings: where they come from, what is refused, and how it is said."""

from __future__ import annotations

import codecs
import dataclasses
import errno
import io
import logging
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import config
from base import texts
from base.errors import ConfigError
from config import OPTIONS, Settings
from music.stations import load_stations
from screen.controls import Controls
from settings import kinds
from settings.kinds import shown
from settings.options import Option
from tools import settings_docs

KEY = "sk-0123456789abcdef"


def load(*argv: str, **given: Any) -> Settings:
    """Load from exactly what is given: options, variables, and the content of a .env (`dotenv`) in `folder`."""
    folder, dotenv = given.pop("folder", Path("/nonexistent")), given.pop("dotenv", None)
    if dotenv is not None:
        (folder / ".env").write_bytes(dotenv if isinstance(dotenv, bytes) else dotenv.encode())
    return config.load(argv, given, folder / ".env")


def faults(*argv: str, **given: Any) -> tuple[str, ...]:
    """Return the faults of the same; each is one short line."""
    with pytest.raises(ConfigError) as caught:
        load(*argv, **given)
    told = tuple(str(caught.value).split("\n"))
    assert len(told) == len(caught.value.faults)
    assert all(len(fault) < 400 for fault in told)
    return told


def warnings(*argv: str, **given: Any) -> tuple[str, ...]:
    """Return the warnings of the same."""
    return tuple(map(str, load(*argv, **given).warnings))


# ---- defaults and precedence ----


def test_defaults_are_the_documented_ones() -> None:
    """With nothing given, every setting has its documented default."""
    expected = {
        "engine": "auto",
        "acestep_api_url": "http://127.0.0.1:8001",
        "acestep_api_key": "",
        "lm_model_path": "acestep-5Hz-lm-0.6B",
        "lm_backend": "vllm",
        "segment_seconds": 30.0,
        "segment_max_seconds": 60.0,
        "prefetch_target": 3,
        "continuing": "off",
        "context_seconds": 15.0,
        "piece_minutes": 6.0,
        "batch_size": 1,
        "poll_interval_sec": 1.5,
        "max_retry": 2,
        "job_timeout_sec": 300.0,
        "first_job_timeout_sec": 1200.0,
        "stall_sec": 120.0,
        "thinking": True,
        "prompt": "",
        "station": "lofi",
        "stations_file": None,
        "player": "stream",
        "audio_output": "auto",
        "soundfont": None,
        "crossfade_seconds": 4.0,
        "target_lufs": -23.0,
        "cue_dbfs": -45.0,
        "volume": 100,
        "ambience": "off",
        "ambience_volume": 40,
        "spool_dir": kinds.PROJECT_ROOT / "spool",
        "spool_max_mb": 1024.0,
        "library_no_repeat": 8,
        "log_file": None,
        "acestep_dir": None,
        "record_format": "flac",
        "export": None,
        "lang": "auto",
        "plain": False,
        "play_for": None,
        "pomodoro": None,
        "render": (),
        "ctl": (),
        "announce": "off",
        "output": None,
        "stats_json": None,
        **dict.fromkeys(("list_stations", "library", "forget_taste", "play_library", "check", "serve"), False),
    }
    settings = load()
    assert settings == Settings()
    assert dataclasses.asdict(settings) == expected | {"given": frozenset(), "warnings": (), "locale": ""}
    assert settings.log_path == settings.spool_dir / "player.log"


def test_command_line_before_environment_before_dotenv(tmp_path: Path) -> None:
    """The command line wins over the environment, which wins over .env, which wins over the default."""
    dotenv = "SEGMENT_SECONDS=21\nBATCH_SIZE=2\nMAX_RETRY=4\n"
    environ = {"SEGMENT_SECONDS": "22", "BATCH_SIZE": "3"}
    settings = load("--segment-seconds", "23", dotenv=dotenv, folder=tmp_path, **environ)
    assert (settings.segment_seconds, settings.batch_size, settings.max_retry) == (23.0, 3, 4)
    assert settings.given == {"segment_seconds", "batch_size", "max_retry"}


def test_an_overridden_fault_is_none() -> None:
    """Only the text that counts is judged."""
    assert load("--volume", "7", SAGYO_VOLUME="loud").volume == 7


def test_the_environment_is_left_alone(tmp_path: Path) -> None:
    """Reading .env puts nothing into the process's environment, expands nothing from it, and leaves the file alone."""
    text, path = "PROMPT='rain ${HOME} $HOME'\nFOREIGN=1\n", tmp_path / ".env"
    path.write_text(text)
    before = dict(os.environ), stat.S_IMODE(path.stat().st_mode)
    assert load(folder=tmp_path).prompt == "rain ${HOME} $HOME"
    assert (dict(os.environ), stat.S_IMODE(path.stat().st_mode)) == before
    assert path.read_text() == text


def test_a_line_copied_from_the_example_is_no_choice(tmp_path: Path) -> None:
    """`given` tells what a person chose, so that a remembered volume survives a copied .env."""
    assert load(dotenv="VOLUME=100\n", folder=tmp_path).given == frozenset()
    assert load("--volume", "100").given == {"volume"}


def test_every_setting_is_reachable_three_ways(tmp_path: Path) -> None:
    """Each documented setting has an option, a variable and a line in .env, all read alike."""
    font = tmp_path / "font.sf2"
    font.write_bytes(b"RIFF\4\0\0\0sfbk")
    samples = {"stations_file": str(tmp_path / "s.toml"), "spool_dir": str(tmp_path), "soundfont": str(font)}
    (tmp_path / "s.toml").write_text("")
    for option in OPTIONS:
        if not option.env:
            continue
        text = samples.get(option.name) or option.example.strip('"') or option.default or ""
        by_variable = load(**{option.variable: text})
        by_file = load(dotenv=f'{option.env}="{text}"\n', folder=tmp_path)
        assert getattr(by_variable, option.name) == getattr(by_file, option.name), option.name
        if option.flags and text not in ("true", "false"):
            by_option = load(f"{option.flags[0]}={text}")
            assert getattr(by_option, option.name) == getattr(by_variable, option.name), option.name


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().volume = 3  # type: ignore[misc]


# ---- what is refused ----

NUMBERS: dict[str, tuple[str, ...]] = {
    "SEGMENT_SECONDS": ("9.9", "600.1", "0"),
    "SEGMENT_MAX_SECONDS": ("9.9", "601"),
    "PREFETCH_TARGET": ("0", "21", "2.5"),
    "BATCH_SIZE": ("0", "9", "1.5"),
    "POLL_INTERVAL_SEC": ("0", "0.09", "30.5"),
    "MAX_RETRY": ("11", "0.5"),
    "JOB_TIMEOUT_SEC": ("9", "3601"),
    "FIRST_JOB_TIMEOUT_SEC": ("59", "7201"),
    "STALL_SEC": ("4", "3601"),
    "CROSSFADE_SECONDS": ("10.5",),
    "TARGET_LUFS": ("0", "-9", "-41"),
    "CUE_DBFS": ("0", "-19", "-71"),
    "VOLUME": ("101", "50.5"),
    "SPOOL_MAX_MB": ("0", "49", "1000001"),
    "LIBRARY_NO_REPEAT": ("101", "1.1"),
}
NEVER_NUMBERS = ("abc", "-1e9", "nan", "NaN", "inf", "-inf", "1e999", "30s", "1_000", "0x10", "1,5", "３0秒")


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, own in NUMBERS.items() for text in (*NEVER_NUMBERS, *own)]
)
def test_bad_numbers_are_refused(name: str, text: str) -> None:
    """A number that is none, not finite or out of range is one fault with name, text and range."""
    option = next(option for option in OPTIONS if option.env == name)
    (fault,) = faults(**{option.variable: text})
    assert fault.startswith(f"{option.variable}={shown(text)} (environment): ")
    assert str(option.kind.accepts) in fault


def test_a_long_value_is_shown_in_part_in_any_language() -> None:
    """What is told beside it is in the reader's language."""
    with pytest.raises(ConfigError) as caught:
        config.load(["--volume", 100 * "９"], {}, Path("no.env"))
    assert caught.value.words("ja").startswith(f'--volume "{60 * "９"}…": ')


@pytest.mark.parametrize("name", NUMBERS)
def test_both_ends_of_a_range_are_accepted(name: str) -> None:
    """The range that is shown is the range that is accepted, ends included."""
    option = next(option for option in OPTIONS if option.env == name)
    low, high = str(option.kind.accepts).split(" from ")[1].split(" to ")
    for end in (low, high):
        assert getattr(load(f"--{name.lower().replace('_', '-')}={end}", **_room_for(name)), name.lower()) == float(end)


def _room_for(name: str) -> dict[str, str]:
    larger = {"SEGMENT_SECONDS": "60", "JOB_TIMEOUT_SEC": "3600", "FIRST_JOB_TIMEOUT_SEC": "7200"}
    larger.pop(name, "")
    return larger if name in ("CROSSFADE_SECONDS", "STALL_SEC", "JOB_TIMEOUT_SEC") else {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ENGINE", "cloud"),
        ("LM_BACKEND", "cuda"),
        ("PLAYER", "mpv"),
        ("UI_LANG", "fr"),
        ("THINKING", "maybe"),
        ("PLAIN", "2"),
        ("AUDIO_OUTPUT", "pulse"),
        ("AUDIO_OUTPUT", "file"),
        ("AUDIO_OUTPUT", "file: "),
        ("AUDIO_OUTPUT", "file:/nonexistent/folder/out.wav"),
        ("AUDIO_OUTPUT", "file:/"),
        ("STATION", "x" * 65),
        ("LM_MODEL_PATH", "a\x00b"),
        ("PROMPT", "x" * 100_000),
        ("PROMPT", "x" * 512),
        ("PROMPT", "bell \x07"),
        ("PROMPT", "bytes \udcff"),
        ("SPOOL_DIR", "bytes \udcff"),
        ("SPOOL_DIR", "a\x00b"),
        ("SPOOL_DIR", "~no-such-user-here/spool"),
        ("SPOOL_DIR", "x" * 5000),
        ("SPOOL_DIR", "/dev/null"),
        ("SPOOL_DIR", "/dev/null/spool"),
        ("STATIONS_FILE", "/nonexistent.toml"),
        ("STATIONS_FILE", "/"),
        ("LOG_FILE", "/nonexistent/folder/player.log"),
        ("LOG_FILE", "/"),
        ("LOG_FILE", "/dev/zero"),
        ("AUDIO_OUTPUT", "file:/dev/full"),
        ("PLAY_FOR", "soon"),
        ("PLAY_FOR", "0"),
        ("PLAY_FOR", "0.5s"),
        ("PLAY_FOR", "-5m"),
        ("PLAY_FOR", "169h"),
        ("PLAY_FOR", "nan"),
        ("PLAY_FOR", "m"),
        ("POMODORO", "25"),
        ("POMODORO", "25/"),
        ("POMODORO", "25/0"),
        ("POMODORO", "25/5/5"),
        ("POMODORO", "a/b"),
    ],
)
def test_bad_texts_are_refused(name: str, text: str) -> None:
    """Unknown words, unusable places and unreadable texts are one short fault each, with the remedy."""
    variable = next(option.variable for option in OPTIONS if option.env == name)
    (fault,) = faults(**{variable: text})
    assert fault.startswith(f"{variable}=")
    assert " (environment): " in fault
    assert "; give " in fault
    assert fault.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8001",
        "localhost",
        "ftp://localhost:8001",
        "http://",
        "http:///path",
        "http://:8001",
        "http://host:",
        "http://host:0",
        "http://host:65536",
        "http://host:80a",
        "http://ho st",
        "http://host\x00",
        "http://host..name",
        "http://-host",
        "http://host/?key=1",
        "http://host/#x",
        "http://[::1",
        "http://[::zz]:80",
        "http://256.0.0.1",
        "http://127.0.0",
        "http://" + "a" * 300,
        "http://host\\path:80",
    ],
)
def test_malformed_urls_are_refused(url: str) -> None:
    """The server's address needs a scheme, a host, a real port, and nothing after its path."""
    (fault,) = faults(ACESTEP_API_URL=url)
    assert fault.startswith("ACESTEP_API_URL=")
    assert "http://127.0.0.1:8001" in fault


@pytest.mark.parametrize(
    ("given_url", "kept"),
    [
        ("HTTP://LocalHost:8001/", "http://localhost:8001"),
        (" https://music.example.org// ", "https://music.example.org"),
        ("http://gpu_box:8001/ace/", "http://gpu_box:8001/ace"),
        ("http://[::1]:8001", "http://[::1]:8001"),
        ("http://192.168.1.20:8001", "http://192.168.1.20:8001"),
    ],
)
def test_urls_are_normalised(given_url: str, kept: str) -> None:
    """Case and trailing slashes make no difference; a path of a reverse proxy is kept."""
    assert load(ACESTEP_API_URL=given_url).acestep_api_url == kept


def test_words_are_accepted_in_any_case() -> None:
    """The server knows lower case only, so a known word is put into lower case."""
    settings = load("--lm-backend", "VLLM", SAGYO_ENGINE="BuiltIn", SAGYO_THINKING="No", AUDIO_OUTPUT="NONE")
    assert (settings.lm_backend, settings.engine, settings.thinking, settings.audio_output) == (
        "vllm",
        "builtin",
        False,
        "none",
    )


@pytest.mark.parametrize(
    ("option", "text", "name", "read"),
    [
        ("--target-lufs", "-20", "target_lufs", -20.0),
        ("--for", "50m", "play_for", 3000.0),
        ("--for", "1h30m", "play_for", 5400.0),
        ("--for", "90s", "play_for", 90.0),
        ("--for", "45", "play_for", 2700.0),
        ("--for", "1.5H", "play_for", 5400.0),
        ("--for", "1h 5s", "play_for", 3605.0),
        ("--pomodoro", "25/5", "pomodoro", (1500.0, 300.0)),
        ("--pomodoro", "30s / 10s", "pomodoro", (30.0, 10.0)),
    ],
)
def test_what_is_read(option: str, text: str, name: str, read: object) -> None:
    """A negative number is no option; durations have units, and a plain number is minutes."""
    assert getattr(load(option, text), name) == read


def test_a_prompt_is_one_line() -> None:
    """Line breaks of a prompt become spaces; Japanese stays as it is."""
    assert load(SAGYO_PROMPT="静かな\n  ピアノ\t雨").prompt == "静かな ピアノ 雨"
    assert len(load(SAGYO_PROMPT="x" * 511).prompt) == 511


def test_a_prompt_has_one_limit_wherever_it_comes_from(tmp_path: Path) -> None:
    """What can be set can be typed, and what a station can make can be set: not a letter more."""
    longest = next(n for n in range(1, 10_000) if not is_prompt("x" * (n + 1)))
    controls = Controls([])
    for key in ("p", *"x" * (longest + 5)):
        controls.key(key)
    assert controls.view.typed == "x" * longest
    caption = "x" * (longest - len(", instrumental"))
    (tmp_path / "s.toml").write_text(f'[mine]\ncaptions = ["{caption}"]\n')
    assert len(load_stations(tmp_path / "s.toml")[-1].recipe(0, 30).prompt) == longest
    (tmp_path / "s.toml").write_text(f'[mine]\ncaptions = ["{caption}x"]\n')
    with pytest.raises(ConfigError, match=str(longest)):
        load_stations(tmp_path / "s.toml")


def is_prompt(text: str) -> bool:
    """Whether a setting takes it."""
    try:
        return load("--prompt", text).prompt == text
    except ConfigError:
        return False


EMPTY = ("", " \t", '""', "' '")


@pytest.mark.parametrize("empty", EMPTY)
def test_an_empty_value_is_as_unset(empty: str, tmp_path: Path) -> None:
    """Whatever setting is empty, wherever, and in quotes too: what comes after it in the order counts."""
    variables = {option.variable: empty for option in OPTIONS if option.env and not option.kind.secret}
    assert load(**variables) == Settings()
    lines = "".join(f"{option.env}={empty}\n" for option in OPTIONS if option.env)
    assert load(dotenv=lines, folder=tmp_path) == Settings()
    flags = [f"{option.flags[0]}={empty}" for option in OPTIONS if option.env and option.flags]
    assert load(*(flag for flag in flags if not flag.startswith(("--thinking", "--plain")))) == Settings()
    settings = load("--prompt", empty, SAGYO_PROMPT=empty, dotenv="PROMPT=rain\n", folder=tmp_path)
    assert (settings.prompt, set(settings.given)) == ("rain", {"prompt"})


def test_a_mode_needs_its_file() -> None:
    """What is no setting but a request cannot be empty."""
    assert any("--stats-json" in fault and "empty" in fault for fault in faults("--stats-json", ""))


# ---- names that others use too ----

SHARED = {
    "PROMPT": "%n@%m %1~ %# ",
    "ENGINE": "builtin",
    "VOLUME": "3",
    "STATION": "piano",
    "PLAYER": "playlist",
    "PLAIN": "1",
    "THINKING": "0",
    "POMODORO": "1/1",
}


def test_what_a_shell_exports_is_not_ours(tmp_path: Path) -> None:
    """The prompt of zsh does not become the music; with the prefix, in .env and as options the names are ours."""
    assert load(**SHARED) == Settings()
    by_variable = load(**{f"SAGYO_{name}": text for name, text in SHARED.items()})
    by_file = load(dotenv="".join(f"{name}='{text}'\n" for name, text in SHARED.items()), folder=tmp_path)
    assert by_variable == by_file
    assert by_variable.prompt == "%n@%m %1~ %#"
    assert len(by_variable.given) == len(SHARED)


def test_a_dotenv_may_be_one_for_docker(tmp_path: Path) -> None:
    """`docker --env-file .env` hands the lines on as variables: the names with the prefix are understood there too."""
    settings = load(dotenv="SAGYO_VOLUME=7\n", folder=tmp_path)
    assert (settings.volume, settings.warnings) == (7, ())


# ---- folders ----


def test_a_log_is_a_file_and_a_recording_may_be_a_fifo(tmp_path: Path) -> None:
    """Nothing that may have to be waited for is logged into; Snapcast reads music from a FIFO."""
    os.mkfifo(tmp_path / "fifo")
    (fault,) = faults(LOG_FILE=str(tmp_path / "fifo"))
    assert "name a file" in fault
    assert load(AUDIO_OUTPUT=f"file:{tmp_path}/fifo").recording_path == tmp_path / "fifo"
    (fault,) = faults("--player", "playlist", AUDIO_OUTPUT=f"file:{tmp_path}/fifo")
    assert f"AUDIO_OUTPUT=file:{tmp_path}/fifo" in fault
    assert "give PLAYER=stream" in fault
    assert load(LOG_FILE=os.devnull).log_path == Path(os.devnull)


def test_a_disk_that_hangs_at_the_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network share that is gone: one line instead of a program that stands still."""
    gone = threading.Event()
    monkeypatch.setattr(config, "ANSWER_S", 0.0)
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: gone.wait(5.0) if path == tmp_path / "share" else real(path))
    found = faults(SPOOL_DIR=str(tmp_path / "share"))
    gone.set()
    assert any("does not answer" in fault for fault in found)


PATHS = ("SPOOL_DIR", "LOG_FILE", "STATIONS_FILE", "AUDIO_OUTPUT")


def place_of(name: str, text: str, dotenv: str | None = None, folder: Path = Path("/nonexistent")) -> Path:
    """Return where the path setting `name` points to, given as a variable or in `.env`."""
    given = {} if dotenv is not None else {name: text}
    settings = load(dotenv=dotenv, folder=folder, **given)
    return Path(getattr(settings, "recording_path" if name == "AUDIO_OUTPUT" else name.lower()))


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("form", ["$HOME/x", "${HOME}/x", "~/x", '"$HOME/x"', "'~/x'", '"{home}/x"', " '{home}/x' "])
def test_a_path_is_expanded(name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell would expand or take away, it is here: no folder is ever named `$HOME`, `~` or `"spool"`."""
    home = tmp_path if "{home}" in form else tmp_path / "it's $5 # home"
    home.mkdir(exist_ok=True)
    (home / "x").mkdir() if name == "SPOOL_DIR" else (home / "x").touch()
    monkeypatch.setenv("HOME", str(home))
    text = form.replace("{home}", str(home))
    text = f"file:{text}" if name == "AUDIO_OUTPUT" else text
    assert place_of(name, text) == home / "x"
    assert place_of(name, text, f"{name}={text.strip()}\n", tmp_path) == home / "x"


def test_quotes_around_all_of_a_value_are_taken_away(tmp_path: Path) -> None:
    """`docker --env-file` keeps them, for whatever setting."""
    assert load(AUDIO_OUTPUT=f'"file:{tmp_path}/x"').recording_path == tmp_path / "x"
    assert load(SAGYO_ENGINE="'builtin'", SAGYO_PROMPT='"warm tape"', SEGMENT_SECONDS='"40"') == load(
        "--engine", "builtin", "--prompt", "warm tape", "--segment-seconds", "40"
    )
    assert load(SAGYO_PROMPT='"warm" and "soft"').prompt == '"warm" and "soft"'


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    "text",
    [
        "$NOT_SET_HERE/music",
        "${NOT_SET_HERE}/music",
        "${NOT_SET_HERE:-/tmp}/music",
        "$(pwd)/music",
        "`pwd`/music",
        '"music',
        'music"',
        "'music",
        "“music”",
        "%USERPROFILE%/music",
        "http://nas/music",
        "music # mine",
        "C:\\Users\\me\\music",
        "d:/music",
        "\\\\nas\\music",
        "my\\ music",
        "C:\new\table",
        "music\x1b[31m",
    ],
)
def test_a_path_that_cannot_be_expanded_is_refused(name: str, text: str) -> None:
    """It is never taken for a name."""
    (fault,) = faults(**{name: f"file:{text}" if name == "AUDIO_OUTPUT" else text})
    assert fault.startswith(f"{name}=")
    reasons = ("not set", "shell", "quotation", "another system", "address", "comment", "control characters")
    assert any(word in fault for word in reasons)


def test_an_empty_home_is_not_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is empty is as one that is not set."""
    monkeypatch.setenv("HOME", "")
    assert "(HOME)" in faults(SPOOL_DIR="$HOME/music")[0]


@pytest.mark.parametrize("name", ["C$/music", "100% mine", "Music #1", "it's", "50%_a", "作業 音"])
def test_an_odd_name_of_a_folder_is_a_name(name: str, tmp_path: Path) -> None:
    """Only what must be a mistake is refused."""
    assert load(SPOOL_DIR=f"{tmp_path}/{name}").spool_dir == tmp_path / name


def test_a_file_to_render_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell has worked on it already: what is there is meant."""
    monkeypatch.chdir(tmp_path)
    for odd in ("$HOME.wav", '"a".wav', "~"):
        (tmp_path / odd).touch()
        assert load("--render", odd, "-o", "o.wav").render == (tmp_path / odd,)


def test_relative_places_start_at_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder of the settings does not depend on where the program is started."""
    monkeypatch.chdir(tmp_path)
    settings = load(SPOOL_DIR="other/../spool2", AUDIO_OUTPUT="file:out.wav")
    assert settings.spool_dir == kinds.PROJECT_ROOT / "spool2"
    assert settings.recording_path == kinds.PROJECT_ROOT / "out.wav"


def test_a_folder_is_not_made_by_looking(tmp_path: Path) -> None:
    """A spool that does not exist yet is fine, and stays unmade until it is opened."""
    assert load(SPOOL_DIR=str(tmp_path / "a" / "b")).spool_dir == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["SPOOL_DIR", "LOG_FILE", "AUDIO_OUTPUT"])
def test_unwritable_places_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the right to write is a fault at the start, for whatever is written into it."""
    # Root may write anywhere, so the right is taken away at the seam.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    text = {"SPOOL_DIR": str(tmp_path), "LOG_FILE": str(tmp_path / "x.log"), "AUDIO_OUTPUT": f"file:{tmp_path}/x.wav"}
    (fault,) = [fault for fault in faults(**{name: text[name]}) if fault.startswith(name)]
    assert "cannot be written to" in fault


@pytest.mark.parametrize("mode", [["--ctl", "quit"], ["--library"], ["--list-stations"], ["--export", "."]])
def test_who_writes_nothing_needs_no_right_to_write(
    mode: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A player whose disk has become read-only can be told to end, and its library listed and taken elsewhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK or path != tmp_path)
    arguments = ["--spool-dir", str(tmp_path)]
    with pytest.raises(ConfigError, match="cannot be written to"):
        config.load(arguments, {}, tmp_path / ".env")
    assert config.load([*arguments, *mode], {}, tmp_path / ".env").spool_dir == tmp_path


def test_an_unreadable_stations_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that must be read needs the right to read."""
    path = tmp_path / "stations.toml"
    path.write_text("")
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.R_OK)
    (fault,) = faults(STATIONS_FILE=str(path))
    assert "cannot be read" in fault


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "is not a SoundFont"),
        (b"RIFF\4\0\0\0WAVE", "is not a SoundFont"),
        (b"RIFF\xff\xff\0\0sfbkLIST", "was cut short"),
    ],
)
def test_a_soundfont_that_is_none_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The name, the value, and what to do: not the silence of a font that nothing can be played from."""
    path = tmp_path / "font.sf2"
    if content is not None:
        path.write_bytes(content)
    (fault,) = faults(SOUNDFONT=str(path))
    assert fault.startswith("SOUNDFONT=")
    assert reason in fault
    assert "give a SoundFont" in fault


def test_a_spool_behind_a_broken_link_is_refused(tmp_path: Path) -> None:
    """A dangling link can neither be opened nor made a folder."""
    (tmp_path / "spool").symlink_to(tmp_path / "gone")
    (fault,) = faults(SPOOL_DIR=str(tmp_path / "spool"))
    assert "is not a folder" in fault


# ---- .env ----


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("VOLUME=5\n".encode("utf-16"), "save it as UTF-8"),
        ("VOLUME=5\n".encode("utf-16-le"), "save it as UTF-8"),
        ("VOLUME=5\n".encode("utf-16-be"), "save it as UTF-8"),
        (codecs.BOM_UTF16_BE + "VOLUME=5\n".encode("utf-16-be"), "save it as UTF-8"),
        ("静か=5\n".encode("utf-16"), "save it as UTF-8"),
        ("VOLUME=5\n".encode("utf-32"), "save it as UTF-8"),
        ("PROMPT=静かな\n".encode("shift-jis"), "save it as UTF-8"),
        (b"PROMPT=caf\xe9\n", "save it as UTF-8"),
        (b"VOLUME=5\n\0\0\0", "not a text file"),
        (b"# " + b"x" * 1_000_001, "far too large"),
        (b"\n\nVOLUME\n", ".env, line 3: cannot be understood"),
        (b"VOLUME=5\n\n'broken\n", ".env, line 3: cannot be understood"),
    ],
)
def test_a_broken_dotenv_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    """A binary, mis-encoded, huge or malformed .env is one fault that names it."""
    (fault,) = faults(dotenv=content, folder=tmp_path)
    assert fault.startswith(".env")
    assert reason in fault


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to a pipe", "link in a circle"])
def test_a_dotenv_that_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    """It is a fault at once: neither silently an empty one, nor something to wait for."""
    path, pipe = tmp_path / ".env", tmp_path / "pipe"
    os.mkfifo(pipe)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        pipe.rename(path)
    else:
        path.symlink_to({"device": Path("/dev/zero"), "link to a pipe": pipe, "link in a circle": path}[kind])
    (fault,) = faults(folder=tmp_path)
    assert fault.startswith(".env: cannot be read" if kind == "link in a circle" else ".env: is not a file")


@pytest.mark.parametrize(
    "name", ["\uff36\uff2f\uff2c\uff35\uff2d\uff25", "$env:VOLUME", "音量", "VOLUME\u200b", "(VOLUME)"]
)
def test_a_name_that_no_variable_can_have_is_a_fault(name: str, tmp_path: Path) -> None:
    """Full-width letters and the grammar of other shells are told, not passed over as for others."""
    (fault,) = faults(dotenv=f"MAX_RETRY=5\n{name}=50\n", folder=tmp_path)
    assert fault == ".env, line 2: cannot be understood; write NAME=value or # comment"


def test_dotenv_grammar(tmp_path: Path) -> None:
    """Comments, quotes, export, Windows line ends and a byte order mark are understood."""
    text = "\ufeffMAX_RETRY=5\r\n# mine\r\nexport VOLUME=50 # quiet\r\nPROMPT='tape # piano'\r\nVOLUME=50\r\n"
    settings = load(dotenv=text, folder=tmp_path)
    assert (settings.max_retry, settings.volume, settings.prompt) == (5, 50, "tape # piano")
    assert settings.warnings == ()


MISSPELLED = {
    "PREFETCH_TARGET": ("PREFETCH",),
    "PROMPT": ("PROMPT_TEXT",),
    "LM_BACKEND": ("LM_BACKEDN",),
    "SPOOL_DIR": ("SPOOL_FOLDER_DIR",),
    "ACESTEP_API_URL": ("ACESTEP_SERVER_URL", "ACE_STEP_URL", "ACE_STEP_API_URL", "ACESTEP_API_BASE_URL", "API_URL"),
    "ACESTEP_API_KEY": ("API_KEY",),
    "SEGMENT_SECONDS": ("segment_seconds", "SEGMENT_LENGHT", "segment-seconds", "--segment-seconds"),
    "CROSSFADE_SECONDS": ("CROSSFADE_LENGTH",),
    "STATIONS_FILE": ("STATIONS_PATH",),
    "PLAY_FOR": ("FOR", "for"),
    "CONTINUE": ("CONTINUING",),
    "VOLUME": ("Volume",),
}
MISSPELLED_AS_OURS = {
    "ACESTEP_API_URL": ("ACESTEP_URL", "ACESTEP_BASE_URL"),
    "ACESTEP_API_KEY": ("ACESTEP_KEY",),
    "SEGMENT_SECONDS": ("SEGMENT_SECOND", "SAGYO_SEGMENT_SECONDS"),
    "SAGYO_PROMPT": ("SAGYO_PROMT",),
    "PLAY_FOR": ("SAGYO_FOR",),
}
"""These cannot be anybody else's, in the environment either."""


@pytest.mark.parametrize(
    ("name", "meant", "ours"),
    [
        (name, meant, table is MISSPELLED_AS_OURS)
        for table in (MISSPELLED, MISSPELLED_AS_OURS)
        for meant, names in table.items()
        for name in names
    ],
)
def test_misspelled_names_are_pointed_out(name: str, meant: str, ours: bool, tmp_path: Path) -> None:
    """A name that looks like a setting but is none is warned of, with the likely one; its value is not repeated."""
    told = f'"{name}" is no setting and was ignored; did you mean {meant}?'
    assert warnings(dotenv=f"# mine\n\n{name}=20\n", folder=tmp_path) == (f".env, line 3: {told}",)
    if ours:
        assert warnings(**{name: KEY}) == (f"environment: {told}",)


def test_a_name_with_our_prefix_is_meant_for_us(tmp_path: Path) -> None:
    """Even where it resembles nothing."""
    told = '"SAGYO_WHATEVER" is no setting and was ignored; see .env.example'
    assert warnings(SAGYO_WHATEVER=KEY) == (f"environment: {told}",)
    assert warnings(dotenv=f"SAGYO_WHATEVER={KEY}", folder=tmp_path) == (f".env, line 1: {told}",)


@pytest.mark.parametrize("name", ["ACESTEP_CHECKPOINTS_DIR", "ACESTEP_CACHE_DIR", "ACESTEP_OUTPUT_DIR"])
def test_folders_of_the_server_are_its_own(name: str, tmp_path: Path) -> None:
    """They look like ACESTEP_DIR, but go to the server that we start."""
    assert warnings(**{name: "/models"}) == warnings(dotenv=f"{name}=/models", folder=tmp_path) == ()


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.env], ids=lambda option: option.name)
def test_what_only_the_command_line_may_say_is_told(option: Option, tmp_path: Path) -> None:
    """An option that is no setting does nothing in .env, nor in the environment with our prefix."""
    flag = (option.flags or ("",))[-1]
    told = f"is no setting and was ignored; give {flag} on the command line".replace("--output", "-o")
    name = option.name.upper()
    assert warnings(dotenv=f"{name}=true", folder=tmp_path) == (f'.env, line 1: "{name}" {told}',)
    assert warnings(**{f"SAGYO_{name}": "true"}) == (f'environment: "SAGYO_{name}" {told}',)
    assert warnings(**{name: "true"}) == ()


def test_a_setting_that_stands_twice_is_told(tmp_path: Path) -> None:
    """The last one counts, whichever of its names it has; of equal values, and of others' names, nothing is said."""
    for first, last in (("VOLUME", "VOLUME"), ("SAGYO_VOLUME", "VOLUME"), ("VOLUME", "SAGYO_VOLUME")):
        settings = load(dotenv=f"{first}=40\nPORT=1\nPORT=2\n{last}=50\n", folder=tmp_path)
        assert settings.volume == 50
        told = ".env, line 4: VOLUME was set in line 1 already; this one counts, remove one of the two"
        assert tuple(map(str, settings.warnings)) == (told,)
        assert warnings(dotenv=f"{first}=50\n{last}='50'\n", folder=tmp_path) == ()


SERVERS = (
    "API_HOST API_PORT API_WORKERS AVG_JOB_SECONDS AVG_WINDOW CONFIG_PATH DEVICE INIT_LLM LM_BACKEND LM_DEVICE "
    "LM_MODEL_PATH LM_OFFLOAD_TO_CPU OFFLOAD_DIT_TO_CPU OFFLOAD_TO_CPU QUEUE_MAXSIZE QUEUE_WORKERS TMPDIR"
)
FOREIGN = (
    *("LANG", "NO_COLOR", "HOME", "HF_TOKEN", "HF_HOME", "OPENAI_API_KEY", "PORT", "SERVER_NAME", "LANGUAGE"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "MAX_CUDA_VRAM", "CHECK_UPDATE", "PYTORCH_CUDA_ALLOC_CONF", "LOG_LEVEL"),
    *("COMPOSE_PROJECT_NAME", "TZ", "PUID", "HTTP_PROXY", "PULSE_SERVER", "UV_CACHE_DIR", "DEBUG"),
    *(f"ACESTEP_{name}" for name in SERVERS.split()),
)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_names_are_no_typos(name: str, tmp_path: Path) -> None:
    """A .env, and the environment, are shared with the server and other programs."""
    assert load(dotenv=f"{name}=x\n", folder=tmp_path).warnings == ()
    assert load(**{name: "x"}).warnings == ()


def test_variables_of_others_are_left_in_peace() -> None:
    """An environment is full of names that look a little like ours."""
    others = ("PROMPT_COMMAND", "PROMPTS", "VOLUMES", "LOGFILE", "SPOOL", "OUTPUT", "TARGET", "BATCH", "API_URL")
    assert load(**dict.fromkeys((*others, "STATIONS", *SHARED), "x")).warnings == ()


# ---- the command line ----


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--staton", "lofi"], '"--staton": unknown option; did you mean --station?'),
        (["--segment", "30"], "unknown option"),
        (["-x"], '"-x": unknown option; see --help'),
        (["--volume"], "--volume: needs a value; give a whole number from 0 to 100"),
        (["--render", "-o", "x.wav"], "--render: needs a value; give a file that can be read"),
        (["--check=yes"], "--check: takes no value; give it alone"),
        (["--plain=true"], "--plain: takes no value; give it alone"),
        (["--help=me"], "-h: takes no value; give it alone"),
        (["\N{EM DASH}volume"], '"\N{EM DASH}volume": unknown option; did you mean --volume?'),
        (["\N{MINUS SIGN}\N{MINUS SIGN}plain"], "did you mean --plain?"),
        (["\uff0d\uff0d\uff43\uff48\uff45\uff43\uff4b"], "did you mean --check?"),
        (["\N{EN DASH}key", KEY], "unknown option"),
        (["--api-key", KEY], "put ACESTEP_API_KEY into .env or the environment"),
        (["jazz"], '"jazz": a word that belongs to no option'),
        (["--prompt", "x" * 512], "--prompt"),
        (["--for", "x"], '--for "x": not a duration; give a duration from 1s'),
    ],
)
def test_bad_command_lines_are_one_line_with_a_hint(argv: list[str], hint: str) -> None:
    """The parser's own errors and unknown options come as faults like all others, and name what was typed."""
    (fault,) = faults(*argv)
    assert hint in fault


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_help_is_grouped_and_complete(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help says in the listener's language what each option is for, under its group; it ends with code 0."""
    with pytest.raises(SystemExit) as ended:
        load("--help", f"--lang={language}")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for group in {option.group for option in OPTIONS}:
        assert f"\n{texts.text(language, f'help.group.{group}')}:\n" in shown
    joined = "".join(shown.split())
    for option in OPTIONS:
        assert all(f"{flag}" in shown for flag in option.flags or (option.env or "",)), option.name
        assert not option.flags or "".join(option.help(language).split()) in joined
    assert max(map(cell_len, shown.splitlines())) <= 114
    modes = texts.text(language, "help.group.modes")
    assert shown.count(modes) == 3, "the notes speak of it"


def test_help_is_given_whatever_else_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person who asks for help gets it, in the language of `.env`, with faulty settings too."""
    with pytest.raises(SystemExit):
        load("--help", "--nonsense", dotenv="UI_LANG=ja\nVOLUME=loud\n", folder=tmp_path)
    assert texts.text("ja", "help.description")[:20] in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints it and ends with code 0."""
    with pytest.raises(SystemExit) as ended:
        load("--version")
    assert ended.value.code == 0
    assert config.VERSION in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_is_a_fault(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk or in a closed pipe, as with the modes that print."""

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(ConfigError, match="what there is to tell cannot be written") as refused:
        load(option, "--lang=ja")
    assert refused.value.language == "ja"


def test_a_file_that_is_not_there_is_told_with_its_folder(tmp_path: Path) -> None:
    """A relative path of a setting counts from the project, which a person need not know."""
    (fault,) = faults("--stations-file", "none.toml")
    assert f'there is no such file in "{kinds.PROJECT_ROOT}"' in fault


def test_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modes are off but for the one asked for; their files are where the person is."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.flac"):
        (tmp_path / name).write_bytes(b"")
    settings = load("--render", "a.wav", "b.flac", "-o", "out.wav", "--stats-json", "s.json")
    assert settings.render == (tmp_path / "a.wav", tmp_path / "b.flac")
    assert (settings.output, settings.stats_json) == (tmp_path / "out.wav", tmp_path / "s.json")
    assert [load(f"--{flag}").check for flag in ("check", "library")] == [True, False]


def test_modes_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """One mode at a time; --render and -o need each other; no file is read and written at once."""
    song = tmp_path / "a.wav"
    song.write_bytes(b"")
    assert "--library, --check: only one" in faults("--check", "--library")[0]
    assert "add -o FILE.wav" in faults("--render", str(song))[0]
    assert "only for --render" in faults("-o", str(tmp_path / "out.wav"))[0]
    assert "one of the files to read" in faults("--render", str(song), "-o", str(song))[0]
    told = faults("--render", str(song), "gone.wav", str(tmp_path), "-o", str(tmp_path / "o.wav"))
    assert len(told) == 2  # the two that cannot be read, each by its name, and nothing that follows from them
    assert '"gone.wav": there is no such file' in told[0]
    assert str(song) not in " ".join(told)
    assert "is not a file" in told[1]
    assert "file name too long; give a file that can be read" in faults("--render", "x" * 300, "-o", str(song))[0]
    assert len(faults("--render", str(song), "-o", "/nonexistent/o.wav")) == 1
    assert "does not exist" in faults("--stats-json", "/nonexistent/s.json")[0]


# ---- together ----


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Every wrong setting of every source is in one error, each in a line of its own."""
    told = faults(
        "--segment-seconds",
        "abc",
        "--staton",
        "--check",
        "--library",
        dotenv="BATCH_SIZE=0\nbroken line\n",
        folder=tmp_path,
        LM_BACKEND="cuda",
        ACESTEP_API_URL="nowhere",
        STALL_SEC="300",
        JOB_TIMEOUT_SEC="60",
        SPOOL_DIR="/dev/null",
    )
    for part in ("--segment-seconds", "--staton", "BATCH_SIZE", ".env, line 2", "LM_BACKEND", "ACESTEP_API_URL"):
        assert sum(part in fault for fault in told) == 1, part
    for part in ("STALL_SEC=300 is more than", "SPOOL_DIR", "--library, --check"):
        assert sum(part in fault for fault in told) == 1, part
    assert len(told) == 9


def test_limits_that_contradict_each_other_are_refused() -> None:
    """Two chosen limits in the wrong order are a fault that names both."""
    assert faults(STALL_SEC="200", JOB_TIMEOUT_SEC="100")[0].startswith(
        "STALL_SEC=200 is more than JOB_TIMEOUT_SEC=100"
    )
    assert faults(JOB_TIMEOUT_SEC="600", FIRST_JOB_TIMEOUT_SEC="60")[0].startswith("JOB_TIMEOUT_SEC=600 is more")
    assert faults(STALL_SEC="100", FIRST_JOB_TIMEOUT_SEC="60")[0].startswith("STALL_SEC=100 is more")
    assert faults(POLL_INTERVAL_SEC="30", STALL_SEC="5")[0].startswith("POLL_INTERVAL_SEC=30 is more")
    assert faults(CROSSFADE_SECONDS="10", SEGMENT_SECONDS="20")[0].startswith("CROSSFADE_SECONDS=10 is too long")
    assert faults(SEGMENT_SECONDS="40", SEGMENT_MAX_SECONDS="20")[0].startswith("SEGMENT_SECONDS=40 is more than")


def test_the_longest_segment_follows_the_one_that_is_asked_for() -> None:
    """SEGMENT_SECONDS alone may be anything from 10 to 600: the limit gives way, and so does the usual crossfade."""
    assert load(SEGMENT_SECONDS="600").segment_max_seconds == 600.0
    assert load(SEGMENT_SECONDS="20").segment_max_seconds == 60.0
    assert load(SEGMENT_SECONDS="10").crossfade_seconds == pytest.approx(10 / 3)
    assert warnings(SEGMENT_SECONDS="10") == (
        "CROSSFADE_SECONDS=4 (not set) is too long for SEGMENT_SECONDS=10, and was lowered to a third of it",
    )


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("STALL_SEC", "1000", "JOB_TIMEOUT_SEC=300"),
        ("JOB_TIMEOUT_SEC", "3600", "FIRST_JOB_TIMEOUT_SEC=1200"),
    ],
)
def test_a_choice_that_a_default_forbids_is_refused(name: str, value: str, limit: str) -> None:
    """A limit that nobody set is not raised in silence: the fault names both, and what to do."""
    (fault,) = faults(**{name: value})
    other, figure = limit.split("=")
    assert fault == (
        f"{name}={value} is more than {limit} (not set); give {name} at most {figure}, or more for {other}"
    )


def test_a_default_that_is_lowered_is_said() -> None:
    """A short limit can be chosen alone; what would outlast it is lowered, not in silence."""
    assert load(JOB_TIMEOUT_SEC="60").stall_sec == 60.0
    (warning,) = warnings(JOB_TIMEOUT_SEC="60")
    assert warning == "STALL_SEC=120 (not set) is more than JOB_TIMEOUT_SEC=60, and was lowered to that"
    short_first = load(FIRST_JOB_TIMEOUT_SEC="60")
    assert (short_first.job_timeout_sec, short_first.stall_sec, len(short_first.warnings)) == (60.0, 60.0, 2)


@given(data=st.data())
def test_no_limit_changes_in_silence(data: st.DataObject) -> None:
    """Whatever limits are chosen: they are kept, or refused; and what was not chosen is the default, or said."""
    names = ("POLL_INTERVAL_SEC", "STALL_SEC", "JOB_TIMEOUT_SEC", "FIRST_JOB_TIMEOUT_SEC")
    chosen = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from([5, 20, 100, 500, 2000])))
    try:
        settings = load(**{name: str(value) for name, value in chosen.items()})
    except ConfigError:
        return
    for name in names:
        value = getattr(settings, name.lower())
        wanted = chosen.get(name, getattr(Settings(), name.lower()))
        assert value == wanted or (name not in chosen and any(f"{name}=" in str(said) for said in settings.warnings))
    limits = [getattr(settings, name.lower()) for name in names]
    assert limits == sorted(limits)


@pytest.mark.parametrize(
    ("argv", "environ", "language"),
    [
        ((), {"LANG": "ja_JP.UTF-8"}, "ja"),
        ((), {"LANG": "C.UTF-8"}, "en"),
        ((), {}, "en"),
        ((), {"LANG": "ja_JP.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ((), {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ja_JP"}, "ja"),
        (("--lang", "en"), {"LANG": "ja_JP.UTF-8"}, "en"),
        ((), {"LANG": "en_GB", "UI_LANG": "JA"}, "ja"),
    ],
)
def test_language(argv: tuple[str, ...], environ: dict[str, str], language: str) -> None:
    """The language follows the locale unless one is chosen."""
    assert load(*argv, **environ).language == language


# ---- the key ----


def test_the_key_is_read_but_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The key is in the settings and in no text made from them."""
    caplog.set_level(logging.DEBUG)
    settings = load(dotenv=f"ACESTEP_API_KEY={KEY}\n", folder=tmp_path)
    assert settings.acestep_api_key == KEY
    for told in (repr(settings), str(settings), f"{settings}", caplog.text):
        assert KEY not in told


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        ((), {"ACESTEP_API_KEY": f"{KEY}\nx"}),
        ((), {"ACESTEP_API_KEY": f"{KEY} x"}),
        ((), {"ACESTEP_API_KEY": f"{KEY}é"}),
        ((), {"ACESTEP_API_KEY": KEY, "SAGYO_STATION": KEY * 9}),
        ((), {"ACESTEP_API_KEY": KEY, "SAGYO_ENGINE": KEY}),
        ((), {"ACESTEP_API_KEY": KEY, "SAGYO_ENGINE": KEY.upper()}),
        ((), {"ACESTEP_API_KEY": KEY.title(), "SPOOL_DIR": f"/dev/null/{KEY}"}),
        ((), {"ACESTEP_API_KEY": KEY, "ACESTEP_API_URL": f"http://host/{KEY}?x"}),
        ((), {"ACESTEP_API_KEY": KEY, "SAGYO_ENGINE": f"{'x' * 50}{KEY}"}),
        ((f"--engine={KEY}",), {"ACESTEP_API_KEY": KEY}),
        ((KEY,), {"ACESTEP_API_KEY": KEY}),
        ((), {"ACESTEP_API_URL": f"http://me:{KEY}@host:8001"}),
        ((), {"ACESTEP_API_URL": f"http://me:{KEY}/@host:x"}),
        ((), {"ACESTEP_API_URL": f"http://host/?key={KEY}"}),
        (("--api-key", KEY), {}),
        ((f"--api-key={KEY}",), {}),
        (("--acestep-api-key", KEY), {}),
        (("--token", KEY), {}),
        ((f"--token={KEY}",), {}),
        ((f"--check={KEY}",), {}),
    ],
)
def test_the_key_is_in_no_fault(argv: tuple[str, ...], environ: dict[str, str]) -> None:
    """Wherever the key was put by mistake, no message repeats it."""
    told = "\n".join(faults(*argv, **environ)).lower()
    assert KEY not in told
    assert KEY[:8] not in told, "a part of it"


def test_a_key_in_a_broken_line_is_not_repeated(tmp_path: Path) -> None:
    """A line of .env that cannot be understood may hold the key."""
    (fault,) = faults(dotenv=f"ACESTEP_API_KEY {KEY}\n", folder=tmp_path)
    assert KEY not in fault


# ---- one table ----


def test_documents_follow_from_the_table() -> None:
    """.env.example and the README's table are what the settings make of them (`make settings` writes them)."""
    for path, content in settings_docs.wanted().items():
        assert path.read_text() == content, f"{path.name} is out of date: run `make settings`"


def test_the_example_is_a_valid_dotenv() -> None:
    """Copying .env.example to .env changes nothing, commented lines included once they are uncommented."""
    example = kinds.PROJECT_ROOT / ".env.example"
    assert config.load([], {}, example) == Settings()
    names = {line.lstrip("# ").split("=")[0] for line in example.read_text().splitlines() if "=" in line}
    assert {option.env for option in OPTIONS if option.env} <= names


def test_every_field_is_an_option_or_derived() -> None:
    """No setting can be added without a group, a help line and a way to give it."""
    derived = {"given", "warnings", "locale"}
    assert {field.name for field in dataclasses.fields(Settings)} == {option.name for option in OPTIONS} | derived
    for option in OPTIONS:
        assert option.group and (option.env or option.flags)
        assert not option.help()[0].isupper() or option.help().split()[0].isupper()
        assert option.default is not None or option.example or not option.env


@given(option=st.sampled_from(OPTIONS), text=st.text() | st.text("0123456789.-+einfx:/hms ", max_size=12))
def test_any_text_is_a_value_or_one_fault(option: Option, text: str) -> None:
    """Whatever a variable holds, the answer is a value or a sentence, never another exception."""
    if not option.env:
        return
    try:
        value: Any = getattr(load(**{option.variable: text}), option.name)
    except ConfigError as error:
        assert len(error.faults) >= 1
        assert all(fault.isprintable() for fault in str(error).split("\n"))
    else:
        assert value is not None or option.unset is None


def test_several_servers_have_their_keys_by_position() -> None:
    """A comma-separated list; a key that is missing is none, and no key goes to another's server."""
    settings = load(ACESTEP_API_URL="http://one:8001, https://two.example/ace/", ACESTEP_API_KEY="a,b")
    assert settings.acestep_api_url == "http://one:8001,https://two.example/ace"
    assert [(one.acestep_api_url, one.acestep_api_key) for one in settings.servers] == [
        ("http://one:8001", "a"),
        ("https://two.example/ace", "b"),
    ]
    lonely = load(ACESTEP_API_URL="http://one:8001,http://two:8001", ACESTEP_API_KEY=",b")
    assert [one.acestep_api_key for one in lonely.servers] == ["", "b"]
    assert load(ACESTEP_API_KEY="a,b").servers[0].acestep_api_key == "a,b"
    assert "names one server twice" in faults(ACESTEP_API_URL="http://one:8001,http://one:8001")[0]
    assert "more keys than servers" in faults(ACESTEP_API_URL="http://a:1,http://b:1", ACESTEP_API_KEY="a,b,c")[0]
    assert any("several servers" in fault for fault in faults("--serve", ACESTEP_API_URL="http://a:1,http://b:1"))
