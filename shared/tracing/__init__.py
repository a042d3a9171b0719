"""Traces of what the processes do, for a receiver of the OpenTelemetry protocol. Off unless its usual variables say so.

A process asks for its Tracing once, when it puts its parts together: without traces they are put together as if there
were no such thing. Only spans.py imports the packages of OpenTelemetry, which need not be installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from shared.access.addresses import Networks, is_trusted
from shared.settings import InvalidSettings, Settings
from shared.tracing.variables import check_variables, service_name, tidy

if TYPE_CHECKING:
    from shared.tracing.spans import Tracing

TRACEPARENT = "traceparent"
"""The header with the place of whoever asks in a trace (W3C Trace Context)."""

_INSTALL = "python -m pip install --no-deps --require-hashes --only-binary :all: -r requirements/tracing.lock"

_active: Tracing | None = None


def active() -> Tracing | None:
    """Returns the traces of this process; None if it makes none."""
    return _active


def traceparent_of(peer: str | None, headers: Mapping[str, str], trusted: Networks) -> str:
    """Returns the header `traceparent` of a request, or "" if there is none or the peer is no trusted proxy.

    It decides whether the request is traced, and strangers must not choose that.
    """
    named = headers.get(TRACEPARENT, "")
    return named if named and is_trusted(peer, trusted) else ""


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


def check(settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Raises InvalidSettings if the settings ask for traces that cannot be made."""
    if not is_wanted(settings):
        return
    check_variables(os.environ if environ is None else environ)
    if not all(find_spec(name) for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")):
        raise InvalidSettings(f"OTEL_EXPORTER_OTLP_ENDPOINT: traces need more packages: {_INSTALL}")


def start(settings: Settings, service: str, node_id: str) -> None:
    """Begin to make traces, if the settings ask for them. `service` names the kind of process.

    Raises InvalidSettings.
    """
    global _active
    if is_wanted(settings):
        tidy(os.environ)
        name = settings.otel_service_name or service_name(os.environ) or f"daveslist-{service}"
        try:
            from shared.tracing.spans import Tracing

            _active = Tracing.exported(name, node_id)
        except Exception as error:
            # Its text may quote a secret.
            raise InvalidSettings(f"OTEL_*: OpenTelemetry cannot start: {type(error).__name__}") from None


def stop() -> None:
    """Send the spans that wait, for a short time, and make no more."""
    global _active
    if _active is not None:
        _active.close()
        _active = None
