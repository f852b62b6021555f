"""Real minutes with the genuine server and random faults, recorded and checked (`make soak MINUTES=30`).

    python tests/whole/soak.py --minutes 30 --kill-every 120 --fail-rate 0.2 --error-rate 0.1 --hang-every 12
    python tests/whole/soak.py --minutes 60 --continuing 0.5 -- --ambience rain
    python tests/whole/soak.py --minutes 10 --player playlist

The program runs in a terminal of its own and plays into a private PulseAudio, whose monitor is recorded. The server is
the published acestep-api with its inference stubbed; "killed" is kill -9.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from base.control_socket import NotReached, ask
from bench.material import REAL_SEGMENTS
from doubles.genuine_acestep import GenuineAcestep, is_installed
from listening.listening import RATE_HZ, Samples, Stretch, blocks, odd_corners, quiet_stretches, silences
from listening.sound_room import Child, Recorder, SoundRoom, Usage, app_command, is_usable, pause
from music import audio_files

FIRST_SECOND_S: Final = 1.0
SETTLED_S: Final = 30.0
LOOK_S: Final = 0.5
HOLE_DBFS: Final = -140.0  # nothing was played at all
HOLE_S: Final = 0.005
WISH_S: Final = 5.0
GROWTH_MB: Final = 20.0
STALL_S: Final = 0.05
SHOWN: Final = 10
PLAYED: Final = re.compile(r": play (\S+) \(([\w-]+)\).*queue depth (\d+)")


class Machine:
    """Notices when the machine itself gives nobody a turn: a hole at such a moment is not the program's.

    Threads: `_watch` appends to `stalls`, whole tuples.
    """

    def __init__(self) -> None:
        self.stalls: list[tuple[float, float]] = []
        """When (monotonic) a wait of 10 ms had lasted so many seconds more."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(0.01):
            now = time.monotonic()
            if (late_s := now - before - 0.01) > STALL_S:
                self.stalls.append((now, late_s))
            before = now


@dataclass
class Soak:
    """What was seen in a run."""

    heard: Samples
    begin_frame: int
    usages: list[Usage]
    stalls: list[tuple[float, float]]
    pieces: dict[str, int]
    exit_code: int
    restarts: int
    log: str
    stats: dict[str, Any] = field(default_factory=dict)


def run(options: argparse.Namespace, room: SoundRoom, folder: Path) -> Soak:
    """Play for the minutes asked, killing the server as asked."""
    levers = {
        name: getattr(options, name) for name in ("speed", "fail_rate", "hang_every", "bad_every", "error_rate", "seed")
    }
    (folder / "server").mkdir(exist_ok=True)
    if options.continuing:
        levers["continues"] = "newer"
    server = GenuineAcestep(folder / "server", segments=REAL_SEGMENTS if REAL_SEGMENTS.is_dir() else None, **levers)
    spool, stats = folder / "spool", folder / "stats.json"
    command = app_command(
        *("--acestep-api-url", server.url, "--spool-dir", spool, "--stats-json", stats, "--player", options.player),
        *("--engine", options.engine, "--stall-sec", str(options.stall), "--volume", "100", *options.app),
    )
    recorder = Recorder(room, folder / "heard.raw")
    restarts, next_kill_at, back_at = 0, options.kill_every or float("inf"), float("inf")
    with server, recorder, Machine() as machine, Child(command, room.environment, size=(100, 30)) as app:
        ends_s, next_look_at, next_wish_at = 60 * options.minutes, SETTLED_S, SETTLED_S
        usages: list[Usage] = []
        while (now := time.monotonic() - app.started_at) < ends_s and app.process.poll() is None:
            pause(LOOK_S)
            if now > next_look_at:
                usages.append(app.usage())
                next_look_at += min(60.0, ends_s / 10)
            if now > next_wish_at and now < options.continuing * ends_s:
                keep_going(spool)
                next_wish_at = now + WISH_S
            if now > next_kill_at:
                server.kill()
                restarts, next_kill_at, back_at = restarts + 1, now + options.kill_every, now + options.down
            if now > back_at:
                server.launch()
                back_at = float("inf")
            if options.progress:
                print(f"\r{now:6.0f} s, server killed {restarts} times", end="", flush=True)
        print("\r" if options.progress else "", end="")
        if app.process.poll() is not None:
            raise RuntimeError(f"the program ended by itself:\n{app.output[-2000:]}")
        end_frame = recorder.frames
        begin = recorder.frame_at(app.started_at)
        exit_code = app.end()
    return Soak(
        heard=recorder.samples()[:end_frame],
        begin_frame=begin + round(FIRST_SECOND_S * RATE_HZ),
        usages=usages,
        stalls=[(at - app.started_at, late_s) for at, late_s in machine.stalls],
        pieces=pieces(spool),
        exit_code=exit_code,
        restarts=restarts,
        log=(spool / "player.log").read_text(errors="replace"),
        stats=json.loads(stats.read_text()) if stats.exists() else {},
    )


def keep_going(spool: Path) -> None:
    """Wish that what is heard goes on, unless it does."""
    with suppress(NotReached):
        now = ask(spool, "status")["status"]
        if now["source"] == "fresh" and not now["continuing"]:
            ask(spool, "continue")


def pieces(spool: Path) -> dict[str, int]:
    """Return the pieces in a spool, and of how many segments each consists."""
    infos = (audio_files.read_info(path) for path in spool.glob("*/*.wav"))
    return dict(Counter(info.piece_id for info in infos if info))


def grown_mb(usages: Sequence[Usage]) -> float:
    """Return by how much the memory of the last third of a run is above that of the third before, in the median."""
    third = len(usages) // 3
    before, last = (statistics.median(one.rss_mb for one in part) for part in (usages[third:-third], usages[-third:]))
    return last - before


def report(soak: Soak, player: str) -> bool:
    """Print what was seen; return whether it was good."""
    heard = soak.heard[soak.begin_frame :]
    silent = silences(blocks(heard), -60.0, 0.1)
    holes = silences(blocks(heard), HOLE_DBFS, HOLE_S)
    print(f"minutes               {len(heard) / RATE_HZ / 60:.1f}, server killed and restarted {soak.restarts} times")
    _print_stretches("silence", "below -60 dBFS for over 100 ms", silent)
    _print_stretches("holes", "nothing played for over 5 ms", holes)
    _print_stretches("quiet", "below -50 dBFS for over 0.25 s, rests in the music too", quiet_stretches(blocks(heard)))
    print(f"machine               gave nobody a turn for over {1000 * STALL_S:.0f} ms {len(soak.stalls)} times")
    for at_s, late_s in sorted(soak.stalls, key=lambda stall: -stall[1])[:SHOWN]:
        print(f"{'':21}   at {at_s:.2f} s: {1000 * late_s:.0f} ms")
    print(f"odd corners           {len(odd_corners(blocks(heard)))} (sharper than what is around; drums have some)")
    if player == "playlist" and holes:
        gaps_ms = [1000 * hole.length_s for hole in holes]
        print(
            f"gaps between files    {len(gaps_ms)}, median {statistics.median(gaps_ms):.0f} ms, to {max(gaps_ms):.0f}"
        )
    played = PLAYED.findall(soak.log)
    fresh = [index for index, (_, source, _) in enumerate(played) if source == "fresh"]
    depths = [int(depth) for _, _, depth in played[fresh[0] :]] if fresh else []
    print(f"played                {dict(Counter(source for _, source, _ in played))}")
    print(f"queue depth           lowest {min(depths, default=0)} at a play start after the first segment")
    print(f"counters              {_counters(soak.stats)}")
    print(
        f"continued             {sum(soak.pieces.values()) - len(soak.pieces)} of {sum(soak.pieces.values())} segments"
    )
    print(f"longest piece         {max(soak.pieces.values(), default=0)} segments")
    for name in ("rss_mb", "threads", "open_files", "cpu_s"):
        values = [getattr(usage, name) for usage in soak.usages]
        steps = values[:: max(1, len(values) // 10)]
        print(f"{name:21} {' '.join(f'{value:.0f}' for value in steps)}, highest {max(values):.1f}")
    grown = grown_mb(soak.usages)
    print(f"memory grew           {grown:+.1f} MB from the second third to the last (medians)")
    tracebacks = soak.log.count("Traceback")
    print(f"log                   {tracebacks} tracebacks, {soak.log.count(' ERROR ')} errors")
    print(f"exit code             {soak.exit_code}")
    faults = {
        "silence": bool(silent) and player == "stream",
        "holes": bool(holes) and player == "stream",
        "nothing fresh was played": not fresh,
        "exit code": soak.exit_code != 0,
        "tracebacks in the log": tracebacks > 0,
        "no statistics": not soak.stats,
        "memory": grown > GROWTH_MB,
        "threads": soak.usages[-1].threads > soak.usages[0].threads + 2,
        "open files": soak.usages[-1].open_files > soak.usages[0].open_files + 4,
    }
    found = [name for name, is_so in faults.items() if is_so]
    print(f"verdict               {'FAILED: ' + ', '.join(found) if found else 'passed'}")
    return not found


def _print_stretches(name: str, meaning: str, stretches: Sequence[Stretch]) -> None:
    total_ms = 1000 * sum(stretch.length_s for stretch in stretches)
    longest_ms = 1000 * max((stretch.length_s for stretch in stretches), default=0.0)
    print(f"{name:21} {total_ms:.0f} ms in all, longest {longest_ms:.0f} ms ({meaning})")
    for stretch in stretches[:SHOWN]:
        print(f"{'':21}   at {stretch.begin_s + FIRST_SECOND_S:.2f} s: {1000 * stretch.length_s:.0f} ms")


def _counters(stats: dict[str, Any]) -> str:
    names = (
        "played_s",
        "silent_s",
        "segments",
        "retries",
        "failures",
        "rejected",
        "lost",
        "real_time_factor",
        "shares",
    )
    return ", ".join(
        f"{name} {stats[name]:.2f}" if isinstance(stats[name], float) else f"{name} {stats[name]}"
        for name in names
        if name in stats
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0 when it was good, 1 when it was not, 2 when it cannot be run here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--player", choices=("stream", "playlist"), default="stream")
    parser.add_argument("--engine", choices=("auto", "acestep"), default="auto")
    parser.add_argument("--speed", type=float, default=0.3, help="generation seconds per second of audio (0.3)")
    parser.add_argument("--kill-every", type=float, default=120.0, help="seconds between two kills; 0: never (120)")
    parser.add_argument("--down", type=float, default=10.0, help="seconds until it is started again (10)")
    parser.add_argument("--fail-rate", type=float, default=0.2, help="share of jobs that fail (0.2)")
    parser.add_argument("--error-rate", type=float, default=0.1, help="share of HTTP calls answered by an error (0.1)")
    parser.add_argument("--hang-every", type=int, default=12, help="each so manieth job hangs; 0: none (12)")
    parser.add_argument("--bad-every", type=int, default=9, help="each so manieth job gives bad audio; 0: none (9)")
    parser.add_argument(
        "--continuing", type=float, default=0.0, help="share of the time, at first, that pieces go on (0)"
    )
    parser.add_argument("--stall", type=float, default=30.0, help="STALL_SEC of the program (30)")
    parser.add_argument("--seed", type=int, default=0, help="of the server's faults (0)")
    parser.add_argument("--keep", type=Path, help="folder for the recording, the log and the spool; else a passing one")
    parser.add_argument("app", nargs="*", help="after --: further options of the program")
    options = parser.parse_args(arguments)
    options.progress = sys.stdout.isatty()
    if not is_usable() or not is_installed():
        print("a soak needs pulseaudio, parec and the genuine server (make soak installs the latter)", file=sys.stderr)
        return 2
    with SoundRoom() as room, tempfile.TemporaryDirectory(prefix="soak-") as passing:
        folder = options.keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        return 0 if report(run(options, room, folder), options.player) else 1


if __name__ == "__main__":
    sys.exit(main())
