"""How acestep-api is started on this machine: from which folder, on which graphics card, with which variables."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from base.process import BLAS_THREADS
from base.texts import Said, said
from config import DOTENV_PATH, Settings
from settings import envfile
from settings.kinds import PROJECT_ROOT

PLACES: Final = ("../ACE-Step-1.5", "ACE-Step-1.5")
UV_PLACES: Final = ("~/.local/bin", "~/.cargo/bin")  # where its installer puts it, before a new shell knows
SMALL_CARD_MIB: Final = 10 * 1024 + 512  # cards sold as 8 and 10 GB
# The server moves the model out of the card only if it offloads at all, which it decides by itself from 16 GB down.
SMALL_CARD: Final = {
    "ACESTEP_OFFLOAD_TO_CPU": "true",
    "ACESTEP_OFFLOAD_DIT_TO_CPU": "true",
    "ACESTEP_INIT_LLM": "false",
}
ASK_S: Final = 10.0
# PYTHONPATH is of the Makefile; numpy and torch of the server may use all cores.
NOT_FOR_THE_SERVER: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})


class Card(NamedTuple):
    """One NVIDIA card."""

    number: int
    uuid: str
    name: str
    memory_mib: int


@dataclass(frozen=True)
class Plan:
    """How the server is started: in `folder`, by `command`, with `variables` in its environment.

    `reasons` tell a person what was chosen, and why.
    """

    folder: Path
    command: tuple[str, ...]
    variables: Mapping[str, str]
    reasons: tuple[Said, ...]


def find_folder(chosen: Path | None) -> Path | None:
    """Return the checkout of ACE-Step 1.5: the one that was chosen, else the usual places; None without one."""
    for folder in [chosen] if chosen else [PROJECT_ROOT / name for name in PLACES]:
        with contextlib.suppress(OSError):  # before Python 3.14: one that we may not look into
            if (folder / "pyproject.toml").is_file() and (folder / "acestep").is_dir():
                return folder.resolve()
    return None


def find_uv() -> str | None:
    """Return the program `uv`, None where it is not installed."""
    return shutil.which("uv") or shutil.which("uv", path=os.pathsep.join(map(os.path.expanduser, UV_PLACES)))


def cards() -> list[Card]:
    """Return the NVIDIA cards, none where there is no nvidia-smi or it does not answer."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True, errors="replace")
    except (OSError, subprocess.SubprocessError):
        return []
    rows = csv.reader(told.stdout.splitlines(), skipinitialspace=True)
    whole = (row for row in rows if len(row) == len(Card._fields) and row[0].isdigit() and row[3].isdigit())
    return [Card(int(row[0]), row[1], row[2], int(row[3])) for row in whole]  # "[N/A]" where it shares our memory


def chosen_card(found: Sequence[Card], environ: Mapping[str, str]) -> tuple[Card | None, dict[str, str]]:
    """Return the card that the server will use (its first), None if it has none that is known, and what makes it so.

    CUDA counts the fastest card first, nvidia-smi by their slots: a number chosen by a person is of the latter.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        best = max(found, key=lambda card: card.memory_mib, default=None)
        return best, {"CUDA_VISIBLE_DEVICES": best.uuid} if best and len(found) > 1 else {}
    first = visible.split(",")[0].strip()
    for card in found:
        if first == str(card.number):
            return card, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        if first.startswith("GPU-") and card.uuid.startswith(first):
            return card, {}
    return None, {}


def planned(settings: Settings, uv: str, folder: Path, found: Sequence[Card], environ: Mapping[str, str]) -> Plan:
    """Return how to start the server.

    What the environment, our `.env` or that of ACE-Step says of it is a person's choice and stays, unless that person
    chose otherwise in our settings.
    """
    files = [*envfile.read(folder / ".env", []), *envfile.read(DOTENV_PATH, [])]
    theirs = {one.name: one.value for one in files if one.name.startswith("ACESTEP_")}
    ours_alone = {*NOT_FOR_THE_SERVER, *(name for name in BLAS_THREADS if environ.get(name) == "1")}
    inherited = {name: value for name, value in environ.items() if name not in ours_alone}
    ours = {"lm_model_path": "ACESTEP_LM_MODEL_PATH", "lm_backend": "ACESTEP_LM_BACKEND"}
    wanted = {variable: str(getattr(settings, name)) for name, variable in ours.items()}
    firm = {variable: wanted[variable] for name, variable in ours.items() if name in settings.given}
    if settings.acestep_api_key:  # not on the command line, which every user of the machine can read
        firm["ACESTEP_API_KEY"] = settings.acestep_api_key
    card, card_variables = chosen_card(found, environ)
    reasons = [said("serve.starts", folder=folder)]
    if card is None:
        reasons.append(said("serve.no_card"))
    else:
        small = card.memory_mib <= SMALL_CARD_MIB
        wanted |= SMALL_CARD if small else {}
        fields = {"name": card.name, "gb": f"{card.memory_mib / 1024:.0f}"}
        reasons.append(said("serve.small_card" if small else "serve.card", **fields))
        if small and settings.thinking:
            reasons.append(said("serve.thinking"))
    variables = {**wanted, **card_variables, **theirs, **inherited, **firm}
    kept = [name for name in SMALL_CARD if name in wanted and variables[name] != wanted[name]]
    if kept:
        reasons.append(said("serve.kept", names=", ".join(f"{name}={variables[name]}" for name in kept)))
    url = urlsplit(settings.acestep_api_url)
    command = (uv, "run", "acestep-api", "--host", url.hostname or "127.0.0.1", "--port", str(url.port or 80))
    return Plan(folder, command, variables, tuple(reasons))
