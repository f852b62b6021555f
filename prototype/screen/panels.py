"""The music on the main screen: what plays, what is next, the queue, the mood and what was heard.

The snapshot in, ranked rows of a given width out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from base.texts import text as say
from base.texts import texts
from music.segment import SegmentInfo, Source
from music.stations import Station
from programme.history import Heard
from programme.programme import PlayingView
from screen.line import NOTHING, Line, fit_line, join, two_ends
from screen.view import UNHEARD, Snapshot, TimerView, shows
from screen.widgets import LABEL_CELLS, Rank, Row, bar, clean, clock_time, labelled, pad, sparkline, waveform

WAVE_HEADROOM_DB: Final = 8.0  # a fifth of a second of music is seldom louder than that over its loudness
_SLOT_CELLS: Final = 6
_MOST_NEXT: Final = 20


def source_name(language: str, source: Source) -> str:
    """Return the badge's word."""
    return say(language, f"ui.source.{source.value}")


def piece_title(piece: PlayingView | Heard, stations: Sequence[Station], language: str) -> str:
    """Return what a piece is called: what tells it from its neighbours, else its prompt, or what its source is."""
    source, info = piece.source, piece.info
    if info is None:
        return clean(piece.title) or (say(language, f"ui.title.{source.value}") if source is not Source.FRESH else "…")
    recipe = info.recipe
    station = next((one for one in stations if one.key == recipe.station), None)
    if station is None:
        return clean(recipe.prompt) or "…"
    if source is Source.BUILTIN or info.engine == "builtin":  # it keeps key and tempo; its instruments are its own
        title = clean(station.title(language))
        return say(language, "ui.title.in_key", title=title, scale=key_name(recipe.key_scale, language))
    return clean(station.piece_name(recipe.prompt, language)) or "…"


def key_name(key_scale: str, language: str) -> str:
    """Return "A minor" in the listener's language."""
    note, _, mode = clean(key_scale).partition(" ")
    return say(language, f"ui.scale.{mode}", note=note) if mode in ("major", "minor") else clean(key_scale)


def heard_line(heard: Heard, stations: Sequence[Station], width: int, language: str) -> Line:
    """Return when what was heard, and whether it is liked."""
    begun, sign = (f"{pad(clean(heard.wall), 5)} ", "dim"), ("♥" if heard.liked else " ", "red")
    source = Line((" " + source_name(language, heard.source), heard.source.style))
    return two_ends(Line(begun, sign, " ", piece_title(heard, stations, language)), source, width)


def timer_words(timer: TimerView | None, language: str) -> list[str]:
    """Return what the timer does, and when the session ends."""
    if timer is None:
        return []
    fields = {"time": clock_time(timer.remaining_s), "round": timer.round}
    found = [say(language, f"ui.timer.{timer.phase}", **fields)] if timer.round or timer.phase == "ending" else []
    if timer.ends_in_s is not None and timer.phase != "ending":
        found.append(say(language, "ui.timer.total", time=clock_time(timer.ends_in_s)))
    return found


@shows(
    "station", "mixer.paused", "mixer.muted", "mixer.volume", "ambience", "recording", "player_state", "timer", "wall",
)  # fmt: skip
def header(snapshot: Snapshot, width: int, language: str) -> Line:
    """Return the first line: the station, and at the right the time of day and whatever is out of the ordinary."""
    mixer, state = snapshot.mixer, snapshot.player_state.replace(" ", "_")
    title = clean(snapshot.station.title(language)) or say(language, "ui.head.name")
    under, percent = snapshot.ambience
    known = f"ui.player.{state}" in texts(language)
    signs = [
        Line((say(language, "ui.head.paused"), "bold yellow")) if mixer.paused else NOTHING,
        Line((say(language, "ui.head.muted"), "bold yellow")) if mixer.muted else NOTHING,
        Line(("● " + say(language, "ui.head.recording"), "red")) if snapshot.recording else NOTHING,
        Line((say(language, f"ui.player.{state}"), "yellow")) if known else NOTHING,
        Line(("".join(timer_words(snapshot.timer, language)[:1]), "cyan")),
        Line((say(language, f"ui.ambience.{under}", percent=percent) if under != "off" else "", "dim")),
        Line(("" if mixer.muted else say(language, "ui.head.volume", percent=round(100 * mixer.volume)), "dim")),
    ]
    wall = Line((("   " if width >= 30 else " ") + clean(snapshot.wall), "dim")) if snapshot.wall else NOTHING
    right = Line(join(signs, 2 * width // 3 - wall.cell_len, "   "), wall)
    return two_ends(Line(("♪ " + title, "bold")), right, width)


@shows("mixer.playing.source", "mixer.playing.info", "mixer.playing.title", "mixer.paused", "station", "stations")
def window_title(snapshot: Snapshot, language: str) -> str:
    """Return what plays, for the terminal's title."""
    name = piece_title(snapshot.mixer.playing, snapshot.stations, language)
    station = clean(snapshot.station.title(language))
    return ("‖ " if snapshot.mixer.paused else "♪ ") + name + (f" – {station}" if station not in name else "")


def why_unheard(snapshot: Snapshot, language: str) -> str:
    """Return why nothing reaches the listener's ears, "" when the sound device takes it."""
    state = snapshot.player_state
    return say(language, f"ui.unheard.{state.replace(' ', '_')}") if state in UNHEARD else ""


def now_playing(snapshot: Snapshot, width: int, language: str, wave_rows: int) -> list[Row]:
    """Return the badge and title, what is known of the piece, the waveform, the time line, and what is next."""
    mixer, playing = snapshot.mixer, snapshot.mixer.playing
    is_heard = not (mixer.paused or mixer.muted or snapshot.player_state in UNHEARD)
    style = playing.source.style if is_heard else "dim"
    wave = waveform(mixer.levels_db, width, wave_rows, style, snapshot.target_lufs + WAVE_HEADROOM_DB)
    elapsed, total = clock_time(playing.elapsed_s), clock_time(playing.total_s)
    share = playing.elapsed_s / playing.total_s if playing.total_s else 0.0
    passed = bar(share, width - len(elapsed) - len(total) - 2, style)
    return [
        *_about(snapshot, width, language),
        Row(Rank.MORE_SPACE),
        *(Row(Rank.HIGH_WAVE, line) for line in wave[:-1]),
        Row(Rank.WAVE, wave[-1]),
        Row(Rank.TIME, Line(elapsed, " ", passed, " ", (total, "dim"))),
        Row(Rank.SPACE),
        _next(snapshot, width, language),
    ]


@shows(
    "mixer.playing.source", "mixer.playing.info", "mixer.playing.title", "stations", "continuing", "liked",
    "player_state", "spool.ready", "generator.server", "generator.factor", "timer",
)  # fmt: skip
def _about(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the badge and title with its signs, and what is known of the piece."""
    playing = snapshot.mixer.playing
    badge = Line((f" {source_name(language, playing.source)} ", f"reverse {playing.source.style}"), "  ")
    title = (piece_title(playing, snapshot.stations, language), "bold")
    signs = (("↻", "continuing", "green", snapshot.continuing), ("♥", "liked", "red", snapshot.liked))
    shown = [
        Line((f"{glyph} {say(language, f'ui.head.{word}')}" if width >= 60 else glyph, style))
        for glyph, word, style, on in signs
        if on
    ]
    head = two_ends(Line(badge, title), join(shown, width), width)
    details = Line((" " * badge.cell_len + " · ".join(_details(snapshot, language)), "dim"))
    return [Row(Rank.TITLE, head), Row(Rank.DETAILS, details)]


def _details(snapshot: Snapshot, language: str) -> list[str]:
    """Return why this is playing, if it is not fresh, and what it takes to make it again."""
    playing, generator = snapshot.mixer.playing, snapshot.generator
    unheard = why_unheard(snapshot, language)
    found = [unheard]
    if playing.source is not Source.FRESH:
        why: str = generator.server
        if snapshot.spool.ready:
            why = "ready"
        elif why == "up" and (generator.factor or 0.0) > 1.0:
            why = "slow"
        if snapshot.timer is not None and snapshot.timer.phase == "break":
            why = "break"
        if unheard and why in ("up", "ready", "slow"):
            why = ""  # that is about what comes next, and nothing does
        if f"ui.why.{why}" in texts(language):
            found.append(say(language, f"ui.why.{why}"))
    if info := playing.info:
        found.append(say(language, "ui.piece.bpm", bpm=info.recipe.bpm) if info.recipe.bpm is not None else "")
        key = key_name(info.recipe.key_scale, language)
        found.append("" if key in piece_title(playing, snapshot.stations, language) else key)
        found.append(say(language, "ui.piece.seed", seed=clean(info.seed)) if info.seed else "")
    return [part for part in found if part]


@shows("spool.ready", "mixer.stock", "stations")
def _next(snapshot: Snapshot, width: int, language: str) -> Row:
    """Return what comes next: the head of the queue, else where the next piece is taken from."""
    if snapshot.spool.ready:
        title, length = _coming(snapshot.spool.ready[0], snapshot.stations, language)
        return Row(Rank.NEXT, two_ends(labelled(language, "next", Line(title)), length, width))
    source = next((source for source in Source if snapshot.mixer.stock.get(source)), None)
    words = say(language, f"ui.title.{source.value}" if source and source is not Source.FRESH else "ui.next.unknown")
    return Row(Rank.NEXT, labelled(language, "next", Line((words, "dim"))))


def _coming(info: SegmentInfo, stations: Sequence[Station], language: str) -> tuple[str, Line]:
    """Return the title and the length of a piece that is ready."""
    title = piece_title(PlayingView(Source.FRESH, info=info), stations, language)
    return title, Line((clock_time(info.audible_s), "dim"))


def queue(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the titles behind the next, the queue as slots (ready, in the making, empty), and how long it lasts.

    As many rows as segments are wanted, filled or not, so that what is below stays where it is.
    """
    return [*_later(snapshot, width, language), _buffer(snapshot, width, language)]


@shows("spool.ready", "target", "stations")
def _later(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    rows = [Row(Rank.MORE_NEXT)] * (min(snapshot.target, _MOST_NEXT + 1) - 1)
    for index, info in enumerate(snapshot.spool.ready[1 : len(rows) + 1]):
        title, length = _coming(info, snapshot.stations, language)
        rows[index] = Row(Rank.MORE_NEXT, two_ends(Line(" " * LABEL_CELLS, (title, "dim")), length, width))
    return rows


def _buffer(snapshot: Snapshot, width: int, language: str) -> Row:
    ready, target, lasts_s = len(snapshot.spool.ready), snapshot.target, snapshot.buffer_s
    figures = say(language, "ui.buffer.depth", ready=ready, target=target)
    if lasts_s:
        figures += " · " + say(language, "ui.buffer.lasts", time=clock_time(lasts_s))
    slots = _slots(snapshot, min(width // 3, 44))
    line = labelled(language, "buffer", Line(slots, "  " if slots else "", (figures, "" if ready else "yellow")))
    return Row(Rank.BUFFER, two_ends(line, _depths(snapshot, min(20, width - line.cell_len - 3)), width))


@shows("depth_history", "target")
def _depths(snapshot: Snapshot, width: int) -> Line:
    return sparkline(snapshot.depth_history, width, "green", 0.0, float(max(1, snapshot.target)))


@shows("spool.ready", "target", "generator.jobs")
def _slots(snapshot: Snapshot, width: int) -> Line:
    """Return a line a segment: solid when ready, filling while in the making, dashed where one is missing."""
    ready, target = len(snapshot.spool.ready), snapshot.target
    making = [job.progress or 0.0 for job in snapshot.generator.jobs]
    total = max(ready + len(making), target)
    if width < 3 or not total:
        return NOTHING
    cells = max(1, min(_SLOT_CELLS, (width + 1) // total - 1))
    gap = " " if (cells + 1) * total - 1 <= width else ""
    slots: list[str | tuple[str, str]] = []
    for index in range(min(total, width // (cells + len(gap)) or 1)):
        if index < ready:
            slots += [gap, ("━" * cells, "bold green")]
        elif index - ready < len(making):
            done = round(making[index - ready] * cells)
            slots += [gap, ("╍" * done, "green"), ("─" * (cells - done), "dim green")]
        else:
            slots += [gap, ("╌" * cells, "dim")]
    return Line(*slots[1:])


@shows("station", "timer")
def mood(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return what is of interest without a server: what the mood is like, and what the timer does."""
    timer = " · ".join(timer_words(snapshot.timer, language)) or say(language, "ui.timer.none")
    about = Line(clean(snapshot.station.about(language)))
    return [
        Row(Rank.MOOD, fit_line(labelled(language, "mood", about), width)),
        Row(Rank.MOOD, labelled(language, "timer", Line((timer, "" if snapshot.timer else "dim")))),
    ]


@shows("history", "stations", "mixer.playing.key")
def history(snapshot: Snapshot, width: int, height: int, language: str) -> list[Line]:
    """Return what was heard before behind its label, in exactly `height` lines."""
    lines = past(snapshot, width - LABEL_CELLS, height, language)
    lines += [NOTHING] * (height - len(lines))
    label = [pad(say(language, "ui.label.heard"), LABEL_CELLS), *[" " * LABEL_CELLS] * height]
    return [Line((before, "dim"), line) for before, line in zip(label, lines, strict=False)]


@shows("history", "stations", "mixer.playing.key")
def past(snapshot: Snapshot, width: int, height: int, language: str) -> list[Line]:
    """Return what was heard before what plays now, or that nothing was, the latest first, in at most `height` lines."""
    before = snapshot.history[: -1 if snapshot.mixer.playing.key else None][::-1][: max(0, height)]
    lines = [heard_line(one, snapshot.stations, width, language) for one in before]
    return lines or [Line((say(language, "ui.history.none"), "dim"))] * (height > 0)
