"""The pages that everybody may see, with their content: the list of cars, and one car.

A browser that opens an address sends no token, so these pages show what visitors may see. The answers of the API from
which a page is made are in it as well: the page's modules take over without asking again (api/web/first_answers.js).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from marshmallow import ValidationError

from api.answers import encoded
from api.call import Call
from api.endpoint import Handler
from api.handlers import listings, sellers
from api.handlers.web import html_page
from api.pages import asked, facts, structured, words
from api.pages.cards import cards_of
from api.pages.isolate import isolated
from api.pages.parts import parts_of
from api.pages.rendering import embedded
from api.pages.site import origin_of_site
from api.pages.units import Units
from api.pagination import MAX_LIMIT, decode_cursor, page
from api.problems import Invalid, NotFound
from api.schemas.answers import sellers as answers
from shared.domain.ids import parse_id
from shared.domain.users import UserNotFound

_LONGEST_DESCRIPTION = 200
_HAS_NO_REPLIES = '"reply_count":0,'
_NO_REPLIES = b'{"data":[],"next_cursor":null}'


async def browse(call: Call) -> web.Response:
    """The list of cars, as the address asks for it."""
    _begin(call)
    settings, request = call.services.settings, call.request
    units = Units.of(settings)
    search, address = asked.asked(request.query, settings.distance_unit), request.rel_url.raw_path_qs
    categories = await call.services.shown_categories.get(None)
    assert categories is not None
    found, errors = await _search(call, search)
    if list(errors) == ["cursor"]:
        # A cursor that cannot be read, or is one of another search, leads to the beginning of the list.
        search = search.changed()
        found, errors = await _search(call, search)
    if found is not None:
        seller = await _seller(call, search)
        return html_page(
            settings,
            request,
            "browse.html",
            partial(_found, search, address, found, categories, units, seller),
            made_of=(address, found, categories, seller),
        )
    return html_page(settings, request, "browse.html", _refused(search, address, errors, categories, units), status=422)


async def _seller(call: Call, search: asked.Asked) -> bytes | None:
    """Returns the facts about the seller whose listings are shown, as visitors get them; None if there are none."""
    user_id = parse_id(search.values.get("seller_id"))
    if user_id is None:
        return None
    try:
        seller = await sellers.facts(call.services, user_id)
    except UserNotFound:
        return None
    return encoded(seller) if seller.listing_count else None


async def _search(call: Call, search: asked.Asked) -> tuple[bytes | None, dict[str, str]]:
    """Returns the answer of the API, or None with the errors by parameter."""
    try:
        return await listings.found_by(call, search.query()), {}
    except ValidationError as error:
        return None, asked.errors_of(error)
    except Invalid as invalid:
        return None, {name: " ".join(sentences) for name, sentences in (invalid.errors or {}).items()}


async def listing(call: Call) -> web.Response:
    """One car. Every listing that visitors may not see is answered with the same bytes as one that does not exist."""
    _begin(call)
    listing_id = call.path_id()
    found = await call.services.shown_listings.get(listing_id)
    if found is None:
        raise NotFound
    after_id = _after(call.request.query.get("replies"))
    replies = _NO_REPLIES if _HAS_NO_REPLIES in found else await _replies(call, listing_id, after_id)
    settings, request = call.services.settings, call.request
    origin, units = origin_of_site(settings, request), Units.of(settings)
    return html_page(
        settings,
        request,
        "listing.html",
        lambda: _one(found, replies, after_id, origin, units),
        made_of=(found, replies, after_id),
    )


WITH_CONTENT: Mapping[str, Handler] = {"/": browse, "/listings/{id}": listing}
"""The addresses of these pages. All others of the page are the same for everybody."""


def _found(
    search: asked.Asked,
    address: str,
    found_json: bytes,
    categories_json: bytes,
    units: Units,
    seller_json: bytes | None,
) -> dict[str, Any]:
    found, categories = msgspec.json.decode(found_json), msgspec.json.decode(categories_json)["data"]
    cars, next_cursor = found["data"], found["next_cursor"]
    values = _list(search, address, categories, units)
    if cars and "seller_id" in search.values:
        seller = words.name_of(cars[0]["seller"])
        values |= {
            "seller": seller,
            "title": values["title"] if "q" in search.values else f"Cars of {isolated(seller)}",
        }
    if "corrected" in found:
        typed, to = found["corrected"]["from"], found["corrected"]["to"]
        values["corrected"] = {
            "typed": typed,
            "to": to,
            "to_path": search.changed(q=to).path(),
            "from_path": search.changed(q=typed, verbatim="true").path(),
        }
    key = msgspec.json.encode(search.answers_key)
    answers_json = b'%b:%b,"/api/categories":%b' % (key, found_json, categories_json)
    if seller_json is not None:
        values["seller_facts"] = words.seller_facts(msgspec.json.decode(seller_json))
        answers_json += b',"/api/sellers/{id}":%b' % seller_json
    return values | {
        # A search engine needs each car once, and no list in the middle.
        "is_listed": search.cursor is None,
        "cards": cards_of(found_json, units),
        "picture": next((car["pictures"][0] for car in cars if car["pictures"]), None),
        # How many a later page begins after is not known.
        "found": words.found(len(cars), next_cursor is not None) if search.cursor is None else "",
        "next_path": search.path(cursor=next_cursor) if next_cursor else None,
        "answers": embedded(b"{%b}" % answers_json),
    }


def _refused(
    search: asked.Asked, address: str, errors: dict[str, str], categories_json: bytes, units: Units
) -> dict[str, Any]:
    beside = [f"{asked.OTHERS.get(name, name)}: {errors[name]}" for name in errors if name not in asked.INPUTS]
    fault = " ".join(beside) or "Some filters cannot be used. See what is wrong beside them."
    values = _list(search, address, msgspec.json.decode(categories_json)["data"], units)
    return values | {"is_listed": False, "errors": _Errors(errors), "fault": fault}


def _list(search: asked.Asked, address: str, categories: list[dict[str, Any]], units: Units) -> dict[str, Any]:
    """Returns what the template of the list needs in any case."""
    wanted = search.values.get("category_id")
    category = next((one["name"] for one in categories if str(one["id"]) == wanted), None)
    heading = "Cars of this person" if "seller_id" in search.values else category or "Used cars"
    parts = parts_of(search, category, units)
    return {
        "title": f"Cars: {isolated(search.values['q'])}" if "q" in search.values else isolated(heading),
        "heading": heading,
        "seller": None,
        "seller_facts": (),
        "parts": parts,
        # The filters beside the list; the words are in the header's field.
        "filters": sum(part.name != "q" for part in parts),
        "without_seller": search.without("seller_id").path() if "seller_id" in search.values else None,
        "found": "",
        "path": search.path(),
        "feed": search.path(base="/feed.atom"),
        "login": f"/login?{urlencode({'next': address})}",
        "layout": "wide",
        "asked": search,
        "offered": (("", "All categories"), *((one["id"], one["name"]) for one in categories)),
        "errors": _Errors(),
        "fault": "",
        "corrected": None,
        "cards": [],
        "picture": None,
        "next_path": None,
    }


def _one(listing_json: str, replies_json: bytes, after_id: int, origin: str, units: Units) -> dict[str, Any]:
    shown = msgspec.json.decode(listing_json)
    first = (
        units.price(shown["price"]),
        facts.in_a_line(shown, units),
        words.excerpt(shown["content"], _LONGEST_DESCRIPTION),
    )
    answers = b'"/api/listings/{id}":%b' % listing_json.encode()
    if not after_id:
        # The modules begin with the first replies, and ask for these if the page has others.
        answers += b',"/api/listings/{id}/replies":%b' % replies_json
    replies, path = msgspec.json.decode(replies_json), f"/listings/{shown['id']}"
    more = replies["next_cursor"]
    return {
        "title": shown["title"],
        "window_title": isolated(shown["title"]),
        "description": " · ".join(part for part in first if part),
        "is_listed": not after_id,
        "path": path,
        "listing": shown,
        "replies": replies["data"],
        "login": f"/login?next=%2Flistings%2F{shown['id']}",
        "more_replies": f"{path}?{urlencode({'replies': more})}#replies-title" if more else None,
        "car": structured.car(shown, origin, units),
        "answers": embedded(b"{%b}" % answers),
    }


def _after(cursor: str | None) -> int:
    """Returns the id in a cursor of replies. Anybody can write an address: any other text counts as 0."""
    try:
        return decode_cursor(cursor, int) or 0
    except Invalid:
        return 0


def _begin(call: Call) -> None:
    # Whatever is in the query changes nothing, or has its error on the page.
    call.input_checked = True
    call.services.rate_limits.read(call.request)


async def _replies(call: Call, listing_id: int, after_id: int) -> bytes:
    found = await call.services.replies.of_listing(listing_id, after_id=after_id, limit=MAX_LIMIT + 1)
    return msgspec.json.encode(page(found, MAX_LIMIT, answers.reply, lambda reply: reply.id))


class _Errors(dict[str, str]):
    """The errors by field; "" for a field without one."""

    def __missing__(self, name: str) -> str:
        return ""
