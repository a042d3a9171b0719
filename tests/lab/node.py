"""Makes a gateway node with the lab's channels, for a test's own process or for `python -m tests.lab`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.runtime.endpoint import Endpoint
from shared.pubsub.broker import Broker
from shared.settings import Settings
from tests.lab.channels import routes


class LabContext:
    """The context of the lab's channels."""

    disconnect: Callable[[int], None]
    """Close all connections of a user, on every node."""


def lab_node(settings: Settings, broker: Broker, **more: Any) -> Endpoint:
    """A node that is not started yet. `more` is given to Endpoint."""
    context = LabContext()
    endpoint = Endpoint(settings, routes, broker, context=context, **more)
    context.disconnect = endpoint.disconnect
    return endpoint
