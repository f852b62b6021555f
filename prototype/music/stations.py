"""Stations, and the mood: which of them the listener wants to hear now, and how far its rotation has come.

A station is a named mood, a family of prompts that fit beside one another.

Inside a station the tempo never changes and the key moves only to a near relative, so any two neighbours can be
crossfaded; what rotates is the caption, the leading instrument and the texture. The built-in ones are in
`stations.toml`, written in the format a user's own file (`STATIONS_FILE`) has:

    order = ["harbour", "lofi"]             # optional: these come first, so the keys 1, 2, … pick them

    [harbour]                               # a new station: a-z, 0-9, - and _, at most 24 characters
    title = "Harbour at night"              # optional (default: the name); up to 40 characters
    title_ja = "夜の港"                      # optional (default: title)
    about = "dub by the water"              # optional (default: the first caption); about_ja likewise
    captions = ["slow dub", "calm reggae"]  # required for a new station: the mood, in words; no tempo, no endings
    instruments = ["melodica", "organ"]     # optional: one of them is added to each prompt
    textures = ["tape delay", "rain"]       # optional: likewise
    instruments_ja = ["鍵盤ハーモニカ", "オルガン"]  # optional: what Japanese calls them; textures_ja too
    bpm = 72                                # optional: 30-300 (without: the model chooses, neighbours may not fit)
    keys = ["A minor", "C major"]           # optional: note, # or b, "major" or "minor"; relatives fit best
    time_signature = 4                      # optional: 2, 3, 4 or 6 (2/4, 3/4, 4/4, 6/8)

    [lofi]                                  # a built-in name: only the fields given here are changed
    bpm = 84

The longest prompt a station can make must stay below 512 characters, the limit of ACE-Step's text encoder.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import threading
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.errors import ConfigError
from base.texts import LONGEST_PROMPT, Said, said
from music.continuing import Continuing
from music.segment import Recipe, SegmentInfo
from music.taste import KINDS, Taste

BPM_MIN: Final = 30
BPM_MAX: Final = 300
SEGMENTS_PER_KEY: Final = 4
CUSTOM_KEY: Final = "custom"

_BUILTIN_PATH = Path(__file__).with_name("stations.toml")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_KEY_SCALE = "[A-G][#b♯♭]? (major|minor)"
_LISTS = ("instruments_ja", "textures_ja", "captions", "instruments", "textures")


class Mood:
    """The present station. `token` changes with it, so that work begun for an earlier mood can be told apart.

    `continuing` says which of its pieces go on, `taste` what the listener likes. `asked_for`: the listener named the
    station; then other music only plays where there is nothing else at all.
    Threads: any; `_lock` guards what changes together.
    """

    def __init__(
        self,
        station: Station,
        index: int = 0,
        *,
        asked_for: bool = False,
        continuing: Continuing | None = None,
        taste: Taste | None = None,
    ) -> None:
        self.continuing = continuing or Continuing()
        self.taste = taste or Taste()
        self._lock = threading.Lock()
        self.station = self._rotation = station
        self._index = index
        self._token = 0
        self.asked_for = asked_for

    def token(self) -> int:
        """Return the number of the present mood."""
        return self._token

    def change(self, station: Station) -> bool:
        """Take another station; return whether it is another one."""
        with self._lock:
            if station == self.station:
                return False
            self.station = station
            self._token += 1
            self.asked_for = True
            return True

    @property
    def rotation(self) -> Station:
        """The present station, with what is liked more often in its lists."""
        return self.station.steered_by(self.taste)

    def next_recipe(self, duration_s: float) -> Recipe:
        """Return the next recipe of the rotation; where opinions have changed it, not with the same caption again."""
        station = self.station
        rotation = station.steered_by(self.taste)
        with self._lock:
            before, self._rotation = self._rotation, rotation
            last, self._index = before.words(self._index)[0], self._index + 1
            if not before == rotation == station and len(set(station.captions)) > 1:
                while rotation.words(self._index)[0] == last:
                    self._index += 1
            return rotation.recipe(self._index, duration_s)

    def matches(self, info: SegmentInfo | None) -> bool:
        """Return whether a segment was made for the present mood."""
        return info is not None and mood_name(info.recipe.station, info.recipe.prompt) == self.name

    @property
    def name(self) -> str:
        """The name that all segments of the present mood share."""
        station = self.station
        return mood_name(station.key, station.captions[0])


def mood_name(station_key: str, prompt: str) -> str:
    """Return what the segments of one mood share: the key of their station, with the prompt if it is the listener's."""
    return f"{CUSTOM_KEY} {prompt}" if station_key == CUSTOM_KEY else station_key


@dataclass(frozen=True)
class Station:
    """One mood. `bpm` None, no `key_scales` and an empty `time_signature` leave the choice to the model."""

    key: str
    title_en: str
    title_ja: str
    captions: tuple[str, ...]
    bpm: int | None = None
    key_scales: tuple[str, ...] = ()
    time_signature: str = ""
    instruments: tuple[str, ...] = ()
    textures: tuple[str, ...] = ()
    about_en: str = ""
    about_ja: str = ""
    instruments_ja: tuple[str, ...] = ()
    textures_ja: tuple[str, ...] = ()

    def title(self, language: str) -> str:
        """Return the name to show in `language` ("en" or "ja")."""
        return self.title_ja if language == "ja" else self.title_en

    def about(self, language: str) -> str:
        """Return what the station is like, in a few words: in English the first caption where nothing is written."""
        return (self.about_ja if language == "ja" else "") or self.about_en or (*self.captions, "")[0]

    def choices(self, prompt: str) -> dict[str, str]:
        """Return the caption, instrument and texture that a prompt was made of, by kind; none that is not ours."""
        found, rest = {}, prompt.removesuffix(self._ending)
        for kind, words in (("texture", self.textures), ("instrument", self.instruments)):
            if word := max((word for word in words if rest.endswith(f", {word}")), key=len, default=""):
                found[kind], rest = word, rest.removesuffix(f", {word}")
        return found | ({"caption": rest} if rest in self.captions else {})

    def makes(self, prompt: str) -> bool:
        """Return whether it is one of this station's prompts."""
        return self.choices(prompt).keys() == {kind for kind in KINDS if getattr(self, f"{kind}s")}

    def piece_name(self, prompt: str, language: str) -> str:
        """Return what tells a piece from its neighbours: instrument and texture, or the prompt if it has none."""
        found = self.choices(prompt)
        names = [self.name(kind, found[kind], language) for kind in ("instrument", "texture") if kind in found]
        return " · ".join(names) or prompt

    def name(self, kind: str, word: str, language: str) -> str:
        """Return what a language calls one of the choices; of a caption, the beginning that says most."""
        if kind == "caption":
            return word.partition(",")[0]
        names = getattr(self, f"{kind}s_ja") if language == "ja" else ()
        return str(names[getattr(self, f"{kind}s").index(word)]) if names else word

    def steered_by(self, taste: Taste) -> Station:
        """Return the station that asks for what is liked more often, and for what is disliked less."""
        lists = {f"{kind}s": taste.rotation(self.key, kind, getattr(self, f"{kind}s")) for kind in KINDS}
        return dataclasses.replace(self, **lists)  # type: ignore[arg-type]  # each is a tuple of texts

    @property
    def variations(self) -> int:
        """How many prompts there are before the first comes again."""
        return len(self.captions) * max(1, len(self.instruments)) * max(1, len(self.textures))

    def recipe(self, index: int, duration_s: float) -> Recipe:
        """Return the recipe of the `index`-th segment: every variation once before any comes again.

        Instrument and texture both change from one segment to the next; the key moves every SEGMENTS_PER_KEY.
        """
        return Recipe(
            station=self.key,
            prompt=", ".join(filter(None, self.words(index))) + self._ending,
            duration_s=duration_s,
            bpm=self.bpm,
            key_scale=self.key_scales[index // SEGMENTS_PER_KEY % len(self.key_scales)] if self.key_scales else "",
            time_signature=self.time_signature,
        )

    def words(self, index: int) -> tuple[str, str, str]:
        """Return caption, instrument and texture of the `index`-th segment, "" where the station has none.

        All lists move on by one at each step, a list by more when those before it have come round: by just as much as
        makes the combinations of all a single cycle.
        """
        chosen, period = [], 1
        for words in (self.instruments or ("",), self.textures or ("",), self.captions):
            more = next(step for step in itertools.count() if math.gcd(period + step, len(words)) == 1)
            chosen.append(words[(index + more * (index // period)) % len(words)])
            period *= len(words)
        instrument, texture, caption = chosen
        return caption, instrument, texture

    @property
    def _ending(self) -> str:
        return "" if self.key == CUSTOM_KEY else ", instrumental"

    @property
    def longest_prompt_chars(self) -> int:
        """Length of the longest prompt this station can make."""
        parts = [max(map(len, group)) for group in (self.captions, self.instruments, self.textures) if group]
        return sum(parts) + 2 * (len(parts) - 1) + len(", instrumental")


def builtin_stations() -> tuple[Station, ...]:
    """Return the stations that come with the program, in the order of the keys 1-9."""
    return _merge((), _BUILTIN_PATH)


def load_stations(path: str | Path) -> tuple[Station, ...]:
    """Return the built-in stations changed and extended by the file at `path` ("" for none).

    Raises ConfigError with every fault of the file: station, field, value and what is accepted.
    """
    return builtin_stations() if str(path) == "" else _merge(builtin_stations(), Path(path).expanduser())


def named(name: str, stations: Sequence[Station]) -> Station | None:
    """Return the station of a name, or else of a title, in small or capital letters; None where there is none."""
    titles = {title.casefold(): one for one in stations for title in (one.title_en, one.title_ja)}
    return (titles | {one.key: one for one in stations}).get(name.casefold())


def custom(prompt: str) -> Station:
    """Return the station of a prompt typed by the user; the prompt goes to the model as it is."""
    return Station(CUSTOM_KEY, "Your prompt", "自分のプロンプト", (" ".join(prompt.split()),))


def _merge(stations: tuple[Station, ...], path: Path) -> tuple[Station, ...]:
    """Read the file at `path` over `stations`. Raises ConfigError with all its faults."""
    table = _read(path)
    order = table.pop("order", [])
    merged = {station.key: station for station in stations}
    faults: list[Said] = []
    for name, fields in table.items():
        station, found = _station(name, fields, merged.get(name))
        faults += found
        if station is not None:
            merged[name] = station
    known = dict.fromkeys([*merged, *table])
    if not isinstance(order, list) or any(not isinstance(name, str) or name not in known for name in order):
        faults.append(said("stations.order", value=_shown(order), names=", ".join(known)))
    if faults:
        raise ConfigError([said("stations.in_file", path=path, fault=fault) for fault in faults])
    first = {name: merged[name] for name in order}
    return tuple({**first, **merged}.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([said("stations.unreadable", path=path, reason=error)]) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or a figure with too many digits
        raise ConfigError([said("stations.no_toml", path=path, words=str(error))]) from error


def _station(name: str, fields: object, base: Station | None) -> tuple[Station | None, list[Said]]:
    """Return the station `[name]` made of `fields` over `base`, and the faults found."""
    if not isinstance(fields, dict):
        return None, [said("stations.no_table", name=name, value=_shown(fields))]
    faults: list[Said] = []
    if not _NAME.fullmatch(name) or name == CUSTOM_KEY:
        faults.append(said("stations.bad_name", name=name, custom=CUSTOM_KEY))
    changes: dict[str, Any] = {}
    for field, value in fields.items():
        if field not in _FIELDS:
            faults.append(said("stations.no_field", name=name, field=field, fields=", ".join(_FIELDS)))
            continue
        attribute, parse, accepted = _FIELDS[field]
        try:
            changes[attribute] = parse(value)
        except ValueError:
            faults.append(said("stations.bad_value", name=name, field=field, value=_shown(value), accepted=accepted))
    if base is None and "captions" not in fields:
        faults.append(said("stations.no_captions", name=name, accepted=_FIELDS["captions"][2]))
    if faults:
        return None, faults
    changes.setdefault("title_ja", changes.get("title_en", base.title_ja if base else name))
    for group, nothing in (("about_en", ""), ("instruments", ()), ("textures", ())):
        if group in changes:  # other words need another Japanese
            changes.setdefault(group.removesuffix("_en") + "_ja", nothing)
    new = dataclasses.replace(base or Station(name, name, name, ()), **changes)
    if new.longest_prompt_chars > LONGEST_PROMPT:
        return None, [said("stations.too_long", name=name, length=new.longest_prompt_chars, limit=LONGEST_PROMPT)]
    named = (("instruments", new.instruments, new.instruments_ja), ("textures", new.textures, new.textures_ja))
    wrong = [group for group, words, names in named if names and len(names) != len(words)]
    return None if wrong else new, [said("stations.unnamed", name=name, group=group) for group in wrong]


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # of an integer with thousands of digits
        return "…"
    return text if len(text) <= 60 else text[:57] + "..."


def _text(value: object, pattern: str = ".+") -> str:
    text = value.strip() if isinstance(value, str) and value.isprintable() else ""
    if not re.fullmatch(pattern, text):
        raise ValueError
    return text


def _texts(value: object, pattern: str = ".+") -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return tuple(_text(item, pattern) for item in value)


def _bpm(value: object) -> int:
    if type(value) is not int or not BPM_MIN <= value <= BPM_MAX:
        raise ValueError
    return value


def _time_signature(value: object) -> str:
    if str(value) not in ("2", "3", "4", "6"):
        raise ValueError
    return str(value)


_TITLE = functools.partial(_text, pattern=".{1,40}"), said("accepts.text_up_to", longest=40)
_ABOUT = functools.partial(_text, pattern=".{1,100}"), said("accepts.text_up_to", longest=100)
_FIELDS: dict[str, tuple[str, Callable[[object], Any], Said]] = {
    "title": ("title_en", *_TITLE),
    "title_ja": ("title_ja", *_TITLE),
    "about": ("about_en", *_ABOUT),
    "about_ja": ("about_ja", *_ABOUT),
    **{name: (name, _texts, said("accepts.texts")) for name in _LISTS},
    "bpm": ("bpm", _bpm, said("accepts.whole", least=BPM_MIN, most=BPM_MAX)),
    "keys": ("key_scales", functools.partial(_texts, pattern=_KEY_SCALE), said("accepts.keys")),
    "time_signature": ("time_signature", _time_signature, said("accepts.choice", names="2, 3, 4", last="6")),
}
