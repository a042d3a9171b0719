"""Limits how often a client may log in, register or write. Redis counts, so the limits hold for all nodes together.

While Redis is away, each process counts by itself (api/rate_counts.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from api.addresses import address_of
from api.local_counts import Allowance
from api.problems import TooManyRequests
from api.rate_counts import RateCounts
from shared.access.addresses import counted_as
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests of one kind a subject may make in a minute. A subject is an address or an account."""

    name: str
    count: int


class RateLimits:
    """Each process has one. The methods raise TooManyRequests."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._registrations = Limit("register-address", settings.registrations_per_minute)
        self._logins = Limit("login-address", settings.logins_per_minute)
        self._account_logins = Limit("login-account", settings.logins_per_account_minute)
        self._account_passwords = Limit("password-account", settings.logins_per_account_minute)
        self._writes = Limit("write-address", settings.writes_per_minute)
        self._account_writes = Limit("write-account", settings.writes_per_account_minute)
        self._counts: RateCounts | None = None
        if settings.rate_limits:
            self._counts = RateCounts(settings.redis_url, settings.redis_prefix, settings.rate_limit_timeout_seconds)

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

    async def close(self) -> None:
        if self._counts is not None:
            await self._counts.close()

    def _address(self, request: web.Request) -> str:
        return counted_as(address_of(request, self._trusted))

    async def _take(self, taken: Sequence[tuple[Limit, str]]) -> None:
        if self._counts is None:
            return
        for limit, subject in taken:
            # The braces put all keys of one script on one node of a Redis Cluster.
            wait = await self._counts.take([Allowance(f"rate:{{{limit.name}:{subject}}}", limit.count)])
            if wait:
                raise TooManyRequests(-(-wait // 1000))
