"""An API commits a change and cannot publish it, since it is killed, stopped or cut off: gateways still act on it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.channels.listing import SPREAD_SECONDS
from tests.end_to_end.faults.conftest import World
from tests.support.client import PASSWORD, Person, Rest, Socket
from tests.support.database import query
from tests.support.patience import Patience
from tests.support.processes import CHECKOUT, Node, base_environment, environment_of
from tests.support.proxy import Proxy
from tests.support.waiting import until

NOWHERE = "redis://127.0.0.1:1"
SOON = 12.0
"""Within this time, a gateway acts on a change that a lost API has committed. Whoever waits for a CPU gets more."""
DATABASE_TIMEOUT_SECONDS = "20"
"""Nothing happens to Postgres here, and so no statement may fail because the machine is busy."""


@dataclass
class Stage:
    """A gateway, and an API whose connection to Redis can be cut. The gateway keeps its own."""

    world: World
    api: Node
    gateway: Node
    to_redis: Proxy
    rest: Rest
    admin: Person
    eve: Person
    ann: Person
    category_id: int = 0

    async def listing(self) -> int:
        """The id of a new listing that anybody may see."""
        body = {"title": "A Corolla", "content": "One owner.", "category_id": self.category_id, "visibility": "public"}
        return int((await self.rest.call("POST", "/api/listings", 201, who=self.admin, body=body))["id"])

    async def another_session(self, who: Person) -> Person:
        body = {"email": who.email, "password": PASSWORD}
        answer = await self.rest.call("POST", "/api/login", 200, body=body)
        return replace(who, token=answer["access_token"], refresh_token=answer["refresh_token"])

    async def socket(self, who: Person) -> Socket:
        """A socket that has joined the user's own topic."""
        socket = await Socket.connect(self.gateway.socket_url, who.token)
        answer = await socket.join(who.topic, {"after_id": 0})
        assert answer["status"] == "ok", answer
        return socket

    async def viewer(self, who: Person, listing_id: int) -> Socket:
        """A socket that has joined the listing's topic."""
        socket = await Socket.connect(self.gateway.socket_url, who.token)
        assert (await socket.join(f"listing:{listing_id}"))["status"] == "ok"
        return socket

    def alerts(self) -> list[int]:
        """The listings of which somebody was told."""
        return [row[0] for row in query(self.world.settings.database_url, "SELECT listing_id FROM alerts ORDER BY id")]

    def sql(self, statement: str, *parameters: Any) -> None:
        query(self.world.settings.database_url, statement + " RETURNING 1", *parameters)


@pytest.fixture
async def stage(world: World) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        to_redis = await stack.enter_async_context(Proxy(world.redis_port))
        patient = {"DATABASE_TIMEOUT_SECONDS": DATABASE_TIMEOUT_SECONDS}
        [gateway] = await world.gateways(1, **patient)
        api = await world.processes.api(REDIS_URL=f"redis://127.0.0.1:{to_redis.port}/0", **patient)
        rest = await stack.enter_async_context(Rest(api.url))
        admin, eve, ann = [await rest.register(name) for name in ("Adam", "Eve", "Ann")]
        stage = Stage(world, api, gateway, to_redis, rest, admin, eve, ann)
        stage.sql("UPDATE users SET role = 'admin' WHERE id = %s", admin.id)
        body = {"name": "Saloons", "visibility": "public"}
        stage.category_id = (await rest.call("POST", "/api/categories", 201, who=admin, body=body))["id"]
        yield stage


@asynccontextmanager
async def soon(gateway: Node, more: float = 0.0) -> AsyncIterator[None]:
    """What is awaited in the block comes within `SOON` and so many seconds more."""
    patience = Patience(SOON + more, {os.getpid(), gateway.pid})
    yield
    assert patience.left, f"more than {patience.allowed:.1f} s"


End = Callable[[Stage], Awaitable[None]]


async def dies(stage: Stage) -> None:
    stage.api.kill()


async def is_stopped(stage: Stage) -> None:
    stage.api.signal(signal.SIGTERM)
    assert await stage.api.ended() == 0


async def stays_cut_off(_: Stage) -> None:
    """The API stays cut off until the test ends."""


each_end = pytest.mark.parametrize("end", [dies, is_stopped, stays_cut_off], ids=lambda end: str(end.__name__))


@each_end
async def test_a_gateway_closes_the_sockets_of_users_whom_a_lost_api_has_put_out(stage: Stage, end: End) -> None:
    """Eve logs out, Ben changes his password on his phone, Cat is banned, Dan deletes his account."""
    call = stage.rest.call
    ben, cat, dan = [await stage.rest.register(name) for name in ("Ben", "Cat", "Dan")]
    bens_phone = await stage.another_session(ben)
    async with AsyncExitStack() as stack:
        stay = [await stack.enter_async_context(await stage.socket(who)) for who in (stage.ann, bens_phone)]
        go = [await stack.enter_async_context(await stage.socket(who)) for who in (stage.eve, ben, cat, dan)]
        stage.to_redis.cut()
        await call("POST", "/api/logout", 204, who=stage.eve)
        body: dict[str, Any] = {"current_password": PASSWORD, "password": PASSWORD + "!"}
        await call("PATCH", "/api/me", 200, who=bens_phone, body=body)
        await call("PUT", f"/api/users/{cat.id}/ban", 200, who=stage.admin, body={"reason": "spam"})
        await call("DELETE", "/api/me", 204, who=dan, body={"current_password": PASSWORD})
        await end(stage)
        async with soon(stage.gateway):
            assert [await socket.closed() for socket in go] == [1001] * 4
        assert [socket.close_code for socket in stay] == [None] * 2


@each_end
async def test_a_message_arrives_even_if_the_api_could_not_publish_it(stage: Stage, end: End) -> None:
    async with await stage.socket(stage.ann) as anns, await stage.socket(stage.eve) as eves:
        stage.to_redis.cut()
        body = {"to": stage.ann.id, "message": "my last words"}
        stored = await stage.rest.call("POST", "/api/messages", 201, who=stage.eve, body=body)
        await end(stage)
        async with soon(stage.gateway):
            assert (await anns.event("send"))["id"] == stored["id"]
            assert (await eves.event("send"))["id"] == stored["id"]


@each_end
async def test_an_alert_arrives_once_even_if_the_api_could_not_publish_it(stage: Stage, end: End) -> None:
    await stage.rest.call("POST", "/api/searches", 201, who=stage.ann, body={"name": "All", "query": {}})
    topic = f"alerts:{stage.ann.id}"
    async with await stage.socket(stage.ann) as anns:
        assert (await anns.join(topic, {"after_id": 0}, "j2"))["response"] == {"alerts": [], "complete": True}
        stage.to_redis.cut()
        listing_id = await stage.listing()
        await until(lambda: stage.alerts() == [listing_id])
        await end(stage)
        async with soon(stage.gateway):
            assert (await anns.event("match"))["listing_id"] == listing_id
        async with await stage.socket(stage.ann) as again:
            caught_up = (await again.join(topic, {"after_id": 0}, "j2"))["response"]
            assert [one["listing_id"] for one in caught_up["alerts"]] == [listing_id]
        assert [frame for frame in anns.frames if frame[3] == "match"] == []


@each_end
async def test_a_gateway_takes_a_listing_from_viewers_after_a_lost_api_has_hidden_it(stage: Stage, end: End) -> None:
    """Eve loses a listing that is hidden and one that is deleted. Ann loses her role, and so a hidden listing."""
    call, ids = stage.rest.call, [await stage.listing() for _ in range(3)]
    stage.sql("UPDATE users SET role = 'moderator' WHERE id = %s", stage.ann.id)
    await call("PUT", f"/api/listings/{ids[0]}/hidden", 200, who=stage.admin, body={})
    async with AsyncExitStack() as stack:
        viewers = zip((stage.ann, stage.eve, stage.eve), ids, strict=True)
        sockets = [await stack.enter_async_context(await stage.viewer(who, of)) for who, of in viewers]
        stage.to_redis.cut()
        await call("PUT", f"/api/users/{stage.ann.id}/role", 200, who=stage.admin, body={"role": "user"})
        await call("PUT", f"/api/listings/{ids[1]}/hidden", 200, who=stage.admin, body={})
        await call("DELETE", f"/api/listings/{ids[2]}", 204, who=stage.admin)
        await end(stage)
        async with soon(stage.gateway):
            assert [await socket.event("listing_removed") for socket in sockets] == [{"id": of} for of in ids]


@each_end
async def test_viewers_of_a_listing_hear_of_changes_and_a_block_after_a_lost_api_has_made_them(
    stage: Stage, end: End
) -> None:
    """The price of a listing changes and somebody replies, while Ann and Eve look at it. Then Ann blocks Eve."""
    listing_id = await stage.listing()
    path = f"/api/listings/{listing_id}"
    async with await stage.viewer(stage.ann, listing_id) as anns, await stage.viewer(stage.eve, listing_id) as eves:
        ann, eve = str(stage.ann.id), str(stage.eve.id)
        await anns.event("presence_state")
        await anns.take(lambda frame: frame[3] == "presence_diff" and eve in frame[4]["joins"])
        assert ann in await eves.event("presence_state")
        stage.to_redis.cut()
        await stage.rest.call("PATCH", path, 200, who=stage.admin, body={"price": 900})
        await stage.rest.call("POST", f"{path}/replies", 201, who=stage.admin, body={"text": "Still there"})
        await stage.rest.call("PUT", f"/api/users/{eve}/block", 200, who=stage.ann)
        await end(stage)
        async with soon(stage.gateway):
            for socket in (anns, eves):
                assert await socket.event("listing_updated") == {"id": listing_id}
        async with soon(stage.gateway, SPREAD_SECONDS):
            await eves.take(lambda frame: frame[3] == "presence_diff" and ann in frame[4]["leaves"])
            await anns.take(lambda frame: frame[3] == "presence_state" and frame[4] == {})


async def test_a_role_change_by_a_command_takes_effect_even_if_the_command_cannot_reach_redis(stage: Stage) -> None:
    listing_id = await stage.listing()
    stage.sql("UPDATE users SET role = 'moderator' WHERE id = %s", stage.eve.id)
    await stage.rest.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=stage.admin, body={})
    async with await stage.viewer(stage.eve, listing_id) as eves:
        environment = {**base_environment(), **environment_of(stage.world.settings), "REDIS_URL": NOWHERE}
        command = (sys.executable, "-m", "api", "role", stage.eve.email, "user")
        process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, env=environment)
        assert await process.wait() == 0
        async with soon(stage.gateway):
            assert await eves.event("listing_removed") == {"id": listing_id}


async def test_each_message_of_an_api_that_stays_cut_off_arrives(stage: Stage) -> None:
    """The gateway reads each of them from Postgres, and not only the first one after the cut."""
    async with await stage.socket(stage.ann) as anns:
        stage.to_redis.cut()
        for number in range(3):
            body = {"to": stage.ann.id, "message": f"number {number}"}
            stored = await stage.rest.call("POST", "/api/messages", 201, who=stage.eve, body=body)
            async with soon(stage.gateway):
                assert (await anns.event("send"))["id"] == stored["id"]
        stage.to_redis.mend()
        stored = await stage.rest.call("POST", "/api/messages", 201, who=stage.eve, body=body)
        async with soon(stage.gateway):
            # Now the API publishes the messages that waited, and they arrive a second time.
            while (await anns.event("send"))["id"] != stored["id"]:
                pass


async def test_each_message_of_a_gateway_that_is_cut_off_arrives_on_another_gateway(stage: Stage) -> None:
    [cut] = await stage.world.gateways(
        1,
        REDIS_URL=f"redis://127.0.0.1:{stage.to_redis.port}/0",
        DATABASE_TIMEOUT_SECONDS=DATABASE_TIMEOUT_SECONDS,
    )
    async with await stage.socket(stage.ann) as anns:
        eves = await Socket.connect(cut.socket_url, stage.eve.token)
        async with eves:
            assert (await eves.join(stage.eve.topic, {"after_id": 0}))["status"] == "ok"
            stage.to_redis.cut()
            for number in range(3):
                payload = {"to": stage.ann.id, "message": f"number {number}"}
                reply = await eves.push(stage.eve.topic, "send", payload)
                async with soon(stage.gateway):
                    assert (await anns.event("send"))["id"] == reply["response"]["id"]
