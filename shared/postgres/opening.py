"""Opens connections to the one of a URL's servers that is the primary now, within a bounded time.

libpq tries several hosts one after the other, but gives a frozen one all of the time. So each is tried here, with its
share of the time: first the one that answered last, and at the end the one that gave reason to doubt it.
"""

from __future__ import annotations

import asyncio

from shared.logs import log_of
from shared.postgres import session
from shared.postgres.address import Server, resolved
from shared.postgres.connection import Connection
from shared.postgres.errors import DatabaseUnavailable
from shared.postgres.pooling import Pooling
from shared.settings import Settings

MOST_SECONDS = 15.0
"""A connection takes no longer, however long statements may take: a frozen server gets its share of this alone."""

_IS_POOLED = {"on": True, "off": False, "": None}

log = log_of(__name__)


class Opener:
    """Opens all connections of one pool."""

    def __init__(
        self, settings: Settings, *, statement_timeout: float | None = None, kind: type[Connection] = Connection
    ) -> None:
        """`kind` is the class of the connections. `statement_timeout` is `database_timeout_seconds` unless given."""
        self._kind = kind
        self._url = settings.database_url
        self._timeout = min(settings.database_timeout_seconds, MOST_SECONDS)
        self._settings = session.settings(
            settings.database_timeout_seconds if statement_timeout is None else statement_timeout,
            staff_needs_second_factor=settings.second_factor_for_staff,
        )
        self._is_pooled = _IS_POOLED[settings.database_pooler]
        self._pooling = Pooling(self._settings)
        self.has_choice = False
        """Whether the URL names several servers."""
        self.current: Server | None = None
        """The server that answered last."""
        self._doubted: Server | None = None

    async def open(self) -> Connection:
        """Returns a connection to the first server that takes it. Raises InvalidDatabaseUrl, DatabaseUnavailable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        servers = await resolved(self._url, self._timeout)
        self.has_choice = len(servers) > 1
        servers.sort(key=lambda server: (server == self._doubted, server != self.current))
        reasons: list[str] = []
        for tried, server in enumerate(servers):
            left = max(0.0, deadline - loop.time())
            try:
                connection = await self._kind.open(
                    server,
                    left / (len(servers) - tried),
                    settings=self._settings,
                    pooling=self._pooling,
                    is_pooled=self._is_pooled,
                )
            except DatabaseUnavailable as error:
                reasons.append(str(error))
                continue
            if self.current not in (None, server):
                log.warning("another Postgres server", host=server.name)
            self.current = server
            if self._doubted == server:
                self._doubted = None
            return connection
        raise DatabaseUnavailable("; ".join(dict.fromkeys(reasons)))

    def doubt(self, server: Server) -> None:
        """Try this server last: it has not answered, or takes no more writes."""
        self._doubted = server
