"""Checks whether text can be stored, and whether it has anything visible. Pure.

JSON can express NUL and lone surrogates. Postgres cannot store NUL, and UTF-8 cannot encode lone surrogates.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    r"[\s"
    # Control characters except NUL, which `is_storable` refuses.
    r"\x01-\x1f\x7f-\x9f"
    # Unicode's default ignorable: soft hyphen, joiners, bidi controls, fillers, variation selectors, tags.
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Other invisible characters: the empty braille cell, annotation marks, the place of an object, a note without a
    # head, blank hieroglyphs; and the last two of each plane, which will never be characters.
    r"\u2800\ufff9-\ufffc\ufdd0-\ufdef\U0001d159\U00013430-\U00013440\U00013441\U00013442"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + r"]*"
)
_MARKS = frozenset({"Mn", "Me"})
"""Categories of accents and other marks: they are drawn on the character before them, and are invisible alone."""


_SMALL_NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def in_words(number: int) -> str:
    """Returns a count as sentences write it: in words up to twelve, above in digits."""
    return _SMALL_NUMBERS[number] if number < len(_SMALL_NUMBERS) else f"{number:,}"


def tidied(text: str) -> str:
    """Returns the text as it is stored: composed (NFC), without blanks at its ends."""
    return unicodedata.normalize("NFC", text).strip()


def is_storable(text: str) -> bool:
    """True if Postgres can store the text unchanged."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_invisible(text: str) -> str:
    """Returns the text without the characters that nobody sees, except spaces."""
    return "".join(one for one in text if one.isspace() or not _INVISIBLE.fullmatch(one))


def has_invisible(text: str) -> bool:
    """True if the text has characters that nobody sees, except spaces."""
    return any(_INVISIBLE.fullmatch(character) for character in text if not character.isspace())


def is_blank(text: str) -> bool:
    """True if nothing of the text is visible: only spaces, invisible characters, and accents on these."""
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
    """Returns why the text is refused: blank, longer than `longest` characters, or not storable. None if it is fine."""
    if not text or text.isspace():
        return "Must not be blank."
    if len(text) > longest:
        return f"Longer than {longest} characters."
    if is_blank(text):
        return "Must not be blank."
    if not is_storable(text):
        return "Contains characters that cannot be stored."
    return None
