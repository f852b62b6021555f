"""The upper parts of the main screen, the music and its queue: the snapshot in, ranked rows of a given width out.

Total: any snapshot gives rows. The lower a row's rank, the later it is left out when the terminal is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from base.texts import text as say
from base.texts import texts
from music.segment import SegmentInfo, Source
from programme.history import Heard
from screen.view import UNHEARD, Snapshot, TimerView
from screen.widgets import (
    LABEL_CELLS,
    Row,
    bar,
    clean,
    clock_time,
    count,
    fit,
    join,
    labelled,
    number,
    pad,
    remembered,
    share,
    span,
    sparkline,
    two_ends,
    waveform,
)

SOURCE_STYLES: Final = {Source.FRESH: "green", Source.LIBRARY: "cyan", Source.BUILTIN: "magenta", Source.BED: "dim"}
WAVE_HEADROOM_DB: Final = 8.0  # a fifth of a second of music is seldom louder than that over its loudness
_SLOT_CELLS: Final = 6
_MOST_NEXT: Final = 20


def source_name(language: str, source: Source) -> str:
    """Return the badge's word."""
    return say(language, f"ui.source.{source.value}")


def piece_title(snapshot: Snapshot, source: Source, info: SegmentInfo | None, language: str) -> str:
    """Return what a piece is called: what tells it from its neighbours, else its prompt, or what its source is."""
    if info is None:
        return say(language, f"ui.title.{source.value}") if source is not Source.FRESH else "…"
    recipe = info.recipe
    station = next((one for one in snapshot.stations if one.key == recipe.station), None)
    if station is None:
        return clean(recipe.prompt) or "…"
    if source is Source.BUILTIN:  # it keeps the recipe's key and tempo; its instruments are its own
        title = clean(station.title(language))
        return say(language, "ui.title.in_key", title=title, scale=key_name(recipe.key_scale, language))
    return clean(station.piece_name(recipe.prompt, language)) or "…"


def key_name(key_scale: str, language: str) -> str:
    """Return "A minor" in the listener's language."""
    note, _, mode = clean(key_scale).partition(" ")
    return say(language, f"ui.scale.{mode}", note=note) if mode in ("major", "minor") else clean(key_scale)


def heard_line(snapshot: Snapshot, heard: Heard, width: int, language: str) -> Text:
    """Return when what was heard, and whether it is liked."""
    head = Text.assemble((f"{pad(clean(heard.wall), 5)} ", "dim"), ("♥" if heard.liked else " ", "red"), " ")
    source = Text(" " + source_name(language, heard.source), SOURCE_STYLES[heard.source])
    return two_ends(head.append(piece_title(snapshot, heard.source, heard.info, language)), source, width)


def timer_words(timer: TimerView | None, language: str) -> list[str]:
    """Return what the timer does, and when the session ends."""
    if timer is None:
        return []
    fields = {"time": clock_time(timer.remaining_s), "round": timer.round}
    found = [say(language, f"ui.timer.{timer.phase}", **fields)] if timer.round or timer.phase == "ending" else []
    if timer.ends_in_s is not None and timer.phase != "ending":
        found.append(say(language, "ui.timer.total", time=clock_time(timer.ends_in_s)))
    return found


def header(snapshot: Snapshot, width: int, language: str) -> Text:
    """Return the first line: the station, and whatever is out of the ordinary at the right."""
    mixer = snapshot.mixer
    volume = number(mixer.volume)
    return _header(
        clean(snapshot.station.title(language)) or clean(snapshot.prompt) or say(language, "ui.head.name"),
        (mixer.paused, mixer.muted, bool(snapshot.recording)),
        clean(snapshot.player_state),
        _timer(snapshot, language),
        count(round(100 * (1.0 if volume is None else min(max(0.0, volume), 9.99)))),
        width,
        language,
    )


@remembered
def _header(
    title: str,
    switched_on: tuple[bool, bool, bool],
    player_state: str,
    timer: tuple[str, str],
    percent: int,
    width: int,
    language: str,
) -> Text:
    paused, muted, recording = switched_on
    signs = [
        Text(say(language, "ui.head.paused"), "bold yellow") if paused else Text(),
        Text(say(language, "ui.head.muted"), "bold yellow") if muted else Text(),
        Text("● " + say(language, "ui.head.recording"), "red") if recording else Text(),
        _player_state(player_state, language),
        Text(*timer),
        Text(say(language, "ui.head.volume", percent=percent), "dim") if not muted else Text(),
    ]
    shown = join(signs, 2 * width // 3, "   ")
    return two_ends(Text("♪ " + title, "bold"), shown, width)


def _player_state(state: str, language: str) -> Text:
    if state in ("playing", "paused", ""):
        return Text()
    try:
        return Text(say(language, f"ui.player.{state.replace(' ', '_')}"), "yellow")
    except KeyError:
        return Text(state, "yellow")


def _timer(snapshot: Snapshot, language: str) -> tuple[str, str]:
    """Return what is said of the timer, and its style."""
    timer = snapshot.timer
    if timer is None:
        return "", ""
    key = "total" if timer.phase == "work" and not count(timer.round) else timer.phase
    if key not in ("total", "work", "break", "ending"):
        return clock_time(timer.remaining_s), ""
    words = say(language, f"ui.timer.{key}", time=clock_time(timer.remaining_s), round=count(timer.round))
    return words, "cyan" if key != "ending" else "yellow"


def why_unheard(snapshot: Snapshot, language: str) -> str:
    """Return why nothing reaches the listener's ears, "" when the sound device takes it."""
    state = snapshot.player_state
    return say(language, f"ui.unheard.{state.replace(' ', '_')}") if state in UNHEARD else ""


def now_playing(snapshot: Snapshot, width: int, language: str, wave_rows: int) -> list[Row]:
    """Return the badge and title, what is known of the piece, the waveform and the time line."""
    playing = snapshot.mixer.playing
    is_heard = not (snapshot.mixer.paused or snapshot.mixer.muted or snapshot.player_state in UNHEARD)
    quiet = "dim" if not is_heard else SOURCE_STYLES[playing.source]
    title = piece_title(snapshot, playing.source, playing.info, language)
    first, second, blank = _title_rows(
        playing.source, title, " · ".join(_details(snapshot, language)), snapshot.liked, width, language
    )
    elapsed, total = clock_time(playing.elapsed_s), clock_time(playing.total_s)
    bar_cells = max(0, width - len(elapsed) - len(total) - 2)
    done_cells = round((_elapsed_share(snapshot) or 0.0) * bar_cells)
    top_db = (number(snapshot.target_lufs) or 0.0) + WAVE_HEADROOM_DB
    wave = waveform(snapshot.mixer.levels_db, width, wave_rows, quiet, top_db)
    return [
        first,
        second,
        blank,
        *(Row(8 if line is wave[-1] else 10, line) for line in wave),
        _time_row(elapsed, total, done_cells, bar_cells, quiet),
    ]


@remembered
def _title_rows(source: Source, title: str, details: str, is_liked: bool, width: int, language: str) -> list[Row]:
    badge = Text.assemble((f" {source_name(language, source)} ", f"reverse {SOURCE_STYLES[source]}"), "  ")
    liked = Text("♥ " + say(language, "ui.head.liked"), "red") if is_liked else Text()
    if liked and width < 60:
        liked = Text("♥", "red")
    return [
        Row(0, two_ends(Text.assemble(badge, Text(title, "bold")), liked, width)),
        Row(12, Text.assemble(" " * badge.cell_len, Text(details, "dim"))),
        Row(22, Text()),
    ]


@remembered
def _time_row(elapsed: str, total: str, done_cells: int, bar_cells: int, style: str) -> Row:
    return Row(1, Text.assemble(elapsed, " ", bar(done_cells, bar_cells, style), " ", (total, "dim")))


def _elapsed_share(snapshot: Snapshot) -> float | None:
    elapsed, total = number(snapshot.mixer.playing.elapsed_s), number(snapshot.mixer.playing.total_s)
    return share(elapsed / total) if elapsed is not None and total is not None and total > 0 else None


def _details(snapshot: Snapshot, language: str) -> list[str]:
    """Return why this is playing, if it is not fresh, and what it takes to make it again."""
    playing, generator = snapshot.mixer.playing, snapshot.generator
    found = []
    if unheard := why_unheard(snapshot, language):
        found.append(unheard)
    if playing.source is not Source.FRESH:
        why = clean(generator.server)
        if snapshot.spool.ready:
            why = "ready"
        elif why == "up" and (number(generator.factor) or 0.0) > 1.0:
            why = "slow"
        if snapshot.timer is not None and snapshot.timer.phase == "break":
            why = "break"
        if unheard and why in ("up", "ready", "slow"):
            why = ""  # that is about what comes next, and nothing does
        if f"ui.why.{why}" in texts(language):
            found.append(say(language, f"ui.why.{why}"))
    info = playing.info
    if info is not None:
        if info.recipe.bpm is not None:
            found.append(say(language, "ui.piece.bpm", bpm=count(info.recipe.bpm)))
        found.append(clean(info.recipe.key_scale))
        seed = clean(info.seed)
        found.append(say(language, "ui.piece.seed", seed=seed) if seed else "")
        if playing.source is Source.FRESH and number(info.generation_s) is not None:
            found.append(say(language, "ui.piece.made", time=span(language, info.generation_s)))
    return [part for part in found if part]


def ready_seconds(ready: Sequence[SegmentInfo]) -> float:
    """Return the audible seconds in the queue; nonsense counts as none."""
    total = 0.0
    for info in ready:
        try:
            total += max(0.0, number(info.audible_s) or 0.0)
        except (OverflowError, TypeError):
            continue
    return total


def queue(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the queue as slots (ready, in the making, empty), its depth, and the titles that come next.

    As many rows as segments are wanted, filled or not, so that what is below stays where it is.
    """
    making = tuple(share(job.progress) or 0.0 for job in snapshot.generator.jobs)
    titles = tuple(piece_title(snapshot, Source.FRESH, info, language) for info in snapshot.spool.ready)
    return _queue(snapshot.spool.ready, titles, making, count(snapshot.target), snapshot.depth_history, width, language)


@remembered
def _queue(
    ready: tuple[SegmentInfo, ...],
    titles: tuple[str, ...],
    making: tuple[float, ...],
    target: int,
    depths: tuple[int, ...],
    width: int,
    language: str,
) -> list[Row]:
    depth = len(ready)
    figures = Text.assemble((f"{depth}", "bold"), f"/{target}  ")
    ahead = span(language, ready_seconds(ready))
    figures.append(
        say(language, "ui.queue.ahead", time=ahead) if depth else say(language, "ui.queue.empty"),
        "" if depth else "yellow",
    )
    room = width - LABEL_CELLS - figures.cell_len - 2
    slots = _slots(depth, making, target, min(room, 44))
    shown = Text.assemble(slots, "  ", figures) if slots else figures
    room = min(20, width - LABEL_CELLS - shown.cell_len - 3)
    history = sparkline(depths, room, "green", 0.0, float(max(1, target)))
    line = two_ends(labelled(language, "queue", shown), history, width)
    rows = [Row(17, Text()), Row(2, line)]
    for index in range(min(max(1, target), _MOST_NEXT)):
        label = say(language, "ui.label.next") if index == 0 else ""
        title, length = _next(ready[index], titles[index], width) if index < depth else ("", "")
        shown = two_ends(Text.assemble((pad(label, LABEL_CELLS), "dim"), (title, "dim")), Text(length, "dim"), width)
        rows.append(Row(18 + 2 * index if index else 16, shown))
    return rows


def _next(info: SegmentInfo, title: str, width: int) -> tuple[str, str]:
    """Return title and length of a piece that is ready."""
    try:
        length = clock_time(info.audible_s)
    except (OverflowError, TypeError):
        length = clock_time(None)
    return fit(title, width - LABEL_CELLS - 8), length


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
