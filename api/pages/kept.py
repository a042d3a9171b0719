"""Keeps the pages that were rendered last, because many people open the same ones.

A page is kept under all that it is made of: the answers of the API, as they were just read, and the address. So a kept
page is never older than what would be rendered instead. It is kept as it is sent: the compressed form is another page.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from api.pages.document import Page

LONGEST = 200_000
"""Bytes of a page with what it is made of; longer ones are not kept."""


class KeptPages:
    """The least recently opened page goes first."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` is for all kept pages together, with what they are made of, without what they share."""
        self._most_bytes = most_bytes
        self._pages: OrderedDict[Hashable, tuple[Page, int]] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of all kept pages."""
        return self._bytes

    def get(self, frame: Hashable, made_of: tuple[Hashable, ...], render: Callable[[], Page]) -> Page:
        """Returns the page that is made of this, rendered now or kept from before. Many pages share the `frame`."""
        key = (frame, made_of)
        kept = self._pages.get(key)
        if kept is not None:
            self._pages.move_to_end(key)
            return kept[0]
        page = render()
        size = page.own_bytes + sum(len(part) for part in made_of if isinstance(part, str | bytes))
        if size <= LONGEST:
            self._pages[key] = page, size
            self._bytes += size
            while self._bytes > self._most_bytes:
                _, (_, gone) = self._pages.popitem(last=False)
                self._bytes -= gone
        return page
