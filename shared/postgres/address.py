"""Turns DATABASE_URL into a connection string for libpq with the addresses of its host.

If libpq looked the name up itself, it would block the event loop.
"""

from __future__ import annotations

import asyncio
import socket

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from shared.postgres.errors import DatabaseUnavailable

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


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
    return parts


def with_password(database_url: str, password: str) -> str:
    """Returns the address with the password; the address as it is if it has one already, or if `password` is empty.

    Raises InvalidDatabaseUrl.
    """
    parts = parsed(database_url)
    return str(make_dsn(**parts, password=password)) if password and "password" not in parts else database_url


async def resolved(database_url: str) -> str:
    """Returns a connection string and, if the URL names one host, with the host's addresses.

    Raises InvalidDatabaseUrl, and DatabaseUnavailable if the host name is not found.
    """
    parts = parsed(database_url)
    parts["client_encoding"] = "UTF8"
    parts.setdefault("fallback_application_name", "daveslist")
    host = parts.get("host", "")
    if host and not host.startswith(("/", "@")) and "," not in host and "hostaddr" not in parts:
        addresses = await _look_up(host)
        parts["host"] = ",".join([host] * len(addresses))
        parts["hostaddr"] = ",".join(addresses)
    return str(make_dsn(**parts))


async def _look_up(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DatabaseUnavailable(f"host {host}: {error.strerror or error}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
