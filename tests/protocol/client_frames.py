"""Encodes and decodes frames as a client does, in both versions, to test the server's half.

It was written from the protocol's description and shares no code with gateway/protocol, so that one mistake cannot hide
in both.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple


class Received(NamedTuple):
    """The parts of a frame from the server. `kind` is "text", or for a binary frame "push", "reply" or "broadcast"."""

    kind: str
    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: Any


def v1_text(ref: Any, topic: Any, event: Any, payload: Any, **more: Any) -> bytes:
    return json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref, **more}).encode()


def v2_text(join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> bytes:
    return json.dumps([join_ref, ref, topic, event, payload]).encode()


def v2_binary(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> bytes:
    strings = [text.encode() for text in (join_ref, ref, topic, event)]
    return struct.pack("5B", 0, *map(len, strings)) + b"".join(strings) + data


def read_v1(frame: bytes) -> Received:
    """Decode a frame, and check that it has exactly the four keys of version 1."""
    answer = json.loads(frame)
    assert sorted(answer) == ["event", "payload", "ref", "topic"]
    return Received("text", None, answer["ref"], answer["topic"], answer["event"], answer["payload"])


def read_v2(frame: bytes) -> Received:
    """Decode a text frame, and check that it has exactly five elements."""
    join_ref, ref, topic, event, payload = json.loads(frame)
    return Received("text", join_ref, ref, topic, event, payload)


def read_v2_binary(frame: bytes) -> Received:
    kind = {0: "push", 1: "reply", 2: "broadcast"}[frame[0]]
    names = {
        "push": ("join_ref", "topic", "event"),
        "reply": ("join_ref", "ref", "topic", "event"),
        "broadcast": ("topic", "event"),
    }[kind]
    sizes, at = frame[1 : 1 + len(names)], 1 + len(names)
    found: dict[str, str] = {}
    for name, size in zip(names, sizes, strict=True):
        found[name] = frame[at : at + size].decode()
        at += size
    return Received(kind, found.get("join_ref"), found.get("ref"), found["topic"], found["event"], frame[at:])
