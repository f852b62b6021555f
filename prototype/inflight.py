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

from values import Recipe

log = logging.getLogger(__name__)

Known = list[tuple[str, Recipe]]


class JobsFile:
    """One JSON file; without a path, or on a disk that refuses, nothing is remembered and nothing else happens.

    Threads: any; `_lock` guards the file, so that an older list never replaces a newer one.
    """

    def __init__(self, path: Path | None, url: str) -> None:
        self._path = path
        self._url = url
        self._lock = threading.Lock()

    def load(self) -> Known:
        """Return the jobs that the last run left at this server."""
        try:
            content = json.loads(self._path.read_text("utf-8")) if self._path else {}
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
        if self._path is None:
            return
        partial = self._path.with_name(self._path.name + ".part")
        with self._lock:
            rows = [{"task_id": task_id, "recipe": asdict(recipe)} for task_id, recipe in jobs()]
            try:
                partial.write_text(json.dumps({"url": self._url, "jobs": rows}), "utf-8")
                partial.replace(self._path)
            except OSError as error:
                log.info("the jobs at the server cannot be remembered: %s", error)
