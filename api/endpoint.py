"""Turns a route into the handler that aiohttp calls: authenticates, checks the role, and calls the route's handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from api.answers import response_of
from api.banned import banned
from api.call import Call
from api.middlewares.requests import USER_ID
from api.problems import Forbidden, SecondFactorRequired, Unauthorized
from api.repeats import begin, key_of, repeated
from api.services import Services
from api.versions import tagged
from shared.access.actor import Actor
from shared.access.admission import Banned, Refused
from shared.access.policy import PUBLISHING, Action, may_ever, needs_login
from shared.domain.repeats import Repeated
from shared.domain.users import NoLongerAllowed, UnreadWarning

Handler = Callable[[Call], Awaitable[Any]]
"""Its return annotation says what it answers (api/answers.py); its docstring says what it does."""

ANONYMOUS = frozenset(
    {
        Action.ACCOUNT_CREATE,
        Action.ACCOUNT_RECOVER,
        Action.SESSION_CREATE,
        Action.PASSWORD_RATE,
        Action.SERVICE_READ,
        Action.OBJECTION_CREATE,
    }
)
"""Actions that ignore the token: a client that asks for a new token may still send the expired one."""


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the route table: the request, its handler, the action that the actor must be allowed, and its input.

    `status` is for successful answers with JSON. A handler that returns None answers 204.
    """

    method: str
    path: str
    handler: Handler
    action: Action
    body: type | None = None
    query: type | None = None
    status: int = 200
    has_version: bool = False
    """Whether answers have an ETag, a read heeds If-None-Match, and a change If-Match (api/versions.py)."""
    is_repeatable: bool = False
    """Whether a request with an Idempotency-Key may be repeated (api/repeats.py)."""


_COUNTED_BY_HANDLERS = frozenset({Action.SERVICE_READ, Action.SESSION_CREATE})
"""Log-ins and refreshes are counted by devices and sessions too: nobody else uses up what those have."""

Limiter = Callable[[web.Request, Services, Actor | None], Awaitable[None]]


def endpoint(route: Route, services: Services) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Returns the route's handler for aiohttp."""
    limiter = _limiter(route)
    publishes = route.action in PUBLISHING and route.method not in ("GET", "HEAD")

    async def admit(request: web.Request) -> Actor | None:
        return allowed(None if route.action in ANONYMOUS else await authenticate(request, services))

    async def admit_again(actor: Actor | None) -> Actor | None:
        """A token that was good when the request began may end meanwhile; a session or a role that ends counts."""
        return allowed(None if actor is None else await services.admission.readmit(actor))

    def allowed(actor: Actor | None) -> Actor | None:
        if not may_ever(route.action, actor):
            if actor is None:
                raise Unauthorized
            if actor.lacks_second_factor:
                raise SecondFactorRequired("Turn one on, under your account.")
            raise Forbidden("Your role does not allow it.")
        if publishes and actor is not None and actor.has_warning:
            raise UnreadWarning
        return actor

    is_read = route.method in ("GET", "HEAD") and route.action is not Action.SERVICE_READ

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await answer_to(request)
        except Banned as refused:
            # The token shows who it is, so they are told why.
            raise await banned(services, refused.user_id) from None

    async def answer_to(request: web.Request) -> web.StreamResponse:
        # Counted before Postgres is asked anything, so that a refused request costs little.
        if is_read:
            services.rate_limits.read(request)
        elif route.action not in _COUNTED_BY_HANDLERS:
            services.rate_limits.attempt(request)
        actor = await admit(request)
        if limiter is not None:
            await limiter(request, services, actor)
        call = Call(request, services, actor, route.body, route.query)
        if route.body is not None and await call.wait_for_body():
            # While the body arrived, the user may have been banned or have lost a role.
            call.actor = await admit_again(actor)
        try:
            if route.is_repeatable:
                call.key, call.status = key_of(request), route.status
                if call.key is not None and route.body is not None:
                    await begin(call, await call.received())
            answered = await route.handler(call)
        except Repeated as repeat:
            return repeated(repeat.answer)
        except NoLongerAllowed:
            # The user has left, was banned or lost the role meanwhile: answer as if the request had come now.
            await admit_again(actor)
            raise
        if not call.input_checked:
            raise RuntimeError(f"the handler of {route.method} {route.path} called neither query() nor body()")
        response = response_of(answered, route.status)
        if route.has_version:
            return tagged(request, response)
        return response

    assert needs_login(route.action) or route.action in ANONYMOUS or route.method in ("GET", "HEAD")
    return answer


def _limiter(route: Route) -> Limiter | None:
    """Returns what counts a request before its handler runs and raises TooManyRequests; None if nothing does.

    Reads are counted earlier, before the user is known. Log-ins and refreshes are counted by their handlers, because
    the body names the account or the session for which they count.
    """
    if route.method in ("GET", "HEAD") or route.action is Action.SESSION_CREATE:
        return None
    if route.action is Action.ACCOUNT_CREATE:
        return _count_registration
    return _count_write


async def _count_registration(request: web.Request, services: Services, _: Actor | None) -> None:
    await services.rate_limits.registration(request)


async def _count_write(request: web.Request, services: Services, actor: Actor | None) -> None:
    await services.rate_limits.write(request, actor.user_id if actor else None)


async def authenticate(request: web.Request, services: Services) -> Actor | None:
    """Returns the user of the bearer token as Postgres knows them now; None without a token.

    Raises Refused, or Unauthorized if the header has no bearer token.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("A bearer token is needed.")
    try:
        actor = await services.admission.admit(token.strip())
    except Refused as refused:
        if refused.user_id is not None:
            request[USER_ID] = refused.user_id
        raise
    request[USER_ID] = actor.user_id
    return actor
