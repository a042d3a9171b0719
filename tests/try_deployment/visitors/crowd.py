"""The people, the addresses, and the secrets that must not be found in a log."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from shared.settings import Settings
from tests.end_to_end.faults.load import Load
from tests.support.client import Person
from tests.try_deployment.visitors.watching import Watch

NGINX = "http://nginx:8080"
GATEWAYS = ("http://gateway-1:4000", "http://gateway-2:4000")
APIS = ("http://api-1:4001", "http://api-2:4001")
SOCKET = "ws://nginx:8080/socket/websocket"


@dataclass
class Crowd:
    """The people. `words` are in every message that they send, and nowhere else."""

    settings: Settings
    words: str
    people: dict[str, Person] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    pictures: dict[str, str] = field(default_factory=dict)
    """The digest of each uploaded picture, by its path."""
    listing_id: int = 0
    load: Load | None = None
    watch: Watch | None = None

    def knows(self, person: Person) -> Person:
        self.tokens |= {person.token, person.refresh_token}
        self.people[person.name] = person
        return person


async def metric(url: str, name: str) -> float:
    """A figure from the /metrics of a process, which only visitors inside can read."""
    async with browser() as client, client.get(f"{url}/metrics") as response:
        assert response.status == 200, f"{url}/metrics: {response.status}"
        text = await response.text()
    [value] = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(value)


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        yield client
