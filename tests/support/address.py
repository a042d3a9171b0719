"""The addresses of a process that listens on a port of this machine."""

from __future__ import annotations


class Listening:
    """Listens on `port`."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """The URL to which a client of the gateway connects, without a query."""
        return f"ws://127.0.0.1:{self.port}/socket/websocket"

    @property
    def longpoll_url(self) -> str:
        return f"{self.url}/socket/longpoll"
