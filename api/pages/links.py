"""Finds addresses of the web in what people wrote, as api/web/links.js does, and makes links of them. Pure."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from api.pages.isolate import contained

# The blanks of JavaScript's `\s`. Only these schemes are links: others can run scripts or start programs.
_BLANKS = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_ADDRESS = re.compile(rf"""(?<![A-Za-z0-9_])https?://[^{_BLANKS}<>"]+""", re.IGNORECASE | re.ASCII)
_END = ".,;:!?'*_~\u201d\u2019\xbb\u2026)]"
"""What ends a sentence is no part of an address."""
_HOST = re.compile(r"https?://([^/?#\\]+)", re.IGNORECASE | re.ASCII)
# What browsers refuse in a host. With a name before it, an address only looks as if it led there.
_FORBIDDEN = re.compile(r"[@^|%<>\[\]\x00-\x1f\x7f-\x9f]")
_LINK = Markup('<a href="{0}" target="_blank" rel="nofollow ugc noopener noreferrer">{0}</a>')
"""Search engines count no such link as ours, and the other site does not learn where the reader came from."""


def linked(text: str) -> Markup:
    """Returns the text as HTML, in which addresses are links and all else is escaped."""
    text = contained(text)
    if "://" not in text:
        return escape(text)
    parts: list[Markup] = []
    end = 0
    for found in _ADDRESS.finditer(text):
        address = _without_end(found[0])
        if _leads_where_it_says(address):
            parts += [escape(text[end : found.start()]), _LINK.format(address)]
            end = found.start() + len(address)
    return Markup("").join([*parts, escape(text[end:])])


def _without_end(found: str) -> str:
    """A closing bracket belongs to an address that has its opening one, as in Wikipedia's."""
    cut = found.rstrip(_END)
    return f"{cut})" if found.startswith(")", len(cut)) and "(" in cut and ")" not in cut else cut


def _leads_where_it_says(address: str) -> bool:
    host = _HOST.match(address)
    return host is not None and _FORBIDDEN.search(host[1]) is None
