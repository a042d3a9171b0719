"""People's text inside a sentence, where there can be no `<bdi>`: api/web/isolate.js does the same. Pure."""

from __future__ import annotations

import unicodedata

_TURNING = frozenset({"R", "AL", "AN", "LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""The bidirectional classes of letters written from right to left, and of characters that control directions."""
_MARKS = "\u061c\u200e\u200f"
_BEGINNINGS, _END = "\u2066\u2067\u2068", "\u2069"


def isolated(text: str) -> str:
    """Returns the text between FSI and PDI (Unicode, UAX 9), if it could turn the words around it round."""
    if text.isascii() or not any(unicodedata.bidirectional(one) in _TURNING or one in _MARKS for one in text):
        return text
    return f"\u2068{_balanced(text)}{_END}"


def _balanced(text: str) -> str:
    """Returns the text with as many ends of isolates as beginnings, so that nothing in it ends what it is put into."""
    kept, open_ones = [], 0
    for one in text:
        if one in _BEGINNINGS:
            open_ones += 1
        elif one == _END:
            if open_ones == 0:
                continue
            open_ones -= 1
        kept.append(one)
    return "".join(kept) + _END * open_ones
