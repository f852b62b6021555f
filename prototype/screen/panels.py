"""The music on the main screen: what plays, what is next, the queue, the mood and what was heard.

The snapshot in, ranked rows of a given width out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from base.texts import text as say
from base.texts import texts
from music.segment import Source
from programme.history import Heard
from programme.programme import PlayingView
from screen.view import UNHEARD, Snapshot, TimerView, unchanged
from screen.widgets import (
    LABEL_CELLS,
    Rank,
    Row,
    bar,
    clean,
    clock_time,
    fit_line,
    join,
    labelled,
    pad,
    sparkline,
    two_ends,
    waveform,
)

WAVE_HEADROOM_DB: Final = 8.0  # a fifth of a second of music is seldom louder than that over its loudness
_SLOT_CELLS: Final = 6
_MOST_NEXT: Final = 20


def source_name(language: str, source: Source) -> str:
    """Return the badge's word."""
    return say(language, f"ui.source.{source.value}")


def piece_title(snapshot: Snapshot, piece: PlayingView | Heard, language: str) -> str:
    """Return what a piece is called: what tells it from its neighbours, else its prompt, or what its source is."""
    source, info = piece.source, piece.info
    if info is None:
        return clean(piece.title) or (say(language, f"ui.title.{source.value}") if source is not Source.FRESH else "…")
    recipe = info.recipe
    station = next((one for one in snapshot.stations if one.key == recipe.station), None)
    if station is None:
        return clean(recipe.prompt) or "…"
    if source is Source.BUILTIN:  # it keeps the recipe's key and tempo; its instruments are its own
        title = clean(station.title(language))
        return say(language, "ui.title.in_key", title=title, scale=key_name(recipe.key_scale, language))
    return clean(station.piece_name(recipe.prompt, language)) or "…"


def _called(piece: PlayingView) -> object:
    """Return what the title follows from."""
    return piece.source, piece.info, piece.title


def key_name(key_scale: str, language: str) -> str:
    """Return "A minor" in the listener's language."""
    note, _, mode = clean(key_scale).partition(" ")
    return say(language, f"ui.scale.{mode}", note=note) if mode in ("major", "minor") else clean(key_scale)


def heard_line(snapshot: Snapshot, heard: Heard, width: int, language: str) -> Text:
    """Return when what was heard, and whether it is liked."""
    head = Text.assemble((f"{pad(clean(heard.wall), 5)} ", "dim"), ("♥" if heard.liked else " ", "red"), " ")
    source = Text(" " + source_name(language, heard.source), heard.source.style)
    return two_ends(head.append(piece_title(snapshot, heard, language)), source, width)


def timer_words(timer: TimerView | None, language: str) -> list[str]:
    """Return what the timer does, and when the session ends."""
    if timer is None:
        return []
    fields = {"time": clock_time(timer.remaining_s), "round": timer.round}
    found = [say(language, f"ui.timer.{timer.phase}", **fields)] if timer.round or timer.phase == "ending" else []
    if timer.ends_in_s is not None and timer.phase != "ending":
        found.append(say(language, "ui.timer.total", time=clock_time(timer.ends_in_s)))
    return found


@unchanged(
    lambda now: (
        (now.station, now.prompt, now.player_state, now.recording, now.timer, now.ambience, now.wall),
        (now.mixer.paused, now.mixer.muted, now.mixer.volume),
    )
)
def header(snapshot: Snapshot, width: int, language: str) -> Text:
    """Return the first line: the station, and at the right the time of day and whatever is out of the ordinary."""
    mixer, state = snapshot.mixer, snapshot.player_state.replace(" ", "_")
    title = clean(snapshot.station.title(language)) or clean(snapshot.prompt) or say(language, "ui.head.name")
    under, percent = snapshot.ambience
    known = f"ui.player.{state}" in texts(language)
    signs = [
        Text(say(language, "ui.head.paused"), "bold yellow") if mixer.paused else Text(),
        Text(say(language, "ui.head.muted"), "bold yellow") if mixer.muted else Text(),
        Text("● " + say(language, "ui.head.recording"), "red") if snapshot.recording else Text(),
        Text(say(language, f"ui.player.{state}"), "yellow") if known else Text(),
        Text("".join(timer_words(snapshot.timer, language)[:1]), "cyan"),
        Text(say(language, f"ui.ambience.{under}", percent=percent) if under != "off" else "", "dim"),
        Text(say(language, "ui.head.volume", percent=round(100 * mixer.volume)), "dim") if not mixer.muted else Text(),
    ]
    wall = Text(("   " if width >= 30 else " ") + clean(snapshot.wall), "dim") if snapshot.wall else Text()
    return two_ends(Text("♪ " + title, "bold"), join(signs, 2 * width // 3 - wall.cell_len, "   ").append(wall), width)


@unchanged(lambda now: (_called(now.mixer.playing), now.mixer.paused, now.station, now.stations))
def window_title(snapshot: Snapshot, language: str) -> str:
    """Return what plays, for the terminal's title."""
    playing = snapshot.mixer.playing
    name = piece_title(snapshot, playing, language)
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
        Row(Rank.TIME, Text.assemble(elapsed, " ", passed, " ", (total, "dim"))),
        Row(Rank.SPACE),
        Row(Rank.NEXT, _next(snapshot, width, language)),
    ]


@unchanged(
    lambda now: (
        (_called(now.mixer.playing), now.stations, now.liked, now.continuing, now.player_state),
        (bool(now.spool.ready), now.timer and now.timer.phase, now.generator.server, now.generator.factor),
    )
)
def _about(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the badge and title with its signs, and what is known of the piece."""
    playing = snapshot.mixer.playing
    badge = Text.assemble((f" {source_name(language, playing.source)} ", f"reverse {playing.source.style}"), "  ")
    title = Text.assemble(badge, (piece_title(snapshot, playing, language), "bold"))
    words = width >= 60
    liked, going_on = say(language, "ui.head.liked"), say(language, "ui.head.continuing")
    signs = [
        Text("↻ " + going_on if words else "↻", "green") if snapshot.continuing else Text(),
        Text("♥ " + liked if words else "♥", "red") if snapshot.liked else Text(),
    ]
    details = Text(" " * badge.cell_len + " · ".join(_details(snapshot, language)), "dim")
    return [Row(Rank.TITLE, two_ends(title, join(signs, width), width)), Row(Rank.DETAILS, details)]


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
        found.append(key_name(info.recipe.key_scale, language) if playing.source is not Source.BUILTIN else "")
        found.append(say(language, "ui.piece.seed", seed=clean(info.seed)) if info.seed else "")
    return [part for part in found if part]


@unchanged(lambda now: (now.spool.ready[:1], now.mixer.stock, now.stations))
def _next(snapshot: Snapshot, width: int, language: str) -> Text:
    """Return what comes next: the head of the queue, else where the next piece is taken from."""
    if snapshot.spool.ready:
        return _coming(snapshot, 0, width, language)
    stock = next((source for source in Source if snapshot.mixer.stock.get(source)), None)
    words = say(language, f"ui.title.{stock.value}" if stock and stock is not Source.FRESH else "ui.next.unknown")
    return labelled(language, "next", Text(words, "dim"))


def _coming(snapshot: Snapshot, index: int, width: int, language: str) -> Text:
    """Return the title and the length of a piece that is ready."""
    info = snapshot.spool.ready[index]
    title = Text(piece_title(snapshot, PlayingView(Source.FRESH, info=info), language), "" if index == 0 else "dim")
    line = labelled(language, "next", title) if index == 0 else Text.assemble(" " * LABEL_CELLS, title)
    return two_ends(line, Text(clock_time(info.audible_s), "dim"), width)


def queue(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the titles behind the next, the queue as slots (ready, in the making, empty), and how long it lasts.

    As many rows as segments are wanted, filled or not, so that what is below stays where it is.
    """
    return [*_later(snapshot, width, language), _buffer(snapshot, width, language)]


@unchanged(lambda now: (now.spool.ready, now.target, now.stations))
def _later(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    depth, places = len(snapshot.spool.ready), range(1, min(snapshot.target, _MOST_NEXT + 1))
    titles = (_coming(snapshot, index, width, language) if index < depth else Text() for index in places)
    return [Row(Rank.MORE_NEXT, title) for title in titles]


@unchanged(
    lambda now: (
        len(now.spool.ready),
        now.target,
        now.buffer_s and clock_time(now.buffer_s),
        now.generator.jobs,
        now.depth_history,
    )
)
def _buffer(snapshot: Snapshot, width: int, language: str) -> Row:
    depth, target = len(snapshot.spool.ready), snapshot.target
    figures = Text(say(language, "ui.buffer.depth", ready=depth, target=target), "" if depth else "yellow")
    if snapshot.buffer_s:
        figures.append(" · " + say(language, "ui.buffer.lasts", time=clock_time(snapshot.buffer_s)))
    slots = _slots(depth, [job.progress or 0.0 for job in snapshot.generator.jobs], target, min(width // 3, 44))
    line = labelled(language, "buffer", Text("  ").join([slots, figures]) if slots else figures)
    history = sparkline(snapshot.depth_history, min(20, width - line.cell_len - 3), "green", 0.0, float(max(1, target)))
    return Row(Rank.BUFFER, two_ends(line, history, width))


def _slots(ready: int, making: Sequence[float], target: int, width: int) -> Text:
    """Return a line a segment: solid when ready, filling while in the making, dashed where one is missing."""
    total = min(max(ready + len(making), target), 200)
    if width < 3 or not total:
        return Text()
    cells = max(1, min(_SLOT_CELLS, (width + 1) // total - 1))
    gap = " " if (cells + 1) * total - 1 <= width else ""
    slots = []
    for index in range(min(total, width // (cells + len(gap)) or 1)):
        if index < ready:
            slots.append(Text("━" * cells, "bold green"))
        elif index - ready < len(making):
            done = round(making[index - ready] * cells)
            slots.append(Text.assemble(("╍" * done, "green"), ("─" * (cells - done), "dim green")))
        else:
            slots.append(Text("╌" * cells, "dim"))
    return Text(gap).join(slots)


@unchanged(lambda now: (now.station, now.timer))
def mood(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return what is of interest without a server: what the mood is like, and what the timer does."""
    timer = " · ".join(timer_words(snapshot.timer, language)) or say(language, "ui.timer.none")
    about = Text(clean(snapshot.station.about(language)))
    return [
        Row(Rank.MOOD, fit_line(labelled(language, "mood", about), width)),
        Row(Rank.MOOD, labelled(language, "timer", Text(timer, "" if snapshot.timer else "dim"))),
    ]


def history(snapshot: Snapshot, width: int, height: int, language: str) -> list[Text]:
    """Return what was heard before behind its label, in exactly `height` lines."""
    lines = past(snapshot, width - LABEL_CELLS, height, language) or [Text(say(language, "ui.history.none"), "dim")]
    lines = (lines + [Text()] * height)[:height]
    label = [pad(say(language, "ui.label.heard"), LABEL_CELLS), *[" " * LABEL_CELLS] * height]
    return [Text.assemble((before, "dim"), line) for before, line in zip(label, lines, strict=False)]


@unchanged(lambda now: (now.history, now.stations))
def past(snapshot: Snapshot, width: int, height: int, language: str) -> list[Text]:
    """Return what was heard before, the latest first, in at most `height` lines."""
    shown = snapshot.history[:-1][::-1][: max(0, height)]
    return [heard_line(snapshot, heard, width, language) for heard in shown]
