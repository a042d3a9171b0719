"""People connect in every way while Postgres or Redis is away: no answer of a gateway stops their clients for good."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployment.conftest import running
from tests.end_to_end.faults.conftest import World
from tests.support.client import Rest
from tests.support.crowd import JOINED, Meeting, crowd
from tests.support.patience import MOST_SECONDS, Patience

BACK_SECONDS = 13.0
"""Within this time after the server's return, everybody has joined. phoenix.js waits up to ten seconds after a refused
join; a join that began before the return may be refused as well, a database timeout later. A client that gets a wrong
answer never joins again."""


@pytest.mark.slow
@pytest.mark.parametrize("which", ["postgres", "redis"])
async def test_clients_that_connect_in_an_outage_join_after_it(world: World, tmp_path: Path, which: str) -> None:
    server = world.postgres if which == "postgres" else world.redis
    async with (
        running(replace(world.settings, drain_seconds=0.5), tmp_path) as deployed,
        Rest(deployed.nginx.url) as rest,
        crowd(f"ws://127.0.0.1:{deployed.nginx.port}/socket") as people,
    ):
        meeting = await Meeting.of_all_kinds(rest)
        names = people.connect_all(meeting)
        assert not await people.all_told(names, JOINED, Patience(MOST_SECONDS))
        server.kill()
        latecomers = people.connect_all(meeting, ", late")
        await asyncio.sleep(8)
        await server.start()
        back = Patience(BACK_SECONDS, [os.getpid(), *deployed.process_ids, *people.process_ids])
        missing = await people.all_told(latecomers, JOINED, back)
        for name in latecomers:
            at = people.when(name, JOINED)
            print(f"{name:32} {'never' if at is None else f'{at - back.began_at:5.1f} s'}")
        assert not missing, people.thrown
        assert not people.thrown
        await meeting.write("And now")
        now = Patience(BACK_SECONDS, [os.getpid(), *deployed.process_ids, *people.process_ids])
        assert not await people.all_told(names + latecomers, {"message": "And now"}, now)
