"""People's text in every rendered page, with a parser that follows the standard: it stays text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies
from selectolax.lexbor import LexborHTMLParser

from api.handlers.feeds import in_xml
from api.pages import asked, structured
from api.pages.cards import cards_of
from api.pages.parts import parts_of
from api.pages.rendering import embedded, rendered
from api.pages.units import Units
from shared.domain.text import is_storable
from tests.api.pages.hostile import HOSTILE
from tests.support.examples import examples

UNITS = Units("USD", "mi")
FRAME: dict[str, Any] = {
    "units": UNITS, "version": "1", "needed": "", "origin": "https://cars.example.com",
    "description": "", "layout": "", "asked": asked.NOTHING, "answers": None, "login": "/login", "is_listed": True,
    "path": "/",
    "fields": {name: {"maxlength": 9, "min": 0, "max": 9} for name in
               ("q", "make", "model", "year_min", "year_max", "price_min", "price_max", "mileage_max", "power_kw_min",
                "owners_max")},
}  # fmt: skip
PLAIN = "Plain"


class NoErrors(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def a_listing(text: str) -> dict[str, Any]:
    return {
        "id": 1, "category": {"id": 2, "name": text}, "seller": {"id": 3, "name": text}, "title": text, "content": text,
        "make": text, "model": text, "location": text, "year": 2015, "mileage": 9, "price": 10, "status": "sold",
        "created_at": "2026-01-02T03:04:05.000006Z", "updated_at": "2026-01-02T03:04:05.000006Z", "reply_count": 1,
        "visibility": "public", "has_vin": True,
        "price_history": [{"price": 20, "until": "2026-01-02T03:04:05.000006Z"}],
        "pictures": [{"id": 4, "url": "/api/pictures/4", "thumbnail_url": "/t", "width": 9, "height": 9,
                      "sizes": [{"url": "/t", "width": 3}, {"url": "/m", "width": 5}]}] * 2,
    }  # fmt: skip


def pages(text: str) -> dict[str, bytes]:
    """Every page that shows people's text, with this text wherever it can be."""
    listing = a_listing(text)
    as_json = embedded(msgspec.json.encode({"/api/listings": [listing]}))
    search = asked.Asked(dict.fromkeys(("q", "make", "model", "year_min", "seller_id"), text), None)
    browse = {
        "title": text, "description": text, "feed": search.path(base="/feed.atom"), "asked": search,
        "path": search.path(), "offered": (("", "All"), (2, text)), "errors": NoErrors(make=text), "fault": text,
        "heading": text, "seller": text, "seller_facts": (text,), "parts": parts_of(search, text, UNITS), "filters": 2,
        "without_seller": "/", "found": "1 car", "login": "/login",
        "cards": cards_of(msgspec.json.encode({"data": [listing]}), UNITS), "picture": listing["pictures"][0],
        "next_path": None,
        "corrected": {"typed": text, "to": text, "to_path": "/", "from_path": "/"},
        "answers": as_json,
    }  # fmt: skip
    reply = {"id": 5, "author": {"id": 6, "name": text}, "text": text, "created_at": "2026-01-02T03:04:05.000006Z"}
    one = {
        "title": text, "description": text, "listing": listing, "replies": [reply], "more_replies": "/?" + text,
        "answers": as_json,
        "car": structured.car(listing, "https://cars.example.com", UNITS),
    }  # fmt: skip
    return {
        "browse": rendered("browse.html", FRAME | browse),
        "browse, found": rendered(
            "browse.html", FRAME | browse | {"seller": None, "fault": "", "next_path": search.path(cursor=text)}
        ),
        "listing": rendered("listing.html", FRAME | one),
        "problem": rendered("problem.html", FRAME | {"title": text, "detail": text}),
    }


def shape(page: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """Every element of the page in order, with the names of its attributes; without links that people wrote."""
    elements = LexborHTMLParser(page.decode()).css("*:not(a[rel~=ugc])")
    return [(element.tag or "", tuple(sorted(element.attributes))) for element in elements]


def check(text: str) -> None:
    plain = pages(PLAIN)
    for name, page in pages(text).items():
        assert shape(page) == shape(plain[name]), name
        tree = LexborHTMLParser(page.decode())
        for script in tree.css("script"):
            if script.attributes.get("type") != "module":
                # What is not run is JSON, and it says what it was given.
                assert text in _strings(msgspec.json.decode(script.text() or ""))
        # A link in people's text leads to the web, and says so.
        for link in tree.css("a[rel~=ugc]"):
            assert link.text().lower().startswith(("http://", "https://"))
            assert link.attributes["href"] == link.text()
        for element in tree.css(":is([href], [src], [action]):not(a[rel~=ugc])"):
            for attribute in ("href", "src", "action"):
                address = element.attributes.get(attribute) or "/"
                assert address.startswith(("/", "https://cars.example.com", "#")), address


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_becomes_no_element_no_attribute_and_no_script(text: str) -> None:
    check(text)


@hypothesis.given(
    strategies.text(strategies.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
)
@hypothesis.settings(max_examples=examples(200))
def test_no_text_becomes_an_element_an_attribute_or_a_script(text: str) -> None:
    hypothesis.assume(is_storable(text) and not text.isspace())
    check(text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text_in_a_feed(text: str) -> None:
    check_feed(text)


@hypothesis.given(strategies.text(strategies.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@hypothesis.settings(max_examples=examples(200))
def test_any_text_is_text_in_a_feed(text: str) -> None:
    check_feed(text)


def check_feed(text: str) -> None:
    entry = dict.fromkeys(("title", "author", "category", "content"), in_xml(text))
    entry |= {"address": "https://cars.example.com/1", "published": "2026", "updated": "2026"}
    own = "https://cars.example.com" + asked.Asked({"q": text}, None).path(base="/feed.atom")
    feed = {"title": in_xml(text), "own": own, "page": own, "updated": "2026", "cars": [entry]}
    root = ElementTree.fromstring(rendered("feed.xml", feed))
    atom = "{http://www.w3.org/2005/Atom}"
    [found] = root.findall(f"{atom}entry")
    assert [child.tag.removeprefix(atom) for child in found] == [
        *("title", "id", "link", "published", "updated", "author", "category", "content")
    ]
    # XML reads each end of a line as one character (2.11).
    wanted = in_xml(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (found.findtext(f"{atom}content") or "") == wanted


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []
