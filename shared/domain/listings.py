"""Listings and categories: what is offered, how it can be asked for, and why something can be refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.domain.declared import Change, Id, SetLater, Text, Whole, Year

MAX_TITLE_LENGTH = 200
MAX_CONTENT_LENGTH = 5000
MAX_SHORT_TEXT_LENGTH = 100
"""Make, model, location, and the name of a category."""
MIN_YEAR = 1886
"""That of the first car."""
MAX_MILEAGE = 10_000_000
MAX_PRICE = 2**53 - 1
"""In whole units; every number up to it is exact in JavaScript, too."""
MAX_QUERY_LENGTH = 200


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    """For registered users only."""


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


ShortText = Annotated[str, Text(MAX_SHORT_TEXT_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewListing:
    """A listing of the right form, on its way to the database.

    A field is declared here and is a column of that name in schema.sql: the SQL that stores, changes and shows it, the
    bodies that give it, the OpenAPI document and the limits of the page's form follow.
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
    """What is set of a listing. None makes unknown what may be so."""

    OF = NewListing

    @property
    def category_id(self) -> int | None:
        """Where the listing goes; None if it stays in its category."""
        given = self.values.get("category_id")
        assert given is None or isinstance(given, int)
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFilter:
    """What is asked for; None is anything. Makes and models are compared without regard to case and accents."""

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
        """Whether it is what a front page shows: everything that is available."""
        return self == _PLAIN


_PLAIN = ListingFilter()


@dataclass(frozen=True, slots=True)
class Category:
    id: int
    name: str
    visibility: Visibility
    created_at: datetime


class ListingNotFound(Exception):
    """No such listing, or not for this person's eyes."""


class CategoryNotFound(Exception):
    """No such category, or not for this person's eyes."""


class CategoryNameTaken(Exception):
    """Another category has this name."""


class CategoryNeeded(Exception):
    """The listing's category is gone: it can be restored into another one only."""


class SellerGone(Exception):
    """The listing's seller has left: there is nobody to sell it."""
