"""Makes the `phx_ref` of each presence: 16 characters, unique among all nodes, that sort by time."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# The URL-safe characters in the order of their codes, so that the text sorts as the bytes do.
_SORTED = bytes.maketrans(_STANDARD, b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


class Refs:
    """`refs()` returns a new ref, greater than this node's earlier refs. Refs of two nodes sort by their clocks."""

    def __init__(self, node: str, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._suffix = hashlib.blake2b(node.encode(), digest_size=5).digest()
        self._clock_ns = clock_ns
        self._last = 0

    def __call__(self) -> str:
        # Each microsecond is used once, even if the clock stops or is set back.
        self._last = max(self._last + 1, self._clock_ns() // 1000)
        return base64.b64encode(self._last.to_bytes(7, "big") + self._suffix).translate(_SORTED).decode()
