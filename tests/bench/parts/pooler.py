"""PgBouncer between a process and Postgres, beside direct connections: persisted sends, single reads, connections."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from development.postgres import ROLE
from shared.postgres import Database, Statement
from shared.settings import Settings
from tests.bench.load_run import Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, ratio, thousands
from tests.support.database import query
from tests.support.pgbouncer import PgBouncer, find_pgbouncer, running_pgbouncer

SENDERS = 100
SERVER_CONNECTIONS = 20
GATEWAYS = 8
USER = Statement("bench_user", "SELECT id, name, role, banned_at FROM users WHERE id = $1", ("bigint",))


@dataclass(frozen=True)
class Reads:
    """Reads one after the other."""

    per_second: float
    pooler_us: float
    """CPU of PgBouncer for each."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    if find_pgbouncer() is None:
        yield Row(what="PgBouncer", value="left out", compared="no PgBouncer on this machine")
        return
    direct = await stage.database_url()
    async with running_pgbouncer(direct, default_pool_size=str(SERVER_CONNECTIONS)) as pooler, stage.nodes() as nodes:
        plain, pooled = await nodes.gateway(), await nodes.gateway(database_url=pooler.url(direct))
        chat = {"topic": "private_chat:%u", "event": "send", "users": 2 * SENDERS, "senders": SENDERS}
        measurements: dict[str, Callable[[], Awaitable[Any]]] = {
            "direct": partial(stage.load, "chat", plain, seconds=effort.seconds, **chat),
            "pooled": partial(_with_cpu, pooler, partial(stage.load, "chat", pooled, seconds=effort.seconds, **chat)),
            "direct reads": partial(_reads, direct, effort.seconds, pooler),
            "pooled reads": partial(_reads, pooler.url(direct), effort.seconds, pooler),
        }
        runs = await interleaved(effort.rounds, measurements)
        sends = {"direct": runs["direct"], "PgBouncer": [measured for measured, _ in runs["pooled"]]}
        rates = {name: Rates(found, lambda run: run.replies) for name, found in sends.items()}
        of_direct = ratio(rates["PgBouncer"].each, rates["direct"].each)
        cpu = median(seconds / measured.replies * 1e6 for measured, seconds in runs["pooled"])
        for name, found in sends.items():
            compared = "" if name == "direct" else f"x direct {of_direct:.2f}; {cpu:.1f} us of PgBouncer; "
            yield Row(
                what=f"persisted send, {SENDERS} senders, one node: {name}",
                value=f"{thousands(rates[name].per_second)}/s",
                cost=rates[name].cost,
                load=rates[name].load,
                compared=f"{compared}reply p99 {median(run.reply_ms.p99 for run in found):.1f} ms",
            )
        for name in ("direct", "pooled"):
            reads: list[Reads] = runs[f"{name} reads"]
            compared = f"{1e6 / median(read.per_second for read in reads):.0f} us each"
            if name == "pooled":
                compared += f", {median(read.pooler_us for read in reads):.1f} us of PgBouncer"
            yield Row(
                what=f"reads of one row, one after the other: {name.replace('pooled', 'PgBouncer')}",
                value=f"{thousands(median(read.per_second for read in reads))}/s",
                compared=compared,
            )
    yield await _connections(stage)


async def _with_cpu(pooler: PgBouncer, load: Callable[[], Awaitable[Measured]]) -> tuple[Measured, float]:
    """Returns what the load measured, and the seconds of CPU that PgBouncer used."""
    before = _cpu(pooler)
    measured = await load()
    return measured, _cpu(pooler) - before


async def _reads(url: str, seconds: float, pooler: PgBouncer) -> Reads:
    database = await Database.connect(Settings(database_url=url))
    try:
        await database.fetch(USER, 1)
        began, before, count = time.perf_counter(), _cpu(pooler), 0
        while (took := time.perf_counter() - began) < seconds:
            await database.fetch(USER, 1 + count % 1000)
            count += 1
        return Reads(count / took, (_cpu(pooler) - before) / count * 1e6)
    finally:
        await database.close()


async def _connections(stage: Stage) -> Row:
    """Load several gateways, and count the connections on both sides of PgBouncer."""
    direct = await stage.database_url()
    async with running_pgbouncer(direct, default_pool_size=str(SERVER_CONNECTIONS)) as pooler, stage.nodes() as nodes:
        gateways = [await nodes.gateway(database_url=pooler.url(direct)) for _ in range(GATEWAYS)]
        chat = {"topic": "private_chat:%u", "event": "send", "users": 400, "senders": 200, "seconds": 1.0}
        await stage.load("chat", *gateways, **chat)
        clients = sum(row[1] == ROLE for row in await pooler.command("SHOW CLIENTS"))
        backends = "SELECT count(*)::int FROM pg_stat_activity WHERE usename = %s"
        [(servers,)] = query(stage.owner_url, backends, ROLE)
        at_postgres = f"{servers} of Postgres, which may be {SERVER_CONNECTIONS}"
        return Row(what=f"connections of {GATEWAYS} loaded gateways", value=f"{clients}", compared=at_postgres)


def _cpu(pooler: PgBouncer) -> float:
    """Seconds of CPU that PgBouncer has used, which has one thread (sched-stats.rst of Linux)."""
    return int(Path(f"/proc/{pooler.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
