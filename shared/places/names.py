"""How names of places are compared: in lower case, without accents and signs. Pure."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = re.compile(r"(?:[^\w\u0900-\u109f\u1780-\u17ff]|_)+")
"""Between words. In the scripts of India and its neighbours, marks that Python does not count as letters are vowels."""
_ACCENTS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans({
    "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "\u0131": "i",
    "\u02bb": None, "\u2019": None, "'": None,
})  # fmt: skip
"""Letters that do not decompose into a plain one and an accent; the last three are apostrophes."""


def plain(name: str) -> str:
    """Returns the name by which the table is searched: words in lower case, with a blank between them."""
    folded = _ACCENTS.sub("", unicodedata.normalize("NFKD", name).casefold()).translate(_LETTERS)
    return _SIGNS.sub(" ", unicodedata.normalize("NFC", folded)).strip()
