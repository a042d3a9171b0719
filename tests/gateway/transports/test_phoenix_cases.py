"""What Phoenix's own integration tests expect of a server, by each transport and in each version of the protocol.

The cases are restated for the lab's channels. Those about origins, versions, subprotocols and upgrades are in
test_handshake.py, test_door.py and longpoll/test_opening.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.protocol.messages import Message
from tests.gateway.transports.conftest import StartLab
from tests.gateway.transports.talks import TRANSPORTS, V1, V2, Talk, message, talk
from tests.protocol.client_frames import Received

TOPIC = "lab:ok"
UNMATCHED = {"reason": "unmatched topic"}


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[V1, V2])
def vsn(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def client(start_lab: StartLab, transport: str, vsn: str) -> AsyncIterator[Talk]:
    async with talk(await start_lab(), transport, vsn) as one:
        yield one


class Expected:
    """The messages of a server in one version: version 1 shows no join_ref."""

    def __init__(self, vsn: str) -> None:
        self._vsn = vsn

    def _text(self, join_ref: Any, ref: Any, topic: str, event: str, payload: Any) -> Received:
        return Received("text", None if self._vsn == V1 else join_ref, ref, topic, event, payload)

    def reply(self, join_ref: Any, ref: Any, response: Any = None, status: str = "ok", topic: str = TOPIC) -> Received:
        payload = {"response": {} if response is None else response, "status": status}
        return self._text(join_ref, ref, topic, "phx_reply", payload)

    def push(self, join_ref: Any, event: str, payload: Any, topic: str = TOPIC) -> Received:
        return self._text(join_ref, None, topic, event, payload)

    def close(self, join_ref: Any, topic: str = TOPIC) -> Received:
        return self._text(join_ref, join_ref, topic, "phx_close", {})

    def error(self, join_ref: Any, topic: str = TOPIC) -> Received:
        return self._text(join_ref, join_ref, topic, "phx_error", {"reason": "channel_crash"})


@pytest.fixture
def expected(vsn: str) -> Expected:
    return Expected(vsn)


async def joins(client: Talk, expected: Expected, join_ref: Any = "1", ref: Any = "1", topic: str = TOPIC) -> None:
    await client.says(message(join_ref, ref, topic, "phx_join"))
    assert await client.hears(1) == [expected.reply(join_ref, ref, topic=topic)]


async def test_a_client_joins_pushes_hears_leaves_and_is_then_unmatched(client: Talk, expected: Expected) -> None:
    await joins(client, expected)
    await client.says(message("1", "2", TOPIC, "broadcast_reply", {"body": "hi!"}))
    assert await client.hears(2) == [expected.push(None, "shout", {"body": "hi!"}), expected.reply("1", "2")]
    await client.says(message("1", "3", TOPIC, "intercepted", {"body": "hi!"}))
    assert await client.hears(1) == [expected.push("1", "masked", {"body": "hi!", "seen_by": "1"})]
    await client.says(message("1", "4", TOPIC, "phx_leave"))
    assert await client.hears(2) == [expected.reply("1", "4"), expected.close("1")]
    for ref in ("5", "6"):
        await client.says(message("1", ref, TOPIC, "broadcast", {"body": "hi!"}))
        assert await client.hears(1) == [expected.reply(None, ref, UNMATCHED, "error")]
    await client.says(message("1", "7", TOPIC, "phx_leave"))
    assert await client.hears(1) == [expected.reply("1", "7")]


async def test_the_101st_channel_is_refused_and_another_takes_the_place_of_one_that_is_left(
    client: Talk, expected: Expected
) -> None:
    topics = [f"lab:room:{number}" for number in range(101)]
    await client.says(*(message(f"{n}", f"{n}", topic, "phx_join") for n, topic in enumerate(topics[:100])))
    assert await client.hears(100) == [
        expected.reply(f"{n}", f"{n}", topic=topic) for n, topic in enumerate(topics[:100])
    ]
    last = topics[100]
    await client.says(message("100", "100", last, "phx_join"))
    refusal = {"reason": "too many channels joined"}
    assert await client.hears(1) == [expected.reply("100", "100", refusal, "error", last)]
    await client.says(message("0", "101", topics[0], "phx_leave"), message("102", "102", last, "phx_join"))
    assert await client.hears(3) == [
        expected.reply("0", "101", topic=topics[0]),
        expected.close("0", topics[0]),
        expected.reply("102", "102", topic=last),
    ]


@pytest.mark.parametrize(
    ("topic", "reason"), [("lab:denied", "denied"), ("lab:raise", "join crashed"), ("private_chat:2", "unauthorized")]
)
async def test_a_join_that_is_refused_or_crashes_says_why_and_joins_nothing(
    client: Talk, expected: Expected, topic: str, reason: str
) -> None:
    await client.says(message("11", "1", topic, "phx_join"), message("11", "2", topic, "echo"))
    assert await client.hears(2) == [
        expected.reply("11", "1", {"reason": reason}, "error", topic),
        expected.reply(None, "2", UNMATCHED, "error", topic),
    ]


@pytest.mark.parametrize("topic", ["unmatched-topic", "lab", "lab:", "lab:ok:1", "Lab:ok", "phoenix", ""])
async def test_a_join_of_a_topic_without_a_channel_is_unmatched_and_has_no_join_ref(
    client: Talk, expected: Expected, topic: str
) -> None:
    await client.says(message("11", "1", topic, "phx_join"))
    assert await client.hears(1) == [expected.reply(None, "1", UNMATCHED, "error", topic)]


@pytest.mark.parametrize("event", ["crash", "no such event", "phx_reply", "phx_close", "phx_error", "heartbeat", ""])
async def test_a_crash_is_told_and_the_topic_can_be_joined_again(client: Talk, expected: Expected, event: str) -> None:
    await joins(client, expected)
    await client.says(message("1", "2", TOPIC, event))
    assert await client.hears(1) == [expected.error("1")]
    await joins(client, expected, "3", "3")
    await client.says(message("3", "4", TOPIC, "echo", {"a": [None]}))
    assert await client.hears(1) == [expected.reply("3", "4", {"a": [None]})]


@pytest.mark.parametrize("again", ["1", "2"], ids=["the same join_ref", "another join_ref"])
async def test_a_second_join_replaces_the_first_and_is_answered_before_its_close(
    client: Talk, expected: Expected, again: str
) -> None:
    await joins(client, expected)
    await client.says(message(again, "2", TOPIC, "phx_join"))
    assert await client.hears(2) == [expected.reply(again, "2"), expected.close("1")]
    await client.says(message(again, "3", TOPIC, "echo"))
    assert await client.hears(1) == [expected.reply(again, "3")]


async def test_a_stale_join_ref_is_ignored(client: Talk, expected: Expected) -> None:
    await joins(client, expected)
    await client.says(
        message("stale", "2", TOPIC, "echo"),
        message("stale", "3", TOPIC, "phx_leave"),
        message("stale", "4", TOPIC, "crash"),
        message("1", "5", TOPIC, "echo"),
    )
    assert await client.hears(1) == [expected.reply("1", "5")]


@pytest.mark.parametrize(("event", "replies"), [("stop", []), ("stop_shutdown", []), ("stop_reply", [{"bye": True}])])
async def test_a_channel_that_stops_is_closed_after_its_reply(
    client: Talk, expected: Expected, event: str, replies: list[Any]
) -> None:
    await joins(client, expected)
    await client.says(message("1", "2", TOPIC, event), message("1", "3", TOPIC, "echo"))
    assert await client.hears(2 + len(replies)) == [
        *(expected.reply("1", "2", response) for response in replies),
        expected.close("1"),
        expected.reply(None, "3", UNMATCHED, "error"),
    ]


async def test_a_heartbeat_is_answered_without_a_join_ref_whatever_it_carries(client: Talk, expected: Expected) -> None:
    await client.says(
        message(None, "1", "phoenix", "heartbeat"),
        message("9", 2, "phoenix", "heartbeat", [1]),
        message(None, None, "phoenix", "heartbeat", "text"),
    )
    assert await client.hears(3) == [expected.reply(None, ref, topic="phoenix") for ref in ("1", 2, None)]


@pytest.mark.parametrize("payload", [[1, {"a": None}], "text", 0, 1.5, False, None, {}], ids=repr)
async def test_a_payload_and_a_response_may_be_any_json_value(client: Talk, expected: Expected, payload: Any) -> None:
    await joins(client, expected)
    await client.says(Message("1", "2", TOPIC, "echo", payload), Message("1", "3", TOPIC, "push", payload))
    answer, push = await client.hears(2)
    assert (answer.ref, answer.payload) == ("2", {"response": payload, "status": "ok"})
    assert type(answer.payload["response"]) is type(payload)
    assert push == expected.push("1", "pushed", payload)


async def test_a_disconnect_ends_the_connection_and_its_channels(
    start_lab: StartLab, transport: str, vsn: str, expected: Expected
) -> None:
    lab = await start_lab()
    async with talk(lab, transport, vsn, 7) as client, talk(lab, transport, vsn, 8) as other:
        for topic in ("lab:room:1", "lab:room:2"):
            await joins(client, expected, topic=topic)
        await joins(other, expected)
        ending = asyncio.create_task(client.is_ended())
        lab.endpoint.disconnect(7)
        assert await ending
        await lab.until(lambda: len(lab.endpoint.topics) == 1)
        await other.says(message("1", "2", TOPIC, "echo"))
        assert await other.hears(1) == [expected.reply("1", "2")]


async def test_binary_messages_go_both_ways(start_lab: StartLab, transport: str) -> None:
    expected = Expected(V2)
    async with talk(await start_lab(), transport, V2) as client:
        await joins(client, expected, "11", "1")
        await client.says(
            message("11", "2", TOPIC, "binary_echo", b"\x01\x02"),
            message("11", "3", TOPIC, "binary_push", b"\x00\x01"),
            message("11", "4", TOPIC, "binary_broadcast", b""),
            message("11", "5", TOPIC, "echo"),
        )
        assert await client.hears(4) == [
            Received("reply", "11", "2", TOPIC, "ok", b"\x01\x02"),
            Received("push", "11", None, TOPIC, "bin", b"\x00\x01"),
            Received("broadcast", None, None, TOPIC, "bin", b""),
            expected.reply("11", "5"),
        ]


# A null join_ref. phoenix.js sends the join_ref with each message, but the protocol needs it only for joins.


async def test_messages_without_a_join_ref_belong_to_the_current_join(client: Talk, expected: Expected) -> None:
    await joins(client, expected)
    await client.says(
        message(None, "2", TOPIC, "echo", {"a": 1}),
        message(None, "3", TOPIC, "push", {"b": 2}),
        message(None, "4", TOPIC, "async_reply", {"c": 3}),
    )
    assert await client.hears(3) == [
        expected.reply("1", "2", {"a": 1}),
        expected.push("1", "pushed", {"b": 2}),
        expected.reply("1", "4", {"c": 3}),
    ]
    await client.says(message("2", "5", TOPIC, "phx_join"), message(None, "6", TOPIC, "echo"))
    assert await client.hears(3) == [expected.reply("2", "5"), expected.close("1"), expected.reply("2", "6")]
    await client.says(message(None, "7", TOPIC, "phx_leave"), message(None, "8", TOPIC, "echo"))
    assert await client.hears(3) == [
        expected.reply("2", "7"),
        expected.close("2"),
        expected.reply(None, "8", UNMATCHED, "error"),
    ]
    await client.says(message(None, "9", TOPIC, "phx_leave"))
    assert await client.hears(1) == [expected.reply(None, "9")]


@pytest.mark.parametrize(("event", "last"), [("crash", "error"), ("stop", "close")])
async def test_a_message_without_a_join_ref_may_end_its_channel(
    client: Talk, expected: Expected, event: str, last: str
) -> None:
    await joins(client, expected)
    await client.says(message(None, "2", TOPIC, event))
    assert await client.hears(1) == [getattr(expected, last)("1")]


async def test_after_a_join_without_a_join_ref_only_messages_without_one_are_handled(
    client: Talk, expected: Expected
) -> None:
    await joins(client, expected, None, "7")
    await client.says(
        message("7", "2", TOPIC, "echo"), message(None, "3", TOPIC, "echo"), message(None, "4", TOPIC, "push", {})
    )
    assert await client.hears(2) == [expected.reply("7", "3"), expected.push("7", "pushed", {})]
    await client.says(message(None, "5", TOPIC, "phx_leave"))
    assert await client.hears(2) == [expected.reply("7", "5"), expected.close(None)]


async def test_an_empty_join_ref_of_a_binary_message_is_a_stale_one(start_lab: StartLab, transport: str) -> None:
    expected = Expected(V2)
    async with talk(await start_lab(), transport, V2) as client:
        await joins(client, expected)
        # A binary message has no null: a Phoenix server reads an empty string.
        await client.says(message("", "2", TOPIC, "binary_echo", b"x"), message("1", "3", TOPIC, "binary_echo", b"y"))
        assert await client.hears(1) == [Received("reply", "1", "3", TOPIC, "ok", b"y")]
