"""Findings: what the site notices by itself and moderators should look at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.reports import ReportedListing


class FindingKind(StrEnum):
    """What a listing has in common with an earlier one of somebody else."""

    SAME_PICTURE = "same_picture"
    SAME_VIN = "same_vin"


@dataclass(frozen=True, slots=True)
class FoundListing:
    """One of the two listings of a finding, as it is now, and its seller."""

    listing: ReportedListing
    seller_id: int
    seller_name: str
    picture_url: str | None
    """Its picture that the other listing has too, small; None if that was deleted, or it is not about pictures."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the site noticed; open while `decided_at` is None."""

    id: int
    kind: FindingKind
    created_at: datetime
    decided_at: datetime | None
    decided_by: int | None
    found: FoundListing
    """The listing that came later."""
    earlier: FoundListing


class FindingNotFound(Exception):
    """There is no such finding."""
