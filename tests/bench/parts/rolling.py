"""All processes behind nginx, also of the release before, are replaced in turn at 500 sends a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from tests.bench.compiler import CannotBench
from tests.bench.rounds import Effort
from tests.bench.stage import SECRET, Stage
from tests.bench.table import Row, met
from tests.deployment.conftest import production, running
from tests.deployment.nginx import find_nginx
from tests.rolling.release_before import unpack, what_is_missing
from tests.rolling.replacing import LONGEST_AWAY_SECONDS, Noticed, replace_all

RATE = 500
USERS = 500
SENDS = 2_000


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    if find_nginx() is None:
        raise CannotBench("the part `rolling` needs nginx")
    usual = production(await stage.database_url(), await stage.redis_url(), stage.directory / "data")
    settings = replace(usual, jwt_secrets=(SECRET,), new_account_days=0, drain_seconds=2.0)
    for name, of in (("", None), (" of the release before", await _release_before(stage))):
        with stage.on(stage.server_core | stage.load_core):
            async with running(settings, stage.directory, of=of) as deployment:
                noticed = await replace_all(deployment, users=USERS, rate=RATE, sends=min(SENDS, effort.users))
        for row in _rows(f"four processes{name} replaced at {RATE} sends a second", noticed):
            yield row


async def _release_before(stage: Stage) -> Path:
    """Returns a folder with its code, for which the schema has been brought up to date already."""
    missing = what_is_missing()
    if missing is not None:
        raise CannotBench(missing)
    folder = stage.directory / "before"
    unpack(folder)
    # A database that was upgraded remembers the schema that it had before.
    checksum = sha256((folder / "schema.sql").read_bytes()).hexdigest()
    await stage.sql(f"INSERT INTO schema_applied (checksum) VALUES ('{checksum}')")
    return folder


def _rows(what: str, noticed: Noticed) -> Iterator[Row]:
    counted = noticed.reckoning
    is_whole = not noticed.lost and not noticed.errors and not noticed.failed
    yield Row(
        what=what,
        value=f"{counted.sent:,} sent",
        compared=f"{noticed.lost} lost, {noticed.errors} refused, {noticed.failed} of {noticed.statuses.total():,} "
        f"requests 5xx (goal: none, {met(is_whole)}); {counted.repeated} delivered again; longest away "
        f"{noticed.longest_away:.1f} s (goal: at most {LONGEST_AWAY_SECONDS:.0f}, "
        f"{met(noticed.longest_away <= LONGEST_AWAY_SECONDS)})",
    )
    absences = noticed.absences
    yield Row(what="  absences, and what the longest waited for", value=f"{len(absences):,}", compared=str(absences[0]))
    middle = absences[len(absences) // 2]
    yield Row(what="  the one in the middle", value=f"{middle.total:.1f} s", compared=str(middle))
