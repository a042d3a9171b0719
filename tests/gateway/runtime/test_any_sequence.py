"""Random frames for channels that wait, crash and stop: every frame is answered in order, and every channel ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.channel import Channel, Error, HandleResult, JoinResult, Ok, Stop
from gateway.protocol.messages import Message
from gateway.protocol.session import State
from tests.gateway.nodes import Client, start_node
from tests.protocol.client_frames import Received
from tests.support.examples import examples

TOPICS = ("room:1", "room:2")
EVENTS = ("echo", "wait", "crash", "wait_and_crash", "stop", "wait_and_stop")


class Unpredictable(Channel):
    """Waits one turn of the loop, crashes, refuses or stops, as its event or its params say."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        if "wait" in params:
            await asyncio.sleep(0)
        if "crash" in params:
            raise RuntimeError("asked to")
        return Error() if "refuse" in params else Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if "wait" in event:
            await asyncio.sleep(0)
        if "crash" in event:
            raise RuntimeError("asked to")
        return Stop(reply=Ok()) if "stop" in event else Ok()

    async def terminate(self, reason: str) -> None:
        if "slow end" in self.params:
            await asyncio.sleep(0)


join_refs = st.sampled_from([None, None, "j1", "j2"])
joins = st.tuples(
    join_refs,
    st.sampled_from(TOPICS),
    st.just("phx_join"),
    st.lists(st.sampled_from(["wait", "crash", "refuse", "slow end"]), max_size=2),
)
others: st.SearchStrategy[Any] = st.tuples(
    join_refs, st.sampled_from(TOPICS), st.sampled_from(("phx_leave", *EVENTS)), st.just([])
)
turns = st.just("turn")
histories = st.lists(st.one_of(joins, others, turns), max_size=30)


@settings(max_examples=examples(200), deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.booleans())
def test_every_history_is_answered_in_order_and_leaves_nothing_behind(history: list[Any], drops: bool) -> None:
    logging.getLogger("gateway.runtime.channel_server").disabled = True
    try:
        asyncio.run(play(history, drops))
    finally:
        logging.getLogger("gateway.runtime.channel_server").disabled = False


async def play(history: list[Any], drops: bool) -> None:
    node = await start_node({"room:*": Unpredictable})
    client = Client(node)
    sent: dict[int, tuple[Any, str, str]] = {}
    for ref, step in enumerate(history):
        if step == "turn":
            await asyncio.sleep(0)
            continue
        join_ref, topic, event, payload = step
        sent[ref] = (join_ref, topic, event)
        client.handle(Message(join_ref, ref, topic, event, payload))
    if not drops:
        await wait_for_callbacks(client)
        check_answers(sent, client.take())
        assert client.backlog == 0
        assert all(joined.state is State.JOINED for joined in client.session.topics.values())
        assert len(node.topics) == len(client.session.topics)
    client.dropped()
    await wait_for_callbacks(client)
    assert client.session.topics == {}
    assert client.backlog == 0
    assert len(node.topics) == 0
    await node.stop()


async def wait_for_callbacks(client: Client) -> None:
    """Let the loop turn far more often than all callbacks together wait."""
    for _ in range(200):
        await asyncio.sleep(0)


def check_answers(sent: dict[int, tuple[Any, str, str]], received: list[Received]) -> None:
    replies = [frame for frame in received if frame.event == "phx_reply"]
    for topic in TOPICS:
        refs = [frame.ref for frame in replies if frame.topic == topic]
        assert refs == sorted(set(refs)), "every message is answered once, in order"
        must = [
            ref
            for ref, (join_ref, sent_topic, event) in sent.items()
            # A join is always answered, and so is a message without join_ref. A crash answers nothing.
            if sent_topic == topic and "crash" not in event and (event == "phx_join" or join_ref is None)
        ]
        assert set(must) <= set(refs)
    for frame in received:
        if frame.event in ("phx_close", "phx_error"):
            assert frame.join_ref == frame.ref
