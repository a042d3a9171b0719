"""What gets into the log: every field that a call gives, and nothing that stood in a request that is no HTTP."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from shared.logs import configure_logs, log_of
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


PROJECT = Path(__file__).resolve().parents[2]
CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def test_fields_are_in_the_line(written: io.StringIO) -> None:
    log = log_of("api.somewhere")
    log.warning("something happened", user_id=1, reason="50 % of it")
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        log.exception("something failed", bytes=7)
    first, second = map(json.loads, written.getvalue().splitlines())
    expected = {"level": "warning", "logger": "api.somewhere", "event": "something happened", "user_id": 1}
    assert first.items() >= {**expected, "reason": "50 % of it"}.items()
    assert second.items() >= {"level": "error", "event": "something failed", "bytes": 7}.items()
    assert "by nought" in second["exception"]


def test_no_call_gives_fields_in_a_shape_that_is_not_printed() -> None:
    """What `extra` holds beside `fields` is not in the line; and a `Log` is given its fields as they are."""
    calls = 0
    for folder in ("api", "gateway", "shared"):
        for path in (PROJECT / folder).rglob("*.py"):
            source = path.read_text()
            for call in ast.walk(ast.parse(source)):
                if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                    continue
                if call.func.attr not in CALLS or ast.unparse(call.func.value) not in ("log", "logger"):
                    continue
                calls += 1
                where = f"{path.relative_to(PROJECT)}:{call.lineno}"
                for keyword in call.keywords:
                    if keyword.arg == "extra":
                        assert "log_of(" not in source, f"{where}: give the fields by their names"
                        assert isinstance(keyword.value, ast.Dict), where
                        assert [ast.unparse(key) for key in keyword.value.keys if key] == ["'fields'"], where
    assert calls > 20
