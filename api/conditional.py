"""Answers that a client which has them already does not get again: entity tags and 304 (RFC 9110, 8.8.3 and 13.1.2);
and answers that are compressed for clients that accept it (8.4.1.3)."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping

from aiohttp import hdrs, web

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


_LEVEL = 4
_GZIP = 31
"""What zlib calls its largest window with the head of gzip (RFC 1952)."""
_NOTHING = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*")


class Text:
    """A text with its entity tag, and compressed as it is sent to those who accept it."""

    __slots__ = ("body", "compressed", "tag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.compressed = zlib.compress(body, _LEVEL, wbits=_GZIP)
        self.tag = tag_of(body)

    @property
    def size(self) -> int:
        """Bytes of both forms."""
        return len(self.body) + len(self.compressed)


def accepts_gzip(request: web.Request) -> bool:
    """True if the client accepts gzip (RFC 9110, 12.5.3). A client that names no coding gets none."""
    parts = (part.partition(";") for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","))
    accepted = {name.strip(): _NOTHING.fullmatch(weight) is None for name, _, weight in parts}
    return accepted.get("gzip", accepted.get("*", False))


def tag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def is_known(request: web.Request, tag: str) -> bool:
    """True if If-None-Match names the tag. It is compared weakly: a proxy that compresses makes a strong tag weak."""
    sent = ",".join(request.headers.getall(hdrs.IF_NONE_MATCH, ()))
    return sent.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(sent)


def answer(
    request: web.Request, body: bytes, content_type: str, headers: Mapping[str, str], tag: str | None = None
) -> web.Response:
    """Returns 304 without the body if the client has it, else 200 with it. `tag` is the body's, if it is known."""
    tag = tag or tag_of(body)
    headers = {**headers, hdrs.ETAG: tag}
    if is_known(request, tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)


def compressed_answer(request: web.Request, text: Text, content_type: str, headers: Mapping[str, str]) -> web.Response:
    """Returns what `answer` does, compressed if the client accepts that.

    Both forms have the same weak tag (RFC 9110, 8.8.1): they say the same in different bytes.
    """
    vary = ", ".join(filter(None, (headers.get(hdrs.VARY), hdrs.ACCEPT_ENCODING)))
    headers = {**headers, hdrs.VARY: vary}
    tag = f"W/{text.tag}"
    if not accepts_gzip(request) or is_known(request, tag):
        return answer(request, text.body, content_type, headers, tag)
    headers = {**headers, hdrs.CONTENT_ENCODING: "gzip"}
    return answer(request, text.compressed, content_type, headers, tag)
