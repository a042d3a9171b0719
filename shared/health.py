"""Answers load balancers and orchestrators whether the process runs, and whether it can serve.

They ask every few seconds, so only a change of the answer is logged: other lines would drown all others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET

from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.pubsub.broker import Broker
from shared.version import VERSION

log = log_of(__name__)

ABSENT: Any = UNSET

ASKED_BY_MACHINES = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that machines request all the time. Requests for them are logged at DEBUG."""
SUPERVISOR = "daveslist-make-run"
"""The User-Agent of `make run`, which asks whether a process that it has just started is ready. Nothing about these
requests is logged: whoever reads the log has started them."""


class Status(StrEnum):
    OK = "ok"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """The answer as JSON. `reasons` maps what is missing to a text; it is absent if nothing is missing.

    `version` is that of the release: while one replaces another, it says which one has answered.

    The texts are fixed, because anybody may read them. The log has the details.
    """

    status: Status
    version: str = VERSION
    reasons: dict[str, str] = ABSENT


class Health:
    """The handlers of `/health/live` and `/health/ready` of one process."""

    def __init__(self, database: Database, broker: Broker, is_stopping: Callable[[], bool]) -> None:
        self._database = database
        self._broker = broker
        self._is_stopping = is_stopping
        self._missing: frozenset[str] = frozenset()

    async def live(self, _: web.Request) -> web.Response:
        """200: a process that answers runs."""
        return _answer(HealthState(status=Status.OK))

    async def ready(self, request: web.Request) -> web.Response:
        """503 while Postgres or the broker is away, or the process is stopping; `reasons` says which."""
        reasons, details = await self._reasons()
        if request.headers.get(hdrs.USER_AGENT) != SUPERVISOR:
            self._tell_change(reasons | details)
        if reasons:
            return _answer(HealthState(status=Status.UNAVAILABLE, reasons=reasons), 503)
        return _answer(HealthState(status=Status.OK))

    async def is_ready(self) -> bool:
        """Whether `ready` would answer 200."""
        reasons, _ = await self._reasons()
        return not reasons

    async def _reasons(self) -> tuple[dict[str, str], dict[str, str]]:
        """Returns what is missing, for everybody, and its details for the log."""
        reasons: dict[str, str] = {}
        details: dict[str, str] = {}
        try:
            await self._database.ping()
        except DatabaseUnavailable as error:
            reasons["postgres"] = "unavailable"
            details["postgres"] = str(error)
        if not self._broker.connected:
            reasons[self._broker.server] = "not connected"
        if self._is_stopping():
            reasons["process"] = "stopping"
        return reasons, details

    def _tell_change(self, reasons: Mapping[str, str]) -> None:
        missing = frozenset(reasons)
        if missing == self._missing:
            return
        self._missing = missing
        if not reasons:
            log.info("ready again")
            return
        # Stopping is not a fault.
        level = logging.INFO if missing == {"process"} else logging.WARNING
        log.log(level, "not ready", reasons=dict(reasons))


def _answer(state: HealthState, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(state), status=status, content_type="application/json")
