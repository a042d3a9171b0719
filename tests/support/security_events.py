"""Reads what an operator sees of security events."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.security_events import SecurityEvents

_IDS = ("request_id", "connection_id")


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    """The lines about security events: the event and its fields, without the id of the request or connection."""
    lines = [one for one in caplog.records if one.name == "shared.security_events"]
    return [
        (one.getMessage(), {name: value for name, value in vars(one)["fields"].items() if name not in _IDS})
        for one in lines
    ]


def told(security_events: SecurityEvents) -> dict[str, float]:
    """The counters that are not zero."""
    registry = CollectorRegistry()
    registry.register(security_events)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {sample.labels["event"]: sample.value for sample in samples if sample.value}
