"""The parameters of every list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from marshmallow import validate

from api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from api.schemas.derived import Query
from api.schemas.fields import Storable
from shared.domain.declared import Whole

# As `pagination` makes them: letters that a URL takes as they are.
_CURSOR = [validate.Length(1, 1000), validate.Regexp(r"^[A-Za-z0-9_-]+$", error="Not a cursor of this list.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery(Query):
    """A list with filters adds its own in a subclass."""

    limit: Annotated[int, Whole(1, MAX_LIMIT), "How many to a page."] = DEFAULT_LIMIT
    cursor: Annotated[str, partial(Storable, validate=_CURSOR), "`next_cursor` of the page before."] | None = None
