"""Limits how often a client may log in, register or write. Redis counts, so the limits hold for all nodes together.

The window slides: the count of the previous window is weighted by its part that lies in the last minute. While Redis is
away, nobody is refused: these limits only reduce abuse, and the permissions hold without them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from redis.exceptions import RedisClusterException, RedisError

from api.addresses import address_of
from api.problems import TooManyRequests
from shared.access.addresses import counted_as
from shared.logs import log_of
from shared.redis import client
from shared.settings import Settings

log = log_of(__name__)

WINDOW_SECONDS = 60
MOST_CONNECTIONS = 20
"""The most connections to Redis that one process opens."""

_RETRY_SECONDS = 5.0
"""Redis is not asked for this long after it did not answer: a frozen Redis would delay every request."""

# KEYS: a hash of window number -> count. ARGV: the limit, the window in milliseconds.
# Returns 0 if the request is counted, or the milliseconds to wait if it is over the limit and not counted.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, passed = math.floor(now / length), now % length
local name, before = string.format('%.0f', window), string.format('%.0f', window - 1)
local current = tonumber(redis.call('HGET', KEYS[1], name) or '0')
local previous = tonumber(redis.call('HGET', KEYS[1], before) or '0')
if previous * (length - passed) / length + current + 1 <= limit then
  if current == 0 then
    redis.call('DEL', KEYS[1])
    if previous > 0 then redis.call('HSET', KEYS[1], before, previous) end
  end
  redis.call('HINCRBY', KEYS[1], name, 1)
  redis.call('PEXPIRE', KEYS[1], 2 * length)
  return 0
end
if current + 1 <= limit then
  return math.ceil(length * (1 - (limit - 1 - current) / previous) - passed)
end
return math.ceil(length - passed + length * math.max(0, 1 - (limit - 1) / current))
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests of one kind a subject may make in a minute. A subject is an address or an account."""

    name: str
    count: int


class RateLimits:
    """Each process has one. The methods raise TooManyRequests. While Redis is away, they return without counting."""

    def __init__(self, settings: Settings) -> None:
        self._is_on = settings.rate_limits
        self._prefix = settings.redis_prefix
        self._trusted = settings.trusted_proxies
        self._registrations = Limit("register-address", settings.registrations_per_minute)
        self._logins = Limit("login-address", settings.logins_per_minute)
        self._account_logins = Limit("login-account", settings.logins_per_account_minute)
        self._account_passwords = Limit("password-account", settings.logins_per_account_minute)
        self._writes = Limit("write-address", settings.writes_per_minute)
        self._account_writes = Limit("write-account", settings.writes_per_account_minute)
        self._account_pictures = Limit("picture-account", settings.pictures_per_account_minute)
        self._away_until = 0.0
        # The timeout is short, because a person waits for the answer.
        connections = (settings.redis_url, settings.rate_limit_timeout_seconds, MOST_CONNECTIONS)
        self._client: Any = client(*connections) if self._is_on else None

    @property
    def is_away(self) -> bool:
        """True for a while after Redis did not answer. Requests are not counted then."""
        return time.monotonic() < self._away_until

    async def registration(self, request: web.Request) -> None:
        """Count a registration from the request's address."""
        await self._take([(self._registrations, self._address(request))])

    async def login(self, request: web.Request) -> None:
        """Count a log-in from the request's address."""
        await self._take([(self._logins, self._address(request))])

    async def login_of(self, email: str) -> None:
        """Count log-ins to one account from all addresses, so that more addresses do not guess a password faster."""
        folded = hashlib.sha256(email.lower().encode()).hexdigest()[:32]
        await self._take([(self._account_logins, folded)])

    async def password_of(self, user_id: int) -> None:
        """Count a logged-in user's password checks, apart from log-ins, so that they block no log-in."""
        await self._take([(self._account_passwords, str(user_id))])

    async def write(self, request: web.Request, user_id: int | None) -> None:
        """Count a request that changes something, by address and, if it has a user, by account."""
        taken = [(self._writes, self._address(request))]
        if user_id is not None:
            taken.append((self._account_writes, str(user_id)))
        await self._take(taken)

    async def picture_of(self, user_id: int) -> None:
        """Count an upload of a picture, which costs more than other requests."""
        await self._take([(self._account_pictures, str(user_id))])

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _address(self, request: web.Request) -> str:
        return counted_as(address_of(request, self._trusted))

    async def _take(self, taken: Sequence[tuple[Limit, str]]) -> None:
        if not self._is_on or self.is_away:
            return
        try:
            pipeline = self._client.pipeline(transaction=False)
            for limit, subject in taken:
                # The braces put all keys of a script on one node of a Redis Cluster.
                key = f"{self._prefix}rate:{{{limit.name}:{subject}}}"
                pipeline.execute_command("EVAL", _TAKE, 1, key, limit.count, WINDOW_SECONDS * 1000)
            waits = await pipeline.execute()
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + _RETRY_SECONDS
            log.warning("rate limits not counted", error=f"{type(error).__name__}: {error}")
            return
        wait = max(int(wait) for wait in waits)
        if wait:
            raise TooManyRequests(-(-wait // 1000))
