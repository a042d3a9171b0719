"""Makes the spans of a process, and hands them to a thread that exports them (OTLP over HTTP).

Names and attributes have words of the program only: routes, names of statements, channels and events. No text, token,
address or id of a person is in them. A span begins only inside another one, except those of requests, joins and pushes.
What outlives its span, such as a loop in the background that a push has started, makes no spans any more.

Contexts follow W3C Trace Context: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.access.addresses import Networks
from shared.timings import OTHER
from shared.tracing import TRACEPARENT, traceparent_of

Context = contexts.Context

_CLOSE_SECONDS = 2.0
"""How long the end of a process waits for the receiver of its spans."""
_W3C = TraceContextTextMapPropagator()


class Tracing:
    """The traces of one process."""

    def __init__(self, exporter: SpanExporter, service: str, node_id: str) -> None:
        """`service` is the process's name in all spans."""
        resource = Resource.create({"service.name": service, "service.instance.id": node_id})
        # Without this, the package would flush once more when Python ends, for as long as a dead receiver takes.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("daveslist")

    @classmethod
    def exported(cls, service: str, node_id: str) -> Tracing:
        """Returns traces that go to the receiver that the environment names (OTEL_EXPORTER_OTLP_ENDPOINT and so on)."""
        return cls(OTLPSpanExporter(), service, node_id)

    def close(self) -> None:
        """Send the spans that wait, for at most some seconds."""
        # The package's own end waits for a receiver that is away for as long as 30 s.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    # Where traces begin: requests, joins and pushes

    def middleware(self, method_label: Callable[[str], str], trusted: Networks) -> Middleware:
        """Returns the middleware that makes a span of each request, below the one that a trusted proxy names in
        `traceparent`."""

        @web.middleware
        async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            route = "unmatched" if resource is None else resource.canonical
            method = method_label(request.method)
            parent = _of(traceparent_of(request.remote, request.headers, trusted))
            with self._current(f"{method} {route}", SpanKind.SERVER, parent) as span:
                span.set_attributes({"http.request.method": method, "http.route": route})
                response = await handler(request)
                span.set_attribute("http.response.status_code", response.status)
                if request_id := response.headers.get("X-Request-Id"):
                    span.set_attribute("daveslist.request_id", request_id)
                if response.status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                return response

        return traced

    def alone(self, step: Callable[[Coroutine[Any, Any, Any]], Any]) -> Callable[[Coroutine[Any, Any, Any]], Any]:
        """Returns a step of coroutines that changes nothing for its caller: a coroutine that runs inside its caller
        would set the caller's current span."""
        return lambda coroutine: copy_context().run(step, coroutine)

    async def push(
        self, channel: str, event: str, handling: Awaitable[Any], unknown: type[Exception], traceparent: str = ""
    ) -> Any:
        """Returns what the handler of a push or a join returns. After `unknown`, the span does not name the event.

        The span is below `traceparent`, the place of the client's socket or POST, and is sampled if that is. The
        current span is of no use: if the push has waited for a busy channel, it is that of an earlier push.
        It must run in a context of its own (`alone`), which nobody uses after it.
        """
        with self._last(f"{channel} push", _of(traceparent)) as span:
            try:
                result = await handling
            except unknown:
                event = OTHER
                raise
            finally:
                span.update_name(f"{channel} {event}")
                span.set_attributes({"daveslist.channel": channel, "daveslist.event": event})
            status = getattr(result, "status", None)
            if status in ("ok", "error"):
                span.set_attribute("daveslist.status", status)
            return result

    async def handshake(self, route: str, traceparent: str, deciding: Awaitable[Any]) -> Any:
        """Returns what is decided about a request for a WebSocket. It must run as `push` does."""
        with self._last(f"GET {route}", _of(traceparent)) as span:
            span.set_attributes({"http.request.method": "GET", "http.route": route})
            return await deciding

    # What happens in them

    @contextmanager
    def statement(self, name: str) -> Iterator[None]:
        """The span of a statement, below the current one. `name` is that of the statement, not its SQL."""
        parent = _parent()
        if parent is None:
            yield
            return
        with self._span(f"postgres {name}", SpanKind.CLIENT, parent) as span:
            span.set_attributes({"db.system.name": "postgresql", "db.query.summary": name})
            yield

    def publish(self, kind: str, event: str) -> str:
        """Make the span of a broadcast, below the current one. Returns its `traceparent`; "" without a current span.

        `kind` is that of the topics, `private_chat` for example.
        """
        parent = _parent()
        if parent is None:
            return ""
        with self._span(f"publish {event}", SpanKind.PRODUCER, parent) as span:
            span.set_attributes(_message(kind))
            return _header(trace.set_span_in_context(span))

    @contextmanager
    def delivery(self, traceparent: str, kind: str, event: str, members: int) -> Iterator[None]:
        """The span of another node's broadcast that is given to its members here."""
        with self._span(f"deliver {event}", SpanKind.CONSUMER, _of(traceparent)) as span:
            span.set_attributes({**_message(kind), "daveslist.members": members})
            yield

    @staticmethod
    def readable(traceparent: str) -> str:
        """Returns what a client's header says of its place in a trace; "" if it is not valid."""
        return _header(_of(traceparent))

    # Calls between nodes

    @staticmethod
    def traceparent() -> str:
        """Returns the current place in a trace, sampled or not, for another node; "" outside of traces."""
        span = trace.get_current_span()
        has_ended = isinstance(span, ReadableSpan) and not span.is_recording()
        return "" if has_ended else _header(contexts.get_current())

    async def called(self, traceparent: str, method: str, work: Awaitable[Any]) -> Any:
        """Returns what the work returns that another node has asked for. It must run as `push` does."""
        with self._last(f"call {method}", _of(traceparent)):
            return await work

    # Work for several traces at once

    @staticmethod
    def here() -> Context | None:
        """Returns the current place in a trace, for `batch`; None outside of traces."""
        return _parent()

    @contextmanager
    def batch(self, name: str, places: Collection[Context]) -> Iterator[None]:
        """The spans of work that is done for several traces together: each has one, and the first has what is below it.

        The others have a link to the first.
        """
        if not places:
            yield
            return
        first, *others = places
        with self._current(name, SpanKind.INTERNAL, first) as span:
            span.set_attribute("daveslist.batch", len(places))
            links = [Link(span.get_span_context())]
            beside = [self._tracer.start_span(name, context=place, links=links) for place in others]
            try:
                yield
            finally:
                for other in beside:
                    other.end()

    @contextmanager
    def _span(self, name: str, kind: SpanKind, parent: Context) -> Iterator[Span]:
        """A span that is not the current one. A coroutine that has to wait may go on in another context than it began
        in (gateway/runtime/stepping.py), where nothing can be restored."""
        span = self._tracer.start_span(name, kind=kind, context=parent)
        try:
            yield span
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end()

    @contextmanager
    def _last(self, name: str, parent: Context) -> Iterator[Span]:
        """A span that stays the current one, in a context that nobody uses after it."""
        with self._span(name, SpanKind.SERVER, parent) as span:
            contexts.attach(trace.set_span_in_context(span))
            yield span

    @contextmanager
    def _current(self, name: str, kind: SpanKind, parent: Context) -> Iterator[Span]:
        """A span that is the current one. It must end in the task in which it began."""
        with self._span(name, kind, parent) as span:
            token = contexts.attach(trace.set_span_in_context(span))
            try:
                yield span
            finally:
                contexts.detach(token)


def _parent() -> Context | None:
    """Returns the current context if there is a span in it that is sampled and has not ended."""
    return contexts.get_current() if trace.get_current_span().is_recording() else None


def _header(context: Context) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return carrier.get(TRACEPARENT, "")


def _of(traceparent: str) -> Context:
    """Returns the context that a header names, an empty one if it is not valid."""
    return _W3C.extract({TRACEPARENT: traceparent}, Context())


def _failed(span: Span, error: BaseException) -> None:
    # The text of an error may quote what somebody wrote.
    if not isinstance(error, asyncio.CancelledError):
        span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", type(error).__name__)


def _message(kind: str) -> dict[str, str]:
    return {"messaging.system": "redis", "messaging.destination.template": kind}
