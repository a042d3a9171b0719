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
"""Characters of a make, a model, a location, or the name of a category."""
MIN_YEAR = 1886
"""The year of the first car."""
MAX_MILEAGE = 10_000_000
MAX_PRICE = 2**53 - 1
"""In whole units; every number up to it is exact in JavaScript, too."""
MAX_QUERY_LENGTH = 200
MAX_ASKED_YEAR = 9999
MAX_ASKED_MILEAGE = 2**31 - 2
"""A search may ask for more than a listing can have; one more than this stands for an unknown mileage in the index."""


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    """Only registered users may see it."""


class Status(StrEnum):
    AVAILABLE = "available"
    SOLD = "sold"


class WantedStatus(StrEnum):
    """What a search finds by status."""

    AVAILABLE = Status.AVAILABLE.value
    SOLD = Status.SOLD.value
    ANY = "any"


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
    """A listing that has passed all checks, on its way to the database.

    A field is declared here, and has a column of the same name in schema.sql. The SQL that stores, changes and shows
    it, the bodies that set it, the OpenAPI document and the limits of the page's form follow from the declaration.
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
    """The fields of a listing that are set. None clears a field that may be unknown."""

    OF = NewListing

    @property
    def category_id(self) -> int | None:
        """The category to which the listing moves; None if it stays in its own."""
        given = self.values.get("category_id")
        assert given is None or isinstance(given, int)
        return given


@dataclass(frozen=True, kw_only=True)
class ListingFilter:
    """The conditions of a search; None means any. Case and accents of makes and models do not matter.

    A condition is declared here, and becomes SQL in shared/repositories/listing_search.py. The parameter of the REST
    API, its limits and its description follow from the declaration.
    """

    q: Annotated[str, Text(MAX_QUERY_LENGTH), "Words to look for, which may be misspelled."] | None = None
    category_id: Annotated[Id, "Of this category."] | None = None
    seller_id: Annotated[Id, "Offered by this user."] | None = None
    make: Annotated[ShortText, "Of this make; case and accents make no difference."] | None = None
    model: Annotated[ShortText, "Of this model; case and accents make no difference."] | None = None
    year_min: Annotated[int, Whole(0, MAX_ASKED_YEAR), "Of this year or later."] | None = None
    year_max: Annotated[int, Whole(0, MAX_ASKED_YEAR), "Of this year or before."] | None = None
    price_min: Annotated[int, Whole(0, MAX_PRICE), "At least this price, in whole units."] | None = None
    price_max: Annotated[int, Whole(0, MAX_PRICE), "At most this price, in whole units."] | None = None
    mileage_max: Annotated[int, Whole(0, MAX_ASKED_MILEAGE), "At most so many miles."] | None = None
    status: Annotated[WantedStatus, "What is available, what is sold, or both."] = WantedStatus.AVAILABLE
    hidden: Annotated[bool, "For moderators: only what is hidden, or only what is not."] | None = None

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
