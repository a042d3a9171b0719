"""SQL that tells people of alerts by mail: at once, in the transaction that stores the alerts, or once a day.

A person chooses it for each kind (mail_choices). A daily mail has what the person has not seen on the page meanwhile.
`daily_mails` says up to which alert a person was told: the ids of alerts become visible in the order of their numbers,
so none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.mails import MAX_ITEMS, OF_ALERTS, SWITCHES, Choice
from shared.postgres import Statement, Transaction
from shared.repositories.bans import is_banned

_KINDS = ", ".join(f"'{kind.value}'" for kind in OF_ALERTS)
_USUAL = (
    "CASE a.kind " + " ".join(f"WHEN '{one.value}' THEN '{SWITCHES[one].usual.value}'" for one in OF_ALERTS) + " END"
)
_CHOICE = (
    f"""coalesce((SELECT c.choice FROM mail_choices c WHERE c.user_id = a.user_id AND c.kind = a.kind), {_USUAL})"""
)
# Nobody whose address may be somebody else's gets these.
_IS_WELCOME = f"u.deleted_at IS NULL AND NOT u.must_confirm AND NOT {is_banned('u')}"
_ADD = f"""INSERT INTO outbox (user_id, kind, address, facts)
    SELECT u.id, n.kind, u.email, jsonb_build_object(
        'name', u.name,
        'items', jsonb_agg(jsonb_build_object('listing_id', l.id, 'title', l.title, 'price', n.price,
                                              'price_before', n.price_before, 'search', s.name)
                           ORDER BY n.id) FILTER (WHERE n.place <= {MAX_ITEMS}),
        'more', greatest(count(*) - {MAX_ITEMS}, 0))
    FROM (SELECT a.*, row_number() OVER (PARTITION BY a.user_id, a.kind ORDER BY a.id) AS place FROM chosen a) n
    JOIN users u ON u.id = n.user_id JOIN listings l ON l.id = n.listing_id
    LEFT JOIN saved_searches s ON s.id = n.search_id
    WHERE {_IS_WELCOME} GROUP BY u.id, n.kind"""
_AT_ONCE = Statement(
    "alert_mails_at_once",
    f"""WITH chosen AS (
            SELECT a.* FROM alerts a
            WHERE a.id = ANY ($1) AND a.kind IN ({_KINDS}) AND {_CHOICE} = '{Choice.AT_ONCE.value}'
        ) {_ADD}""",
    ("bigint[]",),
)
# Only alerts of the last days are looked at: older ones were told, or nobody wants to hear of them any more.
_DAILY = Statement(
    "alert_mails_daily",
    f"""WITH waiting AS MATERIALIZED (
            SELECT DISTINCT a.user_id FROM alerts a LEFT JOIN daily_mails d ON d.user_id = a.user_id
            WHERE a.told_at > now() - make_interval(secs => 2 * $1) AND a.seen_at IS NULL AND a.kind IN ({_KINDS})
              AND a.id > coalesce(d.up_to, 0)
              AND coalesce(d.sent_at <= now() - make_interval(secs => $1), true)
              AND {_CHOICE} = '{Choice.DAILY.value}'
            LIMIT $2
        ), chosen AS MATERIALIZED (
            SELECT a.* FROM alerts a JOIN waiting w ON w.user_id = a.user_id
            LEFT JOIN daily_mails d ON d.user_id = a.user_id
            WHERE a.told_at > now() - make_interval(secs => 2 * $1) AND a.seen_at IS NULL AND a.kind IN ({_KINDS})
              AND a.id > coalesce(d.up_to, 0) AND {_CHOICE} = '{Choice.DAILY.value}'
        ), noted AS (
            INSERT INTO daily_mails AS d (user_id, up_to, sent_at) SELECT user_id, max(id), now() FROM chosen GROUP BY 1
            ON CONFLICT (user_id) DO UPDATE SET up_to = excluded.up_to, sent_at = excluded.sent_at RETURNING d.user_id
        ), added AS ({_ADD})
        SELECT count(*) FROM noted""",
    ("double precision", "integer"),
)
MAX_PEOPLE = 200
"""People to whom one step writes daily mails."""


async def mail_at_once(transaction: Transaction, alert_ids: Sequence[int]) -> None:
    """Add mails to those of these alerts' people who want them at once: one for each person and kind."""
    await transaction.execute(_AT_ONCE, list(alert_ids))


async def mail_daily(transaction: Transaction, *, seconds: float) -> bool:
    """Add the daily mails of some people who got none in the last `seconds`. Returns whether these were all."""
    row = await transaction.fetch_one(_DAILY, seconds, MAX_PEOPLE)
    return row is None or row[0] < MAX_PEOPLE
