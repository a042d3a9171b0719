"""The answer to one long-poll request: while it is not complete, the node sends signs of life.

To a proxy, a node that waits for messages looks like a frozen one. So after the first beat of waiting the answer begins
with its head and a blank, and a blank follows at each further beat: JSON allows any number of blanks before a value
(RFC 8259, 2). A proxy may give up a node that has been silent for two beats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web
from aiohttp.typedefs import LooseHeaders

from gateway.runtime.stepping import Suspended

_BLANK = b" "


class Reply:
    """The answer to one request; its body is JSON."""

    def __init__(
        self,
        request: web.Request,
        headers: LooseHeaders,
        step: Callable[[Coroutine[Any, Any, Any]], Any],
        beat_seconds: float,
    ) -> None:
        """`step` is `Stepper.step` of the endpoint."""
        self._request = request
        self._step = step
        self._beat_seconds = beat_seconds
        self.response: web.StreamResponse = web.StreamResponse(headers=headers)
        """The handler returns it to aiohttp, which ends it if `end` was not called."""
        self.response.content_type = "application/json"
        self.response.charset = "utf-8"

    async def after(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the work, with signs of life; return its result or raise its error.

        Raises ConnectionError, and cancels the work, when the client has gone.
        """
        done = self._step(work)
        if type(done) is not Suspended:
            return done
        task = done.task
        try:
            while not (await asyncio.wait((task,), timeout=self._beat_seconds))[0]:
                await self.response.prepare(self._request)
                await self.response.write(_BLANK)
            return task.result()
        finally:
            task.cancel()

    async def end(self, body: bytes, *, is_last: bool = False) -> bool:
        """Send the body. Returns whether it went out to a client that was still there.

        `is_last` closes the TCP connection behind it.
        """
        if is_last:
            self.response.force_close()
        if not self._is_there:
            return False
        if not self.response.prepared:
            self.response.content_length = len(body)
        try:
            await self.response.prepare(self._request)
            await self.response.write_eof(body)
        except ConnectionError:
            return False
        return self._is_there

    @property
    def _is_there(self) -> bool:
        transport = self._request.transport
        return transport is not None and not transport.is_closing()
