"""The form of a broadcast between nodes on the broker. Its payload has the bytes that clients get. No I/O.

A line of JSON, a newline, the payload: `["<node>","<event>","json"]\n{...}`. A node splices the payload into its
clients' frames without decoding it. The third element is `json` or `binary`. If the broadcast is part of a trace, its
`traceparent` (W3C Trace Context) is the fourth. A fifth would be the version of the form (shared/events/formats.py).
A node ignores further elements, which only later versions know. On the broker the bytes are sealed for their topic
(shared/access/seal.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from shared.events import formats

SEALED_FOR = "messages between nodes"
"""The purpose of the seal."""

_encode = msgspec.json.Encoder().encode


class _Header(msgspec.Struct, array_like=True, frozen=True):
    node: str
    event: str
    kind: str
    trace: str = ""
    version: int = 1


_decode_header = msgspec.json.Decoder(_Header).decode


class BadEnvelope(ValueError):
    """A message on the broker that did not come from a node of this service."""


class Envelope(NamedTuple):
    """One broadcast. `node` is the publisher's id, by which it recognizes its own messages; `payload` is JSON or
    binary."""

    node: str
    event: str
    payload: bytes
    is_binary: bool = False
    trace: str = ""
    """The `traceparent` of the publisher's span; "" if the publisher makes no traces."""


def json_payload(payload: Any) -> bytes:
    """Returns the payload as JSON, encoded once for everyone who gets it."""
    return _encode(payload)


def pack(envelope: Envelope) -> bytes:
    """Returns the bytes of a broadcast."""
    kind = "binary" if envelope.is_binary else "json"
    if envelope.trace:
        header = _encode((envelope.node, envelope.event, kind, envelope.trace))
    else:
        header = _encode((envelope.node, envelope.event, kind))
    return header + b"\n" + envelope.payload


def beginning_of(node: str) -> bytes:
    """Returns the bytes with which each envelope of this node begins, and no envelope of another node."""
    return _encode((node,))[:-1] + b","


def unpack(data: bytes) -> Envelope:
    """Returns the broadcast in the bytes. Raises BadEnvelope, and LaterFormat if only a later release can read it."""
    header, newline, payload = data.partition(b"\n")
    try:
        node, event, kind, trace, version = msgspec.structs.astuple(_decode_header(header))
    except msgspec.MsgspecError as error:
        raise BadEnvelope(str(error)) from error
    formats.check(version)
    if not newline or kind not in ("json", "binary"):
        raise BadEnvelope("no payload, or a payload of an unknown kind")
    return Envelope(node, event, payload, kind == "binary", trace)
