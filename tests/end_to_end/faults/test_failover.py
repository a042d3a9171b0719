"""A standby is promoted while a hundred people chat: nothing that was acknowledged is lost if it is synchronous.

If it is asynchronous, what the primary had not sent is lost, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from development import child
from development.redis import EmbeddedRedis
from shared.settings import Settings
from tests.end_to_end.faults.load import Load
from tests.end_to_end.faults.test_postgres import TRY_AGAIN
from tests.support.database import stored_messages
from tests.support.freezing import freeze, thaw
from tests.support.patience import Patience
from tests.support.ports import free_port
from tests.support.processes import Processes
from tests.support.replication import Replication, ask, replication
from tests.support.scratch import scratch_directory
from tests.support.secret import JWT_SECRET

PEOPLE = 100
TIMEOUT = 1.5


@pytest.fixture
def is_synchronous() -> bool:
    return True


@pytest.fixture
async def pair(fresh_postgres: Path, is_synchronous: bool) -> AsyncIterator[Replication]:
    async with replication(fresh_postgres, is_synchronous=is_synchronous) as servers:
        yield servers


@pytest.fixture
async def processes(pair: Replication, tmp_path: Path) -> AsyncIterator[Processes]:
    with scratch_directory() as directory:
        redis = EmbeddedRedis(directory / "redis", port=free_port())
        settings = Settings(
            database_url=pair.url(),
            jwt_secrets=(JWT_SECRET,),
            data_directory=tmp_path / "data",
            rate_limits=False,
            database_timeout_seconds=TIMEOUT,
            node_lease_seconds=2.0,
            drain_seconds=0.5,
            shutdown_seconds=10.0,
            redis_url=await redis.start(),
        )
        running = Processes(settings, tmp_path)
        try:
            yield running
        finally:
            await running.stop()
            await redis.stop()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_nothing_acknowledged_is_lost_when_a_standby_is_promoted(
    pair: Replication, processes: Processes, how: str
) -> None:
    api, *nodes = await asyncio.gather(processes.api(), processes.gateway(), processes.gateway())
    async with Load(processes.settings, [node.socket_url for node in nodes], users=PEOPLE, rate=100) as load:
        await load.more_acknowledged(200)
        # An answer takes a timeout for the connection and for each of two queries at most.
        patience = Patience(3 * TIMEOUT + 1.0, {os.getpid(), api.pid, *(node.pid for node in nodes)})
        if how == "killed":
            pair.primary.kill()
        else:
            freeze(pair.primary.pid)
        try:
            await load.until_failing(20)
            await pair.promote()
            await load.more_acknowledged(200)
            assert all(user.connects == 1 and set(user.errors) <= TRY_AGAIN for user in load.users), load.state()
            longest, allowed = load.longest_answer, patience.allowed

            # Leases go on in the new primary: the death of a gateway is noticed, and its people are caught up.
            load.addresses.pop()
            nodes[1].kill()
            await load.more_acknowledged(100)
            reckoning = await load.reckon(pair.standby.url())
        finally:
            if how == "frozen":
                thaw(pair.primary.pid)
    print(f"{reckoning}, {load.errors} sends tried again, the longest answer took {longest:.2f} s")
    assert reckoning.received == 2 * reckoning.stored
    assert longest < allowed
    assert api.is_running
    alive = "SELECT count(*)::int FROM nodes WHERE alive_until > now()"
    assert await child.happens(lambda: ask(pair.standby, alive) == [(2,)], 30.0)
    # The promotion may leave numbers out, and gives none twice.
    stored = [row[0] for row in stored_messages(pair.standby.url(), [user.id for user in load.users])]
    print(f"{stored[-1] - stored[0] + 1 - len(stored)} ids were left out")
    assert stored == sorted(id_ for user in load.users for id_ in user.acknowledged.values())


@pytest.mark.parametrize("is_synchronous", [False], ids=["asynchronous"])
async def test_an_asynchronous_standby_lacks_only_what_was_not_sent_and_clients_miss_nothing_that_comes_after(
    pair: Replication, processes: Processes
) -> None:
    nodes = await asyncio.gather(processes.gateway(), processes.gateway())
    async with Load(processes.settings, [node.socket_url for node in nodes], users=PEOPLE, rate=100) as load:
        people = [user.id for user in load.users]
        await load.more_acknowledged(200)
        await pair.hold_back()
        kept = {id_ for id_, *_ in stored_messages(pair.standby.url(), people)}
        await load.more_acknowledged(300)
        pair.kill_primary()
        await load.until_failing(20)
        acknowledged = {id_ for user in load.users for id_ in user.acknowledged.values()}
        # Perhaps with messages that were committed and not acknowledged.
        read = {id_ for user in load.users for id_ in user.received}
        await pair.promote()
        await load.more_acknowledged(200)

        # A client whose last message is lost catches up from there.
        load.addresses.pop()
        nodes[1].kill()
        await load.more_acknowledged(100)
        await load.stop_sending()
        await load.until(lambda: not any(user.unanswered for user in load.users))
        stored = {row[0]: row for row in stored_messages(pair.standby.url(), people)}
        sent_after = {id_ for user in load.users for id_ in user.acknowledged.values()} - acknowledged
        lost = acknowledged - stored.keys()
        print(
            f"sent {load.sent}, acknowledged {len(acknowledged)} before and {len(sent_after)} after, lost {len(lost)}"
        )

        # The standby keeps what it had got: nothing before it is lost, and everything after it.
        assert kept <= stored.keys()
        assert lost == {id_ for id_ in acknowledged if id_ > max(kept)}
        assert len(lost) > 250
        # No client has seen a number that is given again, and each gets everything that is stored.
        assert stored.keys() - kept == sent_after
        assert min(sent_after) > max(acknowledged | read)
        for user in load.users:
            theirs = {id_ for id_, *both, _ in stored.values() if user.id in both}
            await load.until(lambda user=user, theirs=theirs: theirs <= user.received.keys())  # type: ignore[misc]
            assert user.received.keys() - theirs <= read - stored.keys(), load.state()
            for id_ in theirs:
                assert user.received[id_]["message"] == stored[id_][3]
