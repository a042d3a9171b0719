"""Splits text into the words by which a listing is found. What is stored and what is typed goes through here. Pure.

`folded` removes what people do not tell apart: case, compatibility forms, accents, the points of Arabic and Hebrew,
invisible characters, and the shapes of digits. Marks that make another letter, as in the scripts of India, stay.

`atoms` splits folded text where letters change to digits, so that `F-150`, `F150` and `F 150` have the same atoms.
Text of scripts without blanks, such as Thai and Japanese, is one run, which is found by each of its pairs of
characters (`grams`), because nothing in it says where a word ends.
"""

# ruff: noqa: RUF001 (letters and signs that look alike are meant)

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

VERSION = 1
"""Raise it whenever the same text gets other words. schema.sql then needs the same number in its index of old rows."""

MAX_WORD_LENGTH = 40
"""In characters; a longer word is cut, in what is stored and in what is typed."""
MAX_NAME_LENGTH = 200
"""Of a whole make or model, in folded characters. Postgres allows 2,046 bytes."""

TITLE, JOINED = "^", "+"
"""The marks of words of titles, makes, models and years, and of what is joined from neighbours there."""


class Kind(Enum):
    """What an atom consists of."""

    LETTERS = auto()
    DIGITS = auto()
    RUN = auto()
    """Of a script without blanks."""


class Atom(NamedTuple):
    """A piece of text without a change of kind. `is_attached` means that no blank is between it and the one before."""

    text: str
    kind: Kind
    is_attached: bool


# Letters that Unicode does not decompose, but that people replace by others, and letters that have two codes.
_PLAIN = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n",
    "ґ": "г", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ٱ": "ا", "ة": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه", "ـ": "",
    "ʼ": "'", "ʻ": "'", "’": "'", "・": "",
}  # fmt: skip
_CONNECTORS = frozenset("-./'`´‘‐‑‒–—―−_&+:·~*⁄")
"""A sign between two atoms that can be left out, as in `F-150` and `won't`."""

# Han, kana, Thai, Lao, Burmese, Khmer, Tai Le to Tai Lue, Tai Tham, Balinese, Javanese, and the rarer parts of Han.
_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x1B00, 0x1B7F),
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x303C), (0x3041, 0x30FF), (0x3105, 0x312F),
    (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA980, 0xA9FF), (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip


def folded(text: str) -> str:
    """Returns the text in the one spelling of all that people do not tell apart, with single blanks between words."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(_bare(text).split())


def name_lexeme(field: str, name: str) -> str:
    """Returns the lexeme that stands for a whole make or model, which no word can be: `make=land rover`."""
    return f"{field}={folded(name)[:MAX_NAME_LENGTH]}"


def title_lexeme(found: Iterable[Atom]) -> str:
    """Returns the lexeme that stands for a title of exactly these atoms."""
    return f"title={' '.join(atom.text for atom in found)[:MAX_NAME_LENGTH]}"


def atoms(text: str) -> list[Atom]:
    """Returns the atoms of a text that is not folded yet. A text without a letter or digit has its signs as runs."""
    return [atom for chunk in text.split() for atom in atoms_of_chunk(chunk)] or signs(text)


def signs(text: str) -> list[Atom]:
    """Returns what stands for a text without a letter or digit."""
    return [Atom(sign[:MAX_WORD_LENGTH], Kind.LETTERS, False) for sign in folded(text).split()]


def compounds(found: Sequence[Atom]) -> Iterator[Sequence[Atom]]:
    """Splits atoms into compounds: atoms that nothing but a connector separates. A run is one of its own."""
    begin = 0
    for place in range(1, len(found) + 1):
        if place == len(found) or not found[place].is_attached:
            yield found[begin:place]
            begin = place


def joined(parts: Iterable[str]) -> str:
    """Returns neighbouring atoms as one word."""
    return "".join(parts)[:MAX_WORD_LENGTH]


def neighbours(found: Sequence[Atom]) -> Iterator[tuple[int, int, str]]:
    """Returns the words that people may join from neighbours: `land rover`, `f 150`, `4 x 4`; and 150 000.

    Each is the place of its first atom, the place after its last one, and the joined word.
    """
    for place, (one, other) in enumerate(pairwise(found)):
        if Kind.RUN in (one.kind, other.kind):
            continue
        if one.kind is other.kind is Kind.DIGITS and len(other.text) != 3:
            continue
        yield place, place + 2, joined((one.text, other.text))
        third = found[place + 2] if place + 2 < len(found) else None
        if third and third.kind is one.kind is not other.kind and len(one.text) + len(other.text) + len(third.text) < 9:
            yield place, place + 3, joined((one.text, other.text, third.text))


def grams(run: str) -> list[str]:
    """Returns the overlapping pairs of characters in a run, with their marks, and its last character alone."""
    return list(_grams(run))


def listing_words(titles: Iterable[object], contents: Iterable[object]) -> list[str]:
    """Returns the lexemes of a listing: `titles` are its title, make, model and year, `contents` its other texts.

    Values that are None have no words. A word of both is only marked as one of the title.
    """
    found: set[str] = set()
    plain: set[str] = set()
    for title in titles:
        if title is not None:
            _add_title(found, atoms(str(title)))
    for content in contents:
        if content is not None:
            for chunk in str(content).split():
                plain.update(_chunk_words(chunk))
    found.update(word for word in plain if TITLE + word not in found and JOINED + word not in found)
    return sorted(found)


def _add_title(found: set[str], title: Sequence[Atom]) -> None:
    for atom in title:
        if atom.kind is Kind.RUN:
            found.update(JOINED + gram for gram in _grams(atom.text))
        else:
            found.add(TITLE + atom.text)
    for compound in compounds(title):
        if len(compound) > 1:
            found.add(TITLE + joined(atom.text for atom in compound))
    for _, _, word in neighbours(title):
        if TITLE + word not in found:
            found.add(JOINED + word)


def _chunk_words(chunk: str) -> tuple[str, ...]:
    """Returns the words of a chunk of content."""
    return _known_words(chunk) if len(chunk) <= MAX_WORD_LENGTH else _words_of(_split(chunk))


def atoms_of_chunk(chunk: str) -> tuple[Atom, ...]:
    """Returns the atoms of a text without blanks."""
    return _known_atoms(chunk) if len(chunk) <= MAX_WORD_LENGTH else _split(chunk)


# Most words of a text have been seen before. Long ones are not kept: each may be another, and as long as a whole text.
@lru_cache(maxsize=16_384)
def _known_words(chunk: str) -> tuple[str, ...]:
    return _words_of(_split(chunk))


@lru_cache(maxsize=16_384)
def _known_atoms(chunk: str) -> tuple[Atom, ...]:
    return _split(chunk)


def _words_of(found: Sequence[Atom]) -> tuple[str, ...]:
    words: list[str] = []
    for compound in compounds(found):
        if len(compound) > 1:
            words.append(joined(atom.text for atom in compound))
        for atom in compound:
            if atom.kind is Kind.RUN:
                words += _grams(atom.text)
            else:
                words.append(atom.text)
    return tuple(words)


def _split(chunk: str) -> tuple[Atom, ...]:
    # Folding it may make blanks: some signs stand for several words.
    text = chunk.lower() if chunk.isascii() else _bare(chunk)
    found: list[Atom] = []
    between = " "
    for kind, characters in groupby(text, _kind):
        piece = "".join(characters)
        if kind is None:
            between = piece
            continue
        is_attached = bool(found) and _is_attached(found[-1].kind, kind, between)
        found.append(Atom(piece if kind is Kind.RUN else piece[:MAX_WORD_LENGTH], kind, is_attached))
        between = ""
    return tuple(found)


def _is_attached(before: Kind, kind: Kind, between: str) -> bool:
    if Kind.RUN in (before, kind):
        return False
    return not between or between in _CONNECTORS or (between == "," and before is kind is Kind.DIGITS)


def _grams(run: str) -> Iterator[str]:
    letters: list[str] = []
    for character in run:
        if letters and unicodedata.category(character)[0] == "M":
            letters[-1] += character
        else:
            letters.append(character)
    for one, other in pairwise(letters):
        yield joined((one, other))
    yield joined(letters[-1:])


def _kind(character: str) -> Kind | None:
    return _KINDS[character]


class _Kinds(dict[str, Kind | None]):
    def __missing__(self, character: str) -> Kind | None:
        kind = self[character] = _kind_of(character)
        return kind


def _kind_of(character: str) -> Kind | None:
    if character.isdecimal():
        return Kind.DIGITS
    if unicodedata.category(character)[0] not in "LMN":
        return None
    return Kind.RUN if any(first <= ord(character) <= last for first, last in _WITHOUT_BLANKS) else Kind.LETTERS


_KINDS = _Kinds()


def _bare(text: str) -> str:
    small = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", small).translate(_BARE))


class _Bare(dict[int, str]):
    """What each character becomes, found when it is first seen."""

    def __missing__(self, code: int) -> str:
        plain = self[code] = _bare_of(chr(code))
        return plain


def _bare_of(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # Katakana and hiragana spell the same sounds.
    if "\u3041" <= character <= "\u3096":
        return chr(ord(character) + 0x60)
    category, combining = unicodedata.category(character), unicodedata.combining(character)
    is_point = 10 <= combining <= 36
    is_accent = combining == 1 or combining >= 200
    is_variation = character == "\u034f" or "\u180b" <= character <= "\u180f" or "\ufe00" <= character <= "\ufe0f"
    if category in ("Cf", "Me") or is_point or is_accent or is_variation or "\U000e0100" <= character <= "\U000e01ef":
        return ""
    return character


_BARE = _Bare()
