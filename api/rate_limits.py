"""Limits how often a client may log in, register, write or read.

Redis counts, so the limits hold for all processes together. While Redis is away, each process counts by itself
(api/rate_counts.py). Reads are always counted by each process (api/local_counts.py).

A guess at a password is counted before the password is compared, so that guesses at the same time do not pass the limit
together. If the password turns out to be right, the count is given back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from api.devices import Device
from api.local_counts import LocalCounts, Quota
from api.problems import TooManyRequests
from api.rate_counts import RateCounts
from shared.access.addresses import network_of, networks_of
from shared.client_address import address_of
from shared.domain.email_addresses import account_of
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests of one kind a subject may make in a minute. A subject is an address, an account or the like."""

    name: str
    count: int

    def of(self, subject: str, part: str = "", *, times: int = 1) -> Quota:
        """Returns the quota of the subject, or of a part of it, `times` as large.

        The braces put all keys of a subject on one node of a Redis Cluster.
        """
        return Quota(f"rate:{{{self.name}:{subject}}}{part}", self.count * times)


Check = Callable[[], Awaitable[bool]]
"""Compares a password, and returns whether it is right."""


class RateLimits:
    """Counts requests against their limits; the methods raise TooManyRequests. Each process has one."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._registrations = Limit("register-address", settings.registrations_per_minute)
        self._logins = Limit("login-address", settings.logins_per_minute)
        self._network_guesses = Limit("login-account", settings.logins_per_account_minute)
        self._account_guesses = Limit("login-account", settings.guesses_per_account_minute)
        self._device_guesses = Limit("login-device", settings.logins_per_account_minute)
        self._device_logins = Limit("login-devices", settings.guesses_per_account_minute)
        self._session_guesses = Limit("password-session", settings.logins_per_account_minute)
        self._recoveries = Limit("recovery-address", settings.recoveries_per_minute)
        self._account_recoveries = Limit("recovery-account", settings.recoveries_per_account_minute)
        self._code_guesses = Limit("code-account", settings.codes_per_account_minute)
        self._refreshes = Limit("refresh-session", settings.refreshes_per_session_minute)
        self._bad_refreshes = Limit("refresh-address", settings.logins_per_minute)
        self._writes = Limit("write-address", settings.writes_per_minute)
        self._account_writes = Limit("write-account", settings.writes_per_account_minute)
        self._account_pictures = Limit("picture-account", settings.pictures_per_account_minute)
        self._exports = Limit("export-account", settings.exports_per_account_minute)
        self._reads = Limit("read-address", settings.reads_per_minute)
        self._attempts = Limit("attempt-address", max(settings.reads_per_minute, settings.writes_per_minute))
        self._searches = Limit("search-address", settings.searches_per_minute)
        self._profiles = Limit("profile-account", settings.profiles_per_minute)
        self._read_counts = LocalCounts() if settings.rate_limits else None
        self._counts: RateCounts | None = None
        if settings.rate_limits:
            self._counts = RateCounts(settings.redis_url, settings.redis_prefix, settings.rate_limit_timeout_seconds)

    async def registration(self, request: web.Request) -> None:
        """Count a registration from the request's address."""
        await self._take(self._by_address(self._registrations, request))

    async def login(self, request: web.Request) -> None:
        """Count a log-in from the request's address, right or wrong: comparing a password costs much."""
        await self._take(self._by_address(self._logins, request))

    async def guess(self, request: web.Request, account: str, check: Check) -> bool:
        """Returns whether the password is right. Counts a wrong one for the account and the network it comes from."""
        subject = _hashed(account)
        network = network_of(address_of(request, self._trusted))
        return await self._guess([self._network_guesses.of(subject, network), self._account_guesses.of(subject)], check)

    async def login_from_device(self, device: Device) -> None:
        """Count a log-in, right or wrong, for the owner of the device from which it comes."""
        await self._take([self._device_logins.of(str(device.user_id))])

    async def guess_from_device(self, device: Device, check: Check) -> bool:
        """Like `guess`, from a device of the account's owner. Nobody else's guesses use up what is counted here."""
        return await self._guess([self._device_guesses.of(f"{device.user_id}:{device.name}")], check)

    async def guess_in_session(self, session_id: str, check: Check) -> bool:
        """Like `guess`, for a logged-in user's current password. Each session is counted apart."""
        return await self._guess([self._session_guesses.of(_hashed(session_id))], check)

    async def recovery(self, request: web.Request, email: str) -> None:
        """Count a request for a new password, by the request's address and by the account, known or not."""
        await self._take(self._by_address(self._recoveries, request))
        await self._take([self._account_recoveries.of(_hashed(account_of(email)))])

    async def guess_code(self, user_id: int, check: Check) -> bool:
        """Like `guess`, for a code of the account's second factor. Only who knows the password can use this up."""
        return await self._guess([self._code_guesses.of(str(user_id))], check)

    async def refresh(self, session_id: str) -> None:
        """Count a refresh of a session whose refresh token has a right signature."""
        await self._take([self._refreshes.of(_hashed(session_id))])

    async def bad_refresh(self, request: web.Request) -> None:
        """Count a refresh token with a wrong signature, apart from log-ins and from refreshes of sessions."""
        await self._take(self._by_address(self._bad_refreshes, request))

    async def write(self, request: web.Request, user_id: int | None) -> None:
        """Count a request that changes something, by address and, if it has a user, by account."""
        await self._take(self._by_address(self._writes, request))
        if user_id is not None:
            await self._take([self._account_writes.of(str(user_id))])

    def read(self, request: web.Request) -> None:
        """Count a request that reads, by its address."""
        self._take_here(self._reads, request)

    def attempt(self, request: web.Request) -> None:
        """Count a request that wants to change something, by its address, also if its user may not.

        Those that may are counted again, by `write` and the like, which allow less.
        """
        self._take_here(self._attempts, request)

    def search(self, request: web.Request) -> None:
        """Count a search from the request's address."""
        self._take_here(self._searches, request)

    def profile(self, user_id: int) -> None:
        """Count a profile that a user reads, so that nobody collects them all."""
        if self._read_counts is not None:
            _refuse(self._profiles, self._read_counts.take([self._profiles.of(str(user_id))]))

    async def picture_of(self, user_id: int) -> None:
        """Count an upload of a picture, which costs more than other requests."""
        await self._take([self._account_pictures.of(str(user_id))])

    async def export(self, user_id: int) -> None:
        """Count a copy of everything about a user, which is the most expensive read."""
        await self._take([self._exports.of(str(user_id))])

    async def close(self) -> None:
        """Close the connection to Redis."""
        if self._counts is not None:
            await self._counts.close()

    def _by_address(self, limit: Limit, request: web.Request) -> list[Quota]:
        """Returns a quota for each network around the address; the wider ones are larger."""
        networks = networks_of(address_of(request, self._trusted))
        widest = networks[-1][0]
        return [limit.of(widest, "" if network == widest else network, times=times) for network, times in networks]

    def _take_here(self, limit: Limit, request: web.Request) -> None:
        if self._read_counts is not None:
            _refuse(limit, self._read_counts.take(self._by_address(limit, request)))

    async def _guess(self, quotas: Sequence[Quota], check: Check) -> bool:
        await self._take(quotas)
        is_wrong = False
        try:
            is_wrong = not await check()
        finally:
            # A password that was right, or that was not compared at all, was no wrong guess.
            if not is_wrong and self._counts is not None:
                self._counts.give_back(quotas)
        return not is_wrong

    async def _take(self, quotas: Sequence[Quota]) -> None:
        if self._counts is None:
            return
        wait = await self._counts.take(quotas)
        if wait:
            raise TooManyRequests(-(-wait // 1000), quotas[0].key.partition("{")[2].partition(":")[0])


def _refuse(limit: Limit, wait: int) -> None:
    if wait:
        raise TooManyRequests(-(-wait // 1000), limit.name)


def _hashed(subject: str) -> str:
    """Returns what stands for an account or a session in Redis, where neither must be readable."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
