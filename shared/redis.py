"""Opens connections to Redis: the one place that reads a Redis URL, of one server or of a cluster (`redis+cluster://`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

Address = tuple[str, int]
"""Host and port."""
Connect = Callable[[], Connection]
"""Makes a connection that is not open yet."""

_CLUSTER = "+cluster://"


def is_cluster(url: str) -> bool:
    """True for `redis+cluster://` and `rediss+cluster://`, which name any server of a Redis Cluster."""
    return _CLUSTER in url


def url_fault(url: str) -> str | None:
    """What makes the URL useless, in words without its password; None where a client can be made of it."""
    try:
        ConnectionPool.from_url(_server_url(url)).make_connection()  # type: ignore[no-untyped-call]
        parts = urlsplit(_server_url(url))
    except (ValueError, TypeError, RedisError):
        return "redis-py cannot read it; redis://host:port or redis+cluster://host:port is needed"
    if parts.scheme != "unix" and not parts.hostname:
        return "it names no host"
    # redis-py would take database 0 in the place of a name.
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        return "its path is the number of a database"
    if is_cluster(url) and parts.path.strip("/") not in ("", "0"):
        return "a cluster has database 0 alone"
    return None


def client(url: str, timeout_seconds: float, most_connections: int | None = None) -> Redis | RedisCluster:
    """A client for commands. It connects when it is first used; each command is answered or fails within the timeout.

    With `most_connections`, a command to one server waits for a free connection, for the timeout at most. Close it with
    `aclose`. Commands raise RedisError, RedisClusterException, OSError or TimeoutError.
    """
    if is_cluster(url):
        return RedisCluster.from_url(_server_url(url), **_limits(timeout_seconds))
    # Try once more if the server closed the connection while it was idle, but not if the server is silent.
    options = {**_limits(timeout_seconds), "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))}
    if most_connections is None:
        return Redis.from_url(url, **options)
    pool = BlockingConnectionPool.from_url(url, max_connections=most_connections, timeout=timeout_seconds, **options)
    return Redis.from_pool(pool)


def links(url: str, name: str) -> Connect:
    """Connections for publish and subscribe (redis_link.py) to one server; `name` is shown in its CLIENT LIST."""
    return ConnectionPool.from_url(url, **_link_options(name)).make_connection


class ClusterServers:
    """Connections to the single servers of the cluster that a URL names, with the URL's credentials and TLS."""

    def __init__(self, url: str) -> None:
        self._options: dict[str, Any] = {**parse_url(_server_url(url)), "db": 0}
        self.named: Address = (self._options.get("host", "localhost"), self._options.get("port", 6379))
        """The server in the URL."""

    def client(self, address: Address, timeout_seconds: float) -> Redis:
        """As `client`, to one server."""
        return Redis.from_pool(self._pool(address, _limits(timeout_seconds)))

    def links(self, address: Address, name: str) -> Connect:
        """As `links`, to one server."""
        return self._pool(address, _link_options(name)).make_connection

    def _pool(self, address: Address, options: dict[str, Any]) -> ConnectionPool:
        host, port = address
        return ConnectionPool(**{**self._options, **options, "host": host, "port": port})


def _server_url(url: str) -> str:
    return url.replace(_CLUSTER, "://", 1)


def _limits(timeout_seconds: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}


def _link_options(name: str) -> dict[str, Any]:
    """Pushes arrive among the answers (RESP3). The caller sets time limits and connects again."""
    return {"protocol": 3, "socket_timeout": None, "retry": None, "client_name": name}
