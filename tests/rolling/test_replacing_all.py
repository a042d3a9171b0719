"""All processes behind nginx are replaced in turn while people chat and read: nobody loses or repeats anything."""

from __future__ import annotations

from tests.deployment.conftest import Deployment, own_deployment
from tests.rolling.replacing import replace_all

__all__ = ["own_deployment"]


async def test_all_processes_are_replaced_and_nobody_misses_anything(own_deployment: Deployment) -> None:
    noticed = await replace_all(own_deployment, users=60, rate=150, sends=200)
    # Each message is stored once, and each of the two people has it once.
    reckoning = noticed.reckoning
    assert reckoning.sent == reckoning.acknowledged == reckoning.stored
    assert reckoning.received == 2 * reckoning.stored
    assert noticed.errors == 0
    assert set(noticed.statuses) == {200}
    assert noticed.statuses.total() >= 100
    assert noticed.longest_away <= noticed.allowed_away
