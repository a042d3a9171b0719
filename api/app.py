"""The API as an aiohttp application: the routes, the middlewares around them, and the services behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache

import msgspec
from aiohttp import web

from api.assets.files import assets
from api.documentation.document import build_document
from api.endpoint import endpoint
from api.handlers.documentation import DOCUMENT
from api.handlers.failed_pages import failed_page
from api.handlers.health import HEALTH, STOPPING
from api.handlers.metrics import METRICS
from api.middlewares.headers import headers
from api.middlewares.metrics import metrics
from api.middlewares.requests import requests
from api.request_counts import method_label
from api.routes import PAGE_ROUTES, ROUTES
from api.services import SERVICES, Services, new_node_id
from shared import tracing
from shared.health import Health
from shared.metrics import Metrics
from shared.pubsub.broker import Broker
from shared.settings import Settings


def create_app(settings: Settings, broker: Broker, node_id: str | None = None) -> web.Application:
    """Returns the application. Apply the schema before it starts. Without Postgres or Redis it is not ready."""
    node_id = node_id or new_node_id()
    if settings.is_production:
        # The first visitor does not wait until the page's script is made.
        assets(settings)
    services = Services.build(settings, broker, node_id)
    traces = tracing.active()
    database, writer = services.database, services.message_writer
    app = web.Application(
        # Each wraps those after it, so answers that `requests` makes of failures are counted and get headers too.
        middlewares=[
            *([] if traces is None else [traces.middleware(method_label, settings.trusted_proxies)]),
            metrics(services.request_counts),
            headers(settings),
            requests(settings, services.security_events, failed_page(settings)),
        ],
        client_max_size=settings.max_body_bytes,
    )
    app[SERVICES] = services
    told = (services.telling, services.away, services.mailing)
    own = (services.request_counts, services.security_events, *told)
    app[METRICS] = Metrics("api", node_id, database, broker, writer, *own)
    app[STOPPING] = asyncio.Event()
    app[HEALTH] = Health(database, broker, app[STOPPING].is_set)
    app[DOCUMENT] = document_of(settings)
    for route in (*ROUTES, *PAGE_ROUTES):
        answer = endpoint(route, services)
        app.router.add_route(route.method, route.path, answer)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, answer)
    app.cleanup_ctx.append(_services)
    return app


def document_of(settings: Settings) -> bytes:
    """Returns the OpenAPI document as JSON. It is made once, and takes longer than all else in `create_app`."""
    return _document(settings.max_picture_bytes, settings.currency, settings.distance_unit)


@cache
def _document(picture_bytes: int, currency: str, distance_unit: str) -> bytes:
    described = build_document(ROUTES, picture_bytes=picture_bytes, currency=currency, distance_unit=distance_unit)
    return msgspec.json.encode(described)


async def _services(app: web.Application) -> AsyncIterator[None]:
    await app[SERVICES].start()
    yield
    await app[SERVICES].stop()
