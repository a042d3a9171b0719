"""Requests that are limited: registrations, log-ins and guesses at a password."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import Any

from aiohttp import ClientSession, TCPConnector

from tests.api.conftest import PASSWORD, Api


def registration(number: int) -> dict[str, Any]:
    return {"email": f"someone{number}@example.com", "password": PASSWORD, "name": "Someone"}


async def refused(api: Api, method: str, path: str, **more: Any) -> int:
    """Check that the request is refused, and return the seconds of its Retry-After."""
    response = await api.client.request(method, path, **more)
    body = await response.json()
    assert (response.status, body["type"]) == (429, "/problems/too-many-requests")
    seconds = int(response.headers["Retry-After"])
    assert 1 <= seconds <= 120
    return seconds


ANY_PROXY = (ip_network("127.0.0.0/8"),)


async def log_in(api: Api, email: str, password: str, address: str = "203.0.113.1", device: str | None = None) -> int:
    """Log in from this address, for an API that trusts ANY_PROXY, and return the status."""
    body = {"email": email, "password": password} | ({"device_id": device} if device is not None else {})
    response = await api.client.post("/api/login", json=body, headers={"X-Forwarded-For": address})
    return response.status


async def guesses(api: Api, email: str, count: int) -> list[int]:
    """Send this many wrong passwords for one account at the same time; return the statuses."""
    body = {"email": email, "password": "wrong horse"}

    async def guess(client: ClientSession) -> int:
        async with client.post(api.client.make_url("/api/login"), json=body) as response:
            return response.status

    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        return await asyncio.gather(*(guess(client) for _ in range(count)))
