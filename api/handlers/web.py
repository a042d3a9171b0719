"""Serves the web page: its document, without content, and its modules, styles and pictures.

api/handlers/pages.py puts content into the document of the pages that everybody may see.

The files are those of api/web, unchanged, and the private chat client. The address of an asset has the version of all
files and the asset's path in the checkout. The path makes each import find the same file in a browser, in an editor and
in a test. The version lets browsers keep the file for ever, and a page never mixes modules of two versions.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import hdrs, web
from markupsafe import Markup

from api.call import Call
from api.conditional import answer
from api.pages.asked import NOTHING
from api.pages.kept import KeptPages
from api.pages.rendering import rendered
from api.pages.site import HOST, origin_of_site
from api.pagination import MAX_LIMIT
from api.problems import NotFound
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RegisterBody
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.derived import limits_of
from api.schemas.listings import HideBody, ListingBody, ListingsQuery
from api.schemas.replies import ReplyBody
from api.schemas.reports import ReportBody
from api.schemas.saved_searches import SearchBody
from api.schemas.users import BanBody, UsersQuery
from shared.domain.alerts import MAX_COUNTED_OF_A_SEARCH
from shared.domain.pictures import MAX_PICTURES
from shared.settings import Settings

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "api" / "web"
CLIENT = CHECKOUT / "clients" / "javascript" / "private_chat"

PAGES = (
    "/",
    "/account",
    "/admin",
    "/admin/audit",
    "/alerts",
    "/favourites",
    "/listings/new",
    "/listings/{id}",
    "/listings/{id}/edit",
    "/login",
    "/messages",
    "/messages/{user_id}",
    "/moderation",
    "/moderation/categories",
    "/moderation/hidden",
    "/moderation/trash",
    "/register",
    "/searches",
)
"""The page's addresses: api/web/router.js has the same."""

_INPUTS = (
    *(RegisterBody, LoginBody, ProfileBody, LeaveBody),
    *(ListingBody, ListingsQuery, SearchBody, HideBody, ReplyBody, ReportBody),
    *(CategoryBody, CategoryChangeBody, BanBody, UsersQuery),
)
"""The bodies and queries that the page has forms for."""

DESCRIPTION = "Used cars from people nearby: look, ask the seller live, sell your own."
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".md": "text/plain",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    # Licences have no file name extension.
    "": "text/plain",
}
_FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
# Asked only when the person presses the button that says so.
_PERMISSIONS = "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"
_PAGES = KeptPages()


@dataclass(frozen=True, slots=True)
class _Asset:
    data: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class _Assets:
    version: str
    files: dict[str, _Asset]
    modules: tuple[str, ...]


async def page(call: Call) -> web.Response:
    """The document without content. Raises NotFound if the path should have an id and has none."""
    for name in call.request.match_info:
        call.path_id(name)
    # The page itself reads the query.
    call.input_checked = True
    return html_page(call.services.settings, call.request, "shell.html", {"title": "", "is_listed": False})


def html_page(
    settings: Settings,
    request: web.Request,
    template: str,
    values: dict[str, Any] | Callable[[], dict[str, Any]],
    *,
    made_of: tuple[Hashable, ...] = (),
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Returns the page's document with the template's content.

    `values` has what the template needs besides the frame, or makes it from `made_of`, which then decides all of it.
    Only what was found is worth keeping in a browser: an answer with another status than 200 has no entity tag.
    """
    assets, socket, origin = (
        _assets(settings),
        _gateway(settings, request) + "/socket",
        origin_of_site(settings, request),
    )
    limits = _limits(settings.max_picture_bytes, settings.erase_after_days)

    def render() -> bytes:
        frame = {
            "version": assets.version,
            "needed": _needed(assets.version, assets.modules, socket, limits),
            "fields": _fields(),
            "origin": origin,
            "description": DESCRIPTION,
            "layout": "",
            "asked": NOTHING,
            "answers": None,
        }
        return rendered(template, frame | (values() if callable(values) else values))

    sent = {
        "Content-Security-Policy": _policy(settings, request),
        "Permissions-Policy": _PERMISSIONS,
        **(headers or {}),
    }
    if status != 200:
        return web.Response(body=render(), status=status, content_type="text/html", charset="utf-8", headers=sent)
    body, tag = _PAGES.get((template, assets.version, socket, limits, origin, *made_of), render)
    # The page reads the server's clock here, because no script can read the Date of its page (api/web/clock.js).
    sent |= {hdrs.CACHE_CONTROL: ASK_AGAIN, "Server-Timing": f'now;desc="{time.time() * 1000:.0f}"'}
    return answer(request, body, "text/html", sent, tag)


async def version(call: Call) -> web.Response:
    """The version of the page's files, by which a page that is open notices an upgrade (api/web/upgrade.js)."""
    call.query()
    return web.json_response({"version": _assets(call.services.settings).version})


async def asset(call: Call) -> web.Response:
    call.query()
    match = call.request.match_info
    assets = _assets(call.services.settings)
    found = assets.files.get(match["path"])
    if found is None:
        raise NotFound
    # During a deployment, a page of another version gets the current file, but does not cache it.
    is_current = match["version"] == assets.version
    headers = {hdrs.CACHE_CONTROL: _FOR_EVER if is_current else ASK_AGAIN, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    body = found.data
    if "gzip" in call.request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = found.compressed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, content_type=found.media_type, charset="utf-8", headers=headers)


@cache
def _limits(picture_bytes: int, erase_after_days: int) -> str:
    """Returns the limits that the page keeps or tells, as JSON: `{"forms": {"ReplyBody": {"text": {...}}}, ...}`."""
    limits = {
        "forms": {kind.__name__: limits_of(kind) for kind in _INPUTS},
        "pictures": MAX_PICTURES,
        "picture_bytes": picture_bytes,
        "page_items": MAX_LIMIT,
        "counted_of_a_search": MAX_COUNTED_OF_A_SEARCH,
        "erase_after_days": erase_after_days,
    }
    return msgspec.json.encode(limits).decode()


@cache
def _fields() -> dict[str, dict[str, int]]:
    """Returns the limits of the filters."""
    return limits_of(ListingsQuery)


@lru_cache(maxsize=100)
def _needed(version: str, modules: tuple[str, ...], socket: str, limits: str) -> Markup:
    """Returns the elements of the head that the modules need, which are the same in many pages.

    By the links, the browser loads all modules at once, instead of discovering them import by import.
    """
    values = {"version": version, "modules": modules, "socket": socket, "limits": limits}
    return Markup(rendered("needed.html", values).decode())


def _policy(settings: Settings, request: web.Request) -> str:
    """Returns the page's content security policy: no inline script or style, and no eval.

    With Trusted Types, only lit-html makes markup, and only from templates in the modules, never from users' text.
    """
    connect = " ".join(("'self'", *_gateway_sources(settings, request)))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types lit-html",
        )
    )


def _gateway_sources(settings: Settings, request: web.Request) -> tuple[str, ...]:
    """Returns the addresses that the page connects to: long polling uses the same host by HTTP."""
    gateway = _gateway(settings, request)
    if gateway:
        return gateway, re.sub("^http", "ws", gateway)
    if HOST.fullmatch(request.host):
        # Older browsers do not count WebSockets as 'self'. A proxy may end TLS, so both schemes are listed.
        return f"ws://{request.host}", f"wss://{request.host}"
    return ()


def _gateway(settings: Settings, request: web.Request) -> str:
    """Returns the gateway's public address; "" if it is the page's own."""
    if settings.gateway_url:
        return settings.gateway_url.rstrip("/")
    own = "" if settings.is_production else _own_origin(request)
    return re.sub(r"(:[0-9]+)?$", f":{settings.gateway_port}", own, count=1) if own else ""


def _own_origin(request: web.Request) -> str:
    """Returns the page's origin as the browser named it; "" for an invalid host, because it goes into a header."""
    return f"{request.scheme}://{request.host}" if HOST.fullmatch(request.host) else ""


def _assets(settings: Settings) -> _Assets:
    """Returns the files: in production as they were at the start, in development as they are now."""
    return _kept() if settings.is_production else _read(_paths())


@cache
def _kept() -> _Assets:
    return _read(_paths())


def _paths() -> tuple[tuple[str, Path, int], ...]:
    """Returns every file to serve: its name in addresses, its path, and the time of its last change."""
    files = (path for folder in (FOLDER, CLIENT) for path in sorted(folder.rglob("*")))
    return tuple(
        (path.relative_to(CHECKOUT).as_posix(), path, path.stat().st_mtime_ns)
        for path in files
        if path.suffix in _MEDIA_TYPES and path.is_file()
    )


@lru_cache(maxsize=1)
def _read(paths: tuple[tuple[str, Path, int], ...]) -> _Assets:
    files: dict[str, _Asset] = {}
    digest = hashlib.sha256()
    for name, path, _ in paths:
        data = path.read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
        files[name] = _Asset(data, gzip.compress(data, mtime=0), _MEDIA_TYPES[path.suffix])
    modules = tuple(name for name, asset in files.items() if asset.media_type == "text/javascript")
    return _Assets(digest.hexdigest()[:16], files, modules)
