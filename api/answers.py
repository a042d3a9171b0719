"""What a handler returns, and the response that is made of it.

A handler's annotation says what it answers, to readers and to the OpenAPI document: one of api/schemas/answers.py, a
`Page` of these, either of them as `Json`, None for 204, or a `web.Response` where it is more than JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
from aiohttp import web

Answer = TypeVar("Answer")

_encode = msgspec.json.Encoder().encode


class Json(Generic[Answer]):
    """An answer whose JSON is made already, as the database makes that of a `Json[Listing]`."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | str) -> None:
        self.data = data if isinstance(data, bytes) else data.encode()


@dataclass(frozen=True, slots=True)
class Page(Generic[Answer]):
    """A page of a list; `next_cursor` is None on the last one."""

    data: list[Answer]
    next_cursor: str | None


def response_of(answer: object, status: int) -> web.StreamResponse:
    """The response with what a handler returned; `status` is that of an answer in JSON."""
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer is None:
        return web.Response(status=204)
    data = answer.data if isinstance(answer, Json) else _encode(answer)
    return web.Response(body=data, status=status, content_type="application/json")
