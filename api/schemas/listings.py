"""What sellers give of a listing, what buyers ask for, and what moderators do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from api.schemas.fields import Digits, Flag, Id, PageQuery, Text, Time
from api.schemas.users import MAX_REASON_LENGTH
from shared.domain.listings import (
    MAX_CONTENT_LENGTH,
    MAX_MILEAGE,
    MAX_PRICE,
    MAX_QUERY_LENGTH,
    MAX_SHORT_TEXT_LENGTH,
    MAX_TITLE_LENGTH,
    MIN_YEAR,
    Sort,
    Status,
    Visibility,
)

ANY_STATUS = "any"


class Whole(fields.Integer):
    """A whole number of JSON, not its spelling as text."""

    def __init__(self, least: int, most: int | None = None, **settings: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(least, most), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        # `2015.0` is 2015, as JSON has it; `true` is not 1.
        if type(value) is float and value.is_integer() and abs(value) <= MAX_PRICE:
            return int(value)
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


def _not_after_next_year(year: int) -> None:
    latest = datetime.now(UTC).year + 1
    if year > latest:
        raise ValidationError(f"Not after {latest}.")


def _year() -> Whole:
    field = Whole(MIN_YEAR, allow_none=True)
    field.validators.append(_not_after_next_year)
    return field


def _short_text() -> Text:
    return Text(longest=MAX_SHORT_TEXT_LENGTH, allow_none=True)


class _Car(Schema):
    """What may be unknown."""

    make = _short_text()
    model = _short_text()
    year = _year()
    mileage = Whole(0, MAX_MILEAGE, allow_none=True)
    price = Whole(0, MAX_PRICE, allow_none=True)
    location = _short_text()


class ListingBody(_Car):
    title = Text(required=True, longest=MAX_TITLE_LENGTH)
    content = Text(required=True, longest=MAX_CONTENT_LENGTH)
    category_id = Id(required=True)
    visibility = fields.Enum(Visibility, by_value=True, load_default=Visibility.PUBLIC)


class ListingChangeBody(_Car):
    """Only what is given is changed; null makes unknown what may be so."""

    title = Text(longest=MAX_TITLE_LENGTH)
    content = Text(longest=MAX_CONTENT_LENGTH)
    category_id = Id()
    visibility = fields.Enum(Visibility, by_value=True)
    status = fields.Enum(Status, by_value=True)


class HideBody(Schema):
    """Without `until` for good, or until it is shown again."""

    reason = Text(longest=MAX_REASON_LENGTH, load_default=None, allow_none=True)
    until = Time(load_default=None, allow_none=True)


def _number(most: int) -> Digits:
    return Digits(load_default=None, validate=validate.Range(0, most))


class ListingsQuery(PageQuery):
    """`q` looks in title, content, make and model, forgives misspellings and completes words; `hidden` is for
    moderators."""

    q = Text(longest=MAX_QUERY_LENGTH, load_default=None)
    category_id = Id(load_default=None)
    seller_id = Id(load_default=None)
    make = Text(longest=MAX_SHORT_TEXT_LENGTH, load_default=None)
    model = Text(longest=MAX_SHORT_TEXT_LENGTH, load_default=None)
    year_min = _number(9999)
    year_max = _number(9999)
    price_min = _number(MAX_PRICE)
    price_max = _number(MAX_PRICE)
    mileage_max = _number(2**31 - 2)
    sort = fields.Enum(Sort, by_value=True, load_default=Sort.NEWEST)
    status = fields.String(
        load_default=Status.AVAILABLE.value, validate=validate.OneOf([*(one.value for one in Status), ANY_STATUS])
    )
    hidden = Flag(load_default=None)
