"""Passwords as people type them: which spellings are one password. Pure.

The same character may be typed as one code point or as several: a Mac and a PC differ in this, and so do keyboards. So
a password is prepared as RFC 8265's profile OpaqueString says (4.2.2): any space becomes the ASCII space, and the text
is composed (NFC). Case and width stay.

A new password has no character that its owner could not type again, or that Unicode may define later, and then also
compose in another way. These are those that the profile forbids (RFC 8264, 4.3), but joiners and variation selectors
stay, which keyboards type inside emojis and inside words of some languages. At a log-in nothing is refused.
"""

from __future__ import annotations

import unicodedata

from shared.domain.text import has_invisible

MOST_TYPED = 4
"""The most code points of a character as typed. Longer sequences exist, and nobody types them."""

CONTROL = "Contains control characters."
INVISIBLE = "Contains invisible characters."
NOT_DEFINED = "Contains characters that are not defined."

_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
_NOT_DEFINED = frozenset({"Cn", "Co", "Cs"})
"""Not assigned, of private use, halves of a character."""
_TYPED_INVISIBLE = dict.fromkeys((0x200C, 0x200D, *range(0xFE00, 0xFE10)))


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


def unfit(password: str) -> str | None:
    """Returns why nobody may set this password, as a sentence; None if its characters are fine."""
    if password.isascii() and password.isprintable():
        return None
    categories = {unicodedata.category(character) for character in password}
    if categories & _CONTROLS:
        return CONTROL
    if categories & _NOT_DEFINED:
        return NOT_DEFINED
    return INVISIBLE if has_invisible(password.translate(_TYPED_INVISIBLE)) else None
