"""Gateways behind nginx end or freeze while people are connected: all are soon connected again, and miss nothing."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import aiohttp
import psutil
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from shared.domain.users import Role
from tests.deployment.conftest import Deployment
from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.end_to_end.browser.conftest import logged_in
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import Person, Rest, Socket
from tests.support.crowd import JOINED, Crowd, Meeting, crowd
from tests.support.freezing import freeze, thaw
from tests.support.patience import MOST_SECONDS, Patience
from tests.support.processes import Node
from tests.support.waiting import PATIENCE_SECONDS

BACK_SECONDS = 10.0
"""Within this time after the gateways' return, everybody has joined again and has every missed message. A client that
gets a wrong answer never comes back."""
FROZEN_SECONDS = 7.0
"""A frozen gateway delays a new client for less than this. nginx gives up after five seconds at most."""
PAGE_SECONDS = 1.0
"""Playwright looks at a page again after at most this time."""


@pytest.fixture
async def meeting(own_deployment: Deployment) -> AsyncIterator[Meeting]:
    async with Rest(own_deployment.nginx.url) as rest:
        yield await Meeting.of_all_kinds(rest)


def patience(seconds: float, deployment: Deployment, people: Crowd | None = None) -> Patience:
    """Patience with a deployment, with a crowd, and with this process and those below it, such as a browser's."""
    this = psutil.Process()
    below = [one.pid for one in this.children(recursive=True)]
    return Patience(seconds, {this.pid, *below, *deployment.process_ids, *(people.process_ids if people else ())})


def socket_of(deployment: Deployment) -> str:
    return deployment.nginx.socket_url.removesuffix("/websocket")


async def end_gateways(gateways: list[Node], how: str) -> None:
    """End all gateways at once: as a failing machine does, or as an operator's `stop` does."""
    for gateway in gateways:
        if how == "killed":
            gateway.kill()
        else:
            gateway.signal(signal.SIGTERM)
    await asyncio.gather(*(gateway.ended() for gateway in gateways))


class Pages:
    """People with the page in Chromium, each in a browser of their own, in a conversation with one other person."""

    def __init__(self, chromium: Browser, url: str, other: Person) -> None:
        self._chromium = chromium
        self._url = url
        self._other = other
        self.faults: list[str] = []
        self.open: dict[str, Page] = {}

    async def connect(self, name: str, person: Person, init: str = "") -> None:
        state = logged_in(person, Role.USER, self._url)
        context = await self._chromium.new_context(base_url=self._url, storage_state=state, locale="en-US")
        page = self.open[name] = await context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{name}: {error}"))
        if init:
            await page.add_init_script(init)
        await page.goto(f"/messages/{self._other.id}")

    async def live(self) -> None:
        """Wait until all are connected."""
        await asyncio.gather(*(self._is_live(page) for page in self.open.values()))

    async def shown(self, text: str, patience: Patience) -> dict[str, float]:
        """The seconds after which each page showed this message and was connected. Fails if that is too late."""

        async def show(name: str, page: Page) -> tuple[str, float]:
            bubble = page.locator("[data-message] .bubble").filter(has_text=text)
            await expect(bubble).to_be_visible(timeout=MOST_SECONDS * 1000)
            await self._is_live(page)
            took = time.monotonic() - patience.began_at
            assert took < patience.allowed + PAGE_SECONDS, f"{name} took {took:.1f} s of {patience.allowed:.1f} s"
            return name, took

        return dict(await asyncio.gather(*(show(*one) for one in self.open.items())))

    async def _is_live(self, page: Page) -> None:
        await expect(page.locator(".connection[data-state=live]")).to_be_visible(timeout=MOST_SECONDS * 1000)


@asynccontextmanager
async def pages(url: str, other: Person) -> AsyncIterator[Pages | None]:
    """The pages; None if there is no browser."""
    path = find_chromium()
    if path is None:
        yield None
        return
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield Pages(chromium, url, other)
        await chromium.close()


# phoenix.js sets this item in a browser whose WebSockets have all failed.
BY_LONGPOLL = "sessionStorage.setItem('phx:fallback:LongPoll', 'true')"


@pytest.mark.slow
@pytest.mark.parametrize(("how", "seconds"), [("killed", 2.0), ("stopped", 5.0), ("stopped", 30.0)])
async def test_all_clients_soon_join_again_after_an_outage_of_the_gateways(
    own_deployment: Deployment, meeting: Meeting, how: str, seconds: float
) -> None:
    person = next(iter(meeting.people.values()))
    async with (
        crowd(socket_of(own_deployment)) as people,
        pages(own_deployment.nginx.url, meeting.writer) as shown,
    ):
        names = people.connect_all(meeting)
        if shown is not None:
            await shown.connect("the page", person)
            await shown.connect("the page, by long polling", person, BY_LONGPOLL)
            await shown.live()
        assert not await people.all_told(names, JOINED, Patience(MOST_SECONDS))

        await end_gateways(own_deployment.gateways, how)
        gone_at = time.monotonic()
        names += people.connect_all(meeting, ", late")
        if shown is not None:
            await shown.connect("the page, opened meanwhile", person)
        await meeting.write("While they were away")
        await asyncio.sleep(gone_at + seconds - time.monotonic())
        # Only reports from now on are about the new gateways; an earlier join may have been at an ending gateway.
        start_at = time.monotonic()
        await asyncio.gather(*(own_deployment.start_gateway(number) for number in range(2)))
        back = patience(BACK_SECONDS, own_deployment, people)

        if shown is not None:
            for name, seconds_to_show in (await shown.shown("While they were away", back)).items():
                print(f"{name:32} {seconds_to_show:5.1f} s")
        missing = await people.all_told(names, {"message": "While they were away"}, back)
        missing += await people.all_told(names, JOINED, back, since=start_at)
        print(figures(people, names, start_at, back.began_at))
        print(f"allowed {back.allowed:.1f} s, because processes waited for a CPU")
        assert not missing, f"{missing} did not come back; {people.thrown}"
        assert not people.thrown
        # All have really joined, since the next message reaches them at once.
        await meeting.write("And now")
        now = patience(BACK_SECONDS, own_deployment, people)
        assert not await people.all_told(names, {"message": "And now"}, now)
        if shown is not None:
            await shown.shown("And now", now)
            assert not shown.faults
    if shown is None:
        pytest.skip("no Chromium on this machine: only the page was left out")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_all_clients_still_get_messages_when_one_gateway_ends(
    own_deployment: Deployment, meeting: Meeting, how: str
) -> None:
    """Some versions of phoenix.js do not notice that their polls have got a new session, in which nothing is joined."""
    async with crowd(socket_of(own_deployment)) as people:
        names = people.connect_all(meeting)
        assert not await people.all_told(names, JOINED, Patience(MOST_SECONDS))
        await end_gateways(own_deployment.gateways[:1], how)
        for text in ("Now there is one", "And still"):
            await meeting.write(text)
            missing = await people.all_told(names, {"message": text}, patience(BACK_SECONDS, own_deployment, people))
            assert not missing, f"{missing} did not get the message; {people.thrown}"
        assert not people.thrown


@pytest.fixture
async def frozen(own_deployment: Deployment) -> AsyncIterator[Deployment]:
    """A deployment whose first gateway is frozen: the kernel still accepts connections for it."""
    freeze(own_deployment.gateways[0].pid)
    yield own_deployment
    thaw(own_deployment.gateways[0].pid)


async def test_a_frozen_gateway_does_not_delay_new_sockets_for_long(frozen: Deployment) -> None:
    async def join(person: Person) -> float:
        begin = time.monotonic()
        async with await Socket.connect(frozen.nginx.socket_url, person.token) as socket:
            assert (await socket.join(person.topic))["status"] == "ok"
            return time.monotonic() - begin

    async with Rest(frozen.nginx.url) as rest:
        ann = await rest.register("Ann")
    # At first nginx does not know that a gateway is frozen, and later it does. So clients also connect one by one.
    frozen_seconds = patience(FROZEN_SECONDS, frozen)
    took = await asyncio.gather(*(join(ann) for _ in range(20)))
    took += [await join(ann) for _ in range(4)]
    print(f"new sockets took {min(took):.2f} to {max(took):.2f} s")
    assert max(took) < frozen_seconds.allowed


@contextmanager
def unreachable(port: int) -> Iterator[None]:
    """Connections to this port hang, as with a container that is gone, because the port's queue is full."""
    with closing(socket.socket()) as full, closing(socket.socket()) as first:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", port))
        full.listen(0)
        first.connect(full.getsockname())
        yield


async def test_an_unreachable_api_delays_a_request_by_one_second(own_deployment: Deployment) -> None:
    api, other = own_deployment.apis
    api.kill()
    await api.ended()
    # A busy machine may delay one of these requests further, but hardly all of them.
    delays: list[float] = []
    with unreachable(api.port):
        async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE_SECONDS):
            while len(delays) < 3 and min(delays, default=2.0) >= 2.0:
                async with client.get(f"{own_deployment.nginx.url}/api/categories") as response:
                    assert response.status == 200
                lines = await own_deployment.nginx.logged("/api/categories", 1)
                both = f"127.0.0.1:{api.port}, 127.0.0.1:{other.port}"
                delays = [float(line["seconds"]) for line in lines if line["upstream"] == both]
    print(f"requests by the unreachable API took {delays} s")
    assert min(delays) < 2.0


async def test_the_check_for_accepting_gateways_is_closed_to_outsiders(own_deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{own_deployment.gateways[0].url}/health/accepting") as response:
            assert response.status == 204
        async with client.get(f"{own_deployment.nginx.url}/accepting") as response:
            assert response.status == 404


async def test_a_frozen_gateway_does_not_delay_polls_for_long(frozen: Deployment) -> None:
    async def chat(http: aiohttp.ClientSession, person: Person) -> list[float]:
        """The seconds that it takes to open a session, to join, and to get a message."""
        client = LongPollClient(http, [f"{frozen.nginx.url}/socket/longpoll"])
        client.jwt = person.token
        took = [time.monotonic()]
        await client.open()
        took.append(time.monotonic())
        # nginx does not repeat a POST. If it was for the frozen gateway, nginx answers, and the client posts again.
        while not await posted(frozen, client, ["1", "1", person.topic, "phx_join", {}]):
            pass
        await client.gets(1)
        took.append(time.monotonic())
        while not await posted(frozen, client, ["1", "2", person.topic, "typing", {"to": str(person.id)}]):
            pass
        await client.gets(1)
        took.append(time.monotonic())
        return [after - before for before, after in itertools.pairwise(took)]

    async with Rest(frozen.nginx.url) as rest, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        ann = await rest.register("Ann")
        frozen_seconds = patience(FROZEN_SECONDS, frozen)
        took = await asyncio.gather(*(chat(http, ann) for _ in range(10)))
    for what, times in zip(("opened", "joined", "heard"), zip(*took, strict=True), strict=True):
        print(f"{what} in {min(times):.2f} to {max(times):.2f} s")
    assert max(times[0] for times in took) < frozen_seconds.allowed


async def posted(deployment: Deployment, client: LongPollClient, frame: Any) -> bool:
    """Whether a gateway took the POST. Otherwise nginx answers soon, and not in JSON."""
    soon = patience(FROZEN_SECONDS, deployment)
    try:
        return await client.post(frame) == 200
    except AssertionError:
        assert soon.left
        return False


def figures(people: Crowd, names: list[str], start_at: float, back_at: float) -> str:
    """A line of the seconds from the gateways' return until each person had joined and caught up."""
    lines = []
    for name in names:
        joined = people.when(name, JOINED, start_at)
        heard = people.when(name, {"message": "While they were away"})
        texts = ("never" if at is None else f"{at - back_at:5.1f} s" for at in (joined, heard))
        lines.append(f"{name:32} joined {next(texts):>8}  caught up {next(texts):>8}  {people.ways(name)}")
    return "\n".join(lines)
