"""Reads ids that clients send. Pure."""

from __future__ import annotations

import re

MAX_ID = 2**63 - 1
MAX_EXACT_FLOAT = 2**53 - 1
"""Above this, a number written with a point or an exponent may lose digits in a double."""

_DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def parse_id(value: object) -> int | None:
    """Returns a positive bigint, given as a whole number or as its decimal digits; None for anything else.

    JSON has one kind of number: `38.0` and `3.8e1` are 38, and some clients send all numbers as doubles. As text, an
    id has only one spelling.
    """
    if type(value) is str:
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif type(value) is float and value.is_integer() and value <= MAX_EXACT_FLOAT:
        value = int(value)
    if type(value) is int and 0 < value <= MAX_ID:
        return value
    return None
