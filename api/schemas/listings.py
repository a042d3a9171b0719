"""Bodies and queries about listings: from sellers, buyers and moderators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

from marshmallow import fields, validate

from api.schemas.fields import Digits, Flag, Time
from api.schemas.pages import PageQuery
from api.schemas.users import Reason
from shared.domain.declared import Id, Text
from shared.domain.listings import (
    MAX_PRICE,
    MAX_QUERY_LENGTH,
    ListingChange,
    ListingFilter,
    NewListing,
    ShortText,
    Sort,
    Status,
)

_ANY = "any"
_STATUS = partial(fields.String, validate=validate.OneOf([*(one.value for one in Status), _ANY]))


class ListingBody(NewListing):
    """A new listing."""


class ListingChangeBody(ListingChange):
    """Changes only the fields that are given; null clears a field that may be unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HideBody:
    """Without `until`, the listing is hidden until a moderator shows it again."""

    reason: Reason | None = None
    until: Annotated[datetime, Time] | None = None


def _number(most: int) -> partial[Digits]:
    return partial(Digits, validate=validate.Range(0, most))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsQuery(PageQuery):
    """`q` searches title, content, make and model; it tolerates misspellings and completes words. `hidden` is for
    moderators."""

    q: Annotated[str, Text(MAX_QUERY_LENGTH)] | None = None
    category_id: Id | None = None
    seller_id: Id | None = None
    make: ShortText | None = None
    model: ShortText | None = None
    year_min: Annotated[int, _number(9999)] | None = None
    year_max: Annotated[int, _number(9999)] | None = None
    price_min: Annotated[int, _number(MAX_PRICE)] | None = None
    price_max: Annotated[int, _number(MAX_PRICE)] | None = None
    mileage_max: Annotated[int, _number(2**31 - 2)] | None = None
    sort: Sort = Sort.NEWEST
    status: Annotated[str, _STATUS] = Status.AVAILABLE.value
    hidden: Annotated[bool, Flag] | None = None

    @property
    def filter(self) -> ListingFilter:
        return ListingFilter(
            text=self.q,
            category_id=self.category_id,
            seller_id=self.seller_id,
            make=self.make,
            model=self.model,
            year_min=self.year_min,
            year_max=self.year_max,
            price_min=self.price_min,
            price_max=self.price_max,
            mileage_max=self.mileage_max,
            status=None if self.status == _ANY else Status(self.status),
            hidden=self.hidden,
        )
