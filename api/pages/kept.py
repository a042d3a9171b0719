"""Keeps the pages that were rendered last, because many people open the same ones.

A page is kept under all that it is made of: the answers of the API, as they were just read, and the address. So a kept
page is never older than what would be rendered instead. It is kept as it is sent: the compressed form is another page.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from api.pages.document import Page

MOST_BYTES = 10_000_000
"""Of all kept pages together, without what they share: thousands of cars."""
LONGEST = 200_000
"""Bytes of a page; longer ones are not kept."""


class KeptPages:
    """The least recently opened page goes first."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, Page] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of all kept pages."""
        return self._bytes

    def get(self, made_of: Hashable, render: Callable[[], Page]) -> Page:
        """Returns the page that is made of this, rendered now or kept from before."""
        kept = self._pages.get(made_of)
        if kept is not None:
            self._pages.move_to_end(made_of)
            return kept
        page = render()
        if page.own_bytes <= LONGEST:
            self._pages[made_of] = page
            self._bytes += page.own_bytes
            while self._bytes > MOST_BYTES:
                _, oldest = self._pages.popitem(last=False)
                self._bytes -= oldest.own_bytes
        return page
