"""Ids as clients give them. Pure."""

from __future__ import annotations

import re

MAX_ID = 2**63 - 1

_DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def parse_id(value: object) -> int | None:
    """A positive bigint, given as an integer or as its decimal digits; None for anything else."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is int and 0 < value <= MAX_ID:
        return value
    return None
