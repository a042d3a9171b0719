"""Tests which packages and modules may import each other, as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PRODUCT = ("api", "development", "gateway", "shared")

DOING_IO = frozenset(
    {
        "aiohttp",
        "aiopg",
        "psycopg2",
        "redis",
        "obstore",
        "asyncio",
        "socket",
        "uvloop",
        "subprocess",
        "threading",
        "time",
    }
)
PURE = (
    "gateway/protocol",
    "gateway/presence/state.py",
    "gateway/transports/frames.py",
    "shared/domain",
    "shared/events",
    "shared/access/policy.py",
    "shared/access/actor.py",
)


def modules(*places: str) -> Iterator[Path]:
    for place in places:
        path = CHECKOUT / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("api", {"development", "gateway", "tests"}),
        ("gateway", {"api", "development", "tests"}),
        ("shared", {"api", "development", "gateway", "tests"}),
        ("development", {"api", "gateway", "tests"}),
    ],
)
def test_no_package_imports_a_forbidden_one(package: str, forbidden: set[str]) -> None:
    offenders = {str(path.relative_to(CHECKOUT)): roots(path) & forbidden for path in modules(package)}
    assert {path: names for path, names in offenders.items() if names} == {}


def test_pure_modules_import_nothing_that_does_io() -> None:
    offenders = {str(path.relative_to(CHECKOUT)): roots(path) & DOING_IO for path in modules(*PURE)}
    assert {path: names for path, names in offenders.items() if names} == {}


def test_the_protocol_imports_only_itself() -> None:
    allowed = ("gateway.protocol",)
    for path in modules("gateway/protocol"):
        ours = {name for name in imported(path) if name.partition(".")[0] in PRODUCT}
        assert {name for name in ours if not name.startswith(allowed)} == set(), path


def test_channels_import_neither_the_runtime_nor_the_transports() -> None:
    for path in modules("gateway/channels"):
        names = {name for name in imported(path) if name.startswith(("gateway.runtime", "gateway.transports"))}
        assert names == set(), path


@pytest.mark.parametrize("package", PRODUCT)
def test_no_imports_form_a_circle(package: str) -> None:
    """Imports for types count too: a module in a circle cannot be understood or changed without the others."""
    paths = {".".join(path.relative_to(CHECKOUT).with_suffix("").parts): path for path in modules(package)}
    # A name that is imported from a package may be a module of it.
    graph = {name: {other for other in imported(path) if other in paths} for name, path in paths.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_module_has_a_docstring() -> None:
    for path in modules(*PRODUCT, "tests"):
        if "node_modules" in path.parts:
            continue
        source = path.read_text(encoding="utf-8")
        assert not source.strip() or ast.get_docstring(ast.parse(source)), path
