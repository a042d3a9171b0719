"""SQL about running processes: each reports that it is alive, and whether it can publish to the gateways."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.errors import UndefinedTable

from shared.domain.nodes import Node
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.version import VERSION

API_PREFIX = "api-"
"""The beginning of the ids of APIs; those of gateways begin otherwise."""
FORGOTTEN_SECONDS = 900.0
"""The row of a dead node is kept this long, for gateways that cannot reach Postgres in the meantime."""
MOST_LISTED = 500
"""The most processes that are listed."""

_REPORT = Statement(
    "node_report",
    """WITH own AS (
           INSERT INTO nodes (id, alive_until, heard_at, unheard, version, started_at)
           VALUES ($1, now() + make_interval(secs => $2), now(), $4, $5, now())
           ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, unheard = excluded.unheard,
               heard_at = CASE WHEN $3 THEN now() ELSE nodes.heard_at END
       )
       SELECT id, extract(epoch FROM now() - alive_until)::float8, extract(epoch FROM now() - heard_at)::float8, unheard
       FROM nodes WHERE id <> $1""",
    ("text", "double precision", "boolean", "bigint", "text"),
)
_LISTED = Statement(
    "node_listed",
    """SELECT id, CASE WHEN starts_with(id, $1) THEN 'api' ELSE 'gateway' END, version,
              extract(epoch FROM started_at)::float8, alive_until > now(),
              heard_at >= alive_until - make_interval(secs => $2)
       FROM (SELECT * FROM nodes WHERE alive_until > now() - make_interval(secs => $4)
             ORDER BY alive_until > now() DESC, alive_until DESC LIMIT $3) AS latest
       ORDER BY 2, started_at, id""",
    ("text", "double precision", "integer", "double precision"),
)
_LEAVE = Statement("node_leave", "UPDATE nodes SET alive_until = least(alive_until, now()) WHERE id = $1", ("text",))
# A gateway reports its link and its lease in one statement, so both times are the same if its link is up.
_GATEWAYS = Statement(
    "node_gateways",
    """SELECT id, heard_at >= alive_until - make_interval(secs => $2) FROM nodes
       WHERE alive_until > now() AND NOT starts_with(id, $1)""",
    ("text", "double precision"),
)
_FORGET = Statement(
    "node_forget", "DELETE FROM nodes WHERE alive_until < now() - make_interval(secs => $1)", ("double precision",)
)


@dataclass(frozen=True, slots=True)
class NodeState:
    """The last report of another process."""

    id: str
    dead_seconds: float
    """Seconds since its lease expired or it left; negative while it is alive."""
    heard_seconds: float
    """Seconds since its link to the broker was last known to be up."""
    unheard: int
    """Grows when the process publishes while its link is away."""


class NodeRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, node_id: str, *, lease_seconds: float, is_heard: bool, unheard: int) -> list[NodeState]:
        """Report that this node is alive for `lease_seconds`. Returns the last reports of the other nodes.

        `is_heard`: its link to the broker is up. `unheard`: a number that grows when it publishes without the link.
        """
        try:
            rows = await self._database.fetch(_REPORT, node_id, lease_seconds, is_heard, unheard, VERSION)
        except UndefinedTable:
            # A gateway may start before the API that applies the schema.
            raise DatabaseUnavailable("the schema is not applied yet") from None
        return [NodeState(*row) for row in rows]

    async def gateways(self, *, lease_seconds: float) -> dict[str, bool]:
        """Returns the gateways that are alive, each with whether its link to the broker was up at its last report."""
        return dict(await self._database.fetch(_GATEWAYS, API_PREFIX, lease_seconds))

    async def listed(self, *, lease_seconds: float) -> list[Node]:
        """Returns the processes that run or ended a short time ago, APIs first, the oldest of each kind first.

        If there are more than MOST_LISTED, those are left out that ended first.
        """
        rows = await self._database.fetch(_LISTED, API_PREFIX, lease_seconds, MOST_LISTED, FORGOTTEN_SECONDS)
        return [Node(*row) for row in rows]

    async def leave(self, node_id: str) -> None:
        """Report that this node ends. The others act as if it had died, only sooner."""
        await self._database.execute(_LEAVE, node_id)

    async def forget(self) -> None:
        """Delete the rows of nodes that died long ago."""
        await self._database.execute(_FORGET, FORGOTTEN_SECONDS)
