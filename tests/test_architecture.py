"""The shape of the program: who may import whom, and what no module may do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROTOTYPE = Path(__file__).resolve().parents[1] / "prototype"

# Imports point to a lower floor, never sideways. The design's rows stand on the floors that are named so;
# between them stand the parts that a row's modules are made of.
FLOORS: dict[str, frozenset[str]] = {
    "under everything": frozenset({"pcm"}),
    "row 0": frozenset(
        {
            "errors",
            "values",
            "clock",
            "texts",
            "ui_texts",
            "mode_texts",
            "findings",
            "parsing",
            "policy",
            "disk",
            "keys",
            "outlet",
            "score",
            "harmony",
        }
    ),
    "row 0, made of values": frozenset(
        {
            "terminal",
            "messages",
            "conclusions",
            "folder_lock",
            "supervisor",
            "stations",
            "places",
            "options",
            "envfile",
            "journal",
            "ace_route",
            "ace_wire",
            "styles",
            "remembered",
            "process",
            "libvlc",
        }
    ),
    "what is said": frozenset({"notices", "ace_faults"}),
    "row 1": frozenset(
        {
            "snapshots",
            "config",
            "prelude",
            "containers",
            "encoder",
            "wavfile",
            "synth",
            "writers",
            "envelopes",
            "meter",
            "loudness",
            "soundserver",
            "ace_http",
            "ace_replies",
        }
    ),
    "parts of row 2": frozenset(
        {"composer", "kit", "studio", "decoder", "inflight", "job", "mood", "shelves", "transit", "transitions"}
    ),
    "parts of the spool": frozenset({"fluid", "shelf_index", "storage"}),
    "row 2": frozenset({"ace_client", "segment", "builtin_engine", "spool", "mixer", "recorder"}),
    "parts of row 3": frozenset({"jobs", "connection", "harvest", "sources", "widgets", "trial"}),
    "made of these parts": frozenset({"desk", "playlist", "panels", "overlays", "vitals", "summary", "lines"}),
    "the screen without a terminal": frozenset({"plain", "server_check"}),
    "row 3": frozenset({"generator_loop", "loader", "player", "dashboard", "controls", "timers"}),
    "what is heard first": frozenset({"opening", "playlist_player"}),
    "what is heard": frozenset({"sound"}),
    "what acts on it": frozenset({"conductor"}),
    "what is around it": frozenset({"session"}),
    "parts of the check": frozenset({"device", "server_plan"}),
    "made of them": frozenset({"machine_check"}),
    "modes beside playing": frozenset({"doctor", "listing", "offline", "serve"}),
    "row 4": frozenset({"app"}),
}
FLOOR_OF = {name: level for level, names in enumerate(FLOORS.values()) for name in names}
FLOOR_NAMES = list(FLOORS)

# Each foreign library is known to as few modules as can be. libVLC is not re-entrant and may be missing.
ONLY_IN = {
    "vlc": {"libvlc"},
    "fluidsynth": {"fluid"},
    "pulsectl": {"soundserver"},
    "requests": {"ace_faults", "ace_http", "ace_route", "ace_wire"},
    "rich": {"app", "dashboard", "doctor", "lines", "listing", "overlays", "panels", "summary", "vitals", "widgets"},
    "dotenv": {"envfile"},
    "tenacity": {"desk", "transit"},
}

# A broad except is the last line of defence: of a thread, of the program, of the sound itself.
BROAD_EXCEPT_ALLOWED = {"ace_http", "supervisor", "app", "mixer", "player"}

MODULES = sorted(PROTOTYPE.glob("*.py"))
each_module = pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])


def tree_of(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(tree: ast.Module) -> set[str]:
    """Return the top names of all modules imported, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("" if node.level else (node.module or "").split(".")[0])
    return names


def faults_of(name: str, tree: ast.Module) -> list[str]:
    """Return what the module `name` does against the rules."""
    faults = []
    if name not in FLOOR_OF:
        return [f"{name} has no row: add it to FLOORS in {Path(__file__).name}, as low as its imports let it"]
    if not ast.get_docstring(tree):
        faults.append(f"{name} has no docstring: say what it is for")
    for imported in sorted(imports_of(tree)):
        if imported in FLOOR_OF and FLOOR_OF[imported] >= FLOOR_OF[name]:
            here, there = FLOOR_NAMES[FLOOR_OF[name]], FLOOR_NAMES[FLOOR_OF[imported]]
            faults.append(f"{name} ({here}) imports {imported} ({there}): imports point downwards")
        if imported == "":
            faults.append(f"{name} has a relative import: modules are flat")
        if name not in ONLY_IN.get(imported, {name}):
            faults.append(f"{name} imports {imported}: only {', '.join(sorted(ONLY_IN[imported]))} may")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and name not in BROAD_EXCEPT_ALLOWED:
            faults.append(f"{name}:{node.lineno} catches everything: name what is expected")
        if _sleeps(node):
            faults.append(f"{name}:{getattr(node, 'lineno', 0)} sleeps: wait for an event, so that stopping ends it")
    return faults


def _is_broad(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False  # it cleans up and lets the exception go on
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
    )


def _sleeps(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and any(alias.name == "sleep" for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr == "sleep"


@each_module
def test_module_keeps_the_rules(path: Path) -> None:
    """Every module has a row and a docstring, imports downwards only, never sleeps, and catches what it names."""
    assert faults_of(path.stem, tree_of(path)) == []


def test_no_module_stands_twice() -> None:
    """A module stands on one floor."""
    assert sum(len(names) for names in FLOORS.values()) == len(FLOOR_OF)


@pytest.mark.parametrize(
    ("name", "code", "complaint"),
    [
        ("mixer", '"""Doc."""\nimport spool', "imports spool"),
        ("spool", '"""Doc."""\nfrom app import main', "imports app"),
        ("pcm", '"""Doc."""\nimport errors', "imports errors"),
        ("loader", '"""Doc."""\ndef f():\n    import player', "imports player"),
        ("dashboard", '"""Doc."""\nimport vlc', "imports vlc"),
        ("doctor", '"""Doc."""\nfrom vlc import Instance', "imports vlc"),
        ("mixer", '"""Doc."""\nfrom . import values', "relative import"),
        ("newcomer", '"""Doc."""', "has no row"),
        ("mixer", "x = 1", "no docstring"),
        ("spool", '"""Doc."""\ntry:\n    pass\nexcept Exception:\n    pass', "catches everything"),
        ("spool", '"""Doc."""\ntry:\n    pass\nexcept (OSError, BaseException):\n    pass', "catches everything"),
        ("spool", '"""Doc."""\ntry:\n    pass\nexcept:\n    pass', "catches everything"),
        ("app", '"""Doc."""\nimport time\ntime.sleep(1)', "sleeps"),
        ("app", '"""Doc."""\nfrom time import sleep', "sleeps"),
    ],
)
def test_the_rules_can_be_broken(name: str, code: str, complaint: str) -> None:
    """Each rule complains about what it forbids."""
    assert any(complaint in fault for fault in faults_of(name, ast.parse(code)))
