"""What handlers return, and the responses made of it.

The return annotation of a handler says what it answers, also for the OpenAPI document: a class of
api/schemas/answers/, a `Page` of these, `Json` of either, None for 204, or `web.Response` for more than JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
from aiohttp import web

Answer = TypeVar("Answer")

_encode = msgspec.json.Encoder().encode


class Json(Generic[Answer]):
    """An answer that is already JSON: the database makes the JSON of a `Json[Listing]`."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | str) -> None:
        self.data = data if isinstance(data, bytes) else data.encode()


@dataclass(frozen=True, slots=True)
class Page(Generic[Answer]):
    """A page of a list; `next_cursor` is None on the last page."""

    data: list[Answer]
    next_cursor: str | None


def response_of(answer: object, status: int) -> web.StreamResponse:
    """Returns the response for the result of a handler; `status` is for answers in JSON."""
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer is None:
        return web.Response(status=204)
    return web.Response(body=encoded(answer), status=status, content_type="application/json")


def encoded(answer: object) -> bytes:
    """Returns the answer as JSON."""
    return answer.data if isinstance(answer, Json) else _encode(answer)
