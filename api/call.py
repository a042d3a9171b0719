"""One request in its handler: the actor and the input, checked in the order that clients are promised.

The order is: 401 and 403 for the role (both before the handler), 404 (`path_id` and the handler's look-ups), 403 for
the resource (`require`), 415, 400 and 422 (`body`, `query`), 409.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar, overload

import msgspec
from aiohttp import web
from marshmallow import ValidationError

from api.middlewares.requests import USER_ID, who_asks
from api.problems import (
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    NotJson,
    Problem,
    TooLarge,
    TooSlow,
    WrongMediaType,
    name_errors,
)
from api.schemas.derived import lists_of, load, names_of
from api.services import Services
from shared.access.actor import Actor
from shared.access.policy import Action, may
from shared.domain.ids import parse_id
from shared.domain.repeats import Repeatable
from shared.domain.text import is_storable
from shared.domain.users import NotConfirmed
from shared.repositories.listing_access import SeenListing
from shared.security_events import SecurityEvent

Input = TypeVar("Input")


class Call:
    """A handler's argument. Each handler calls `body` or `query`, also without input: they refuse unknown input."""

    __slots__ = (
        "_body",
        "_query",
        "_received",
        "actor",
        "input_checked",
        "key",
        "repeatable",
        "request",
        "services",
        "status",
    )

    def __init__(
        self,
        request: web.Request,
        services: Services,
        actor: Actor | None,
        body: type | None,
        query: type | None,
    ) -> None:
        self.request = request
        self.services = services
        self.actor = actor
        self.input_checked = False
        self.status = 200
        self.key: str | None = None
        self.repeatable: Repeatable | None = None
        self._body = body
        self._query = query
        self._received: bytes | Problem | None = None

    @property
    def user(self) -> Actor:
        """The user who sent the request. Raises RuntimeError for a visitor, so use it only on routes that need a log-
        in."""
        if self.actor is None:
            raise RuntimeError("this route is open to visitors: look at `actor`")
        return self.actor

    def is_of(self, user_id: int) -> None:
        """Note the user for the log, on a route without an access token."""
        self.request[USER_ID] = user_id

    def tell(self, event: SecurityEvent, **what: object) -> None:
        """Count and log a security event that is not a problem. `what` adds fields to who made the request."""
        who = who_asks(self.request, self.services.settings.trusted_proxies)
        self.services.security_events.tell(event, who, what)

    def path_id(self, name: str = "id") -> int:
        """Returns the id in the path. Raises NotFound if it is not a positive bigint."""
        value = parse_id(self.request.match_info[name])
        if value is None:
            raise NotFound
        return value

    def path_session_id(self) -> str:
        """Returns the session's id in the path. Raises NotFound if Postgres cannot store it, and so has none."""
        value: str = self.request.match_info["session_id"]
        if not is_storable(value):
            raise NotFound
        return value

    async def listing(self, listing_id: int | None = None) -> SeenListing:
        """Returns the listing with this id, by default the path's. Raises ListingNotFound if it may not be seen."""
        return await self.services.listing_access.visible(
            self.path_id() if listing_id is None else listing_id, self.actor
        )

    def require_confirmed(self) -> None:
        """Raises NotConfirmed if the user has to confirm the e-mail address before publishing anything."""
        if self.user.must_confirm:
            raise NotConfirmed

    def require(self, action: Action, *, owner_id: int | None) -> None:
        """Raises Forbidden if the actor may not do the action to something that belongs to this owner."""
        if not may(action, self.actor, owner_id=owner_id):
            raise Forbidden

    @overload
    def query(self) -> None: ...
    @overload
    def query(self, kind: type[Input]) -> Input: ...
    def query(self, kind: type[Input] | None = None) -> Input | None:
        """Returns the query parameters as the dataclass that the route names. Raises Invalid for unknown parameters.

        Without a kind, every parameter is unknown.
        """
        self.input_checked = True
        self._agree(kind, self._query)
        parameters = self.request.query
        values = dict(parameters)
        if len(values) < len(parameters):
            declaration: Any = kind
            many = lists_of(declaration) if kind else frozenset()
            counted = Counter(name for name, _ in parameters.items())
            repeated = [name for name in counted if counted[name] > 1]
            if not many.issuperset(repeated):
                wrong = (name for name in repeated if name not in many)
                raise Invalid(name_errors(wrong, "Given more than once."))
            values |= {name: ",".join(parameters.getall(name)) for name in repeated}
        if kind is None:
            if parameters:
                raise Invalid(name_errors(parameters, "Unknown parameter."))
            return None
        return _load(kind, values)

    async def body(self, kind: type[Input]) -> Input:
        """Returns the JSON object as the dataclass that the route names. Also refuses query parameters.

        Raises what `json_object` raises, and Invalid if a field is missing, unknown or wrong.
        """
        return _load(kind, await self.json_object(kind))

    async def optional_body(self, kind: type[Input]) -> Input:
        """Like `body`, but a request without a body counts as an empty object."""
        if self.request.body_exists:
            return await self.body(kind)
        self._agree(kind, self._body)
        self.query()
        return _load(kind, {})

    def _agree(self, kind: type | None, declared: type | None) -> None:
        """Check that the handler reads the dataclass that the route names: the OpenAPI document describes that one."""
        if kind is not declared:
            raise RuntimeError(f"{self.request.path}: the handler reads {kind}, its route names {declared}")

    async def json_object(self, kind: type) -> Mapping[str, object]:
        """Returns the body for the dataclass that the route names, unchecked.

        Raises WrongMediaType, TooLarge, TooSlow, BadRequest, NotJson, or Invalid if it is not an object.
        """
        self._agree(kind, self._body)
        content_type, charset = self.request.content_type, self.request.charset
        if content_type != "application/json" or (charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
            raise WrongMediaType("Send application/json, in UTF-8.")
        body = parse_json(await self.received())
        self.query()
        if not isinstance(body, dict):
            raise Invalid({"body": ["Not an object."]})
        return body

    async def wait_for_body(self) -> bool:
        """Wait for the body. Returns False if it had already arrived. `json_object` reports its errors later."""
        if self.request.content.is_eof():
            return False
        with suppress(Problem):
            await self.received()
        return True

    async def received(self) -> bytes:
        """Returns the body's bytes. Reads them once; each call raises the same error."""
        if self._received is None:
            try:
                self._received = await self._read()
            except Problem as problem:
                self._received = problem
        if isinstance(self._received, Problem):
            raise self._received
        return self._received

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self.services.settings.body_seconds):
                return await self.request.read()
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge(f"At most {self.services.settings.max_body_bytes} bytes.") from None
        except TimeoutError:
            raise TooSlow from None
        except (web.RequestPayloadError, ConnectionError):
            # The body is not encoded as its Content-Encoding says, or the client has gone.
            raise BadRequest("The body cannot be read.") from None


def parse_json(data: bytes) -> Any:
    """Returns the value of JSON text. Raises NotJson. Lone surrogates and infinite numbers pass: the schema decides."""
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise NotJson("It is nested too deep.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        # A reader may ignore a byte order mark (RFC 8259, 8.1).
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_int=_whole)
    except RecursionError:
        raise NotJson("It is nested too deep.") from None
    except ValueError:
        raise NotJson from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(digits: str) -> int | float:
    # Python refuses to parse very long numbers. No valid number is that long.
    return int(digits) if len(digits) < 4000 else math.inf


def _load(kind: type[Input], values: Mapping[str, object]) -> Input:
    """Returns the values as a `kind`, or raises Invalid.

    Unknown fields never reach the schema, which would spend much time on each of them.
    """
    declaration: Any = kind
    known = names_of(declaration)
    unknown: dict[str, Any] = {}
    if not values.keys() <= known:
        unknown = name_errors((name for name in values if name not in known), "Unknown field.")
        values = {name: values[name] for name in known if name in values}
    try:
        loaded = load(kind, values)
    except ValidationError as error:
        errors: Any = error.messages
        raise Invalid({**unknown, **errors}) from None
    if unknown:
        raise Invalid(unknown)
    return loaded
