"""Joins modules into a script, which a browser loads in one request, and into later ones for what is imported while it
runs. Pure.

Each module becomes a function that returns what it exports, in the order in which a browser would run the modules
(ECMA-262, 16.2.1.6). It joins what the page's modules use of the language: named imports and exports of things that are
never assigned anew. Anything else is an error, and so are imports in a circle.

A module of the first script may have `import("./later.js")`. That module, with those that it needs and the first script
does not have, becomes a script of its own: a module whose default export is a function. It takes the modules that run
already, runs the others, and returns what the one that was asked for exports. Since it imports nothing, it never gets a
second copy of a module that runs. Its name has a hash of its content, so the script of another version never answers to
it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter

from api.assets.javascript import Token, tokens, written

_OPEN, _CLOSED = frozenset("{[("), frozenset("}])")

_LATER = """\
const $tries={};
const $later=(path)=>{
const turn=$tries[path]=($tries[path]??0)+1;
return import("./"+$files[path]+(turn>1?"#"+turn:"")).then((later)=>later.default($modules));
};
"""
"""Loads a later script. Some browsers keep a failure for ever: another fragment makes another address for them."""


class CannotJoin(ValueError):
    """A module uses what cannot be joined, or imports what is not there."""


@dataclass(slots=True)
class _Module:
    imports: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """Paths, with the names there and here."""
    exports: dict[str, str] = field(default_factory=dict)
    """Names outside, and the expressions for them inside."""
    later: list[str] = field(default_factory=list)
    """Paths of what it imports while it runs."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Scripts:
    first: str
    later: Mapping[str, str]
    """The later scripts, by their names. They have to be in the same folder as the first one."""
    names: Mapping[str, str]
    """The names of the later scripts, by the paths of the modules that they are asked for."""


def joined(sources: Mapping[str, str], entry: str) -> Scripts:
    """Returns the script of the module at the path `entry` and of all that it imports, and the later ones. Raises
    CannotJoin."""
    modules: dict[str, _Module] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path in modules:
            continue
        if path not in sources:
            raise CannotJoin(f"there is no module {path}")
        modules[path] = module = _read(path, sources[path])
        waiting += [imported for imported, _ in module.imports] + module.later
    entries = _later_entries(modules, entry)
    orders = {path: _order(modules, path) for path in (entry, *entries)}
    first = orders[entry]
    everything = dict.fromkeys(path for order in orders.values() for path in order)
    names = {path: f"m{number}" for number, path in enumerate(everything)}
    later, files, shared = {}, {}, set()
    for path in entries:
        own = [one for one in orders[path] if one not in first]
        needed = {imported for one in own for imported, _ in modules[one].imports if imported in first}
        if path in first:
            needed.add(path)
        shared |= needed
        takes = ",".join(names[one] for one in sorted(needed, key=first.index))
        runs = "".join(f"const {names[one]}=m.{names[one]}??={_run(one, modules, names)};\n" for one in own)
        text = f"export default (m)=>{{const {{{takes}}}=m;\n{runs}return {names[path]};}};\n"
        stem = posixpath.splitext(posixpath.basename(path))[0]
        files[path] = name = f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:16]}.js"
        later[name] = text
    runs = "".join(f"const {names[path]}={_run(path, modules, names)};\n" for path in first)
    if not files:
        return Scripts(runs, later, files)
    table = ",".join(f'"{path}":"{name}"' for path, name in files.items())
    gives = ",".join(names[one] for one in sorted(shared, key=first.index))
    return Scripts(f"{_LATER}const $files={{{table}}};\n{runs}const $modules={{{gives}}};\n", later, files)


def _later_entries(modules: Mapping[str, _Module], entry: str) -> list[str]:
    """Returns the paths of all modules that the first script imports while it runs."""
    first = _reached(modules, [entry])
    for path, module in modules.items():
        if module.later and path not in first:
            raise CannotJoin(f"{path} imports something while it runs, and is not in the first script")
    return sorted({later for path in first for later in modules[path].later})


def _reached(modules: Mapping[str, _Module], paths: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [imported for imported, _ in modules[path].imports]
    return reached


def _run(path: str, modules: Mapping[str, _Module], names: Mapping[str, str]) -> str:
    """Returns an expression that runs a module, and whose value is what it exports."""
    module = modules[path]
    takes = "".join(_taking(path, module, modules, names))
    gives = ",".join(_pair(outside, inside) for outside, inside in module.exports.items())
    return f"(()=>{{{takes}{module.text}\nreturn {{{gives}}}}})()"


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
                position = _import_later(path, module, found, position + 2, body)
                continue
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


def _import_later(path: str, module: _Module, found: list[Token], position: int, body: list[Token]) -> int:
    """Read what follows `import(`, and write a call of `$later` instead. Returns the position behind it."""
    if found[position + 1].text != ")":
        raise CannotJoin(f"{path} imports something else than the path of a module while it runs")
    imported = _resolved(path, found[position])
    module.later.append(imported)
    body.append(found[position - 2]._replace(text=f'$later("{imported}")'))
    return position + 2


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
