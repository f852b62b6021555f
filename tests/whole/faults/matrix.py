"""The fault matrix as a command: tries every row and prints a table.

    python tests/whole/faults/matrix.py [WORDS…] [--group in-process|process]

The rows stand in the modules of `GROUPS`, each of which has a tuple `ROWS`. The group "process" (the real program in
a process of its own: kill -9, terminal, sound device) takes real time and is not part of `make test`. How often
kill -9 is survived: python tests/whole/faults/kills.py 200
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from listening.sound_room import let_signals_through
from whole.faults.table import Outcome, Row

GROUPS = {
    "in-process": ("api_rows", "http_rows", "audio_rows", "disk_rows", "own_rows", "mixed_rows"),
    "process": ("device_rows", "ending_rows", "screen_rows", "folder_rows", "server_rows"),
}


def rows(group: str) -> tuple[Row, ...]:
    """Return the rows of a group."""
    return tuple(row for name in GROUPS[group] for row in importlib.import_module(f"whole.faults.{name}").ROWS)


def main(arguments: Sequence[str]) -> int:
    """Try the rows asked for and print the table; return 0 when all of them held."""
    parser = argparse.ArgumentParser(description="Try every fault and print what was heard.")
    parser.add_argument("words", nargs="*", help="only rows whose area or name contains one of these")
    parser.add_argument("--group", choices=tuple(GROUPS), help="only this group")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    let_signals_through()
    console = Console()
    groups = [options.group] if options.group else list(GROUPS)
    wanted = [row for group in groups for row in rows(group)]
    if options.words:
        wanted = [row for row in wanted if any(word in f"{row.area} {row.name}" for word in options.words)]
    tried: list[tuple[Row, Outcome]] = []
    for row in wanted:
        console.print(f"[dim]{len(tried) + 1}/{len(wanted)} {row.area}: {row.name}[/]", end="\r", soft_wrap=True)
        with tempfile.TemporaryDirectory() as folder:
            tried.append((row, row.run(Path(folder))))
    _print(console, tried)
    return 1 if any(outcome.problems for _, outcome in tried) else 0


def _print(console: Console, tried: Sequence[tuple[Row, Outcome]]) -> None:
    table = Table(title="What was heard while things failed", title_justify="left")
    for title in ("area", "fault", "heard meanwhile", "silent", "said", "fresh again"):
        table.add_column(title, justify="right" if title in ("silent", "fresh again") else "left")
    area = ""
    for row, outcome in tried:
        if area and row.area != area:
            table.add_section()
        said = "[red]" + "; ".join(outcome.problems) + "[/]" if outcome.problems else outcome.said
        silent = f"{1000 * outcome.silent_s:.0f} ms"
        table.add_row(row.area if row.area != area else "", row.name, outcome.heard, silent, said, outcome.recovery)
        area = row.area
    console.print(table)
    bad = sum(bool(outcome.problems) for _, outcome in tried)
    took_s = sum(outcome.took_s for _, outcome in tried)
    console.print(f"{len(tried)} faults, {len(tried) - bad} survived, {bad} not; {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
