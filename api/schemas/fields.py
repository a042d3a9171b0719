"""Marshmallow fields for the input of this API: text that can be stored, ids, numbers, times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.pagination import MAX_LIMIT
from shared.domain.ids import MAX_EXACT_FLOAT, parse_id
from shared.domain.text import is_storable, text_fault, tidied


class Text(fields.String):
    """Text that is not blank, kept composed, without blanks at its ends. `longest` is in characters of what is kept."""

    def __init__(self, *, longest: int, **settings: Any) -> None:
        self.longest = longest
        super().__init__(metadata={"minLength": 1, "maxLength": longest}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        text = tidied(value)
        # Text of blanks alone is refused as what it was.
        fault = text_fault(text or value, self.longest)
        if fault:
            raise ValidationError(fault)
        return text


class Storable(fields.String):
    """Any text that Postgres can store, also blank text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not is_storable(value):
            raise ValidationError("Contains characters that cannot be stored.")
        return value


class Id(fields.Integer):
    """A positive bigint, as an integer or as a string of its digits."""

    default_error_messages = {"invalid": "Not an id."}  # noqa: RUF012 (marshmallow's own way)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = parse_id(value)
        if number is None:
            raise self.make_error("invalid")
        return number


class IdOrZero(Id):
    """An id, or 0, which is before all ids."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return 0 if value == "0" else super()._deserialize(value, attr, data, **kwargs)


class Ids(fields.String):
    """Ids in a query, as digits separated by commas; at most as many as a page can have items."""

    _MOST = MAX_LIMIT

    def __init__(self, **settings: Any) -> None:
        super().__init__(metadata={"pattern": "^[0-9]+(,[0-9]+)*$"}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        numbers = [parse_id(digits) for digits in str(value).split(",", self._MOST)]
        if None in numbers or len(numbers) > self._MOST:
            raise ValidationError(f"Not a list of at most {self._MOST} ids, separated by commas.")
        return numbers


class Time(fields.AwareDateTime):
    """An RFC 3339 time with an offset, converted to UTC. Refuses times that Postgres or UTC cannot express."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(format="iso", **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not is_storable(value):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        time = super()._deserialize(value, attr, data, **kwargs)
        try:
            return time.astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None


class Whole(fields.Integer):
    """A whole JSON number; its spelling as a string is refused. Without `most` it has no upper limit."""

    def __init__(self, least: int, most: int | None = None, **settings: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(least, most), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        # In JSON `2015.0` equals 2015. `true` is not 1.
        if type(value) is float and value.is_integer() and abs(value) <= MAX_EXACT_FLOAT:
            return int(value)
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


class Year(Whole):
    """A year from `least` to next year."""

    def __init__(self, least: int, **settings: Any) -> None:
        super().__init__(least, **settings)
        self.validators.append(_not_after_next_year)


def _not_after_next_year(year: int) -> None:
    latest = datetime.now(UTC).year + 1
    if year > latest:
        raise ValidationError(f"Not after {latest}.")


class Digits(fields.Integer):
    """A whole number in a query: digits, and before them at most a minus."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        digits = value.removeprefix("-") if isinstance(value, str) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
            raise self.make_error("invalid", input=value)
        return int(value)


class Flag(fields.Boolean):
    """`true` or `false` in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")
