"""Dataclasses as declarations: an annotation says what a field may hold, `title: Annotated[str, Text(200)]`. Pure.

A text beside the rule says what the field means, to those who read the OpenAPI document. SQL, the check of a request,
the document and the limits of the page's forms are made from `fields_of`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Text:
    """Text that says something, of `longest` characters at most."""

    longest: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Year:
    """A year from `least` to the next one."""

    least: int


@dataclass(frozen=True, slots=True)
class Identifier:
    """A positive bigint."""


@dataclass(frozen=True, slots=True)
class OtherUser(Identifier):
    """A user's id. Anything else is nobody's."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a client calls something: any text of 1 to `longest` characters that can be stored."""

    longest: int


@dataclass(frozen=True, slots=True)
class Count:
    """A number from 0."""


@dataclass(frozen=True, slots=True)
class SetLater:
    """What a new thing has from its default: it can be changed, and not be given at first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as clients read it (shared/domain/times.py)."""


Id = Annotated[int, Identifier()]
Number = Annotated[int, Count()]
Timestamp = Annotated[str, Moment()]

_NOT_NULL = "not null"


def left_out() -> Any:
    """The default of a field that may be left out, and is None then, but may not be given as null."""
    return field(default=None, metadata={_NOT_NULL: True})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a declaration."""

    name: str
    kind: Any
    """Its type, without the rule and without None."""
    rule: Any
    """What stands beside the type in `Annotated`; None if nothing does."""
    meaning: str
    """The text that stands there too, or nothing."""
    allows_null: bool
    default: Any
    """`MISSING` if the field has to be given."""
    may_be_left_out: bool
    """Whether it can be absent, be it without a default."""


@dataclass(frozen=True, slots=True)
class Change:
    """Some fields of the dataclass `OF` with new values, each of the right form. The others stay as they are."""

    OF: ClassVar[type]

    values: Mapping[str, object]


@cache
def fields_of(declaration: type) -> tuple[Field, ...]:
    """The fields of a dataclass or of a TypedDict, in their order."""
    hints = get_type_hints(declaration, include_extras=True)
    if not is_dataclass(declaration):
        return tuple(_field(name, hint, MISSING, is_null_refused=False) for name, hint in hints.items())
    return tuple(
        _field(one.name, hints[one.name], one.default, is_null_refused=one.metadata.get(_NOT_NULL, False))
        for one in fields(declaration)
    )


def _field(name: str, hint: Any, default: Any, *, is_null_refused: bool) -> Field:
    kind, rule, meaning, allows_null = _taken_apart(hint)
    if is_null_refused:
        return Field(name, kind, rule, meaning, False, MISSING, True)
    return Field(name, kind, rule, meaning, allows_null, default, default is not MISSING)


def _taken_apart(hint: Any) -> tuple[Any, Any, str, bool]:
    """The type, its rule, its meaning, and whether None is allowed too."""
    if get_origin(hint) in (Union, types.UnionType):
        [inner] = [one for one in get_args(hint) if one is not types.NoneType]
        return (*_taken_apart(inner)[:3], True)
    if get_origin(hint) is Annotated:
        kind, *beside = get_args(hint)
        rule = next((one for one in beside if not isinstance(one, str)), None)
        return kind, rule, next((one for one in beside if isinstance(one, str)), ""), False
    return hint, None, "", False
