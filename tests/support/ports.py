"""Ports for processes that have to be told one: free now, and below those that the system gives to connections."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000
_random = random.Random()  # Seeded by the system: workers of one run must not draw the same numbers.
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on, never given twice by this process."""
    while True:
        port = _random.randint(FIRST, LAST)
        if port not in _given and is_free(port, host):
            _given.add(port)
            return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
