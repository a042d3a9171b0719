"""Joins modules into one script, which a browser loads in one request. Pure.

Each module becomes a function that returns what it exports, in the order in which a browser would run the modules
(ECMA-262, 16.2.1.6). It joins what the page's modules use of the language: named imports and exports of things that are
never assigned anew. Anything else is an error, and so are imports in a circle.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter

from api.assets.javascript import Token, tokens, written

_OPEN, _CLOSED = frozenset("{[("), frozenset("}])")


class CannotJoin(ValueError):
    """A module uses what cannot be joined, or imports what is not there."""


@dataclass(slots=True)
class _Module:
    imports: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """Paths, with the names there and here."""
    exports: dict[str, str] = field(default_factory=dict)
    """Names outside, and the expressions for them inside."""
    text: str = ""


def joined(sources: Mapping[str, str], entry: str) -> str:
    """Returns the script of the module at the path `entry` and of all that it imports. Raises CannotJoin."""
    modules: dict[str, _Module] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path in modules:
            continue
        if path not in sources:
            raise CannotJoin(f"there is no module {path}")
        modules[path] = module = _read(path, sources[path])
        waiting += [imported for imported, _ in module.imports]
    order = _order(modules, entry)
    names = {path: f"m{number}" for number, path in enumerate(order)}
    parts: list[str] = []
    for path in order:
        module = modules[path]
        takes = "".join(_taking(path, module, modules, names))
        gives = ",".join(_pair(outside, inside) for outside, inside in module.exports.items())
        parts.append(f"const {names[path]}=(()=>{{{takes}{module.text}\nreturn {{{gives}}}}})();\n")
    return "".join(parts)


def _pair(name: str, value: str) -> str:
    return name if name == value else f"{name}:{value}"


def _taking(path: str, module: _Module, modules: Mapping[str, _Module], names: Mapping[str, str]) -> list[str]:
    taken = []
    for imported, pairs in module.imports:
        missing = {there for there, _ in pairs} - modules[imported].exports.keys()
        if missing:
            raise CannotJoin(f"{path} imports {', '.join(sorted(missing))} from {imported}, which does not export it")
        if pairs:
            inside = ",".join(_pair(there, here) for there, here in pairs)
            taken.append(f"const {{{inside}}}={names[imported]};")
    return taken


def _order(modules: Mapping[str, _Module], entry: str) -> list[str]:
    """Returns each module after those that it imports, in the order of its imports."""
    sorter = TopologicalSorter({path: {one for one, _ in module.imports} for path, module in modules.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise CannotJoin("imports form a circle: " + ", ".join(error.args[1])) from None
    order: dict[str, None] = {}

    def visit(path: str) -> None:
        if path not in order:
            for imported, _ in modules[path].imports:
                visit(imported)
            order[path] = None

    visit(entry)
    return list(order)


@lru_cache(maxsize=500)
def _read(path: str, source: str) -> _Module:
    module, found = _Module(), list(tokens(source))
    body: list[Token] = []
    position = depth = taken_until = 0
    while position < len(found):
        token = found[position]
        if token.kind == "word" and token.text in ("import", "export"):
            following = found[position + 1].text
            if following == "(":
                raise CannotJoin(f"{path} imports something while it runs")
            if depth == 0 and following != ".":
                read = _import if token.text == "import" else _export
                position = taken_until = read(path, module, found, position + 1)
                continue
        depth += _nesting(token)
        # What began on this line may just have been taken away.
        body.append(token._replace(line_before=True) if 0 < position == taken_until else token)
        position += 1
    module.text = written(body)
    return module


def _nesting(token: Token) -> int:
    if token.kind == "template":
        return token.text.endswith("${") - token.text.startswith("}")
    if token.kind != "mark":
        return 0
    return (token.text in _OPEN) - (token.text in _CLOSED)


def _import(path: str, module: _Module, found: list[Token], position: int) -> int:
    """Read what follows `import`. Returns the position behind it."""
    pairs: list[tuple[str, str]] = []
    if found[position].kind != "string":
        pairs, position = _names(path, found, position)
        if found[position].text != "from":
            raise CannotJoin(f"{path} imports other things than names")
        position += 1
    module.imports.append((_resolved(path, found[position]), pairs))
    return _behind(found, position + 1)


def _export(path: str, module: _Module, found: list[Token], position: int) -> int:
    """Read what follows `export`. Returns the position behind it, or that of the declaration that is exported."""
    if found[position].text == "{":
        pairs, position = _names(path, found, position)
        if position < len(found) and found[position].text == "from":
            imported = _resolved(path, found[position + 1])
            hidden = [(there, f"{there}$") for there, _ in pairs]
            module.imports.append((imported, hidden))
            module.exports |= {outside: f"{there}$" for there, outside in pairs}
            return _behind(found, position + 2)
        module.exports |= {outside: inside for inside, outside in pairs}
        return _behind(found, position)
    words = [token.text for token in found[position : position + 4]]
    kinds = words[1:] if words[0] == "async" else words
    if kinds[0] == "function" and kinds[1] == "*":
        kinds = kinds[1:]
    if kinds[0] not in ("function", "class", "const", "*") or (kinds[0] == "const" and kinds[2] != "="):
        raise CannotJoin(f"{path} exports `{' '.join(words)}`, and not a function, a class or one constant")
    module.exports[kinds[1]] = kinds[1]
    return position


def _names(path: str, found: list[Token], position: int) -> tuple[list[tuple[str, str]], int]:
    """Returns the pairs of `{a, b as c}`, and the position behind it."""
    if found[position].text != "{":
        raise CannotJoin(f"{path} imports or exports other things than names")
    pairs: list[tuple[str, str]] = []
    position += 1
    while found[position].text != "}":
        first = second = found[position].text
        position += 1
        if found[position].text == "as":
            second = found[position + 1].text
            position += 2
        if found[position].text == ",":
            position += 1
        pairs.append((first, second))
    return pairs, position + 1


def _resolved(path: str, token: Token) -> str:
    name = token.text[1:-1]
    if token.kind != "string" or not name.startswith("."):
        raise CannotJoin(f"{path} imports {token.text}, which is not a relative path")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))


def _behind(found: list[Token], position: int) -> int:
    return position + 1 if position < len(found) and found[position].text == ";" else position
