"""The fixture `start`: starts nodes, and stops them after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from gateway.channel import Channel
from gateway.runtime.endpoint import Endpoint
from shared.pubsub.memory import MemoryHub
from shared.settings import Settings
from tests.gateway.nodes import start_node


class Start(Protocol):
    async def __call__(
        self, channel: type[Channel], *, hub: MemoryHub | None = None, settings: Settings | None = None
    ) -> Endpoint:
        """Start a node that serves the topics `room:*` with this channel."""


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    nodes: list[Endpoint] = []

    async def start_one(
        channel: type[Channel], *, hub: MemoryHub | None = None, settings: Settings | None = None
    ) -> Endpoint:
        nodes.append(await start_node({"room:*": channel}, hub, settings))
        return nodes[-1]

    yield start_one
    for node in nodes:
        await node.stop()
