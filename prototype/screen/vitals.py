"""The making of the music on the main screen: the jobs in flight, how it goes, and the latest notices."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from base.notices import Notice
from base.texts import text as say
from base.texts import texts
from generation.jobs import JobView
from screen.view import UNHEARD, Snapshot, unchanged
from screen.widgets import (
    LABEL_CELLS,
    Rank,
    Row,
    bar,
    clean,
    clock_time,
    fit,
    join,
    labelled,
    pad,
    sentence,
    span,
    sparkline,
    speed,
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
AWAY: Final = ("connecting", "down", "restarting", "refused")
"""States in which nobody knows how the jobs are."""
_JOB_RANKS: Final = (Rank.MAKING, Rank.MORE_MAKING, Rank.MORE)
TROUBLES: Final = ("retries", "failures", "rejected", "lost")


def has_server(snapshot: Snapshot) -> bool:
    """Whether a server is, or has been, of use in this session: else how the making goes concerns nobody."""
    made = snapshot.generator
    return made.server not in ("off", "connecting", "down") or bool(made.produced or snapshot.spool.ready)


def making(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return the jobs in flight: always the same number of rows, so that what is below stays where it is."""
    made, room, most = snapshot.generator, width - LABEL_CELLS, len(_JOB_RANKS)
    lines = [_job_line(job, made.server in AWAY, room, language) for job in made.jobs[:most]]
    if not made.jobs:
        full = len(snapshot.spool.ready) >= snapshot.target and made.server == "up"
        lines = [Text(say(language, "ui.making.rest" if full else "ui.making.idle"), "dim")]
    elif len(made.jobs) > most:
        lines[-1] = Text(say(language, "ui.making.more", count=len(made.jobs) - most + 1), "dim")
    lines += [Text()] * (most - len(lines))
    shown = [labelled(language, "making", lines[0]), *(Text.assemble(" " * LABEL_CELLS, line) for line in lines[1:])]
    return [Row(rank, line) for rank, line in zip(_JOB_RANKS, shown, strict=True)]


def _job_line(job: JobView, away: bool, width: int, language: str) -> Text:
    """Return a job's progress where the server tells it, else its place in line; its stage and its age."""
    age = Text(span(language, job.age_s), "dim")
    key = "ui.stage.away" if away else f"ui.stage.{job.stage}"
    known, theirs = key in texts(language), clean(job.stage)
    stage = say(language, key) if known else say(language, "quote", words=theirs) if theirs else ""
    if job.progress is None or away:
        place = say(language, "ui.making.line", position=job.queue_position) if job.queue_position and not away else ""
        stage = " · ".join(part for part in (place, stage) if part) or say(language, "ui.making.waiting")
        return two_ends(Text("◌ " + stage), age, width)
    done = bar(job.progress, max(4, min(24, width - 26)), "green")
    return two_ends(Text.assemble(done, f" {round(100 * job.progress):3} %  ", (stage, "dim")), age, width)


@unchanged(
    lambda now: (
        (now.generator.factor, now.generator.median_generation_s, now.generator.generation_history_s),
        [getattr(now.generator, key) for key in ("produced", *TROUBLES)],
    )
)
def figures(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return how fast music is made, and how much."""
    made, room = snapshot.generator, width - LABEL_CELLS
    parts = (
        [Text(speed(language, made.factor), "" if made.factor <= 1 else "yellow")] if made.factor is not None else []
    )
    if made.median_generation_s is not None:
        parts.append(Text(say(language, "ui.speed.median", time=span(language, made.median_generation_s))))
    line = join(parts, room) if parts else Text(say(language, "ui.speed.none"), "dim")
    times = made.generation_history_s
    graph = sparkline(
        times, min(20, room - line.cell_len - 3), "cyan", 0.6 * min(times, default=0.0), max(times, default=0.0)
    )
    counts = [(key, getattr(made, key)) for key in ("produced", *TROUBLES)]
    counted = [Text(say(language, f"ui.made.{key}", count=figure)) for key, figure in counts if figure]
    return [
        Row(Rank.SPEED, labelled(language, "speed", two_ends(line, graph, room))),
        Row(Rank.MADE, labelled(language, "made", join(counted, room) or Text(say(language, "ui.made.none"), "dim"))),
    ]


@unchanged(lambda now: (now.generator.server, now.generator.server_reason))
def server(snapshot: Snapshot, language: str) -> Row:
    """Return how the server is."""
    state, reason = snapshot.generator.server, snapshot.generator.server_reason
    glyph, style = _SERVER_GLYPHS[state]
    detail = (clean(reason.words(language)) if reason else "", "dim")
    return Row(
        Rank.SERVER,
        labelled(
            language, "server", Text.assemble((glyph, style), f" {say(language, f'ui.server.{state}')}  ", detail)
        ),
    )


@unchanged(
    lambda now: (
        (int(now.uptime_s), int(now.uninterrupted_s), now.player_state, now.mixer.longest_silence_s, now.recording),
        (now.spool.writable, now.spool.kept, now.spool.played, now.spool.size_mb),
    )
)
def session(snapshot: Snapshot, width: int, language: str) -> list[Row]:
    """Return how long it has played, the shelves, and what is being recorded."""
    room, spool, silence_s = width - LABEL_CELLS, snapshot.spool, snapshot.mixer.longest_silence_s
    heard = snapshot.player_state not in UNHEARD
    unbroken = say(language, "ui.running.unbroken", time=clock_time(snapshot.uninterrupted_s))
    parts = [
        Text(clock_time(snapshot.uptime_s)),
        Text(say(language, "ui.running.silence", time=span(language, silence_s)), "yellow")
        if silence_s > 0
        else Text(),
        Text(unbroken, "green") if heard else Text(say(language, "ui.running.unheard"), "yellow"),
    ]
    shelf = [
        Text() if spool.writable else Text(say(language, "ui.shelf.readonly"), "bold yellow"),
        Text(say(language, "ui.shelf.kept", count=spool.kept)) if spool.kept else Text(),
        Text(say(language, "ui.shelf.played", count=spool.played)) if spool.played else Text(),
        Text(say(language, "ui.shelf.size", size=f"{spool.size_mb:,.0f}"), "dim") if spool.size_mb >= 1 else Text(),
    ]
    recording = labelled(language, "recording", Text(clean(snapshot.recording))) if snapshot.recording else Text()
    return [
        Row(Rank.SESSION, labelled(language, "running", join(parts, room))),
        Row(Rank.SHELF, labelled(language, "shelf", join(shelf, room) or Text(say(language, "ui.shelf.empty"), "dim"))),
        Row(Rank.RECORDING, recording),
    ]


@unchanged(lambda now: now.notices)
def notices(snapshot: Snapshot, width: int, height: int, language: str) -> list[Text]:
    """Return the latest notices that fit, oldest first; the newest and the serious ones are told in full."""
    lines: list[Text] = []
    for age, notice in enumerate(reversed(snapshot.notices)):
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
