"""One trace leads from a push or a request over Postgres and Redis to the delivery on the other node."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.support.client import Person, Rest, Socket
from tests.support.database import acquaint
from tests.support.ports import free_port
from tests.support.processes import Processes
from tests.support.trace_receiver import Received, trace_receiver
from tests.support.waiting import PATIENCE_SECONDS

TEXT = "Is the Corolla still there, and may I see it on Tuesday?"
TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMED = "cars"
UNSAMPLED_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def one(spans: list[Received], name: str, trace_id: str) -> Received:
    """The only span of this name in a trace."""
    [found] = [span for span in spans if span.name == name and span.trace_id == trace_id]
    return found


async def test_a_trace_leads_to_the_other_node_and_says_nothing_about_people(
    processes: Processes, database_url: str
) -> None:
    async with trace_receiver() as receiver:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        api, here, there = await asyncio.gather(
            processes.api(**traced, TRUSTED_PROXIES="127.0.0.0/8", OTEL_RESOURCE_ATTRIBUTES=f"service.name={NAMED}"),
            processes.gateway(**traced),
            processes.gateway(
                **traced, OTEL_SERVICE_NAME="the-other", OTEL_RESOURCE_ATTRIBUTES=f"service.name={NAMED}"
            ),
        )
        async with Rest(api.url) as rest:
            ann, bob = await rest.register("Annabel"), await rest.register("Bobby")
            acquaint(database_url, ann.id, bob.id)
            async with (
                await Socket.connect(here.socket_url, ann.token) as from_ann,
                await Socket.connect(there.socket_url, bob.token) as to_bob,
            ):
                for socket, person in ((from_ann, ann), (to_bob, bob)):
                    assert (await socket.join(person.topic, {"after_id": 0}))["status"] == "ok"
                await pushed(from_ann, to_bob, ann, bob)
                for traceparent in (
                    f"00-{UNSAMPLED_ID}-{PARENT_ID}-00",
                    f"00-{TRACE_ID}-{PARENT_ID}-01",
                    f"00-{'0' * 32}-{PARENT_ID}-01",
                ):
                    await posted(api.url, traceparent, to_bob, ann, bob)
                # The name of an event that the channel does not know is text of the client.
                await from_ann.send(["j1", "r9", ann.topic, "my private event", {}])
                await from_ann.event("phx_error")
        spans = await receiver.until(is_complete)
        for node in (api, here, there):
            assert '"exception"' not in node.output(), node.output()
            assert "traces not sent" not in node.output(), node.output()

        # The push.
        [push] = [span for span in spans if span.name == "PrivateChat send"]
        assert (push.parent_id, push.service) == ("", "daveslist-gateway")
        stored = one(spans, "store messages", push.trace_id)
        statements = [span for span in spans if span.parent_id == stored.id]
        publish = one(spans, "publish send", push.trace_id)
        delivery = one(spans, "deliver send", push.trace_id)
        assert statements
        assert all(span.name.startswith("postgres ") for span in statements), statements
        assert {span.attributes["db.system.name"] for span in statements} == {"postgresql"}
        assert (stored.parent_id, publish.parent_id, delivery.parent_id) == (push.id, push.id, publish.id)
        assert {span.node for span in (stored, publish, *statements)} == {push.node}
        assert {span.trace_id for span in statements} == {push.trace_id}
        assert (delivery.service, delivery.attributes["daveslist.members"]) == ("the-other", 1)
        assert delivery.node != push.node

        # The handshakes and the joins.
        for name in ("GET /socket/websocket", "PrivateChat phx_join"):
            found = [span for span in spans if span.name == name]
            assert {(span.parent_id, span.service) for span in found} == {("", "daveslist-gateway"), ("", "the-other")}
            for span in found:
                below = [each.name for each in spans if each.parent_id == span.id]
                assert below, span
                assert all(each.startswith("postgres ") for each in below), below

        # The request.
        request = one(spans, "POST /api/messages", TRACE_ID)
        assert (request.parent_id, request.service) == (PARENT_ID, NAMED)
        assert request.attributes["http.response.status_code"] == 201
        stored, publish = one(spans, "store messages", TRACE_ID), one(spans, "publish send", TRACE_ID)
        deliveries = [span for span in spans if (span.name, span.trace_id) == ("deliver send", TRACE_ID)]
        assert (stored.parent_id, publish.parent_id) == (request.id, request.id)
        assert [span.parent_id for span in deliveries] == [publish.id] * 2
        assert {span.service for span in deliveries} == {"daveslist-gateway", "the-other"}
        assert [span for span in spans if span.parent_id == stored.id and span.name.startswith("postgres ")]

        # A request that is not sampled.
        assert UNSAMPLED_ID not in {span.trace_id for span in spans}
        first_of_traces = {span.name for span in spans if not span.parent_id}
        assert first_of_traces & {"deliver send", "publish send", "store messages"} == set()

        # A `traceparent` that is not valid, and what the spans say.
        [parent] = [each.parent_id for each in spans if each.name == request.name and each.trace_id != TRACE_ID]
        assert parent == ""
        for secret in (
            TEXT,
            "Tuesday",
            "my private event",
            "Annabel",
            ann.email,
            ann.token,
            bob.refresh_token,
            "horse",
        ):
            assert secret.encode() not in receiver.bytes, secret
        assert f"private_chat:{ann.id}".encode() not in receiver.bytes


async def pushed(from_ann: Socket, to_bob: Socket, ann: Person, bob: Person) -> None:
    answer = await from_ann.push(ann.topic, "send", {"to": str(bob.id), "message": TEXT})
    assert answer["status"] == "ok"
    assert (await to_bob.event("send"))["message"] == TEXT


async def posted(url: str, traceparent: str, to_bob: Socket, ann: Person, bob: Person) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(
            f"{url}/api/messages",
            json={"to": str(bob.id), "message": TEXT},
            headers={"Authorization": f"Bearer {ann.token}", "traceparent": traceparent},
        ) as response,
    ):
        assert response.status == 201, await response.text()
    assert (await to_bob.event("send"))["message"] == TEXT


def is_complete(spans: list[Received]) -> bool:
    """True if all has arrived: one delivery of the push, and two of each post."""
    found = [span.name for span in spans]
    return [found.count(name) for name in ("PrivateChat other", "POST /api/messages", "deliver send")] == [1, 2, 5]


@pytest.mark.parametrize("answer", [None, 401, 503], ids=["away", "refuses the key", "overloaded"])
async def test_a_receiver_that_takes_nothing_is_no_fault_and_delays_neither_requests_nor_the_end(
    processes: Processes, answer: int | None
) -> None:
    async with trace_receiver() as receiver:
        receiver.status = answer or 200
        api = await processes.api(
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url if answer else f"http://127.0.0.1:{free_port()}",
            OTEL_EXPORTER_OTLP_TIMEOUT="0.5",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        async with Rest(api.url) as rest:
            await rest.call("GET", "/api/categories", 200)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while '"traces not sent"' not in api.output():  # noqa: ASYNC110 (another process's)
                    await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as client, client.get(f"{api.url}/metrics") as metrics:
            assert "\ndaveslist_faults_total 0.0\n" in await metrics.text()
        assert await api.stop() == 0
        said = [json.loads(line) for line in api.output().splitlines() if "traces not sent" in line]
        assert {(line["level"], line.get("status")) for line in said} <= {("warning", None), ("warning", answer)}
        assert [line for line in api.output().splitlines() if '"error"' in line and '"level": "error"' in line] == []
