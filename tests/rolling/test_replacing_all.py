"""All processes behind nginx are replaced in turn while people chat and read: nobody loses or repeats anything."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from shared.postgres.schema import apply_schema
from tests.deployment.conftest import Deployment, own_deployment, production, running
from tests.rolling.release_before import database_of, unpack
from tests.rolling.replacing import Noticed, replace_all
from tests.support.roles import as_owner
from tests.support.servers import Servers

__all__ = ["own_deployment"]


async def test_all_processes_are_replaced_and_nobody_misses_anything(own_deployment: Deployment) -> None:
    missed_nothing(await replace_all(own_deployment, users=60, rate=150, sends=200))


async def test_the_release_before_is_replaced_and_nobody_misses_anything(
    servers: Servers, redis_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    unpack(before)
    with database_of(before, servers) as database_url:
        settings = production(database_url, redis_url, tmp_path / "data")
        owner = replace(settings, database_url=as_owner(database_url))
        async with running(settings, tmp_path, of=before) as deployment:
            old = [*deployment.apis, *deployment.gateways]
            # The new schema comes while the release before is at work.
            schema = partial(apply_schema, owner)
            missed_nothing(await replace_all(deployment, users=60, rate=150, sends=200, first=schema))
            for node in (*old, *deployment.apis, *deployment.gateways):
                assert "Traceback" not in node.output(), node.output()
                assert "forged" not in node.output(), node.output()


def missed_nothing(noticed: Noticed) -> None:
    # Each message is stored once, and each of the two people has it once.
    reckoning = noticed.reckoning
    assert reckoning.sent == reckoning.acknowledged == reckoning.stored
    assert reckoning.received == 2 * reckoning.stored
    assert noticed.errors == 0
    assert set(noticed.statuses) == {200}
    assert noticed.statuses.total() >= 100
    assert noticed.longest_away <= noticed.allowed_away
