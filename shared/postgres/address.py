"""From DATABASE_URL to what libpq is given: host names looked up off the event loop, which libpq would block."""

from __future__ import annotations

import asyncio
import socket

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from shared.postgres.errors import DatabaseUnavailable

# No statement of ours has a reason to read a table whole: said so, the planner cannot come to it either while a table
# is small or its statistics are old, with a plan that is kept when the table has grown. Pages are in memory, or on a
# disk without a head to move; and the bitmap of a search's matches should fit.
_PLANNER = "-c enable_seqscan=off -c random_page_cost=1.1 -c work_mem=16MB"


_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class InvalidDatabaseUrl(ValueError):
    """libpq cannot read it. The message does not repeat it: it may hold a password."""


def parsed(database_url: str) -> dict[str, str]:
    """Its parts by libpq's names; raises InvalidDatabaseUrl."""
    try:
        parts = dict(parse_dsn(database_url))
    except psycopg2.Error:
        raise InvalidDatabaseUrl("DATABASE_URL: libpq cannot read it") from None
    # libpq itself would tell of these only when it connects.
    for port in parts.get("port", "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise InvalidDatabaseUrl("DATABASE_URL: its port is no number between 1 and 65535")
    if parts.get("sslmode", "prefer") not in _SSL_MODES:
        raise InvalidDatabaseUrl(f"DATABASE_URL: its sslmode is one of {', '.join(_SSL_MODES)}")
    return parts


async def resolved(database_url: str, statement_timeout_seconds: float) -> str:
    """A connection string with the session's settings and, where one host name is given, its addresses.

    The server gives up a statement when we have stopped waiting for it. Raises DatabaseUnavailable for a name that is
    not found, InvalidDatabaseUrl.
    """
    parts = parsed(database_url)
    milliseconds = int(statement_timeout_seconds * 1000)
    session = f"-c timezone=UTC -c jit=off {_PLANNER} -c statement_timeout={milliseconds}"
    parts["options"] = f"{parts['options']} {session}" if parts.get("options") else session
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
