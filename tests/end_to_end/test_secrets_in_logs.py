"""No log has a token, even of real processes at DEBUG with event loops in debug mode, however clients connect."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from shared.access.tokens import Tokens
from shared.domain.users import Role
from tests.gateway.transports.raw_socket import CLOSE, RawSocket, frame
from tests.support.ports import free_port
from tests.support.processes import Node, Processes
from tests.support.trace_receiver import trace_receiver
from tests.support.waiting import PATIENCE_SECONDS

PASSWORD = "correct horse 7-battery-Staple"
PART = 12
"""A log may not have this many characters of a secret in a row."""
LOUD = {"LOG_LEVEL": "DEBUG", "PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "default"}


def protocol(token: str) -> str:
    return "base64url.bearer.phx." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def parts_of(*secrets: str) -> set[str]:
    """All parts of PART characters of each secret, and of its base64 and percent-encoded forms."""
    parts: set[str] = set()
    for secret in secrets:
        # All JWTs have the same head, so it is no secret.
        head = secret.partition(".")[0] if secret.startswith("eyJ") else ""
        for shape in (
            secret.removeprefix(head),
            base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")[len(head) * 4 // 3 + 4 if head else 0 :],
            "".join(f"%{byte:02x}" for byte in secret.encode())[3 * len(head) :],
        ):
            parts |= {shape[start : start + PART] for start in range(len(shape) - PART + 1)}
    return parts


def leaks(text: str, parts: set[str]) -> set[str]:
    return {text[start : start + PART] for start in range(len(text) - PART + 1)} & parts


def requests(token: str) -> Iterator[bytes]:
    """Requests that have the token in every place where a client might put it."""
    upgrade = (
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    bad = [token[:-4] + "AAAA", token.rpartition(".")[0], token.partition(".")[2], "x" + token, token + ".x"]
    for one in [token, *bad, quote(token, safe=""), "".join(f"%{byte:02x}" for byte in token.encode())]:
        path = f"/socket/websocket?vsn=2.0.0&token={one}"
        yield f"GET {path} HTTP/1.1\r\n{upgrade}\r\n".encode()
        yield f"GET /socket/longpoll?vsn=2.0.0&token={one} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        yield f"GET /api/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {one}\r\n\r\n".encode()
    for protocols in (
        protocol(token), f"phoenix, {protocol(token)}", f"{protocol(token)}, phoenix", f"mqtt, {protocol(token)}",
        token, f"phoenix, {token}", f"phoenix, {protocol(token[:-3])}", f"phoenix, {protocol(token)}%",
        f"PHOENIX,{protocol(token)}", f"phoenix, {protocol(token)}, {protocol(token)}",
    ):  # fmt: skip
        path = "/socket/websocket?vsn=2.0.0"
        yield f"GET {path} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Protocol: {protocols}\r\n\r\n".encode()
    path = f"/socket/websocket?vsn=2.0.0&token={token}"
    for line in (
        f"GET {path}&token={token} HTTP/1.1", f"GET {path}&vsn=9 HTTP/1.1", f"POST {path} HTTP/1.1",
        f"GET {path} HTTP/9.9", f"GET {path}", f"G\x01T {path} HTTP/1.1", f"GET {path} {token} HTTP/1.1",
        f"GET {path}\x00 HTTP/1.1", f"GET /{token}/{token} HTTP/1.1", f"GET /socket/{token} HTTP/1.1",
        f"GET /api/listings/{token} HTTP/1.1", f"GET /api/{token}?token={token} HTTP/1.1", f"{token} / HTTP/1.1",
        f"GET http://{token}@x/ HTTP/1.1", f"GET //{token}:x/ HTTP/1.1", f"CONNECT {token} HTTP/1.1",
        f"GET {path}{'a' * 9000} HTTP/1.1", f"GET {path}#{token} HTTP/1.1",
    ):  # fmt: skip
        yield f"{line}\r\n{upgrade}\r\n".encode("latin-1")
    for header in (
        f"Authorization: Bearer {token}", f"Authorization: {token}", f"Authorization: Basic {token}",
        f"X-Phoenix-AuthToken: {token}", f"X-Phoenix-Longpoll-Token: {token}", f"Cookie: token={token}; x={token}",
        f"Origin: https://{token}", f"Bad Header {token}", f"Bad\x01: {token}", f"{token}: x", f"X: {token}\x00",
        f"Content-Length: {token}", f"Transfer-Encoding: {token}", f"Host: {token}", f"Referer: /?token={token}",
        f"Authorization: Bearer {token}{'a' * 9000}", f"Upgrade: {token}", f"Expect: {token}", f"X: a\r\n {token}",
        f"Sec-WebSocket-Key: {token}", f"Sec-WebSocket-Version: {token}", f"Content-Encoding: {token}",
    ):  # fmt: skip
        yield f"GET /socket/websocket HTTP/1.1\r\n{upgrade}{header}\r\n\r\n".encode("latin-1")
        yield f"GET /socket/longpoll HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode("latin-1")
        yield f"GET /api/listings HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode("latin-1")
    for target in ("/api/login", "/api/token/refresh", "/api/messages", f"/socket/longpoll?token={token}"):
        for body in (
            f'{{"email": "a@b.example", "password": "{PASSWORD}", "refresh_token": "{token}", "token": "{token}"}}',
            f'{{"refresh_token": "{token}"', f"token={token}&password={PASSWORD}", token, f"\xff{token}",
        ):  # fmt: skip
            for kind in ("application/json", "application/x-www-form-urlencoded", "application/x-ndjson", token):
                data = body.encode("latin-1")
                head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
                yield f"{head}Authorization: Bearer {token}\r\n\r\n".encode() + data
        chunked = "Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield f"POST {target} HTTP/1.1\r\n{chunked}{token}\r\n{token}\r\n".encode()


async def send_and_reset(port: int, request: bytes, cut_at: int | None = None) -> None:
    """Send a request, in two pieces if `cut_at` is given; wait for the answer or the end, and reset the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(ConnectionError, TimeoutError):
        writer.write(request[:cut_at])
        await writer.drain()
        if cut_at is not None:
            await asyncio.sleep(0.02)
            writer.write(request[cut_at:])
        async with asyncio.timeout(0.5):
            await reader.read(1)
    writer.transport.abort()


async def send_all_requests(ports: list[int], token: str) -> None:
    at_a_time = asyncio.Semaphore(20)

    async def ask(port: int, request: bytes, cut_at: int | None) -> None:
        async with at_a_time:
            await send_and_reset(port, request, cut_at)

    async with asyncio.TaskGroup() as group:
        for request in requests(token):
            where = request.find(token.encode())
            for port in ports:
                group.create_task(ask(port, request, None))
                if where > 0:
                    group.create_task(ask(port, request, where + len(token) - 30))


async def send_frames(gateway: Node, user_id: int, token: str) -> None:
    """Connect, and send good and bad frames with the token in them."""
    path = f"/socket/websocket?vsn=2.0.0&token={token}"
    for last in (b"hello " + token.encode(), b"\xff" + token.encode(), None):
        raw = await RawSocket.connect(gateway.port, path)
        assert raw.head.startswith(b"HTTP/1.1 101")
        topic = f"private_chat:{user_id}"
        messages: list[list[Any]] = [
            ["1", "1", topic, "phx_join", {"token": token}],
            ["1", "2", topic, "access_token", {"access_token": token}],
            ["1", "3", topic, "access_token", {"access_token": token[:-2]}],
            ["1", "4", topic, "send", {"to": token, "message": token}],
            [token, token, topic, token, {}],
            [token, None, f"private_chat:{token}", "phx_join", {}],
            ["1", "5", topic, f"unknown {token}", {"password": PASSWORD}],
        ]
        for message in messages:
            raw.send(frame(json.dumps(message).encode()))
        raw.send(frame(b"", CLOSE) if last is None else frame(last))
        await raw.end()
        await raw.close()


@pytest.mark.parametrize("kind", ["gateway", "api"])
async def test_no_logger_of_any_library_lets_a_token_through(processes: Processes, kind: str) -> None:
    token = Tokens(processes.settings.jwt_secrets, 3600).issue(1, Role.USER, "a-session-of-the-tests")
    port = processes.settings.api_port if kind == "api" else processes.settings.gateway_port
    environment = {**LOUD, "LOUD_TOKEN": token}
    node = await processes.start("tests.support.loud", kind, port=port, environment=environment, ready="/health/ready")
    node.signal(signal.SIGUSR1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "\nloud " not in node.output():  # noqa: ASYNC110 (another process's)
            await asyncio.sleep(0.05)
    await node.stop()
    output = node.output()
    (told,) = [line.split() for line in output.splitlines() if line.startswith("loud ")]
    names = set(told[2:])
    # Nothing of their text is kept.
    without_text = {name for name in names if name.partition(".")[0] in ("opentelemetry", "urllib3")}
    assert {"asyncio", "aiohttp.server", "aiohttp.web", "aiohttp.websocket", "aiohttp.access"} <= names
    written = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    kept = names - without_text
    assert kept == {line["logger"] for line in written if line["event"].startswith("loud at debug")} - {"root"}
    assert without_text == {line["logger"] for line in written if line["event"] == "traces not sent"}
    assert len([line for line in written if line["event"] == "loud failure"]) == len(kept) + 1
    assert "a print of [redacted]" in output
    assert "Task exception was never retrieved" in output
    assert [line for line in output.splitlines() if leaks(line, parts_of(token))] == []


@pytest.mark.parametrize("is_away", [True, False], ids=["away", "refuses"])
async def test_no_key_of_a_receiver_of_traces_is_in_a_log(processes: Processes, is_away: bool) -> None:
    # In lower case with hyphens, as many keys are, so that it does not look like a token.
    key = "5f0c3a9e-7d1b-4c22-86aa-aa0c93b1"
    async with trace_receiver() as receiver:
        receiver.status = 503
        address = f"http://127.0.0.1:{free_port()}" if is_away else receiver.url
        traced = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{address.replace('//', f'//me:{key}@')}/{key}",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{address}/v1/traces?api-key={key}&x={key}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={key},x-team={key}",
            "OTEL_RESOURCE_ATTRIBUTES": f"team={key}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        node = await processes.api(**LOUD, **traced)
        async with aiohttp.ClientSession(node.url) as client, client.get("/api/categories") as response:
            assert response.status == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            while node.output().count('"traces not sent"') < 3:  # noqa: ASYNC110 (another process's)
                await asyncio.sleep(0.05)
        await node.stop()
        assert is_away or key.encode() in receiver.bytes
    assert [line for line in node.output().splitlines() if leaks(line, parts_of(key))] == []


async def test_no_request_or_frame_brings_a_token_into_a_log(processes: Processes) -> None:
    gateway, api = await processes.gateway(**LOUD), await processes.api(**LOUD)
    person = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}
    async with aiohttp.ClientSession(api.url) as client:
        async with client.post("/api/register", json=person) as response:
            assert response.status == 201
            answer = await response.json()
        async with client.post("/api/login", json=person | {"password": PASSWORD + "x"}) as response:
            assert response.status in (401, 422)
    token, refresh_token, user_id = answer["access_token"], answer["refresh_token"], answer["user"]["id"]
    await send_frames(gateway, user_id, token)
    for secret in (token, refresh_token):
        await send_all_requests([gateway.port, api.port], secret)
    await gateway.stop()
    await api.stop()
    secrets = parts_of(token, refresh_token, PASSWORD)
    for node in (gateway, api):
        output = node.output()
        assert '"event": "bad request"' in output
        assert [line for line in output.splitlines() if leaks(line, secrets)] == []
        errors = [line for line in output.splitlines() if '"level": "error"' in line]
        assert errors == []
