"""What text may be kept, and what text says anything at all. Pure.

Postgres has no NUL, and UTF-8 no lone surrogates, though JSON can spell both.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    r"[\s"
    # Control characters but NUL, which `is_storable` refuses.
    r"\x01-\x1f\x7f-\x9f"
    # What Unicode calls default ignorable: soft hyphen, joiners, bidi controls, fillers, variation selectors, tags.
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Blank all the same: the empty braille cell, annotation marks, a note without a head, hieroglyphs without ink.
    r"\u2800\ufff9-\ufffb\U0001d159\U00013430-\U00013440\U00013441\U00013442"
    r"]*"
)
_MARKS = frozenset({"Mn", "Me"})
"""Accents and the like: drawn on the character before them, so that without one there is nothing."""


_SMALL_NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def in_words(number: int) -> str:
    """A count as a sentence has it: `ten`, and digits above twelve."""
    return _SMALL_NUMBERS[number] if number < len(_SMALL_NUMBERS) else f"{number:,}"


def is_storable(text: str) -> bool:
    """Whether Postgres can keep it, exactly as it is."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_blank(text: str) -> bool:
    """Whether there is nothing in it to be seen: spaces, characters without a picture, accents on nothing."""
    position = 0
    while True:
        match = _INVISIBLE.match(text, position)
        position = match.end() if match else position
        if position == len(text):
            return True
        if unicodedata.category(text[position]) not in _MARKS:
            return False
        position += 1


def text_fault(text: str, longest: int) -> str | None:
    """Why this is no text of 1 to `longest` characters that says something, or None if it is one."""
    if not text or text.isspace():
        return "Must not be blank."
    if len(text) > longest:
        return f"Longer than {longest} characters."
    if is_blank(text):
        return "Must not be blank."
    if not is_storable(text):
        return "Contains characters that cannot be stored."
    return None
