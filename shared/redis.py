"""Opens connections to Redis. Only this module reads a Redis URL, of a server or of a cluster (`redis+cluster://`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from redis.asyncio import Connection, ConnectionPool, Redis
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
    """True for `redis+cluster://` and `rediss+cluster://`. Such a URL names any one server of a Redis Cluster."""
    return _CLUSTER in url


def url_fault(url: str) -> str | None:
    """Returns why the URL cannot be used, without its password; None if it can."""
    try:
        ConnectionPool.from_url(_server_url(url)).make_connection()  # type: ignore[no-untyped-call]
        parts = urlsplit(_server_url(url))
    except (ValueError, TypeError, RedisError):
        return "redis-py cannot read it; it must be redis://host:port or redis+cluster://host:port"
    if parts.scheme != "unix" and not parts.hostname:
        return "it has no host"
    # If the path is not a number, redis-py silently takes database 0.
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        return "its path must be the number of a database"
    if is_cluster(url) and parts.path.strip("/") not in ("", "0"):
        return "a cluster has only database 0"
    return None


def with_password(url: str, password: str) -> str:
    """Returns the URL with the password; the URL as it is if it has one already, or if `password` is empty."""
    parts = urlsplit(url)
    if not password or parts.password is not None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def client(url: str, timeout_seconds: float) -> Redis | RedisCluster:
    """Returns a client for commands. It connects on first use; each command is answered or fails within the timeout.

    Close the client with `aclose`. Commands raise RedisError, RedisClusterException, OSError or TimeoutError.
    """
    if is_cluster(url):
        return RedisCluster.from_url(_server_url(url), **_limits(timeout_seconds))
    # Try once more if the server closed the connection while it was idle, but not if the server is silent.
    options = {**_limits(timeout_seconds), "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))}
    return Redis.from_url(url, **options)


def links(url: str, name: str) -> Connect:
    """Returns a maker of connections to one server for redis_link.py. Redis's CLIENT LIST shows `name`."""
    return ConnectionPool.from_url(url, **_link_options(name)).make_connection


class ClusterServers:
    """Connections to single servers of the cluster in a URL, with the URL's credentials and TLS."""

    def __init__(self, url: str) -> None:
        self._options: dict[str, Any] = {**parse_url(_server_url(url)), "db": 0}
        self.named: Address = (self._options.get("host", "localhost"), self._options.get("port", 6379))
        """The server in the URL."""

    def client(self, address: Address, timeout_seconds: float) -> Redis:
        """Like the function `client`, for one server of the cluster."""
        return Redis.from_pool(self._pool(address, _limits(timeout_seconds)))

    def links(self, address: Address, name: str) -> Connect:
        """Like the function `links`, for one server of the cluster."""
        return self._pool(address, _link_options(name)).make_connection

    def _pool(self, address: Address, options: dict[str, Any]) -> ConnectionPool:
        host, port = address
        return ConnectionPool(**{**self._options, **options, "host": host, "port": port})


def _server_url(url: str) -> str:
    return url.replace(_CLUSTER, "://", 1)


def _limits(timeout_seconds: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}


def _link_options(name: str) -> dict[str, Any]:
    """Returns options for RESP3, where pushes arrive among the answers. The caller sets timeouts and reconnects."""
    return {"protocol": 3, "socket_timeout": None, "retry": None, "client_name": name}
