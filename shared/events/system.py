"""Events on `system`, the topic of admins: what runs, and what the gateways have to do. Pure.

Gateways report only while an admin has joined the topic: somebody's gateway asks all of them (`control.REPORT`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.domain.nodes import Node

NODES = "nodes"
"""All processes, as Postgres knows them. Payload: that of `nodes_payload`. Each gateway tells its own members."""
GATEWAY = "gateway"
"""What a gateway has to do now. Payload: that of gateway/runtime/report.py (`of_node`)."""
DEVICES = "devices"
"""The connections of one user on one gateway. Payload: that of gateway/runtime/report.py (`of_user`)."""


def nodes_payload(nodes: Sequence[Node]) -> dict[str, Any]:
    """Returns the payload of NODES: `version` is null for a process of before there were versions."""
    return {
        "nodes": [
            {
                "id": one.id,
                "kind": one.kind,
                "version": one.version,
                "started_at": one.started_at,
                "alive": one.is_alive,
                "heard": one.is_heard,
            }
            for one in nodes
        ]
    }
