"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

from aiohttp import web

from api.call import Call
from api.documentation.page import CONTENT_SECURITY_POLICY, page

DOCUMENTATION = "/api/docs"
"""The page's address."""

DOCUMENT = web.AppKey("document", bytes)
"""The document as JSON, built with the application."""


async def document(call: Call) -> web.Response:
    """This document."""
    call.query()
    return web.Response(body=call.request.app[DOCUMENT], content_type="application/json")


async def docs(call: Call) -> web.Response:
    """This document as a page to read and try."""
    call.query()
    return web.Response(
        body=page(),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
    )
