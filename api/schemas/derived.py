"""Makes marshmallow schemas from dataclasses: they check bodies and queries, and describe answers.

A field is declared by its type and a rule. The rule is one of shared/domain/declared.py, or, if only the API has it, a
marshmallow field (its class, or a `partial` of it): `cursor: Annotated[str, Storable]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, replace
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from marshmallow import Schema, fields, validate

from api.schemas.bounds import Length, Range
from api.schemas.fields import (
    AnyOf,
    Different,
    Digits,
    Distance,
    Flag,
    Id,
    Near,
    Storable,
    Text,
    Time,
    Vin,
    Whole,
    Year,
)
from shared.domain import declared
from shared.domain.declared import Change, Field, fields_of
from shared.domain.vin import VIN_LENGTH

Input = TypeVar("Input")


class Query:
    """The base of queries, where every value is text."""

    __slots__ = ()


@cache
def input_schema(kind: Any) -> type[Schema]:
    """Returns the schema that checks and describes a body or a query."""
    if issubclass(kind, Change):
        inputs = {field.name: _input(field, is_partial=True) for field in fields_of(kind.OF)}
    else:
        form = _in_query if issubclass(kind, Query) else _in_body
        inputs = {
            field.name: _input(field, form, is_partial=False)
            for field in fields_of(kind)
            if not isinstance(field.rule, declared.SetLater)
        }
    return Schema.from_dict(inputs, name=kind.__name__)


def load(kind: type[Input], values: Mapping[str, object]) -> Input:
    """Returns an instance of the dataclass. Raises marshmallow's ValidationError, also from `__post_init__`."""
    declaration: Any = kind
    loaded: Input = _loader(declaration)(values) if values else _empty(declaration)
    return loaded


@cache
def names_of(kind: Any) -> frozenset[str]:
    """Returns the names of the fields that `load` accepts."""
    return frozenset(input_schema(kind)().fields)


@cache
def _loader(kind: Any) -> Callable[[Mapping[str, object]], Any]:
    # Building a schema takes a while. It can be shared, because it keeps nothing of what it loads.
    schema = input_schema(kind)()
    if issubclass(kind, Change):
        return lambda values: kind(schema.load(values))
    return lambda values: kind(**schema.load(values))


@cache
def _empty(kind: Any) -> Any:
    """Returns the instance for no input, shared by all requests because it is immutable. Errors are not cached."""
    return _loader(kind)({})


@cache
def answer_schema(kind: Any) -> type[Schema]:
    """Returns the schema that describes an answer. It is not used to encode it: the dataclass itself becomes JSON."""
    return Schema.from_dict({field.name: _output(field) for field in fields_of(kind)}, name=kind.__name__)


@cache
def page_schema(kind: Any) -> type[Schema]:
    """Returns the schema of a page of such answers; `next_cursor` is null on the last page."""
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(answer_schema(kind)), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=f"{kind.__name__}Page",
    )


@cache
def lists_of(kind: Any) -> frozenset[str]:
    """Returns the names of the fields of a query that take several values."""
    return frozenset(name for name, field in input_schema(kind)().fields.items() if isinstance(field, AnyOf))


def limits_of(kind: type) -> dict[str, dict[str, Any]]:
    """Returns the limits of the fields as attributes of HTML inputs; `options` has the values of a closed list.

    Fields without a limit are absent.
    """
    found = {name: _attributes(field) for name, field in input_schema(kind)().fields.items()}
    return {name: attributes for name, attributes in found.items() if attributes}


def _attributes(field: fields.Field[Any]) -> dict[str, Any]:
    if isinstance(field, AnyOf):
        return _attributes(field.inner)
    if isinstance(field, fields.Enum):
        return {"options": [one.value for one in field.enum]}
    if isinstance(field, Vin):
        return {"minlength": VIN_LENGTH, "maxlength": VIN_LENGTH}
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
        case declared.VehicleNumber():
            return Vin(**settings)
        case declared.Label(longest):
            return Storable(validate=Length(1, longest), **settings)
        case declared.Different(rule, most):
            [value] = get_args(field.kind)
            each = _in_body(replace(field, kind=value, rule=rule), {})
            return Different(each, most, **settings)
        case None | declared.SetLater() if issubclass(field.kind, Enum):
            return fields.Enum(field.kind, by_value=True, **settings)
        case make if callable(make):
            made: fields.Field[Any] = make(**settings)
            return made
    raise TypeError(f"{field.name}: needs a rule that says which values it takes")


def _in_query(field: Field, settings: Settings) -> fields.Field[Any]:
    match field.rule:
        case declared.Whole(least, most):
            return Digits(validate=Range(least, most), **settings)
        case declared.Near():
            return Near(**settings)
        case declared.Distance():
            return Distance(**settings)
        case declared.AnyOf(rule):
            [value, _] = get_args(field.kind)
            inner = _in_query(replace(field, kind=value, rule=rule), {})
            return AnyOf(inner, **settings)
        case None if field.kind is bool:
            return Flag(**settings)
    return _in_body(field, settings)


def _input(field: Field, form: Form = _in_body, *, is_partial: bool) -> fields.Field[Any]:
    settings: Settings = {"allow_none": field.allows_null}
    if not is_partial:
        settings["required"] = not field.may_be_left_out
        if field.default is not MISSING:
            settings["load_default"] = field.default
    made = form(field, settings)
    if field.meaning:
        made.metadata = {**made.metadata, "description": field.meaning}
    return made


def _output(field: Field) -> fields.Field[Any]:
    settings: dict[str, Any] = {"required": not field.may_be_left_out, "allow_none": field.allows_null}
    kind, origin = field.kind, get_origin(field.kind)
    if callable(field.rule):
        ruled: fields.Field[Any] = field.rule(**settings)
        return ruled
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
    if kind is int:
        return fields.Integer(strict=True, **settings)
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](**settings)
    if issubclass(kind, Enum):
        return fields.Enum(kind, by_value=True, **settings)
    return fields.Nested(answer_schema(kind), **settings)


_BY_TYPE: Mapping[Any, type[fields.Field[Any]]] = {str: fields.String, bool: fields.Boolean}
