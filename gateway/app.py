"""Puts the gateway together. Only this module imports all parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from gateway.catch_up import CatchUp
from gateway.channels.own_topic import CATCH_UP_LIMIT
from gateway.channels.rate_limit import UserBuckets
from gateway.channels.routes import ROUTES
from gateway.context import Context
from gateway.lost_nodes import LostNodes
from gateway.metrics import gateway_metrics
from gateway.missed import MissedAlerts, MissedDeletions, MissedMessages
from gateway.presence.store_redis import RedisStore
from gateway.read_again import read_again_after_gaps
from gateway.revalidation import Revalidation
from gateway.runtime.endpoint import Endpoint, new_node_id
from gateway.system_reports import SystemReports
from gateway.transports.longpoll import LongPollTransport
from gateway.transports.websockets import PATHS, WebSockets
from shared import tracing
from shared.access.admission import Admission, Admit
from shared.access.tokens import Tokens
from shared.health import Health
from shared.membership import Membership
from shared.metrics import Metrics
from shared.postgres import Database
from shared.private_chat import EVENTS, Chats
from shared.pubsub import broker_for
from shared.repositories.alerts import AlertRepository
from shared.repositories.listing_access import ListingAccess
from shared.repositories.nodes import NodeRepository
from shared.repositories.shared_reads import SharedReads
from shared.repositories.users import UserRepository
from shared.settings import Settings

ENDPOINT = web.AppKey("endpoint", Endpoint)
WEBSOCKETS = web.AppKey("websockets", WebSockets)
HEALTH = web.AppKey("health", Health)
METRICS = web.AppKey("metrics", Metrics)

MOST_SHARED = 500
"""The most listings or users that one statement looks up."""
MOST_CAUGHT_UP = 50
"""The most joins that share one statement for the messages that their clients lack: it may find this many times
`CATCH_UP_LIMIT` messages."""

_TRACED = (hdrs.METH_GET, hdrs.METH_POST)


def add_socket(app: web.Application, endpoint: Endpoint, admit: Admit) -> None:
    """Serve the channel layer at `/socket`. The endpoint must run at least as long as the application."""
    websockets = app[WEBSOCKETS] = WebSockets(endpoint, admit)
    for path in PATHS:
        app.router.add_route("*", path, websockets.handle)
    app.on_shutdown.append(websockets.end)
    longpoll = LongPollTransport(endpoint, admit)
    traces = tracing.active()
    handle = (
        longpoll.handle
        if traces is None
        else _traced(longpoll.handle, traces.middleware(str, endpoint.settings.trusted_proxies))
    )
    for path in ("/socket/longpoll", "/socket/longpoll/"):
        app.router.add_route("*", path, handle)
    app.cleanup_ctx.append(longpoll.lifetime)


async def create_app(settings: Settings, node_id: str | None = None) -> web.Application:
    """Returns the gateway's application. It starts without Postgres and Redis, and is ready when both answer."""
    database = Database(settings)
    chats, alerts = Chats.of(database, settings), AlertRepository(database)
    budgets = {name: UserBuckets(*event.budget(settings)) for name, event in EVENTS.items()}
    tokens = Tokens(settings.jwt_secrets, settings.access_token_seconds)
    admission = Admission.of(settings, tokens, UserRepository(database))
    limit, overlap_seconds = CATCH_UP_LIMIT, settings.catch_up_overlap_seconds
    reports = SystemReports(NodeRepository(database))
    context = Context(
        settings=settings,
        admission=admission,
        chats=chats,
        budgets=budgets if settings.rate_limits else None,
        join_budget=UserBuckets(settings.joins_per_second, settings.join_burst) if settings.rate_limits else None,
        audiences=SharedReads(ListingAccess(database).audiences, most=MOST_SHARED),
        blocked=SharedReads(chats.blocks.blocked, most=MOST_SHARED),
        catch_ups=SharedReads(
            partial(chats.messages.catch_ups, limit=limit, overlap_seconds=overlap_seconds), most=MOST_CAUGHT_UP
        ),
        alert_catch_ups=SharedReads(
            partial(alerts.catch_ups, limit=limit, overlap_seconds=overlap_seconds), most=MOST_CAUGHT_UP
        ),
        system=reports,
    )
    node_id = node_id or new_node_id()
    store = RedisStore.of(settings)
    endpoint = Endpoint(
        settings,
        ROUTES,
        broker_for(settings, node_id),
        context=context,
        node_id=node_id,
        presence_store=store,
        may_join=None if context.join_budget is None else context.join_budget.take,
    )

    store.on_forged = endpoint.counts.forged.inc
    catch_up = CatchUp(endpoint, MissedMessages(chats.messages), MissedDeletions(chats.messages), MissedAlerts(alerts))
    revalidation = Revalidation(endpoint, admission)
    read_again_after_gaps(endpoint)
    reports.serve(endpoint)

    lost_nodes = LostNodes(
        endpoint.gap,
        every_seconds=settings.away_catch_up_seconds,
        # The time until a node notices that its link is silent, and the time until it has reported that.
        silence_seconds=2 * settings.redis_timeout_seconds + settings.node_lease_seconds,
        statement_seconds=2 * settings.database_timeout_seconds,
    )
    membership = Membership(
        settings,
        node_id,
        endpoint.broker,
        published=lambda: endpoint.counts.broadcasts,
        on_others=lost_nodes.observe,
    )

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await endpoint.start()
        async with membership:
            yield
            await catch_up.stop()
            await revalidation.stop()
            await reports.stop()
            await chats.writer.close()
            await endpoint.stop()
        await store.close()
        await database.close()

    app = web.Application()
    app.on_response_prepare.append(_name_no_versions)
    app[ENDPOINT] = endpoint
    app.cleanup_ctx.append(lifetime)
    add_socket(app, endpoint, admission.admit)
    health = app[HEALTH] = Health(database, endpoint.broker, lambda: endpoint.is_draining)
    metrics = app[METRICS] = gateway_metrics(endpoint, database, chats.writer, catch_up)
    app.router.add_get("/metrics", metrics.handle)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/health/accepting", _accepting(endpoint))
    app.router.add_get("/", _to_the_page(settings))
    return app


def _traced(handle: Handler, traced: Middleware) -> Handler:
    """Returns a handler that makes spans of polls and POSTs."""

    async def handled(request: web.Request) -> web.StreamResponse:
        return await (traced(request, handle) if request.method in _TRACED else handle(request))

    return handled


async def _name_no_versions(_: web.Request, response: web.StreamResponse) -> None:
    """Remove aiohttp's Server header, which names the versions of aiohttp and Python."""
    response.headers[hdrs.SERVER] = "daveslist"


def _accepting(endpoint: Endpoint) -> web.Handler:  # type: ignore[name-defined]
    """Answers 204 if new connections are accepted, else 503. Load balancers ask often, so it asks no database."""

    async def accepting(_: web.Request) -> web.Response:
        return web.Response(status=503 if endpoint.is_draining else 204)

    return accepting


def _to_the_page(settings: Settings) -> web.Handler:  # type: ignore[name-defined]
    """Redirect browsers to the page, which the API serves."""

    async def redirect(request: web.Request) -> web.StreamResponse:
        host = request.url.host or settings.api_host
        raise web.HTTPFound(f"{request.scheme}://{host}:{settings.api_port}/")

    return redirect
