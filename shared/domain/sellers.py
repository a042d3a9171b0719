"""Facts about a seller, for people who think of dealing with them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_ASKERS = 3
"""Answers of fewer people are not counted: they would tell what happened between two people."""
MOST_ASKERS = 50
"""Only the latest so many people count."""
ANSWER_DAYS = 90
"""Only people who wrote first in the last so many days count."""
MOST_COUNTED = 1000
"""Listings are counted up to this number."""


@dataclass(frozen=True, slots=True)
class Seller:
    """What may be known of a seller: no address, and nothing of when they were last here."""

    id: int
    name: str
    member_since: str
    """A month, such as 2026-11."""
    has_confirmed_address: bool
    listing_count: int
    """Those that visitors see, counted up to MOST_COUNTED."""
    askers: int
    """People whose first message to each other was to the seller and named one of the seller's listings."""
    answered: int
    """Those of them to whom the seller wrote back within a day."""

    @property
    def answered_percent(self) -> int | None:
        """The share of people who were answered within a day; None if too few have asked."""
        return None if self.askers < LEAST_ASKERS else round(100 * self.answered / self.askers)
