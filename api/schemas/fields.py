"""Marshmallow fields for the input of this API: text that can be stored, ids, numbers, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.pagination import MAX_LIMIT
from api.schemas.bounds import Length, Range
from shared.domain.email_addresses import InvalidAddress, kept
from shared.domain.geography import metres, point
from shared.domain.ids import MAX_EXACT_FLOAT, parse_id
from shared.domain.listings import MAX_SHORT_TEXT_LENGTH
from shared.domain.passwords import MOST_TYPED, prepared
from shared.domain.text import is_storable, text_fault, tidied
from shared.domain.users import MAX_EMAIL_LENGTH
from shared.domain.vin import VIN_LENGTH, VIN_PATTERN, normal_vin
from shared.places import find_place

_NOT_WHOLE = "Not a whole number."
_LEAP_SECOND = re.compile("(T[0-9]{2}:59):60(.*)", re.DOTALL)


class Text(fields.String):
    """Text that is not blank, kept composed, without blanks at its ends. `longest` is in characters of what is kept."""

    def __init__(self, *, longest: int, **settings: Any) -> None:
        self.longest = longest
        super().__init__(metadata={"minLength": 1, "maxLength": longest}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        # Composing very long text takes seconds. The length counts again afterwards: a few characters become more.
        fault = text_fault(value.strip(), self.longest)
        text = value if fault else tidied(value)
        fault = fault or text_fault(text, self.longest)
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


class Trimmed(Storable):
    """Such text without the blanks at its ends. It has at most `longest` characters with them."""

    def __init__(self, longest: int, **settings: Any) -> None:
        self._longest = longest
        super().__init__(validate=Length(max=longest), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        # The validator says of a text that is too long what is wrong with it.
        return text if len(text) > self._longest else text.strip()


class EmailAddress(Trimmed):
    """An e-mail address, as it is kept (shared/domain/email_addresses.py)."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(MAX_EMAIL_LENGTH, metadata={"format": "idn-email"}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > MAX_EMAIL_LENGTH:
            return text
        try:
            return kept(text)
        except InvalidAddress as error:
            raise ValidationError(str(error)) from None


class Password(Storable):
    """A password, as it is kept (shared/domain/passwords.py). `shortest` and `longest` are in characters of that."""

    def __init__(self, shortest: int | None, longest: int, **settings: Any) -> None:
        self._longest = longest
        super().__init__(validate=[Length(shortest, longest), *settings.pop("validate", ())], **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        # Composing very long text takes seconds.
        return prepared(text) if len(text) <= MOST_TYPED * self._longest else text


class GivenPassword(Password):
    """A password that is only compared, so it stays as it was typed."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = Storable._deserialize(self, value, attr, data, **kwargs)
        if len(text) > self._longest and len(super()._deserialize(value, attr, data, **kwargs)) <= self._longest:
            # It is short enough as it is kept. Nobody has it as typed, because that would always have been too long.
            return prepared(text)
        return text


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
    """An RFC 3339 time with an offset, converted to UTC. Refuses times that Postgres or UTC cannot express.

    A leap second (5.7), which no clock here has, is the second after it.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(format="iso", **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not is_storable(value):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        # `t` and `z` may be small letters (RFC 3339, 5.6).
        value, leaps = _LEAP_SECOND.subn(r"\1:59\2", value.upper())
        time = super()._deserialize(value, attr, data, **kwargs)
        try:
            utc = time.astimezone(UTC)
            if leaps and (utc.hour, utc.minute) != (23, 59):
                raise self.make_error("invalid", input=value, obj_type="datetime")
            return utc.replace(microsecond=0) + timedelta(seconds=1) if leaps else utc
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None


class Whole(fields.Integer):
    """A whole JSON number; its spelling as a string is refused. Without `most` it has no upper limit."""

    default_error_messages = {"invalid": _NOT_WHOLE}  # noqa: RUF012 (marshmallow's own way)

    def __init__(self, least: int, most: int | None = None, **settings: Any) -> None:
        super().__init__(strict=True, validate=Range(least, most), **settings)

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
        raise ValidationError(f"Not later than next year, {latest}.")


class Vin(fields.String):
    """A vehicle identification number, which is kept in capital letters."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(metadata={"pattern": VIN_PATTERN, "example": "1HGCM82633A004352"}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        vin = normal_vin(value) if isinstance(value, str) else None
        if vin is None:
            raise ValidationError(f"Not a VIN: {VIN_LENGTH} letters and digits, without I, O and Q.")
        return vin


class Digits(fields.Integer):
    """A whole number in a query: digits, and before them at most a minus."""

    default_error_messages = {"invalid": _NOT_WHOLE}  # noqa: RUF012 (marshmallow's own way)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        digits = value.removeprefix("-") if isinstance(value, str) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
            raise self.make_error("invalid", input=value)
        return int(value)


class Near(fields.String):
    """A town, a ZIP code, or `latitude,longitude` in a query."""

    def __init__(self, **settings: Any) -> None:
        metadata = {"minLength": 1, "maxLength": MAX_SHORT_TEXT_LENGTH, "example": "Austin, TX"}
        super().__init__(metadata=metadata, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        fault = text_fault(str(value), MAX_SHORT_TEXT_LENGTH)
        if fault:
            raise ValidationError(fault)
        try:
            at = point(value)
        except ValueError:
            raise ValidationError("There is no such latitude or longitude.") from None
        found = at or find_place(value)
        if found is None:
            raise ValidationError("No known town or ZIP code, and no `latitude,longitude`.")
        return found


class Distance(fields.String):
    """A distance in a query, with its unit."""

    def __init__(self, **settings: Any) -> None:
        metadata = {"pattern": "^[0-9]{1,6}(\\.[0-9]{1,6})?(km|mi)$", "example": "30km"}
        super().__init__(metadata=metadata, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        found = metres(str(value))
        if found is None:
            raise ValidationError("Not a distance like `30km` or `20mi`, or longer than the earth is round.")
        return found


class AnyOf(fields.List[Any]):
    """Values in a query, of which any will do: separated by commas, or the parameter several times."""

    _MOST = 50

    def __init__(self, inner: fields.Field[Any], **settings: Any) -> None:
        super().__init__(inner, metadata={"minItems": 1, "maxItems": self._MOST}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        given = str(value).split(",", self._MOST)
        if len(given) > self._MOST:
            raise ValidationError(f"At most {self._MOST} values.")
        try:
            # The order does not matter, so equal searches look equal.
            return tuple(sorted(set(super()._deserialize(given, attr, data, **kwargs))))
        except ValidationError as error:
            wrong: Any = error.messages
            raise ValidationError([f"{given[at]}: {what}" for at, found in wrong.items() for what in found]) from None


class Flag(fields.Boolean):
    """`true` or `false` in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class Truth(fields.Boolean):
    """`true` or `false` in JSON; 1 and 0 are neither."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Different(fields.List[Any]):
    """A list of at most `most` values, each only once."""

    def __init__(self, inner: fields.Field[Any], most: int, **settings: Any) -> None:
        super().__init__(inner, validate=[validate.Length(max=most), _only_once], **settings)
        self.metadata = {**self.metadata, "uniqueItems": True}


def _only_once(values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise ValidationError("Has a value more than once.")
