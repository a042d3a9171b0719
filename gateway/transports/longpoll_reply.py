"""The answer to one long-poll request, with signs of life while it is incomplete.

To a proxy, a node that waits for messages looks frozen. So after the first beat of waiting, the answer begins with its
head and a blank, and another blank follows at each beat: JSON allows any number of blanks before a value (RFC 8259, 2).
A proxy may give up a node that has been silent for two beats.
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
        """`step` is the endpoint's `Stepper.step`."""
        self._request = request
        self._step = step
        self._beat_seconds = beat_seconds
        self.response: web.StreamResponse = web.StreamResponse(headers=headers)
        """The handler returns it to aiohttp, which ends it if `end` was not called."""
        self.response.content_type = "application/json"
        self.response.charset = "utf-8"

    async def after(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the work, with signs of life. Returns its result or raises its error.

        If the client goes away, cancels the work and raises ConnectionError.
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
        """Send the body. Returns whether it was sent to a client that was still there.

        `is_last` closes the TCP connection afterwards.
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
