"""Tests what a client gets for each value that a channel's callback returns, and for its pushes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import pytest

from gateway.channel import BadReturn, Channel, Error, HandleResult, InfoResult, JoinResult, Ok, Reply, SocketRef, Stop
from gateway.protocol.close_codes import TOO_MANY_CRASHES
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import Client, closed, crashed, push, reply
from tests.gateway.runtime.conftest import Start
from tests.support.waiting import until


class Answering(Channel):
    """Returns what a test has put in `table`, by event. The keys `join`, `info` and `out` are for those callbacks."""

    intercepts = frozenset({"out"})
    table: ClassVar[dict[str, Any]] = {}

    async def join(self, topic: str, params: Any) -> JoinResult:
        return self.table.get("join", Ok())  # type: ignore[no-any-return]

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event == "to_info":
            self.send_info(payload)
            return None
        if event == "to_out":
            self.broadcast("out", payload)
            return None
        return self.table[event]  # type: ignore[no-any-return]

    async def handle_info(self, message: Any) -> InfoResult:
        return self.table["info"]  # type: ignore[no-any-return]

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        return self.table["out"]  # type: ignore[no-any-return]


async def joined(start: Start, **table: Any) -> Client:
    Answering.table = table
    client = Client(await start(Answering))
    await client.joins("room:1")
    return client


@pytest.mark.parametrize(
    ("returned", "status", "response"),
    [
        (Ok(), "ok", {}),
        (Ok({"a": 1}), "ok", {"a": 1}),
        (Ok(None), "ok", None),
        (Ok([1]), "ok", [1]),
        (Error({"reason": "sold"}), "error", {"reason": "sold"}),
        (Reply("pending", 5), "pending", 5),
    ],
    ids=repr,
)
async def test_a_reply_has_the_ref_of_its_push(start: Start, returned: Any, status: str, response: Any) -> None:
    client = await joined(start, ask=returned)
    client.says("j1", "r1", "room:1", "ask")
    (answer,) = client.take()
    assert (answer.join_ref, answer.ref) == ("j1", "r1")
    assert answer.payload == {"response": response, "status": status}


async def test_none_sends_no_reply(start: Start) -> None:
    client = await joined(start, ask=None, then=Ok())
    client.says("j1", "r1", "room:1", "ask")
    client.says("j1", "r2", "room:1", "then")
    assert client.take() == [reply("r2")]


@pytest.mark.parametrize("reason", ["normal", "shutdown"])
async def test_a_stop_with_an_orderly_reason_closes_the_channel(start: Start, reason: str) -> None:
    client = await joined(start, ask=Stop(reason))
    client.says("j1", "r1", "room:1", "ask")
    assert client.take() == [closed()]


async def test_a_stop_with_a_reply_replies_first(start: Start) -> None:
    client = await joined(start, ask=Stop(reply=Ok({"bye": True})))
    client.says("j1", "r1", "room:1", "ask")
    assert client.take() == [reply("r1", {"bye": True}), closed()]


async def test_a_stop_with_any_other_reason_is_sent_as_a_crash(start: Start) -> None:
    client = await joined(start, ask=Stop("database gone", reply=Error()))
    client.says("j1", "r1", "room:1", "ask")
    assert client.take() == [reply("r1", status="error"), crashed()]


@pytest.mark.parametrize("callback", ["info", "out"])
async def test_handle_info_and_handle_out_can_stop(start: Start, callback: str) -> None:
    client = await joined(start, **{callback: Stop()})
    client.says("j1", "r1", "room:1", f"to_{callback}")
    assert client.take() == [closed()]
    client.says("j1", "r2", "room:1", "to_info")
    assert client.take()[0].payload["response"] == {"reason": "unmatched topic"}


WRONG = ["ok", ("ok", {}), {}, True, 0, Ok, Stop]
ALLOWED = {
    "join": "join must return Ok(...) or Error(...)",
    "ask": "handle_in must return Ok, Error, Reply, Stop or None",
    "info": "handle_info, handle_out and judge must return Stop or None",
    "out": "handle_info, handle_out and judge must return Stop or None",
}


@pytest.mark.parametrize("returned", WRONG, ids=repr)
@pytest.mark.parametrize("callback", ALLOWED)
async def test_a_wrong_return_value_crashes_the_channel_and_the_log_lists_the_allowed_ones(
    start: Start, caplog: pytest.LogCaptureFixture, callback: str, returned: Any
) -> None:
    Answering.table = {callback: returned}
    client = Client(await start(Answering))
    with caplog.at_level(logging.WARNING):
        client.says("j1", "join", "room:1", "phx_join")
        if callback != "join":
            client.says("j1", "r1", "room:1", "ask" if callback == "ask" else f"to_{callback}")
    if callback == "join":
        assert client.take() == [reply("join", {"reason": "join crashed"}, "error")]
    else:
        assert client.take() == [reply("join"), crashed()]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], BadReturn)
    assert str(record.exc_info[1]) == f"{ALLOWED[callback]}, not {returned!r}"


@pytest.mark.parametrize("callback", ["info", "out", "join"])
@pytest.mark.parametrize("returned", [Reply("ok"), Ok()], ids=repr)
async def test_a_value_that_only_another_callback_may_return_is_wrong(
    start: Start, callback: str, returned: Any
) -> None:
    if callback == "join" and returned == Ok():
        returned = Stop()
    Answering.table = {callback: returned}
    client = Client(await start(Answering))
    client.says("j1", "join", "room:1", "phx_join")
    client.says("j1", "r1", "room:1", f"to_{callback}")
    last = client.take()[-1]
    assert last == crashed() if callback != "join" else last.payload["response"] == {"reason": "unmatched topic"}


async def test_a_wrong_reply_of_a_stop_crashes_the_channel(start: Start) -> None:
    client = await joined(start, ask=Stop(reply="bye"))  # type: ignore[arg-type]
    client.says("j1", "r1", "room:1", "ask")
    assert client.take() == [crashed()]


async def test_a_reply_that_cannot_be_encoded_crashes_the_channel(start: Start) -> None:
    client = await joined(start, ask=Ok({"a": object()}), then=Ok())
    client.says("j1", "r1", "room:1", "ask")
    assert client.take() == [crashed()]
    Answering.table = {"join": Ok(object())}
    client.says("j2", "r2", "room:1", "phx_join")
    assert client.take() == [reply("r2", {"reason": "join crashed"}, "error", join_ref="j2")]


async def test_a_binary_reply_is_not_sent_to_version_1(start: Start) -> None:
    Answering.table = {"ask": Ok(b"\x00"), "then": Ok()}
    client = Client(await start(Answering), serializer=V1)
    await client.joins("room:1")
    client.says(None, 1, "room:1", "ask")
    client.says(None, 2, "room:1", "then")
    assert client.events() == [2]


# Replies after the handler has returned


class Later(Channel):
    """Keeps the refs of pushes, so that the test can reply later."""

    asked: ClassVar[list[tuple[Later, SocketRef]]] = []

    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "later":
                self.asked.append((self, self.socket_ref()))
                return None
            case "info":
                self.send_info(payload)
                return None
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        self.socket_ref()
        return None


async def joined_later(start: Start, join_ref: str = "j1") -> Client:
    Later.asked.clear()
    client = Client(await start(Later))
    await client.joins("room:1", join_ref=join_ref)
    return client


async def test_a_push_can_be_answered_after_its_handler_has_returned(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", "r1", "room:1", "later")
    client.says("j1", "r2", "room:1", "later")
    client.says("j1", "r3", "room:1", "now")
    assert client.take() == [reply("r3")]
    for channel, ref in reversed(Later.asked):
        channel.reply(ref, Ok({"for": ref.ref}))
    assert client.take() == [reply("r2", {"for": "r2"}), reply("r1", {"for": "r1"})]


async def test_a_push_can_be_answered_after_its_channel_has_ended(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", "r1", "room:1", "later")
    client.says("j1", "r2", "room:1", "phx_leave")
    client.says("j2", "r3", "room:1", "phx_join")
    client.take()
    ((channel, ref),) = Later.asked
    channel.reply(ref, Error({"reason": "too late"}))
    assert client.take() == [reply("r1", {"reason": "too late"}, "error", join_ref="j1")]


async def test_a_late_answer_to_a_dropped_connection_does_nothing(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", "r1", "room:1", "later")
    client.dropped()
    ((channel, ref),) = Later.asked
    channel.reply(ref, Ok())
    assert client.take() == []


async def test_a_wrong_late_answer_raises(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", "r1", "room:1", "later")
    ((channel, ref),) = Later.asked
    with pytest.raises(BadReturn, match="a reply is Ok, Error or Reply"):
        channel.reply(ref, "ok")  # type: ignore[arg-type]


async def test_socket_ref_is_available_only_in_handle_in(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", "r1", "room:1", "later")
    ((channel, _),) = Later.asked
    with pytest.raises(RuntimeError, match="handle_in"):
        channel.socket_ref()
    client.says("j1", "r2", "room:1", "info")
    assert client.take() == [crashed()]


@pytest.mark.parametrize("join_ref", ["j1", None])
async def test_a_push_without_a_ref_cannot_be_answered_later_and_crashes_its_channel(
    start: Start, join_ref: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    client = await joined_later(start)
    client.says(join_ref, None, "room:1", "later")
    assert client.take() == [crashed()]
    assert Later.asked == []
    # Any client can cause this crash, so it is logged in one line without a traceback.
    (record,) = [record for record in caplog.records if record.getMessage() == "channel crashed"]
    assert record.exc_info is None
    assert record.fields["error"] == "NoRef"  # type: ignore[attr-defined]


async def test_a_push_without_a_ref_may_be_answered_at_once(start: Start) -> None:
    client = await joined_later(start)
    client.says("j1", None, "room:1", "now")
    assert client.take() == [reply(None)]


# Pushes


class Pushing(Channel):
    async def join(self, topic: str, params: Any) -> JoinResult:
        self.ended = False
        if params == "push":
            self.push("hello", {})
        self.send_info("first")
        self.send_info("second")
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        self.push(message, {})
        return None

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "push_and_reply":
                self.push("pushed", payload)
                return Ok()
            case "timer":
                asyncio.get_running_loop().call_later(0, self.push, "tick", {})
                return None
            case "unencodable":
                self.push("pushed", object())
        return None

    async def terminate(self, reason: str) -> None:
        self.push("goodbye", {"reason": reason})


async def test_a_push_in_join_raises(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(await start(Pushing))
    client.says("j1", "r1", "room:1", "phx_join", "push")
    assert client.take() == [reply("r1", {"reason": "join crashed"}, "error")]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "send_info" in str(record.exc_info[1])


async def test_messages_that_join_sends_itself_are_handled_after_the_reply(start: Start) -> None:
    client = Client(await start(Pushing))
    client.says("j1", "r1", "room:1", "phx_join")
    assert client.take() == [reply("r1"), push("first"), push("second")]


async def test_a_push_is_sent_before_the_reply_that_follows_it(start: Start) -> None:
    client = Client(await start(Pushing))
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "push_and_reply", {"n": 1})
    assert client.take() == [push("pushed", {"n": 1}), reply("r1")]


async def test_a_push_that_cannot_be_encoded_crashes_the_channel(start: Start) -> None:
    client = Client(await start(Pushing))
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "unencodable")
    assert client.take() == [push("goodbye", {"reason": "crashed"}), crashed()]


async def test_a_push_after_the_channels_end_is_not_sent(start: Start) -> None:
    client = Client(await start(Pushing))
    await client.joins("room:1")
    client.says("j1", "r1", "room:1", "timer")
    client.says("j1", "r2", "room:1", "phx_leave")
    assert client.take() == [reply("r2"), push("goodbye", {"reason": "left"}), closed()]
    # A timer that is set after the channel's own goes off after it.
    after = asyncio.Event()
    asyncio.get_running_loop().call_later(0, after.set)
    await after.wait()
    assert client.take() == []


# Crashes again and again


async def test_a_connection_that_crashes_channels_again_and_again_is_closed(start: Start) -> None:
    limit = Settings().max_crashes_per_connection
    node = await start(Pushing)
    client, bystander = Client(node), Client(node, 2)
    await bystander.joins("room:1")
    for number in range(limit):
        assert client.close_code is None
        client.says(f"j{number}", f"j{number}", "room:1", "phx_join")
        client.says(f"j{number}", "r", "room:1", "unencodable")
    assert crashed(f"j{limit - 1}") in client.take()
    await until(lambda: client.close_code is not None)
    assert (client.close_code, bystander.close_code) == (1008, None)
    assert counted(node.counts.closes) == {TOO_MANY_CRASHES.reason: 1}
