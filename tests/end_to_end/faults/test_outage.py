"""Postgres or Redis is away while people connect, in whatever way: what gateways answer meanwhile ends no client."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployment.conftest import running
from tests.end_to_end.faults.conftest import World
from tests.support.client import Rest
from tests.support.crowd import JOINED, Meeting, crowd

PATIENCE_SECONDS = 40.0
"""phoenix.js waits for up to ten seconds until it joins once more, and on a busy machine that join may be too late as
well. Who is told something wrong never comes back."""


@pytest.mark.slow
@pytest.mark.parametrize("which", ["postgres", "redis"])
async def test_who_connects_without_it_is_served_when_it_is_back(world: World, tmp_path: Path, which: str) -> None:
    server = world.postgres if which == "postgres" else world.redis
    async with (
        running(replace(world.settings, drain_seconds=0.5), tmp_path) as deployed,
        Rest(deployed.nginx.url) as rest,
        crowd(f"ws://127.0.0.1:{deployed.nginx.port}/socket") as those,
    ):
        meeting = await Meeting.of_all_kinds(rest)
        names = those.connect_all(meeting)
        assert not await those.all_told(names, JOINED, PATIENCE_SECONDS)
        server.kill()
        late = those.connect_all(meeting, ", late")
        await asyncio.sleep(8)
        await server.start()
        back_at = time.monotonic()
        out = await those.all_told(late, JOINED, PATIENCE_SECONDS)
        for name in late:
            at = those.when(name, JOINED)
            print(f"{name:32} {'never' if at is None else f'{at - back_at:5.1f} s'}")
        assert not out, those.thrown
        assert not those.thrown
        await meeting.write("And now")
        assert not await those.all_told(names + late, {"message": "And now"}, PATIENCE_SECONDS)
