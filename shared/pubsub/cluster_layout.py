"""Which server of a Redis Cluster is the master of which hash slots. Pure: reads the answer to CLUSTER SHARDS."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from redis.crc import key_slot

Address = tuple[str, int]


class ClusterLayout:
    """Of a cluster whose shards are given, or of none."""

    def __init__(self, shards: Iterable[Any] = (), asked_host: str = "") -> None:
        """`asked_host` is where the answer is from: a server that does not know its own address says nothing of it."""
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
        """Those that have slots."""

    def master_of(self, key: bytes) -> Address | None:
        """None where nobody is known to have the key's slot."""
        slot = key_slot(key)
        position = bisect_right(self._starts, slot) - 1
        if position < 0:
            return None
        _, end, address = self._ranges[position]
        return address if slot <= end else None


def _mapping(answer: Any) -> dict[str, Any]:
    """A map as RESP3 gives it, or as RESP2's flat list."""
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return {_text(key): value for key, value in pairs}


def _address(node: dict[str, Any], asked_host: str) -> Address:
    host = _text(node.get("endpoint") or node.get("ip") or "")
    return (asked_host if host in ("", "?") else host, int(node.get("port") or node["tls-port"]))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
