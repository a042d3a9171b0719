"""A gateway node with the lab's channels, in whatever process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.runtime.endpoint import Endpoint
from shared.pubsub.broker import Broker
from shared.settings import Settings
from tests.lab.channels import routes


class LabContext:
    """What the lab's channels reach beside what all can do."""

    disconnect: Callable[[int], None]
    """Close all connections of a user, on every node."""


def lab_node(settings: Settings, broker: Broker, **more: Any) -> Endpoint:
    """Not started yet; `more` is as for an Endpoint."""
    context = LabContext()
    endpoint = Endpoint(settings, routes, broker, context=context, **more)
    context.disconnect = endpoint.disconnect
    return endpoint
