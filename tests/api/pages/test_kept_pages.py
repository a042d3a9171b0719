"""The pages that are kept: never stale, and bounded in bytes."""

from __future__ import annotations

import random

from api.pages.document import Page
from api.pages.kept import LONGEST, KeptPages

MOST_BYTES = 10_000_000


def a_page(text: bytes) -> Page:
    return Page(text, b"", b"", "tag")


def test_a_page_is_rendered_once_for_what_it_is_made_of() -> None:
    pages, rendered = KeptPages(MOST_BYTES), []

    def render(text: bytes) -> Page:
        rendered.append(text)
        return a_page(text)

    first = pages.get("a", (b"1",), lambda: render(b"one"))
    assert pages.get("a", (b"1",), lambda: render(b"never")) is first
    second = pages.get("a", (b"2",), lambda: render(b"two"))
    assert (first.body, second.body, rendered) == (b"one", b"two", [b"one", b"two"])


def test_the_pages_together_have_a_bounded_number_of_bytes() -> None:
    pages = KeptPages(MOST_BYTES)
    noise = random.Random(1).randbytes(LONGEST)
    for number in range(2 * MOST_BYTES // LONGEST):
        pages.get("a", (number,), lambda: a_page(noise))
        pages.get("a", ("first",), lambda: a_page(b"first"))
    assert pages.size <= MOST_BYTES
    assert pages.get("a", ("first",), lambda: a_page(b"anew")).body == b"first", "the page that is opened most stays"
    assert pages.get("a", (1,), lambda: a_page(b"anew")).body == b"anew", "the others go in order"


def test_a_very_long_page_is_not_kept() -> None:
    pages = KeptPages(MOST_BYTES)
    pages.get("a", ("long",), lambda: a_page(b"x" * (LONGEST + 1)))
    assert pages.size == 0


def test_what_a_page_is_made_of_counts_as_well() -> None:
    pages = KeptPages(MOST_BYTES)
    pages.get("a", ("x" * 100, b"y" * 20, None, 1), lambda: a_page(b"z" * 3))
    assert pages.size == 123
