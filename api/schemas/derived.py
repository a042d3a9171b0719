"""Marshmallow schemas made from dataclasses: what checks a body or a query, and what describes an answer.

A field of a body or a query is declared by its type and a rule beside it: one of shared/domain/declared.py, or, where
only this API has it, a marshmallow field (its class, or a `partial` of it): `cursor: Annotated[str, Storable]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from marshmallow import Schema, fields, validate

from api.schemas.fields import Digits, Flag, Id, Storable, Text, Time, Whole, Year
from shared.domain import declared
from shared.domain.declared import Change, Field, fields_of

Input = TypeVar("Input")


class Query:
    """The base of what comes in an address, where everything is text."""

    __slots__ = ()


@cache
def input_schema(kind: Any) -> type[Schema]:
    """What checks a body or a query, and describes it."""
    if issubclass(kind, Change):
        given = {field.name: _input(field, is_partial=True) for field in fields_of(kind.OF)}
    else:
        form = _in_query if issubclass(kind, Query) else _in_body
        given = {
            field.name: _input(field, form, is_partial=False)
            for field in fields_of(kind)
            if not isinstance(field.rule, declared.SetLater)
        }
    return Schema.from_dict(given, name=kind.__name__)


def load(kind: type[Input], given: Mapping[str, object]) -> Input:
    """One of that dataclass. Raises marshmallow's ValidationError, as its `__post_init__` may."""
    declaration: Any = kind
    loaded: Input = _loader(declaration)(given) if given else _empty(declaration)
    return loaded


@cache
def _loader(kind: Any) -> Callable[[Mapping[str, object]], Any]:
    # A schema takes a while to build and keeps nothing of what it loads.
    schema = input_schema(kind)()
    if issubclass(kind, Change):
        return lambda given: kind(schema.load(given))
    return lambda given: kind(**schema.load(given))


@cache
def _empty(kind: Any) -> Any:
    """What nothing given makes; as it cannot be changed, once for all requests. What is raised is not kept."""
    return _loader(kind)({})


@cache
def answer_schema(kind: Any) -> type[Schema]:
    """What describes an answer. Nothing is dumped through it: the dataclass itself is what becomes JSON."""
    return Schema.from_dict({field.name: _output(field) for field in fields_of(kind)}, name=kind.__name__)


@cache
def page_schema(kind: Any) -> type[Schema]:
    """A page of such answers; `next_cursor` is null on the last one."""
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(answer_schema(kind)), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=f"{kind.__name__}Page",
    )


def limits_of(kind: type) -> dict[str, dict[str, int]]:
    """Its fields' limits, as the attributes that HTML's inputs have for them; fields without a limit are absent."""
    found = {name: _attributes(field) for name, field in input_schema(kind)().fields.items()}
    return {name: attributes for name, attributes in found.items() if attributes}


def _attributes(field: fields.Field[Any]) -> dict[str, int]:
    limits: dict[str, Any] = {"maxlength": field.longest} if isinstance(field, Text) else {}
    for validator in field.validators:
        if isinstance(validator, validate.Length):
            limits |= {"minlength": validator.min, "maxlength": validator.max}
        elif isinstance(validator, validate.Range):
            limits |= {"min": validator.min, "max": validator.max}
    return {name: limit for name, limit in limits.items() if limit is not None}


Settings = dict[str, Any]
Form = Callable[[Field, Settings], fields.Field[Any]]


def _in_body(field: Field, settings: Settings) -> fields.Field[Any]:
    match field.rule:
        case declared.Text(longest):
            return Text(longest=longest, **settings)
        case declared.Whole(least, most):
            return Whole(least, most, **settings)
        case declared.Year(least):
            return Year(least, **settings)
        case declared.Identifier():
            return Id(**settings)
        case declared.Label(longest):
            return Storable(validate=validate.Length(1, longest), **settings)
        case None | declared.SetLater() if issubclass(field.kind, Enum):
            return fields.Enum(field.kind, by_value=True, **settings)
        case make if callable(make):
            made: fields.Field[Any] = make(**settings)
            return made
    raise TypeError(f"{field.name}: no rule says what it may hold")


def _in_query(field: Field, settings: Settings) -> fields.Field[Any]:
    match field.rule:
        case declared.Whole(least, most):
            return Digits(validate=validate.Range(least, most), **settings)
        case None if field.kind is bool:
            return Flag(**settings)
    return _in_body(field, settings)


def _input(field: Field, form: Form = _in_body, *, is_partial: bool) -> fields.Field[Any]:
    settings: Settings = {"allow_none": field.allows_null}
    if not is_partial:
        settings["required"] = not field.may_be_left_out
        if field.default is not MISSING:
            settings["load_default"] = field.default
    if field.meaning:
        settings["metadata"] = {"description": field.meaning}
    return form(field, settings)


def _output(field: Field) -> fields.Field[Any]:
    settings: dict[str, Any] = {"required": not field.may_be_left_out, "allow_none": field.allows_null}
    kind, origin = field.kind, get_origin(field.kind)
    if origin is list:
        return fields.List(fields.Nested(answer_schema(get_args(kind)[0])), **settings)
    if origin is not None:
        named, value = get_args(kind)
        return fields.Dict(keys=_BY_TYPE[named](), values=_BY_TYPE[value]() if value in _BY_TYPE else None, **settings)
    if isinstance(field.rule, declared.Identifier):
        return fields.Integer(strict=True, metadata={"minimum": 1}, **settings)
    if isinstance(field.rule, declared.Count):
        return fields.Integer(strict=True, metadata={"minimum": 0}, **settings)
    if isinstance(field.rule, declared.Moment):
        return Time(**settings)
    if callable(field.rule):
        made: fields.Field[Any] = field.rule(**settings)
        return made
    if kind is int:
        return fields.Integer(strict=True, **settings)
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](**settings)
    if issubclass(kind, Enum):
        return fields.Enum(kind, by_value=True, **settings)
    return fields.Nested(answer_schema(kind), **settings)


_BY_TYPE: Mapping[Any, type[fields.Field[Any]]] = {str: fields.String, bool: fields.Boolean}
