"""Publish and subscribe between nodes: broker.py states the promises, the other modules keep them."""

from __future__ import annotations

from shared.pubsub.broker import Broker
from shared.pubsub.redis import RedisBroker
from shared.pubsub.redis_cluster import RedisClusterBroker
from shared.settings import Settings


def broker_for(settings: Settings, node_id: str) -> Broker:
    """By the URL: one Redis server, or a cluster (`redis+cluster://`)."""
    if "+cluster://" in settings.redis_url:
        return RedisClusterBroker(settings, node_id)
    return RedisBroker(settings, node_id)
