"""Says which server of a Redis Cluster is the master of which hash slot, from the answer to CLUSTER SHARDS. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from shared.redis import Address


class ClusterLayout:
    """The servers and slots of one cluster, without servers that the cluster considers down."""

    def __init__(self, shards: Iterable[Any] = (), asked_host: str = "") -> None:
        """`shards` is the answer to CLUSTER SHARDS; without it the layout is empty.

        `asked_host` is the host that answered: a server that does not know its own address leaves it out.
        """
        ranges: list[tuple[int, int, Address]] = []
        self.servers: list[Address] = []
        for shard in map(_mapping, shards):
            slots = [int(slot) for slot in shard["slots"]]
            for node in map(_mapping, shard["nodes"]):
                address = _address(node, asked_host)
                if _text(node["health"]) != "online":
                    continue
                self.servers.append(address)
                if _text(node["role"]) == "master":
                    ranges += [(start, end, address) for start, end in zip(slots[::2], slots[1::2], strict=True)]
        ranges.sort()
        self._starts = [start for start, _, _ in ranges]
        self._ranges = ranges
        self.masters = {address for _, _, address in ranges}
        """The servers that have slots."""
        self.is_complete = self._unassigned() == 0
        """True if every slot has a master."""

    def _unassigned(self) -> int:
        """Returns how many slots have no master."""
        missing, expected = 0, 0
        for start, end, _ in [*self._ranges, (REDIS_CLUSTER_HASH_SLOTS, REDIS_CLUSTER_HASH_SLOTS, None)]:
            missing += max(0, start - expected)
            expected = max(expected, end + 1)
        return missing

    def master_of(self, key: bytes) -> Address | None:
        """Returns the master of the key's hash slot; None if the slot has no master."""
        slot = key_slot(key)
        position = bisect_right(self._starts, slot) - 1
        if position < 0:
            return None
        _, end, address = self._ranges[position]
        return address if slot <= end else None


def _mapping(answer: Any) -> dict[str, Any]:
    """Returns a map, which RESP3 sends as a map and RESP2 as a flat list of keys and values."""
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return {_text(key): value for key, value in pairs}


def _address(node: dict[str, Any], asked_host: str) -> Address:
    host = _text(node.get("endpoint") or node.get("ip") or "")
    return (asked_host if host in ("", "?") else host, int(node.get("port") or node["tls-port"]))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
