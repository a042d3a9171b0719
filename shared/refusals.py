"""Answers to requests that never reach an application: what is no HTTP, or asks for what the server cannot do.

aiohttp answers these itself, as plain text, with a header that names the versions of aiohttp and Python. Here the
process decides what to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong

Refuse = Callable[[int, BaseException | None], web.Response]
"""Makes the answer for a status and the error behind it, which is None if a handler of aiohttp chose the status."""
Handlers = Callable[[], web.RequestHandler]
"""Makes what handles one connection."""


def status_of(status: int, error: BaseException | None) -> int:
    """Returns the status that fits the error better than aiohttp's 400 for all of them."""
    if isinstance(error, ContentEncodingError):
        return 415
    if isinstance(error, LineTooLong):
        return 431
    return status


def have_all_asked(server: web.Server) -> bool:
    """Returns whether a request has arrived on each connection of the server."""
    # The public `connections` has no handlers whose count could be read; aiohttp closes those that ask nothing.
    return all(handler._request_count for handler in server._connections)


def refusing(server: web.Server, refuse: Refuse) -> Handlers:
    """Returns what makes the server's handlers of connections, which refuse in the words of the process."""

    class Handler(web.RequestHandler):
        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = 500,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            if status >= 500:
                # This logs the error, and makes an answer only if none has begun.
                super().handle_error(request, status, exc, message)
            else:
                # Anybody can send such requests, as many as they like: only the level DEBUG shows them.
                self.logger.debug("request refused", exc_info=exc)
                if request.writer.output_size > 0:
                    raise ConnectionError("an answer has begun")
            response = refuse(status_of(status, exc), exc)
            response.force_close()
            return response

        async def finish_response(
            self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
        ) -> tuple[web.StreamResponse, bool]:
            if isinstance(resp, web.HTTPError):
                # Raised before the application's middlewares, for an Expect that nobody knows.
                resp = refuse(resp.status, None)
            return await super().finish_response(request, resp, start_time)

    loop = asyncio.get_running_loop()
    # Only this private field has the arguments that the runner was given.
    return lambda: Handler(server, loop=loop, **server._kwargs)
