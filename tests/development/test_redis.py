"""The embedded Redis can always be started again, at the same address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from development.child import ServerFailed
from development.redis import EmbeddedRedis
from tests.support.ports import free_port

pytestmark = pytest.mark.servers


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "white space")
    yield server
    await server.stop()


def ask(url: str, setting: str) -> str:
    with closing(Redis.from_url(url, decode_responses=True)) as client:
        return str(client.config_get(setting)[setting])


async def test_redis_listens_only_on_a_private_socket(server: EmbeddedRedis) -> None:
    url = await server.start()
    assert ask(url, "port") == "0"
    assert (server.directory / "redis.sock").stat().st_mode & 0o777 == 0o700


async def test_redis_starts_again_after_a_kill_with_the_same_url(server: EmbeddedRedis) -> None:
    url = await server.start()
    server.kill()
    assert not server.is_running
    assert (server.directory / "redis.sock").exists(), "without a stale socket this test shows nothing"
    assert await server.start() == url
    assert ask(url, "appendonly") == "no"


async def test_the_output_buffer_of_a_slow_subscriber_is_limited(server: EmbeddedRedis) -> None:
    limits = ask(await server.start(), "client-output-buffer-limit")
    assert "pubsub 33554432 8388608 60" in limits


async def test_with_a_port_redis_listens_on_the_loopback_address(tmp_path: Path) -> None:
    port = free_port()
    server = EmbeddedRedis(tmp_path / "redis", port=port, options=["--maxmemory", "64mb"])
    try:
        url = await server.start()
        assert url == f"redis://127.0.0.1:{port}/0"
        assert ask(url, "bind") == "127.0.0.1"
        assert ask(url, "maxmemory") == str(64 * 1024 * 1024)
    finally:
        await server.stop()


async def test_a_path_too_long_for_a_socket_is_replaced_by_a_temporary_short_one(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / ("long" * 30))
    try:
        assert ask(await server.start(), "port") == "0"
        sockets = Path((server.directory / "socket_location").read_text())
        assert (sockets / "redis.sock").is_socket()
    finally:
        await server.stop()
    assert not sockets.exists()


async def test_a_failed_start_is_reported_in_one_line(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", options=["--no-such-option", "1"])
    with pytest.raises(ServerFailed, match=r"^Redis did not start: [^\n]+$"):
        await server.start()
    assert not server.is_running
