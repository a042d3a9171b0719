"""Serves the web page: its document, without content, and its files.

api/handlers/pages.py puts content into the document of the pages that everybody may see. A document has its style in
it, so that a browser can show it after one round trip, and loads one script; where the view needs a later one, both
together.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Mapping
from functools import cache, lru_cache
from typing import Any

import msgspec
from aiohttp import hdrs, web
from markupsafe import Markup

from api.assets.files import PICTURES, SCRIPT, assets
from api.call import Call
from api.conditional import accepts_gzip, answer, is_known
from api.pages.asked import NOTHING
from api.pages.document import Middle, Page, gzipped_page_of, page_of
from api.pages.kept import KeptPages
from api.pages.rendering import rendered, rendered_around
from api.pages.site import HOST, origin_of_site
from api.pages.units import DISTANCES, Units
from api.pagination import MAX_LIMIT
from api.problems import NotFound
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RegisterBody
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.derived import limits_of
from api.schemas.listings import HideBody, ListingBody, ListingsQuery
from api.schemas.passkeys import PasskeyBody
from api.schemas.recovery import ConfirmBody, ForgottenBody, ResetBody
from api.schemas.replies import ReplyBody
from api.schemas.reports import ReportBody
from api.schemas.sanctions import DecisionBody, NoteBody, ObjectionBody, SuspensionBody, WarningBody
from api.schemas.saved_searches import SearchBody
from api.schemas.second_factor import CodeBody, ConfirmedBody, PasswordBody
from api.schemas.users import BanBody, UsersQuery
from shared.domain.alerts import MAX_COUNTED_OF_A_SEARCH
from shared.domain.pictures import MAX_PICTURES
from shared.private_chat import Send
from shared.settings import Settings

AT_ROOT: Mapping[str, str] = {
    "/apple-touch-icon-precomposed.png": "api/web/apple-touch-icon.png",
    "/apple-touch-icon.png": "api/web/apple-touch-icon.png",
    "/favicon.ico": "api/web/favicon.ico",
    "/service_worker.js": "api/web/service_worker.js",
}
"""The files with an address without a version: icons where browsers and feed readers look for them by themselves, and
the service worker, because a worker has power over what is below it."""
_DAY = "public, max-age=86400"

PAGES: Mapping[str, str | None] = {
    "/": None,
    "/account": "users",
    "/account/sanctions": "users",
    "/address/confirm": "newcomers",
    "/admin": "staff",
    "/admin/audit": "staff",
    "/admin/system": "staff",
    "/alerts": "users",
    "/favourites": "users",
    "/listings/deleted": "users",
    "/listings/new": "users",
    "/listings/{id}": None,
    "/listings/{id}/edit": "users",
    "/login": "newcomers",
    "/messages": "users",
    "/messages/{user_id}": "users",
    "/moderation": "staff",
    "/moderation/categories": "staff",
    "/moderation/hidden": "staff",
    "/moderation/objections": "staff",
    "/moderation/people/{id}": "staff",
    "/moderation/trash": "staff",
    "/objection": "newcomers",
    "/password/forgotten": "newcomers",
    "/password/reset": "newcomers",
    "/register": "newcomers",
    "/searches": "users",
}
"""The page's addresses, each with the later script that its view is in (api/assets/files.py): api/web/router.js has the
same."""

_LISTED = {"/login": "Log in", "/register": "Register"}
"""The pages without content that search engines may list, with their titles."""

_INPUTS = (
    *(RegisterBody, LoginBody, ProfileBody, LeaveBody, PasswordBody, CodeBody, ConfirmedBody, PasskeyBody),
    *(ListingBody, ListingsQuery, SearchBody, HideBody, ReplyBody, ReportBody),
    *(ConfirmBody, ForgottenBody, ResetBody),
    *(CategoryBody, CategoryChangeBody, BanBody, UsersQuery, Send),
    *(WarningBody, SuspensionBody, ObjectionBody, DecisionBody, NoteBody),
)
"""The bodies and queries that the page has forms for."""

DESCRIPTION = "Used cars from people nearby: look, ask the seller live, sell your own."
_FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
# Asked only when the person presses the button that says so.
_PERMISSIONS = "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"
_kept_pages = lru_cache(maxsize=1)(KeptPages)
"""A process has one."""


async def page(call: Call) -> web.Response:
    """The document without content. Raises NotFound if the path should have an id and has none."""
    for name in call.request.match_info:
        call.path_id(name)
    # The page itself reads the query.
    call.input_checked = True
    path = call.request.path
    title = _LISTED.get(path, "")
    resource = call.request.match_info.route.resource
    script = PAGES[resource.canonical] if resource is not None else None
    later = assets(call.services.settings).later
    values = {"title": title, "is_listed": bool(title), "path": path, "later": later[script] if script else None}
    return html_page(call.services.settings, call.request, "shell.html", values, made_of=(title, script))


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
    files, gateway, origin = assets(settings), _gateway(settings, request), origin_of_site(settings, request)
    socket = f"{gateway}/socket"
    units = Units.of(settings)
    pixels, side = settings.max_picture_pixels, settings.picture_side
    days = settings.erase_after_days, settings.own_trash_days
    mail = settings.has_mail, str(settings.mail_folder or "")
    new = settings.new_account_days, settings.new_account_listings, settings.new_account_people
    limits = _limits(settings.max_picture_bytes, pixels, side, *days, new, units, *mail)

    is_gzip = status == 200 and accepts_gzip(request)

    def render() -> Page:
        frame = {
            "version": files.version,
            "fields": _fields(),
            "origin": origin,
            "description": DESCRIPTION,
            "layout": "",
            "asked": NOTHING,
            "login": "/login",
            "units": units,
            "answers": None,
        }
        before, behind = rendered_around(template, frame | (values() if callable(values) else values))
        middle = _needed(files.version, files.style, socket, limits)
        return gzipped_page_of(before, middle, behind) if is_gzip else page_of(before, middle, behind)

    policy = _policy(gateway, request.host, files.style_source)
    sent = {"Content-Security-Policy": policy, "Permissions-Policy": _PERMISSIONS, **(headers or {})}
    if status != 200:
        return web.Response(body=render().body, status=status, content_type="text/html", charset="utf-8", headers=sent)
    frame_of_page = (template, files.version, socket, limits, origin, is_gzip)
    kept = _kept_pages(settings.kept_pages_bytes).get(frame_of_page, made_of, render)
    # The page reads the server's clock here, because no script can read the Date of its page (api/web/clock.js).
    sent |= {hdrs.CACHE_CONTROL: ASK_AGAIN, "Server-Timing": f'now;desc="{time.time() * 1000:.0f}"'}
    sent[hdrs.VARY] = ", ".join(filter(None, (sent.get(hdrs.VARY), hdrs.ACCEPT_ENCODING)))
    # Both forms have the same weak tag (RFC 9110, 8.8.1): they say the same in different bytes.
    tag = f"W/{kept.tag}"
    if is_gzip and not is_known(request, tag):
        sent[hdrs.CONTENT_ENCODING] = "gzip"
    return answer(request, kept.body, "text/html", sent, tag)


async def version(call: Call) -> web.Response:
    """The version of the page's files, by which a page that is open notices an upgrade (api/web/upgrade.js)."""
    call.query()
    return web.json_response({"version": assets(call.services.settings).version})


async def file_at_root(call: Call) -> web.Response:
    """A file of `AT_ROOT`. Browsers look for another version of the service worker by themselves."""
    # An icon is an icon, whatever is asked of it.
    call.input_checked = True
    found = assets(call.services.settings).files[AT_ROOT[call.request.path]]
    is_picture = found.media_type in PICTURES
    headers = {str(hdrs.CACHE_CONTROL): _DAY if is_picture else ASK_AGAIN}
    charset = None if is_picture else "utf-8"
    return answer(call.request, found.data, found.media_type, headers, charset=charset)


async def change_password(call: Call) -> web.Response:
    """Leads a password manager to the form for a new password (W3C, A Well-Known URL for Changing Passwords)."""
    call.input_checked = True
    return web.Response(status=303, headers={hdrs.LOCATION: "/account"})


async def asset(call: Call) -> web.Response:
    call.query()
    match = call.request.match_info
    current = assets(call.services.settings)
    found = current.files.get(match["path"])
    if found is None:
        raise NotFound
    # During a deployment, a page of another version gets the current file, but does not cache it.
    is_current = match["version"] == current.version
    headers = {hdrs.CACHE_CONTROL: _FOR_EVER if is_current else ASK_AGAIN, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    body = found.data
    if accepts_gzip(call.request):
        body = found.compressed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    charset = None if found.media_type in PICTURES else "utf-8"
    return web.Response(body=body, content_type=found.media_type, charset=charset, headers=headers)


@cache
def _limits(
    picture_bytes: int,
    picture_pixels: int,
    picture_side: int,
    erase_after_days: int,
    own_trash_days: int,
    new_accounts: tuple[int, int, int],
    units: Units,
    has_mail: bool,
    mail_folder: str,
) -> str:
    """Returns the limits that the page keeps or tells, as JSON: `{"forms": {"ReplyBody": {"text": {...}}}, ...}`."""
    limits = {
        "forms": {kind.__name__: limits_of(kind) for kind in _INPUTS},
        "pictures": MAX_PICTURES,
        "picture_bytes": picture_bytes,
        "picture_pixels": picture_pixels,
        "picture_side": picture_side,
        "page_items": MAX_LIMIT,
        "counted_of_a_search": MAX_COUNTED_OF_A_SEARCH,
        "erase_after_days": erase_after_days,
        "own_trash_days": own_trash_days,
        "new_accounts": dict(zip(("days", "listings", "people"), new_accounts, strict=True)),
        "currency": units.currency,
        "distance_unit": units.distance,
        "distances": DISTANCES,
        "mail": has_mail,
        "mail_folder": mail_folder,
    }
    return msgspec.json.encode(limits).decode()


@cache
def _fields() -> dict[str, dict[str, int]]:
    """Returns the limits of the filters."""
    return limits_of(ListingsQuery)


@lru_cache(maxsize=100)
def _needed(version: str, style: str, socket: str, limits: str) -> Middle:
    """Returns the elements of the head that are the same in many pages."""
    values = {"version": version, "style": Markup(style), "script": SCRIPT, "socket": socket, "limits": limits}
    return Middle(rendered("needed.html", values))


@lru_cache(maxsize=100)
def _policy(gateway: str, host: str, style_source: str) -> str:
    """Returns the page's content security policy: no inline script, no style but the document's own, and no eval.

    With Trusted Types, only lit-html makes markup, and only from templates in the modules, never from users' text; and
    only api/web/push.js names a script, which is the service worker.
    """
    connect = " ".join(("'self'", *_gateway_sources(gateway, host)))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src {style_source}",
            "img-src 'self' blob:",
            "manifest-src 'self'",
            f"connect-src {connect}",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types lit-html service-worker",
        )
    )


def _gateway_sources(gateway: str, host: str) -> tuple[str, ...]:
    """Returns the addresses that the page connects to: long polling uses the same host by HTTP."""
    if gateway:
        return gateway, re.sub("^http", "ws", gateway)
    if HOST.fullmatch(host):
        # Older browsers do not count WebSockets as 'self'. A proxy may end TLS, so both schemes are listed.
        return f"ws://{host}", f"wss://{host}"
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
