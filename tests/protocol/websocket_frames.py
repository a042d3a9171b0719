"""Makes the frames of a WebSocket client, good or bad, and reads them with the gateway's reader."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from operator import xor

from aiohttp._websocket.helpers import _websocket_mask_python

from gateway.protocol.close_codes import Close
from gateway.protocol.websocket_reader import VIOLATION, WebSocketReader

MASK = b"\x37\xfa\x21\x3d"
"""The mask of the RFC's examples (5.7)."""
LIMIT = 70_000
HEARTBEAT = b'[null,"h1","phoenix","heartbeat",{}]'
"""A text that a gateway answers."""


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    """Add or remove a mask, as RFC 6455 (5.3) writes it."""
    return bytes(map(xor, payload, cycle(mask)))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    bytes_of_size: int | None = None,
) -> bytes:
    """A frame. `bytes_of_size` is 0, 2 or 8, the shortest by default; `rsv` has the reserved bits."""
    size = len(payload)
    if bytes_of_size is None:
        bytes_of_size = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[bytes_of_size]
    head = (
        bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short)) + size.to_bytes(8)[8 - bytes_of_size :]
    )
    return head + payload if mask is None else head + mask + masked(payload, mask)


def new_reader(limit: int = LIMIT) -> WebSocketReader:
    return WebSocketReader(limit, _websocket_mask_python)


def read(pieces: Iterable[bytes], limit: int = LIMIT) -> list[tuple[int, bytes] | Close]:
    """What a new reader makes of the pieces. A violation is shown by its code and reason."""
    reader = new_reader(limit)
    found: list[tuple[int, bytes] | Close] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            if event[0] == VIOLATION:
                assert reader.violation is not None
                found.append(reader.violation)
            else:
                found.append(event)
    return found
