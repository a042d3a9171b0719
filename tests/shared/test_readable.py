"""Lines for people: what they say, in which form, and that nothing that a client wrote can change them."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from shared.logs import configure_logs, log_of
from shared.readable import LONGEST, readable
from shared.settings import InvalidSettings, Settings
from tests.support.terminal import Terminal, terminal

__all__ = ["terminal"]

REQUEST = {
    "time": "2026-01-02T03:04:05.006Z",
    "level": "info",
    "logger": "api.middlewares.requests",
    "event": "request",
    "request_id": "0123456789abcdef",
    "method": "GET",
    "path": "/api/listings",
    "status": 200,
    "ms": 3.14,
    "user_id": 7,
    "address": "203.0.113.7",
}
EVENT = {"time": "", "level": "info", "logger": "gateway.server", "event": "listening"}
COLOUR = re.compile(r"\x1b\[[0-9;]+m")

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\x07",
    "8-bit escape": "\x9b2J",
    "line end": "a\nb\r\nc",
    "other line ends": "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "back": "secret\b\b\b\b\b\b",
    "nothing": "\x00\x7f",
    "turned": "\u202egpj.exe\u2066x\u2069\u200f\u061c",
    "right to left": "שלום 200 مرحبا ١٢٣",
    "unseen": "\u200b\u2060\ufeff\u00ad\U000e0041",
    "marks": "e" + "\u0301" * 60,
    "half a pair": "\ud800x",
}


def line(entry: dict[str, object], *, has_colours: bool = False) -> str:
    return readable(entry, "03:04:05", "api", has_colours=has_colours)


def test_a_request_has_the_time_who_what_the_status_and_how_long() -> None:
    assert line(dict(REQUEST)) == "03:04:05 api          user 7          GET /api/listings 200 3.14 ms"
    assert line({**REQUEST, "user_id": None, "left_out": 3, "status": 503}) == (
        "03:04:05 api          203.0.113.7     GET /api/listings 503 3.14 ms"
        " request_id=0123456789abcdef (3 left out before)"
    )


def test_a_path_cannot_look_like_a_status() -> None:
    entry = {**REQUEST, "path": "/api/admin 200 0.4 ms request_id=abc", "status": 404}
    assert line(entry).endswith(" GET /api/admin%20200%200.4%20ms%20request_id=abc 404 3.14 ms")
    assert line({**REQUEST, "method": "GET /a 200"}).endswith(" GET%20/a%20200 /api/listings 200 3.14 ms")


def test_a_field_cannot_end_its_quotes() -> None:
    assert line({**EVENT, "a": 'x\\" b="'}).endswith(r' a="x\\\" b=\""')


def test_an_event_has_who_and_its_fields() -> None:
    entry = {**EVENT, "event": "channel crashed", "user_id": 9, "channel": "PrivateChat", "why": 'a "b"', "n": [1, "x"]}
    assert line(entry) == (
        '03:04:05 api          user 9          channel crashed channel=PrivateChat why="a \\"b\\"" n=[1, "x"]'
    )


def test_a_traceback_follows_indented() -> None:
    shown = line({**EVENT, "level": "error", "event": "failed", "exception": "Traceback\n  File\nError: a\x1b[1m\nb"})
    assert shown.split("\n")[1:] == ["    Traceback", "      File", "    Error: a\\x1b[1m", "    b"]


@pytest.mark.parametrize("status", [200, 304, 404, 500])
def test_colours_change_nothing_but_colours(status: int) -> None:
    entry = {**REQUEST, "status": status}
    coloured = line(entry, has_colours=True)
    assert coloured != line(entry) == COLOUR.sub("", coloured)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", ["path", "method", "address", "event", "field", "name", "inner", "user_id"])
def test_text_of_a_client_can_neither_command_the_terminal_nor_turn_or_end_the_line(text: str, where: str) -> None:
    given: dict[str, object] = {**REQUEST, "user_id": None}
    if where == "inner":
        given = {**EVENT, "reasons": {text: [text]}}
    elif where == "name":
        given = {**EVENT, text: "x"}
    else:
        given[where] = text
    for has_colours in (False, True):
        shown = COLOUR.sub("", line(given, has_colours=has_colours))
        assert shown.isprintable(), ascii(shown)
        assert shown.startswith("03:04:05 api ")
        assert not any(character in shown for character in "שم١\u0301")


def test_words_of_people_stay_readable() -> None:
    assert "Zoë Müller, 東京" in line({**EVENT, "name": "Zoë Müller, 東京"})


def test_a_long_text_is_cut() -> None:
    assert len(line({**REQUEST, "path": "/" + "x" * 10_000})) < LONGEST + 100


@pytest.fixture
def configured() -> Iterator[Callable[..., None]]:
    """Configures the logs for a test; `stream` stands for standard error."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.stderr

    def configure(stream: object, **settings: str) -> None:
        sys.stderr = stream
        configure_logs(Settings(**settings), "api")  # type: ignore[arg-type]

    yield configure
    root.handlers[:], sys.stderr = before[0], before[2]
    root.setLevel(before[1])


def write_some() -> None:
    log = log_of("api.somewhere")
    log.info("request", method="GET", path="/a\nb\x1b[31m", status=200, ms=1.5, user_id=7, address="", request_id="1")
    log.warning(
        "refused", authorization="Bearer abc.def.ghi", token="hunter2", text="token=hunter2 eyJhbGciOi.eyJz.sig"
    )


def test_at_a_terminal_lines_are_for_people_and_have_colours(
    terminal: Terminal, configured: Callable[..., None]
) -> None:
    configured(terminal.writer)
    write_some()
    screen = terminal.read()
    first, second, rest = COLOUR.sub("", screen).split("\n")
    assert re.fullmatch(r"\d\d:\d\d:\d\d api +user 7 +GET /a\\x0ab\\x1b\[31m 200 1\.5 ms", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d api +- +refused authorization=.*", second)
    assert rest == ""
    assert COLOUR.search(screen)
    assert not re.search(r"hunter2|abc\.def|eyJ", screen)


def test_log_format_json_wins_over_the_terminal(terminal: Terminal, configured: Callable[..., None]) -> None:
    configured(terminal.writer, log_format="json")
    write_some()
    assert [json.loads(one)["event"] for one in terminal.read().splitlines()] == ["request", "refused"]


@pytest.mark.parametrize("given", [{"no_color": "1"}, {"term": "dumb"}])
def test_who_wants_no_colours_gets_none(
    terminal: Terminal, configured: Callable[..., None], given: dict[str, str]
) -> None:
    configured(terminal.writer, **given)
    write_some()
    assert "user 7" in terminal.read()
    assert "\x1b" not in terminal.read()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TextIO]:
    """A file to write to, which is closed when the logs no longer use it."""
    with (tmp_path / "log").open("w", encoding="utf-8", buffering=1) as opened:
        yield opened


@pytest.mark.parametrize("log_format", ["", "json", "text"])
def test_a_file_gets_json_unless_text_is_asked_for_which_then_has_no_colours(
    file: TextIO, configured: Callable[..., None], log_format: str
) -> None:
    configured(file, log_format=log_format)
    write_some()
    text = Path(file.name).read_text(encoding="utf-8")
    assert text.startswith("{") is (log_format != "text")
    assert "\x1b" not in text


def test_another_log_format_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="LOG_FORMAT"):
        Settings.from_environment({**os.environ, "LOG_FORMAT": "xml"})
