"""The making of the music on the main screen: the jobs in flight, how it goes, and the latest notices."""

from __future__ import annotations

from typing import Final

from base.notices import Notice
from base.texts import text as say
from base.texts import texts
from generation.jobs import JobView
from screen.line import NOTHING, Line, join, two_ends
from screen.view import UNHEARD, Snapshot, shows
from screen.widgets import (
    LABEL_CELLS,
    Rank,
    Row,
    bar,
    clean,
    clock_time,
    fit,
    labelled,
    pad,
    sentence,
    span,
    sparkline,
    speed,
    times,
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
AWAY: Final = ("connecting", "down", "restarting", "refused")
"""States in which nobody knows how the jobs are."""
_TYPICAL_FROM_CELLS: Final = 80  # with less, the graph would have to go
_JOB_RANKS: Final = (Rank.MAKING, Rank.MORE_MAKING, Rank.MORE)
LONG_LOG: Final = 12
TROUBLES: Final = ("retries", "failures", "rejected", "lost")
COUNTED: Final = ("produced", *TROUBLES)


def has_server(snapshot: Snapshot) -> bool:
    """Whether a server is, or has been, of use in this session: else how the making goes concerns nobody."""
    made = snapshot.generator
    return made.server not in ("off", "connecting", "down") or bool(made.produced or snapshot.spool.ready)


@shows("generator.jobs", "generator.server", "spool.ready", "target")
def making(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the jobs in flight: always the same number of rows, so that what is below stays where it is."""
    made, room, most = snapshot.generator, width - LABEL_CELLS, len(_JOB_RANKS)
    lines = [_job_line(job, made.server in AWAY, room, language) for job in made.jobs[:most]]
    if not made.jobs:
        full = len(snapshot.spool.ready) >= snapshot.target and made.server == "up"
        lines = [Line((say(language, "ui.making.rest" if full else "ui.making.idle"), "dim"))]
    elif len(made.jobs) > most:
        lines[-1] = Line((say(language, "ui.making.more", count=len(made.jobs) - most + 1), "dim"))
    lines += [NOTHING] * (most - len(lines))
    shown = [labelled(language, "making", lines[0]), *(Line(" " * LABEL_CELLS, line) for line in lines[1:])]
    return [Row(rank, line) for rank, line in zip(_JOB_RANKS, shown, strict=True)]


def _job_line(job: JobView, away: bool, width: int, language: str) -> Line:
    """Return a job's progress where the server tells it, else its place in line; its stage and its age."""
    age = Line((span(language, job.age_s), "dim"))
    key = "ui.stage.away" if away else f"ui.stage.{job.stage}"
    known, theirs = key in texts(language), clean(job.stage)
    stage = say(language, key) if known else say(language, "quote", words=theirs) if theirs else ""
    if job.progress is None or away:
        place = say(language, "ui.making.line", position=job.queue_position) if job.queue_position and not away else ""
        stage = " · ".join(part for part in (place, stage) if part) or say(language, "ui.making.waiting")
        return two_ends(Line("◌ " + stage), age, width)
    done = bar(job.progress, max(4, min(24, width - 26)), "green")
    return two_ends(Line(done, f" {round(100 * job.progress):3} %  ", (stage, "dim")), age, width)


@shows("generator.factor", "generator.median_generation_s", "generator.generation_history_s", "waited_s")
def pace(snapshot: Snapshot, width: int, language: str) -> Row:
    """Return how fast music is made by playback, and a piece; how long the latest lay ready, and they typically do."""
    made, factor, room = snapshot.generator, snapshot.generator.factor, width - LABEL_CELLS
    known = times(
        language,
        median=made.median_generation_s,
        waited=snapshot.waited_s[-1] if snapshot.waited_s else None,
        typically=snapshot.typically_waited_s if room >= _TYPICAL_FROM_CELLS else None,
    )
    by_playback = Line((speed(language, factor), "" if factor <= 1 else "yellow")) if factor is not None else NOTHING
    line = join([by_playback, *map(Line, known)], room) or Line((say(language, "ui.speed.none"), "dim"))
    history = made.generation_history_s
    least_s, most_s = min(history, default=0.0), max(history, default=0.0)
    graph = sparkline(history, min(20, room - line.cell_len - 3), "cyan", 0.6 * least_s, most_s)
    return Row(Rank.SPEED, labelled(language, "speed", two_ends(line, graph, room)))


@shows(*(f"generator.{key}" for key in COUNTED))
def counts(snapshot: Snapshot, width: int, language: str) -> Row:
    """Return how much was made, and what went wrong."""
    figures = [(key, getattr(snapshot.generator, key)) for key in COUNTED]
    counted = [Line(say(language, f"ui.made.{key}", count=figure)) for key, figure in figures if figure]
    line = join(counted, width - LABEL_CELLS) or Line((say(language, "ui.made.none"), "dim"))
    return Row(Rank.MADE, labelled(language, "made", line))


@shows("generator.server", "generator.server_reason")
def server(snapshot: Snapshot, language: str) -> Row:
    """Return how the server is."""
    state, reason = snapshot.generator.server, snapshot.generator.server_reason
    detail = (clean(reason.words(language)) if reason else "", "dim")
    line = Line(_SERVER_GLYPHS[state], f" {say(language, f'ui.server.{state}')}  ", detail)
    return Row(Rank.SERVER, labelled(language, "server", line))


def running(snapshot: Snapshot, width: int, language: str) -> Row:
    """Return how long it has played, and whether without a break."""
    silence_s = snapshot.mixer.longest_silence_s
    silence = say(language, "ui.running.silence", time=span(language, silence_s)) if silence_s > 0 else ""
    unbroken = Line((say(language, "ui.running.unbroken", time=clock_time(snapshot.uninterrupted_s)), "green"))
    if snapshot.player_state in UNHEARD:
        unbroken = Line((say(language, "ui.running.unheard"), "yellow"))
    line = join([Line(clock_time(snapshot.uptime_s)), Line((silence, "yellow")), unbroken], width - LABEL_CELLS)
    return Row(Rank.SESSION, labelled(language, "running", line))


@shows("spool.writable", "spool.kept", "spool.played", "spool.size_mb", "recording")
def files(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return what is on the shelves, and what is being recorded."""
    spool, path = snapshot.spool, snapshot.recording
    shelf = [
        NOTHING if spool.writable else Line((say(language, "ui.shelf.readonly"), "bold yellow")),
        Line(say(language, "ui.shelf.kept", count=spool.kept)) if spool.kept else NOTHING,
        Line(say(language, "ui.shelf.played", count=spool.played)) if spool.played else NOTHING,
        Line((say(language, "ui.shelf.size", size=f"{spool.size_mb:,.0f}"), "dim")) if spool.size_mb >= 1 else NOTHING,
    ]
    line = join(shelf, width - LABEL_CELLS) or Line((say(language, "ui.shelf.empty"), "dim"))
    recording = labelled(language, "recording", Line(clean(path))) if path else NOTHING
    return [Row(Rank.SHELF, labelled(language, "shelf", line)), Row(Rank.RECORDING, recording)]


@shows("notices")
def notices(snapshot: Snapshot, width: int, height: int, language: str) -> list[Line]:
    """Return the latest notices that fit, oldest first; the newest and the serious in full, in a long log all."""
    lines: list[Line] = []
    for age, notice in enumerate(reversed(snapshot.notices)):
        serious = notice.level in ("warning", "error")
        longest = min(height, (3 if width >= 56 else 2) if age == 0 or serious or height >= LONG_LOG else 1)
        if longest < 1:
            break
        told = _notice(notice, width, longest, language, "dim" if age and not serious else "")
        if len(lines) + len(told) > height:
            break
        lines = [*told, *lines]
    return lines


def _notice(notice: Notice, width: int, longest: int, language: str, style: str) -> list[Line]:
    """Return the time, a glyph and the words, in at most `longest` lines."""
    glyph, glyph_style = _LEVEL_GLYPHS.get(notice.level, ("·", "dim"))
    head = Line((f"{pad(clean(notice.wall), 5)} ", "dim"), (glyph, glyph_style), " ")
    room = max(2, width - head.cell_len)
    lines = wrap(sentence(language, notice.key, notice.args), room)
    lines[longest - 1 :] = [fit(" ".join(lines[longest - 1 :]), room)] if len(lines) >= longest else []
    first = Line(head, (lines[0], style))
    return [first, *(Line(" " * head.cell_len, (line, style)) for line in lines[1:])]
