"""The embedded Redis starts again on the same address, whatever ended it."""

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


async def test_it_listens_on_a_private_socket_only(server: EmbeddedRedis) -> None:
    url = await server.start()
    assert ask(url, "port") == "0"
    assert (server.directory / "redis.sock").stat().st_mode & 0o777 == 0o700


async def test_it_starts_again_after_a_kill_and_the_url_stays(server: EmbeddedRedis) -> None:
    url = await server.start()
    server.kill()
    assert not server.is_running
    assert (server.directory / "redis.sock").exists(), "a stale socket is what is tested here"
    assert await server.start() == url
    assert ask(url, "appendonly") == "no"


async def test_slow_subscribers_are_bounded(server: EmbeddedRedis) -> None:
    limits = ask(await server.start(), "client-output-buffer-limit")
    assert "pubsub 33554432 8388608 60" in limits


async def test_with_a_port_it_listens_on_loopback_too(tmp_path: Path) -> None:
    port = free_port()
    server = EmbeddedRedis(tmp_path / "redis", port=port, options=["--maxmemory", "64mb"])
    try:
        url = await server.start()
        assert url == f"redis://127.0.0.1:{port}/0"
        assert ask(url, "bind") == "127.0.0.1"
        assert ask(url, "maxmemory") == str(64 * 1024 * 1024)
    finally:
        await server.stop()


async def test_a_path_too_long_for_a_socket_gets_a_short_one_that_goes_away(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / ("long" * 30))
    try:
        assert ask(await server.start(), "port") == "0"
        sockets = Path((server.directory / "socket_location").read_text())
        assert (sockets / "redis.sock").is_socket()
    finally:
        await server.stop()
    assert not sockets.exists()


async def test_a_failed_start_says_why_in_one_line(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", options=["--no-such-option", "1"])
    with pytest.raises(ServerFailed, match=r"^Redis did not start: [^\n]+$"):
        await server.start()
    assert not server.is_running
