"""A pool of connections: it lends each to one caller at a time, drops broken ones, and opens new ones when needed.

aiopg's own pool connects while it holds the lock that every caller needs, so a frozen server also delays callers that
only return a connection; and each return starts a task. This pool connects in tasks of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from shared.logs import log_of
from shared.postgres.connection import Connection
from shared.postgres.errors import DatabaseUnavailable

log = log_of(__name__)


class Pool:
    """At most `size` connections, opened by `opener` when they are needed. The one used last is lent first."""

    def __init__(self, opener: Callable[[], Awaitable[Connection]], size: int, timeout: float) -> None:
        self._opener = opener
        self._size = size
        self._timeout = timeout
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiters: deque[asyncio.Future[Connection]] = deque()
        self._is_closed = False

    @property
    def size(self) -> int:
        """Number of connections that are open or being opened."""
        return len(self._idle) + len(self._lent) + len(self._opening)

    @property
    def waiting(self) -> int:
        """Number of callers that wait for a connection."""
        return len(self._waiters)

    async def acquire(self) -> Connection:
        """Returns a connection to use alone until `release`. Raises DatabaseUnavailable after the timeout."""
        if self._is_closed:
            raise DatabaseUnavailable("the pool is closed")
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                self._lent.add(connection)
                return connection
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection] = loop.create_future()
        self._waiters.append(waiter)
        self._grow()
        timer = loop.call_later(self._timeout, _expire, waiter, self._timeout)
        try:
            return await waiter
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # The caller got a connection and was cancelled at the same time: lend the connection to the next
                # caller.
                self.release(waiter.result())
            raise
        finally:
            timer.cancel()

    def release(self, connection: Connection) -> None:
        """Take a connection back. It is closed if it is still in a statement or a transaction."""
        self._lent.discard(connection)
        if self._is_closed or not connection.is_usable:
            connection.close()
            self._grow()
        else:
            self._hand_on(connection)

    def retire(self, is_stale: Callable[[Connection], bool]) -> None:
        """Close these connections: idle ones at once, lent ones when they are released."""
        for connection in self._lent:
            if is_stale(connection):
                connection.retire()
        stale = [connection for connection in self._idle if is_stale(connection)]
        self._idle = [connection for connection in self._idle if connection not in stale]
        for connection in stale:
            connection.close()
        self._grow()

    async def close(self) -> None:
        """Close every connection, also lent ones: their statements fail."""
        self._is_closed = True
        self._fail_waiters(DatabaseUnavailable("the pool is closed"))
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in [*self._idle, *self._lent]:
            connection.close()
        self._idle.clear()
        self._lent.clear()

    def _hand_on(self, connection: Connection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._lent.add(connection)
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _grow(self) -> None:
        """Open a connection for each waiting caller, up to the size of the pool."""
        while not self._is_closed and len(self._opening) < len(self._waiters) and self.size < self._size:
            task = asyncio.get_running_loop().create_task(self._open_one())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open_one(self) -> None:
        try:
            connection = await self._opener()
        except DatabaseUnavailable as error:
            # Lent connections will come back, and the waiting callers can have those.
            if not self._lent:
                self._fail_waiters(error)
            return
        except Exception as error:
            log.exception("connecting failed")
            self._fail_waiters(DatabaseUnavailable(str(error)))
            return
        if self._is_closed:
            connection.close()
        else:
            self._hand_on(connection)

    def _fail_waiters(self, error: DatabaseUnavailable) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(DatabaseUnavailable(*error.args))


def _expire(waiter: asyncio.Future[Connection], timeout: float) -> None:
    if not waiter.done():
        waiter.set_exception(DatabaseUnavailable(f"no connection within {timeout:g} s"))
