"""The picture: every snapshot fits every size, tells what matters, and keeps its rows where they are."""

from __future__ import annotations

import io
import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from base.notices import Notice
from base.texts import LONGEST_PROMPT, said
from builtin.bed import Bed
from doubles.sounds import piece
from generation.jobs import GeneratorSnapshot, JobView, ServerState
from music.segment import SAMPLE_RATE_HZ, Analysis, Recipe, SegmentInfo, Source
from music.stations import Station, builtin_stations
from programme.history import Heard
from programme.mixer import Mixer
from programme.programme import MixerSnapshot, PlayingView
from screen.controls import Controls, Replay
from screen.panels import key_name, piece_title
from screen.picture import Frame, render
from screen.plain_lines import PlainLog
from screen.view import LAST_MADE, ControlsView, Mode, Snapshot, TimerView
from screen.widgets import clean, clock_time, fit, pad, span, sparkline, waveform, wrap
from spool.spool import SpoolSnapshot
from tools.screens import afternoon, screen, segment
from tools.screenshot import GOLDEN_SCREENS, SCREENS, as_text, golden_path, lines_of, printed

LANGUAGES = ("en", "ja")
SIZES = ((1, 1), (7, 2), (20, 5), (40, 10), (60, 16), (80, 24), (135, 40), (136, 30), (200, 60))


def text_of(frame: Frame) -> str:
    """Return it as text."""
    return "\n".join(line.plain for line in lines_of(frame))


def assert_fits(snapshot: Snapshot, width: int, height: int, language: str) -> str:
    """Render, check the size in cells and the harmlessness of every character, and return the text."""
    lines = [line.plain for line in lines_of(render(snapshot, width, height, language))]
    assert len(lines) == height
    for line in lines:
        assert cell_len(line) <= width, line
        assert not any(unicodedata.category(char)[0] == "C" for char in line)
    return "\n".join(lines)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", SCREENS)
def test_every_screen_fits_every_size(name: str, width: int, height: int, language: str) -> None:
    """Exactly as many lines as the terminal has, none wider."""
    assert_fits(screen(name, language), width, height, language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "width", "height"), GOLDEN_SCREENS)
def test_screens_look_as_agreed(name: str, width: int, height: int, language: str) -> None:
    """Without colour the screens are the texts in `tests/golden` (screenshot.py writes them anew)."""
    assert as_text(name, width, height, language) == golden_path(name, width, height, language).read_text("utf-8")


def test_the_main_screen_tells_what_matters() -> None:
    """At 80x24: source, title, times, queue, jobs, speed, counts, server, uptime, timer, likes, notices, keys."""
    text = assert_fits(afternoon(), 80, 24, "en")
    for fact in (
        "Lo-fi beats", "recording", "work 2 · 24:10", "volume 80", " 14:04", "fresh", "vibraphone · distant rain",
        "liked", "82 bpm", "seed 3141592654", "0:11", "0:27", "Wurlitzer with slow tremolo", "2 of 3 ready",
        "lasts 1:02", "62 %", "Generating music", "6.2 s", "number 2 in line", "2.8× faster than it plays",
        "10 s a piece", "waited 48 s", "128 pieces", "3 retried", "1 failed", "answers", "1:02:11",
        "without a stop 1:02:11", "14:03", "start it with", "space pause", "q quit",
    ):  # fmt: skip
        assert fact in text, fact


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_built_in_piece_has_the_same_name_in_the_library(language: str) -> None:
    """Its prompt tells of instruments that it has not; its key is told once."""
    good = afternoon()
    assert good.mixer.playing.info is not None
    info = replace(good.mixer.playing.info, engine="builtin")
    names = []
    for source in (Source.BUILTIN, Source.LIBRARY):
        moment = replace(good, mixer=replace(good.mixer, playing=PlayingView(source, "k", info, 1.0, 2.0)))
        names.append(piece_title(moment.mixer.playing, moment.stations, language))
        scale = key_name(info.recipe.key_scale, language)
        assert "\n".join(assert_fits(moment, 80, 24, language).splitlines()[:5]).count(scale) == 1
    assert names[0] == names[1]


def test_what_is_chosen_of_the_history_is_what_stands_there() -> None:
    """A piece that begins while the list is open moves no row."""
    heard = [Heard(f"14:0{at}", Source.LIBRARY, title, title=title) for at, title in enumerate(("one", "two"))]
    controls = Controls((), heard=lambda: [one.key for one in reversed(heard)])
    controls.key("h")
    for title in ("two", "three"):
        heard.append(Heard("14:07", Source.LIBRARY, title, title=title))
        moment = replace(screen("history"), history=tuple(heard), controls=controls.view)
        text = assert_fits(moment, 80, 24, "en")
        assert "› 1 14:01" in text
        assert "2 14:00" in text
        assert "14:07" not in text
    assert controls.key("enter") == Replay("two")


@pytest.mark.parametrize(("height", "full"), [(24, False), (40, True)])
def test_a_long_log_tells_its_notices_in_full(height: int, full: bool) -> None:
    """Beside empty lines nothing is cut off."""
    told = [Notice("info", "undo.dislike", (), 0.0, "14:03"), Notice("info", "ctl.paused", (), 0.0, "14:03")]
    text = assert_fits(replace(afternoon(), notices=tuple(told)), 140, height, "en")
    assert ("to it" in text) is full


@pytest.mark.parametrize("width", [80, 200])
def test_that_nothing_was_heard_yet_is_told(width: int) -> None:
    """In one column and in two; but not in a break, when the only piece is no longer what plays."""
    first = screen("first")
    assert "nothing yet" in assert_fits(first, width, 40, "en")
    resting = replace(first, mixer=replace(first.mixer, playing=PlayingView(Source.BED)))
    told = assert_fits(replace(resting, history=(Heard("14:03", Source.BUILTIN, "k", title="Tune"),)), width, 40, "en")
    assert "Tune" in told
    assert "nothing yet" not in told


def test_a_piece_is_told_as_what_it_was_asked_to_be() -> None:
    """By the words of its own station, whichever is on; of what nobody told, nothing is said."""
    first, second = (station.recipe(0, 30.0) for station in builtin_stations()[:2])
    playing = PlayingView(Source.FRESH, "s1", replace(segment(""), recipe=replace(second, bpm=None), seed=""))
    shown = replace(afternoon(), mixer=MixerSnapshot(playing=playing))
    name = builtin_stations()[1].piece_name(second.prompt, "en")
    assert name != second.prompt != first.prompt
    text = assert_fits(shown, 80, 24, "en")
    assert (name in text, "seed" in text, " bpm" in text) == (True, False, False)


def test_trouble_is_told_in_words() -> None:
    """Source and reason, an empty queue, a dead server, a full disk, no sound device, muted."""
    text = assert_fits(screen("trouble"), 80, 24, "en")
    for fact in (
        "built-in", "acestep-api cannot be reached", "0 of 3 ready", "cannot be reached", "disk cannot be written",
        "no sound device", "muted", "1.7× slower than it plays", "2 lost", "1 rejected",
    ):  # fmt: skip
        assert fact in text, fact


@pytest.mark.parametrize(("target", "words"), [(2, "resting, the queue is full"), (3, "nothing being made")])
def test_a_server_without_a_job_rests_only_where_the_queue_is_full(target: int, words: str) -> None:
    """Else it is about to be asked, or cannot be."""
    good = afternoon()
    without = replace(good, target=target, generator=replace(good.generator, jobs=()))
    assert words in assert_fits(without, 80, 24, "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_smallest_screen_keeps_the_essentials(language: str) -> None:
    """40x10 still shows title, time, queue, the newest notice and how to quit."""
    text = assert_fits(afternoon(), 40, 10, language)
    for fact in ("0:11", {"en": "2 of 3", "ja": "3曲中2曲"}[language], "14:03", "q "):
        assert fact in text


def test_colour_carries_no_meaning() -> None:
    """The words and glyphs are the same with and without colour, and all colours are the terminal's own sixteen."""
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system="standard")
    with console.capture() as coloured:
        console.print(printed(render(screen("trouble"), 80, 24, "en")), end="")
    assert "\x1b[" in coloured.get()
    assert "38;" not in coloured.get()
    lines = zip(coloured.get().split("\n"), as_text("trouble", 80, 24, "en").split("\n"), strict=False)
    assert all(clean(one) == clean(other) for one, other in lines)


def test_markup_and_escapes_are_only_text() -> None:
    """What a server or a prompt contains can neither style the screen nor command the terminal."""
    nasty = "[bold]x[/bold]\x1b[31m\x1b]0;title\x07\x9b2J\u202eabc\rz\ud800"
    info = segment(nasty)
    good = afternoon()
    snapshot = replace(
        good,
        mixer=replace(good.mixer, playing=PlayingView(Source.FRESH, "k", info, 1.0, 2.0)),
        generator=replace(
            good.generator, server_reason=said("quote", words=nasty), jobs=(JobView("", 1.0, nasty, 1.0, 0.5),)
        ),
        station=Station(nasty, nasty, nasty, (nasty,)),
        player_state=nasty,
        recording=nasty,
        notices=(Notice("info", nasty, ((nasty, nasty),), 0.0, nasty),),
    )
    text = assert_fits(snapshot, 200, 60, "en")
    assert "[bold]x[/bold]abc z" in text
    assert "title\x07" not in text


FIGURES = st.floats(0, 1e9) | st.integers(0, 10**9)
UNKNOWN = st.none() | FIGURES
COUNTS = st.integers(0, 10**9)
ODD_TEXTS = st.one_of(
    st.text(st.characters(), max_size=40),
    st.sampled_from(
        ["[bold]", "[/]", "\x1b[2J", "静かな雨" * 40, "a\u0301" * 30, "👨‍👩‍👧", "\u200b", "x" * 5000, "{x}", "\ud800"]
    ),
)
ODD_INFOS = st.builds(
    SegmentInfo, ODD_TEXTS,
    st.builds(Recipe, ODD_TEXTS | st.just("lofi"), ODD_TEXTS, FIGURES, st.none() | COUNTS, ODD_TEXTS, ODD_TEXTS),
    ODD_TEXTS, ODD_TEXTS, ODD_TEXTS, st.builds(Analysis, COUNTS, COUNTS, COUNTS, FIGURES, FIGURES), UNKNOWN, UNKNOWN,
)  # fmt: skip
ODD_STATIONS = st.builds(
    Station, ODD_TEXTS, ODD_TEXTS, ODD_TEXTS, st.lists(ODD_TEXTS, min_size=1, max_size=2).map(tuple)
)
TYPED_LINES = st.text().map(lambda text: "".join(char for char in text if char.isprintable()))
SERVERS = sorted(set(ServerState) - {ServerState.UNSURE})
REASONS = st.none() | ODD_TEXTS.map(lambda words: said("quote", words=words))
ODD_SNAPSHOTS = st.builds(
    Snapshot,
    mixer=st.builds(
        MixerSnapshot,
        st.builds(PlayingView, st.sampled_from(Source), ODD_TEXTS, st.none() | ODD_INFOS, FIGURES, UNKNOWN),
        paused=st.booleans(), muted=st.booleans(), volume=st.floats(0, 1), longest_silence_s=FIGURES,
        stock=st.dictionaries(st.sampled_from(Source), st.integers(0, 2)),
        levels_db=st.lists(st.floats(-120, 20), max_size=150).map(tuple),
    ),
    generator=st.builds(
        GeneratorSnapshot, st.sampled_from(SERVERS), REASONS,
        st.lists(
            st.builds(JobView, ODD_TEXTS, FIGURES, ODD_TEXTS, FIGURES, st.none() | st.floats(0, 1), st.none() | COUNTS),
            max_size=9,
        ).map(tuple),
        COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, UNKNOWN, UNKNOWN, UNKNOWN, FIGURES,
        st.lists(FIGURES).map(tuple),
    ),
    spool=st.builds(SpoolSnapshot, st.lists(ODD_INFOS, max_size=3).map(tuple), COUNTS, COUNTS, FIGURES, st.booleans()),
    station=ODD_STATIONS, prompt=ODD_TEXTS, target=st.integers(0, 300), target_lufs=st.floats(-70, 0),
    player_state=ODD_TEXTS | st.sampled_from(["playing", "stopped", "no device"]), recording=ODD_TEXTS,
    liked=st.booleans(), continuing=st.booleans(), wall=ODD_TEXTS, crossfade_s=FIGURES,
    ambience=st.tuples(st.sampled_from(["off", "rain", "vinyl"]), st.integers(0, 100)),
    timer=st.none() | st.builds(TimerView, st.sampled_from(["work", "break", "ending"]), FIGURES, COUNTS, UNKNOWN),
    history=st.lists(
        st.builds(Heard, ODD_TEXTS, st.sampled_from(Source), ODD_TEXTS, st.none() | ODD_INFOS, st.booleans()),
        max_size=5,
    ).map(tuple),
    uptime_s=FIGURES, uninterrupted_s=FIGURES,
    notices=st.lists(
        st.builds(Notice, ODD_TEXTS, st.one_of(ODD_TEXTS, st.sampled_from(["server.down", "server.up"])),
                  st.lists(st.tuples(ODD_TEXTS, ODD_TEXTS | UNKNOWN), max_size=2).map(tuple), FIGURES, ODD_TEXTS),
        max_size=5,
    ).map(tuple),
    depth_history=st.lists(COUNTS, max_size=50).map(tuple), waited_s=st.lists(FIGURES, max_size=9).map(tuple),
    controls=TYPED_LINES.flatmap(lambda typed: st.builds(
        ControlsView, st.sampled_from(Mode), st.just(typed), st.integers(0, len(typed)), st.integers(-9, 50)
    )),
    stations=st.lists(ODD_STATIONS, max_size=40).map(tuple),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(ODD_SNAPSHOTS, st.integers(1, 210), st.integers(1, 64), st.sampled_from(LANGUAGES))
def test_render_is_total(snapshot: Snapshot, width: int, height: int, language: str) -> None:
    """Whatever a snapshot holds, it is drawn, harmlessly, within the size, with the cursor inside."""
    assert_fits(snapshot, width, height, language)
    cursor = render(snapshot, width, height, language).cursor
    assert cursor is None or (0 <= cursor[0] < width and 0 <= cursor[1] < height)


@given(ODD_TEXTS, st.integers(0, 60))
def test_texts_are_measured_in_cells(text: str, width: int) -> None:
    """Cut, filled and wrapped texts have the cells they promise; wrapping loses nothing but spaces."""
    harmless = clean(text)
    assert clean(harmless) == harmless
    assert cell_len(fit(harmless, width)) <= width
    assert cell_len(pad(harmless, width)) == width
    lines = wrap(harmless, width)
    assert all(cell_len(line) <= max(2, width) for line in lines)
    assert "".join(lines).replace(" ", "") == harmless.replace(" ", "")


@given(st.lists(st.floats(-1e6, 1e6)), st.integers(0, 90), st.integers(1, 9))
def test_meters_keep_their_size(levels: list[float], width: int, height: int) -> None:
    """Waveform and sparkline never exceed their width, whatever the figures."""
    lines = waveform(levels, width, height, "", -15.0)
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    assert sparkline(levels, width, "", 0.0, 3.0).cell_len <= width


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=80), st.integers(1, 100), st.integers(1, 9))
def test_a_moment_keeps_its_height_while_it_passes(levels: list[float], width: int, height: int) -> None:
    """The next level moves the picture by a bar and changes nothing in it, however loud it is."""
    before = waveform(levels[:-1], width, height, "", -15.0)
    after = waveform(levels, width, height, "", -15.0)
    for one, other in zip(before, after, strict=True):
        assert one.plain[::2][1:] == other.plain[::2][:-1]


def test_the_waveform_of_a_programme_stands_still() -> None:
    """From the bed into music, looked at at any time: each level is drawn as it was drawn first."""
    programme = Mixer(Bed())
    drawn: list[str] = []
    for part in range(200):
        if part == 60:
            programme.offer(piece(20, key="music"))
        programme.read(SAMPLE_RATE_HZ // 13)
        drawn.append(waveform(programme.snapshot().levels_db, 80, 1, "", -15.0)[0].plain[::2])
    for one, other in itertools.pairwise(drawn):
        assert other == one or other[:-1] == one[1:]


LABELS = ("buffer", "next", "making", "speed", "made", "server", "session", "library", "played", "mood", "timer")


def becoming(one: Any, other: Any) -> Iterator[Any]:
    """Yield what lies between them: field by field, of themselves or of what they hold, `one` becomes `other`."""
    if type(one) is not type(other) or not is_dataclass(one):
        yield other
        return
    for name in (found.name for found in fields(one)):
        for value in becoming(getattr(one, name), getattr(other, name)):
            one = replace(cast("Any", one), **{name: value})
            yield one


@settings(max_examples=15, deadline=None)
@given(ODD_SNAPSHOTS, ODD_SNAPSHOTS, st.sampled_from([(80, 24), (150, 60), (40, 10)]))
def test_what_is_kept_of_the_last_picture_is_as_if_it_were_made_anew(
    one: Snapshot, other: Snapshot, size: tuple[int, int]
) -> None:
    """Whichever field changed."""
    for moment in becoming(one, other):
        moment = replace(moment, controls=ControlsView())
        kept = render(moment, *size, "en")
        last = dict(LAST_MADE)
        LAST_MADE.clear()
        new = render(moment, *size, "en")
        LAST_MADE.update(last)
        assert (lines_of(kept), kept.title) == (lines_of(new), new.title)
        assert [line.spans for line in lines_of(kept)] == [line.spans for line in lines_of(new)]


def places(snapshot: Snapshot, width: int, height: int) -> dict[str, tuple[int, int]]:
    """Return where each label of the main screen stands: column and row."""
    found = {}
    for row, line in enumerate(lines_of(render(snapshot, width, height, "en"))):
        for label in LABELS:
            match = re.search(rf"(?:^ ?|    ){label}(?:  |$)", line.plain.rstrip())
            if match:
                found[label] = match.start(), row
    return found


@settings(max_examples=200)
@given(st.data(), st.integers(20, 200), st.integers(5, 64), st.booleans())
def test_rows_keep_their_places(data: st.DataObject, width: int, height: int, served: bool) -> None:
    """Whatever is said, queued, made, recorded or wrong: every row stands where it stood, at every size."""
    good = afternoon() if served else screen("alone")
    good = replace(good, history=tuple(replace(one, source=Source.FRESH) for one in good.history))  # no word of a label
    notice = st.sampled_from(good.notices)
    changed = replace(
        good,
        notices=tuple(data.draw(st.lists(notice, max_size=50))),
        spool=replace(
            good.spool,
            ready=(segment("soft"),) * (data.draw(st.integers(0, 5)) if served else 0),
            writable=data.draw(st.booleans()),
        ),
        generator=replace(good.generator, jobs=afternoon().generator.jobs[:1] * data.draw(st.integers(0, 9))),
        recording=data.draw(st.sampled_from(["", "a.flac"])),
        liked=data.draw(st.booleans()),
        continuing=data.draw(st.booleans()),
        history=good.history[: data.draw(st.integers(0, 30))],
        timer=data.draw(st.sampled_from([None, good.timer])),
    )
    assert places(changed, width, height) == places(good, width, height)


@pytest.mark.parametrize(("width", "shown"), [(80, [True, False]), (120, [True, True])])
def test_how_long_fresh_music_lay_ready_is_told(width: int, shown: list[bool]) -> None:
    """The latest, and with room the median; nothing before the first."""
    text = assert_fits(afternoon(), width, 30, "en")
    assert [words in text for words in ("waited 48 s", "typically 44 s")] == shown
    assert "waited" not in assert_fits(replace(afternoon(), waited_s=()), width, 30, "en")


@pytest.mark.parametrize("notices", [0, 3, 50])
def test_what_comes_next_is_told_at_80_by_24(notices: int) -> None:
    """Old notices do not push it off the screen."""
    good = afternoon()
    text = assert_fits(replace(good, notices=(good.notices * 50)[:notices]), 80, 24, "en")
    assert "Wurlitzer with slow" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3731, "1:02:11"), (-5, "0:00"), (None, "–")],
)
def test_clock_times(seconds: float | None, shown: str) -> None:
    """Times read as on a clock; what is no time is a dash."""
    assert clock_time(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.34, "0.3 s"), (9.84, "9.8 s"), (58.2, "58 s"), (130, "2:10")])
def test_spans(seconds: float, shown: str) -> None:
    """Durations have as many digits as matter."""
    assert span("en", seconds) == shown


def test_the_cursor_stands_where_one_types() -> None:
    """In the prompt the cursor follows the text, by cells, so that an input method types there."""
    snapshot = replace(screen("prompt"), controls=ControlsView(Mode.PROMPT, "静か a", 4))
    frame = render(snapshot, 80, 24, "en")
    assert frame.cursor is not None
    column, row = frame.cursor
    assert lines_of(frame)[row].plain.rstrip() == " › 静か a"
    assert column == cell_len(" › 静か a")
    assert render(afternoon(), 80, 24, "en").cursor is None


def test_a_long_prompt_keeps_its_end_in_sight() -> None:
    """What is typed last is shown, and that nothing more fits is said."""
    snapshot = replace(screen("prompt"), controls=ControlsView(Mode.PROMPT, "x" * 504 + " ending", LONGEST_PROMPT))
    text = assert_fits(snapshot, 40, 10, "en")
    assert "ending" in text
    text = assert_fits(snapshot, 60, 16, "en")
    assert ("that is all that fits" in text, text.count("x" * 50)) == (True, 8)


@pytest.mark.parametrize("selected", range(12))
def test_the_selected_station_is_in_sight(selected: int) -> None:
    """However small the list, the selected station can be seen."""
    snapshot = replace(screen("stations"), controls=ControlsView(Mode.STATIONS, selected=selected))
    assert f" {snapshot.stations[selected].title_en}" in assert_fits(snapshot, 40, 10, "en")


@settings(deadline=None)
@given(ODD_SNAPSHOTS)
def test_calm_lines_are_total(snapshot: Snapshot) -> None:
    """Whatever a snapshot holds, its lines are harmless."""
    for line in PlainLog("ja").lines(snapshot, 0.0):
        assert not any(unicodedata.category(char)[0] == "C" for char in line)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("server", sorted(set(ServerState) - {ServerState.UNSURE}))
@pytest.mark.parametrize("state", ["playing", "no device", "suspended", "stream muted", "device muted"])
def test_the_screen_claims_no_more_than_is_heard(
    state: str, server: ServerState, source: Source, language: str
) -> None:
    """In every combination: what is not heard is said to be so, without 'without a stop' or a reason to play."""
    good = afternoon()
    snapshot = replace(
        good,
        player_state=state,
        mixer=replace(good.mixer, playing=PlayingView(source)),
        generator=replace(good.generator, server=server),
        spool=replace(good.spool, ready=()),
    )
    picture = assert_fits(snapshot, 120, 40, language)
    heard = state == "playing"
    unheard = {"en": "nothing is heard", "ja": "聞こえ"}[language]
    unbroken = {"en": "without a stop", "ja": "途切れず"}[language]
    assert (unheard in picture, unbroken in picture) == (not heard, heard)
    assert ({"en": "until fresh", "ja": "新しい曲ができるまで"}[language] in picture) == (
        heard and server == "up" and source is not Source.FRESH
    )
    away = {"en": "waits for the server", "ja": "サーバーの応答待ち"}[language]
    assert (away in picture) == (server in ("connecting", "down", "restarting", "refused"))
    plain = "\n".join(PlainLog(language).lines(snapshot, 0.0))
    assert (unheard in plain) == (not heard)


def test_the_last_picture_has_no_say_in_the_next(language: str = "en") -> None:
    """Rows that are made once and shown again are those that would be made anew."""
    for width, height in SIZES:
        before = [text_of(render(screen(name, language), width, height, language)) for name in SCREENS]
        after = [text_of(render(screen(name, language), width, height, language)) for name in reversed(SCREENS)]
        assert before == after[::-1]
