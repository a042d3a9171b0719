"""Replies to a listing, and until when a listing accepts replies. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_REPLY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a listing. `author_name` is "" if the author's account was deleted."""

    id: int
    listing_id: int
    author_id: int
    author_name: str
    text: str
    created_at: datetime


class ReplyNotFound(Exception):
    """There is no such reply."""


def is_too_old(listed_at: datetime, now: datetime) -> bool:
    """True if a listing of this time is more than a year old, so that it accepts no replies."""
    try:
        a_year_later = listed_at.replace(year=listed_at.year + 1)
    except ValueError:
        # February 29
        a_year_later = listed_at.replace(year=listed_at.year + 1, month=3, day=1)
    return a_year_later < now
