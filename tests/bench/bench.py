"""Measures the program beside other players, in one run, and prints a table (`make bench`).

    python tests/bench/bench.py --quick                    less of everything
    python tests/bench/bench.py --only boundaries,cpu --json bench.json

Everything is heard through a private PulseAudio with a null sink, whose monitor is recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

TESTS = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(TESTS), str(TESTS.parent / "prototype")]  # not this folder: `bench` is the package

import numpy as np  # noqa: E402

from bench import boundaries, keys, programme, scale, serving, start, work  # noqa: E402
from bench.material import REAL_SEGMENTS, median  # noqa: E402
from listening.listening import RATE_HZ  # noqa: E402
from listening.sound_room import is_usable  # noqa: E402

NOT_INSTALLED: Final = "not installed"
FIRST_SOUND: Final = "first sound, s (process start to first audible sample; median)"
FIRST_MUSIC: Final = "first music, s (to the first 50 ms over -33 dBFS; median)"
WORK: Final = "work, CPU s per played minute"


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is to another player's figure; `wanted` is the aim."""

    what: str
    player: str
    value: str
    ratio: str = ""
    wanted: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    files: int
    busy: bool
    starts: int
    work_s: float
    rounds: int
    keys: int
    server_s: float


QUICK: Final = Size(files=5, busy=False, starts=3, work_s=2 * work.TURN_S, rounds=1, keys=3, server_s=30.0)
FULL: Final = Size(files=50, busy=True, starts=9, work_s=3 * work.TURN_S, rounds=2, keys=10, server_s=90.0)


def boundary_rows(size: Size) -> Iterator[Row]:
    """Compare what is heard where one file ends and the next begins."""
    found = boundaries.measure(size.files, busy=size.busy)
    for player, one in found.items():
        if one is None:
            yield Row("boundaries", player, NOT_INSTALLED)
            continue
        lengths = one.silence_ms
        silence = f"silence {median(lengths):.0f} ms a boundary, longest {max(lengths, default=0.0):.0f}"
        losses = f"{one.lost_frames} samples lost, {one.altered_frames} altered, {one.clicks} clicks"
        bad = sum(lengths) > 0 or one.lost_frames + one.altered_frames + one.clicks > 0
        ours = player.startswith("stream")
        yield Row(
            f"boundaries: {one.count} in {one.played_s:.0f} s",
            player,
            f"{silence}; {losses}",
            f"largest step {one.step_ratio:.2f} x the material's",
            "0, 0, 0" if ours else "",
            not bad if ours else None,
        )


def programme_rows(_size: Size) -> Iterator[Row]:
    """Compare the programme of the real segments with the files one by one."""
    paths = sorted(REAL_SEGMENTS.glob("*.wav"))
    if not paths:
        yield Row("programme of real segments", "stream", "the segments are not there")
        return
    ours, files = programme.measure_programme(paths)
    yield Row("dead air where segments meet", "file by file", f"{files.dead_s:.1f} s in {files.length_s:.0f} s")
    rests_s = sum(rest.length_s for rest in ours.rests)
    yield Row(
        "(below -50 dBFS for over 0.25 s)",
        "stream",
        f"{ours.dead_s:.1f} s in {ours.length_s:.0f} s; the music's own rests {rests_s:.1f} s, "
        f"in an overlap for {ours.longest_shared_s:.2f} s at most",
        _ratio(ours.dead_s, files.dead_s),
        "0 s",
        ours.dead_s == 0,
    )
    for name, percentile in (("95th percentile", 95), ("largest", 100)):
        what = f"loudness jump between neighbours, {name}"
        theirs, mixed, levelled = (
            float(np.percentile(jumps, percentile)) for jumps in (files.jumps_lu, ours.jumps_lu, ours.levelled_jumps_lu)
        )
        aim = "<= 1 LU" if percentile == 95 else ""
        yield Row(what, "file by file", f"{theirs:.2f} LU")
        met = _met(aim, levelled <= 1)
        yield Row(what, "stream, each piece by itself", f"{levelled:.2f} LU", _ratio(levelled, theirs), aim, met)
        yield Row(
            what, "stream, each with its overlaps", f"{mixed:.2f} LU", _ratio(mixed, theirs), aim, _met(aim, mixed <= 1)
        )
    yield Row("peak of the programme", "stream", f"{ours.peak_dbfs:.2f} dBFS", "", "<= -1", ours.peak_dbfs <= -0.999)
    found = programme.measure_transitions(paths)
    for what, shares, counts in (
        ("transitions with clashing keys, of those known", found.clashing, found.keys),
        ("transitions with beats over 20 ms apart, of equal tempi", found.apart, (found.tempi, found.tempi)),
    ):
        yield Row(what, "not looked at", f"{shares[0]:.0%} of {counts[0]}")
        yield Row(what, "stream", f"{shares[1]:.0%} of {counts[1]}", _ratio(shares[1], shares[0]))


def mixer_rows(_size: Size) -> Iterator[Row]:
    """Measure how fast one core mixes."""
    paths = sorted(REAL_SEGMENTS.glob("*.wav"))[:6]
    speed = programme.mixing_speed(programme.pieces_of(paths) if paths else programme.made_up_pieces())
    yield Row("mixer, one core", "stream", f"{speed:.0f} x real time", "", ">= 300", speed >= 300)


def start_rows(size: Size) -> Iterator[Row]:
    """Compare the times to the first sound and the first music."""
    found = start.measure(size.starts)
    shortest, *_, empty = found
    for what, most_s, empty_s, time_of in (
        (FIRST_SOUND, 0.4, 0.4, attrgetter("sound_s")),
        (FIRST_MUSIC, 0.6, 1.0, attrgetter("music_s")),
    ):
        base_s = median([time_of(one) for one in found[shortest]])
        for player, starts in found.items():
            times_s = [time_of(one) for one in starts]
            value = f"{median(times_s):.2f} ({min(times_s):.2f} - {max(times_s):.2f})"
            aim_s = empty_s if player == empty else most_s
            aim = (f"<= {aim_s}", median(times_s) <= aim_s) if player.startswith("app.py") else ("", None)
            yield Row(what, player, value, "" if player == shortest else _ratio(median(times_s), base_s), *aim)


def cpu_rows(size: Size) -> Iterator[Row]:
    """Compare the work it takes to play the same files at the same time, and state the wake-ups and the memory."""
    for player, (own, *others) in work.measure(size.work_s, size.rounds).items():
        aim = "<= 1.3 x, <= 200 MB" if others else "<= 200 MB"
        ratios = [own.cpu_s / other.cpu_s for other in others]
        met = own.rss_mb <= 200 and all(ratio <= 1.3 for ratio in ratios)
        yield Row(WORK, player, _work(own), "".join(f"{ratio:.2f} x" for ratio in ratios), aim, met)
        for other in others:
            yield Row(WORK, f"{work.CVLC}, beside it", _work(other))


def _work(one: work.Work) -> str:
    return f"{one.cpu_s:.2f}; {one.wakeups:.0f} wake-ups a second; {one.rss_mb:.0f} MB at most"


def key_rows(size: Size) -> Iterator[Row]:
    """Measure when keys are heard."""
    for load, busy in (("", False), (", all cores busy", True)):
        found = keys.measure(size.keys, busy=busy)
        for what, times_s in found.heard_s.items():
            aim_s = keys.AIMS_S[what]
            value = f"{median(times_s):.2f} (longest {max(times_s):.2f} of {len(times_s)})"
            yield Row(f"{what}{load}, s", "stream", value, "", f"<= {aim_s}", max(times_s) <= aim_s)
        holes = f"{len(found.holes_s)}, {sum(found.holes_s):.2f} s of {found.heard_for_s:.0f}"
        yield Row(f"holes over 5 ms meanwhile{load}", "stream", holes, "", "0", not found.holes_s)


def server_rows(size: Size) -> Iterator[Row]:
    """Measure how long the server waits for us, beside a client that asks for one job after the other."""
    for job_s, chain, aim in ((8.0, False, 0.02), (1.0, False, 0.10), (8.0, True, 0.05), (1.0, True, 0.25)):
        jobs = round(size.server_s / job_s)
        found = serving.measure(jobs, job_s, continuing=chain)
        what = f"server idle, jobs of {serving.SEGMENT_S:.0f} s in {job_s:.0f} s{', chains' if chain else ''}"
        yield Row(what, "generator", f"{100 * found.idle:.1f} %", "", f"<= {100 * aim:.0f} %", found.idle <= aim)
        if not chain:
            other = serving.measure_one_by_one(max(3, jobs // 2), job_s)
            yield Row(what, "one by one", f"{100 * other.idle:.1f} %")
        used = found.used / found.made
        yield Row("files used / files generated", "generator", f"{used:.2f}", "", "1.0", used == 1)
        ready = f"{found.playable_s:.2f} s"
        aim_s = serving.POLL_S
        yield Row("finished to ready/, median", "generator", ready, "", f"<= {aim_s} s", found.playable_s <= aim_s)
    found = serving.measure(8, 3.0, every_s=serving.SEGMENT_S)
    requests = f"{found.requests:.0f} (polling every {serving.POLL_S} s: {found.fixed:.0f})"
    few = found.requests <= found.fixed
    yield Row(
        "requests a minute, queue full", "generator", requests, _ratio(found.requests, found.fixed), "<= 1 x", few
    )


def scale_rows(size: Size) -> Iterator[Row]:
    """Compare a segment and a start with few and with many files in the spool."""
    costs = {count: scale.segment_us(count) for count in scale.SIZES[1:]}
    for count, cost in costs.items():
        few = costs[scale.SIZES[1]]
        yield Row(
            f"a segment's cost, {count} files",
            "spool",
            f"{cost:.0f} us",
            _ratio(cost, few),
            "<= 1.5 x",
            cost <= 1.5 * few,
        )
    most, one = scale.disk_mb(10.0)
    yield Row(
        "played/, SPOOL_MAX_MB=10", "spool", f"{most:.2f} MB at most, files of {one:.2f}", "", "<= 10 MB", most <= 10
    )
    if is_usable():
        found = {count: median(times_s) for count, times_s in scale.starts(size.starts // 3 + 1).items()}
        for count, value in found.items():
            ratio = value / found[0]
            yield Row(
                f"first music, {count} files", "app.py", f"{value:.2f} s", f"{ratio:.2f} x", "<= 1.5 x", ratio <= 1.5
            )


PARTS: Final[dict[str, Callable[[Size], Iterator[Row]]]] = {
    "boundaries": boundary_rows,
    "programme": programme_rows,
    "mixer": mixer_rows,
    "start": start_rows,
    "cpu": cpu_rows,
    "server": server_rows,
    "scale": scale_rows,
    "keys": key_rows,
}
NEED_NO_SOUND: Final = ("programme", "mixer", "server", "scale")


def _met(aim: str, met: bool) -> bool | None:
    return met if aim else None


def _ratio(figure: float, other: float) -> str:
    return f"{figure / other:.2f} x" if other else ""


def machine() -> str:
    """Describe what was measured on."""
    import vlc

    libvlc = vlc.libvlc_get_version().decode().split()[0]
    versions = [f"{tool} {_version(tool)}" for tool in ("pulseaudio", "mpv", "ffplay") if shutil.which(tool)]
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), load {load:.1f}, Python {platform.python_version()}, "
        f"libVLC {libvlc}, {', '.join(versions)}, {RATE_HZ} Hz float32 null sink"
    )


def _version(tool: str) -> str:
    """Return the first word that looks like a version."""
    flag = "-version" if tool == "ffplay" else "--version"
    printed = subprocess.run([tool, flag], capture_output=True, text=True, check=False).stdout
    return next((word for word in printed.split() if any(char.isdigit() for char in word)), "?")


def print_row(row: Row) -> None:
    """Print one line of the table, as soon as it is known."""
    verdict = {True: "yes", False: "NO", None: ""}[row.good]
    print(f"| {row.what} | {row.player} | {row.value} | {row.ratio} | {row.wanted} | {verdict} |", flush=True)


def main() -> int:
    """Run what was asked for; return 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--json", type=Path, help="also write the rows into this file")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    print(f"{machine()}\n\n| what | player | measured | ratio | aim | met |\n|---|---|---|---|---|---|", flush=True)
    for name in wanted:
        if name not in NEED_NO_SOUND and not is_usable():
            part: Iterator[Row] = iter([Row(name, "", f"PulseAudio: {NOT_INSTALLED}")])
        else:
            part = PARTS[name](QUICK if options.quick else FULL)
        for row in part:
            rows.append(row)
            print_row(row)
    if options.json:
        content = {"machine": machine(), "rows": [vars(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(any(row.good is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
