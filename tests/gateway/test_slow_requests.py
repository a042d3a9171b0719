"""A client that never finishes its request cannot hold a connection for ever."""

from __future__ import annotations

import pytest

from tests.support.processes import Processes
from tests.support.slow_heads import is_closed_unanswered


@pytest.mark.parametrize("sent", [b"", b"GET /socket/longpoll HTTP/1.1\r\nhost: x\r\nx-slow: "])
async def test_a_connection_without_a_complete_request_head_is_closed(processes: Processes, sent: bytes) -> None:
    node = await processes.gateway(KEEPALIVE_SECONDS="0.3")
    assert await is_closed_unanswered(node.port, sent)
