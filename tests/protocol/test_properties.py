"""Tests the protocol with generated input: round trips, random bytes, and random sequences of frames."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.protocol.messages import BadFrame, Binary, Message
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from gateway.protocol.serializer_v2 import SERIALIZER as V2
from gateway.protocol.session import Answer, Deliver, Ignore, Join, Joined, Leave, Replace, Session, State, Wait
from tests.protocol.client_frames import Received, read_v1, read_v2, read_v2_binary, v1_text, v2_binary, v2_text
from tests.support.examples import examples

# A slow example is not a failure, because the machine may be busy. No example is kept for the next run.
some = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(some, max_examples=examples(300))

# Surrogates are not text, and only finite floats are JSON.
characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=20)
numbers = st.integers() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
refs = st.none() | texts | numbers | json_values
short_strings = st.text(characters, max_size=60)  # at most 240 bytes


def same(one: Any, other: Any) -> bool:
    """True if both are the same JSON value: 1, 1.0 and true are different, and so are 0.0 and -0.0."""
    return repr(one) == repr(other)


# Round trips


@some
@given(refs, refs, json_values, json_values, json_values)
def test_v2_text_is_decoded_unchanged(join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> None:
    message = V2.decode_text(v2_text(join_ref, ref, topic, event, payload))
    assert same(message, Message(join_ref, ref, topic, event, payload))


@some
@given(refs, refs, json_values, json_values, json_values)
def test_v1_text_is_decoded_unchanged(join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> None:
    frame = v1_text(ref, topic, event, payload, join_ref=join_ref)
    assert same(V1.decode_text(frame), Message(join_ref, ref, topic, event, payload))
    assert same(V1.decode_binary(frame), Message(join_ref, ref, topic, event, payload))


@some
@given(short_strings, short_strings, short_strings, short_strings, st.binary(max_size=300))
def test_v2_binary_is_decoded_unchanged(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> None:
    message = V2.decode_binary(v2_binary(join_ref, ref, topic, event, data))
    assert message == Message(join_ref, ref, topic, event, data)
    assert type(message.payload) is bytes


@some
@given(refs, refs, texts, texts, json_values)
def test_a_client_reads_what_the_server_wrote(join_ref: Any, ref: Any, topic: str, event: str, payload: Any) -> None:
    body = {"status": event, "response": payload}
    text = json.dumps(payload).encode()
    for frame, expected in (
        (V2.reply(join_ref, ref, topic, event, payload), Received("text", join_ref, ref, topic, "phx_reply", body)),
        (V2.push(join_ref, None, topic, event, payload), Received("text", join_ref, None, topic, event, payload)),
        (V2.broadcast(topic, event, text, False), Received("text", None, None, topic, event, payload)),
    ):
        assert type(frame) is bytes
        found = read_v2(frame)
        assert same(sorted_keys(found), sorted_keys(expected))
    for frame, expected in (
        (V1.reply(join_ref, ref, topic, event, payload), Received("text", None, ref, topic, "phx_reply", body)),
        (V1.push(join_ref, None, topic, event, payload), Received("text", None, None, topic, event, payload)),
        (V1.broadcast(topic, event, text, False), Received("text", None, None, topic, event, payload)),
    ):
        assert type(frame) is bytes
        assert same(sorted_keys(read_v1(frame)), sorted_keys(expected))


def sorted_keys(received: Received) -> tuple[Any, ...]:
    return tuple(json.loads(json.dumps(part, sort_keys=True)) for part in received)


@some
@given(short_strings, short_strings, short_strings, short_strings, st.binary(max_size=300))
def test_a_client_reads_binary_that_the_server_wrote(
    join_ref: str, ref: str, topic: str, event: str, data: bytes
) -> None:
    for frame, expected in (
        (V2.reply(join_ref, ref, topic, event, data), Received("reply", join_ref, ref, topic, event, data)),
        (V2.push(join_ref, None, topic, event, data), Received("push", join_ref, None, topic, event, data)),
        (V2.broadcast(topic, event, data, True), Received("broadcast", None, None, topic, event, data)),
    ):
        assert type(frame) is Binary
        assert read_v2_binary(frame) == expected


# Random bytes

DECODERS = [V1.decode_text, V1.decode_binary, V2.decode_text, V2.decode_binary]
NAMES = ["v1 text", "v1 binary", "v2 text", "v2 binary"]


def damaged(frame: bytes, seed: int) -> bytes:
    """The frame with some bytes removed, changed or inserted."""
    source = random.Random(seed)
    data = bytearray(frame)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(data) + 1)
        match source.randrange(4):
            case 0:
                del data[at:]
            case 1:
                data[at:at] = source.randbytes(source.randint(1, 3))
            case 2:
                data[at : at + 1] = source.choice(
                    (b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\xff", b"0", b"\x00")
                )
            case 3:
                del data[at : at + source.randint(1, 5)]
    return bytes(data)


frames = st.one_of(
    st.builds(v2_text, refs, refs, texts, texts, json_values),
    st.builds(v1_text, refs, texts, texts, json_values),
    st.builds(v2_binary, short_strings, short_strings, short_strings, short_strings, st.binary(max_size=30)),
)
any_bytes = st.binary(max_size=200) | frames | st.builds(damaged, frames, st.integers(0, 2**32))


@pytest.mark.parametrize("decode", DECODERS, ids=NAMES)
@many
@given(data=any_bytes)
def test_any_bytes_are_decoded_or_raise_bad_frame(decode: Callable[[bytes], Message], data: bytes) -> None:
    try:
        message = decode(data)
    except BadFrame:
        return
    assert type(message) is Message


# Random sequences of frames

few_refs = st.sampled_from([None, 0, 1, "1", "2", 1.0, True])
few_topics: st.SearchStrategy[Any] = st.sampled_from(
    ["room:1", "room:2", "room:3", "nosuch", "phoenix", "", None, 5, [], {}]
)
few_events = st.sampled_from(["phx_join", "phx_join", "phx_leave", "echo", "heartbeat", None, 7, ["phx_join"]])
few_messages = st.builds(Message, few_refs, few_refs, few_topics, few_events, st.none())
# A step is a message, or the end of a join or leave that is in progress.
endings = st.tuples(st.integers(0, 5), st.sampled_from(["accepts", "refuses"]))
histories = st.lists(few_messages | endings, max_size=60)

MAX_CHANNELS = 2


class Runtime:
    """Does what a session says, and records in which order the messages of each topic are handled."""

    def __init__(self) -> None:
        self.session: Session[str] = Session(lambda topic: topic if topic.startswith("room:") else None, MAX_CHANNELS)
        self.in_progress: list[Joined[str]] = []
        self.handled: list[int] = []
        self.waiting: set[int] = set()
        self.given: dict[int, Message] = {}

    def receive(self, message: Message) -> None:
        self.given[id(message)] = message
        topic = message.topic
        before = self.session.topics.get(topic) if type(topic) is str else None
        state = before.state if before is not None else None
        action = self.session.receive(message)
        if type(action) is Wait:
            assert state in (State.JOINING, State.LEAVING)
            self.waiting.add(id(message))
            assert before is not None
            assert before.waiting is not None
            assert before.waiting[-1] is message
            return
        self.waiting.discard(id(message))
        self.handled.append(id(message))
        match action:
            case Join(joined):
                assert state is None
                self.in_progress.append(joined)
            case Replace(earlier, joined):
                assert state is State.JOINED
                assert earlier is before
                self.in_progress.append(joined)
            case Leave(joined):
                assert (state, joined.state) == (State.JOINED, State.LEAVING)
                self.in_progress.append(joined)
            case Deliver(joined):
                assert state is State.JOINED
                assert joined is before
            case Answer():
                assert state is None
            case Ignore():
                assert state is State.JOINED
            case _:
                raise AssertionError(action)

    def finish(self, number: int, how: str) -> None:
        joined = self.in_progress.pop(number % len(self.in_progress))
        if joined.state is State.JOINING and how == "accepts":
            released = self.session.joined(joined)
        else:
            released = self.session.closed(joined)
        for message in released:
            self.receive(message)

    def check(self) -> None:
        topics = self.session.topics
        assert len(topics) <= MAX_CHANNELS
        assert all(topic == joined.topic and topic.startswith("room:") for topic, joined in topics.items())
        changing = [joined for joined in topics.values() if joined.state is not State.JOINED]
        assert {id(joined) for joined in changing} == {id(joined) for joined in self.in_progress}
        kept = [id(message) for joined in topics.values() for message in joined.waiting or ()]
        assert sorted(kept) == sorted(self.waiting)
        assert all(not joined.waiting for joined in topics.values() if joined.state is State.JOINED)


@many
@given(histories)
def test_any_sequence_of_frames_is_handled_completely_and_in_order(
    history: list[Message | tuple[int, str]],
) -> None:
    runtime = Runtime()
    sent: list[Message] = []
    for step in history:
        if isinstance(step, Message):
            # A copy, because Hypothesis may use one object twice.
            own = Message(step.join_ref, step.ref, step.topic, step.event, step.payload)
            sent.append(own)
            runtime.receive(own)
        elif runtime.in_progress:
            runtime.finish(*step)
        runtime.check()
    while runtime.in_progress:
        runtime.finish(0, "accepts")
        runtime.check()
    assert sorted(runtime.handled) == sorted(id(message) for message in sent)
    for topic in ("room:1", "room:2", "room:3"):
        in_order = [id(message) for message in sent if message.topic == topic]
        assert [number for number in runtime.handled if runtime.given[number].topic == topic] == in_order
