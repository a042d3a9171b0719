"""Opens connections to Redis. Only this module reads a Redis URL: of one server, of a cluster (`redis+cluster://`), or
of sentinels that name a server (`redis+sentinel://`).

A URL of sentinels has the form that other software takes too:
`redis+sentinel://user:password@host:port,host:port/service/database?sentinel_username=name&sentinel_password=password`.
User and password are the servers'; those of the sentinels, if they have any, are in the query. `rediss+sentinel://`
uses TLS for both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.redis_connections import (
    FollowingConnection,
    FollowingTlsConnection,
    NamedTcpConnection,
    NamedTlsConnection,
    TcpConnection,
    TlsConnection,
    UnixConnection,
)
from shared.redis_sentinels import Address, NoMaster, Sentinels, UnknownService

__all__ = ["Address", "ClusterServers", "Connect", "client", "is_cluster", "is_sentinel", "links", "url_fault"]

Connect = Callable[[], Connection]
"""Makes a connection that is not open yet."""

SENTINEL_PORT = 26379

_CLUSTER = "+cluster://"
_SENTINEL = "+sentinel://"
_SENTINEL_CREDENTIALS = {"sentinel_username": "username", "sentinel_password": "password"}
_CLASSES: dict[type[AbstractConnection] | None, type[AbstractConnection]] = {
    None: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
}
_PROTOCOL = "protocol=3"
_FIXED = frozenset(
    {"protocol", "decode_responses", "legacy_responses", "encoding", "encoding_errors", "parser_class", "encoder_class"}
)
"""Options of redis-py that change what answers look like. A URL cannot change them."""
_PLACE = re.compile(
    r"(?P<scheme>[^:/]*)://(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)


def is_cluster(url: str) -> bool:
    """True for `redis+cluster://` and `rediss+cluster://`. Such a URL names any one server of a Redis Cluster."""
    return _CLUSTER in url


def is_sentinel(url: str) -> bool:
    """True for `redis+sentinel://` and `rediss+sentinel://`. Such a URL names sentinels, and a service of theirs."""
    return _SENTINEL in url


def url_fault(url: str) -> str | None:
    """Returns why the URL cannot be used, without its password; None if it can."""
    if "#" in url:
        # Whatever is behind it would not be read.
        return "it has a #, which must be written %23"
    if is_sentinel(url) and (fault := _sentinel_fault(url)):
        return fault
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name in _FIXED and f"{name}={value}" != _PROTOCOL:
            return f"its option {name} is fixed"
    try:
        _pool(url, {}).make_connection()  # type: ignore[no-untyped-call]
        parts = urlsplit("redis://h" if is_sentinel(url) else _server_url(url))
    except (ValueError, TypeError, RedisError):
        return (
            "redis-py cannot read it; it must be redis://host:port, redis+cluster://host:port "
            "or redis+sentinel://host:port,host:port/service"
        )
    if parts.scheme != "unix" and not parts.hostname:
        return "it has no host"
    # If the path is not a number, redis-py silently takes database 0.
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        return "its path must be the number of a database"
    if is_cluster(url) and parts.path.strip("/") not in ("", "0"):
        return "a cluster has only database 0"
    return None


async def service_fault(url: str) -> str | None:
    """Returns a line if most sentinels of the URL do not know its service.

    Returns None if they do, if they are away for now, and for other URLs. Takes a second or so at most.
    """
    if not is_sentinel(url):
        return None
    try:
        await _sentinels(url).master()
    except UnknownService as error:
        return str(error)
    except NoMaster:
        pass
    return None


def with_password(url: str, password: str, sentinel_password: str = "") -> str:
    """Returns the URL with the passwords that it does not have yet. An empty password adds nothing."""
    parts = _PLACE.match(url)
    if parts is None:
        return url
    user = parts["user"] or ""
    if password and ":" not in user:
        url = f"{parts['scheme']}://{user}:{quote(password, safe='')}@{url[parts.start('hosts') :]}"
    if sentinel_password and is_sentinel(url) and "sentinel_password=" not in (parts["query"] or ""):
        joint = "?" if parts["query"] is None else "&" if parts["query"] else ""
        url += f"{joint}sentinel_password={quote(sentinel_password, safe='')}"
    return url


def client(url: str, timeout_seconds: float) -> Redis | RedisCluster:
    """Returns a client for commands. It connects on first use; each command is answered or fails within the timeout.

    Commands go to the master, also after another server has become that. Close the client with `aclose`. Commands raise
    RedisError, RedisClusterException, OSError or TimeoutError.
    """
    if is_cluster(url):
        return RedisCluster.from_url(_server_url(url), **_limits(timeout_seconds))
    # Try once more if the connection has ended or its server is no master any more, but not if the server is silent.
    options = {**_limits(timeout_seconds), "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))}
    return Redis.from_pool(_pool(url, options))


def links(url: str, name: str) -> Connect:
    """Returns a maker of connections to the master for redis_link.py. Redis's CLIENT LIST shows `name`."""
    return _pool(url, {}, fixed=_link_options(name)).make_connection


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
        is_tls = self._options.get("connection_class") is SSLConnection
        named = NamedTlsConnection if is_tls else NamedTcpConnection
        return self._pool(address, {**_link_options(name), "connection_class": named}).make_connection

    def _pool(self, address: Address, options: dict[str, Any]) -> ConnectionPool:
        host, port = address
        return ConnectionPool(**{**self._options, **options, "host": host, "port": port})


def _pool(url: str, options: dict[str, Any], *, fixed: Mapping[str, Any] = MappingProxyType({})) -> ConnectionPool:
    """What the URL says comes before `options`, and `fixed` before what the URL says.

    Raises ValueError, TypeError or RedisError if it cannot be read.
    """
    if is_sentinel(url):
        read = _read_sentinel_url(url)
        is_tls = read.pop("connection_class", None) is SSLConnection
        following = FollowingTlsConnection if is_tls else FollowingConnection
        return ConnectionPool(connection_class=following, sentinels=_sentinels(url), **{**options, **read, **fixed})
    read = dict(parse_url(_server_url(url)))
    usual = _CLASSES[read.pop("connection_class", None)]
    return ConnectionPool(connection_class=usual, **{**options, **read, **fixed})


# URLs of sentinels. The standard library cannot read several hosts.


def _sentinel_fault(url: str) -> str | None:
    parts = _PLACE.match(url)
    try:
        named = parts is not None and all(urlsplit(f"//{host}").hostname for host in parts["hosts"].split(","))
    except ValueError:
        named = False
    if parts is None or not named:
        return "each sentinel must be host or host:port, with commas between them"
    service, _, database = parts["path"].strip("/").partition("/")
    if not service:
        return "it must name a service of the sentinels: redis+sentinel://host:port,host:port/service"
    if database and not database.isdigit():
        return "behind the service, its path must be the number of a database"
    return None


def _read_sentinel_url(url: str) -> dict[str, Any]:
    """Returns redis-py's options for the servers behind the sentinels; without an address."""
    parts = _PLACE.match(url)
    assert parts is not None, "checked by url_fault"
    database = parts["path"].strip("/").partition("/")[2]
    query = urlencode([one for one in _query(parts) if one[0] not in _SENTINEL_CREDENTIALS])
    scheme = parts["scheme"].removesuffix("+sentinel")
    return dict(parse_url(f"{scheme}://{parts['user'] or ''}@/{database or 0}?{query}"))


def _sentinels(url: str) -> Sentinels:
    parts = _PLACE.match(url)
    assert parts is not None, "checked by url_fault"
    addresses: list[Address] = []
    for host in parts["hosts"].split(","):
        place = urlsplit(f"//{host}")
        addresses.append((place.hostname or "localhost", place.port or SENTINEL_PORT))
    options = _read_sentinel_url(url)
    connection_class = options.get("connection_class", Connection)
    # The sentinels' certificates are of the same authority as the servers'.
    options = {name: value for name, value in options.items() if name.startswith("ssl_")}
    options |= {_SENTINEL_CREDENTIALS[name]: value for name, value in _query(parts) if name in _SENTINEL_CREDENTIALS}
    service = unquote(parts["path"].strip("/").partition("/")[0])
    return Sentinels(addresses, service, connection_class, options)


def _query(parts: re.Match[str]) -> list[tuple[str, str]]:
    return parse_qsl(parts["query"] or "", keep_blank_values=True)


def _server_url(url: str) -> str:
    return url.replace(_CLUSTER, "://", 1)


def _limits(timeout_seconds: float) -> dict[str, Any]:
    return {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}


def _link_options(name: str) -> dict[str, Any]:
    """Returns options for RESP3, where pushes arrive among the answers. The caller sets timeouts and reconnects."""
    return {"protocol": 3, "socket_timeout": None, "retry": None, "client_name": name}
