"""Tests who may connect by WebSocket, where the token may be sent, and how a connect is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.transports.handshake import query_of
from shared.access.actor import Actor
from shared.access.admission import Banned, Refused, SessionEnded, UserGone
from tests.gateway.counted import counted
from tests.gateway.transports.conftest import LabServer, StartLab
from tests.gateway.transports.raw_socket import RawSocket
from tests.lab.tokens import token_of

HEARTBEAT = '[null,"h1","phoenix","heartbeat",{}]'


def offered(text: str, *, alphabet: str = "standard", padded: bool = False) -> str:
    """The subprotocol in which phoenix.js sends a token."""
    encode = base64.b64encode if alphabet == "standard" else base64.urlsafe_b64encode
    encoded = encode(text.encode()).decode()
    return "base64url.bearer.phx." + (encoded if padded else encoded.rstrip("="))


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no token": ({"vsn": "2.0.0"}, "no token"),
    "an empty token": ({"vsn": "2.0.0", "token": ""}, "no token"),
    "a malformed token": ({"vsn": "2.0.0", "token": "not.a.token"}, "bad token"),
    "an expired token": ({"vsn": "2.0.0", "token": token_of(seconds=-60)}, "bad token"),
    "a token of another secret": ({"vsn": "2.0.0", "token": token_of(secret="another" * 8)}, "bad token"),
    "an unknown version": ({"vsn": "3.0.0", "token": token_of()}, "unknown version"),
    "half a version": ({"vsn": "2.0", "token": token_of()}, "unknown version"),
    "an empty version": ({"vsn": "", "token": token_of()}, "unknown version"),
}


@pytest.mark.parametrize(("query", "reason"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("path", ["", "/"])
async def test_a_refusal_is_403_with_an_empty_body_and_is_counted_by_reason(
    lab: LabServer, query: dict[str, str], reason: str, path: str
) -> None:
    assert await lab.refusal(query, path=path) == (403, b"")
    assert await lab.get(path, **query) == (403, b"")
    assert not lab.endpoint.connections
    assert counted(lab.endpoint.counts.refused) == {reason: 2}


async def test_other_refusals_of_a_websocket_are_counted_by_reason(start_lab: StartLab) -> None:
    lab = await start_lab(allowed_origins=("https://example.com",))
    for header in ({"Sec-WebSocket-Protocol": "other"}, {"Origin": "https://elsewhere.example"}):
        assert await lab.refusal({"token": token_of()}, header) == (403, b"")
    assert counted(lab.endpoint.counts.refused) == {"not the subprotocol phoenix": 1, "origin not allowed": 1}


@pytest.mark.parametrize("kind", [UserGone, SessionEnded, Banned])
async def test_the_log_of_a_refusal_has_the_user_id_and_the_reason(
    start_lab: StartLab, caplog: pytest.LogCaptureFixture, kind: type[Refused]
) -> None:
    async def admit(_token: str) -> Actor:
        raise kind(user_id=7)

    lab = await start_lab(admit=admit)
    caplog.set_level(logging.INFO)
    assert await lab.refusal({"token": "x"}) == (403, b"")
    message = "access_refused" if kind is Banned else "connection refused"
    [told] = [record.fields for record in caplog.records if record.getMessage() == message]  # type: ignore[attr-defined]
    assert told == {"reason": kind.reason, "user_id": 7, "network": "127.0.0.0/24"}
    assert counted(lab.endpoint.counts.refused) == {kind.reason: 1}


async def test_a_malformed_token_in_the_header_wins_over_a_good_one_in_the_query(lab: LabServer) -> None:
    headers = {"Sec-WebSocket-Protocol": f"phoenix, {offered('not.a.token')}"}
    assert await lab.refusal({"token": token_of()}, headers) == (403, b"")
    headers = {"Sec-WebSocket-Protocol": "phoenix, base64url.bearer.phx.%%%"}
    assert await lab.refusal({"token": token_of()}, headers) == (403, b"")


@pytest.mark.parametrize("path", ["", "/"])
async def test_a_get_without_an_upgrade_is_400(lab: LabServer, path: str) -> None:
    status, _ = await lab.get(path, token=token_of(), vsn="2.0.0")
    assert status == 400


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("asks", ["", "Upgrade: websocket\r\nConnection: Upgrade\r\n"], ids=["plain", "upgrade"])
async def test_a_request_with_another_method_is_400(lab: LabServer, method: str, asks: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    writer.write(
        f"{method} /socket/websocket?token={token_of()} HTTP/1.1\r\nHost: x\r\n{asks}"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Version", "Sec-WebSocket-Key", "Upgrade", "Connection"])
async def test_an_incomplete_upgrade_is_400(lab: LabServer, missing: str) -> None:
    status, _ = await lab.refusal({"token": token_of()}, {missing: ""})
    assert status == 400


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize("vsn", ["2.0.0", "2.0.7"])
async def test_a_good_token_in_the_query_connects_with_or_without_a_trailing_slash(
    lab: LabServer, path: str, vsn: str
) -> None:
    raw = await RawSocket.connect(lab.port, f"/socket/websocket{path}?vsn={vsn}&token={token_of(5)}")
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-protocol" not in raw.head.lower()
    (connection,) = lab.endpoint.connections
    assert connection.actor.user_id == 5
    await raw.close()


async def test_the_last_of_two_tokens_in_the_query_counts(lab: LabServer) -> None:
    for first, last, status in ((token_of(4), "no.token", b"403"), ("no.token", token_of(5), b"101")):
        raw = await RawSocket.connect(lab.port, f"/socket/websocket?token={first}&token={last}")
        assert raw.head.startswith(b"HTTP/1.1 " + status)
        await raw.close()


@pytest.mark.parametrize("alphabet", ["standard", "urlsafe"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("order", ["phoenix first", "token first"])
async def test_a_token_in_a_subprotocol_connects_and_selects_phoenix(
    lab: LabServer, alphabet: str, padded: bool, order: str
) -> None:
    protocols = ["phoenix", offered(token_of(5), alphabet=alphabet, padded=padded)]
    if order == "token first":
        protocols.reverse()
    header = f"Sec-WebSocket-Protocol: {', '.join(protocols)}"
    raw = await RawSocket.connect(lab.port, "/socket/websocket?vsn=2.0.0", headers=(header,))
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nsec-websocket-protocol: phoenix\r\n" in raw.head.lower()
    (connection,) = lab.endpoint.connections
    assert connection.actor.user_id == 5
    await raw.close()


WITHOUT_PHOENIX = [
        "mqtt", "PHOENIX", "Phoenix", "sip, mqtt", "phoenix1", "xphoenix", "phoenix.v2", "", ",", " , ",
        offered(token_of()), f"{offered(token_of())}, mqtt", f"mqtt, {offered(token_of())}",
        f"{offered(token_of())}, PHOENIX", f"{offered(token_of())}, {offered(token_of())}",
        "base64url.bearer.phx.", "phoenix;q=1", '"phoenix"',
]  # fmt: skip


@pytest.mark.parametrize("protocols", WITHOUT_PHOENIX, ids=range(len(WITHOUT_PHOENIX)))
async def test_subprotocols_without_phoenix_are_refused(
    lab: LabServer, protocols: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    headers = {"Sec-WebSocket-Protocol": protocols}
    assert await lab.refusal({"vsn": "2.0.0", "token": token_of()}, headers) == (403, b"")
    assert not lab.endpoint.connections
    assert token_of()[:20] not in caplog.text
    assert offered(token_of())[:60] not in caplog.text


@pytest.mark.parametrize("protocols", ["phoenix", "phoenix, mqtt", "mqtt, phoenix", "mqtt,phoenix,sip", " phoenix "])
async def test_phoenix_is_selected_among_other_subprotocols(lab: LabServer, protocols: str) -> None:
    header = f"Sec-WebSocket-Protocol: {protocols}"
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?token={token_of(5)}", headers=(header,))
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nsec-websocket-protocol: phoenix\r\n" in raw.head.lower()
    await raw.close()


async def test_two_tokens_in_subprotocols_are_refused(lab: LabServer) -> None:
    headers = {"Sec-WebSocket-Protocol": f"phoenix, {offered(token_of(5))}, {offered(token_of(6))}"}
    assert await lab.refusal({"vsn": "2.0.0"}, headers) == (403, b"")


async def test_a_token_in_a_subprotocol_wins_over_the_query(lab: LabServer) -> None:
    header = f"Sec-WebSocket-Protocol: phoenix, {offered(token_of(5))}"
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?token={token_of(6)}", headers=(header,))
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    (connection,) = lab.endpoint.connections
    assert connection.actor.user_id == 5
    await raw.close()


async def test_no_compression_is_negotiated(lab: LabServer) -> None:
    header = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?token={token_of()}", headers=(header,))
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-extensions" not in raw.head.lower()
    await raw.close()


async def test_version_1_is_the_default(lab: LabServer) -> None:
    socket = await lab.connect(vsn=None)
    await socket.send_str('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":111}')
    assert (await socket.receive_json())["ref"] == 111
    await socket.close()


async def test_unknown_parameters_are_ignored(lab: LabServer) -> None:
    raw = await RawSocket.connect(lab.port, f"/socket/websocket?token={token_of()}&vsn=2.0.0&locale=de%20AT&empty=")
    assert raw.head.startswith(b"HTTP/1.1 101 ")
    await raw.close()


@pytest.mark.parametrize(
    "query",
    ["", "a", "a=", "=b", "a=1&a=2", "a=b=c", "&&a=1&", "a=1&b", "a=%20+", "a=1&b=%3D", "vsn=2.0.0&token=x.y.z"],
)
def test_a_query_is_read_as_a_form_is(query: str) -> None:
    assert query_of(query) == dict(parse_qsl(query, keep_blank_values=True))


HOST = "daveslist.example"
ORIGINS: list[tuple[tuple[str, ...], str, bool]] = [
    (("https://a.example",), "https://a.example", True),
    (("https://a.example",), "https://a.example:443", True),
    (("https://a.example:443",), "https://a.example", True),
    (("https://a.example",), "https://A.EXAMPLE", True),
    (("https://a.example",), "http://a.example", False),
    (("https://a.example",), "https://a.example:8443", False),
    (("https://a.example:8443",), "https://a.example:8443", True),
    (("https://a.example",), "https://b.a.example", False),
    (("https://a.example",), "https://a.example.evil.example", False),
    (("https://a.example",), "https://evil-a.example", False),
    (("https://*.a.example",), "https://b.a.example", True),
    (("https://*.a.example",), "https://c.b.a.example", True),
    (("https://*.a.example",), "https://a.example", True),
    (("https://*.a.example",), "https://evila.example", False),
    (("https://*.a.example",), "http://b.a.example", False),
    (("*.a.example",), "http://b.a.example", True),
    (("a.example",), "http://a.example", True),
    (("a.example",), "https://a.example:9000", True),
    (("a.example:9000",), "https://a.example:9000", True),
    (("a.example:9000",), "https://a.example:9001", False),
    (("https://a.example", "https://b.example"), "https://b.example", True),
    (("https://a.example",), "null", False),
    (("https://a.example",), "", False),
    (("https://a.example",), "https://", False),
    (("https://a.example",), "https://[", False),
    (("https://a.example",), "https://a.example:port", False),
    ((), f"https://{HOST}", True),
    ((), f"http://{HOST}:8080", False),
    ((), "https://other.example", False),
    ((), f"https://{HOST}.evil.example", False),
    ((), "null", False),
    ((), "https://[", False),
]


@pytest.mark.parametrize(("allowed", "origin", "accepted"), ORIGINS)
async def test_in_production_only_allowed_origins_may_connect_or_by_default_the_same_host(
    start_lab: StartLab,
    allowed: tuple[str, ...],
    origin: str,
    accepted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lab = await start_lab(environment="production", allowed_origins=allowed)
    caplog.clear()
    status, body = await lab.refusal({"token": token_of()}, {"Origin": origin, "Host": HOST})
    assert (status, body) == ((101, b"") if accepted else (403, b""))
    told = [record.fields for record in caplog.records if record.getMessage() == "origin refused"]  # type: ignore[attr-defined]
    assert told == ([] if accepted else [{"origin": origin}])


async def test_a_client_without_an_origin_may_connect(start_lab: StartLab) -> None:
    lab = await start_lab(environment="production", allowed_origins=("https://a.example",))
    assert await lab.refusal({"token": token_of()}) == (101, b"")


@pytest.mark.parametrize("origin", ["https://any.example", "null", "chrome-extension://abc", "https://["])
async def test_in_development_any_origin_may_connect(lab: LabServer, origin: str) -> None:
    assert await lab.refusal({"token": token_of()}, {"Origin": origin}) == (101, b"")


async def test_allowed_origins_apply_in_development_too(start_lab: StartLab) -> None:
    lab = await start_lab(allowed_origins=("https://a.example",))
    assert await lab.refusal({"token": token_of()}, {"Origin": "https://b.example"}) == (403, b"")


async def test_a_draining_node_refuses_connects_with_503(lab: LabServer) -> None:
    await lab.endpoint.drain()
    assert await lab.refusal({"token": token_of()}) == (503, b"")


async def test_a_heartbeat_is_answered_over_a_socket(lab: LabServer) -> None:
    socket = await lab.connect()
    await socket.send_str(HEARTBEAT)
    answer: Any = json.loads(await socket.receive_str())
    assert answer == [None, "h1", "phoenix", "phx_reply", {"response": {}, "status": "ok"}]
    await socket.close()
