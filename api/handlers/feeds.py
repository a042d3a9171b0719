"""What programs read of the pages: robots.txt, the sitemaps, and an Atom feed of every search (RFC 4287)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import hdrs, web
from marshmallow import ValidationError

from api.call import Call
from api.conditional import answer, is_known
from api.handlers import listings
from api.pages import asked, words
from api.pages.isolate import isolated
from api.pages.rendering import rendered
from api.pages.site import origin_of_site
from api.pages.units import Units
from api.problems import Invalid, NotFound
from shared.access.addresses import counted_as
from shared.client_address import address_of
from shared.domain.ids import MAX_ID
from shared.repositories.sitemap import FILE_IDS, PART

FEEDS = ("/robots.txt", "/sitemap.xml", "/sitemaps/{number}.xml", "/feed.atom")
"""Their addresses."""

FEED_ITEMS = 50
_KEPT_FOR_MINUTES = "public, max-age=300"
_NO_TEXT_OF_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that XML 1.0 cannot have, not even escaped (2.2)."""
_EMPTY = "1970-01-01T00:00:00Z"
_URLSET = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'


async def robots(call: Call) -> web.Response:
    """What robots may read: all that everybody may, except the API and what differs from person to person."""
    call.query()
    origin = _origin(call)
    sitemap = f"\nSitemap: {origin}/sitemap.xml\n" if origin else ""
    text = (
        "User-agent: *\nAllow: /api/pictures/\nDisallow: /api/\nDisallow: /account\nDisallow: /admin\n"
        f"Disallow: /messages\nDisallow: /moderation\n{sitemap}"
    )
    return answer(call.request, text.encode(), "text/plain", {hdrs.CACHE_CONTROL: _KEPT_FOR_MINUTES})


async def sitemaps(call: Call) -> web.Response:
    """The index of the sitemaps: the first one has the categories, each further one the listings of some ids."""
    call.query()
    call.services.rate_limits.read(call.request)
    numbers = [0, *await call.services.sitemap.files()]
    body = rendered("sitemaps.xml", {"origin": _origin_or_404(call), "numbers": numbers})
    return answer(call.request, body, "application/xml", {hdrs.CACHE_CONTROL: _KEPT_FOR_MINUTES})


async def sitemap(call: Call) -> web.StreamResponse:
    """One sitemap. Its listings are read and sent in parts, so that the process never has a whole file in memory."""
    call.query()
    origin, text = _origin_or_404(call), call.request.match_info["number"]
    call.services.rate_limits.search(call.request)
    if text == "0":
        return await _categories(call, origin)
    number = call.path_id("number")
    if number > MAX_ID // FILE_IDS:
        raise NotFound
    address = counted_as(address_of(call.request, call.services.settings.trusted_proxies))
    async with call.services.search_places.place(address):
        fingerprint = await call.services.sitemap.fingerprint(number)
    headers = {hdrs.ETAG: f'W/"{fingerprint}"', hdrs.CACHE_CONTROL: _KEPT_FOR_MINUTES}
    if is_known(call.request, headers[hdrs.ETAG]):
        return web.Response(status=304, headers=headers)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/xml; charset=utf-8", **headers})
    await response.prepare(call.request)
    if call.request.method == hdrs.METH_HEAD:
        await response.write_eof()
        return response
    await response.write(_URLSET.encode())
    after_id, is_last = 0, False
    while not is_last:
        async with call.services.search_places.place(address):
            part = await call.services.sitemap.part(number, after_id)
        await response.write("".join(_url(origin, *row) for row in part).encode())
        is_last = len(part) < PART
        after_id = part[-1][0] if part else 0
    await response.write_eof(b"</urlset>\n")
    return response


async def feed(call: Call) -> web.Response:
    """The newest cars of a search. It takes the parameters of the list of cars."""
    call.input_checked = True
    call.services.rate_limits.read(call.request)
    search = asked.asked(call.request.query, call.services.settings.distance_unit)
    try:
        query = search.query(FEED_ITEMS)
    except ValidationError as error:
        raise Invalid(dict(error.messages_dict)) from None
    cars = msgspec.json.decode(await listings.found_by(call, query))["data"]
    origin = _origin_or_404(call)
    values = {
        "title": in_xml(f"Cars: {isolated(search.values['q'])}" if "q" in search.values else "Used cars"),
        "own": origin + search.path(base="/feed.atom"),
        "page": origin + search.path(),
        "updated": max((car["updated_at"] for car in cars), default=_EMPTY),
        "cars": [_entry(car, origin, Units.of(call.services.settings)) for car in cars],
    }
    body = rendered("feed.xml", values)
    return answer(call.request, body, "application/atom+xml", {hdrs.CACHE_CONTROL: _KEPT_FOR_MINUTES})


async def _categories(call: Call, origin: str) -> web.Response:
    shown = await call.services.shown_categories.get(None)
    assert shown is not None
    ids = [category["id"] for category in msgspec.json.decode(shown)["data"]]
    body = rendered("sitemap_of_categories.xml", {"origin": origin, "ids": ids})
    return answer(call.request, body, "application/xml", {hdrs.CACHE_CONTROL: _KEPT_FOR_MINUTES})


def _url(origin: str, listing_id: int, changed_at: datetime) -> str:
    day = changed_at.date().isoformat()
    return f"<url><loc>{origin}/listings/{listing_id}</loc><lastmod>{day}</lastmod></url>\n"


def _entry(car: dict[str, Any], origin: str, units: Units) -> dict[str, str]:
    return {
        "address": f"{origin}/listings/{car['id']}",
        "title": in_xml(f"{isolated(car['title'])} · {units.price(car['price'])}"),
        "published": car["created_at"],
        "updated": car["updated_at"],
        "author": in_xml(words.name_of(car["seller"])),
        "category": in_xml(car["category"]["name"]),
        "content": in_xml(car["content"]),
    }


def in_xml(text: str) -> str:
    """Returns the text with a replacement character for each that XML cannot have."""
    return _NO_TEXT_OF_XML.sub("\ufffd", text)


def _origin(call: Call) -> str:
    return origin_of_site(call.services.settings, call.request)


def _origin_or_404(call: Call) -> str:
    """Returns the site's origin: these documents are nothing without it."""
    origin = _origin(call)
    if not origin:
        raise NotFound
    return origin
