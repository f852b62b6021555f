"""The shape of the program: which room may import which, and what no module may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROTOTYPE = Path(__file__).resolve().parents[1] / "prototype"

GENERATION = {"server", "spool", "music", "config", "base"}
# What each room (or face) may import, in the order of the rooms: only what stands above it.
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "settings": {"base"},
    "music": {"base"},
    "server": {"base"},
    "spool": {"music", "base"},
    "builtin": {"music", "base"},
    "output": {"music", "base"},
    "config": {"settings", "base"},
    "ace_client": {"server", "music", "config", "base"},
    "programme": {"spool", "music", "base"},
    "generation": GENERATION,
    "player": {"output", "programme", "music", "base"},
    "generator_loop": {"generation"} | GENERATION,
    "screen": {"programme", "generation", "spool", "music", "base"},
    "session": {
        "generator_loop", "player", "screen", "generation", "programme", "ace_client", "config", "output", "builtin",
        "spool", "music", "settings", "base",
    },
    "modes": {
        "screen", "programme", "ace_client", "config", "output", "builtin", "spool", "server", "music", "settings",
        "base",
    },
    "app": {"session", "modes", "screen", "config", "output", "music", "base"},
}  # fmt: skip

# Each foreign library is known to as few rooms as can be. libVLC is not re-entrant and may be missing.
ONLY_IN = {
    "vlc": {"output"},
    "pulsectl": {"output"},
    "jeepney": {"session"},
    "requests": {"server"},
    "urllib3": {"server"},
    "rich": {"screen", "modes", "app"},
    "dotenv": {"settings"},
    "tenacity": {"generation"},
}

# A broad except is the last line of defence: of a thread, of the program, of the sound itself.
BROAD_EXCEPT_ALLOWED = {"base.workers", "app", "programme.mixer", "output.stream_player", "server.transport"}

MODULES = sorted(path for path in PROTOTYPE.rglob("*.py") if "__pycache__" not in path.parts)
NAMES = {path: ".".join(path.relative_to(PROTOTYPE).with_suffix("").parts) for path in MODULES}
each_module = pytest.mark.parametrize("path", MODULES, ids=NAMES.values())


def tree_of(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(tree: ast.Module) -> set[str]:
    """Return the top names of all modules imported, wherever the import stands; "" for a relative one."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("" if node.level else (node.module or "").split(".")[0])
    return names


def faults_of(name: str, tree: ast.Module) -> list[str]:
    """Return what the module `name` does against the rules."""
    room = name.partition(".")[0]
    if room not in ROOMS:
        return [f"{name}: no room {room}: the design names them"]
    faults = [] if ast.get_docstring(tree) else [f"{name} has no docstring: say what it is for"]
    for imported in sorted(imports_of(tree)):
        if imported in ROOMS and imported not in ROOMS[room] | {room}:
            faults.append(f"{name} imports {imported}: {room} may import {', '.join(sorted(ROOMS[room])) or 'none'}")
        if imported == "":
            faults.append(f"{name} has a relative import: imports are absolute")
        if room not in ONLY_IN.get(imported, {room}):
            faults.append(f"{name} imports {imported}: only {', '.join(sorted(ONLY_IN[imported]))} may")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and name not in BROAD_EXCEPT_ALLOWED:
            faults.append(f"{name}:{node.lineno} catches everything: name what is expected")
        if _sleeps(node):
            faults.append(f"{name}:{getattr(node, 'lineno', 0)} sleeps: wait for an event, so that stopping ends it")
    faults += [f"{name}:{line} is a constant between functions: the head is for them" for line in _late_constants(tree)]
    return faults


def _late_constants(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of constants that stand behind a class or function, and need none of those before them."""
    defined: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and defined:
            names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            if defined & {name.id for name in names if isinstance(name.ctx, ast.Load)}:
                defined |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
            else:
                yield node.lineno


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
    """A module stands in a room, has a docstring, imports what the room may, never sleeps, names what it catches."""
    assert faults_of(NAMES[path], tree_of(path)) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_allowance_is_used(room: str) -> None:
    """A room imports all that it may: an allowance that nobody uses would hide a new arrow."""
    used = {
        name for path in MODULES if NAMES[path].partition(".")[0] == room for name in imports_of(tree_of(path)) - {room}
    }
    assert ROOMS[room] - used == set()


def test_rooms_point_upwards() -> None:
    """A room may import only what stands above it in the table, so that there is no circle."""
    order = list(ROOMS)
    assert [(room, name) for room in order for name in ROOMS[room] if order.index(name) >= order.index(room)] == []


@each_module
def test_modules_and_functions_have_a_human_size(path: Path) -> None:
    """A module is one thought of 60 to 400 lines, a function has at most 50, a constructor takes at most eight.

    The faces, those at the top and a room's own, are as short as can be.
    """
    tree = tree_of(path)
    faults = []
    length = len(path.read_text("utf-8").splitlines())
    if length > 400:
        faults.append(f"{NAMES[path]} is too long")
    if length < 60 and path.name != "__init__.py" and path.parent != PROTOTYPE:
        faults.append(f"{NAMES[path]} is too short to be a thought of its own: it belongs to what it is used with")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if (node.end_lineno or 0) - node.lineno >= 50:
                faults.append(f"{NAMES[path]}:{node.lineno} {node.name} is too long")
            taken = len(node.args.args) - 1 + len(node.args.kwonlyargs)
            if node.name == "__init__" and taken > 8:
                faults.append(f"{NAMES[path]}:{node.lineno} takes {taken} parameters")
    assert not faults


@pytest.mark.parametrize(
    ("name", "code", "complaint"),
    [
        ("music.segment", '"""Doc."""\nimport spool.folders', "imports spool"),
        ("spool.spool", '"""Doc."""\nfrom app import main', "imports app"),
        ("base.errors", '"""Doc."""\nfrom music.segment import Piece', "imports music"),
        ("programme.loader", '"""Doc."""\ndef f():\n    import player', "imports player"),
        ("generation.polling", '"""Doc."""\nfrom ace_client import AceClient', "imports ace_client"),
        ("screen.dashboard", '"""Doc."""\nimport vlc', "imports vlc"),
        ("modes.check", '"""Doc."""\nfrom vlc import Instance', "imports vlc"),
        ("programme.mixer", '"""Doc."""\nfrom . import crossfade', "relative import"),
        ("newcomer", '"""Doc."""', "no room"),
        ("programme.mixer", "x = 1", "no docstring"),
        ("spool.spool", '"""Doc."""\ntry:\n    pass\nexcept Exception:\n    pass', "catches everything"),
        ("spool.spool", '"""Doc."""\ntry:\n    pass\nexcept (OSError, BaseException):\n    pass', "catches everything"),
        ("spool.spool", '"""Doc."""\ntry:\n    pass\nexcept:\n    pass', "catches everything"),
        ("app", '"""Doc."""\nimport time\ntime.sleep(1)', "sleeps"),
        ("app", '"""Doc."""\nfrom time import sleep', "sleeps"),
        ("app", '"""Doc."""\ndef f(): pass\nX = 1', "between functions"),
    ],
)
def test_the_rules_can_be_broken(name: str, code: str, complaint: str) -> None:
    """Each rule complains about what it forbids."""
    assert any(complaint in fault for fault in faults_of(name, ast.parse(code)))
