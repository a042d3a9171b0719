"""The problems of requests that never reach the application (shared/refusals.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import hdrs, web

from api.middlewares.headers import DEFAULTS
from api.problems import BadRequest, HeadTooLarge, InternalError, Problem, UnknownExpectation, WrongMediaType

_ENCODINGS = "gzip, deflate"

_PROBLEMS: Mapping[int, Callable[[], Problem]] = {
    # Accept-Encoding in an answer says which encodings a request may have (RFC 9110, 15.5.16).
    415: lambda: WrongMediaType(
        f"Send the body as it is, or compressed: {_ENCODINGS}.", headers={hdrs.ACCEPT_ENCODING: _ENCODINGS}
    ),
    417: UnknownExpectation,
    431: HeadTooLarge,
    500: InternalError,
}


def refuse(status: int, _: BaseException | None) -> web.Response:
    """Returns the problem, with the headers of all answers."""
    response = _PROBLEMS.get(status, lambda: BadRequest("This is no HTTP request that can be read."))().response()
    for name, value in DEFAULTS:
        response.headers.setdefault(name, value)
    return response
