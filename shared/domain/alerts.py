"""Saved searches, favourites and alerts: what people are told about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_SEARCHES = 50
"""The saved searches of one person."""
MAX_SEARCH_NAME_LENGTH = 100
MAX_FAVOURITES = 1000
"""The favourites of one person."""
MAX_COUNTED = 1000
"""Unseen alerts of a person are counted up to this number."""
MAX_COUNTED_OF_A_SEARCH = 100
"""Unseen alerts of a saved search are counted up to this number, because a person may have many searches."""


class AlertKind(StrEnum):
    """What somebody is told. Each is also the name of the event on the topic `alerts:{user_id}`."""

    MATCH = "match"
    """A listing matches a saved search, or has become cheaper since it was told for this search."""
    PRICE_DROP = "price_drop"
    """A favourite has become cheaper."""
    SOLD = "sold"
    """A favourite is sold."""
    REMOVED = "removed"
    """A favourite is in the trash."""
    ENDED = "ended"
    """A favourite has ended: its seller offers it no longer."""
    ENDS = "ends"
    """The person's own listing will end soon."""
    REPLY = "reply"
    """Somebody has replied to the person's own listing."""


WITHOUT_LISTING = (AlertKind.REMOVED, AlertKind.ENDED)
"""The kinds whose person may no longer see the listing: they are shown with the title that the person knew."""


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A buyer's search: the parameters of the list of listings as text, without those of a page."""

    id: int
    name: str
    query: Mapping[str, str]
    created_at: datetime
    unseen: int
    """The number of its alerts that the person has not seen, counted up to MAX_COUNTED_OF_A_SEARCH."""


class TooManySearches(Exception):
    """The person has MAX_SEARCHES saved searches."""


class SearchNotFound(Exception):
    """The person has no such saved search."""


class TooManyFavourites(Exception):
    """The person has MAX_FAVOURITES favourites."""


class OwnListing(Exception):
    """The listing is the person's own, which cannot be a favourite."""
