"""The genuine acestep-api (PyPI: ace-step15-fork) with its inference stubbed: as a command, and as a test fixture.

    python tests/doubles/genuine_acestep.py --port 8001 --segments ../shared/real_segments --speed 0.3 --fail-rate 0.2
    curl -d '{"plan": ["hang", "fail"], "speed": 2}' http://127.0.0.1:8001/_stub      # what happens next

It needs no GPU, no models and no network. Routes, queue, job store, keys and file names are the published server's.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import importlib
import importlib.util
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self

from doubles.acestep_stand_ins import JOB_FATES, Levers, Studio, install

TIMES = "times.txt"
MISSING = "the genuine server is not installed: pip install --no-deps -r tests/requirements-server.txt"
CHECKPOINTS = ("acestep-v15-turbo", "vae", "acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-1.7B", "acestep-5Hz-lm-4B")

App = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[Any], Awaitable[None]]], Any]


def is_installed() -> bool:
    """Return whether the package and what it imports are there."""
    return all(importlib.util.find_spec(name) for name in ("acestep", "fastapi", "uvicorn", "diskcache", "loguru"))


# --- inside the server's process ------------------------------------------------------------------------------------


def serve(options: argparse.Namespace, levers: Levers) -> int:
    """Run the server until it is stopped; return its exit code."""
    studio = Studio(levers, options.segments)
    root = options.root or Path(tempfile.mkdtemp(prefix="acestep-"))
    for name in CHECKPOINTS:
        (root / "checkpoints" / name).mkdir(parents=True, exist_ok=True)
        (root / "checkpoints" / name / "config.json").write_text("{}")
    os.environ["MAX_CUDA_VRAM"] = "24"
    install(studio)
    uvicorn = importlib.import_module("uvicorn")
    app = _gradio_app(root) if options.gradio else _api_server(root)
    config = uvicorn.Config(_with_levers(app, studio), host="127.0.0.1", port=options.port, log_level="warning")
    server = uvicorn.Server(config)
    handle_exit = server.handle_exit

    def wake_up_and_exit(*signal_and_frame: Any) -> None:
        studio.closing.set()
        handle_exit(*signal_and_frame)

    server.handle_exit = wake_up_and_exit
    print(f"acestep-api with stubbed inference on http://127.0.0.1:{options.port}, files in {root}", flush=True)
    try:
        server.run()
    finally:
        if options.root is None:
            shutil.rmtree(root, ignore_errors=True)
    return 0 if server.started else 3


def _api_server(root: Path) -> App:
    """Return acestep-api."""
    api_server: Any = importlib.import_module("acestep.api_server")
    # It keeps its files beside its code, and would download the models that are not there.
    vars(api_server)["_get_project_root"] = lambda: str(root)
    vars(api_server)["_ensure_model_downloaded"] = _no_download
    _keep_times(api_server, root / TIMES)
    return api_server.app  # type: ignore[no-any-return]


def _keep_times(api_server: Any, path: Path) -> None:
    """Write down when each job was begun and ended, in monotonic seconds, which all processes share."""
    store = next(kind for kind in vars(api_server).values() if hasattr(kind, "mark_succeeded"))

    def noted(mark: Any, word: str) -> Any:
        def note(self: Any, job_id: str, *rest: Any) -> None:
            mark(self, job_id, *rest)
            with path.open("a") as file:
                file.write(f"{word} {job_id} {time.monotonic()}\n")

        return note

    store.mark_running = noted(store.mark_running, "began")
    store.mark_succeeded = noted(store.mark_succeeded, "ended")


def _gradio_app(root: Path) -> App:
    """Return the routes that ACE-Step's Gradio app has with --enable-api, without its pages."""
    package = importlib.util.find_spec("acestep")
    assert package is not None
    assert package.submodule_search_locations
    # It keeps its results beside its code, and the music where the system keeps passing files.
    code = root / "api_routes.py"
    shutil.copy(Path(package.submodule_search_locations[0]) / "gradio_ui" / "api_routes.py", code)
    tempfile.tempdir = str(root)
    spec = importlib.util.spec_from_file_location("api_routes", code)
    assert spec is not None
    assert spec.loader is not None
    routes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(routes)
    fastapi, handler, llm = (
        importlib.import_module(name) for name in ("fastapi", "acestep.handler", "acestep.llm_inference")
    )
    app, language_model = fastapi.FastAPI(), llm.LLMHandler()
    language_model.initialize()
    routes.setup_api_routes_to_app(app, handler.AceStepHandler(), language_model, os.environ.get("ACESTEP_API_KEY"))
    return app  # type: ignore[no-any-return]


def _no_download(name: str, checkpoint_dir: str) -> str:
    if not (Path(checkpoint_dir) / name).is_dir():
        raise RuntimeError(f"stand-in: {name} is not there and nothing is downloaded")
    return str(Path(checkpoint_dir) / name)


def _with_levers(app: App, studio: Studio) -> App:
    """Put /_stub and the random HTTP errors in front of the genuine application."""
    chance = random.Random(studio.levers.seed)
    loaded = False

    async def front(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal loaded

        async def send_late(message: Any) -> None:
            studio.closing.wait(studio.levers.deaf_s)
            studio.levers.deaf_s = 0.0
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"] == "/release_task" and studio.levers.deaf_s and not loaded:
            loaded = True
            await app(scope, receive, send_late)
        elif scope["path"] == "/_stub":
            await _answer(send, *_move(studio, (await receive()).get("body", b"")))
        elif studio.levers.refuse_uploads and b"multipart/" in dict(scope["headers"]).get(b"content-type", b""):
            await _answer(send, studio.levers.refuse_uploads, "Internal Server Error")
        elif chance.random() < studio.levers.error_rate:
            await _answer(send, *chance.choice(((500, "Internal Server Error"), (503, "busy"), (502, "<html></html>"))))
        else:
            await app(scope, receive, send)

    return front


def _move(studio: Studio, body: bytes) -> tuple[int, str]:
    """Move the levers named in a request."""
    try:
        wanted = json.loads(body or b"{}")
        if wanted.pop("free", False):
            studio.free()
        unknown = (set(wanted.get("plan", [])) - set(JOB_FATES)) | {
            key for key in wanted if not hasattr(studio.levers, key)
        }
        if unknown:
            return 400, f"unknown: {sorted(unknown)}\n"
    except (ValueError, TypeError, AttributeError) as error:
        return 400, f"a JSON object of levers, please: {error}\n"
    for name, value in wanted.items():
        setattr(studio.levers, name, value)
    return 200, json.dumps(dataclasses.asdict(studio.levers)) + "\n"


async def _answer(send: Any, status: int, body: str) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body.encode())).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


# --- outside: the fixture -------------------------------------------------------------------------------------------


class GenuineAcestep:
    """The server as a child process that can be killed and started again on the same port and files.

    Levers given here hold for every start (`speed` is 0 where it is not given); `set` changes them in the running
    server only. `gradio` starts the routes of the Gradio app instead. `environment` holds settings of the server
    itself, for instance ACESTEP_QUEUE_MAXSIZE.
    Threads: one.
    """

    def __init__(
        self,
        root: Path,
        *,
        api_key: str = "",
        segments: Path | None = None,
        environment: Mapping[str, str] | None = None,
        gradio: bool = False,
        **levers: Any,
    ) -> None:
        self.port = free_port()
        self.api_key = api_key
        self.process: subprocess.Popen[bytes] | None = None
        self._root = root
        self._environment = dict(environment or {})
        self._segments = segments
        self._gradio = gradio
        self._levers = dataclasses.asdict(Levers(**{"speed": 0.0, **levers}))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the server has printed since its last start."""
        return (self._root / "server.log").read_text(errors="replace")

    def start(self, wait_s: float = 30.0) -> Self:
        """Start and wait until it answers. Raises RuntimeError with its log when it does not."""
        self.launch()
        if not self.wait_until_up(wait_s):
            self.kill()
            raise RuntimeError(f"the genuine server did not come up:\n{self.log[-2000:]}")
        return self

    def times(self) -> dict[str, tuple[float, float]]:
        """Return when each job that succeeded was begun and ended, in monotonic seconds, in their order."""
        began: dict[str, float] = {}
        found: dict[str, tuple[float, float]] = {}
        for word, job_id, moment_s in map(str.split, (self._root / TIMES).read_text().splitlines()):
            if word == "began":
                began[job_id] = float(moment_s)
            else:
                found[job_id] = began[job_id], float(moment_s)
        return found

    def launch(self) -> None:
        """Start without waiting: the port is closed while it loads."""
        command = [sys.executable, str(Path(__file__)), "--port", str(self.port), "--root", str(self._root)]
        command += ["--levers", json.dumps(self._levers), "--end-with-stdin"]
        if self._segments:
            command += ["--segments", str(self._segments)]
        if self._gradio:
            command += ["--gradio"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACESTEP_")}
        key = {"ACESTEP_API_KEY": self.api_key} if self.api_key else {}
        with (self._root / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=inherited | key | self._environment,
            )

    def wait_until_up(self, wait_s: float = 30.0) -> bool:
        """Return whether it answers within a time; False as soon as its process has ended."""
        for _ in range(int(wait_s / 0.05)):
            if self.process is None or self.process.poll() is not None:
                return False
            if self._call("GET", "/health") == 200:
                return True
            threading.Event().wait(0.05)
        return False

    def kill(self) -> None:
        """End it as by kill -9."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self.process = None

    def restart(self) -> None:
        """Kill it and start it again: same port, same files."""
        self.kill()
        self.start()

    def set(self, **levers: Any) -> None:
        """Move levers of the running server; `free=True` lets a hung job go on."""
        if self._call("POST", "/_stub", json.dumps(levers)) != 200:
            raise ValueError(f"the server does not take these levers: {levers}")

    def plan(self, *fates: str) -> None:
        """Set what becomes of the next jobs to be started, in order: JOB_FATES."""
        self.set(plan=fates)

    def _call(self, method: str, route: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, route, body)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the command ----------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--root", type=Path, help="folder for its job store and audio files (default: a passing one)")
    parser.add_argument("--segments", type=Path, help="folder of recordings to serve (default: soft chords)")
    parser.add_argument("--gradio", action="store_true", help="the routes of ACE-Step's Gradio app instead")
    parser.add_argument("--levers", type=json.loads, default={}, help=argparse.SUPPRESS)
    parser.add_argument("--end-with-stdin", action="store_true", help=argparse.SUPPRESS)
    for lever in dataclasses.fields(Levers):
        name = "--" + lever.name.replace("_", "-")
        if lever.name == "plan":
            parser.add_argument(name, nargs="*", choices=JOB_FATES, help="fates of the first jobs")
        elif isinstance(lever.default, bool):
            parser.add_argument(name, action="store_true", default=None)
        else:
            parser.add_argument(name, type=type(lever.default), help=f"default {lever.default}")
    options = parser.parse_args(arguments)
    if not is_installed():
        print(MISSING, file=sys.stderr)
        return 2
    if options.segments is not None and not options.segments.is_dir():
        parser.error(f"--segments: there is no folder {options.segments}")
    given = {lever.name: getattr(options, lever.name) for lever in dataclasses.fields(Levers)}
    levers = Levers(**(options.levers | {name: value for name, value in given.items() if value is not None}))
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    return serve(options, levers)


def _end_with_stdin() -> None:
    """End with the program that started us, however that ends."""
    # Not sys.stdin: a daemon thread inside it makes the interpreter abort at its own end.
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
