"""SQL that tells people of listings: a change of a listing becomes alerts, in one transaction, and is then forgotten.

Triggers enter each change in `listing_changes`, in the transaction of the change. A step takes some of them, finds whom
to tell, and writes the alerts; if it dies, the changes are still there. `told_matches` and the columns of `favourites`
say what a person knows already, so nobody is told twice.

Which searches does a listing match? One statement leaves out the searches whose plain parts it contradicts: it may
keep too many, and never leaves out a match. Each of the others is then asked by its own conditions, those of the list
of listings (`filtered`), so that a saved search and the list cannot disagree. The conditions of many searches are
columns of one row, which Postgres plans far faster than as many statements. The row before the change is asked too:
what has matched before is no news, unless it has become cheaper. Nor is a listing that had ended and was renewed.

While a listing is hidden, in the trash or of a banned seller, the row as it was last seen is kept. When the listing is
seen again, that row is the one before the change: it is news only for searches that it did not match then, and for
those that were saved since.

No trigger notices that a listing ends. So each step also takes listings whose end has come, or is near, by an index;
`listings.end_told` says of what somebody was told already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.domain.listings import ListingFilter
from shared.domain.users import Role
from shared.postgres import Database, Statement, Transaction
from shared.postgres.statement import array
from shared.repositories.alert_mails import mail_at_once
from shared.repositories.alerts import SEES_HIDDEN
from shared.repositories.bans import is_banned
from shared.repositories.blocked_pairs import is_blocked
from shared.repositories.listing_conditions import Conditions, filtered, visible
from shared.repositories.visibility import (
    HAS_ENDED,
    IN_TRASH,
    IS_HIDDEN,
    Viewer,
    effective_role,
    visible_to,
    visible_until_its_end,
)

MOST_ASKED = 200
"""The most searches whose conditions are in one statement."""

_TAKE = Statement(
    "matching_take",
    """DELETE FROM listing_changes WHERE id = ANY (ARRAY(
           SELECT id FROM listing_changes WHERE due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
       )) RETURNING id, listing_id, before::text, vanished_at, extract(epoch FROM now() - due_at)::float8""",
    ("integer",),
)
_TAKE_KEPT = Statement(
    "matching_take_kept",
    """DELETE FROM listing_changes WHERE listing_id = ANY ($1) AND vanished_at IS NOT NULL
       RETURNING id, listing_id, before::text, vanished_at""",
    ("bigint[]",),
)
_IS_IN_TRASH = f"({IN_TRASH} OR s.deleted_at IS NOT NULL)"
_KEEP = Statement(
    "matching_keep",
    f"""INSERT INTO listing_changes (listing_id, due_at, before, vanished_at)
        SELECT l.id, CASE WHEN {_IS_IN_TRASH} THEN 'infinity' ELSE greatest(
                   CASE WHEN {IS_HIDDEN} THEN coalesce(l.hidden_until, 'infinity') END,
                   CASE WHEN {is_banned("s")} THEN coalesce(s.banned_until, 'infinity') END) END,
               f.before, coalesce(f.vanished_at, l.trashed_at, l.hidden_at, now())
        FROM unnest($1, $2, $3) AS f (listing_id, before, vanished_at)
        JOIN listings l ON l.id = f.listing_id JOIN categories c ON c.id = l.category_id
        JOIN users s ON s.id = l.seller_id
        WHERE {_IS_IN_TRASH} OR {IS_HIDDEN} OR {is_banned("s")}""",
    ("bigint[]", "jsonb[]", "timestamptz[]"),
)
_WAITING = Statement(
    "matching_waiting",
    "SELECT count(*) FROM (SELECT FROM listing_changes WHERE due_at <= now() LIMIT 100000) AS waiting",
)
# An unknown value is in no range. The tsvector of a long listing is stored compressed: joined to an empty one, it is
# decompressed once, and not for each search.
_CANDIDATES = Statement(
    "matching_candidates",
    f"""WITH changed AS MATERIALIZED (
            SELECT l.seller_id, l.category_id, l.status, l.year, l.price, l.mileage, l.search || ''::tsvector AS search
            FROM listings l WHERE l.id = ANY ($1) AND l.trashed_at IS NULL AND NOT {HAS_ENDED}
        )
        SELECT s.id, {effective_role("u")}, s.query::text, s.words::text, s.created_at
        FROM saved_searches s JOIN users u ON u.id = s.user_id
        WHERE u.deleted_at IS NULL AND NOT {is_banned("u")} AND EXISTS (
            SELECT FROM changed l WHERE l.seller_id <> s.user_id
              AND (s.category_id IS NULL OR l.category_id = s.category_id)
              AND (s.seller_id IS NULL OR l.seller_id = s.seller_id)
              AND (s.status IS NULL OR l.status = s.status)
              AND (s.year_min IS NULL OR l.year >= s.year_min) AND (s.year_max IS NULL OR l.year <= s.year_max)
              AND (s.price_min IS NULL OR l.price >= s.price_min) AND (s.price_max IS NULL OR l.price <= s.price_max)
              AND (s.mileage_max IS NULL OR l.mileage <= s.mileage_max)
              AND (s.words IS NULL OR l.search @@ s.words)
        )""",
    ("bigint[]",),
)
# In one order, so that two processes never wait for each other. Nobody is told of their own listings, nor of those of
# somebody whom they have blocked or who has blocked them.
_TELL_MATCHES = Statement(
    "matching_tell_matches",
    f"""WITH found AS MATERIALIZED (
            SELECT s.id AS search_id, s.user_id, l.id AS listing_id, l.price, f.price_before
            FROM unnest($1, $2, $3) AS f (search_id, listing_id, price_before)
            JOIN saved_searches s ON s.id = f.search_id JOIN listings l ON l.id = f.listing_id
            WHERE l.seller_id <> s.user_id AND NOT {is_blocked("s.user_id", "l.seller_id")}
            ORDER BY s.id, l.id FOR KEY SHARE OF s, l
        ), told AS (
            INSERT INTO told_matches AS t (search_id, listing_id, price, price_before)
            SELECT search_id, listing_id, price, price_before FROM found ORDER BY search_id, listing_id
            ON CONFLICT (search_id, listing_id) DO UPDATE SET price = excluded.price, price_before = t.price
            WHERE excluded.price IS NOT NULL AND (t.price IS NULL OR excluded.price < t.price)
            RETURNING t.search_id, t.listing_id, t.price, t.price_before, xmax = 0 AS is_first
        )
        INSERT INTO alerts (user_id, kind, search_id, listing_id, price, price_before)
        SELECT f.user_id, 'match', t.search_id, t.listing_id, t.price, t.price_before
        FROM told t JOIN found f USING (search_id, listing_id)
        WHERE t.is_first OR t.price_before IS NOT NULL ORDER BY t.listing_id, t.search_id RETURNING id""",
    ("bigint[]", "bigint[]", "bigint[]"),
)
_TELL_FAVOURITES = Statement(
    "matching_tell_favourites",
    f"""WITH now AS MATERIALIZED (
            SELECT f.id, f.user_id, f.listing_id, f.title AS known_title, f.price AS known_price, f.is_sold, f.is_gone,
                   f.is_ended,
                   l.title, l.price, l.status = 'sold' AS sells_no_more,
                   {IN_TRASH} OR s.deleted_at IS NOT NULL AS is_trashed,
                   ({visible_to("f.user_id", "true", SEES_HIDDEN)}) IS TRUE AS is_seen,
                   ({visible_until_its_end("f.user_id", "true", SEES_HIDDEN)}) IS TRUE AS is_seen_until_its_end,
                   {HAS_ENDED} AS has_ended
            FROM favourites f JOIN users u ON u.id = f.user_id JOIN listings l ON l.id = f.listing_id
            JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
            WHERE f.listing_id = ANY ($1) AND u.deleted_at IS NULL AND NOT {is_banned("u")}
              AND NOT {is_blocked("f.user_id", "l.seller_id")}
            ORDER BY f.id FOR UPDATE OF f
        ), known AS (
            UPDATE favourites f SET
                is_gone = n.is_trashed,
                is_ended = CASE WHEN n.is_seen_until_its_end THEN n.has_ended ELSE n.is_ended END,
                is_sold = CASE WHEN n.is_seen THEN n.sells_no_more ELSE n.is_sold END,
                title = CASE WHEN n.is_seen THEN n.title ELSE n.known_title END,
                price = CASE WHEN n.is_seen THEN least(n.known_price, n.price) ELSE n.known_price END
            FROM now n WHERE n.id = f.id AND (n.is_gone <> n.is_trashed
                OR n.is_seen_until_its_end AND n.is_ended <> n.has_ended OR n.is_seen AND (
                n.is_sold <> n.sells_no_more OR n.known_title <> n.title
                OR n.known_price IS DISTINCT FROM least(n.known_price, n.price)))
        )
        INSERT INTO alerts (user_id, kind, listing_id, title, price, price_before)
        SELECT user_id, 'removed', listing_id, known_title, NULL::bigint, NULL::bigint FROM now
        WHERE is_trashed AND NOT is_gone AND NOT is_ended
        UNION ALL
        SELECT user_id, 'ended', listing_id, known_title, NULL, NULL FROM now
        WHERE is_seen_until_its_end AND has_ended AND NOT is_ended AND NOT sells_no_more
        UNION ALL
        SELECT user_id, 'price_drop', listing_id, NULL, price, known_price FROM now
        WHERE is_seen AND price < known_price
        UNION ALL
        SELECT user_id, 'sold', listing_id, NULL, price, NULL FROM now WHERE is_seen AND sells_no_more AND NOT is_sold
        RETURNING id""",
    ("bigint[]",),
)

# From the two ranges of one index. A listing that another process holds is left to it, or to a later step.
_TAKE_ENDS = Statement(
    "matching_take_ends",
    f"""SELECT l.id, {HAS_ENDED} FROM listings l
        WHERE l.id = ANY (ARRAY(
            (SELECT id FROM listings
             WHERE trashed_at IS NULL AND end_told = 0 AND expires_at <= now() + make_interval(days => $2)
             ORDER BY expires_at LIMIT $1)
            UNION ALL
            (SELECT id FROM listings WHERE trashed_at IS NULL AND end_told = 1 AND expires_at <= now()
             ORDER BY expires_at LIMIT $1)
        )) AND l.trashed_at IS NULL AND l.expires_at <= now() + make_interval(days => $2)
          AND l.end_told < CASE WHEN {HAS_ENDED} THEN 2 ELSE 1 END
        ORDER BY l.id LIMIT $1 FOR NO KEY UPDATE OF l SKIP LOCKED""",
    ("integer", "integer"),
)
_NOTE_ENDS = Statement(
    "matching_note_ends",
    f"UPDATE listings l SET end_told = CASE WHEN {HAS_ENDED} THEN 2 ELSE 1 END WHERE id = ANY ($1)",
    ("bigint[]",),
)
_WARN_SELLERS = Statement(
    "matching_warn_sellers",
    f"""INSERT INTO alerts (user_id, kind, listing_id, until)
        SELECT u.id, 'ends', l.id, l.expires_at FROM listings l JOIN users u ON u.id = l.seller_id
        WHERE l.id = ANY ($1) AND l.status = 'available' AND u.deleted_at IS NULL AND NOT {is_banned("u")}
        ORDER BY l.expires_at, l.id RETURNING id""",
    ("bigint[]",),
)

FilterOf = Callable[[str], ListingFilter | None]
"""Returns what a stored query means; None if it means nothing any more."""


class Candidate(NamedTuple):
    """A search that a listing may match."""

    search_id: int
    role: str
    query: str
    words: str | None
    created_at: datetime


class Before(NamedTuple):
    """A listing's row before a change, as JSON, None if it is new; and since when it was not seen, if it was not."""

    version: str | None
    vanished_at: datetime | None


class News(NamedTuple):
    """A listing that a search has to be told of; `price_before` if it has matched before and was dearer."""

    search_id: int
    listing_id: int
    price_before: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """What one step has done."""

    changes: int
    """How many changes it took, or how many ends if these were more."""
    alert_ids: list[int]
    ended: list[int]
    """The listings of which it noticed that they have ended."""
    waited: Sequence[float] = ()
    """How many seconds each of the changes had waited when it was taken."""


class Matching:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database, filter_of: FilterOf, *, has_mail: bool = False) -> None:
        """`has_mail` says whether people are told by mail too."""
        self._database = database
        self._has_mail = has_mail
        self._filter_of = filter_of

    async def step(self, most: int, *, warning_days: int = 7) -> Step:
        """Tell of at most `most` changes, and of as many listings that have ended, or will within `warning_days`.

        Several processes may do this at once: each takes others. The alerts are stored, and not yet published.
        """
        async with self._database.transaction() as transaction:
            changes = await transaction.fetch(_TAKE, most)
            ends: list[Any] = await transaction.fetch(_TAKE_ENDS, most, warning_days)
            if not changes and not ends:
                return Step(0, [], [])
            ended = [listing_id for listing_id, has_ended in ends if has_ended]
            soon = [listing_id for listing_id, has_ended in ends if not has_ended]
            waited = [row[4] for row in changes]
            changes = [row[:4] for row in changes]
            if changes:
                changes = [*changes, *await transaction.fetch(_TAKE_KEPT, sorted({row[1] for row in changes}))]
            before = _first_versions(changes)
            news = await self.news(transaction, before) if changes else []
            if before:
                versions, vanished = zip(*before.values(), strict=True)
                await transaction.execute(_KEEP, list(before), list(versions), list(vanished))
            if ends:
                await transaction.execute(_NOTE_ENDS, [*ended, *soon])
            told: list[Any] = []
            if news:
                searches, listings, prices = zip(*news, strict=True)
                told += await transaction.fetch(_TELL_MATCHES, list(searches), list(listings), list(prices))
            if soon:
                told += await transaction.fetch(_WARN_SELLERS, soon)
            told += await transaction.fetch(_TELL_FAVOURITES, sorted({*(row[1] for row in changes), *ended}))
            if told and self._has_mail:
                await mail_at_once(transaction, [row[0] for row in told])
        return Step(max(len(changes), len(ends)), [row[0] for row in told], ended, waited)

    async def waiting(self) -> int:
        """Returns how many changes wait, counted up to 100,000."""
        row = await self._database.fetch_one(_WAITING)
        return int(row[0]) if row else 0

    async def news(self, transaction: Transaction, before: dict[int, Before]) -> list[News]:
        """Returns which searches have to be told of which listings; `before` has each changed listing."""
        candidates = await self.candidates(transaction, list(before))
        found: list[News] = []
        # Whoever has the same role sees the same listings of others, so these are looked up together.
        for viewer, some in _by_viewer(candidates).items():
            asked = _by_question(some, self._filter_of, viewer)
            questions = list(asked.items())
            for first in range(0, len(questions), MOST_ASKED):
                found += await _ask(transaction, questions[first : first + MOST_ASKED], viewer, before)
        return found

    async def candidates(self, transaction: Transaction, listing_ids: Sequence[int]) -> list[Candidate]:
        """Returns the searches that one of the listings may match: all that it matches, and some others."""
        return [Candidate(*row) for row in await transaction.fetch(_CANDIDATES, list(listing_ids))]


def _first_versions(changes: Iterable[tuple[Any, ...]]) -> dict[int, Before]:
    """Returns each listing with its row as it was last seen, or before its first change."""
    first: dict[int, Before] = {}
    for _, listing_id, version, vanished_at in sorted(changes, key=_first_known):
        known = first.setdefault(listing_id, Before(version, vanished_at))
        if version is None and known.vanished_at is None:
            first[listing_id] = Before(None, None)
    return first


def _first_known(change: tuple[Any, ...]) -> tuple[bool, float, int]:
    number, _, _, vanished_at = change
    return vanished_at is None, vanished_at.timestamp() if vanished_at else 0.0, number


def _by_viewer(candidates: Iterable[Candidate]) -> dict[Viewer, list[Candidate]]:
    """Returns the searches by what their people see of listings that are not their own."""
    grouped: dict[Viewer, list[Candidate]] = {}
    for candidate in candidates:
        of_role = Viewer.of_role(Role(candidate.role))
        viewer = Viewer(None, of_role.sees_private, of_role.sees_hidden)
        grouped.setdefault(viewer, []).append(candidate)
    return grouped


_Question = tuple[str, str | None]
"""A query and its words: searches with the same ones are asked once."""


@dataclass(frozen=True, slots=True)
class _Asked:
    filter: ListingFilter
    searches: list[Candidate]


def _by_question(candidates: Iterable[Candidate], filter_of: FilterOf, viewer: Viewer) -> dict[_Question, _Asked]:
    grouped: dict[_Question, _Asked] = {}
    for candidate in candidates:
        question = (candidate.query, candidate.words)
        if question not in grouped:
            filter = filter_of(candidate.query)
            # Only moderators may ask about hidden listings, and this person may have lost the role.
            if filter is None or (filter.hidden is not None and not viewer.sees_hidden):
                continue
            grouped[question] = _Asked(filter, [])
        grouped[question].searches.append(candidate)
    return grouped


async def _ask(
    transaction: Transaction,
    questions: Sequence[tuple[_Question, _Asked]],
    viewer: Viewer,
    before: dict[int, Before],
) -> list[News]:
    """Returns the news for these searches."""
    # The row before the change counts as if it had not ended, so that a renewed listing is no news.
    answers, seen = Conditions(), Conditions()
    for (_, words), asked in questions:
        one = Conditions()
        filtered(one, asked.filter, words)
        answers.add(one.sql, *one.parameters)
    visible(seen, viewer)
    sql = f"""SELECT l.id, l.is_before, l.price, ARRAY[{answers.as_columns}]
        FROM (
            SELECT false AS is_before, now.* FROM listings now WHERE now.id = ANY (%s::bigint[])
            UNION ALL
            SELECT true, old.* FROM unnest(%s::jsonb[]) AS one (version)
            CROSS JOIN LATERAL
                jsonb_populate_record(NULL::listings, one.version || '{{"expires_at": "infinity"}}') AS old
        ) AS l
        JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id WHERE {seen.sql}"""
    versions = array([one.version for one in before.values() if one.version is not None])
    rows = await transaction.fetch(Statement("", sql), *answers.parameters, list(before), versions, *seen.parameters)
    old: dict[int, tuple[int | None, list[bool]]] = {row[0]: (row[2], row[3]) for row in rows if row[1]}
    news: list[News] = []
    for listing_id, is_before, price, matches in rows:
        if is_before:
            continue
        old_price, matched = old.get(listing_id, (None, [False] * len(matches)))
        is_cheaper = price is not None and old_price is not None and price < old_price
        vanished_at = None if viewer.sees_hidden else before[listing_id].vanished_at
        for (_, asked), is_match, was_match in zip(questions, matches, matched, strict=True):
            for search in asked.searches if is_match else ():
                was_known = was_match and (vanished_at is None or search.created_at < vanished_at)
                if not was_known or is_cheaper:
                    news.append(News(search.search_id, listing_id, old_price if was_known else None))
    return news
