"""Tests that our connection agrees with aiopg's about the private names of aiopg that it uses."""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType

import aiopg.connection

from shared.postgres import connection


def tree_of(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def attributes(tree: ast.AST) -> set[str]:
    """Every private attribute that the code reads, writes or calls."""
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def methods(tree: ast.ClassDef) -> dict[str, tuple[str, ...]]:
    """The names of each method's parameters, by the method's name. Static methods have no `self`."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name: tuple(one.arg for one in node.args.args) for node in tree.body if isinstance(node, kinds)}


def connection_class(tree: ast.Module) -> ast.ClassDef:
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Connection")


def test_the_private_names_of_aiopg_in_use_exist_and_are_listed_in_the_docstring() -> None:
    ours, theirs = connection_class(tree_of(connection)), connection_class(tree_of(aiopg.connection))
    their_state = {
        node.attr for node in ast.walk(theirs) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    our_methods, their_methods = methods(ours), methods(theirs)
    used = (attributes(ours) | set(our_methods)) & (their_state | set(their_methods))
    private = {name for name in used if not name.startswith("__")}
    said = set(re.findall(r"`(_\w+)`", connection.__doc__ or ""))
    assert private == said
    # aiopg calls the methods that we override, and we call methods of aiopg: the parameters must agree.
    overridden = {name: parameters for name, parameters in our_methods.items() if name in private}
    assert overridden == {"_ready": ("weak_self",), "_poll": ("self", "waiter", "timeout"), "_close": ("self",)}
    assert {name: their_methods.get(name) for name in overridden} == overridden
    assert their_methods["_create_waiter"] == ("self", "func_name")
    assert their_methods["__init__"][:3] == ("self", "dsn", "timeout")
    # The loop calls `_ready` with a weak reference, and `close` calls `_close`.
    source = inspect.getsource(aiopg.connection.Connection)
    assert re.search(r"add_reader\(\s*self\._fileno, self\._ready, self\._weakref", source)
    assert "self._close()" in inspect.getsource(aiopg.connection.Connection.close)
