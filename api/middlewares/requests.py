"""For every request: an id, one line in the log, and a problem as the answer to every failure.

The line has the path, but no query, header or body, because these may have secrets. It has the user's id and the
client's address; of an IPv6 address only the network that one household gets. If requests that change nothing come
faster than the log may grow, only some of them have a line, and `left_out` in the next line says how many have none.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from api.problems import (
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    problem_of,
)
from shared.access.addresses import Networks, counted_as, network_of
from shared.client_address import address_of
from shared.health import ASKED_BY_MACHINES, SUPERVISOR
from shared.log_limits import LineBudget
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable
from shared.security_events import SecurityEvents
from shared.settings import Settings

log = log_of(__name__)

MAX_PATH_LENGTH = 300
"""Characters of a path in the log. All routes are shorter."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""
_CLIENT_GONE = 499
"""The status in the log of a request whose client did not wait for the answer. It may have changed something."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


USER_ID = web.RequestKey("user_id", int)
"""The id of the request's user; absent for visitors and before authentication."""


REQUEST_ID = web.RequestKey("request_id", str)


def who_asks(request: web.Request, trusted: Networks) -> dict[str, object]:
    """Returns the fields of a log line about a security event that say who made the request, and which one."""
    return {
        "request_id": request.get(REQUEST_ID),
        "user_id": request.get(USER_ID),
        "network": network_of(address_of(request, trusted)),
        "method": request.method,
        "path": request.path[:MAX_PATH_LENGTH],
    }


Present = Callable[[web.Request, Problem], web.Response | None]
"""Makes a page of a problem; None if the client wants the problem itself."""


def requests(settings: Settings, events: SecurityEvents, present: Present) -> Middleware:
    """Returns the middleware that logs requests, turns failures into problems, and tells of security events."""
    trusted = settings.trusted_proxies
    budget = LineBudget(
        (settings.request_lines_per_second, settings.request_line_burst),
        (settings.request_lines_per_client_second, settings.request_line_client_burst),
    )

    def tell(request: web.Request, problem: Problem) -> web.Response:
        if problem.event is not None:
            events.tell(problem.event, who_asks(request, trusted), problem.about)
        return present(request, problem) or problem.response()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = secrets.token_hex(8)
        started = time.perf_counter()
        try:
            response = await _answer(request, handler, request_id, tell)
        except BaseException:
            _log(request, request_id, started, _CLIENT_GONE, trusted, budget)
            raise
        response.headers["X-Request-Id"] = request_id
        _log(request, request_id, started, response.status, trusted, budget)
        return response

    return around


async def _answer(
    request: web.Request, handler: Handler, request_id: str, answer: Callable[[web.Request, Problem], web.Response]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return answer(request, problem)
    except web.HTTPMethodNotAllowed as error:
        return answer(request, MethodNotAllowed(headers={"Allow": error.headers["Allow"]}))
    except web.HTTPRequestEntityTooLarge:
        return answer(request, TooLarge())
    except web.HTTPNotFound:
        return answer(request, NotFound())
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer(request, BadRequest(error.reason))
    except Exception as error:
        if isinstance(error, DatabaseUnavailable):
            log.warning("database unavailable", request_id=request_id, reason=str(error))
        known = problem_of(error)
        if known is not None:
            return answer(request, known)
        log.exception("request failed", request_id=request_id)
        return answer(request, InternalError(f"Please report this number: {request_id}."))


def _log(
    request: web.Request, request_id: str, started: float, status: int, trusted: Networks, budget: LineBudget
) -> None:
    is_of_machines = request.path in ASKED_BY_MACHINES
    level = logging.DEBUG if is_of_machines else logging.INFO
    if log.is_on(level) and not (is_of_machines and request.headers.get(hdrs.USER_AGENT) == SUPERVISOR):
        user_id, address = request.get(USER_ID), counted_as(address_of(request, trusted))
        left_out: int | None = 0
        if request.method in _SAFE or (status >= 400 and status != _CLIENT_GONE):
            left_out = budget.take(status // 100, address if user_id is None else user_id)
            if left_out is None:
                return
        log.log(
            level,
            "request",
            request_id=request_id,
            method=request.method,
            path=request.path[:MAX_PATH_LENGTH],
            status=status,
            ms=round((time.perf_counter() - started) * 1000, 2),
            user_id=user_id,
            address=address,
            **({"left_out": left_out} if left_out else {}),
        )
