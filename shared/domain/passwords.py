"""Passwords as people type them: which spellings are one password. Pure.

The same character may be typed as one code point or as several: a Mac and a PC differ in this, and so do keyboards. So
a password is prepared as RFC 8265's profile OpaqueString says (4.2.2): any space becomes the ASCII space, and the text
is composed (NFC). Case and width stay. What this Python does not know yet, such as a new emoji, is not refused.
"""

from __future__ import annotations

import unicodedata

MOST_TYPED = 4
"""The most code points of a character as typed. Longer sequences exist, and nobody types them."""

CONTROL = "Contains control characters."


def prepared(typed: str) -> str:
    """Returns the password as it is hashed. `typed` should have bounds: composing very long text takes seconds."""
    if typed.isascii():
        return typed
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in typed)
    return unicodedata.normalize("NFC", spaced)


def writings(typed: str) -> tuple[str, ...]:
    """Returns what a stored hash may be of: the prepared password and, if it differs, the one as typed."""
    password = prepared(typed)
    return (password,) if password == typed else (password, typed)


def has_control(password: str) -> bool:
    """True if the password has a character that no keyboard types into a form, which the profile refuses."""
    return any(unicodedata.category(character) == "Cc" for character in password)
