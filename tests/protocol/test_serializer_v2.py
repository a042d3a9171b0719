"""Tests the serializer of version 2: JSON arrays with five elements, and binary frames."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.messages import BadFrame, Binary, InvalidText, Message, UnencodableReply
from gateway.protocol.serializer_v2 import SERIALIZER
from tests.protocol.client_frames import Received, read_v2, read_v2_binary, v2_binary, v2_text

REFS = [None, 0, 7, "1", "", "0", 1.5, -3, 2**70, {"a": 1}, [1], True]


@pytest.mark.parametrize("join_ref", REFS, ids=repr)
@pytest.mark.parametrize("ref", REFS, ids=repr)
def test_refs_may_be_any_json_value(join_ref: Any, ref: Any) -> None:
    message = SERIALIZER.decode_text(v2_text(join_ref, ref, "room:1", "shout", {"a": 1}))
    assert message == Message(join_ref, ref, "room:1", "shout", {"a": 1})
    assert (type(message.join_ref), type(message.ref)) == (type(join_ref), type(ref))
    answer = read_v2(SERIALIZER.reply(join_ref, ref, "room:1", "ok", {}) or b"")
    assert (answer.join_ref, answer.ref) == (join_ref, ref)


@pytest.mark.parametrize("payload", [None, 1, "text", [1, [2]], {}, {"a": {"b": None}}, True, 2**90, 1.0], ids=repr)
def test_a_payload_may_be_any_json_value(payload: Any) -> None:
    assert SERIALIZER.decode_text(v2_text("1", "2", "t", "e", payload)).payload == payload


def test_elements_after_the_fifth_are_ignored() -> None:
    assert SERIALIZER.decode_text(b'["1","2","t","e",{},"more",[6]]') == Message("1", "2", "t", "e", {})


def test_integers_are_exact_and_floats_stay_floats() -> None:
    text = b'["1","2","t","e",[18446744073709551616,-9223372036854775809,1.0,1e3,0.1]]'
    payload = SERIALIZER.decode_text(text).payload
    assert payload == [2**64, -(2**63) - 1, 1.0, 1000.0, 0.1]
    assert [type(number) for number in payload] == [int, int, float, float, float]
    frame = SERIALIZER.reply("1", "2", "t", "ok", payload)
    assert b"[18446744073709551616,-9223372036854775809,1.0,1000.0,0.1]" in (frame or b"")


def test_a_payload_nested_500_deep_is_decoded_and_encoded() -> None:
    payload = SERIALIZER.decode_text(b'["1","2","t","e",' + b"[" * 500 + b"]" * 500 + b"]").payload
    assert b"[" * 500 + b"]" * 500 in (SERIALIZER.reply("1", "2", "t", "ok", payload) or b"")


BAD = {
    "empty": b"",
    "not json": b"hello",
    "a number": b"5",
    "a string": b'"x"',
    "null": b"null",
    "an empty array": b"[]",
    "four elements": b'["1","1","t","e"]',
    "an empty object": b"{}",
    "a frame of version 1": b'{"topic":"t","event":"e","payload":{},"ref":1}',
    "half an array": b'["1","1","t","e",{}',
    "two arrays": v2_text("1", "1", "t", "e", {}) * 2,
    "a byte order mark": b"\xef\xbb\xbf" + v2_text("1", "1", "t", "e", {}),
    "NaN": b'["1","1","t","e",NaN]',
    "a number out of range": b'["1","1","t","e",1e999]',
    "a lone surrogate": b'["1","1","t","e","\\ud800"]',
    "a control character in a string": b'["1","1","t","e","\x00"]',
    "a comma too many": b'["1","1","t","e",{},]',
    "nested too deeply": b'["1","1","t","e",' + b"[" * 100_000 + b"]" * 100_001,
}


@pytest.mark.parametrize("frame", BAD.values(), ids=BAD.keys())
def test_a_malformed_frame_raises_bad_frame(frame: bytes) -> None:
    with pytest.raises(BadFrame) as raised:
        SERIALIZER.decode_text(frame)
    assert not isinstance(raised.value, InvalidText)


INVALID_UTF8 = {
    "in a value": b'["1","1","t","e","\xff"]',
    "in a key": b'["1","1","t","e",{"\xc3\x28":1}]',
    "outside of any string": b"\xff",
    "in an element that is ignored": b'["1","1","t","e",{},"\xff"]',
    "an encoded surrogate": b'["1","1","t","e","\xed\xa0\x80"]',
}


@pytest.mark.parametrize("frame", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_invalid_utf8_in_text_raises_invalid_text(frame: bytes) -> None:
    with pytest.raises(InvalidText):
        SERIALIZER.decode_text(frame)


# Binary


def test_a_binary_push_is_decoded() -> None:
    frame = v2_binary("1", "22", "room:1", "blob", b"\x00\xff")
    assert SERIALIZER.decode_binary(frame) == Message("1", "22", "room:1", "blob", b"\x00\xff")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\x00" * 5, Message("", "", "", "", b"")),
        (v2_binary("", "1", "t", "e", b""), Message("", "1", "t", "e", b"")),
        (v2_binary("é", "✓", "t" * 255, "🚗", b"x" * 9000), Message("é", "✓", "t" * 255, "🚗", b"x" * 9000)),
    ],
    ids=["all empty", "no data", "sizes count bytes"],
)
def test_the_parts_of_a_binary_push_may_have_0_to_255_bytes(frame: bytes, message: Message) -> None:
    assert SERIALIZER.decode_binary(frame) == message


BAD_BINARY = {
    "empty": b"",
    "one byte": b"\x00",
    "four bytes": b"\x00\x00\x00\x00",
    "kind 1": b"\x01" + v2_binary("1", "2", "t", "e", b"")[1:],
    "kind 2": b"\x02\x00\x00\x00\x00",
    "kind 9": b"\x09\x01\x01\x01\x01abcd",
    "sizes beyond the end": b"\x00\x01\x01\x01\x02abcd",
    "a topic that is not utf-8": b"\x00\x00\x00\x01\x00\xff",
    "text": v2_text("1", "1", "t", "e", {}),
}


@pytest.mark.parametrize("frame", BAD_BINARY.values(), ids=BAD_BINARY.keys())
def test_a_malformed_binary_frame_raises_bad_frame(frame: bytes) -> None:
    with pytest.raises(BadFrame) as raised:
        SERIALIZER.decode_binary(frame)
    # InvalidText closes with 1007, which is for text frames only.
    assert not isinstance(raised.value, InvalidText)


@pytest.mark.parametrize(("ref", "shown"), [("2", "2"), (None, ""), (7, "7")], ids=repr)
def test_a_binary_reply_has_refs_topic_and_status(ref: Any, shown: str) -> None:
    frame = SERIALIZER.reply("1", ref, "room:1", "ok", b"\x00\xff")
    assert type(frame) is Binary
    assert read_v2_binary(frame) == Received("reply", "1", shown, "room:1", "ok", b"\x00\xff")


def test_a_binary_push_from_the_server_has_no_ref() -> None:
    frame = SERIALIZER.push("1", None, "room:1", "blob", b"\x00")
    assert frame == b"\x00\x01\x06\x041room:1blob\x00"
    assert type(frame) is Binary


def test_a_binary_broadcast_has_only_topic_and_event() -> None:
    frame = SERIALIZER.broadcast("room:1", "blob", b"\x00", True)
    assert frame == b"\x02\x06\x04room:1blob\x00"
    assert type(frame) is Binary


def test_a_name_longer_than_255_bytes_in_a_binary_frame_raises_unencodable_reply() -> None:
    fits = SERIALIZER.broadcast("t", "é" * 127, b"", True)
    assert read_v2_binary(fits or b"").event == "é" * 127
    with pytest.raises(UnencodableReply):
        SERIALIZER.broadcast("t", "é" * 128, b"", True)


# Text


def test_a_reply_contains_status_and_response() -> None:
    frame = SERIALIZER.reply("1", "2", "room:1", "error", {"reason": "sold"})
    assert frame == b'["1","2","room:1","phx_reply",{"response":{"reason":"sold"},"status":"error"}]'
    assert type(frame) is bytes


def test_a_push_has_the_join_ref_and_no_ref() -> None:
    assert SERIALIZER.push("1", None, "room:1", "news", [1]) == b'["1",null,"room:1","news",[1]]'


def test_a_broadcast_has_no_refs_and_contains_its_encoded_payload_unchanged() -> None:
    frame = SERIALIZER.broadcast('ro"om', "é", b'{"n": 1.50}', False)
    assert frame == '[null,null,"ro\\"om","é",{"n": 1.50}]'.encode()


def test_a_payload_that_json_cannot_encode_raises_unencodable_reply() -> None:
    with pytest.raises(UnencodableReply):
        SERIALIZER.reply("1", "2", "t", "ok", {"a": object()})
    with pytest.raises(UnencodableReply):
        SERIALIZER.push("1", None, "t", "e", {"a": "\ud800"})
