"""Named SQL statements, and Python lists as Postgres arrays. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$1`, `$2` for its parameters, and their types where Postgres cannot infer them.

    Each connection PREPAREs the statement once under its name, and then only EXECUTEs it: psycopg2 does not prepare
    statements, and planning a frequent query each time doubles its cost. A name must be unique in the project.

    A statement with an empty name is not prepared. Its parameters are written `%s`, and `%` is written `%%`. It is for
    SQL that is composed at run time.

    `first` is SQL without parameters that runs before it, in the same trip and the same transaction. A statement sees
    what was committed when it began. So if `first` waits for a lock, the statement sees what its last holder has done.

    `is_alone` is for what can be in no transaction, such as VACUUM. Behind a pooler it has none of the usual settings.
    """

    name: str
    sql: str
    types: tuple[str, ...] = ()
    first: str = ""
    is_alone: bool = False


def adapted(parameters: Sequence[Any]) -> Sequence[Any]:
    """Returns the parameters with each list as the text of an array, which the server parses as one token."""
    if list in map(type, parameters):
        return [array(value) if type(value) is list else value for value in parameters]
    return parameters


def array(values: Iterable[Any]) -> str:
    """Returns the literal of a one-dimensional Postgres array; None becomes NULL."""
    return "{" + ",".join([_WRITERS.get(type(value), _quoted)(value) for value in values]) + "}"


def _quoted(value: Any) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


_WRITERS: dict[type, Callable[[Any], str]] = {
    int: str,
    float: str,
    bool: lambda value: "t" if value else "f",
    type(None): lambda _: "NULL",
}
