"""What nginx answers by itself: a problem in JSON, a page for a browser, plain text below /socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.deployment.nginx import Nginx, find_nginx, running_nginx
from tests.deployment.raw import raw
from tests.support.ports import free_port

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.servers,
    pytest.mark.skipif(find_nginx() is None, reason="no nginx on this machine"),
]

PROCESSES = ("gateway-1:4000", "gateway-2:4000", "api-1:4001", "api-2:4001")
LONG = "a" * 9000
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
# The lines of a request, the status, the last part of the problem's type.
REFUSED = [
    (["GET /api/listings HTTP/1.1"], 503, "unavailable"),
    (["POST /api/login HTTP/1.1", "Content-Length: 0"], 503, "unavailable"),
    (["GET / HTTP/1.1"], 503, "unavailable"),
    (["GET /metrics HTTP/1.1"], 404, "not-found"),
    (["GET /refused/too-large HTTP/1.1"], 404, "not-found"),
    (["GET /refused-page/too-large HTTP/1.1"], 404, "not-found"),
    (["GET /accepting HTTP/1.1"], 404, "not-found"),
    (["TRACE / HTTP/1.1"], 405, "method-not-allowed"),
    (["POST /api/login HTTP/1.1", "Content-Length: 9000000"], 413, "too-large"),
    (["POST /api/messages/pictures HTTP/1.1", "Content-Length: 90000000"], 413, "too-large"),
    ([f"GET /api/listings?q={LONG} HTTP/1.1"], 431, "head-too-large"),
    (["GET /api/listings HTTP/1.1", f"X-Long: {LONG}"], 431, "head-too-large"),
    (["GET /api/listings HTTP/1.1", "Content-Length: few"], 400, "bad-request"),
    (["GET /../../etc HTTP/1.1"], 400, "bad-request"),
    (["nothing at all"], 400, "bad-request"),
    (["GET / HTTP/9.9"], 505, "bad-request"),
    (["POST /api/login HTTP/1.1", "Transfer-Encoding: gzip"], 501, "bad-request"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx() -> AsyncIterator[Nginx]:
    """nginx in front of processes that are all down."""
    program = find_nginx()
    assert program is not None
    async with running_nginx(program, {name: free_port() for name in PROCESSES}) as running:
        yield running


async def answer_to(nginx: Nginx, sent: list[str]) -> tuple[int, dict[str, str], str]:
    async with raw(nginx, "127.0.0.5") as connection:
        await connection.send([*sent, "Connection: close"])
        first, *rest = (await connection.answer()).decode().strip().split("\r\n")
        lines = [line.partition(": ") for line in rest]
        headers = {name.lower(): value for name, _, value in lines}
        assert len(headers) == len(lines), "a header is there twice"
        body = (
            b"" if sent[0].startswith("HEAD ") else await connection.reader.readexactly(int(headers["content-length"]))
        )
    return int(first.split()[1]), headers, body.decode()


@pytest.mark.parametrize(("lines", "status", "slug"), REFUSED)
async def test_a_refusal_is_a_problem_that_pages_of_other_origins_can_read(
    nginx: Nginx, lines: list[str], status: int, slug: str
) -> None:
    answered, headers, body = await answer_to(nginx, lines)
    problem = json.loads(body)
    assert (answered, problem["status"], problem["type"]) == (status, status, f"/problems/{slug}")
    assert problem["title"]
    assert problem["detail"]
    assert headers["content-type"] == "application/problem+json"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-expose-headers"] == "Retry-After"
    assert headers["cache-control"] == "no-store"
    assert headers.get("retry-after") == ("2" if status == 503 else None)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [("/", 503, "Not available right now"), ("/metrics", 404, "Not found"), ("/a%20b", 503, "Not available right now")],
)
async def test_a_browser_gets_a_page(nginx: Nginx, path: str, status: int, words: str) -> None:
    answered, headers, body = await answer_to(nginx, [f"GET {path} HTTP/1.1", BROWSER])
    assert (answered, headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{words}</h1>" in body
    assert headers["cache-control"] == "no-store"
    answered, headers, _ = await answer_to(nginx, [f"HEAD {path} HTTP/1.1", BROWSER])
    assert (answered, headers["content-type"]) == (status, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /socket/longpoll?vsn=2.0.0 HTTP/1.1"], 503),
        (["GET /socket/longpoll?vsn=2.0.0 HTTP/1.1", BROWSER], 503),
        (["GET /socket/websocket?vsn=2.0.0 HTTP/1.1", "Upgrade: websocket"], 503),
        (["POST /socket/longpoll HTTP/1.1", "Content-Length: 9000000"], 413),
        (["GET /socket/longpoll HTTP/1.1", "Content-Length: few"], 400),
        (["GET /%73ocket/longpoll HTTP/1.1", "Content-Length: 9000000"], 413),
        ([f"GET /socket/longpoll?token={LONG} HTTP/1.1"], 431),
        (["GET /socket/longpoll HTTP/1.1", f"X-Long: {LONG}"], 431),
        (["GET /socket/longpoll HTTP/9.9"], 505),
        (["TRACE /socket/longpoll HTTP/1.1"], 405),
    ],
)
async def test_below_socket_a_refusal_is_plain_text(nginx: Nginx, lines: list[str], status: int) -> None:
    answered, headers, body = await answer_to(nginx, lines)
    assert (answered, headers["content-type"]) == (status, "text/plain")
    assert "{" not in body
    assert headers.get("retry-after") == ("2" if status == 503 else None)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "TRACE"])
async def test_the_log_says_what_was_asked_for(nginx: Nginx, method: str) -> None:
    path = f"/api/asked-by-{method.lower()}"
    await answer_to(nginx, [f"{method} {path}?token=secret HTTP/1.1", "Content-Length: 0"])
    [line] = await nginx.logged(path, 1)
    assert (line["method"], line["status"]) == (method, "405" if method == "TRACE" else "503")
    assert "secret" not in str(line)


async def test_the_address_of_sockets_without_its_end_is_sent_to_this_server(nginx: Nginx) -> None:
    status, headers, _ = await answer_to(nginx, ["GET /socket HTTP/1.1"])
    assert (status, headers["location"]) == (301, "/socket/")
