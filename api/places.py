"""Where a request comes from, in a few words for its user: "Firefox on Windows", and the address. Pure.

The words come from the header User-Agent, which anybody can write as they like: they help people to tell their own
devices apart, and nothing is decided by them. Newer browsers put less and less into it; the name and the system stay.
"""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from shared.access.addresses import Networks, counted_as
from shared.client_address import address_of
from shared.domain.users import Place

_LONGEST_HEADER = 1000
_LONGEST_NAME = 40
# The first that fits: most browsers also name those that they are like.
_PROGRAMS = (
    ("Edg(e|A|iOS)?/", "Edge"),
    ("OPR/|Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Firefox/|FxiOS/", "Firefox"),
    ("CriOS/|Chrome/|Chromium/", "Chrome"),
    ("Version/.* Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone|iPod", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh|Mac OS X|Darwin", "Mac"),
    ("Linux|X11", "Linux"),
)
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]*")
"""The name before the version, as apps and tools write it (RFC 9110, 10.1.5)."""


def place_of(request: web.Request, trusted: Networks) -> Place:
    """Returns the device and the address of the request's client."""
    address = address_of(request, trusted)
    return Place(device_of(request.headers.get(hdrs.USER_AGENT, "")), counted_as(address) if address else "")


def device_of(user_agent: str) -> str:
    """Returns words for the program and its system; "" if the header does not say."""
    text = user_agent[:_LONGEST_HEADER]
    program, system = _first(_PROGRAMS, text), _first(_SYSTEMS, text)
    if not program and not text.startswith("Mozilla/"):
        found = _PRODUCT.match(text)
        program = found[0].strip()[:_LONGEST_NAME] if found else ""
    if program and system:
        return f"{program} on {system}"
    return program or system


def _first(known: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for pattern, name in known if re.search(pattern, text)), "")
