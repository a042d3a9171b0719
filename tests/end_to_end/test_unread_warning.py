"""Whoever has an unread warning writes to nobody, also through a gateway that was not told of the warning."""

from __future__ import annotations

import aiohttp
import pytest

from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import Socket
from tests.support.database import query, sent_messages

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Entered past the API, so that no gateway hears of it: as if Redis were away.
WARN = "INSERT INTO sanctions (kind, user_id, by_id, reason) VALUES ('warning', %s, %s, 'spam') RETURNING id"


@pytest.mark.parametrize("know_each_other", [False, True])
async def test_a_warning_that_no_gateway_was_told_of_is_obeyed_on_every_way(
    daveslist: Daveslist, deployment: Settings, know_each_other: bool
) -> None:
    rest = daveslist.rest
    ann, bob = await rest.register("Ann"), await rest.register("Bob")
    message = {"to": str(bob.id), "message": "Is it still there?"}
    if know_each_other:
        for sender, recipient in ((ann, bob), (bob, ann), (ann, bob)):
            await rest.call("POST", "/api/messages", 201, who=sender, body={"to": recipient.id, "message": "Hello"})
    before = sent_messages(deployment.database_url, ann.id)
    async with (
        aiohttp.ClientSession() as http,
        await Socket.connect(daveslist.gateways[0].socket_url, ann.token) as socket,
        await Socket.connect(daveslist.gateways[1].socket_url, bob.token) as other,
    ):
        polls = LongPollClient(http, [f"{daveslist.gateways[0].url}/socket/longpoll"])
        polls.jwt = ann.token
        await polls.open()
        await polls.join(ann.topic)
        for line, topic in ((socket, ann.topic), (other, bob.topic)):
            assert (await line.join(topic))["status"] == "ok"

        [(warning_id,)] = query(deployment.database_url, WARN, ann.id, bob.id)
        refusal = {"reason": "unread warning"}
        assert (await socket.push(ann.topic, "send", message))["response"] == refusal
        assert await polls.post(["1", "2", ann.topic, "send", message]) == 200
        [answer] = await polls.gets(1)
        assert (answer[4]["status"], answer[4]["response"]) == ("error", refusal)
        problem = await rest.call("POST", "/api/messages", 403, who=ann, body=message)
        assert problem["type"] == "/problems/unread-warning"
        assert sent_messages(deployment.database_url, ann.id) == before

        await rest.call("PUT", f"/api/me/warnings/{warning_id}/read", 204, who=ann)
        assert (await socket.push(ann.topic, "send", {**message, "message": "I have read it."}))["status"] == "ok"
        # The first that arrives is the first after the warning.
        assert (await other.event("send"))["message"] == "I have read it."
