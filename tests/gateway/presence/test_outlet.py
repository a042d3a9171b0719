"""One client that comes and goes makes few diffs for the viewers, who still end with the right list."""

from __future__ import annotations

from typing import Any

from gateway.channel import Channel, InfoResult, JoinResult, Ok
from shared.settings import Settings
from tests.gateway.nodes import Client, start_node
from tests.support.waiting import until


class Shown(Channel):
    tracks_presence = True

    async def join(self, topic: str, params: Any) -> JoinResult:
        self.send_info("present")
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        self.push("presence_state", self.list_presence())
        self.track(str(self.actor.user_id), {})
        return None


async def test_a_client_that_comes_and_goes_makes_few_diffs_and_leaves_no_ghost() -> None:
    node = await start_node({"room:*": Shown}, settings=Settings(presence_diffs_per_second=5.0, presence_diff_burst=10))
    viewer, restless = Client(node, 1), Client(node, 2)
    viewer.says("j", "r", "room:1", "phx_join")
    await until(lambda: len(viewer.received) == 3)
    for number in range(500):
        restless.says(f"j{number}", "r", "room:1", "phx_join")
        if number == 400:
            # This client gets the restless one in its presence_state.
            late = Client(node, 3)
            late.says("j", "r", "room:1", "phx_join")
        restless.says(f"j{number}", "r", "room:1", "phx_leave")
    restless.says("last", "r", "room:1", "phx_join")
    await until(lambda: len(node.presence.list("room:1")) == 3 and not node.presence._audience._collected)
    present = _refs(node.presence.list("room:1"))
    for client in (viewer, late):
        frames, seen = client.take(), set[str]()
        assert sum(frame.event == "presence_diff" for frame in frames) <= 20
        for frame in frames:
            if frame.event == "presence_state":
                seen = _refs(frame.payload)
            elif frame.event == "presence_diff":
                seen = (seen | _refs(frame.payload["joins"])) - _refs(frame.payload["leaves"])
        assert seen == present
    await node.stop()


def _refs(shown: dict[str, Any]) -> set[str]:
    return {meta["phx_ref"] for one in shown.values() for meta in one["metas"]}
