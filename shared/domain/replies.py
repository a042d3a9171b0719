"""Replies to a listing, and the age up to which a listing can get replies. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_REPLY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a listing. The name of an author who has left is empty."""

    id: int
    listing_id: int
    author_id: int
    author_name: str
    text: str
    created_at: datetime


class ReplyNotFound(Exception):
    """There is no such reply."""


def is_too_old(listed_at: datetime, now: datetime) -> bool:
    """Whether a listing of that time is more than a year old, and gets no more replies."""
    try:
        a_year_later = listed_at.replace(year=listed_at.year + 1)
    except ValueError:
        # The 29th of February.
        a_year_later = listed_at.replace(year=listed_at.year + 1, month=3, day=1)
    return a_year_later < now
