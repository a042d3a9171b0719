"""Private chat between a client whose long polls reach two gateway nodes in turn, and one with a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.end_to_end.conftest import Daveslist
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import Person, Socket

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        yield client


async def polling(http: aiohttp.ClientSession, daveslist: Daveslist, person: Person) -> LongPollClient:
    """A session that has joined the person's own topic."""
    client = LongPollClient(http, [f"{node.url}/socket/longpoll" for node in daveslist.gateways])
    client.jwt = person.token
    await client.open()
    await client.join(person.topic)
    return client


async def test_people_chat_between_long_polling_and_a_websocket(
    daveslist: Daveslist, http: aiohttp.ClientSession
) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    polls = await polling(http, daveslist, ann)
    async with await Socket.connect(daveslist.gateways[1].socket_url, bob.token) as socket:
        assert (await socket.join(bob.topic))["status"] == "ok"
        assert await polls.post(["1", "2", ann.topic, "send", {"to": str(bob.id), "message": "Sold?"}]) == 200
        assert (await socket.event("send"))["message"] == "Sold?"
        await socket.push(bob.topic, "send", {"to": str(ann.id), "message": "Not yet."})
        frames = await polls.gets(3)
    assert [frame[4]["message"] for frame in frames if frame[3] == "send"] == ["Sold?", "Not yet."]
    assert [frame[4]["status"] for frame in frames if frame[3] == "phx_reply"] == ["ok"]
    stored = await daveslist.rest.call("GET", "/api/messages", 200, who=ann, after_id=0)
    assert [message["message"] for message in stored["data"]] == ["Sold?", "Not yet."]


async def test_a_log_out_ends_the_session_and_the_client_gets_no_new_one(
    daveslist: Daveslist, http: aiohttp.ClientSession
) -> None:
    ann = await daveslist.rest.register("Ann")
    polls = await polling(http, daveslist, ann)
    await daveslist.rest.call("POST", "/api/logout", 204, who=ann)
    # If a poll is waiting when the session ends, it is answered with 410 and without a token for a new session.
    while (answer := await polls.poll())["status"] in (204, 410):
        assert answer["token"] is None or answer["status"] == 204
    assert answer == {"status": 403}
    assert await polls.post(["1", "2", ann.topic, "typing", {"to": str(ann.id)}]) == 410
