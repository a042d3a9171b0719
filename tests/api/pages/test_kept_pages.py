"""The pages that are kept: never stale, and bounded in bytes."""

from __future__ import annotations

from api.pages.kept import LONGEST, MOST_BYTES, KeptPages


def test_a_page_is_rendered_once_for_what_it_is_made_of() -> None:
    pages, rendered = KeptPages(), []

    def render(text: str) -> bytes:
        rendered.append(text)
        return text.encode()

    first = pages.get(("a", b"1"), lambda: render("one"))
    assert pages.get(("a", b"1"), lambda: render("never")) is first
    second = pages.get(("a", b"2"), lambda: render("two"))
    assert (first.body, second.body, rendered) == (b"one", b"two", ["one", "two"])
    assert first.tag != second.tag


def test_the_pages_together_have_a_bounded_number_of_bytes() -> None:
    pages = KeptPages()
    for number in range(2 * MOST_BYTES // LONGEST):
        pages.get(number, lambda: b"x" * LONGEST)
        pages.get(0, lambda: b"first")
    assert pages.bytes <= MOST_BYTES
    asked: list[int] = []
    pages.get(0, lambda: asked.append(0) or b"")
    pages.get(1, lambda: asked.append(1) or b"")
    assert asked == [1], "the page that is opened most stays, the others go in order"


def test_a_very_long_page_is_not_kept() -> None:
    pages = KeptPages()
    pages.get("long", lambda: b"x" * (LONGEST + 1))
    assert pages.bytes == 0
