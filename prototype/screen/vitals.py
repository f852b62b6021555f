"""The lower parts of the main screen: the jobs in flight, how the making goes, and the latest notices. Total."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from base.notices import Notice
from base.texts import text as say
from base.texts import texts
from screen.view import UNHEARD, Snapshot
from screen.widgets import (
    LABEL_CELLS,
    Row,
    clean,
    clock_time,
    count,
    fit,
    join,
    labelled,
    number,
    pad,
    progress,
    remembered,
    sentence,
    share,
    span,
    sparkline,
    two_ends,
    wrap,
)

_LEVEL_GLYPHS: Final = {"good": ("✓", "green"), "warning": ("!", "bold yellow"), "error": ("✗", "bold red")}
_SERVER_GLYPHS: Final = {
    "up": ("●", "green"),
    "loading": ("◐", "yellow"),
    "connecting": ("◌", "yellow"),
    "unwell": ("◌", "yellow"),
    "down": ("○", "red"),
    "restarting": ("◌", "yellow"),
    "refused": ("○", "red"),
    "off": ("·", "dim"),
}
_JOB_RANKS: Final = (4, 10, 28)
NOTICE_RANKS: Final = (3, 5, 14, 15, 19, *range(29, 109, 2))
"""Of the rows for notices, from the top, whether there is anything to say or not."""
_TROUBLES: Final = ("retries", "failures", "rejected", "lost")
_Job = tuple[float | None, int, str, str]  # progress, place in line, stage and age, as they are shown


def making(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the jobs in flight: always the same number of rows, so that what is below stays where it is."""
    full = len(snapshot.spool.ready) >= count(snapshot.target) and snapshot.generator.server == "up"
    jobs = snapshot.generator.jobs
    away = snapshot.generator.server in ("connecting", "down", "restarting", "refused")  # nobody knows how the jobs are
    shown = tuple(
        (None, 0, "away", span(language, job.age_s))
        if away
        else (share(job.progress), count(job.queue_position), job.stage, span(language, job.age_s))
        for job in jobs
    )
    return _making(shown, full, width, language)


@remembered
def _making(jobs: tuple[_Job, ...], full: bool, width: int, language: str) -> list[Row]:
    room, most = width - LABEL_CELLS, len(_JOB_RANKS)
    lines = [_job_line(*job, room, language) for job in jobs[:most]]
    if not jobs:
        lines = [Text(say(language, "ui.making.rest" if full else "ui.making.idle"), "dim")]
    elif len(jobs) > most:
        lines[-1] = Text(say(language, "ui.making.more", count=len(jobs) - most + 1), "dim")
    lines += [Text()] * (most - len(lines))
    first, *others = lines
    shown = [labelled(language, "making", first), *(Text.assemble(" " * LABEL_CELLS, line) for line in others)]
    return [Row(rank, line) for rank, line in zip(_JOB_RANKS, shown, strict=True)]


def _job_line(done: float | None, position: int, stage: str, age: str, width: int, language: str) -> Text:
    """Return a job's progress where the server tells it, else its place in line; its stage and its age."""
    stage = _stage(stage, language)
    if done is None:
        place = say(language, "ui.making.line", position=position) if position else ""
        stage = " · ".join(part for part in (place, stage) if part) or say(language, "ui.making.waiting")
        return two_ends(Text("◌ " + stage), Text(age, "dim"), width)
    percent = f"{round(100 * done):3} %"
    bar_cells = max(4, min(24, width - 26))
    left = Text.assemble(progress(done, bar_cells, "green"), f" {percent}  ", (stage, "dim"))
    return two_ends(left, Text(age, "dim"), width)


def _stage(stage: str, language: str) -> str:
    """Return the server's word for what it does, translated where it is one of the common ones."""
    key = f"ui.stage.{stage}"
    return say(language, key) if key in texts(language) else clean(stage)


def figures(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return speed, counts, server, uptime and the shelves."""
    generator, spool, room = snapshot.generator, snapshot.spool, width - LABEL_CELLS
    counts = tuple(count(getattr(generator, key)) for key in ("produced", *_TROUBLES))
    shelved = (count(spool.kept), count(spool.played), count(spool.size_mb))
    return [
        Row(27, Text()),
        _speed(
            number(generator.factor),
            (generator.median_generation_s, generator.last_generation_s, generator.last_wait_s),
            generator.generation_history_s,
            room,
            language,
        ),
        _made(counts, room, language),
        Row(27, Text()),
        _server(clean(generator.server), clean(generator.server_detail), language),
        _running(
            clock_time(snapshot.uptime_s),
            number(snapshot.mixer.longest_silence_s) or 0.0,
            clock_time(snapshot.uninterrupted_s) if snapshot.player_state not in UNHEARD else "",
            room,
            language,
        ),
        _shelf(shelved, bool(spool.writable), room, language),
        Row(24, labelled(language, "recording", Text(clean(snapshot.recording))) if snapshot.recording else Text()),
    ]


@remembered
def _speed(
    factor: float | None,
    durations_s: tuple[float | None, ...],
    history_s: tuple[float, ...],
    room: int,
    language: str,
) -> Row:
    parts = []
    if factor is not None:
        shown = say(language, "ui.speed.factor", factor=f"{min(max(0.0, factor), 9999.0):.2f}")
        parts.append(Text(shown, "" if factor <= 1 else "yellow"))
    for key, value in zip(("median", "last", "wait"), durations_s, strict=True):
        if number(value) is not None:
            parts.append(Text(say(language, f"ui.speed.{key}", time=span(language, value))))
    line = join(parts, room) if parts else Text(say(language, "ui.speed.none"), "dim")
    times = [time for time in map(number, history_s) if time is not None]
    low, high = min(times, default=0.0), max(times, default=0.0)
    history = sparkline(times, min(20, room - line.cell_len - 3), "cyan", 0.6 * low, high)
    return Row(9, labelled(language, "speed", two_ends(line, history, room)))


@remembered
def _made(counts: tuple[int, ...], room: int, language: str) -> Row:
    """Return the counts, those of things that never happened last and quiet."""
    happened = [Text(say(language, "ui.made.produced", count=counts[0]))]
    never: list[Text] = []
    for key, figure in zip(_TROUBLES, counts[1:], strict=True):
        words = Text(say(language, f"ui.made.{key}", count=figure), "" if figure else "dim")
        (happened if figure else never).append(words)
    return Row(11, labelled(language, "made", join([*happened, *never], room)))


@remembered
def _server(state: str, detail: str, language: str) -> Row:
    glyph, style = _SERVER_GLYPHS.get(state, ("?", "yellow"))
    words = say(language, f"ui.server.{state}") if state in _SERVER_GLYPHS else state
    return Row(7, labelled(language, "server", Text.assemble((glyph, style), f" {words}  ", (detail, "dim"))))


@remembered
def _running(uptime: str, silence_s: float, uninterrupted: str, room: int, language: str) -> Row:
    silence = Text(say(language, "ui.running.silence", time=span(language, silence_s)), "yellow")
    parts = [
        Text(uptime),
        silence if silence_s > 0 else Text(),
        Text(say(language, "ui.running.unbroken", time=uninterrupted), "green")
        if uninterrupted
        else Text(say(language, "ui.running.unheard"), "yellow"),
    ]
    return Row(13, labelled(language, "running", join(parts, room)))


@remembered
def _shelf(shelved: tuple[int, int, int], writable: bool, room: int, language: str) -> Row:
    kept, played, size_mb = shelved
    parts = [
        Text() if writable else Text(say(language, "ui.shelf.readonly"), "bold yellow"),
        Text(say(language, "ui.shelf.kept", count=kept)),
        Text(say(language, "ui.shelf.played", count=played)),
        Text(say(language, "ui.shelf.size", size=f"{size_mb:,}"), "dim"),
    ]
    return Row(18, labelled(language, "shelf", join(parts, room)))


def notices(snapshot: Snapshot, width: int, height: int, language: str) -> list[Text]:
    """Return the latest notices that fit, oldest first; the newest and the serious ones are told in full."""
    return _notices(snapshot.notices[-40:], width, height, language)


@remembered
def _notices(shown: tuple[Notice, ...], width: int, height: int, language: str) -> list[Text]:
    lines: list[Text] = []
    for age, notice in enumerate(reversed(shown)):
        serious = notice.level in ("warning", "error")
        longest = min(height, (3 if width >= 56 else 2) if age == 0 or serious else 1)
        if longest < 1:
            break
        told = _notice(notice, width, longest, language, "dim" if age and not serious else "")
        if len(lines) + len(told) > height:
            break
        lines = [*told, *lines]
    return lines


def _notice(notice: Notice, width: int, longest: int, language: str, style: str) -> list[Text]:
    """Return the time, a glyph and the words, in at most `longest` lines."""
    glyph, glyph_style = _LEVEL_GLYPHS.get(notice.level, ("·", "dim"))
    head = Text.assemble((f"{pad(clean(notice.wall), 5)} ", "dim"), (glyph, glyph_style), " ")
    room = max(2, width - head.cell_len)
    lines = wrap(sentence(language, notice.key, notice.args), room)
    lines[longest - 1 :] = [fit(" ".join(lines[longest - 1 :]), room)] if len(lines) >= longest else []
    first = Text.assemble(head, (lines[0], style))
    return [first, *(Text.assemble(" " * head.cell_len, (line, style)) for line in lines[1:])]
