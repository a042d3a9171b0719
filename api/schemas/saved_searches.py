"""Bodies about saved searches and alerts. The parameters of a search are those of the list of listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from marshmallow import ValidationError, fields

from api.problems import name_errors
from api.schemas.derived import load, names_of
from api.schemas.listings import ListingsQuery
from shared.domain.alerts import MAX_SEARCH_NAME_LENGTH
from shared.domain.declared import Change, Id, Text
from shared.domain.ids import MAX_EXACT_FLOAT
from shared.domain.listings import ListingFilter

_OF_A_PAGE = frozenset({"limit", "cursor"})
_DESCRIPTION = (
    "The parameters of `GET /api/listings`, without `limit` and `cursor`; an empty object finds every listing."
)


def filter_of(query: Mapping[str, object]) -> ListingFilter:
    """Returns what the parameters of a search mean, as the list of listings reads them. Raises ValidationError."""
    known = names_of(ListingsQuery) - _OF_A_PAGE
    if unknown := [name for name in query if name not in known]:
        raise ValidationError(name_errors(unknown, "Unknown parameter."))
    return load(ListingsQuery, query).filter


def stored_filter(query: str) -> ListingFilter | None:
    """Returns what a stored search means; None if a newer version no longer knows its parameters."""
    try:
        return filter_of(msgspec.json.decode(query))
    except ValidationError:
        return None


class SearchParameters(fields.Dict):
    """The parameters of a search as an object. A number or a boolean counts as the text that it is in an address."""

    def __init__(self, **settings: Any) -> None:
        kinds = {"type": ["string", "integer", "boolean"]}
        super().__init__(metadata={"additionalProperties": kinds, "description": _DESCRIPTION}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        errors = name_errors((name for name, one in value.items() if _text(one) is None), "Not a text.")
        if errors:
            raise ValidationError(errors)
        query = {name: str(_text(one)) for name, one in value.items()}
        filter_of(query)
        return query


def _text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) <= MAX_EXACT_FLOAT:
            return str(int(value))
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBody:
    """A new saved search."""

    name: Annotated[str, Text(MAX_SEARCH_NAME_LENGTH)]
    query: Annotated[dict[str, str], SearchParameters]


class SearchChangeBody(Change):
    """Changes only the fields that are given."""

    OF = SearchBody


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBody:
    """Alerts up to and including this id count as seen."""

    up_to: Id
