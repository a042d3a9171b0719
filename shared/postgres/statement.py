"""What is asked of the database: a named statement, and Python lists as Postgres reads arrays. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$1`, `$2` for its parameters, and their types where Postgres cannot infer them.

    It is PREPAREd once a connection under its name, then only EXECUTEd: psycopg2 prepares nothing itself, and a hot
    query planned anew costs twice. A name stands for one text in the whole project.

    With an empty name it is not prepared, and its parameters are written `%s` and `%` is `%%`: for SQL put together
    at run time.
    """

    name: str
    sql: str
    types: tuple[str, ...] = ()


def adapted(parameters: Sequence[Any]) -> Sequence[Any]:
    """The parameters, each list as the text of an array: one token to parse for the server, however long it is."""
    if list in map(type, parameters):
        return [array(value) if type(value) is list else value for value in parameters]
    return parameters


def array(values: Iterable[Any]) -> str:
    """A one-dimensional array literal; None is NULL."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if type(value) is bool:
        return "t" if value else "f"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
