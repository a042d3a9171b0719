"""What sellers give of a listing, what buyers ask for, and what moderators do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated

from api.schemas.fields import Time
from api.schemas.pages import PageQuery
from api.schemas.users import Reason
from shared.domain.listings import ListingChange, ListingFilter, NewListing, Sort


class ListingBody(NewListing):
    """What is known of the car, and what is said of it."""


class ListingChangeBody(ListingChange):
    """Only what is given is changed; null makes unknown what may be so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HideBody:
    """Without `until` for good, or until it is shown again."""

    reason: Reason | None = None
    until: Annotated[datetime, Time] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsQuery(PageQuery, ListingFilter):
    sort: Annotated[Sort, "The order; what is unknown comes last in each."] = Sort.NEWEST

    @property
    def filter(self) -> ListingFilter:
        return ListingFilter(**{field.name: getattr(self, field.name) for field in fields(ListingFilter)})
