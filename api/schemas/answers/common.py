"""What other answers are made of: problems, people in brief, and fields that may be absent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from marshmallow import fields
from msgspec import UNSET

from shared.domain.declared import Id, Timestamp

ABSENT: Any = UNSET
"""The default of a field that is left out when it has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Problem details (RFC 9457). `errors` comes with 422: a list of sentences for each field. `again_at` comes with a
    renewal that is too early: when it can be made. With `banned` comes `objection_token`, for an objection.
    """

    type: Annotated[str, partial(fields.String, metadata={"example": "/problems/invalid"})]
    title: str
    status: int
    detail: str
    errors: dict[str, Any] = ABSENT
    again_at: Timestamp = ABSENT
    objection_token: str = ABSENT


@dataclass(frozen=True, slots=True)
class Person:
    """A user in other objects. `name` is "" if the account was deleted."""

    id: Id
    name: str
