"""Tests how masters and their slots are read from the answer to CLUSTER SHARDS."""

from __future__ import annotations

from typing import Any

import pytest
from redis.crc import key_slot

from shared.pubsub.cluster_layout import ClusterLayout

LAST = 16383


def node(port: int, role: str = "master", health: str = "online", **fields: Any) -> dict[str, Any]:
    return {"ip": "10.0.0.1", "endpoint": "10.0.0.1", "port": port, "role": role, "health": health, **fields}


def shard(slots: list[int], *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"slots": slots, "nodes": list(nodes)}


def as_resp2(answer: Any) -> Any:
    """The answer in the form that a RESP2 client gets: lists of bytes."""
    match answer:
        case dict():
            return [as_resp2(part) for pair in answer.items() for part in pair]
        case list():
            return [as_resp2(part) for part in answer]
        case str():
            return answer.encode()
    return answer


THREE = [
    shard([0, 5460], node(7000), node(7003, "replica")),
    shard([5461, 10922], node(7001), node(7004, "replica")),
    shard([10923, LAST], node(7002), node(7005, "replica")),
]


@pytest.mark.parametrize("shards", [THREE, as_resp2(THREE)], ids=["RESP3", "RESP2"])
def test_every_key_has_the_master_of_its_slot(shards: Any) -> None:
    layout = ClusterLayout(shards)
    assert layout.is_complete
    assert layout.masters == {("10.0.0.1", port) for port in (7000, 7001, 7002)}
    assert layout.servers == [("10.0.0.1", port) for port in (7000, 7003, 7001, 7004, 7002, 7005)]
    for number in range(200):
        key = b"room%d" % number
        expected = 7000 + (key_slot(key) > 5460) + (key_slot(key) > 10922)
        assert layout.master_of(key) == ("10.0.0.1", expected)


def test_slots_of_a_failed_master_have_no_master_until_a_replica_is_promoted() -> None:
    lost = shard([0, 5460], node(7000, health="fail"), node(7003, "replica"))
    layout = ClusterLayout([lost, *THREE[1:]])
    assert not layout.is_complete
    assert ("10.0.0.1", 7000) not in layout.servers
    keys = [b"room%d" % number for number in range(200)]
    assert {key for key in keys if layout.master_of(key) is None} == {key for key in keys if key_slot(key) <= 5460}
    promoted = shard([0, 5460], node(7003), node(7000, health="fail"))
    layout = ClusterLayout([promoted, *THREE[1:]])
    assert layout.is_complete
    assert {layout.master_of(key) for key in keys if key_slot(key) <= 5460} == {("10.0.0.1", 7003)}


@pytest.mark.parametrize(
    "slots",
    [[[1, LAST]], [[0, LAST - 1]], [[0, 99], [101, LAST]], [[0, 99, 101, LAST]], [[]], []],
    ids=["first", "last", "between shards", "within a shard", "empty shard", "no shard"],
)
def test_a_layout_with_one_uncovered_slot_is_incomplete(slots: list[list[int]]) -> None:
    shards = [shard(ranges, node(7000 + number)) for number, ranges in enumerate(slots)]
    assert not ClusterLayout(shards).is_complete


def test_a_master_may_have_many_ranges_in_any_order() -> None:
    layout = ClusterLayout([shard([100, LAST, 0, 9], node(7000)), shard([10, 99], node(7001))])
    assert layout.is_complete
    for number in range(2000):
        key = b"%d" % number
        assert layout.master_of(key) == ("10.0.0.1", 7001 if 10 <= key_slot(key) <= 99 else 7000)


def test_a_master_without_slots_is_a_server_but_not_a_master() -> None:
    layout = ClusterLayout([shard([0, LAST], node(7000)), shard([], node(7001))])
    assert layout.masters == {("10.0.0.1", 7000)}
    assert ("10.0.0.1", 7001) in layout.servers


@pytest.mark.parametrize("unknown", ["", "?", None])
def test_a_server_without_an_address_gets_the_host_that_was_asked(unknown: str | None) -> None:
    layout = ClusterLayout([shard([0, LAST], node(7000, endpoint=unknown, ip=""))], "redis.example")
    assert layout.masters == {("redis.example", 7000)}


def test_the_announced_host_name_and_the_tls_port_are_used() -> None:
    secure = node(7000, endpoint="redis-1.example")
    del secure["port"]
    layout = ClusterLayout([shard([0, LAST], {**secure, "tls-port": 7443})])
    assert layout.masters == {("redis-1.example", 7443)}


def test_an_empty_layout_has_no_masters() -> None:
    layout = ClusterLayout()
    assert not layout.is_complete
    assert layout.master_of(b"room") is None
