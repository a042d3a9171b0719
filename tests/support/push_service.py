"""A push service for tests, and the browser behind it: it checks the sender's signature, and decrypts what it gets.

The decryption is written anew from RFC 8291 and RFC 8188, so it shares no code with what it tests.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.ports import free_port
from tests.support.waiting import until


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Received:
    """One message, decrypted, with the headers of its request."""

    path: str
    news: dict[str, Any]
    headers: dict[str, str]


class PushBrowser:
    """A browser's subscription: its keys, and its endpoint at the push service."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = hashlib.sha256(endpoint.encode()).digest()[:16]

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def body(self, **more: Any) -> dict[str, Any]:
        """What `PushSubscription.toJSON()` returns, which the page sends."""
        keys = {"p256dh": encoded(self.point), "auth": encoded(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys, **more}

    def decrypt(self, body: bytes) -> bytes:
        salt, record_size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender = body[21 : 21 + length]
        record = body[21 + length :]
        assert len(body) <= 4096
        assert len(record) <= record_size
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        agreed = self.key.exchange(ec.ECDH(), point)
        both = _hmac(_hmac(self.auth, agreed), b"WebPush: info\0" + self.point + sender + b"\x01")
        pseudo = _hmac(salt, both)
        key = _hmac(pseudo, b"Content-Encoding: aes128gcm\0\x01")[:16]
        nonce = _hmac(pseudo, b"Content-Encoding: nonce\0\x01")[:12]
        plain = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
        assert plain.endswith(b"\x02")
        return plain[:-1]


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


@dataclass
class PushService:
    """Answers with `status`, or with the next one of `statuses`; keeps what it accepted."""

    url: str
    public_key: str = ""
    """The key of the sender that it accepts; any if it is empty."""
    status: int = 201
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    requests: int = 0
    hangs: asyncio.Event | None = None
    """While it is there and not set, requests wait for it before they are answered."""
    hanging: int = 0
    browsers: dict[str, PushBrowser] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def browser(self) -> PushBrowser:
        """A new browser, which has subscribed here."""
        path = f"/send/secret{next(self._numbers)}"
        found = self.browsers[path] = PushBrowser(self.url + path)
        return found

    async def take(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many messages, and return what they say."""
        await until(lambda: len(self.received) >= count, 30.0)
        taken, self.received = self.received, []
        return [one.news for one in taken]

    def has_been_asked(self, times: int) -> Callable[[], bool]:
        return lambda: self.requests >= times

    async def handle(self, request: web.Request) -> web.Response:
        self.requests += 1
        status = self.statuses.pop(0) if self.statuses else self.status
        if status != 201:
            return web.Response(status=status, headers=self.headers)
        kind, token, key = request.headers["Authorization"].replace(",", "").split()
        assert kind == "vapid"
        assert not self.public_key or key == f"k={self.public_key}"
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(key.removeprefix("k=")))
        claims = jwt.decode(token.removeprefix("t="), public, ["ES256"], audience=self.url)
        assert claims["sub"].startswith(("mailto:", "https:"))
        assert request.headers["Content-Encoding"] == "aes128gcm"
        assert int(request.headers["TTL"]) >= 0
        body = await request.read()
        if self.hangs is not None:
            self.hanging += 1
            await self.hangs.wait()
        plain = self.browsers[request.path].decrypt(body)
        self.received.append(Received(request.path, json.loads(plain), dict(request.headers)))
        return web.Response(status=201)


@asynccontextmanager
async def running_push_service() -> AsyncIterator[PushService]:
    port = free_port()
    service = PushService(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_post("/send/{secret}", service.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield service
    finally:
        await runner.cleanup()
