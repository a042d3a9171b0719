"""Plays every session that was recorded from a real Phoenix server, against one node and against two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.__main__ import DEFAULT_SECRET
from tests.protocol.recordings.player import Player
from tests.support.processes import Processes

RECORDINGS = Path(__file__).parent / "recordings"
COUNTS = {"sessions.json": 136, "generated.json": 55}


def recorded(name: str) -> list[dict[str, Any]]:
    scenarios: list[dict[str, Any]] = json.loads((RECORDINGS / name).read_text(encoding="utf-8"))
    assert len(scenarios) == COUNTS[name]
    return scenarios


@pytest.mark.parametrize("name", COUNTS)
async def test_one_node_answers_as_recorded(name: str, processes: Processes) -> None:
    node = await processes.lab()
    differences = await Player([node.url], DEFAULT_SECRET).differences(recorded(name))
    assert not differences, "\n".join(differences)
    assert node.is_running


@pytest.mark.parametrize("name", COUNTS)
async def test_two_nodes_answer_as_recorded(name: str, processes: Processes) -> None:
    redis = processes.settings.redis_url
    nodes = [await processes.lab("--redis-url", redis), await processes.lab("--redis-url", redis)]
    differences = await Player([node.url for node in nodes], DEFAULT_SECRET).differences(recorded(name))
    assert not differences, "\n".join(differences)
    assert all(node.is_running for node in nodes)


async def test_the_player_reports_different_missing_and_unexpected_frames(processes: Processes) -> None:
    connect = {"conn": "a", "connect": {"user": 1, "vsn": "2.0.0"}, "then": [{"conn": "a", "open": None}]}
    push = {"conn": "a", "text": '[null,"1","phoenix","heartbeat",{}]'}
    answer = {"conn": "a", "text": [None, "1", "phoenix", "phx_reply", {"response": {}, "status": "ok"}]}
    other = {"conn": "a", "text": [None, 1, "phoenix", "phx_reply", {"response": {}, "status": "ok"}]}
    expectations = {"same": [answer], "differs": [other], "missing": [answer, answer], "too many": []}
    scenarios = [{"name": name, "steps": [connect, {**push, "then": then}]} for name, then in expectations.items()]
    node = await processes.lab()
    differences = await Player([node.url], DEFAULT_SECRET, frame_seconds=0.3).differences(scenarios)
    assert [text.partition(",")[0] for text in differences] == ["differs", "missing", "too many"]
