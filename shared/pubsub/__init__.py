"""Publish and subscribe between nodes. broker.py states the promises; the other modules keep them."""

from __future__ import annotations

from shared.pubsub.broker import Broker
from shared.pubsub.redis import RedisBroker
from shared.pubsub.redis_cluster import RedisClusterBroker
from shared.redis import is_cluster, url_fault
from shared.settings import Settings


def broker_for(settings: Settings, node_id: str) -> Broker:
    """Returns the broker for the server or cluster in `settings.redis_url`. Redis's CLIENT LIST shows `node_id`."""
    return RedisClusterBroker(settings, node_id) if is_cluster(settings.redis_url) else RedisBroker(settings, node_id)


def address_fault(settings: Settings) -> str | None:
    """Returns why the settings name no usable broker, in a line with the variable's name; None if they name one."""
    fault = url_fault(settings.redis_url) if settings.redis_url else None
    return f"REDIS_URL: {fault}" if fault else None
