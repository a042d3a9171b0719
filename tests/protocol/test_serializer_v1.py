"""Tests the serializer of version 1: JSON objects with four keys, in text frames or in binary frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.protocol.messages import BadFrame, InvalidText, Message, UnencodableReply
from gateway.protocol.serializer_v1 import SERIALIZER
from tests.protocol.client_frames import read_v1, v1_text

REFS = [None, 0, 7, 111, "1", "", "0", 1.5, -3, 2**70, {"a": 1}, [1], True]


@pytest.mark.parametrize("ref", REFS, ids=repr)
def test_a_ref_may_be_any_json_value(ref: Any) -> None:
    message = SERIALIZER.decode_text(v1_text(ref, "room:1", "shout", {"a": 1}))
    assert message == Message(None, ref, "room:1", "shout", {"a": 1})
    assert type(message.ref) is type(ref)
    assert read_v1(SERIALIZER.reply("9", ref, "room:1", "ok", {}) or b"").ref == ref


def test_a_join_ref_is_accepted() -> None:
    message = SERIALIZER.decode_text(v1_text("2", "t", "e", {}, join_ref="1"))
    assert (message.join_ref, message.ref) == ("1", "2")


def test_frames_from_the_server_have_no_join_ref() -> None:
    for frame in (
        SERIALIZER.reply("1", "2", "t", "ok", {}),
        SERIALIZER.push("1", None, "t", "e", {}),
        SERIALIZER.broadcast("t", "e", b"{}", False),
    ):
        assert frame is not None
        assert sorted(json.loads(frame)) == ["event", "payload", "ref", "topic"]


@pytest.mark.parametrize("payload", [None, 1, "text", [1, [2]], {}, {"a": {"b": None}}, True, 2**90, 1.0], ids=repr)
def test_a_payload_may_be_any_json_value(payload: Any) -> None:
    assert SERIALIZER.decode_text(v1_text(1, "t", "e", payload)).payload == payload


@pytest.mark.parametrize("value", [5, None, ["t"], {"t": 1}], ids=repr)
def test_topic_and_event_may_be_any_json_value(value: Any) -> None:
    assert SERIALIZER.decode_text(v1_text(1, value, value, {})) == Message(None, 1, value, value, {})


def test_further_keys_are_ignored() -> None:
    assert SERIALIZER.decode_text(v1_text(1, "t", "e", {}, more={"x": 1})) == Message(None, 1, "t", "e", {})


@pytest.mark.parametrize("missing", ["topic", "event", "payload", "ref"])
def test_each_of_the_four_keys_is_needed(missing: str) -> None:
    frame = {key: "x" for key in ("topic", "event", "payload", "ref") if key != missing}
    with pytest.raises(BadFrame):
        SERIALIZER.decode_text(json.dumps(frame).encode())


BAD = {
    "empty": b"",
    "not json": b"hello",
    "a number": b"5",
    "a string": b'"x"',
    "null": b"null",
    "an empty array": b"[]",
    "a frame of version 2": b'["1","1","t","e",{}]',
    "an empty object": b"{}",
    "half an object": b'{"topic":"t","event":"e","payload":{},"ref":',
    "two objects": v1_text(1, "t", "e", {}) * 2,
    "NaN": b'{"topic":"t","event":"e","payload":NaN,"ref":1}',
    "a number out of range": b'{"topic":"t","event":"e","payload":1e999,"ref":1}',
    "a lone surrogate": b'{"topic":"t","event":"e","payload":"\\ud800","ref":1}',
    "nested too deeply": b'{"topic":"t","event":"e","ref":1,"payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("frame", BAD.values(), ids=BAD.keys())
def test_a_malformed_frame_raises_bad_frame_in_text_and_binary(frame: bytes) -> None:
    with pytest.raises(BadFrame) as raised:
        SERIALIZER.decode_text(frame)
    assert not isinstance(raised.value, InvalidText)
    with pytest.raises(BadFrame):
        SERIALIZER.decode_binary(frame)


INVALID_UTF8 = {
    "in a value": b'{"topic":"t","event":"e","payload":"\xff","ref":1}',
    "in a key": b'{"topic":"t","event":"e","payload":{"\xc3\x28":1},"ref":1}',
    "outside of any string": b"\xff",
    "in a key that is ignored": b'{"topic":"t","event":"e","payload":{},"ref":1,"x":"\xff"}',
    "an encoded surrogate": b'{"topic":"t","event":"e","payload":"\xed\xa0\x80","ref":1}',
}


@pytest.mark.parametrize("frame", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_invalid_utf8_raises_invalid_text_in_text_and_bad_frame_in_binary(frame: bytes) -> None:
    with pytest.raises(InvalidText):
        SERIALIZER.decode_text(frame)
    with pytest.raises(BadFrame) as raised:
        SERIALIZER.decode_binary(frame)
    assert not isinstance(raised.value, InvalidText)


def test_a_binary_frame_is_decoded_like_a_text_frame() -> None:
    assert SERIALIZER.decode_binary(v1_text(3, "t", "e", {"a": 1})) == Message(None, 3, "t", "e", {"a": 1})


def test_a_reply_contains_status_and_response() -> None:
    frame = SERIALIZER.reply("1", 111, "room:1", "error", {"reason": "sold"})
    assert read_v1(frame or b"")[2:] == (
        111,
        "room:1",
        "phx_reply",
        {"status": "error", "response": {"reason": "sold"}},
    )


def test_a_broadcast_contains_its_encoded_payload_unchanged() -> None:
    frame = SERIALIZER.broadcast('ro"om', "é", b'{"n": 1.50}', False)
    assert frame == '{"topic":"ro\\"om","event":"é","payload":{"n": 1.50},"ref":null}'.encode()


def test_binary_payloads_are_not_encoded() -> None:
    assert SERIALIZER.reply("1", "2", "t", "ok", b"\x00") is None
    assert SERIALIZER.push("1", None, "t", "e", b"\x00") is None
    assert SERIALIZER.broadcast("t", "e", b"\x00", True) is None


def test_a_payload_that_json_cannot_encode_raises_unencodable_reply() -> None:
    with pytest.raises(UnencodableReply):
        SERIALIZER.reply("1", "2", "t", "ok", {"a": object()})
    with pytest.raises(UnencodableReply):
        SERIALIZER.push("1", None, "t", "e", {"a": "\ud800"})
