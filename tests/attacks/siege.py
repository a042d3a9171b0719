"""Runs an attack on a deployment beside a bystander: first without the attack, then with it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from development import child
from tests.attacks.bystander import NOTHING, PATIENCE_SECONDS, Plan, Sample
from tests.attacks.figures import Bounds, Figures, Patience, Usage, waits_of
from tests.deployment.conftest import Deployment
from tests.support.client import PASSWORD, Person
from tests.support.processes import NURSERY, Node, base_environment

ROUNDS = 3
QUIET_SECONDS = 2.0
ATTACK_SECONDS = 4.0
LOOK_SECONDS = 0.2
LISTINGS = 3
"""A bystander who uploads has so many, because a listing has few pictures."""
HABITS = {"me": 0.04, "page": 0.08}
"""What a bystander does by REST, with the seconds between two requests."""
CHATS = {"beat": 0.02, "send": 0.15}
"""What a bystander does by socket."""

Attack = Callable[[float], Awaitable[Counter[str]]]
"""Attacks until a time of the loop, and returns what it got, counted."""

_numbers = itertools.count(1)
_rounds = itertools.count(1)


class Siege:
    """Attacks one deployment. Every round has addresses and accounts of its own, so that no limit is used up before."""

    def __init__(self, deployment: Deployment, directory: Path, record: Callable[[str], None]) -> None:
        self.deployment = deployment
        self._directory = directory
        self._record = record

    @property
    def url(self) -> str:
        return self.deployment.nginx.url

    @property
    def socket_url(self) -> str:
        return self.deployment.nginx.socket_url

    async def lay(
        self,
        name: str,
        prepare: Callable[[str], AbstractAsyncContextManager[Attack]],
        *,
        habits: Mapping[str, float],
        bounds: Bounds | None = None,
        patience: Patience | None = None,
        socket_url: str | None = None,
        elsewhere_url: str = "",
        seconds: float = ATTACK_SECONDS,
        search: str = "toyota corolla",
        notes: Mapping[str, object] | None = None,
    ) -> Figures:
        """Attack in several rounds, until one of them does not slow the bystander down; fail if none is such.

        Other work on the machine can spoil a round, but an attack that works spoils all of them. Refusals, memory and
        logs must be within their bounds in each round. `prepare` gets the attacker's address. `notes`, which the attack
        may fill, are printed as well.
        """
        figures: Figures | None = None
        for _ in range(ROUNDS):
            number = next(_rounds)
            plan = await self._plan(f"127.77.{number}.1", habits, socket_url or self.socket_url, elsewhere_url, search)
            async with prepare(f"127.66.{number}.1") as attack:
                figures = await self._round(plan, attack, seconds, patience or Patience())
            figures.notes.update(notes or {})
            self._record(figures.line(name))
            beyond = figures.beyond(bounds or Bounds())
            assert not beyond, f"{beyond}: {figures.line(name)}"
            if not figures.slow:
                return figures
        assert figures is not None
        raise AssertionError(f"slow answers to {figures.slow} in {ROUNDS} rounds: {figures.line(name)}")

    async def _plan(
        self, address: str, habits: Mapping[str, float], socket_url: str, elsewhere_url: str, search: str
    ) -> Plan:
        person, friend = await self.register(address), await self.register(address)
        listing_ids = [await self.listing(person, address) for _ in range(LISTINGS if "upload" in habits else 0)]
        return Plan(
            url=self.url,
            socket_url=socket_url,
            elsewhere_url=elsewhere_url,
            address=address,
            person=person,
            friend_id=friend.id,
            habits={**habits, NOTHING: 0.02},
            search=search,
            listing_ids=tuple(listing_ids),
        )

    async def _round(self, plan: Plan, attack: Attack, seconds: float, patience: Patience) -> Figures:
        loop = asyncio.get_running_loop()
        async with self._bystander(plan) as samples:
            quiet_at = loop.time()
            await asyncio.sleep(QUIET_SECONDS)
            lines, log_bytes = self._logged()
            cpu_before = self._cpu_seconds()
            async with self._watched() as usage:
                attack_at = loop.time()
                answers = await attack(attack_at + seconds)
                ended_at = loop.time()
            # A process that an attack has killed is left out of both.
            cpu_seconds = sum(now - cpu_before.get(pid, 0.0) for pid, now in self._cpu_seconds().items())
            lines_after, log_bytes_after = self._logged()
        faults = Counter(f"{sample.habit}: {sample.fault}" for sample in samples if sample.fault)
        return Figures(
            quiet=waits_of(samples, quiet_at, attack_at),
            attacked=waits_of(samples, attack_at, ended_at),
            faults=faults,
            answers=answers,
            seconds=ended_at - attack_at,
            usage=usage,
            lines=lines_after - lines,
            log_bytes=log_bytes_after - log_bytes,
            cpu_seconds=cpu_seconds,
            patience=patience,
        )

    @asynccontextmanager
    async def _bystander(self, plan: Plan) -> AsyncIterator[list[Sample]]:
        """Start the bystander, and wait for an answer to each of its habits. Its samples are there at the end."""
        output = self._directory / f"bystander-{next(_numbers)}.log"
        errors = output.with_suffix(".errors")
        given = msgspec.json.encode(plan).decode()
        process = NURSERY.start("tests.attacks.bystander", [given], base_environment(), output, errors=errors)
        samples: list[Sample] = []
        try:

            def have_begun() -> bool:
                assert process.poll() is None, errors.read_text()
                return {sample.habit for sample in _read(output)} == plan.habits.keys()

            assert await child.happens(have_begun, PATIENCE_SECONDS), _read(output)
            yield samples
            process.send_signal(signal.SIGTERM)
            assert await child.happens(lambda: process.poll() is not None, 2 * PATIENCE_SECONDS)
            assert process.poll() == 0, errors.read_text()
            samples += _read(output)
        finally:
            process.kill()

    # What the deployment uses

    def _nodes(self) -> list[Node]:
        return [*self.deployment.apis, *self.deployment.gateways]

    def _logged(self) -> tuple[int, int]:
        """The lines, and the characters, of all processes' logs so far."""
        outputs = [node.output() for node in self._nodes()]
        return sum(output.count("\n") for output in outputs), sum(map(len, outputs))

    def _cpu_seconds(self) -> dict[int, float]:
        """The CPU seconds of each process that runs, by its pid."""
        families = [_family(node.pid) for node in self._nodes() if node.is_running]
        families.append(_family(self.deployment.nginx.process.pid))
        found = {}
        for process in itertools.chain.from_iterable(families):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        return found

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[Usage]:
        usage = Usage()

        async def watch() -> None:
            while True:
                self._look(usage)
                await asyncio.sleep(LOOK_SECONDS)

        watching = asyncio.create_task(watch())
        try:
            yield usage
            self._look(usage)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _look(self, usage: Usage) -> None:
        apis = [_memory(node.pid) for node in self.deployment.apis if node.is_running]
        gateways = [_memory(node.pid) for node in self.deployment.gateways if node.is_running]
        nginx = self.deployment.nginx
        usage.api_bytes = max(usage.api_bytes, *apis)
        usage.gateway_bytes = max(usage.gateway_bytes, *gateways)
        usage.nginx_bytes = max(usage.nginx_bytes, _memory(nginx.process.pid))
        usage.file_bytes = max(usage.file_bytes, nginx.bytes_in_files())

    # What attacks need

    @asynccontextmanager
    async def client(self, address: str) -> AsyncIterator[aiohttp.ClientSession]:
        """A client at this address."""
        connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
        async with aiohttp.ClientSession(base_url=self.url, connector=connector) as client:
            yield client

    async def register(self, address: str) -> Person:
        """Register somebody from this address."""
        email = f"somebody{next(_numbers)}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Somebody"}
        async with self.client(address) as client, client.post("/api/register", json=body) as response:
            assert response.status == 201, await response.text()
            answer = await response.json()
        return Person(answer["user"]["id"], "Somebody", email, answer["access_token"], answer["refresh_token"])

    async def listing(self, seller: Person, address: str, **fields: object) -> int:
        """Create a listing; returns its id."""
        async with self.client(address) as client:
            async with client.get("/api/categories") as response:
                categories = (await response.json())["data"]
            category_id = next(one["id"] for one in categories if one["visibility"] == "public")
            body = {"title": "A car", "content": "It drives.", "category_id": category_id, **fields}
            async with client.post("/api/listings", json=body, headers=bearer(seller)) as response:
                assert response.status == 201, await response.text()
                return int((await response.json())["id"])


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


async def answer_to(client: aiohttp.ClientSession, method: str, path: str, **given: Any) -> str:
    """The status of the answer to a request; "cut off" if the connection ended before it, as a refusal may end it."""
    try:
        async with client.request(method, path, **given) as response:
            await response.read()
            return str(response.status)
    except aiohttp.ClientError:
        return "cut off"


def _read(output: Path) -> list[Sample]:
    # The last line may be incomplete.
    lines = output.read_bytes().rpartition(b"\n")[0].splitlines()
    return [msgspec.json.decode(line, type=Sample) for line in lines]


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory(pid: int) -> int:
    """Resident bytes of a process and of those that it has started."""
    found = 0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess):
            found += process.memory_info().rss
    return found


async def hold(until: float) -> None:
    """Wait until this time of the loop."""
    await asyncio.sleep(max(0.0, until - time.monotonic()))
