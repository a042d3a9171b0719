"""Listings and categories: their fields, the filters and orders of a search, and the reasons for a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.domain.declared import Change, Id, SetLater, Text, Whole, Year

MAX_TITLE_LENGTH = 200
MAX_CONTENT_LENGTH = 5000
MAX_SHORT_TEXT_LENGTH = 100
"""The limit of a make, a model, a location, and the name of a category, in characters."""
MIN_YEAR = 1886
"""The year of the first car."""
MAX_MILEAGE = 10_000_000
MAX_PRICE = 2**53 - 1
"""In whole units. JavaScript represents every whole number up to it exactly."""
MAX_QUERY_LENGTH = 200


class Visibility(StrEnum):
    """Who may see a listing or a category."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Only registered users may see it."""


class Status(StrEnum):
    """Whether the car can still be bought."""

    AVAILABLE = "available"
    SOLD = "sold"


class Sort(StrEnum):
    """Orders of a list. An unknown value comes last, in both directions."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"
    LEAST_DRIVEN = "mileage"
    YOUNGEST = "-year"


ShortText = Annotated[str, Text(MAX_SHORT_TEXT_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewListing:
    """A new listing whose fields have been checked.

    Declare a field of listings here, and add a column with the same name to schema.sql. The SQL that stores, changes
    and shows it, the request bodies, the OpenAPI document and the limits of the page's form follow from here.
    """

    title: Annotated[str, Text(MAX_TITLE_LENGTH)]
    content: Annotated[str, Text(MAX_CONTENT_LENGTH)]
    category_id: Id
    visibility: Visibility = Visibility.PUBLIC
    status: Annotated[Status, SetLater()] = Status.AVAILABLE
    make: ShortText | None = None
    model: ShortText | None = None
    year: Annotated[int, Year(MIN_YEAR)] | None = None
    mileage: Annotated[int, Whole(0, MAX_MILEAGE)] | None = None
    price: Annotated[int, Whole(0, MAX_PRICE)] | None = None
    location: ShortText | None = None


class ListingChange(Change):
    """New values for some fields of a listing. None clears a field that may be unknown."""

    OF = NewListing

    @property
    def category_id(self) -> int | None:
        """The category to which the listing moves; None if it stays."""
        category_id = self.values.get("category_id")
        assert category_id is None or isinstance(category_id, int)
        return category_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFilter:
    """The conditions of a search; None means any. Case and accents of makes and models are ignored."""

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
        """True for the filter of the front page: everything that is available."""
        return self == _PLAIN


_PLAIN = ListingFilter()


@dataclass(frozen=True, slots=True)
class Category:
    """A category of listings."""

    id: int
    name: str
    visibility: Visibility
    created_at: datetime


class ListingNotFound(Exception):
    """The listing does not exist, or the actor may not see it."""


class CategoryNotFound(Exception):
    """The category does not exist, or the actor may not see it."""


class CategoryNameTaken(Exception):
    """Another category has this name."""


class CategoryNeeded(Exception):
    """The listing's category was deleted, so a restore has to name another category."""


class SellerGone(Exception):
    """The listing's seller has deleted the account, so nobody could sell the car."""
