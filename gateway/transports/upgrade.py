"""The opening handshake of RFC 6455 (4.2): the requests that ask for a WebSocket, and the answers to them."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import sha1
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

from aiohttp import HttpVersion, HttpVersion11, hdrs, web
from multidict import CIMultiDictProxy
from yarl import URL

SUBPROTOCOL: Final = "phoenix"

_VERSION = "13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
)
_SWITCH_TO_SUBPROTOCOL = _SWITCH[:-2] + b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode() + b"\r\n\r\n"


class Refusal(NamedTuple):
    """An answer without a body that leaves the connection what it is."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers)

    def answer(self) -> bytes:
        """Returns the answer as bytes. It says that the connection ends."""
        headers = {"Date": formatdate(usegmt=True), "Content-Length": "0", "Connection": "close", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n{lines}\r\n".encode()


NO_UPGRADE: Final = Refusal(400)
"""The request does not ask for a WebSocket, or not as RFC 6455 (4.2.1) demands."""
WRONG_VERSION: Final = Refusal(400, {"Sec-WebSocket-Version": _VERSION})
"""The request asks for another version of the WebSocket protocol (4.4). Phoenix also answers 400, not 426."""


class Asked:
    """A request for a WebSocket, parsed."""

    __slots__ = ("_transport", "headers", "is_upgrade", "url", "version")

    def __init__(
        self, headers: CIMultiDictProxy[str], url: URL, version: HttpVersion, transport: asyncio.BaseTransport | None
    ) -> None:
        self.headers = headers
        self.url = url
        self.version = version
        self.is_upgrade = _names(headers, hdrs.UPGRADE, "websocket") and _names(headers, hdrs.CONNECTION, "upgrade")
        """True if the headers ask for a change of the protocol to WebSocket, well or badly."""
        self._transport = transport

    @property
    def host(self) -> str:
        return self.headers.get(hdrs.HOST, "")

    @property
    def remote(self) -> str | None:
        """The address of the peer, which may be a proxy."""
        peer = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else None

    def switch(self, has_subprotocol: bool) -> bytes | Refusal:
        """Returns the answer with which the connection becomes a WebSocket, or the refusal of a bad request."""
        if self.version != HttpVersion11 or not self.host or not self.is_upgrade:
            return NO_UPGRADE
        # Neither header may occur twice (11.3).
        if self.headers.getall(hdrs.SEC_WEBSOCKET_VERSION, ()) != [_VERSION]:
            return WRONG_VERSION
        keys = self.headers.getall(hdrs.SEC_WEBSOCKET_KEY, ())
        key = keys[0] if len(keys) == 1 else ""
        try:
            if len(binascii.a2b_base64(key, strict_mode=True)) != _KEY_BYTES:
                return NO_UPGRADE
        except ValueError:
            return NO_UPGRADE
        accept = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
        return (_SWITCH_TO_SUBPROTOCOL if has_subprotocol else _SWITCH) % accept


def _names(headers: CIMultiDictProxy[str], header: str, token: str) -> bool:
    """True if the token is in the header's list, in any case (RFC 9110, 7.8)."""
    if headers.get(header, "").lower() == token:
        return True
    return any(one.strip().lower() == token for line in headers.getall(header, ()) for one in line.split(","))
