"""Asks Redis which topics somebody is subscribed to, on any node.

The broker subscribes a node to a topic from the first join of a client until the last one has left. So a topic to which
no node is subscribed has no member that a broadcast could reach. While a node's link to Redis is away, its topics seem
to have no members: the caller must make sure that all links are up (api/absence.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from redis.exceptions import RedisClusterException, RedisError

from shared.pubsub.cluster_layout import ClusterLayout
from shared.redis import Address, ClusterServers, client, is_cluster
from shared.settings import Settings


class AudienceUnknown(Exception):
    """Redis, or one master of a cluster, could not be asked. The message says why."""


class Audience(Protocol):
    async def heard(self, topics: Sequence[str]) -> set[str]:
        """Returns those of the topics to which at least one node is subscribed. Raises AudienceUnknown."""

    async def close(self) -> None:
        """Close the connections. Does not raise."""


def audience_for(settings: Settings) -> Audience:
    """Returns the audience of the server or cluster in the settings. It connects on first use."""
    if not settings.redis_url:
        return _OfNothing()
    return _OfCluster(settings) if is_cluster(settings.redis_url) else _OfServer(settings)


class _OfNothing:
    """Without a Redis, a process knows its own clients only."""

    async def heard(self, topics: Sequence[str]) -> set[str]:
        raise AudienceUnknown("there is no Redis")

    async def close(self) -> None:
        """There is nothing to close."""


class _OfServer:
    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.redis_prefix
        self._client: Any = client(settings.redis_url, settings.redis_timeout_seconds)

    async def heard(self, topics: Sequence[str]) -> set[str]:
        try:
            answer = await self._client.execute_command("PUBSUB", "NUMSUB", *_channels(self._prefix, topics))
        except (RedisError, OSError, TimeoutError) as error:
            raise AudienceUnknown(f"{type(error).__name__}: {error}") from error
        return _heard(self._prefix, topics, [answer])

    async def close(self) -> None:
        with suppress(RedisError, OSError, TimeoutError):
            await self._client.aclose()


class _OfCluster:
    """Each master is asked for all topics: a master does not refuse the topics of other masters' slots, and a slot may
    be moving. Nothing is known as long as a slot has no master."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.redis_prefix
        self._timeout = settings.redis_timeout_seconds
        self._servers = ClusterServers(settings.redis_url)
        self._known: list[Address] = [self._servers.named]
        """Servers to ask for the masters, in this order; the first answer counts."""

    async def heard(self, topics: Sequence[str]) -> set[str]:
        try:
            layout = await self._layout()
            command = ("PUBSUB", "SHARDNUMSUB", *_channels(self._prefix, topics))
            # Wait for all of them, so that no connection is left open when one cannot be asked.
            asked = [self._ask(master, *command) for master in layout.masters]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            raise AudienceUnknown(f"{type(error).__name__}: {error}") from error
        return _heard(self._prefix, topics, answers)

    async def close(self) -> None:
        """There are no connections between two questions."""

    async def _layout(self) -> ClusterLayout:
        error: Exception = AudienceUnknown("no server of the cluster is known")
        for address in list(self._known):
            try:
                layout = ClusterLayout(await self._ask(address, "CLUSTER SHARDS"), address[0])
            except (RedisError, OSError, TimeoutError) as reason:
                error = reason
                continue
            if not layout.is_complete:
                raise AudienceUnknown("a slot of the cluster has no master")
            self._known = list(dict.fromkeys([address, *layout.servers, *self._known]))
            return layout
        raise error

    async def _ask(self, address: Address, *command: str) -> Any:
        async with self._servers.client(address, self._timeout) as asked:
            return await asked.execute_command(*command)  # type: ignore[no-untyped-call]


def _channels(prefix: str, topics: Sequence[str]) -> list[str]:
    return [prefix + topic for topic in topics]


def _heard(prefix: str, topics: Sequence[str], answers: Sequence[Any]) -> set[str]:
    """Returns the topics that have a count in any answer: names and counts in turns, as redis-py leaves them, or pairs
    of them."""
    counted: dict[str, int] = dict.fromkeys(topics, 0)
    for answer in answers:
        for name, count in _pairs(answer):
            topic = (name.decode() if isinstance(name, bytes) else name).removeprefix(prefix)
            counted[topic] += int(count)
    return {topic for topic, count in counted.items() if count}


def _pairs(answer: Any) -> list[tuple[Any, Any]]:
    if isinstance(answer, dict):
        return list(answer.items())
    if answer and isinstance(answer[0], (list, tuple)):
        return [(name, count) for name, count in answer]
    return list(zip(answer[::2], answer[1::2], strict=True))
