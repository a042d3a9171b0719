"""The client of push services (RFC 8030): sends one encrypted message, and says what became of it.

An endpoint is a secret. It is in no log line and in no error: those name the push service's host only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs
from yarl import URL

from api.push.encryption import CONTENT_ENCODING, encrypted
from api.push.endpoints import PublicResolver, endpoint_fault
from api.push.vapid import Vapid
from shared.domain.push import Subscription
from shared.logs import log_of
from shared.settings import Settings

log = log_of(__name__)

_GONE = (404, 410)
"""The subscription has ended (RFC 8030, 7.3)."""
_LATER = (408, 425, 429)
_LONGEST_WAIT_SECONDS = 3600


class Outcome(Enum):
    SENT = "sent"
    GONE = "gone"
    """The push service does not know the subscription any more."""
    LATER = "later"
    """The push service was not reached, or asks to come again."""
    REFUSED = "refused"
    """It would refuse the message each time."""


@dataclass(frozen=True, slots=True)
class Sent:
    outcome: Outcome
    wait_seconds: int = 0
    """With LATER: how long the push service asks to wait; 0 if it does not say."""


class PushServices:
    """Each API has one. `close` it at the end."""

    def __init__(self, settings: Settings, vapid: Vapid) -> None:
        self._settings = settings
        self._vapid = vapid
        self._client: aiohttp.ClientSession | None = None

    async def send(self, payload: bytes, subscription: Subscription, *, urgency: str, topic: str = "") -> Sent:
        """Send a message. A later one with the same topic takes its place, if the browser was away meanwhile.

        Takes at most `push_timeout_seconds`. Never raises because of the push service.
        """
        settings, host = self._settings, urlsplit(subscription.endpoint).hostname
        if endpoint_fault(subscription.endpoint, allows_private=settings.push_private_endpoints):
            return Sent(Outcome.GONE)
        headers = {
            hdrs.AUTHORIZATION: self._vapid.authorization(subscription.endpoint),
            hdrs.CONTENT_ENCODING: CONTENT_ENCODING,
            hdrs.CONTENT_TYPE: "application/octet-stream",
            "TTL": str(int(settings.push_life_seconds)),
            "Urgency": urgency,
        }
        if topic:
            headers["Topic"] = topic
        try:
            body = encrypted(payload, subscription)
            # The address is taken as the browser gave it, without another encoding. Redirects are not followed.
            endpoint = URL(subscription.endpoint, encoded=True)
            async with self._opened().post(endpoint, data=body, headers=headers, allow_redirects=False) as response:
                return self._read(response, host)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("a push service was not reached", host=host, error=type(error).__name__)
            return Sent(Outcome.LATER)
        except ValueError as error:
            log.warning("a push message cannot be sent", host=host, error=type(error).__name__)
            return Sent(Outcome.REFUSED)

    def _read(self, response: aiohttp.ClientResponse, host: str | None) -> Sent:
        status = response.status
        if 200 <= status < 300:
            return Sent(Outcome.SENT)
        if status in _GONE:
            return Sent(Outcome.GONE)
        if status in _LATER or status >= 500:
            return Sent(Outcome.LATER, _seconds(response.headers.get(hdrs.RETRY_AFTER, "")))
        log.warning("a push service refused a message", host=host, status=status)
        return Sent(Outcome.REFUSED)

    def _opened(self) -> aiohttp.ClientSession:
        if self._client is None:
            settings = self._settings
            resolver = None if settings.push_private_endpoints else PublicResolver()
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=settings.max_pushes, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=settings.push_timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={hdrs.USER_AGENT: "daveslist"},
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


def _seconds(text: str) -> int:
    """Returns the seconds of a Retry-After, at most an hour; 0 if it has none, or a date."""
    if not (text.isascii() and text.isdigit()):
        return 0
    return int(min(float(text) if len(text) < 12 else math.inf, _LONGEST_WAIT_SECONDS))
