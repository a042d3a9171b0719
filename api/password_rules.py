"""Refuses new passwords that guessers try first. Pure.

The rules are those of OWASP ASVS 5.0: at least 8 characters (6.2.1), not among the most frequent passwords (6.2.4), any
characters and none that must be there (6.2.5), and nothing that everybody knows of the account (6.2.11). Only new
passwords are checked: those that exist already go on working.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum

from api.common_passwords import COMMON_PASSWORDS
from shared.domain.guessable import is_sequence, repeats
from shared.domain.users import MAX_PASSWORD_LENGTH

TOO_COMMON = "This password is easy to guess. Take several random words, for example."
ABOUT_THE_ACCOUNT = "Must not be your name or your e-mail address."

_LEAST_DIFFERENT = 5
"""Different characters."""
_MOST_ADDED = 6
"""Digits and signs around a word, such as a year and a sign, that do not make it harder to guess."""
_AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_BETWEEN = re.compile(r"[\W_]+")
_DIGITS_FOR_LETTERS = str.maketrans("013457@$", "oleastas")
_SHORTEST_COMMON, _LONGEST_COMMON = 4, 20
_BITS_OF_COMMON = 13.0
"""What one of the common passwords is worth inside another one. Whoever guesses puts the most frequent ones first."""
_BITS_OF_NEIGHBOUR = 1.0
"""What a character is worth that is the same as the one before, or its neighbour: `abcd`, `7777`."""
_LEAST_BITS = 25.0
_BITS_OF = ((str.isalpha, 3.0), (str.isdigit, 3.3))
_BITS_OF_SIGN, _BITS_OF_OTHERS = 4.0, 5.0
_OWN_NAME = frozenset({"daveslist", "davelist", "carlist"})
_SHORTEST_WORD = 3


def common_fault(password: str) -> str | None:
    """Returns why anybody could guess the password, whoever has it; None if not."""
    folded = _folded(password)
    if len(set(folded)) < _LEAST_DIFFERENT or repeats(folded) or is_sequence(folded):
        return TOO_COMMON
    if any(word in COMMON_PASSWORDS or word in _OWN_NAME for word in _words_of(folded)):
        return TOO_COMMON
    return TOO_COMMON if _bits(folded) < _LEAST_BITS else None


class Strength(StrEnum):
    """How hard a password is to guess, for the person who chooses it."""

    REFUSED = "refused"
    FAIR = "fair"
    GOOD = "good"
    STRONG = "strong"


_LEAST_OF = ((52.0, Strength.STRONG), (36.0, Strength.GOOD))
"""Bits."""


def strength(password: str) -> Strength:
    """Returns how hard the password is to guess, of one that has no fault."""
    bits = _bits(_folded(password))
    return next((one for least, one in _LEAST_OF if bits >= least), Strength.FAIR)


def account_fault(password: str, texts: Iterable[str]) -> str | None:
    """Returns why somebody who knows the account could guess the password; `texts` are its name and its address."""
    known = set()
    for text in texts:
        folded = _folded(text)
        local = folded.partition("@")[0]
        known |= {folded, local, *map(_joined, (folded, local)), *_BETWEEN.split(local)}
    known = {word for word in known if len(word) >= _SHORTEST_WORD}
    folded = _folded(password)
    words = {*_words_of(folded), _joined(folded), *_words_of(_joined(folded))}
    return ABOUT_THE_ACCOUNT if words & (known | {word[::-1] for word in known}) else None


def _bits(folded: str) -> float:
    """Returns about how many bits a guesser needs who knows the common passwords and puts them together."""
    plain = folded.translate(_DIGITS_FOR_LETTERS)
    least = [0.0]
    for end in range(1, len(folded) + 1):
        found = least[end - 1] + _bits_of(folded, end - 1)
        for begin in range(max(0, end - _LONGEST_COMMON), end - _SHORTEST_COMMON + 1):
            if folded[begin:end] in COMMON_PASSWORDS or plain[begin:end] in COMMON_PASSWORDS:
                found = min(found, least[begin] + _BITS_OF_COMMON)
        least.append(found)
    return least[-1]


def _bits_of(text: str, position: int) -> float:
    character = text[position]
    if position and abs(ord(character) - ord(text[position - 1])) <= 1:
        return _BITS_OF_NEIGHBOUR
    if not character.isascii():
        return _BITS_OF_OTHERS
    return next((bits for is_one, bits in _BITS_OF if is_one(character)), _BITS_OF_SIGN)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text[: 2 * MAX_PASSWORD_LENGTH]).casefold()


def _joined(text: str) -> str:
    return _BETWEEN.sub("", text)


def _words_of(folded: str) -> set[str]:
    """Returns the whole, and the rest without a few digits and signs around it; both also with letters for digits."""
    words = {folded}
    for text in (folded, folded.translate(_DIGITS_FOR_LETTERS)):
        bare = _AROUND.sub("", text)
        words.add(text)
        if bare and len(text) - len(bare) <= _MOST_ADDED:
            words.add(bare)
            words.add(bare.translate(_DIGITS_FOR_LETTERS))
    return words
