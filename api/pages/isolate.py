"""Keeps people's text from turning the words around it round; api/web/isolate.js does the same. Pure.

Elements and the characters FSI and PDI isolate a text (Unicode, UAX 9). Both end where the text itself ends an isolate,
or begins a paragraph: browsers follow the characters in a `<bdi>` as well. So a text has to be contained first.
"""

from __future__ import annotations

import re
import unicodedata

_TURNING = frozenset({"R", "AL", "AN", "LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""The bidirectional classes of letters written from right to left, and of characters that control directions."""
_MARKS = "\u061c\u200e\u200f"
_PARAGRAPHS = re.compile("[\u2029\x1c-\x1e\x85]")
_ESCAPES = re.compile("[\u2066-\u2069\u2029\x1c-\x1e\x85]")
_BEGINNINGS, _END = "\u2066\u2067\u2068", "\u2069"


def isolated(text: str) -> str:
    """Returns the text between FSI and PDI (Unicode, UAX 9), if it could turn the words around it round."""
    if text.isascii() or not any(unicodedata.bidirectional(one) in _TURNING or one in _MARKS for one in text):
        return text
    return f"\u2068{contained(text)}{_END}"


def contained(text: str) -> str:
    """Returns the text with as many ends of isolates as beginnings, and in one paragraph.

    So nothing in it ends what it is put into. Line ends stay.
    """
    if _ESCAPES.search(text) is None:
        return text
    kept, open_ones = [], 0
    text = _PARAGRAPHS.sub(" ", text)
    for one in text:
        if one in _BEGINNINGS:
            open_ones += 1
        elif one == _END:
            if open_ones == 0:
                continue
            open_ones -= 1
        kept.append(one)
    return "".join(kept) + _END * open_ones
