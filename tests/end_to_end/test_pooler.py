"""The whole product behind PgBouncer in transaction mode, where all processes share three connections to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.api.test_pictures import a_jpeg, form
from tests.end_to_end.conftest import settings_on
from tests.support.client import Person, Rest, Socket
from tests.support.database import query, sent_messages
from tests.support.pgbouncer import POOL, PgBouncer, pgbouncer_of
from tests.support.processes import Node, Processes
from tests.support.servers import Servers
from tests.support.waiting import until
from tests.support.written_mails import token_in_mail

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

PATIENCE_SECONDS = 30.0
PEOPLE = 8
SENDS = 25


@pytest.fixture(scope="module")
def pooler(servers: Servers) -> Iterator[PgBouncer]:
    with pgbouncer_of(servers) as running:
        yield running


@pytest.fixture(scope="module")
def deployment(servers: Servers, pooler: PgBouncer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        by_pooler = pooler.url(settings.database_url)
        yield replace(settings, database_url=by_pooler, node_lease_seconds=2.0, database_timeout_seconds=20.0)


class Pair:
    """Two APIs and two gateways."""

    def __init__(self, apis: tuple[Node, Node], gateways: tuple[Node, Node], rests: tuple[Rest, Rest]) -> None:
        self.apis, self.gateways, self.rests = apis, gateways, rests

    async def are_ready(self) -> None:
        async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE_SECONDS):
            for node in (*self.apis, *self.gateways):
                while True:
                    async with client.get(f"{node.url}/health/ready") as response:
                        if response.status == 200:
                            break
                    await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(deployment: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    processes = Processes(deployment, tmp_path_factory.mktemp("processes"))
    try:
        started = await asyncio.gather(processes.api(), processes.api(), processes.gateway(), processes.gateway())
        async with Rest(started[0].url) as first, Rest(started[1].url) as second:
            yield Pair(started[:2], started[2:], (first, second))
    finally:
        await processes.stop()


async def joined(pair: Pair, person: Person, node: int, **params: Any) -> tuple[Socket, Any]:
    socket = await Socket.connect(pair.gateways[node].socket_url, person.token)
    answer = await socket.join(person.topic, params)
    assert answer["status"] == "ok"
    return socket, answer["response"]


async def test_four_processes_with_dozens_of_connections_use_three_of_postgres(
    pair: Pair, deployment: Settings, servers: Servers, pooler: PgBouncer
) -> None:
    await pair.are_ready()
    await asyncio.gather(*(rest.call("GET", "/api/listings", 200) for rest in pair.rests * 20))
    name = deployment.database_url.rpartition("/")[2]
    count = "SELECT count(*)::int FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
    [(at_postgres,)] = query(servers.postgres.url("postgres"), count, name)
    at_pooler = sum(row[1] == "daveslist_processes" for row in await pooler.command("SHOW CLIENTS"))
    print(f"{at_pooler} connections of four processes shared {at_postgres} of Postgres")
    assert at_postgres <= POOL < at_pooler


async def test_what_is_acknowledged_is_stored_arrives_on_the_other_node_and_is_caught_up(
    pair: Pair, deployment: Settings
) -> None:
    people = await asyncio.gather(*(pair.rests[n % 2].register(f"Person{n}") for n in range(PEOPLE)))
    sockets = [(await joined(pair, person, n % 2))[0] for n, person in enumerate(people)]
    acknowledged: list[int] = []

    async def chat(number: int) -> None:
        me, other = people[number], people[(number + 1) % PEOPLE]
        for count in range(SENDS):
            answer = await sockets[number].push(me.topic, "send", {"to": str(other.id), "message": f"{count}"})
            assert answer["status"] == "ok", answer
            acknowledged.append(answer["response"]["id"])

    try:
        await asyncio.gather(*(chat(number) for number in range(PEOPLE)))
        for number, socket in enumerate(sockets):
            before = people[number - 1]
            texts = [(await socket.take(is_send_from(before)))[4]["message"] for _ in range(SENDS)]
            assert texts == [f"{count}" for count in range(SENDS)]
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))
    stored = sent_messages(deployment.database_url, *(person.id for person in people))
    assert sorted(row[0] for row in stored) == sorted(acknowledged)
    assert len(stored) == PEOPLE * SENDS
    again, caught_up = await joined(pair, people[0], 1, after_id=0)
    await again.close()
    assert [message["id"] for message in caught_up["messages"]] == sorted(
        row[0] for row in stored if people[0].id in (row[1], row[2])
    )


def is_send_from(person: Person) -> Callable[[Any], bool]:
    return lambda frame: frame[3] == "send" and frame[4]["from"] == str(person.id)


async def test_listings_pictures_searches_alerts_pages_mails_and_exports_work(pair: Pair, deployment: Settings) -> None:
    seller, buyer = await pair.rests[0].register("Seller"), await pair.rests[1].register("Buyer")
    insert = "INSERT INTO categories (name) VALUES ('Behind the pooler') RETURNING id"
    [(category,)] = query(deployment.database_url, insert)
    search = {"name": "Mine", "query": {"q": "camry"}}
    await pair.rests[1].call("POST", "/api/searches", 201, who=buyer, body=search)
    socket = await Socket.connect(pair.gateways[1].socket_url, buyer.token)
    assert (await socket.join(f"alerts:{buyer.id}"))["status"] == "ok"
    body = {"title": "2015 Toyota Camry", "content": "One owner.", "category_id": category}
    listing = (await pair.rests[0].call("POST", "/api/listings", 201, who=seller, body=body))["id"]
    assert (await socket.event("match"))["listing_id"] == listing
    await socket.close()

    pictures = f"/api/listings/{listing}/pictures"
    await pair.rests[1].call("POST", pictures, 201, who=seller, data=form(a_jpeg()))
    await upload_in_parts(pair, seller, listing)
    shown = await pair.rests[0].call("GET", f"/api/listings/{listing}", 200)
    assert len(shown["pictures"]) == 2
    for path in ("/api/listings?q=camry", "/api/listings?q=toyta", "/api/listings/facets?q=camry"):
        await asyncio.gather(*(rest.call("GET", path, 200) for rest in pair.rests * 4))

    async with aiohttp.ClientSession() as client:
        for path in (f"/listings/{listing}", "/", "/sitemap.xml", "/sitemaps/1.xml", "/feed.atom"):
            async with client.get(pair.apis[1].url + path) as response:
                assert response.status == 200, path
                assert path == "/sitemap.xml" or f"listings/{listing}" in await response.text()

    await pair.rests[0].call("POST", "/api/password/forgotten", 202, body={"email": buyer.email})
    token = await token_in_mail(deployment, buyer.email, "/password/reset")
    reset = {"token": token, "password": "another horse battery"}
    await pair.rests[1].call("POST", "/api/password/reset", 204, body=reset)

    kept = await pair.rests[1].call("GET", "/api/me/export", 200, who=seller)
    assert "2015 Toyota Camry" in str(kept)


async def upload_in_parts(pair: Pair, seller: Person, listing: int) -> None:
    """The second API takes the part that the first one did not get."""
    data = a_jpeg() + bytes(200_000)
    headers = {"Authorization": f"Bearer {seller.token}", "Upload-Length": str(len(data)), "Upload-Complete": "?0"}
    async with aiohttp.ClientSession() as client:
        begin = f"{pair.apis[0].url}/api/listings/{listing}/uploads"
        async with client.post(begin, headers=headers) as response:
            assert response.status == 201
            url = (await response.json())["url"]
        half = len(data) // 2
        for api, offset, end in ((pair.apis[0], 0, half), (pair.apis[1], half, len(data))):
            headers |= {"Upload-Offset": str(offset), "Upload-Complete": f"?{int(end == len(data))}"}
            headers["Content-Type"] = "application/partial-upload"
            async with client.patch(api.url + url, data=data[offset:end], headers=headers) as response:
                assert response.status in (200, 201, 204), await response.text()


async def test_processes_are_ready_and_alive_again_after_the_pooler_was_restarted(
    pair: Pair, deployment: Settings, servers: Servers, pooler: PgBouncer
) -> None:
    ann, bob = await pair.rests[0].register("Ann"), await pair.rests[1].register("Bob")
    (anns, _), (bobs, _) = await joined(pair, ann, 0), await joined(pair, bob, 1)
    await pooler.stop()
    await pooler.start()
    await pair.are_ready()
    sent = {"to": str(bob.id), "message": "Still there?", "client_ref": "one"}
    async with asyncio.timeout(PATIENCE_SECONDS):
        # A process can still have connections that the restart has ended.
        while (await anns.push(ann.topic, "send", sent))["status"] != "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await bobs.event("send"))["message"] == "Still there?"
    await asyncio.gather(anns.close(), bobs.close())
    direct = servers.postgres.url(deployment.database_url.rpartition("/")[2])
    alive = "SELECT 1 FROM nodes WHERE alive_until > now()"
    await until(lambda: len(query(direct, alive)) == 4, PATIENCE_SECONDS)
    output = "".join(node.output() for node in (*pair.apis, *pair.gateways))
    assert "prepared statement" not in output
