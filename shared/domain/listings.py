"""Listings and categories: their fields, the filters and orders of a search, and the reasons for a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.domain.cars import (
    MAX_DOORS,
    MAX_ENGINE_CC,
    MAX_OWNERS,
    MAX_POWER_KW,
    Body,
    Colour,
    Condition,
    Drive,
    Fuel,
    TitleStatus,
    Transmission,
)
from shared.domain.declared import AnyOf, Change, Distance, Id, Near, SetLater, Text, VehicleNumber, Whole, Year
from shared.domain.geography import Place, Point

MAX_TITLE_LENGTH = 80
"""What a card shows in a few lines. Listings of earlier versions may have longer titles, and keep them."""
MAX_CONTENT_LENGTH = 5000
MAX_SHORT_TEXT_LENGTH = 100
"""The limit of a make, a model, a location, and the name of a category, in characters."""
MIN_YEAR = 1886
"""The year of the first car."""
MAX_MILEAGE = 10_000_000
MAX_PRICE = 999_999_999_999
"""In whole units: enough for the dearest cars in the currencies of the least value."""
MAX_QUERY_LENGTH = 200
MAX_ASKED_YEAR = 9999
MAX_ASKED_MILEAGE = 2**31 - 2
"""A search may exceed the limits of a listing. In the index, one more than this means an unknown mileage."""
MAX_ASKED_PRICE = 2**53 - 1
"""JavaScript represents every whole number up to it exactly."""


class Visibility(StrEnum):
    """Who may see a listing or a category."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Only registered users may see it."""


class Status(StrEnum):
    """Whether the car can still be bought."""

    AVAILABLE = "available"
    SOLD = "sold"


class WantedStatus(StrEnum):
    """The statuses that a search can ask for."""

    AVAILABLE = Status.AVAILABLE.value
    SOLD = Status.SOLD.value
    ANY = "any"


class Sort(StrEnum):
    """Orders of a list. An unknown value comes last, in both directions."""

    RELEVANCE = "relevance"
    """The best match first, and the newest of equals; only for a search for words."""
    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"
    LEAST_DRIVEN = "mileage"
    YOUNGEST = "-year"
    NEAREST = "distance"
    """From `near`."""


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
    mileage: Annotated[int, Whole(0, MAX_MILEAGE), "In the site's unit of distance."] | None = None
    price: Annotated[int, Whole(0, MAX_PRICE), "In whole units of the site's currency."] | None = None
    location: ShortText | None = None
    fuel: Fuel | None = None
    transmission: Transmission | None = None
    body: Body | None = None
    drive: Annotated[Drive, "The driven wheels."] | None = None
    colour: Colour | None = None
    doors: Annotated[int, Whole(1, MAX_DOORS)] | None = None
    power_kw: Annotated[int, Whole(1, MAX_POWER_KW), "In kilowatts."] | None = None
    engine_cc: Annotated[int, Whole(1, MAX_ENGINE_CC), "In cubic centimetres."] | None = None
    owners: Annotated[int, Whole(0, MAX_OWNERS), "How many people have owned it so far."] | None = None
    condition: Condition | None = None
    title_status: TitleStatus | None = None
    vin: Annotated[str, VehicleNumber(), "Only people who are signed in see it."] | None = None


class ListingChange(Change):
    """New values for some fields of a listing. None clears a field that may be unknown."""

    OF = NewListing

    @property
    def category_id(self) -> int | None:
        """The category to which the listing moves; None if it stays."""
        category_id = self.values.get("category_id")
        assert category_id is None or isinstance(category_id, int)
        return category_id


@dataclass(frozen=True, kw_only=True)
class ListingFilter:
    """The conditions of a search; None means any. Case and accents of makes and models are ignored.

    A condition is declared here, and becomes SQL in shared/repositories/listing_conditions.py. The parameter of the
    REST API, its limits and its description follow from the declaration.
    """

    q: Annotated[str, Text(MAX_QUERY_LENGTH), "Words to search for; misspellings are tolerated."] | None = None
    verbatim: Annotated[bool, "true: search for the words as they are typed, without corrections."] = False
    category_id: Annotated[Id, "Only this category."] | None = None
    seller_id: Annotated[Id, "Only listings of this user."] | None = None
    make: Annotated[ShortText, "Only this make; case and accents are ignored."] | None = None
    model: Annotated[ShortText, "Only this model; case and accents are ignored."] | None = None
    year_min: Annotated[int, Whole(0, MAX_ASKED_YEAR), "This year or later."] | None = None
    year_max: Annotated[int, Whole(0, MAX_ASKED_YEAR), "This year or earlier."] | None = None
    price_min: Annotated[int, Whole(0, MAX_ASKED_PRICE), "At least this price, in whole units."] | None = None
    price_max: Annotated[int, Whole(0, MAX_ASKED_PRICE), "At most this price, in whole units."] | None = None
    mileage_max: (
        Annotated[int, Whole(0, MAX_ASKED_MILEAGE), "At most this mileage, in the site's unit of distance."] | None
    ) = None
    fuel: Annotated[tuple[Fuel, ...], AnyOf(), "Only these fuels."] | None = None
    transmission: Annotated[tuple[Transmission, ...], AnyOf(), "Only these transmissions."] | None = None
    body: Annotated[tuple[Body, ...], AnyOf(), "Only these shapes."] | None = None
    drive: Annotated[tuple[Drive, ...], AnyOf(), "Only with these driven wheels."] | None = None
    colour: Annotated[tuple[Colour, ...], AnyOf(), "Only these colours."] | None = None
    doors: Annotated[tuple[int, ...], AnyOf(Whole(1, MAX_DOORS)), "Only with these numbers of doors."] | None = None
    power_kw_min: Annotated[int, Whole(0, MAX_POWER_KW), "At least this power, in kilowatts."] | None = None
    power_kw_max: Annotated[int, Whole(0, MAX_POWER_KW), "At most this power, in kilowatts."] | None = None
    engine_cc_min: (
        Annotated[int, Whole(0, MAX_ENGINE_CC), "At least this engine size, in cubic centimetres."] | None
    ) = None
    engine_cc_max: Annotated[int, Whole(0, MAX_ENGINE_CC), "At most this engine size, in cubic centimetres."] | None = (
        None
    )
    owners_max: Annotated[int, Whole(0, MAX_OWNERS), "At most this many owners so far."] | None = None
    condition: Annotated[tuple[Condition, ...], AnyOf(), "Only in these conditions."] | None = None
    title_status: Annotated[tuple[TitleStatus, ...], AnyOf(), "Only with these papers."] | None = None
    near: (
        Annotated[
            Place | Point,
            Near(),
            "Only listings with a known place; a town, a ZIP code of the USA, or `latitude,longitude`.",
        ]
        | None
    ) = None
    within: Annotated[float, Distance(), "At most this far from `near`, as `30km` or `20mi`."] | None = None
    vin: Annotated[str, VehicleNumber(), "For people who are signed in: only with this VIN."] | None = None
    status: Annotated[WantedStatus, "Only available listings, only sold ones, or both."] = WantedStatus.AVAILABLE
    hidden: Annotated[bool, "For moderators. true: only hidden listings; false: only the others."] | None = None

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


class RenewedRecently(Exception):
    """The listing was renewed a short while ago."""

    def __init__(self, again_at: datetime, seconds: int) -> None:
        """It can be renewed again at this time, which is so many seconds from now on."""
        super().__init__(again_at)
        self.again_at = again_at
        self.seconds = seconds


class CategoryNotFound(Exception):
    """The category does not exist, or the actor may not see it."""


class CategoryNameTaken(Exception):
    """Another category has this name."""


class CategoryNeeded(Exception):
    """The listing's category was deleted, so a restore has to name another category."""


class SellerGone(Exception):
    """The listing's seller has deleted the account, so nobody could sell the car."""
