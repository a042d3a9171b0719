"""Makes JSON answers."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

_encode = msgspec.json.Encoder().encode


def json_answer(value: Any, status: int = 200) -> web.Response:
    """Makes an answer of a value that msgspec can encode, such as a dataclass."""
    return web.Response(body=_encode(value), status=status, content_type="application/json")


def encoded_answer(json: bytes, status: int = 200) -> web.Response:
    """Makes an answer from JSON that is already encoded."""
    return web.Response(body=json, status=status, content_type="application/json")


def no_content() -> web.Response:
    """Makes the empty answer with status 204."""
    return web.Response(status=204)
