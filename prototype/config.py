"""The settings: what they are, and how they are read from the command line, the environment and `.env`.

`Settings` is the one table of them: the parser, `--help`, `.env.example` and the README's table follow from it. What
each is for stands in the texts `option.<name>`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from base.errors import ConfigError
from base.texts import LANGUAGES, Said, said
from base.workers import within
from settings import envfile, kinds
from settings.options import HELP, Option, options_of, read_command_line, setting, show_help

VERSION: Final = "1.0.0"
ANSWER_S: Final = 2.0  # of a disk
DOTENV_PATH: Final = kinds.PROJECT_ROOT / ".env"
COMMAND_LINE: Final = "command_line"
ENVIRONMENT: Final = "environment"
SHORTEST_KEY_HIDDEN: Final = 4
MESSAGES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")  # the locale of messages, in POSIX's order of precedence
MUSIC: Final = "music"  # the groups, and the names of their texts
GENERATION: Final = "generation"
SERVER: Final = "server"
SOUND: Final = "sound"
LISTENING: Final = "listening"
FILES: Final = "files"
MODES: Final = "modes"
BESIDE_PLAYING: Final = ("list_stations", "library", "forget_taste", "check", "render", "export", "serve", "ctl")
# Those that write nothing into the spool: a disk that takes nothing keeps nobody from them.
READING: Final = ("list_stations", "library", "export", "ctl")
# A limit that is shorter than what it limits; the first must not be larger than the second.
ORDERED: Final = (
    ("job_timeout_sec", "first_job_timeout_sec"),
    ("stall_sec", "job_timeout_sec"),
    ("poll_interval_sec", "stall_sec"),
    ("segment_seconds", "segment_max_seconds"),
)


@dataclass(frozen=True)
class Settings:
    """All settings, checked. Units stand in the names; `_sec` and `_seconds` are seconds.

    `given` names the settings a person chose; `warnings` are sentences to show; `locale` is the system's.
    """

    station: str = setting(kinds.words(64, said("accepts.station"), "NAME"), "lofi", MUSIC)
    prompt: str = setting(kinds.PROMPT, None, MUSIC, unset="", example='"warm tape piano, soft rain"')
    stations_file: Path | None = setting(kinds.READABLE, None, MUSIC, example="my_stations.toml")
    volume: int = setting(kinds.whole(0, 100), "100", MUSIC)
    ambience: str = setting(kinds.choice("off", "rain", "vinyl", "cafe", "waves", "brown"), "off", MUSIC)
    ambience_volume: int = setting(kinds.whole(0, 100), "40", MUSIC)

    engine: str = setting(kinds.choice("auto", "acestep", "builtin"), "auto", GENERATION)
    segment_seconds: float = setting(kinds.number(10, 600), "30", GENERATION)
    segment_max_seconds: float = setting(kinds.number(10, 600), "60", GENERATION)
    prefetch_target: int = setting(kinds.whole(1, 20), "3", GENERATION)
    continuing: str = setting(kinds.choice("off", "on"), "off", GENERATION, env="CONTINUE", flags=("--continue",))
    context_seconds: float = setting(kinds.number(5, 60), "15", GENERATION)
    piece_minutes: float = setting(kinds.number(1, 120), "6", GENERATION)
    batch_size: int = setting(kinds.whole(1, 8), "1", GENERATION)
    thinking: bool = setting(kinds.YES_NO, "true", GENERATION)
    lm_model_path: str = setting(kinds.words(200, said("accepts.name"), "NAME"), "acestep-5Hz-lm-0.6B", GENERATION)
    lm_backend: str = setting(kinds.choice("vllm", "pt", "mlx"), "vllm", GENERATION)
    max_retry: int = setting(kinds.whole(0, 10), "2", GENERATION)

    acestep_api_url: str = setting(kinds.URL, "http://127.0.0.1:8001", SERVER)
    acestep_api_key: str = setting(kinds.API_KEY, None, SERVER, unset="", flags=(), example="the-key")
    acestep_dir: Path | None = setting(kinds.ANY_FOLDER, None, SERVER, example="../ACE-Step-1.5")
    poll_interval_sec: float = setting(kinds.number(0.1, 30), "1.5", SERVER)
    stall_sec: float = setting(kinds.number(5, 3600), "120", SERVER)
    job_timeout_sec: float = setting(kinds.number(10, 3600), "300", SERVER)
    first_job_timeout_sec: float = setting(kinds.number(60, 7200), "1200", SERVER)

    player: str = setting(kinds.choice("stream", "playlist"), "stream", SOUND)
    audio_output: str = setting(kinds.AUDIO_OUTPUT, "auto", SOUND)
    soundfont: Path | None = setting(kinds.SOUNDFONT, None, SOUND, example="~/GeneralUser.sf2")
    crossfade_seconds: float = setting(kinds.number(0, 10), "4", SOUND)
    target_lufs: float = setting(kinds.number(-40, -10), "-23", SOUND)
    cue_dbfs: float = setting(kinds.number(-70, -20), "-45", SOUND)

    play_for: float | None = setting(kinds.DURATION, None, LISTENING, flags=("--for",), example="50m")
    pomodoro: tuple[float, float] | None = setting(kinds.POMODORO, None, LISTENING, example="25/5")
    announce: str = setting(kinds.choice("off", "bell", "notification"), "off", LISTENING)
    plain: bool = setting(kinds.YES_NO, "false", LISTENING)
    lang: str = setting(kinds.choice("auto", "en", "ja"), "auto", LISTENING, env="UI_LANG")

    spool_dir: Path = setting(kinds.FOLDER, "spool", FILES, example="~/Music/spool")
    spool_max_mb: float = setting(kinds.number(50, 1_000_000), "1024", FILES)
    library_no_repeat: int = setting(kinds.whole(0, 100), "8", FILES)
    record_format: str = setting(kinds.choice(*kinds.SOUND_FORMATS), "flac", FILES)
    log_file: Path | None = setting(kinds.LOG, None, FILES, example="player.log")

    list_stations: bool = setting(kinds.YES_NO, "false", MODES, env="")
    library: bool = setting(kinds.YES_NO, "false", MODES, env="")
    forget_taste: bool = setting(kinds.YES_NO, "false", MODES, env="")
    play_library: bool = setting(kinds.YES_NO, "false", MODES, env="")
    check: bool = setting(kinds.YES_NO, "false", MODES, env="")
    render: tuple[Path, ...] = setting(kinds.GIVEN_FILE, None, MODES, unset=(), env="", many=True)
    output: Path | None = setting(kinds.RESULT_FILE, None, MODES, env="", flags=("-o", "--output"))
    export: Path | None = setting(kinds.RESULT_FOLDER, None, MODES, env="")
    serve: bool = setting(kinds.YES_NO, "false", MODES, env="")
    ctl: tuple[str, ...] = setting(kinds.COMMAND, None, MODES, unset=(), env="", many=True, to_end=True)
    stats_json: Path | None = setting(kinds.RESULT_FILE, None, MODES, env="")

    given: frozenset[str] = frozenset()
    warnings: tuple[Said, ...] = ()
    locale: str = ""

    @property
    def language(self) -> str:
        """The language shown: "en" or "ja"."""
        return language_of(self.lang, self.locale)

    @property
    def mode(self) -> str:
        """The name of what is done instead of playing, one of BESIDE_PLAYING; "": it plays."""
        return next((name for name in BESIDE_PLAYING if getattr(self, name)), "")

    @property
    def log_path(self) -> Path:
        """Where the log goes."""
        return self.log_file or self.spool_dir / "player.log"

    @property
    def servers(self) -> tuple[Settings, ...]:
        """The settings for each server alone: its address, and the key in the same place of the list."""
        urls = self.acestep_api_url.split(",")
        keys = self.acestep_api_key.split(",") if len(urls) > 1 else [self.acestep_api_key]
        return tuple(
            replace(self, acestep_api_url=url, acestep_api_key=key.strip())
            for url, key in zip_longest(urls, keys, fillvalue="")
        )

    @property
    def real_device(self) -> bool:
        """Whether the sound goes to the machine's sound device."""
        return self.audio_output == "auto"

    @property
    def recording_path(self) -> Path | None:
        """The file that AUDIO_OUTPUT=file:PATH names."""
        return Path(self.audio_output.removeprefix("file:")) if self.audio_output.startswith("file:") else None


def language_of(lang: str, locale: str) -> str:
    """Return the language shown, by the setting and the system's locale."""
    return lang if lang in LANGUAGES else "ja" if locale.lower().startswith("ja") else "en"


OPTIONS: Final = options_of(Settings)


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    dotenv_path: Path,
    look_up: Callable[[Settings], Sequence[Said]] = lambda _settings: (),
) -> Settings:
    """Read and check all settings.

    `look_up` returns the faults that would be found later, to be told beside those that are found here.
    Raises ConfigError with all faults at once; SystemExit(0) for --help and --version.
    """
    faults: list[Said] = []
    from_command_line = read_command_line(OPTIONS, VERSION, argv, faults)
    bindings = envfile.read(dotenv_path, faults)
    named = {option.variable: option.env for option in OPTIONS if option.env}  # docker reads variables' names there
    from_file = {named.get(one.name) or one.name: one.value for one in bindings}
    sources = {COMMAND_LINE: from_command_line, ENVIRONMENT: environ, DOTENV_PATH.name: from_file}
    keyless = functools.partial(_without_keys, sources=(environ, from_file))
    values, given = _values(sources, keyless, faults)
    warnings: list[Said] = []
    faults += _cross_faults(values, given, warnings) + _mode_faults(values, given)
    known = {**from_file, **environ}
    locale = next((known[name] for name in MESSAGES if known.get(name)), "")
    language = language_of(values.get("lang", ""), locale)
    if HELP in from_command_line:
        show_help(OPTIONS, str(from_command_line[HELP]), language)
    if faults:
        if "stations_file" in values or "stations_file" not in given:
            faults += look_up(Settings(**values))
        raise ConfigError([fault.edited(keyless) for fault in faults], language)
    warnings += envfile.misspelled_variables(environ, OPTIONS)
    warnings += envfile.doubts(bindings, dotenv_path.name, OPTIONS)
    return Settings(
        **values,
        given=frozenset(given),
        warnings=tuple(warning.edited(keyless) for warning in warnings),
        locale=locale,
    )


def _values(
    sources: Mapping[str, Mapping[str, Any]], keyless: Callable[[str], str], faults: list[Said]
) -> tuple[dict[str, Any], set[str]]:
    """Return the value of each setting that has a good one, and the names of those that a person chose."""
    values: dict[str, Any] = {}
    given: set[str] = set()
    folder = kinds.READ_FOLDER if any(map(sources[COMMAND_LINE].get, READING)) else kinds.FOLDER
    for option in (one._replace(kind=folder) if one.kind is kinds.FOLDER else one for one in OPTIONS):
        source, raw = _find(option, sources)
        # A line copied from .env.example is no choice of a person's.
        if source and not (source == DOTENV_PATH.name and raw == option.default):
            given.add(option.name)
        for text in [] if raw is None else raw if isinstance(raw, list) else [raw]:
            try:
                found = _value(option, text)
            except (ValueError, OSError) as reason:
                faults.append(_fault(option, source, keyless(text), reason))
            else:
                values[option.name] = (*values.get(option.name, ()), found) if isinstance(raw, list) else found
    return values, given


def _find(option: Option, sources: Mapping[str, Mapping[str, Any]]) -> tuple[str, str | list[str] | None]:
    """Return where the option's text stands ("" for its default) and the text; None when it is not set.

    An empty setting is as one that is not there.
    """
    if not option.env:
        return (COMMAND_LINE, word) if (word := sources[COMMAND_LINE].get(option.name)) is not None else ("", None)
    for source, name in zip(sources, (option.name, option.variable, option.env), strict=True):
        raw = sources[source].get(name, "")
        if text := raw.strip() if option.kind.secret else kinds.unquoted(raw):
            return source, text
    return "", option.default


def _value(option: Option, raw: str) -> Any:
    text = raw.strip()
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(said("value.not_utf8"))
    if not text:
        raise ValueError(said("value.empty"))
    value = option.kind.parse(text)
    if within(ANSWER_S, lambda: option.kind.check(value), option) is option:
        raise ValueError(said("value.no_answer"))
    return value


def _fault(option: Option, source: str, raw: str, reason: ValueError | OSError) -> Said:
    text = "" if option.kind.secret else kinds.shown(raw)
    where: Said | str
    if source == COMMAND_LINE and option.flags:
        where = f"{option.flags[-1]} {text}"
    else:
        name = option.variable if source == ENVIRONMENT else option.env
        place = DOTENV_PATH.name if source == DOTENV_PATH.name else said(f"fault.{source or 'default'}")
        where = said("fault.in_place", setting=f"{name}={text}" if text else name, place=place)
    return said("fault.given", where=where, reason=reason, accepted=option.accepted)


def _cross_faults(values: dict[str, Any], given: Set[str], warnings: list[Said]) -> list[Said]:
    """Return what does not fit together. A default that a chosen limit makes pointless is lowered, which is said."""
    faults = []
    if "segment_max_seconds" not in given and "segment_seconds" in values:
        values["segment_max_seconds"] = max(values["segment_seconds"], values["segment_max_seconds"])
    for smaller, larger in ORDERED:
        if not {smaller, larger} <= values.keys() or values[smaller] <= values[larger]:
            continue
        ours, theirs = (f"{name.upper()}={values[name]:g}" for name in (smaller, larger))
        if smaller in given:
            limit = theirs if larger in given else said("fault.not_set", setting=theirs)
            names = {"name": smaller.upper(), "other": larger.upper()}
            faults.append(said("fault.limit", ours=ours, theirs=limit, most=f"{values[larger]:g}", **names))
        else:
            warnings.append(said("fault.limit_lowered", ours=said("fault.not_set", setting=ours), theirs=theirs))
            values[smaller] = values[larger]
    segment_s, crossfade_s = values.get("segment_seconds"), values.get("crossfade_seconds")
    if segment_s and crossfade_s and crossfade_s > segment_s / 3:
        crossfade, segment = f"CROSSFADE_SECONDS={crossfade_s:g}", f"SEGMENT_SECONDS={segment_s:g}"
        if "crossfade_seconds" in given:
            faults.append(said("fault.crossfade", crossfade=crossfade, segment=segment, most=f"{segment_s / 3:.3g}"))
        else:
            values["crossfade_seconds"] = segment_s / 3
            lowered = said("fault.not_set", setting=crossfade)
            warnings.append(said("fault.crossfade_lowered", crossfade=lowered, segment=segment))
    if values.get("player") == "playlist" and values.get("ambience", "off") != "off":
        warnings.append(said("fault.ambience_unheard", setting=f"AMBIENCE={values['ambience']}"))
    if values.get("player") == "playlist" and values.get("audio_output", "").startswith("file:"):
        faults.append(said("fault.output_unwritten", setting=f"AUDIO_OUTPUT={values['audio_output']}"))
    addresses, keys = (values.get(f"acestep_api_{name}", "").count(",") for name in ("url", "key"))
    if addresses and keys > addresses:
        faults.append(said("fault.more_keys"))
    return list(dict.fromkeys(faults))


def _mode_faults(values: Mapping[str, Any], given: Set[str]) -> list[Said]:
    faults = []
    modes = [name for name in (*BESIDE_PLAYING, "play_library") if values.get(name)]
    if "ctl" in given and not values.get("ctl"):
        faults.append(said("fault.no_command"))
    if len(modes) > 1:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in modes)
        faults.append(said("fault.one_mode", flags=flags))
    if values.get("serve") and "," in values.get("acestep_api_url", ""):
        faults.append(said("fault.serve_several"))
    render, output = values.get("render", ()), values.get("output")
    if render and "output" not in given:
        faults.append(said("fault.no_output"))
    if output is not None and "render" not in given:
        faults.append(said("fault.output_alone"))
    if output in render:
        faults.append(said("fault.output_is_read", path=kinds.shown(str(output))))
    return faults


def _without_keys(text: str, sources: Iterable[Mapping[str, str]]) -> str:
    """Take the server's key out of a text, should it have been put into a wrong place too.

    Before a text is shortened as well: a part of the key would be left.
    """
    for source in sources:
        key = source.get("ACESTEP_API_KEY", "").strip()
        if len(key) >= SHORTEST_KEY_HIDDEN:
            for form in (key, kinds.quoted(key)[1:-1], quote(key, safe="")):
                text = re.sub(re.escape(form), "***", text, flags=re.IGNORECASE)
    return text
