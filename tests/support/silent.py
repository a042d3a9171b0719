"""A server that never answers: the kernel accepts its connections, and nobody reads them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of the server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
