"""The query of suggestions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from api.schemas.derived import Query
from shared.domain.declared import Text, Whole
from shared.domain.listings import MAX_QUERY_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionsQuery(Query):
    q: Annotated[str, Text(MAX_QUERY_LENGTH), "The beginning of a make, a model or a place."]
    limit: Annotated[int, Whole(1, MAX_LIMIT), "The most suggestions."] = DEFAULT_LIMIT
