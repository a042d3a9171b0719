"""What sellers give of a listing, what buyers ask for, and what moderators do."""

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
    """What is known of the car, and what is said of it."""


class ListingChangeBody(ListingChange):
    """Only what is given is changed; null makes unknown what may be so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HideBody:
    """Without `until` for good, or until it is shown again."""

    reason: Reason | None = None
    until: Annotated[datetime, Time] | None = None


def _number(most: int) -> partial[Digits]:
    return partial(Digits, validate=validate.Range(0, most))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsQuery(PageQuery):
    """`q` looks in title, content, make and model, forgives misspellings and completes words; `hidden` is for
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
