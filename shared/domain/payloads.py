"""Reads the payload of an event, or the same as a REST body, into the dataclass that declares it. Pure.

A field whose key is a keyword of Python has an underscore at its end; the key in the payload has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar

from shared.domain.declared import Different, Identifier, Label, OtherUser, Text, fields_of
from shared.domain.ids import parse_id
from shared.domain.messages import InvalidMessage, UnknownRecipient
from shared.domain.text import is_blank, is_storable, text_fault

Payload = TypeVar("Payload")


class _Bad(ValueError):
    """The value breaks the rule; the message is a sentence for the client."""


class _Nobody(_Bad):
    """The value is not the id of a user."""


class _Field(NamedTuple):
    key: str
    name: str
    may_be_left_out: bool
    read: Callable[[Any], Any]
    unless: str
    """The field with which this one may be blank."""


def read(kind: type[Payload], payload: Any) -> Payload:
    """Returns an instance of the dataclass. Ignores unknown keys; null counts as missing.

    Raises InvalidMessage, or UnknownRecipient if a user's id is not an id.
    """
    if not isinstance(payload, Mapping):
        raise InvalidMessage({"payload": ["Not an object."]})
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    names_nobody = False
    declaration: Any = kind
    for key, name, may_be_left_out, read_value, unless in _fields_of(declaration):
        given = payload.get(key)
        if given is not None:
            try:
                values[name] = read_value(given)
            except _Bad as bad:
                if unless and payload.get(unless) and isinstance(given, str) and is_blank(given):
                    values[name] = ""
                    continue
                errors[key] = [str(bad)]
                names_nobody |= isinstance(bad, _Nobody)
        elif not may_be_left_out:
            errors[key] = ["Missing."]
    if names_nobody:
        raise UnknownRecipient
    if errors:
        raise InvalidMessage(errors)
    return kind(**values)


@cache
def keys_of(kind: type) -> frozenset[str]:
    """Returns the keys of the payload."""
    return frozenset(field.key for field in _fields_of(kind))


@cache
def users_in(kind: type) -> tuple[str, ...]:
    """Returns the keys that have a user's id."""
    return tuple(_key(field.name) for field in fields_of(kind) if isinstance(field.rule, OtherUser))


@cache
def _fields_of(kind: Any) -> tuple[_Field, ...]:
    return tuple(
        _Field(
            _key(field.name),
            field.name,
            field.may_be_left_out,
            _reader(field.name, field.rule),
            field.rule.unless if isinstance(field.rule, Text) else "",
        )
        for field in fields_of(kind)
    )


def _key(name: str) -> str:
    return name.removesuffix("_")


def _reader(name: str, rule: object) -> Callable[[Any], Any]:
    match rule:
        case OtherUser():
            return _user
        case Identifier():
            return _id
        case Text(longest):
            return lambda given: _text(given, longest)
        case Label(longest):
            return lambda given: _label(given, longest)
        case Different(Identifier(), most):
            return lambda given: _ids(given, most)
    raise TypeError(f"{name}: no rule says what it may hold")


def _user(given: Any) -> int:
    user_id = parse_id(given)
    if user_id is None:
        raise _Nobody("User not found.")
    return user_id


def _id(given: Any) -> int:
    number = parse_id(given)
    if number is None:
        raise _Bad("Not an id.")
    return number


def _ids(given: Any, most: int) -> list[int]:
    if not isinstance(given, list):
        raise _Bad("Not a list.")
    if len(given) > most:
        raise _Bad(f"More than {most}.")
    ids = [_id(one) for one in given]
    if len(set(ids)) < len(ids):
        raise _Bad("Has a value more than once.")
    return ids


def _text(given: Any, longest: int) -> str:
    fault = text_fault(given, longest) if isinstance(given, str) else "Not a string."
    if fault:
        raise _Bad(fault)
    return str(given)


def _label(given: Any, longest: int) -> str:
    if not isinstance(given, str):
        raise _Bad("Not a string.")
    if not 1 <= len(given) <= longest:
        raise _Bad(f"Between 1 and {longest} characters.")
    if not is_storable(given):
        raise _Bad("Contains characters that cannot be stored.")
    return given
