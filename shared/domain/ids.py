"""Reads ids that clients send. Pure."""

from __future__ import annotations

import re

MAX_ID = 2**63 - 1
MAX_EXACT_FLOAT = 2**53 - 1
"""A greater number with a point or an exponent may not be the number that was written."""

_DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def parse_id(value: object) -> int | None:
    """A positive bigint, given as a number without a fraction or as its decimal digits; None for anything else.

    JSON has one kind of number: `38.0` and `3.8e1` are 38, and some clients send all numbers as doubles. As text, an id
    has one spelling only.
    """
    if type(value) is str:
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif type(value) is float and value.is_integer() and value <= MAX_EXACT_FLOAT:
        value = int(value)
    if type(value) is int and 0 < value <= MAX_ID:
        return value
    return None
