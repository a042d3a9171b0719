"""Bodies and queries about listings: from sellers, buyers and moderators."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated

from marshmallow import ValidationError

from api.schemas.fields import Time
from api.schemas.pages import PageQuery
from api.schemas.users import Reason
from shared.domain.declared import left_out
from shared.domain.listings import ListingChange, ListingFilter, NewListing, Sort


class ListingBody(NewListing):
    """A new listing."""


class ListingChangeBody(ListingChange):
    """Changes only the fields that are given; null clears a field that may be unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HideBody:
    """Without `until`, the listing is hidden until a moderator shows it again."""

    reason: Reason | None = None
    until: Annotated[datetime, Time] | None = None


_RANGES = tuple(
    (field.name, field.name.removesuffix("_min") + "_max")
    for field in fields(ListingFilter)
    if field.name.endswith("_min")
)
"""The filters that are the ends of a range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsQuery(PageQuery, ListingFilter):
    sort: Annotated[
        Sort, "The order; listings without the value come last. With `q` the default is relevance, else newest."
    ] = left_out()

    @property
    def order(self) -> Sort:
        """The order that was asked for, or the one that fits."""
        return self.sort or (Sort.NEWEST if self.q is None else Sort.RELEVANCE)

    def __post_init__(self) -> None:
        wrong = {
            most: ["Less than the minimum."]
            for least, most in _RANGES
            if (low := getattr(self, least)) is not None and (high := getattr(self, most)) is not None and high < low
        }
        if self.near is None:
            needed = ["Needs `near`."]
            wrong |= {"within": needed} if self.within is not None else {}
            wrong |= {"sort": needed} if self.sort is Sort.NEAREST else {}
        if self.q is None and self.sort is Sort.RELEVANCE:
            wrong |= {"sort": ["Needs `q`."]}
        if wrong:
            raise ValidationError(wrong)

    @property
    def filter(self) -> ListingFilter:
        return ListingFilter(**{field.name: getattr(self, field.name) for field in fields(ListingFilter)})
