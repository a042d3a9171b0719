"""Answers that a client which has them already does not get again: entity tags and 304 (RFC 9110, 8.8.3 and 13.1.2);
and who accepts compressed ones (8.4.1.3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

from aiohttp import hdrs, web

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')

_NOTHING = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*")


def accepts_gzip(request: web.Request) -> bool:
    """True if the client accepts gzip (RFC 9110, 12.5.3). A client that names no coding gets none."""
    return _names_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


@lru_cache(maxsize=100)
def _names_gzip(header: str) -> bool:
    """Most browsers send the same few headers."""
    parts = (part.partition(";") for part in header.lower().split(","))
    accepted = {name.strip(): _NOTHING.fullmatch(weight) is None for name, _, weight in parts}
    return accepted.get("gzip", accepted.get("*", False))


def tag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def is_known(request: web.Request, tag: str) -> bool:
    """True if If-None-Match names the tag. It is compared weakly: a proxy that compresses makes a strong tag weak."""
    sent = ",".join(request.headers.getall(hdrs.IF_NONE_MATCH, ()))
    return sent.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(sent)


def answer(
    request: web.Request,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str],
    tag: str | None = None,
    *,
    charset: str | None = "utf-8",
) -> web.Response:
    """Returns 304 without the body if the client has it, else 200 with it. `tag` is the body's, if it is known."""
    tag = tag or tag_of(body)
    headers = {**headers, hdrs.ETAG: tag}
    if is_known(request, tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=content_type, charset=charset, headers=headers)
