"""The interface of serializers, and the serializer for each version. Pure.

The formats are those of Phoenix's Phoenix.Socket.V1.JSONSerializer and V2.JSONSerializer; `tests/protocol/recordings`
shows them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

from gateway.protocol.messages import Frame, Message
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from gateway.protocol.serializer_v2 import SERIALIZER as V2


class Serializer(Protocol):
    """Turns the data of a WebSocket message into a Message and back, for one version of the protocol."""

    vsn: str

    def decode_text(self, data: bytes) -> Message:
        """Returns the message. Raises BadFrame, or InvalidText if the bytes are not UTF-8."""

    def decode_binary(self, data: bytes) -> Message:
        """Returns the message. Raises BadFrame."""

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: Any) -> Frame | None:
        """Returns a `phx_reply`, binary if the response is `bytes`; None if this version cannot carry it.

        Raises UnencodableReply.
        """

    def push(self, join_ref: Any, ref: Any, topic: Any, event: str, payload: Any) -> Frame | None:
        """Returns a message for one client; None if this version cannot carry it. Raises UnencodableReply."""

    def broadcast(self, topic: str, event: str, payload: bytes, is_binary: bool) -> Frame | None:
        """Returns a message for everyone who joined; None if this version cannot carry it.

        The payload is JSON text or binary data. Raises UnencodableReply.
        """


_SERIALIZERS: dict[tuple[int, int], Serializer] = {(1, 0): V1, (2, 0): V2}
DEFAULT_VSN = "1.0.0"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


@lru_cache(maxsize=64)
def negotiate(vsn: str | None) -> Serializer | None:
    """Returns the serializer for the `vsn` that a client requests; None if the version is refused.

    `1.0.x` and `2.0.x` are accepted, as three whole numbers; without `vsn` the version is 1.0.0.
    """
    match = _VERSION.fullmatch(DEFAULT_VSN if vsn is None else vsn)
    if match is None or len(match[0]) > 32:
        return None
    major, minor, _ = (int(part) for part in match.groups())
    return _SERIALIZERS.get((major, minor))
