"""The house keeps its shape: imports run one way, modules stay small, types stay whole."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mtabounce"
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = [
    {"charset", "errors", "model", "places", "registry"},
    {"config", "mask", "address", "mime"},
    {"verp", "network", "listen", "reasons"},
    {"parsers", "logs", "providers", "rules", "classify", "correlate", "policy", "lookup_settings"},
    {"store"},
    {"pipeline"},
    {"sources", "sinks", "web", "lookup"},
    {"settings"},
    {"assembly"},
    {"reload", "telling", "waiting"},
    {"daemon", "doctor"},
    {"cli"},
]
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
MAY_IMPORT_LATE = {
    "cli/__init__.py",  # commands are loaded when they are called
    "__main__.py",  # and of these, pipe must start quickly
    "sources/handover.py",
    "web/late.py",  # FastAPI, which most do not need
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.split(".")[0] == "mtabounce"]


def name_of(path: Path) -> str:
    parts = ("mtabounce", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_its_own_part_and_those_below(path):
    part = part_of(path)
    if part in {"__init__", "__main__"}:
        return
    for name in imported_modules(ast.parse(path.read_text())):
        other = name.split(".")[1] if "." in name else part
        if other in RANKS and other != part:
            assert RANKS[other] < RANKS[part], f"{part} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_helpers_of_a_folder_are_used_in_it_only(path):
    foreign = [
        name
        for name in imported_modules(ast.parse(path.read_text()))
        if "._" in name and not name_of(path).startswith(name.partition("._")[0])
    ]

    assert foreign == []


def test_every_part_has_a_layer():
    parts = {part_of(path) for path in MODULES} - {"__init__", "__main__"}

    assert parts <= set(RANKS)


def test_every_part_is_told_to_who_is_new():
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text()

    assert [part for part in RANKS if f"`{part}`" not in guide and f"`{part}/`" not in guide] == []


def test_no_module_imports_itself_through_others():
    known = {name_of(path) for path in MODULES}
    graph = {
        name_of(path): {
            name
            for name in imported_modules(ast.parse(path.read_text()))
            if name in known and not name_of(path).startswith(f"{name}.") and name != name_of(path)
        }
        for path in MODULES
    }

    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_is_no_longer_than_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_stand_at_the_top(path):
    if str(path.relative_to(PACKAGE)) in MAY_IMPORT_LATE:
        return
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    late = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert late == []


def test_type_checks_are_switched_off_at_most_ten_times():
    lines = [line for path in MODULES for line in path.read_text().splitlines()]

    assert sum("type: ignore" in line for line in lines) <= 10
