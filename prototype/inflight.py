"""The ids of the jobs at the server, kept in a small file, so that the next run of the program finds them again.

Without it, a program that is restarted (or killed) would queue its first job behind its own forgotten ones.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from disk import read_safely, replace_safely
from values import Recipe

log = logging.getLogger(__name__)

Known = list[tuple[str, Recipe]]
Later = Callable[[str, Callable[[], None]], None]


def at_once(_name: str, errand: Callable[[], None]) -> None:
    """Do it here and now, for who may wait for the disk."""
    errand()


class JobsFile:
    """One JSON file; without a path, or on a disk that refuses, nothing is remembered and nothing else happens.

    `later` has it written by somebody who may wait for the disk, the latest list last; else that is done at once.
    Threads: any; `_lock` guards the file, so that an older list never replaces a newer one.
    """

    def __init__(self, path: Path | None, url: str, later: Later = at_once) -> None:
        self._path = path
        self._url = url
        self._later = later
        self._lock = threading.Lock()

    def load(self) -> Known:
        """Return the jobs that the last run left at this server."""
        try:
            content = json.loads(read_safely(self._path)) if self._path else {}
            if content.get("url") != self._url:
                return []
            return [(str(row["task_id"]), Recipe(**row["recipe"])) for row in content["jobs"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.info("the jobs of the last run cannot be read: %s", error)
            return []

    def save(self, jobs: Callable[[], Known]) -> None:
        """Replace the file with what `jobs` returns."""
        path = self._path
        if path is not None:
            self._later("jobs", lambda: self._write(path, jobs))

    def _write(self, path: Path, jobs: Callable[[], Known]) -> None:
        with self._lock:
            rows = [{"task_id": task_id, "recipe": asdict(recipe)} for task_id, recipe in jobs()]
            try:
                replace_safely(path, json.dumps({"url": self._url, "jobs": rows}))
            except OSError as error:
                log.info("the jobs at the server cannot be remembered: %s", error)
