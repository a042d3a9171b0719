"""Somebody who uses Daveslist while it is attacked, and writes down how long each answer takes.

    python -m tests.attacks.bystander PLAN

PLAN is a `Plan` in JSON; each line of the output is a `Sample` in JSON. SIGTERM ends it.

It is a process of its own, so that the attacker's work does not delay it. It begins most requests at their time,
whether or not earlier ones have been answered: a pause of the service shows in all requests that fall into it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO

import aiohttp
import msgspec
from PIL import Image

from tests.support.client import PASSWORD, Person

PATIENCE_SECONDS = 12.0
NO_ANSWER = "no answer"
NOTHING = "nothing"
"""The habit of asking for nothing, for NOTHING_SECONDS: its samples tell how late the machine lets this process run."""
NOTHING_SECONDS = 0.01
ELSEWHERE = "elsewhere"
"""The habit of heartbeats to a gateway that is not attacked. They tell how long an answer takes on the same machine."""
ONE_AT_A_TIME = frozenset({"login", "upload"})
"""Habits in which nobody begins anew before the answer is there."""
SOCKETS = 2
"""nginx gives new sockets to the gateways in turn, so there is one on each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who it is, and how many seconds are between two requests of each habit."""

    url: str
    socket_url: str
    address: str
    person: Person
    friend_id: int
    habits: dict[str, float]
    elsewhere_url: str = ""
    """Where the heartbeats of ELSEWHERE go, if it is a habit."""
    search: str = "toyota corolla"
    listing_ids: tuple[int, ...] = ()
    """Listings of its own, which get its pictures in turn."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: the `time.monotonic` of its beginning, how long its answer took, and what was wrong with it."""

    habit: str
    started: float
    seconds: float
    fault: str


class Fault(Exception):
    """The answer was a refusal, or there was none. The message is the `fault` of the sample."""


class Line:
    """A socket that has joined its user's own topic, and waits for the answer to each push."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, person: Person) -> None:
        self._socket = socket
        self._topic = person.topic
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._refs = map(str, itertools.count(1))
        self._reader = asyncio.create_task(self._read())

    async def join(self) -> None:
        await self.ask("phx_join", {})

    async def beat(self) -> None:
        await self.ask("heartbeat", {}, topic="phoenix")

    async def ask(self, event: str, payload: object, topic: str | None = None) -> None:
        ref = next(self._refs)
        answer = self._waiting[ref] = asyncio.get_running_loop().create_future()
        if self._reader.done():
            raise Fault("closed")
        join_ref = None if topic else "join"
        await self._socket.send_str(json.dumps([join_ref, ref, topic or self._topic, event, payload]))
        status = await answer
        if status != "ok":
            raise Fault(status)

    async def _read(self) -> None:
        async for message in self._socket:
            _, ref, _, event, payload = json.loads(message.data)
            if event == "phx_reply" and (answer := self._waiting.pop(ref, None)) and not answer.done():
                answer.set_result(payload["status"])
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Fault("closed"))

    async def close(self) -> None:
        await self._socket.close()
        await self._reader


class Bystander:
    def __init__(self, plan: Plan, client: aiohttp.ClientSession, lines: list[Line], elsewhere: list[Line]) -> None:
        self._plan = plan
        self._client = client
        self._lines = itertools.cycle(lines)
        self._elsewhere = itertools.cycle(elsewhere)
        self._owner = {"Authorization": f"Bearer {plan.person.token}"}
        output = BytesIO()
        Image.new("RGB", (64, 48), (200, 30, 30)).save(output, "JPEG")
        self._picture = output.getvalue()
        self._listings = itertools.cycle(plan.listing_ids)
        self.habits: dict[str, Callable[[], Awaitable[None]]] = {
            NOTHING: self._nothing,
            "me": lambda: self._http("GET", "/api/me", headers=self._owner),
            "page": lambda: self._http("GET", "/api/listings?limit=20"),
            "search": lambda: self._http("GET", "/api/listings", params={"q": plan.search}),
            "login": self._log_in,
            "upload": self._upload,
            "beat": lambda: next(self._lines).beat(),
            "send": self._send,
            ELSEWHERE: lambda: next(self._elsewhere).beat(),
        }

    async def _http(self, method: str, path: str, **given: object) -> None:
        try:
            async with self._client.request(method, self._plan.url + path, **given) as response:  # type: ignore[arg-type]
                await response.read()
        except aiohttp.ClientError as error:
            raise Fault(type(error).__name__) from None
        if response.status >= 400:
            raise Fault(str(response.status))

    async def _nothing(self) -> None:
        await asyncio.sleep(NOTHING_SECONDS)

    async def _log_in(self) -> None:
        await self._http("POST", "/api/login", json={"email": self._plan.person.email, "password": PASSWORD})

    async def _upload(self) -> None:
        form = aiohttp.FormData()
        form.add_field("picture", BytesIO(self._picture), filename="car.jpg", content_type="image/jpeg")
        path = f"/api/listings/{next(self._listings)}/pictures"
        await self._http("POST", path, data=form, headers=self._owner)

    async def _send(self) -> None:
        await next(self._lines).ask("send", {"to": str(self._plan.friend_id), "message": "Is it still there?"})

    async def sample(self, habit: str) -> None:
        loop = asyncio.get_running_loop()
        started, fault = loop.time(), ""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.habits[habit]()
        except Fault as error:
            fault = str(error)
        except (TimeoutError, ConnectionError):
            fault = NO_ANSWER
        seconds = loop.time() - started - (NOTHING_SECONDS if habit == NOTHING else 0.0)
        print(msgspec.json.encode(Sample(habit, started, seconds, fault)).decode(), flush=True)


async def main(plan: Plan) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    connector = aiohttp.TCPConnector(local_addr=(plan.address, 0), limit=0)
    timeout = aiohttp.ClientTimeout(total=2 * PATIENCE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:

        async def line_to(url: str) -> Line:
            query = {"token": plan.person.token, "vsn": "2.0.0"}
            return Line(await client.ws_connect(url, params=query), plan.person)

        lines, elsewhere = [], []
        if plan.habits.keys() & {"beat", "send"}:
            lines = [await line_to(plan.socket_url) for _ in range(SOCKETS)]
            await asyncio.gather(*(line.join() for line in lines))
        if ELSEWHERE in plan.habits:
            elsewhere = [await line_to(plan.elsewhere_url)]
        bystander = Bystander(plan, client, lines, elsewhere)
        async with asyncio.TaskGroup() as under_way:

            async def repeat(habit: str, every_seconds: float) -> None:
                at, last = loop.time(), None
                while not ended.is_set():
                    if habit not in ONE_AT_A_TIME or last is None or last.done():
                        last = under_way.create_task(bystander.sample(habit))
                    at = max(at + every_seconds, loop.time())
                    await asyncio.wait([has_ended], timeout=at - loop.time())

            has_ended = under_way.create_task(ended.wait())
            for habit, every_seconds in plan.habits.items():
                under_way.create_task(repeat(habit, every_seconds))
        for line in (*lines, *elsewhere):
            await line.close()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
