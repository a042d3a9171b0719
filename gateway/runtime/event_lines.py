"""Lines about what clients do: they connect, join, push, and go.

People at a terminal see them. Elsewhere only a level of `debug` shows them: there are as many as clients want.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from shared.logs import log_of

log = log_of(__name__)


class Client(Protocol):
    @property
    def log_fields(self) -> dict[str, Any]:
        """Who it is."""


def are_shown() -> bool:
    """Whether anybody sees these lines. Ask this first where there is one for each push."""
    return log.is_on(logging.DEBUG)


def tell(event: str, client: Client, **more: object) -> None:
    """Write a line, in which nothing of a payload stands."""
    if are_shown():
        log.debug(event, **client.log_fields, **more)
