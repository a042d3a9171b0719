"""Listings and categories: their fields, the filters and orders of a search, and the reasons for a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_TITLE_LENGTH = 200
MAX_CONTENT_LENGTH = 5000
MAX_SHORT_TEXT_LENGTH = 100
"""Characters of a make, a model, a location, or the name of a category."""
MIN_YEAR = 1886
"""The year of the first car."""
MAX_MILEAGE = 10_000_000
MAX_PRICE = 2**53 - 1
"""In whole units; every number up to it is exact in JavaScript, too."""
MAX_QUERY_LENGTH = 200


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    """Only registered users may see it."""


class Status(StrEnum):
    AVAILABLE = "available"
    SOLD = "sold"


class Sort(StrEnum):
    """Orders of a list. An unknown value comes last, in both directions."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"
    LEAST_DRIVEN = "mileage"
    YOUNGEST = "-year"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewListing:
    """A listing that has passed all checks, on its way to the database."""

    title: str
    content: str
    category_id: int
    visibility: Visibility = Visibility.PUBLIC
    make: str | None = None
    model: str | None = None
    year: int | None = None
    mileage: int | None = None
    price: int | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFilter:
    """The conditions of a search; None means any. Case and accents of makes and models do not matter."""

    text: str | None = None
    category_id: int | None = None
    seller_id: int | None = None
    make: str | None = None
    model: str | None = None
    year_min: int | None = None
    year_max: int | None = None
    price_min: int | None = None
    price_max: int | None = None
    mileage_max: int | None = None
    status: Status | None = Status.AVAILABLE
    hidden: bool | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the filter is that of the front page: everything that is available."""
        return self == _PLAIN


_PLAIN = ListingFilter()


@dataclass(frozen=True, slots=True)
class Category:
    id: int
    name: str
    visibility: Visibility
    created_at: datetime


class ListingNotFound(Exception):
    """There is no such listing, or this person may not see it."""


class CategoryNotFound(Exception):
    """There is no such category, or this person may not see it."""


class CategoryNameTaken(Exception):
    """Another category has this name."""


class CategoryNeeded(Exception):
    """The listing's category is deleted: the listing can be restored only into another one."""


class SellerGone(Exception):
    """The listing's seller has left: there is nobody to sell it."""
