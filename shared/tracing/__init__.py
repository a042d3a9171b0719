"""Traces of what the processes do, for a receiver of the OpenTelemetry protocol. Off unless its usual variables say so.

A process asks for its Tracing once, when it puts its parts together: without traces they are put together as if there
were no such thing. Only spans.py imports the packages of OpenTelemetry, which need not be installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from shared.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from shared.tracing.spans import Tracing

TRACEPARENT = "traceparent"
"""The header with the client's place in a trace (W3C Trace Context)."""

_INSTALL = "pip install --no-deps --require-hashes -r requirements/tracing.lock"

_active: Tracing | None = None


def active() -> Tracing | None:
    """Returns the traces of this process; None if it makes none."""
    return _active


def is_wanted(settings: Settings) -> bool:
    """Returns whether the settings ask for traces. Raises InvalidSettings if they ask for what there is not."""
    if settings.otel_sdk_disabled.lower() == "true":
        return False
    exporters = {name.strip() for name in settings.otel_traces_exporter.split(",")} - {""}
    if exporters - {"otlp", "none"}:
        raise InvalidSettings(f"OTEL_TRACES_EXPORTER: must be otlp or none, not {settings.otel_traces_exporter!r}")
    if not exporters:
        return bool(settings.otel_exporter_otlp_endpoint or settings.otel_exporter_otlp_traces_endpoint)
    return "none" not in exporters


def check(settings: Settings) -> None:
    """Raises InvalidSettings if the settings ask for traces that cannot be made."""
    if not is_wanted(settings):
        return
    if settings.otel_exporter_otlp_protocol not in ("", "http/protobuf"):
        raise InvalidSettings("OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf")
    if not all(find_spec(name) for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")):
        raise InvalidSettings(f"OTEL_EXPORTER_OTLP_ENDPOINT: traces need more packages: {_INSTALL}")


def start(settings: Settings, service: str, node_id: str) -> None:
    """Begin to make traces, if the settings ask for them. `service` names the kind of process."""
    global _active
    if is_wanted(settings):
        from shared.tracing.spans import Tracing

        _active = Tracing.exported(settings.otel_service_name or f"daveslist-{service}", node_id)


def stop() -> None:
    """Send the spans that wait, for a short time, and make no more."""
    global _active
    if _active is not None:
        _active.close()
        _active = None
