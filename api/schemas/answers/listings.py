"""Categories, listings, and what can be found about them."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from functools import partial
from typing import Annotated, TypedDict, TypeVar, get_type_hints

from marshmallow import fields

from api.schemas.answers.common import ABSENT, Person
from api.schemas.answers.pictures import Picture
from shared.domain import listings, vin
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.listings import NewListing, Visibility
from shared.domain.suggestions import SuggestionKind
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.repositories import listing_facets, trash

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    id: Id
    name: str
    visibility: Visibility
    created_at: Timestamp


def category(category: listings.Category) -> Category:
    return Category(
        id=category.id, name=category.name, visibility=category.visibility, created_at=rfc3339(category.created_at)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryName:
    id: Id
    name: str


def _with_fields_of_a_listing(answer: type[Kind]) -> type[Kind]:
    """Returns the dataclass with the fields of NewListing added.

    The category is shown with its name, and the VIN not to everybody.
    """
    declared = get_type_hints(NewListing, include_extras=True).items()
    shown = [(name, hint) for name, hint in declared if name not in ("category_id", "vin")]
    made: type[Kind] = make_dataclass(
        answer.__name__, shown, bases=(answer,), namespace={"__doc__": answer.__doc__}, kw_only=True, frozen=True
    )
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPrice:
    """A price that a listing had, and until when."""

    price: int | None
    until: Timestamp


@_with_fields_of_a_listing
@dataclass(frozen=True, kw_only=True)
class Listing:
    """`price_history` has at most 20 prices, the latest last. `distance_m` comes with searches near a place: how far
    the listing's town is from it, in metres. `vin` and `favourite` are only for users: the car's VIN, if it has one,
    and whether the listing is one of theirs. Instead of `favourite` the seller gets `favourite_count`. `same_vin`, the
    other sellers' listings with the same VIN, is only for moderators and admins. The last five fields are only for the
    seller, moderators and admins; from `expires_at` on, nobody else sees the listing.
    """

    id: Id
    category: CategoryName
    seller: Person
    created_at: Timestamp
    updated_at: Timestamp
    reply_count: Number
    pictures: list[Picture]
    has_vin: bool
    distance_m: Number = ABSENT
    vin: str = ABSENT
    same_vin: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))] = ABSENT
    price_history: list[PastPrice]
    favourite: bool = ABSENT
    favourite_count: Number = ABSENT
    hidden: bool = ABSENT
    hidden_until: Timestamp | None = ABSENT
    hidden_reason: str | None = ABSENT
    expires_at: Timestamp = ABSENT
    ended: bool = ABSENT


Corrected = TypedDict("Corrected", {"from": str, "to": str})
"""What was typed, and what was searched for instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundListings:
    """A page of a search. It has `corrected` if some of its listings rest on a correction of what was typed."""

    data: list[Listing]
    next_cursor: str | None
    corrected: Corrected = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What may have been meant by the beginning of a word. `text` can be searched for."""

    kind: SuggestionKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """`value` is what the parameter of the search takes."""

    value: str
    count: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """`name` is the parameter of the search; the values with the most listings come first."""

    name: str
    values: list[FacetValue]
    at_least: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    total: Number
    total_at_least: bool
    facets: list[Facet]


def facets(counts: listing_facets.FacetCounts) -> Facets:
    return Facets(
        total=counts.total,
        total_at_least=counts.total_is_at_least,
        facets=[
            Facet(
                name=facet.name,
                values=[FacetValue(value=one.value, count=one.count) for one in facet.values],
                at_least=facet.is_at_least,
            )
            for facet in counts.facets
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vin:
    """What a VIN says. `years` are the model years that it can stand for, the latest first. A wrong check digit is a
    typing mistake if the car was made for North America or China; other makers do not fill it in.
    """

    vin: str
    maker: str | None
    years: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))]
    check_digit_is_right: bool


def decoded_vin(told: vin.DecodedVin) -> Vin:
    return Vin(vin=told.vin, maker=told.maker, years=list(told.years), check_digit_is_right=told.check_digit_is_right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashing:
    """When, by whom and why the listing went to the trash. If its category is gone, a restore has to name another.

    Its seller can restore it before `until`, which is null if they cannot.
    """

    at: Timestamp
    by: Person | None
    reason: str | None
    category_is_gone: bool
    until: Timestamp | None


def trashing(trashed: trash.TrashedListing) -> Trashing:
    by = None if trashed.by_id is None else Person(trashed.by_id, trashed.by_name or "")
    return Trashing(
        at=rfc3339(trashed.at),
        by=by,
        reason=trashed.reason,
        category_is_gone=trashed.category_is_gone,
        until=rfc3339_or_none(trashed.until),
    )


@dataclass(frozen=True, kw_only=True)
class TrashedListing(Listing):
    trashed: Trashing
