"""Dataclasses as declarations: an annotation says what a field may hold: `title: Annotated[str, Text(200)]`. Pure.

A text beside the rule is the description of the field in the OpenAPI document. `fields_of` is the source of the SQL,
the checks of requests, the OpenAPI document and the limits of the page's forms.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, ClassVar, NotRequired, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is not blank, of at most `longest` characters. It may be blank if the field `unless` has something."""

    longest: int
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Year:
    """A year from `least` to next year."""

    least: int


@dataclass(frozen=True, slots=True)
class Identifier:
    """A positive bigint."""


@dataclass(frozen=True, slots=True)
class OtherUser(Identifier):
    """The id of a user. A value that is not an id counts as an unknown user."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that a client chooses: any text of 1 to `longest` characters that can be stored."""

    longest: int


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number, 0 or greater."""


@dataclass(frozen=True, slots=True)
class VehicleNumber:
    """A vehicle identification number (shared/domain/vin.py)."""


@dataclass(frozen=True, slots=True)
class Near:
    """In a query: what names a place or a point on the earth (shared/domain/geography.py)."""


@dataclass(frozen=True, slots=True)
class Distance:
    """In a query: kilometres or miles, as metres."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """In a query: one or more values, any of which will do. The rule of each value is `of`; an enum needs none."""

    of: Any = None


@dataclass(frozen=True, slots=True)
class Different:
    """In a body: a list of at most `most` values, each only once. The rule of each value is `of`."""

    of: Any
    most: int


@dataclass(frozen=True, slots=True)
class SetLater:
    """The field has its default at creation, and can only be changed later."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in the form of shared/domain/times.py."""


Id = Annotated[int, Identifier()]
Number = Annotated[int, Count()]
Timestamp = Annotated[str, Moment()]

_NOT_NULL = "not null"


def left_out() -> Any:
    """The default of a field that may be left out, and then is None, but that must not be null."""
    return field(default=None, metadata={_NOT_NULL: True})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a declaration."""

    name: str
    kind: Any
    """Its type, without the rule and without None."""
    rule: Any
    """The rule beside the type in `Annotated`; None if there is none."""
    meaning: str
    """The text beside the type in `Annotated`; "" if there is none."""
    allows_null: bool
    default: Any
    """`MISSING` if the field is required."""
    may_be_left_out: bool
    """Whether the field can be absent. It then need not have a default."""


@dataclass(frozen=True, slots=True)
class Change:
    """New values for some fields of the dataclass `OF`, each checked. The other fields keep their values."""

    OF: ClassVar[type]

    values: Mapping[str, object]


@cache
def fields_of(declaration: type) -> tuple[Field, ...]:
    """Returns the fields of a dataclass or a TypedDict, in order."""
    hints = get_type_hints(declaration, include_extras=True)
    if not is_dataclass(declaration):
        return tuple(_entry(name, hint) for name, hint in hints.items())
    return tuple(
        _field(one.name, hints[one.name], one.default, is_null_refused=one.metadata.get(_NOT_NULL, False))
        for one in fields(declaration)
    )


def _entry(name: str, hint: Any) -> Field:
    """Returns a key of a TypedDict; one that may be left out is `NotRequired`."""
    if get_origin(hint) is NotRequired:
        return replace(_field(name, get_args(hint)[0], MISSING, is_null_refused=False), may_be_left_out=True)
    return _field(name, hint, MISSING, is_null_refused=False)


def _field(name: str, hint: Any, default: Any, *, is_null_refused: bool) -> Field:
    kind, rule, meaning, allows_null = _parse_hint(hint)
    if is_null_refused:
        return Field(name, kind, rule, meaning, False, MISSING, True)
    return Field(name, kind, rule, meaning, allows_null, default, default is not MISSING)


def _parse_hint(hint: Any) -> tuple[Any, Any, str, bool]:
    """Returns the type, its rule, its meaning, and whether None is allowed."""
    if get_origin(hint) in (Union, types.UnionType):
        [inner] = [one for one in get_args(hint) if one is not types.NoneType]
        return (*_parse_hint(inner)[:3], True)
    if get_origin(hint) is Annotated:
        kind, *beside = get_args(hint)
        rule = next((one for one in beside if not isinstance(one, str)), None)
        return kind, rule, next((one for one in beside if isinstance(one, str)), ""), False
    return hint, None, "", False
