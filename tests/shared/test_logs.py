"""The log has every field that a call gives, and nothing of a malformed request."""

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

from shared.faults import FAULTS
from shared.logs import configure_logs, log_of
from shared.settings import Settings


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Configure the logs, and collect what they write."""
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
def test_the_content_of_a_malformed_request_is_not_in_the_log(written: io.StringIO, error: Exception) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    line = json.loads(written.getvalue())
    assert line.items() >= {"level": "info", "event": "bad request", "error": type(error).__name__}.items()
    assert "SECRET" not in written.getvalue()


def test_a_server_error_is_logged_with_its_traceback(written: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ValueError("ours"))
    line = json.loads(written.getvalue())
    assert line["level"] == "error"
    assert "ours" in line["exception"]


def test_faults_are_counted_and_what_clients_cause_is_not(written: io.StringIO) -> None:
    before = FAULTS.count
    log = log_of("api.somewhere")
    log.error("broken")
    log.warning("channel crashed", exc_info=ValueError("ours"))
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=ValueError("ours"))
    assert FAULTS.count - before == 3
    log.warning("channel crashed")
    log.info("request")
    for error in (BadHttpMessage("Invalid header"), ConnectionResetError()):
        logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    assert FAULTS.count - before == 3


@pytest.mark.parametrize(
    ("logger", "message", "arguments", "fields"),
    [
        (
            "opentelemetry.exporter.otlp.proto.http.trace_exporter",
            "Failed to export %s batch code: %s, reason: %s",
            ("spans", 401, "SECRET"),
            {"status": 401},
        ),
        ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "SECRET", (), {}),
        ("opentelemetry.exporter", "Transient error %s", (ConnectionError("SECRET"),), {"error": "ConnectionError"}),
        ("opentelemetry", "size %d bytes", ("SECRET",), {}),
        ("opentelemetry.util.re", "Header format invalid! %(header)s", ({"header": "SECRET"},), {}),
        ("urllib3.connectionpool", "Retrying after %r: %s", (OSError("SECRET"), "/SECRET"), {"error": "OSError"}),
    ],
)
def test_that_traces_are_not_sent_is_no_fault_and_nothing_of_the_librarys_text_is_kept(
    written: io.StringIO, logger: str, message: str, arguments: tuple[object, ...], fields: dict[str, object]
) -> None:
    before, library = FAULTS.count, logging.getLogger(logger)
    logging.getLogger().setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO):
        library.log(level, message, *arguments)
    assert written.getvalue() == ""
    for level in (logging.WARNING, logging.ERROR, logging.CRITICAL):
        library.log(level, message, *arguments, extra={"fields": {"key": "SECRET"}}, stack_info=True)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    for line in lines:
        del line["time"]
    assert lines == [{"level": "warning", "logger": logger, "event": "traces not sent", **fields}] * 3
    library.error("failed", exc_info=ValueError("SECRET"))
    assert json.loads(written.getvalue().splitlines()[-1])["error"] == "ValueError"
    assert "SECRET" not in written.getvalue()
    assert FAULTS.count == before


def test_lines_about_traces_are_limited_and_left_out_below_the_log_level(written: io.StringIO) -> None:
    library = logging.getLogger("opentelemetry.sdk")
    for number in range(1000):
        library.error("Queue full, dropping %s.", number)
    assert 200 <= len(written.getvalue().splitlines()) < 300
    written.truncate(0)
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("urllib3").error("failed")
    assert written.getvalue() == ""


def test_faults_are_counted_also_where_their_lines_are_too_many(written: io.StringIO) -> None:
    before = FAULTS.count
    for _ in range(1000):
        log_of("api.somewhere").error("broken")
    assert FAULTS.count - before == 1000
    assert written.getvalue().count("broken") < 1000


PROJECT = Path(__file__).resolve().parents[2]
CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def test_a_line_has_the_given_fields(written: io.StringIO) -> None:
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


def test_a_field_may_have_the_name_of_a_parameter(written: io.StringIO) -> None:
    log = log_of("api.somewhere")
    log.info("something happened", self=1, fields=2, args=3, msg=4, name=5)
    line = json.loads(written.getvalue())
    assert line.items() >= {"self": 1, "fields": 2, "args": 3, "msg": 4, "name": 5}.items()


def test_a_line_has_the_traceback_of_a_given_error(written: io.StringIO) -> None:
    log = log_of("api.somewhere")
    log.warning("something crashed", exc_info=ZeroDivisionError("by nought"), user_id=1)
    log.warning("something crashed", exc_info=None, user_id=2)
    first, second = map(json.loads, written.getvalue().splitlines())
    assert "by nought" in first["exception"]
    assert "exception" not in second


def test_a_line_below_the_level_is_not_written(written: io.StringIO) -> None:
    log = log_of("api.somewhere")
    log.debug("something small", user_id=1)
    log.log(logging.DEBUG, "something small", user_id=1)
    assert not log.is_on(logging.DEBUG)
    assert log.is_on(logging.INFO)
    assert written.getvalue() == ""


LINE = {"time", "level", "logger", "event", "exception", "stack"}
"""The names that every line uses itself. A field with such a name would replace the line's own value."""


def test_every_log_call_gives_its_fields_by_name() -> None:
    """Every module logs through its `Log`, which prints the fields that are given by name."""
    calls = 0
    for folder in ("api", "gateway", "shared"):
        for path in (PROJECT / folder).rglob("*.py"):
            if path == PROJECT / "shared/logs.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                where = f"{path.relative_to(PROJECT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Attribute):
                    assert ast.unparse(node) not in ("logging.getLogger", "logging.Logger"), f"{where}: use log_of"
                if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("log_of("):
                    assert ast.unparse(node) == "log = log_of(__name__)", where
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr not in CALLS or ast.unparse(node.func.value) not in ("log", "self._log"):
                    continue
                calls += 1
                names = {keyword.arg for keyword in node.keywords}
                assert "extra" not in names, f"{where}: give the fields as keyword arguments"
                assert not names & LINE, where
                # Operators search for the event, so it must be constant. Values belong in fields.
                assert not any(isinstance(argument, ast.JoinedStr) for argument in node.args), where
    assert calls > 40
