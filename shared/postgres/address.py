"""Turns DATABASE_URL into connection strings for libpq, one for each address of each of its hosts.

If libpq looked the names up itself, it would block the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from shared.postgres.errors import DatabaseUnavailable

_PRIMARIES = ("any", "read-write", "primary")
"""Values of target_session_attrs with which libpq may choose a server that takes writes."""
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Server(NamedTuple):
    """One address of one host."""

    name: str
    """The host, for people."""
    dsn: str
    """The connection string. It may have a password."""


class InvalidDatabaseUrl(ValueError):
    """libpq cannot read the URL. The message does not repeat the URL, because it may have a password."""


def parsed(database_url: str) -> dict[str, str]:
    """Returns the parts of a database URL by libpq's names. Raises InvalidDatabaseUrl."""
    try:
        parts = dict(parse_dsn(database_url))
    except psycopg2.Error:
        raise InvalidDatabaseUrl("DATABASE_URL: libpq cannot read it") from None
    # libpq reports a bad port only when it connects.
    for port in parts.get("port", "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise InvalidDatabaseUrl("DATABASE_URL: its port is not a number between 1 and 65535")
    if parts.get("sslmode", "prefer") not in _SSL_MODES:
        raise InvalidDatabaseUrl(f"DATABASE_URL: its sslmode is not one of {', '.join(_SSL_MODES)}")
    if parts.get("target_session_attrs", "any") not in _PRIMARIES:
        raise InvalidDatabaseUrl(f"DATABASE_URL: its target_session_attrs is not one of {', '.join(_PRIMARIES)}")
    hosts = parts.get("hostaddr") or parts.get("host", "")
    if "," in hosts and "" in hosts.split(","):
        # For libpq it would be the socket of this machine, where another Postgres may take the writes.
        raise InvalidDatabaseUrl("DATABASE_URL: one of its hosts is empty")
    for name in ("host", "port"):
        if "," in parts.get(name, "") and parts[name].count(",") != hosts.count(","):
            raise InvalidDatabaseUrl(f"DATABASE_URL: it has another number of {name}s than of addresses")
    return parts


def with_password(database_url: str, password: str) -> str:
    """Returns the address with the password; the address as it is if it has one already, or if `password` is empty.

    Raises InvalidDatabaseUrl.
    """
    parts = parsed(database_url)
    return str(make_dsn(**parts, password=password)) if password and "password" not in parts else database_url


async def resolved(database_url: str, timeout: float) -> list[Server]:
    """Returns the servers that the URL names, in its order: one for each address of a host, at least one.

    Of several hosts, only one that takes writes is wanted, unless the URL says otherwise. Hosts whose names are not
    found are left out. Raises InvalidDatabaseUrl, and DatabaseUnavailable if none is found within the timeout.
    """
    parts = parsed(database_url)
    parts["client_encoding"] = "UTF8"
    parts.setdefault("fallback_application_name", "daveslist")
    hosts, given = parts.pop("host", "").split(","), parts.pop("hostaddr", "").split(",")
    count = max(len(hosts), len(given))
    hosts, given = _each(hosts, count), _each(given, count)
    ports = _each(parts.pop("port", "").split(","), count)
    if count > 1:
        parts.setdefault("target_session_attrs", "read-write")
    needed = {host for host, address in zip(hosts, given, strict=True) if _is_name(host) and not address}
    found = await _addresses(sorted(needed), timeout)
    servers: list[Server] = []
    for host, address, port in zip(hosts, given, ports, strict=True):
        for one in [address] if host not in needed else found.get(host, ()):
            where = {"host": host, "hostaddr": one, "port": port}
            # libpq takes what is missing from the environment.
            dsn = make_dsn(**parts, **{name: value for name, value in where.items() if value})
            servers.append(Server(host or one, dsn))
    return servers


def _each(values: list[str], count: int) -> list[str]:
    return values * count if len(values) == 1 else values


def _is_name(host: str) -> bool:
    """True of a host that has to be looked up; False of the folder of a Unix socket."""
    return bool(host) and not host.startswith(("/", "@"))


async def _addresses(hosts: list[str], timeout: float) -> dict[str, list[str]]:
    """Returns the addresses of the hosts that are found. Does not wait long for one if another one is there."""
    if not hosts:
        return {}
    tasks = {asyncio.create_task(_look_up(host)): host for host in hosts}
    try:
        done, pending = await asyncio.wait(tasks, timeout=timeout / 2 if len(tasks) > 1 else timeout)
        if pending and all(task.exception() for task in done):
            done, _ = await asyncio.wait(tasks, timeout=timeout / 2, return_when=asyncio.FIRST_COMPLETED)
        failures = [task.exception() for task in done]
        found = {tasks[task]: task.result() for task in done if not task.exception()}
        if not found:
            reason = next((str(failure) for failure in failures if failure), "")
            raise DatabaseUnavailable(reason or "the host's name could not be looked up in time")
        return found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _look_up(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DatabaseUnavailable(f"host {host}: {error.strerror or error}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
