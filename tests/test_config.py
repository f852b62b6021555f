"""The settings: where they come from, what is refused, and how it is said."""

from __future__ import annotations

import dataclasses
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
import places
import settings_docs
from config import OPTIONS, Settings
from errors import ConfigError
from options import Option
from parsing import shown

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
    assert str(caught.value) == "\n".join(caught.value.faults)
    assert all("\n" not in fault and len(fault) < 400 for fault in caught.value.faults)
    return caught.value.faults


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
        "prefetch_target": 3,
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
        "crossfade_seconds": 4.0,
        "target_lufs": -23.0,
        "cue_dbfs": -45.0,
        "volume": 100,
        "spool_dir": places.PROJECT_ROOT / "spool",
        "spool_max_mb": 1024.0,
        "library_no_repeat": 8,
        "log_file": None,
        "lang": "auto",
        "plain": False,
        "play_for": None,
        "pomodoro": None,
        "render": (),
        "output": None,
        "stats_json": None,
        **dict.fromkeys(("list_stations", "library", "play_library", "check"), False),
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
    assert load("--volume", "7", VOLUME="loud").volume == 7


def test_the_environment_is_left_alone(tmp_path: Path) -> None:
    """Reading .env puts nothing into the process's environment, and expands nothing from it."""
    before = dict(os.environ)
    settings = load(dotenv="PROMPT='rain ${HOME} $HOME'\nFOREIGN=1\n", folder=tmp_path)
    assert settings.prompt == "rain ${HOME} $HOME"
    assert dict(os.environ) == before


def test_a_line_copied_from_the_example_is_no_choice(tmp_path: Path) -> None:
    """`given` tells what a person chose, so that a remembered volume survives a copied .env."""
    assert load(dotenv="VOLUME=100\n", folder=tmp_path).given == frozenset()
    assert load("--volume", "100").given == {"volume"}


def test_every_setting_is_reachable_three_ways(tmp_path: Path) -> None:
    """Each documented setting has an option, a variable and a line in .env, all read alike."""
    samples: dict[str, str] = {"stations_file": str(tmp_path / "s.toml"), "spool_dir": str(tmp_path)}
    (tmp_path / "s.toml").write_text("")
    for option in OPTIONS:
        if not option.env:
            continue
        text = samples.get(option.name) or option.example.strip('"') or option.default or ""
        by_variable = load(**{option.env: text})
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
    "SEGMENT_SECONDS": ("19.9", "60.1", "0"),
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
NEVER_NUMBERS = ("abc", "", "  ", "-1e9", "nan", "NaN", "inf", "-inf", "1e999", "30s", "1_000", "0x10", "1,5", "３0秒")


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, own in NUMBERS.items() for text in (*NEVER_NUMBERS, *own)]
)
def test_bad_numbers_are_refused(name: str, text: str) -> None:
    """A number that is none, not finite or out of range is one fault with name, text and range."""
    (fault,) = faults(**{name: text})
    assert fault.startswith(f"{name}={shown(text)} (environment): ")
    option = next(option for option in OPTIONS if option.env == name)
    assert option.kind.accepts in fault


@pytest.mark.parametrize("name", NUMBERS)
def test_both_ends_of_a_range_are_accepted(name: str) -> None:
    """The range that is shown is the range that is accepted, ends included."""
    option = next(option for option in OPTIONS if option.env == name)
    low, high = option.kind.accepts.split(" from ")[1].split(" to ")
    for end in (low, high):
        assert getattr(load(f"--{name.lower().replace('_', '-')}={end}", **_room_for(name)), name.lower()) == float(end)


def _room_for(name: str) -> dict[str, str]:
    return {"SEGMENT_SECONDS": "60"} if name == "CROSSFADE_SECONDS" else {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ENGINE", "cloud"),
        ("LM_BACKEND", "cuda"),
        ("LM_BACKEND", ""),
        ("PLAYER", "mpv"),
        ("UI_LANG", "fr"),
        ("THINKING", "maybe"),
        ("THINKING", ""),
        ("PLAIN", "2"),
        ("AUDIO_OUTPUT", "pulse"),
        ("AUDIO_OUTPUT", "file"),
        ("AUDIO_OUTPUT", "file: "),
        ("AUDIO_OUTPUT", "file:/nonexistent/folder/out.wav"),
        ("AUDIO_OUTPUT", "file:/"),
        ("STATION", ""),
        ("STATION", "x" * 65),
        ("LM_MODEL_PATH", ""),
        ("LM_MODEL_PATH", "a\x00b"),
        ("PROMPT", ""),
        ("PROMPT", " \t\n"),
        ("PROMPT", "x" * 100_000),
        ("PROMPT", "x" * 2001),
        ("PROMPT", "bell \x07"),
        ("PROMPT", "bytes \udcff"),
        ("SPOOL_DIR", "bytes \udcff"),
        ("SPOOL_DIR", ""),
        ("SPOOL_DIR", "a\x00b"),
        ("SPOOL_DIR", "~no-such-user-here/spool"),
        ("SPOOL_DIR", "x" * 5000),
        ("SPOOL_DIR", "/dev/null"),
        ("SPOOL_DIR", "/dev/null/spool"),
        ("STATIONS_FILE", "/nonexistent.toml"),
        ("STATIONS_FILE", "/"),
        ("LOG_FILE", "/nonexistent/folder/player.log"),
        ("LOG_FILE", "/"),
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
    (fault,) = faults(**{name: text})
    assert fault.startswith(f"{name}=")
    assert "; give " in fault
    assert fault.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "",
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
    settings = load("--lm-backend", "VLLM", ENGINE="BuiltIn", THINKING="No", AUDIO_OUTPUT="NONE")
    assert (settings.lm_backend, settings.engine, settings.thinking, settings.audio_output) == (
        "vllm",
        "builtin",
        False,
        "none",
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("50m", 3000.0), ("1h30m", 5400.0), ("90s", 90.0), ("45", 2700.0), ("1.5H", 5400.0), ("1h 5s", 3605.0)],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration has units; a plain number is minutes."""
    assert load("--for", text).play_for == seconds


def test_pomodoro() -> None:
    """A pomodoro is work and break, in minutes unless they have units."""
    assert load("--pomodoro", "25/5").pomodoro == (1500.0, 300.0)
    assert load(POMODORO="30s / 10s").pomodoro == (30.0, 10.0)


def test_a_prompt_is_one_line() -> None:
    """Line breaks of a prompt become spaces; Japanese stays as it is."""
    assert load(PROMPT="静かな\n  ピアノ\t雨").prompt == "静かな ピアノ 雨"
    assert len(load(PROMPT="x" * 2000).prompt) == 2000


def test_empty_means_not_set_only_where_that_is_a_value() -> None:
    """An empty key, file or timer is not set; anything else empty is a fault."""
    settings = load(ACESTEP_API_KEY="", LOG_FILE="", STATIONS_FILE=" ", PLAY_FOR="", POMODORO="")
    assert settings == dataclasses.replace(Settings(), given=settings.given)


# ---- folders ----


def test_relative_places_start_at_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder of the settings does not depend on where the program is started."""
    monkeypatch.chdir(tmp_path)
    settings = load(SPOOL_DIR="other/../spool2", AUDIO_OUTPUT="file:out.wav")
    assert settings.spool_dir == places.PROJECT_ROOT / "spool2"
    assert settings.recording_path == places.PROJECT_ROOT / "out.wav"


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


def test_an_unreadable_stations_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that must be read needs the right to read."""
    path = tmp_path / "stations.toml"
    path.write_text("")
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.R_OK)
    (fault,) = faults(STATIONS_FILE=str(path))
    assert "cannot be read" in fault


def test_a_spool_behind_a_broken_link_is_refused(tmp_path: Path) -> None:
    """A dangling link can neither be opened nor made a folder."""
    (tmp_path / "spool").symlink_to(tmp_path / "gone")
    (fault,) = faults(SPOOL_DIR=str(tmp_path / "spool"))
    assert "is not a folder" in fault


# ---- .env ----


def test_no_dotenv_is_fine(tmp_path: Path) -> None:
    """A missing .env means defaults."""
    assert load(folder=tmp_path) == Settings()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00P", "not a text file"),
        (b"PROMPT=caf\xe9\n", "not UTF-8 text"),
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


def test_an_unreadable_dotenv_is_refused(tmp_path: Path) -> None:
    """A .env that cannot be opened is a fault, not silently an empty one."""
    (tmp_path / ".env").mkdir()
    (fault,) = faults(folder=tmp_path)
    assert "cannot be read" in fault


def test_dotenv_grammar(tmp_path: Path) -> None:
    """Comments, quotes, export, Windows line ends and a byte order mark are understood."""
    text = "\ufeffMAX_RETRY=5\r\n# mine\r\nexport VOLUME=40 # quiet\r\nPROMPT='tape # piano'\r\nVOLUME=50\r\n"
    settings = load(dotenv=text, folder=tmp_path)
    assert (settings.max_retry, settings.volume, settings.prompt) == (5, 50, "tape # piano")
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SEGMENT_SECOND", "SEGMENT_SECONDS"),
        ("segment_seconds", "SEGMENT_SECONDS"),
        ("PREFETCH", "PREFETCH_TARGET"),
        ("PROMPT_TEXT", "PROMPT"),
        ("LM_BACKEDN", "LM_BACKEND"),
    ],
)
def test_misspelled_names_are_pointed_out(name: str, meant: str, tmp_path: Path) -> None:
    """A name in .env that looks like a setting but is none is warned of, with the likely one."""
    (warning,) = load(dotenv=f"{name}=20\n", folder=tmp_path).warnings
    assert warning == f'.env: "{name}" is no setting and was ignored; did you mean {meant}?'


@pytest.mark.parametrize("name", ["LANG", "NO_COLOR", "HOME", "ACESTEP_API_HOST", "ACESTEP_API_PORT", "HF_TOKEN"])
def test_foreign_names_are_no_typos(name: str, tmp_path: Path) -> None:
    """A .env may be shared with the server and other programs."""
    assert load(dotenv=f"{name}=x\n", folder=tmp_path).warnings == ()


# ---- the command line ----


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--staton", "lofi"], '"--staton": unknown option; did you mean --station?'),
        (["--segment", "30"], "unknown option"),
        (["-x"], '"-x": unknown option; see --help'),
        (["--volume"], "expected one argument; see --help"),
        (["--check=yes"], "ignored explicit argument"),
        (["jazz"], '"jazz": a word that belongs to no option'),
        (["--prompt", ""], "--prompt"),
    ],
)
def test_bad_command_lines_are_one_line_with_a_hint(argv: list[str], hint: str) -> None:
    """The parser's own errors and unknown options come as faults like all others."""
    (fault,) = faults(*argv)
    assert hint in fault


def test_a_fault_of_the_command_line_names_the_option() -> None:
    """A person is told of the option they typed, not of a variable they did not set."""
    assert faults("--for", "x")[0].startswith('--for "x": not a duration; give a duration from 1s')


def test_negative_numbers_are_values_not_options() -> None:
    """Loudness is negative and needs no equals sign."""
    assert load("--target-lufs", "-20").target_lufs == -20.0


def test_help_is_grouped_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every option under a group, and the key's variable; it ends with code 0."""
    with pytest.raises(SystemExit) as ended:
        load("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for group in (
        "Music:",
        "Generation:",
        "Server (acestep-api):",
        "Sound:",
        "Listening:",
        "Files:",
        "Modes and reports:",
    ):
        assert f"\n{group}\n" in text
    for option in OPTIONS:
        assert all(f"{flag}" in text for flag in option.flags or (option.env or "",)), option.name
    assert max(len(line) for line in text.splitlines()) <= 110


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints it and ends with code 0."""
    with pytest.raises(SystemExit) as ended:
        load("--version")
    assert ended.value.code == 0
    assert config.VERSION in capsys.readouterr().out


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
    assert "--library and --check: only one" in faults("--check", "--library")[0]
    assert "add -o FILE.wav" in faults("--render", str(song))[0]
    assert "only for --render" in faults("-o", str(tmp_path / "out.wav"))[0]
    assert "one of the files to read" in faults("--render", str(song), "-o", str(song))[0]
    assert "no such file" in faults("--render", str(song), "gone.wav", "-o", str(tmp_path / "o.wav"))[0]
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
    for part in ("STALL_SEC=300 is more than", "SPOOL_DIR", "--library and --check"):
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


def test_defaults_give_way_to_what_was_chosen() -> None:
    """A single good setting never contradicts a default."""
    assert load(JOB_TIMEOUT_SEC="60").stall_sec == 60.0
    assert load(JOB_TIMEOUT_SEC="3600").first_job_timeout_sec == 3600.0
    long_stall = load(STALL_SEC="3600")
    assert (long_stall.job_timeout_sec, long_stall.first_job_timeout_sec) == (3600.0, 3600.0)
    short_first = load(FIRST_JOB_TIMEOUT_SEC="60")
    assert (short_first.job_timeout_sec, short_first.stall_sec) == (60.0, 60.0)


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
    for text in (repr(settings), str(settings), f"{settings}", caplog.text):
        assert KEY not in text


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        ((), {"ACESTEP_API_KEY": f"{KEY}\nx"}),
        ((), {"ACESTEP_API_KEY": f"{KEY} x"}),
        ((), {"ACESTEP_API_KEY": f"{KEY}é"}),
        ((), {"ACESTEP_API_KEY": KEY, "STATION": KEY * 9}),
        ((), {"ACESTEP_API_KEY": KEY, "ENGINE": KEY}),
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
    assert KEY not in "\n".join(faults(*argv, **environ))


def test_a_key_in_a_broken_line_is_not_repeated(tmp_path: Path) -> None:
    """A line of .env that cannot be understood may hold the key."""
    (fault,) = faults(dotenv=f"ACESTEP_API_KEY {KEY}\n", folder=tmp_path)
    assert KEY not in fault


def test_the_key_is_refused_on_the_command_line() -> None:
    """Others can read a command line; the fault says where the key belongs."""
    (fault,) = faults("--api-key", KEY)
    assert "put ACESTEP_API_KEY into .env or the environment" in fault


# ---- one table ----


def test_documents_follow_from_the_table() -> None:
    """.env.example and the README's table are what the settings make of them (`make settings` writes them)."""
    for path, text in settings_docs.wanted().items():
        assert path.read_text() == text, f"{path.name} is out of date: run `make settings`"


def test_the_example_is_a_valid_dotenv() -> None:
    """Copying .env.example to .env changes nothing, commented lines included once they are uncommented."""
    example = places.PROJECT_ROOT / ".env.example"
    assert config.load([], {}, example) == Settings()
    names = {line.lstrip("# ").split("=")[0] for line in example.read_text().splitlines() if "=" in line}
    assert {option.env for option in OPTIONS if option.env} <= names


def test_every_field_is_an_option_or_derived() -> None:
    """No setting can be added without a group, a help line and a way to give it."""
    derived = {"given", "warnings", "locale"}
    assert {field.name for field in dataclasses.fields(Settings)} == {option.name for option in OPTIONS} | derived
    for option in OPTIONS:
        assert option.help and option.group and (option.env or option.flags)
        assert not option.help[0].isupper() or option.help.split()[0].isupper()
        assert option.default is not None or option.example or not option.env


@given(option=st.sampled_from(OPTIONS), text=st.text() | st.text("0123456789.-+einfx:/hms ", max_size=12))
def test_any_text_is_a_value_or_one_fault(option: Option, text: str) -> None:
    """Whatever a variable holds, the answer is a value or a sentence, never another exception."""
    if not option.env:
        return
    try:
        value: Any = getattr(load(**{option.env: text}), option.name)
    except ConfigError as error:
        assert len(error.faults) >= 1
        assert all(fault.isprintable() for fault in error.faults)
    else:
        assert value is not None or option.unset is None


def test_dotenv_of_others_is_not_touched(tmp_path: Path) -> None:
    """Reading leaves the file as it is, its mode too."""
    path = tmp_path / ".env"
    load(dotenv="VOLUME=5\n", folder=tmp_path)
    mode = stat.S_IMODE(path.stat().st_mode)
    load(folder=tmp_path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("VOLUME=5\n", mode)
