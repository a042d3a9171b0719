"""The pages that everybody may see, with their content: the list of cars, and one car.

A browser that opens an address sends no token, so these pages show what visitors may see. The answers of the API from
which a page is made are in it as well: the page's modules take over without asking again (api/web/first_answers.js).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from marshmallow import ValidationError

from api.call import Call
from api.endpoint import Handler
from api.handlers import listings
from api.handlers.web import html_page
from api.pages import asked, facts, structured, words
from api.pages.rendering import embedded
from api.pages.site import origin_of_site
from api.pagination import MAX_LIMIT, page
from api.problems import Invalid, NotFound
from api.schemas import answers

_LONGEST_DESCRIPTION = 200
_NO_REPLIES = b'{"data":[],"next_cursor":null}'


async def browse(call: Call) -> web.Response:
    """The list of cars, as the address asks for it."""
    _begin(call)
    search = asked.asked(call.request.query)
    categories_json = await call.services.shown_categories.get(None)
    assert categories_json is not None
    categories = msgspec.json.decode(categories_json)["data"]
    found_json, errors = None, {}
    try:
        found_json = await listings.found(call, search.query())
    except ValidationError as error:
        errors = asked.errors_of(error)
    except Invalid as invalid:
        errors = {name: " ".join(sentences) for name, sentences in (invalid.errors or {}).items()}
    found = {"data": [], "next_cursor": None} if found_json is None else msgspec.json.decode(found_json)
    cars, next_cursor = found["data"], found["next_cursor"]
    heading = _heading(search, categories)
    seller = words.name_of(cars[0]["seller"]) if cars and "seller_id" in search.values else None
    values = {
        "title": f"Cars: {search.values['q']}" if "q" in search.values else f"Cars of {seller}" if seller else heading,
        # A search engine needs each car once, and no list in the middle.
        "is_listed": not errors and search.cursor is None,
        "path": search.path(),
        "feed": search.path(base="/feed.atom"),
        "layout": "wide",
        "asked": search,
        "categories": categories,
        "errors": _Errors(errors),
        "fault": "" if not errors else _fault(errors),
        "heading": heading,
        "seller": seller,
        "listings": cars,
        "login": f"/login?{urlencode({'next': call.request.rel_url.raw_path_qs})}",
        "next_path": search.path(cursor=next_cursor) if next_cursor else None,
        "answers": found_json
        and embedded(
            b'{%b:%b,"/api/categories":%b}' % (msgspec.json.encode(search.answers_key), found_json, categories_json)
        ),
    }
    return html_page(
        call.services.settings, call.request, "browse.html", values, status=422 if found_json is None else 200
    )


async def listing(call: Call) -> web.Response:
    """One car. Every listing that visitors may not see is answered with the same bytes as one that does not exist."""
    _begin(call)
    listing_id = call.path_id()
    listing_json = await call.services.shown_listings.get(listing_id)
    if listing_json is None:
        raise NotFound
    shown = msgspec.json.decode(listing_json)
    replies_json = await _replies(call, listing_id) if shown["reply_count"] else _NO_REPLIES
    settings, request = call.services.settings, call.request
    first = (words.price(shown["price"]), facts.in_a_line(shown), words.excerpt(shown["content"], _LONGEST_DESCRIPTION))
    values = {
        "title": shown["title"],
        "description": " · ".join(part for part in first if part),
        "is_listed": True,
        "path": f"/listings/{listing_id}",
        "listing": shown,
        "replies": msgspec.json.decode(replies_json)["data"],
        "car": structured.car(shown, origin_of_site(settings, request)),
        "answers": embedded(
            b'{"/api/listings/{id}":%b,"/api/listings/{id}/replies":%b}' % (listing_json.encode(), replies_json)
        ),
    }
    return html_page(settings, request, "listing.html", values)


WITH_CONTENT: Mapping[str, Handler] = {"/": browse, "/listings/{id}": listing}
"""The addresses of these pages. All others of the page are the same for everybody."""


def _begin(call: Call) -> None:
    # Whatever is in the query changes nothing, or has its error on the page.
    call.input_checked = True
    call.services.rate_limits.read(call.request)


async def _replies(call: Call, listing_id: int) -> bytes:
    found = await call.services.replies.of_listing(listing_id, after_id=0, limit=MAX_LIMIT + 1)
    return msgspec.json.encode(page(found, MAX_LIMIT, answers.reply, lambda reply: reply.id))


def _heading(search: asked.Asked, categories: list[dict[str, Any]]) -> str:
    wanted = search.values.get("category_id")
    return next((one["name"] for one in categories if str(one["id"]) == wanted), "Used cars")


class _Errors(dict[str, str]):
    """The errors by field; "" for a field without one."""

    def __missing__(self, name: str) -> str:
        return ""


def _fault(errors: dict[str, str]) -> str:
    beside = [f"{name}: {errors[name]}" for name in ("cursor", "q", "seller_id", "sort") if name in errors]
    return " ".join(beside) or "Some filters cannot be used. See what is wrong beside them."
