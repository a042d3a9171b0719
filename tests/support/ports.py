"""Finds free ports for processes, below the ports that the system gives to outgoing connections."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000
_random = random.Random()  # The system seeds it, so that the workers of one run do not draw the same numbers.
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens. This process never returns the same one twice."""
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
