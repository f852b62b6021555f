"""Stand-ins for what the genuine acestep-api needs a GPU for: torch, the diffusion model and the language model.

`install` must run before `acestep.api_server` is imported. All else in that process is the published package.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from doubles import composition
from doubles.fake_audio import BAD_KINDS, RATE_HZ, bad_audio, chord

JOB_FATES = ("ok", "fail", "hang", "die", "no-file", "vanished", *BAD_KINDS)


@dataclass
class Levers:
    """What the stand-ins do; may be changed while the server runs (POST /_stub, a JSON object of these fields).

    Durations are seconds; `speed` is generation seconds per second of audio. `plan` holds the fates (JOB_FATES) of
    the next jobs, before the rules below it apply. `error_rate` is the share of HTTP requests that get an error
    before the server sees them. `deaf_s` is how long nobody is answered once the first job was taken: newer revisions
    load their models then, inside the event loop. `continues` (composition.HOW) makes every job give a part of one long
    composition, and says how a repaint comes out; `refuse_uploads` is the HTTP status that meets every upload.
    """

    speed: float = 0.3
    first_job_s: float = 0.0
    plan: list[str] = field(default_factory=list)
    fail_every: int = 0
    fail_rate: float = 0.0
    hang_every: int = 0
    bad_every: int = 0
    bad_kind: str = "silent"
    error_rate: float = 0.0
    lm_fails: bool = False
    load_s: float = 0.0
    deaf_s: float = 0.0
    load_fails: bool = False
    seed: int = 0
    continues: str = ""
    refuse_uploads: int = 0


class Tensor:
    """As much of a torch.Tensor as the server's saver touches: float32 audio, shape (channels, n_frames)."""

    def __init__(self, array: npt.NDArray[np.float32], fate: str = "ok") -> None:
        self.array = array
        self.fate = fate

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return self

    def contiguous(self) -> Tensor:
        return self

    def dim(self) -> int:
        return self.array.ndim

    def transpose(self, first: int, second: int) -> Tensor:
        return Tensor(self.array.swapaxes(first, second), self.fate)

    def numpy(self) -> npt.NDArray[np.float32]:
        if self.fate == "no-file":
            raise OSError("stand-in: the disk is full")
        return self.array


def save(path: str, tensor: Tensor, sample_rate: int, **_: object) -> None:
    """Stand in for torchaudio.save: float32 WAV files, as that writes them, or what the tensor's fate says."""
    if tensor.fate in BAD_KINDS:
        Path(path).write_bytes(bad_audio(tensor.fate, tensor.array.shape[1] / RATE_HZ))
    elif tensor.fate != "vanished":
        subtype = "FLOAT" if path.lower().endswith(".wav") else None
        soundfile.write(path, tensor.numpy().T, sample_rate, subtype=subtype)


@dataclass(frozen=True)
class Repaint:
    """A job of the task "repaint": the upload, float32 of shape (n_frames, 2), and from where to where it is new."""

    upload: npt.NDArray[np.float32]
    start_s: float
    end_s: float

    @classmethod
    def of(cls, task_type: object, src_audio: object, start_s: object, end_s: object) -> Repaint | None:
        """Read the upload that the server has stored; None for any other task. No upload is silence, as there."""
        if task_type != "repaint":
            return None
        upload = np.zeros((RATE_HZ, 2), np.float32)
        if src_audio:
            upload, rate_hz = soundfile.read(str(src_audio), dtype="float32", always_2d=True)
            if rate_hz != RATE_HZ:
                raise RuntimeError(f"stand-in: uploads at {RATE_HZ} Hz only")
        length_s = len(upload) / RATE_HZ
        end = float(str(end_s)) if end_s else 0.0
        return cls(upload, float(str(start_s or 0)), end if end > 0 else length_s)


class Studio:
    """The stand-in for the models: decides what becomes of each job, and gives its audio.

    Threads: the server's worker; `levers` may be changed by its event loop.
    """

    def __init__(self, levers: Levers, segments: Path | None) -> None:
        self.levers = levers
        self.closing = threading.Event()
        self._freed = threading.Event()
        self._recordings = sorted(path for path in segments.iterdir() if path.suffix == ".wav") if segments else []
        self._random = random.Random(levers.seed)
        self._jobs = itertools.count(1)
        self._pieces = itertools.count()

    def generate(self, seconds: float, count: int, repaint: Repaint | None = None) -> list[Tensor]:
        """Take the time of a job and return its audio. Raises RuntimeError for one that fails."""
        number, freed = next(self._jobs), self._freed
        fate = self._fate(number)
        self.closing.wait(self.levers.speed * seconds + (self.levers.first_job_s if number == 1 else 0.0))
        if fate == "hang":
            while not freed.wait(0.1) and not self.closing.is_set():
                pass
        if fate == "die":
            os._exit(137)
        if fate == "fail":
            raise RuntimeError("stand-in: CUDA out of memory")
        pieces = [self._result(next(self._pieces), seconds, repaint) for _ in range(count)]
        return [Tensor(piece.T, fate) for piece in pieces]

    def free(self) -> None:
        """Let the job that hangs go on, also one that runs and has not come as far as that."""
        self.levers.plan = [fate for fate in self.levers.plan if fate != "hang"]
        self._freed.set()
        self._freed = threading.Event()

    def _fate(self, number: int) -> str:
        levers = self.levers
        if levers.plan:
            return levers.plan.pop(0)
        if levers.hang_every and number % levers.hang_every == 0:
            return "hang"
        if levers.fail_every and number % levers.fail_every == 0:
            return "fail"
        if levers.bad_every and number % levers.bad_every == 0:
            return levers.bad_kind
        return "fail" if self._random.random() < levers.fail_rate else "ok"

    def _result(self, index: int, seconds: float, repaint: Repaint | None) -> npt.NDArray[np.float32]:
        how = self.levers.continues
        if repaint is not None:
            return composition.continued(repaint.upload, repaint.start_s, repaint.end_s, how or "other", index)
        return composition.excerpt(index, seconds) if how else self._piece(index, seconds)

    def _piece(self, index: int, seconds: float) -> npt.NDArray[np.float32]:
        """Return a recording, cut or repeated to the length asked, or a chord where there are none."""
        if not self._recordings:
            return chord(seconds, index)
        samples, rate_hz = soundfile.read(
            self._recordings[index % len(self._recordings)], dtype="float32", always_2d=True
        )
        if rate_hz != RATE_HZ:
            raise RuntimeError(f"stand-in: recordings at {RATE_HZ} Hz only")
        wanted = round(seconds * RATE_HZ)
        # A recording of about the right length is given whole: its true ending is what a player has to cope with.
        if abs(len(samples) - wanted) < RATE_HZ:
            return np.asarray(samples, np.float32)
        return np.asarray(np.tile(samples, (1 + wanted // max(len(samples), 1), 1))[:wanted], np.float32)


def install(studio: Studio) -> None:
    """Put the stand-ins where the server will import them from."""

    class AceStepHandler:
        dtype = "float32"
        model = "stand-in"
        config_path = "acestep-v15-turbo"

        def initialize_service(self, **_: object) -> tuple[str, bool]:
            studio.closing.wait(studio.levers.load_s)
            return ("stand-in: no such model", False) if studio.levers.load_fails else ("stand-in loaded", True)

        def prepare_seeds(self, count: int, _seed: object, _random: object) -> tuple[list[int], str]:
            seeds = [random.randrange(2**32) for _ in range(count)]
            return seeds, ", ".join(map(str, seeds))

        def generate_music(self, *, audio_duration: float, batch_size: int, **asked: object) -> dict[str, Any]:
            seconds = float(audio_duration) if audio_duration and audio_duration > 0 else 30.0
            span = (asked.get(name) for name in ("task_type", "src_audio", "repainting_start", "repainting_end"))
            tensors = studio.generate(seconds, batch_size, Repaint.of(*span))
            audios = [{"tensor": tensor, "sample_rate": RATE_HZ} for tensor in tensors]
            return {"success": True, "audios": audios, "status_message": "done", "extra_outputs": {}, "error": None}

    class LLMHandler:
        llm_initialized = False

        def initialize(self, **_: object) -> tuple[str, bool]:
            self.llm_initialized = not studio.levers.lm_fails
            return ("stand-in ready", True) if self.llm_initialized else ("stand-in: not enough memory", False)

        def generate_with_stop_condition(self, *, batch_size: int, **_: object) -> dict[str, Any]:
            many = batch_size > 1
            metadata: Any = [{} for _ in range(batch_size)] if many else {}
            codes: Any = [""] * batch_size if many else ""
            return {"success": True, "metadata": metadata, "audio_codes": codes, "extra_outputs": {}}

    _module("torch", Tensor=Tensor, from_numpy=Tensor)
    _module("torchaudio", save=save)
    _module("acestep.handler", AceStepHandler=AceStepHandler)
    _module("acestep.llm_inference", LLMHandler=LLMHandler)
    # The real one imports gradio; the server takes one text formatter from it.
    for name in ("acestep.gradio_ui", "acestep.gradio_ui.events"):
        _module(name)
    _module("acestep.gradio_ui.events.results_handlers", _build_generation_info=lambda **_: "")


def _module(name: str, **contents: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(contents, __path__=[])
    sys.modules[name] = module
