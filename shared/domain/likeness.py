"""Whether two texts are the same or nearly the same, however one of them was reworded. Pure.

A text is compared by its sketch: the hashes of its trigrams, which are all parts of three characters of its words. Two
texts are nearly the same if they share at least LEAST_SHARED of the trigrams that either has. So another name, another
greeting or another order of the sentences changes little. Numbers standing alone are left out, because prices differ;
letters that look alike count as the same, and what nobody sees is left out.

A long text keeps the MAX_SKETCH least hashes, which estimate the shared part as well as all would (Broder, "On the
resemblance and containment of documents", 1997).
"""

from __future__ import annotations

import re
import struct
import unicodedata
from typing import NamedTuple

from shared.domain.messages import MAX_TEXT_LENGTH
from shared.domain.names import skeleton
from shared.domain.text import without_invisible

MAX_SKETCH = 128
LEAST_SHARED = 0.55
SHORT_LETTERS = 60
"""A text of at most so many letters is short: many people ask the same short question."""

_AWAY = re.compile(r"https?:|www\.|@|\w\.[a-z]{2,}\b|(?:\d[\s().+/-]*){7,}", re.IGNORECASE)
"""A link, a mail address or a phone number: whoever writes one wants to be reached elsewhere."""
_NUMBER = re.compile(r"(?<!\w)[\d][\d.,'\s]*(?!\w)")
_WORD = re.compile(r"[^\W_]+")
_SPACED = re.compile(r"\b(?:[^\W_] ){2,}[^\W_]\b")
"""Letters with spaces between them, which are read as one word."""

Sketch = frozenset[int]


class Looks(NamedTuple):
    """What is compared of a text."""

    sketch: Sketch
    """The hashes of its trigrams, at most MAX_SKETCH. Equal texts have equal sketches."""
    is_short_question: bool
    """Whether it is so short that honest people send it to many, and leads nobody away from the site."""


def looks_of(text: str) -> Looks:
    """Returns what is compared of a text of at most MAX_TEXT_LENGTH characters."""
    visible = _visible(text)
    words = _words(visible)
    is_short = sum(map(len, words)) <= SHORT_LETTERS and not _AWAY.search(visible)
    return Looks(_sketch(text, words), is_short)


def _sketch(text: str, words: list[str]) -> Sketch:
    if not words:
        # Only signs, as emoji are.
        words = ["".join(text.split())]
    # Two spaces between words keep their order out of the trigrams. The last factor is Knuth's, for hashes by
    # multiplication.
    codes = list(map(ord, f"  {'  '.join(words)}  "))
    hashes = {
        ((a * 65_599 + b) * 65_599 + c) * 2_654_435_761 & 0xFFFFFFFF
        for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)
    }
    return frozenset(hashes if len(hashes) <= MAX_SKETCH else sorted(hashes)[:MAX_SKETCH])


def are_alike(one: Sketch, other: Sketch) -> bool:
    """Whether the texts of these sketches are nearly the same."""
    shared = one & other
    # Most texts differ so much that their other trigrams need not be looked at.
    if len(shared) < LEAST_SHARED * max(len(one), len(other)):
        return False
    least = one | other
    if len(least) > MAX_SKETCH:
        least = frozenset(sorted(least)[:MAX_SKETCH])
    return len(shared & least) >= LEAST_SHARED * len(least)


def packed(of: Sketch) -> bytes:
    """Returns the sketch as the database keeps it: numbers of four bytes."""
    return struct.pack(f">{len(of)}I", *sorted(of))


def unpacked(stored: bytes) -> Sketch:
    """Returns the sketch that `packed` made these bytes of."""
    return frozenset(struct.unpack(f">{len(stored) // 4}I", stored))


def _visible(text: str) -> str:
    """Returns the text without characters that nobody sees, in plain letters, and as long as a text may be.

    One character can stand for eighteen plain letters, and work on all of them would take a tenth of a second.
    """
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text)[:MAX_TEXT_LENGTH]
    return without_invisible("".join(one for one in plain if unicodedata.category(one) not in ("Cf", "Mn", "Me")))


def _words(visible: str) -> list[str]:
    """Returns the words of a visible text, folded so that those that look alike are equal, without numbers."""
    plain = _NUMBER.sub(" ", visible)
    together = _SPACED.sub(lambda found: found[0].replace(" ", ""), plain)
    return _WORD.findall(skeleton(together)[:MAX_TEXT_LENGTH])
