"""The body of a long-poll POST: one frame, or a batch of frames, one on each line. Pure."""

from __future__ import annotations

import base64
import binascii

import msgspec

from gateway.protocol.messages import BadFrame

NDJSON = "application/x-ndjson"


class ClientFrame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A frame as a client sent it: text, or the base64 of a binary frame."""

    data: bytes
    is_binary: bool = False

    def binary(self) -> bytes:
        """Returns the bytes of a binary frame. Raises BadFrame if the data is not base64."""
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error:
            raise BadFrame("neither JSON nor base64") from None


def frames_of(content_type: str, body: bytes) -> list[ClientFrame]:
    """Returns the frames of a body in order, not decoded.

    phoenix.js has sent newline-delimited JSON since 1.7. A line that begins with a bracket of JSON is a text frame, any
    other line is the base64 of a binary frame; empty lines are skipped. A body of another content type is one text
    frame.
    """
    if content_type != NDJSON:
        return [ClientFrame(body)]
    lines = [line for line in (line.removesuffix(b"\r") for line in body.split(b"\n")) if line]
    # Version 1 frames are objects, version 2 frames are arrays; base64 begins with neither bracket.
    return [ClientFrame(line, is_binary=line[:1] not in (b"[", b"{")) for line in lines]
