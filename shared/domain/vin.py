"""Vehicle identification numbers: their form (ISO 3779) and what they say of a car. Pure.

Where the check digit is required (49 CFR 565.15, ISO 3779 leaves it open), a wrong one is a typing mistake. European
makers do not fill it in, so a wrong one is no reason to refuse a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import vininfo

VIN_LENGTH = 17
VIN_PATTERN = "^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$"
"""Without I, O and Q, which look like 1 and 0."""

_FORM = re.compile(VIN_PATTERN.removesuffix("$") + r"\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class DecodedVin:
    """What a number says of its car."""

    vin: str
    maker: str | None
    """None if the maker is not known."""
    years: tuple[int, ...]
    """The model years that it can stand for, the latest first: its letter comes again every 30 years."""
    check_digit_is_right: bool


def normal_vin(text: str) -> str | None:
    """Returns the number in capital letters; None if it does not have the form of a VIN."""
    return text.upper() if _FORM.match(text) else None


def decoded(vin: str) -> DecodedVin:
    """Returns what a number of the right form says."""
    told = vininfo.Vin(vin)
    maker = None if isinstance(told.assembler, vininfo.common.UnsupportedBrand) else told.manufacturer
    return DecodedVin(told.num, maker, tuple(told.years), told.verify_checksum(check_year=False))
