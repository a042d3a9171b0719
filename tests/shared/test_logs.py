"""What of a request that is no HTTP gets into the log: that there was one, and nothing that stood in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from shared.logs import configure_logs
from shared.settings import Settings


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a configured process writes."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    before = root.handlers[:], root.level, server.filters[:]
    with redirect_stderr(io.StringIO()) as stderr:
        configure_logs(Settings())
        yield stderr
    root.handlers[:], server.filters[:] = before[0], before[2]
    root.setLevel(before[1])


@pytest.mark.parametrize(
    "error",
    [
        LineTooLong(b"Authorization: Bearer SECRET", 8190),
        BadHttpMessage("Invalid header: SECRET"),
        web.RequestPayloadError("SECRET"),
    ],
)
def test_what_a_client_sent_that_is_no_http_is_not_in_the_log(written: io.StringIO, error: Exception) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    line = json.loads(written.getvalue())
    assert line.items() >= {"level": "info", "event": "bad request", "error": type(error).__name__}.items()
    assert "SECRET" not in written.getvalue()


def test_a_failure_of_the_server_keeps_its_traceback(written: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ValueError("ours"))
    line = json.loads(written.getvalue())
    assert line["level"] == "error"
    assert "ours" in line["exception"]
