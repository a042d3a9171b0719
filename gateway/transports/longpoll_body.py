"""What a long-poll POST carries: one frame, or a batch of them a line each. Pure."""

from __future__ import annotations

import base64
import binascii

import msgspec

from gateway.protocol.messages import BadFrame

NDJSON = "application/x-ndjson"


class ClientFrame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A frame as a client sent it: text, or where it is binary, the base64 of it."""

    data: bytes
    is_binary: bool = False

    def binary(self) -> bytes:
        """Raises BadFrame."""
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error:
            raise BadFrame("neither JSON nor base64") from None


def frames_of(content_type: str, body: bytes) -> list[ClientFrame]:
    """The frames of a body, in order, of which none has been looked into.

    Newline-delimited JSON is what phoenix.js sends since 1.7; a line that begins as JSON does is a text frame, any
    other is base64 of a binary frame, and an empty one is none. All other content types are one text frame.
    """
    if content_type != NDJSON:
        return [ClientFrame(body)]
    lines = [line for line in (line.removesuffix(b"\r") for line in body.split(b"\n")) if line]
    # Version 1 frames are objects; no base64 begins with either bracket.
    return [ClientFrame(line, is_binary=line[:1] not in (b"[", b"{")) for line in lines]
