"""SQL that reads everything that is stored about one person, for the copy that they can ask for (GDPR, 15 and 20).

Each section is a list, read in steps, so that neither the database nor the process holds much of it at once. What
belongs to others is not in it: their addresses, what they wrote to somebody else, and what they told moderators.
`NAMED` and `LEFT_OUT` have every column that refers to a user; a test compares them with the schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.domain.declared import fields_of
from shared.domain.listings import NewListing
from shared.domain.pictures import ADDRESS, MESSAGE_PICTURE
from shared.postgres import Database, Statement
from shared.repositories.contacts import READ_IN_SECRET
from shared.repositories.listings import TIME_FORMAT

ROWS_AT_ONCE = 500
Column = tuple[str, str]
"""A table, and a column of it."""


@dataclass(frozen=True, slots=True)
class Section:
    """A list in the copy. `names` are the columns that refer to the person in its rows."""

    name: str
    names: tuple[Column, ...]
    columns: str
    source: str
    """What follows FROM, with a WHERE. `$1` is the person, `$2` the key of the last row that was read."""
    key: str
    """A column by whose order the rows are read; it tells them apart."""
    is_text: bool = False
    """Whether the key is text, and not a number."""

    @property
    def statement(self) -> Statement:
        """Parameters: the person, the last key, the number of rows, the origin of the site's addresses."""
        row = f"(SELECT row_to_json(one)::text FROM (SELECT {self.columns}) AS one)"
        sql = f"SELECT {self.key}, {row} FROM {self.source} AND {self.key} > $2 ORDER BY {self.key} LIMIT $3"
        name = f"export_{self.name}"
        return Statement(name, sql, ("bigint", "text" if self.is_text else "bigint", "integer", "text"))


def _times(table: str, *columns: str) -> str:
    return ", ".join(f"to_char({table}.{column}, {TIME_FORMAT}) AS {column}" for column in columns)


_LISTING = ", ".join(f"l.{field.name}" for field in fields_of(NewListing))
_ADDRESS = f"$4 || replace('{ADDRESS}', '{{id}}', p.id::text)"
_PICTURES = f"""(SELECT coalesce(json_agg({_ADDRESS} ORDER BY p.position, p.id), '[]')
        FROM pictures p WHERE p.listing_id = l.id) AS pictures"""
_MESSAGES = """(SELECT * FROM (
        (SELECT * FROM messages WHERE from_id = $1 AND id > $2 ORDER BY id LIMIT $3) UNION
        (SELECT * FROM messages WHERE to_id = $1 AND id > $2 AND held_at IS NULL ORDER BY id LIMIT $3)
    ) AS both_ways) AS m WHERE true"""

SECTIONS: tuple[Section, ...] = (
    Section(
        "profile",
        (("users", "id"),),
        f"""u.id, u.email, u.new_email, u.name, u.role, u.ban_reason, u.takes_requests,
            {_times("u", "created_at", "confirmed_at", "renamed_at", "banned_at", "banned_until")}""",
        "users u WHERE u.id = $1",
        "u.id",
    ),
    Section(
        "sessions",
        (("sessions", "user_id"),),
        f"""s.id, s.device, s.address, s.revoked_because,
            {_times("s", "created_at", "rotated_at", "expires_at", "revoked_at")}""",
        "sessions s WHERE s.user_id = $1",
        "s.id",
        is_text=True,
    ),
    Section(
        "push_subscriptions",
        (("push_subscriptions", "user_id"),),
        # The rest of an endpoint is a secret by which its browser can be reached.
        f"p.session_id, split_part(p.endpoint, '/', 3) AS push_service, p.shows_text, {_times('p', 'created_at')}",
        "push_subscriptions p WHERE p.user_id = $1",
        "p.session_id",
        is_text=True,
    ),
    Section(
        "second_factor",
        (("second_factors", "user_id"),),
        _times("f", "begun_at", "confirmed_at"),
        "second_factors f WHERE f.user_id = $1",
        "f.user_id",
    ),
    Section(
        "recovery_codes",
        (("recovery_codes", "user_id"),),
        _times("c", "used_at"),
        "recovery_codes c WHERE c.user_id = $1",
        "c.hash",
        is_text=True,
    ),
    Section(
        "passkeys",
        (("passkeys", "user_id"),),
        f"p.id, p.name, {_times('p', 'created_at', 'used_at')}",
        "passkeys p WHERE p.user_id = $1",
        "p.id",
    ),
    Section(
        "blocked_people",
        (("blocks", "blocker_id"),),
        f"""b.blocked_id AS id, (SELECT o.name FROM users o WHERE o.id = b.blocked_id) AS name,
            {_times("b", "created_at")}""",
        "blocks b WHERE b.blocker_id = $1",
        "b.blocked_id",
    ),
    Section(
        "people_who_write",
        (("contacts", "user_id"),),
        f"c.other_id AS id, c.state, {_times('c', 'since')}",
        "contacts c WHERE c.user_id = $1",
        "c.other_id",
    ),
    Section(
        "listings",
        (("listings", "seller_id"),),
        f"""l.id, {_LISTING}, l.price_history, l.hidden_reason, l.trashed_reason, {_PICTURES},
            {_times("l", "created_at", "updated_at", "expires_at", "renewed_at")},
            {_times("l", "hidden_at", "hidden_until", "trashed_at")}""",
        "listings l WHERE l.seller_id = $1",
        "l.id",
    ),
    Section(
        "replies",
        (("replies", "author_id"),),
        f"r.id, r.listing_id, r.text, {_times('r', 'created_at')}",
        "replies r WHERE r.author_id = $1",
        "r.id",
    ),
    Section(
        "messages",
        (("messages", "from_id"), ("messages", "to_id")),
        f"""m.id, m.from_id AS "from", m.to_id AS "to", m.text, m.listing_id,
            {_times("m", "inserted_at", "deleted_at", "held_at")},
            CASE WHEN m.read_at <> {READ_IN_SECRET} THEN to_char(m.read_at, {TIME_FORMAT}) END AS read_at""",
        _MESSAGES,
        "m.id",
    ),
    Section(
        "message_pictures",
        (("message_pictures", "owner_id"),),
        f"""p.id, p.message_id, $4 || replace('{MESSAGE_PICTURE}', '{{id}}', p.id::text) AS address,
            {_times("p", "created_at")}""",
        "message_pictures p WHERE p.owner_id = $1 AND NOT p.is_of_deleted",
        "p.id",
    ),
    Section(
        "reports",
        (("reports", "reporter_id"),),
        f"""r.id, r.listing_id, r.user_id, r.message_id, r.reply_id, r.reason, r.text,
            {_times("r", "created_at", "resolved_at")}""",
        "reports r WHERE r.reporter_id = $1",
        "r.id",
    ),
    Section(
        "saved_searches",
        (("saved_searches", "user_id"),),
        f"s.id, s.name, s.query, {_times('s', 'created_at')}",
        "saved_searches s WHERE s.user_id = $1",
        "s.id",
    ),
    Section(
        "favourites",
        (("favourites", "user_id"),),
        f"f.listing_id, f.title, f.price, {_times('f', 'created_at')}",
        "favourites f WHERE f.user_id = $1",
        "f.id",
    ),
    Section(
        "mail_choices",
        (("mail_choices", "user_id"),),
        "c.kind, c.choice",
        "mail_choices c WHERE c.user_id = $1",
        "c.kind",
        is_text=True,
    ),
    Section(
        "waiting_mails",
        (("outbox", "user_id"),),
        f"o.id, o.kind, o.address, {_times('o', 'written_at', 'given_up_at')}",
        "outbox o WHERE o.user_id = $1",
        "o.id",
    ),
    Section(
        "alerts",
        (("alerts", "user_id"),),
        f"""a.id, a.kind, a.listing_id, a.search_id, a.reply_id, a.title, a.price, a.price_before,
            {_times("a", "told_at", "seen_at", "until")}""",
        "alerts a WHERE a.user_id = $1",
        "a.id",
    ),
    Section(
        "sanctions",
        (("sanctions", "user_id"),),
        f"""s.id, s.kind, s.listing_id, s.reason, s.objection, s.outcome, s.answer,
            {_times("s", "given_at", "until", "ended_at", "read_at", "objected_at", "decided_at")}""",
        "sanctions s WHERE s.user_id = $1",
        "s.id",
    ),
    Section(
        "notes_about_you",
        (("notes", "user_id"),),
        f"n.id, n.listing_id, n.text, {_times('n', 'created_at')}",
        """notes n WHERE (n.user_id = $1
            OR n.listing_id = ANY (ARRAY(SELECT own.id FROM listings own WHERE own.seller_id = $1)))""",
        "n.id",
    ),
    Section(
        "notes",
        (("notes", "author_id"),),
        f"n.id, n.user_id, n.listing_id, n.text, {_times('n', 'created_at')}",
        "notes n WHERE n.author_id = $1",
        "n.id",
    ),
    Section(
        "acts",
        (("audit", "actor_id"),),
        f"a.id, a.action, a.target_type, a.target_id, a.reason, a.details, {_times('a', 'created_at')}",
        "audit a WHERE a.actor_id = $1",
        "a.id",
    ),
    Section(
        "acts_about_you",
        (("audit", "target_id"),),
        f"a.id, a.action, a.reason, a.details, {_times('a', 'created_at')}",
        "audit a WHERE a.target_type = 'user' AND a.target_id = $1",
        "a.id",
    ),
    Section(
        "categories",
        (("categories", "created_by"),),
        f"c.id, c.name, c.visibility, {_times('c', 'created_at')}",
        "categories c WHERE c.created_by = $1",
        "c.id",
    ),
    Section(
        "resolved_reports",
        (("reports", "resolved_by"),),
        f"r.id, r.listing_id, r.user_id, r.reason, {_times('r', 'resolved_at')}",
        "reports r WHERE r.resolved_by = $1",
        "r.id",
    ),
)

NAMED = frozenset(column for section in SECTIONS for column in section.names)
LEFT_OUT: Mapping[Column, str] = MappingProxyType(
    {
        ("users", "banned_by"): "A ban is an act of an admin, which is among their acts.",
        ("sanctions", "by_id"): "So is a sanction.",
        ("sanctions", "decided_by"): "So is a decision about an objection.",
        ("categories", "deleted_by"): "So is the deletion of a category.",
        ("listings", "hidden_by"): "So is a hidden listing.",
        ("listings", "trashed_by"): "So is a deleted listing of somebody else; the person's own are listings.",
        ("blocks", "blocked_id"): "Who has blocked somebody does not want them to know.",
        ("findings", "user_id"): "What the site noticed is for moderators; what it is about is among the listings.",
        ("findings", "decided_by"): "What a moderator has decided is among their acts.",
        ("contacts", "other_id"): "Nor does who has declined somebody.",
        ("reports", "user_id"): "What others told moderators about somebody belongs to those others.",
        ("waiting_news", "user_id"): "What somebody is told of while away is among their messages and alerts.",
        ("mail_links", "user_id"): "Hashes of links in mails, until they have expired.",
        ("beginnings", "user_id"): "To whom somebody wrote first is among their messages.",
        ("holds", "user_id"): "Which messages are held is among their messages.",
        ("holds", "decided_by"): "What a moderator has decided is among their acts.",
        **{
            (table, column): "How grave it is what others told moderators, or what the site noticed, is for moderators."
            for table in ("queue_groups", "queue_changes")
            for column in ("user_id", "person_id")
        },
        ("recent_texts", "from_id"): "Hashes of parts of what somebody wrote, for an hour.",
        ("recent_texts", "to_id"): "To whom they are is among the messages of both.",
        ("held_messages", "from_id"): "Which messages are held is among the sender's messages.",
        ("held_messages", "to_id"): "Who would get a held message must not learn of it.",
        ("daily_mails", "user_id"): "When a daily mail was sent; what it told of is among the alerts.",
        ("uploads", "user_id"): "Parts of pictures that are on their way, for some hours.",
        ("repeatable_requests", "user_id"): "Copies of answers that the person has got, for a day.",
    }
)
"""Columns that refer to users and are not in the copy, and why."""


class ExportRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user_id: int, origin: str) -> AsyncIterator[tuple[str, list[str]]]:
        """Yields the name of a section and some of its rows as JSON, several times for a long section.

        Each section comes at least once. `origin` is what the addresses of pictures begin with.
        """
        for section in SECTIONS:
            last: int | str = "" if section.is_text else 0
            while True:
                rows = await self._database.fetch(section.statement, user_id, last, ROWS_AT_ONCE, origin)
                yield section.name, [row[1] for row in rows]
                if len(rows) < ROWS_AT_ONCE:
                    break
                last = rows[-1][0]
