"""Serves the web page: one document for all of its addresses, and its modules, styles and pictures.

The files are those of api/web, as they are, and the client of private chat that others copy. An asset's address has its
path in the checkout, so that an import finds the same file in a browser, in an editor and in a test; and the version of
all files, so that a browser keeps it for ever and a page never runs modules of two versions. Knows nothing of what the
page does.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from string import Template

import msgspec
from aiohttp import hdrs, web

from api.call import Call
from api.pagination import MAX_LIMIT
from api.problems import NotFound
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RegisterBody
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.derived import limits_of
from api.schemas.listings import HideBody, ListingBody, ListingsQuery
from api.schemas.replies import ReplyBody
from api.schemas.reports import ReportBody
from api.schemas.users import BanBody, UsersQuery
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
)
"""The addresses that api/web/router.js knows."""

_INPUTS = (
    *(RegisterBody, LoginBody, ProfileBody, LeaveBody),
    *(ListingBody, ListingsQuery, HideBody, ReplyBody, ReportBody),
    *(CategoryBody, CategoryChangeBody, BanBody, UsersQuery),
)
"""Bodies and queries that forms of the page are for."""

_DOCUMENT = "api/web/index.html"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".md": "text/plain",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    # A licence that has no ending.
    "": "text/plain",
}
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class _Asset:
    data: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class _Assets:
    version: str
    files: dict[str, _Asset]


async def page(call: Call) -> web.Response:
    # The query is the page's own, as the address of a search.
    call.input_checked = True
    settings, request = call.services.settings, call.request
    assets = _assets(settings)
    socket = _gateway(settings, request) + "/socket"
    document = Template(assets.files[_DOCUMENT].data.decode())
    text = document.substitute(
        version=assets.version,
        socket=html.escape(socket),
        limits=html.escape(_limits(settings.max_picture_bytes)),
        preloads=_preloads(assets),
    )
    return web.Response(
        text=text,
        content_type="text/html",
        headers={hdrs.CACHE_CONTROL: _ASK_AGAIN, "Content-Security-Policy": _policy(settings, request)},
    )


async def asset(call: Call) -> web.Response:
    call.query()
    match = call.request.match_info
    assets = _assets(call.services.settings)
    found = assets.files.get(match["path"])
    if found is None or match["path"] == _DOCUMENT:
        raise NotFound
    # A page of another version, while nodes are being replaced, gets what there is, and keeps it not.
    is_current = match["version"] == assets.version
    headers = {hdrs.CACHE_CONTROL: _FOR_EVER if is_current else _ASK_AGAIN, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    body = found.data
    if "gzip" in call.request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = found.compressed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, content_type=found.media_type, charset="utf-8", headers=headers)


@cache
def _limits(picture_bytes: int) -> str:
    """What the page lets people enter, as JSON: `{"forms": {"ReplyBody": {"text": {"maxlength": 255}}, ...}, ...}`."""
    forms = {kind.__name__: limits_of(kind) for kind in _INPUTS}
    limits = {"forms": forms, "pictures": MAX_PICTURES, "picture_bytes": picture_bytes, "page_items": MAX_LIMIT}
    return msgspec.json.encode(limits).decode()


def _preloads(assets: _Assets) -> str:
    """Lets the browser ask for all modules at once, not for each when it has read the one that imports it."""
    modules = [name for name, asset in assets.files.items() if asset.media_type == "text/javascript"]
    return "\n    ".join(f'<link rel="modulepreload" href="/web/{assets.version}/{name}">' for name in modules)


def _policy(settings: Settings, request: web.Request) -> str:
    """What the page may load and do. No inline script or style, no eval; and with Trusted Types the only text that
    becomes markup is the templates written in the modules, which lit-html makes: what users write never does."""
    connect = " ".join(("'self'", *_gateway_sources(settings, request)))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types lit-html",
        )
    )


def _gateway_sources(settings: Settings, request: web.Request) -> tuple[str, ...]:
    """Where the page connects to. The fallback without WebSocket asks the same host by HTTP."""
    gateway = _gateway(settings, request)
    if gateway:
        return gateway, re.sub("^http", "ws", gateway)
    if _HOST.fullmatch(request.host):
        # Older browsers do not count WebSockets among 'self'; whether TLS ends before us is not known here.
        return f"ws://{request.host}", f"wss://{request.host}"
    return ()


def _gateway(settings: Settings, request: web.Request) -> str:
    """The gateway's public address; empty where it is the page's own."""
    if settings.gateway_url:
        return settings.gateway_url.rstrip("/")
    own = "" if settings.is_production else _own_origin(request)
    return re.sub(r"(:[0-9]+)?$", f":{settings.gateway_port}", own, count=1) if own else ""


def _own_origin(request: web.Request) -> str:
    """As the browser called us; empty for a host that is none, since it goes into a header."""
    return f"{request.scheme}://{request.host}" if _HOST.fullmatch(request.host) else ""


def _assets(settings: Settings) -> _Assets:
    """In development a changed file shows on reload, in production the files are those of the start."""
    return _kept() if settings.is_production else _read(_paths())


@cache
def _kept() -> _Assets:
    return _read(_paths())


def _paths() -> tuple[tuple[str, Path, int], ...]:
    """Every file that is served: its name in addresses, where it is, and the time of its last change."""
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
    return _Assets(digest.hexdigest()[:16], files)
