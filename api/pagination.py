"""Pages of lists. An opaque cursor names the last row of a page, so added rows do not shift the next page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from api.answers import Page
from api.problems import Invalid
from shared.domain.ids import MAX_ID
from shared.domain.text import is_storable

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Row = TypeVar("Row")
Shown = TypeVar("Shown")
Position = TypeVar("Position")


def encode_cursor(position: Any) -> str:
    """Returns the cursor for a position: a value that msgspec can encode, usually a tuple. Datetimes stay exact."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, position_type: type[Position]) -> Position | None:
    """Returns the position in a cursor, of a type like `tuple[datetime, int]`. Raises Invalid for any other text."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        position = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=position_type)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise Invalid({"cursor": ["Not a cursor of this list."]}) from None
    if not all(map(_is_possible, position if isinstance(position, tuple) else (position,))):
        raise Invalid({"cursor": ["Not a cursor of this list."]})
    return position


def _is_possible(value: object) -> bool:
    """True if Postgres can compare rows with the value."""
    match value:
        case int():
            return -MAX_ID <= value <= MAX_ID
        case str():
            return is_storable(value)
        case datetime():
            # Cursors have times in UTC only. With another offset, converting a time could overflow.
            return value.utcoffset() == timedelta(0)
        case _:
            return True


def page(
    rows: Sequence[Row], limit: int, present: Callable[[Row], Shown], position: Callable[[Row], Any]
) -> Page[Shown]:
    """Returns a page of `limit` rows. The caller reads one row more, which says whether another page follows."""
    shown = rows[:limit]
    next_cursor = encode_cursor(position(shown[-1])) if len(rows) > limit else None
    return Page([present(row) for row in shown], next_cursor)
