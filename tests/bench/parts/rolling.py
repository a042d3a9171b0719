"""All processes behind nginx are replaced in turn while people send 500 messages a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from tests.bench.compiler import CannotBench
from tests.bench.rounds import Effort
from tests.bench.stage import SECRET, Stage
from tests.bench.table import Row
from tests.deployment.conftest import production, running
from tests.deployment.nginx import find_nginx
from tests.rolling.replacing import LONGEST_AWAY_SECONDS, replace_all

RATE = 500
USERS = 500
SENDS = 2_000


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    if find_nginx() is None:
        raise CannotBench("the part `rolling` needs nginx")
    usual = production(await stage.database_url(), await stage.redis_url(), stage.directory / "data")
    settings = replace(usual, jwt_secrets=(SECRET,), new_account_days=0, drain_seconds=2.0)
    with stage.on(stage.server_core | stage.load_core):
        async with running(settings, stage.directory) as deployment:
            noticed = await replace_all(deployment, users=USERS, rate=RATE, sends=min(SENDS, effort.users))
    counted, failed = noticed.reckoning, sum(n for status, n in noticed.statuses.items() if status >= 500)
    lost = 2 * counted.stored - counted.received + counted.sent - counted.stored
    yield Row(
        what=f"four processes replaced at {RATE} sends a second",
        value=f"{counted.sent:,} sent",
        compared=f"{lost} lost, {counted.repeated} delivered again, {noticed.errors} refused; "
        f"{failed} of {noticed.statuses.total():,} requests 5xx; longest away "
        f"{noticed.longest_away:.1f} s (goal: at most {LONGEST_AWAY_SECONDS:.0f}, "
        f"{'met' if noticed.longest_away <= LONGEST_AWAY_SECONDS else 'MISSED'})",
    )
    absences = noticed.absences
    yield Row(what="  absences, and what the longest waited for", value=f"{len(absences):,}", compared=str(absences[0]))
    middle = absences[len(absences) // 2]
    yield Row(what="  the one in the middle", value=f"{middle.total:.1f} s", compared=str(middle))
