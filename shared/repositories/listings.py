"""SQL about listings: reads, creates, changes and hides them, and moves them to the trash.

The database makes the JSON of a listing for clients, so Python neither decodes nor encodes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from shared.access.actor import Actor
from shared.access.policy import Action
from shared.domain.analysis import VERSION
from shared.domain.declared import fields_of
from shared.domain.ids import MAX_ID
from shared.domain.indexed import INDEXED, indexed
from shared.domain.listings import CategoryNotFound, ListingChange, ListingNotFound, NewListing, RenewedRecently, Sort
from shared.domain.mails import MailKind
from shared.domain.sanctions import OwnSanction
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.domain.users import NewAccountLimited, NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting
from shared.repositories.audit import RECORD, details_json
from shared.repositories.listing_ways import ORDERS, Position
from shared.repositories.outbox import adding
from shared.repositories.places import PlaceRepository
from shared.repositories.visibility import FOR_ANYONE, HAS_ENDED, IS_HIDDEN, TYPES, Viewer, visible_to

_NO_DISTANCES: Mapping[int, int] = MappingProxyType({})

TIME_FORMAT = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
"""The form of shared/domain/times.py, if the session's time zone is UTC."""

_FIELDS = tuple(field.name for field in fields_of(NewListing))
_NAMED = """(SELECT one FROM (SELECT c.id, c.name) AS one) AS category,
    (SELECT one FROM (SELECT s.id, s.name) AS one) AS seller"""
_AS_SHOWN = {"category_id": _NAMED, "vin": "l.vin IS NOT NULL AS has_vin"}
_SHOWN = ", ".join(_AS_SHOWN.get(name, f"l.{name}") for name in _FIELDS)

PICTURES = """(SELECT coalesce('[' || string_agg(p.shown, ',' ORDER BY p.position, p.id) || ']', '[]')::json
     FROM pictures p WHERE p.listing_id = l.id)"""
"""SQL for the pictures of a listing `l` as JSON, in their order."""

# `_presented` adds the fields that not everybody may see.
JSON = f"""(SELECT row_to_json(shown)::text FROM (SELECT
    l.id, {_SHOWN},
    to_char(l.created_at, {TIME_FORMAT}) AS created_at, to_char(l.updated_at, {TIME_FORMAT}) AS updated_at,
    (SELECT count(*) FROM replies r WHERE r.listing_id = l.id) AS reply_count,
    {PICTURES} AS pictures,
    l.price_history
) AS shown)"""
MOST_SAME_VIN = 20
"""The most other listings of the same car that moderators are shown."""


def _for_some(user_id: str, sees_hidden: str) -> str:
    """Returns the columns that `_presented` adds to a listing for some viewers; arguments are SQL for a `Viewer`.

    The last one is the number of people whose favourite it is, if the listing is the user's own; otherwise it is 1 if
    it is a favourite of the user, else 0. One range of an index answers both, because each read pays for a look-up.
    """
    own = f"l.seller_id = {user_id}"
    # A car that somebody else offers too may be a fraud.
    return f"""l.seller_id, {IS_HIDDEN}, l.hidden_until, l.hidden_reason, l.expires_at, {HAS_ENDED}, l.vin,
        CASE WHEN {sees_hidden} AND l.vin IS NOT NULL THEN ARRAY(
            SELECT o.id FROM listings o WHERE o.vin = l.vin AND o.seller_id <> l.seller_id AND o.trashed_at IS NULL
            ORDER BY o.id DESC LIMIT {MOST_SAME_VIN}
        ) END,
        (SELECT count(*) FROM favourites f WHERE f.listing_id = l.id AND f.user_id
         BETWEEN CASE WHEN {own} THEN 0 ELSE {user_id} END AND CASE WHEN {own} THEN {MAX_ID} ELSE {user_id} END)"""


_COUNT = 10
"""The number of columns that `_presented` takes."""
JOINED = "listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id"

_VISIBLE = visible_to("$2", "$3", "$4")
READ_FOR_ANYONE = Statement(
    "listing_read_for_anyone", f"SELECT {JSON} FROM {JOINED} WHERE l.id = $1 AND {FOR_ANYONE}", ("bigint",)
)
_READ_MANY_FOR_ANYONE = Statement(
    "listing_read_many_for_anyone",
    f"SELECT l.id, {JSON} FROM {JOINED} WHERE l.id = ANY ($1) AND {FOR_ANYONE}",
    ("bigint[]",),
)
_READ = Statement(
    "listing_read",
    f"""SELECT {JSON}, {_for_some("$2", "$4")}, ({FOR_ANYONE}) IS TRUE
        FROM {JOINED} WHERE l.id = $1 AND {_VISIBLE}""",
    ("bigint", *TYPES),
)
_READ_MANY = Statement(
    "listing_read_many",
    f"""SELECT {JSON}, {_for_some("$2", "$4")}, l.id FROM unnest($1) WITH ORDINALITY AS asked (id, position)
        JOIN listings l ON l.id = asked.id JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE {_VISIBLE} ORDER BY asked.position""",
    ("bigint[]", *TYPES),
)
_VECTOR, _DAYS = (f"${len(_FIELDS) + number}" for number in (3, 4))
# The lock prevents the category from being deleted until the listing is in it.
_CREATE = Statement(
    "listing_create",
    f"""WITH actor AS MATERIALIZED ({acting("$1", Action.LISTING_CREATE)}), category AS MATERIALIZED (
            SELECT id FROM categories
            WHERE id = ${_FIELDS.index("category_id") + 2} AND deleted_at IS NULL FOR SHARE
        ), made AS (
            INSERT INTO listings (seller_id, {", ".join(_FIELDS)}, place_id, search, analysis, expires_at)
            SELECT $1, {", ".join(f"${number}" for number in range(2, len(_FIELDS) + 3))}, {_VECTOR}, {VERSION},
                now() + make_interval(days => {_DAYS})
            FROM actor, category RETURNING id
        )
        SELECT (SELECT id FROM made), EXISTS (SELECT FROM actor)""",
    # A bigint parameter can also be assigned to an integer column.
    (
        "bigint",
        *("bigint" if field.kind is int else "text" for field in fields_of(NewListing)),
        "integer",
        "tsvector",
        "integer",
    ),
)
_TAKE_TURN = Statement(
    "listing_take_turn", "SELECT pg_advisory_xact_lock(723989, ($1 % 2000000000)::integer)", ("bigint",)
)
# Ids follow time, so that the index of a seller's listings answers it.
_LIMITED = Statement(
    "listing_limited",
    """SELECT again_at, greatest(ceil(extract(epoch FROM again_at - now())), 1)::integer FROM (
           SELECT least(l.created_at + interval '1 day', u.created_at + make_interval(days => $3)) AS again_at
           FROM users u CROSS JOIN LATERAL (
               SELECT created_at FROM listings WHERE seller_id = u.id ORDER BY id DESC OFFSET $2 - 1 LIMIT 1
           ) AS l WHERE u.id = $1 AND u.role = 'user'
       ) AS limited WHERE again_at > now()""",
    ("bigint", "integer", "integer"),
)
_TEXTS = Statement(
    "listing_texts",
    f"SELECT updated_at, {', '.join(INDEXED)} FROM listings WHERE id = $1 AND trashed_at IS NULL",
    ("bigint",),
)
_LOCK_CATEGORY = Statement(
    "listing_lock_category", "SELECT id FROM categories WHERE id = $1 AND deleted_at IS NULL FOR SHARE", ("bigint",)
)
_IS_ALLOWED = "(actor.may_any OR listings.seller_id = actor.id)"
_IS_REFUSED = f"""NOT EXISTS (SELECT FROM actor)
    OR EXISTS (SELECT FROM actor, listings WHERE listings.id = $1 AND NOT {_IS_ALLOWED})"""
"""True if the actor of the WITH clause may not do the act to the listing `$1`."""
_IS_OWN_CASE = """(listings.seller_id = actor.id AND listings.hidden_by <> actor.id AND NOT actor.is_admin
    AND (listings.hidden_until IS NULL OR listings.hidden_until > now()))"""
"""True if another one has hidden the listing of the actor: moderators do not decide about themselves."""
_IS_ANOTHERS = f"EXISTS (SELECT FROM actor, listings WHERE listings.id = $1 AND {_IS_OWN_CASE})"

# An act and its audit record, if it has one, are one statement: one round trip, and both take effect or neither.
_TRASH = Statement(
    "listing_trash",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.LISTING_DELETE)}), trashed AS (
            UPDATE listings SET trashed_at = now(), trashed_by = $2,
                trashed_reason = CASE WHEN seller_id = $2 THEN 'deleted by its seller' ELSE 'deleted by an admin' END
            FROM actor WHERE listings.id = $1 AND trashed_at IS NULL AND {_IS_ALLOWED}
            RETURNING listings.id, seller_id
        ), recorded AS (
            {RECORD} SELECT $2, 'listing_delete', 'listing', id, NULL, '{{}}' FROM trashed WHERE seller_id <> $2
        )
        SELECT EXISTS (SELECT FROM trashed), {_IS_REFUSED}""",
    ("bigint", "bigint"),
)


def _mail(about: str, source: str, by: str, is_on: str) -> str:
    """Returns SQL that tells the listing's seller what a moderator did; `about` is SQL for the facts that differ."""
    facts = (
        f"""jsonb_build_object('name', addressee.name, 'title', {source}.title, 'listing_id', {source}.id, {about})"""
    )
    is_wanted = f"{is_on} AND {source}.seller_id <> {by}"
    return adding(MailKind.MODERATED, facts, source, user_id=f"{source}.seller_id", is_on=is_wanted)


_HIDE = Statement(
    "listing_hide",
    f"""WITH actor AS MATERIALIZED ({acting("$3", Action.LISTING_HIDE)}), hidden AS (
            UPDATE listings SET hidden_at = now(), hidden_until = $2, hidden_by = $3, hidden_reason = $4
            FROM actor WHERE listings.id = $1 AND trashed_at IS NULL AND {_IS_ALLOWED} AND {_IS_OWN_CASE} IS NOT TRUE
            RETURNING listings.id, listings.seller_id, listings.title
        ), recorded AS ({RECORD} SELECT $3, 'listing_hide', 'listing', id, $4, $5 FROM hidden),
        mailed AS ({_mail("'is_hidden', true, 'reason', $4, 'until', $5 -> 'until'", "hidden", "$3", "$6")})
        SELECT EXISTS (SELECT FROM hidden), {_IS_REFUSED}, {_IS_ANOTHERS}""",
    ("bigint", "timestamptz", "bigint", "text", "jsonb", "boolean"),
)
_SHOW = Statement(
    "listing_show",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.LISTING_HIDE)}), shown AS (
            UPDATE listings SET hidden_at = NULL, hidden_until = NULL, hidden_by = NULL, hidden_reason = NULL
            FROM actor
            WHERE listings.id = $1 AND trashed_at IS NULL AND hidden_at IS NOT NULL AND {_IS_ALLOWED}
                AND {_IS_OWN_CASE} IS NOT TRUE
            RETURNING listings.id, listings.seller_id, listings.title
        ), recorded AS ({RECORD} SELECT $2, 'listing_show', 'listing', id, NULL, '{{}}' FROM shown),
        mailed AS ({_mail("'is_hidden', false, 'reason', NULL, 'until', NULL", "shown", "$2", "$3")})
        SELECT EXISTS (SELECT FROM shown), {_IS_REFUSED}, {_IS_ANOTHERS}""",
    ("bigint", "bigint", "boolean"),
)


_RENEW = Statement(
    "listing_renew",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.LISTING_RENEW)}), renewed AS (
            UPDATE listings SET expires_at = now() + make_interval(days => $3), renewed_at = now(), end_told = 0,
                stands_at = nextval(pg_get_serial_sequence('listings', 'id'))
            FROM actor WHERE listings.id = $1 AND trashed_at IS NULL AND {_IS_ALLOWED}
                AND (renewed_at IS NULL OR renewed_at <= now() - make_interval(secs => $4))
            RETURNING listings.id
        )
        SELECT EXISTS (SELECT FROM renewed), {_IS_REFUSED}""",
    ("bigint", "bigint", "integer", "double precision"),
)
_RENEWABLE_AT = Statement(
    "listing_renewable_at",
    """SELECT again_at, greatest(ceil(extract(epoch FROM again_at - now())), 1)::integer
       FROM (SELECT renewed_at + make_interval(secs => $2) AS again_at FROM listings
             WHERE id = $1 AND trashed_at IS NULL AND renewed_at IS NOT NULL) AS renewed""",
    ("bigint", "double precision"),
)


# clock_timestamp() is the time of the change. now() would be earlier if the row was locked, and times could go back.
def _change_statement(names: Sequence[str], *, checks_category: bool) -> Statement:
    """Returns a statement that sets these fields. Its row says whether the category exists and the listing was changed.

    Its last column says whether the actor may not change the listing. If a field is searched, the listing is only
    changed if nobody has changed it since its texts were read.

    Parameters: the actor, the category (with `checks_category`), the new values, the tsvector (of a searched field),
    the listing, when it was last changed (likewise), the actor, the details of the record, the actor, the listing. The
    lock prevents the category from being deleted until the listing is in it.
    """
    category = "SELECT FROM categories WHERE id = %s AND deleted_at IS NULL FOR SHARE" if checks_category else "SELECT"
    assignments = "".join(f"{name} = %s, " for name in names)
    is_as_read = ""
    if is_searched(names):
        assignments += f"search = %s::tsvector, analysis = {VERSION}, "
        is_as_read = "AND updated_at = %s "
    sql = f"""WITH actor AS MATERIALIZED ({acting("%s", Action.LISTING_EDIT)}), category AS ({category}), changed AS (
            UPDATE listings SET {assignments}updated_at = clock_timestamp() FROM actor
            WHERE listings.id = %s {is_as_read}AND trashed_at IS NULL AND {_IS_ALLOWED}
                AND EXISTS (SELECT FROM category)
            RETURNING listings.id, seller_id
        ), recorded AS (
            {RECORD} SELECT %s, 'listing_edit', 'listing', id, NULL, %s FROM changed WHERE seller_id <> %s
        )
        SELECT EXISTS (SELECT FROM category), EXISTS (SELECT FROM changed), {_IS_REFUSED.replace("$1", "%s")}"""
    return Statement("", sql)


def is_searched(names: Sequence[str]) -> bool:
    """True if one of the fields is searched."""
    return not set(INDEXED).isdisjoint(names)


_NEWEST = f"{ORDERS[Sort.NEWEST].key}, l.id"
_NEWEST_FIRST = f"{ORDERS[Sort.NEWEST].key} DESC, l.id DESC"


@cache
def front_page_statement(limit: int) -> Statement:
    """Returns the statement for one limit. Postgres keeps its plan only if the limit is a part of the text."""
    sql = f"""SELECT {JSON}, {_NEWEST} FROM {JOINED}
        WHERE ({_NEWEST}) < ($1, $2) AND l.trashed_at IS NULL AND l.status = 'available' AND {FOR_ANYONE}
        ORDER BY {_NEWEST_FIRST} LIMIT {limit:d}"""
    return Statement(f"listing_front_page_{limit:d}", sql, ("bigint", "bigint"))


@cache
def _front_page_of_statement(limit: int) -> Statement:
    """Returns the same for a logged-in user."""
    sql = f"""SELECT {JSON}, {_for_some("$2", "$4")}, {_NEWEST} FROM {JOINED}
        WHERE ({_NEWEST}) < ($1, $5) AND l.trashed_at IS NULL AND l.status = 'available' AND {_VISIBLE}
            AND NOT {HAS_ENDED}
        ORDER BY {_NEWEST_FIRST} LIMIT {limit:d}"""
    return Statement(f"listing_front_page_of_{limit:d}", sql, ("bigint", *TYPES, "bigint"))


@dataclass(frozen=True, slots=True)
class NewAccountLimit:
    """The most listings that an account may make within a day while it is new: for so many days after it was made."""

    most: int
    days: int


@dataclass(frozen=True, slots=True)
class ListingViews:
    """A listing as JSON."""

    own: str
    """As the actor sees it."""
    for_anyone: str | None
    """As visitors see it; None if they may not see it."""


class ListingRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, *, has_mail: bool = False) -> None:
        """`has_mail` says whether sellers are told by mail what moderators do."""
        self._database = database
        self._has_mail = has_mail
        self._places = PlaceRepository(database)

    async def read_many_for_anyone(self, listing_ids: Sequence[int]) -> dict[int, str]:
        """Returns the listings as JSON, as visitors see them, by id. Listings that visitors may not see are absent."""
        rows: list[Any] = await self._database.fetch(_READ_MANY_FOR_ANYONE, list(listing_ids))
        return dict(rows)

    async def read(self, listing_id: int, actor: Actor | None) -> str:
        """Returns the listing as JSON, with the fields that the actor may see. Raises ListingNotFound."""
        if actor is None:
            json = await self.read_for_anyone(listing_id)
            if json is None:
                raise ListingNotFound
            return json
        views = await self.views(listing_id, actor)
        if views is None:
            raise ListingNotFound
        return views.own

    async def views(self, listing_id: int, actor: Actor) -> ListingViews | None:
        """Returns the listing as the actor and as visitors see it; None if the actor may not see it."""
        viewer = Viewer.of(actor)
        row: tuple[Any, ...] | None = await self._database.fetch_one(_READ, listing_id, *viewer.parameters)
        if row is None:
            return None
        return ListingViews(_presented(row[:_COUNT], viewer), row[0] if row[_COUNT] else None)

    async def read_for_anyone(self, listing_id: int) -> str | None:
        """Returns the listing as JSON, as visitors see it; None if they may not see it."""
        row = await self._database.fetch_one(READ_FOR_ANYONE, listing_id)
        return None if row is None else str(row[0])

    async def read_many(
        self, listing_ids: Sequence[int], actor: Actor | None, *, metres: Mapping[int, int] = _NO_DISTANCES
    ) -> list[str]:
        """Like `read`, for many listings. Listings that the actor may not see (any more) are absent.

        `metres` has the distances that are shown with them, by id.
        """
        viewer = Viewer.of(actor)
        rows = await self._database.fetch(_READ_MANY, list(listing_ids), *viewer.parameters)
        return [_presented(row[:_COUNT], viewer, metres.get(row[_COUNT])) for row in rows]

    async def front_page(self, *, after: Position, limit: int) -> list[tuple[str, Position]]:
        """Returns the newest available listings after the position for visitors, each as its JSON and its position."""
        rows = await self._database.fetch(front_page_statement(limit), after.key, after.id)
        return [(row[0], Position(*row[1:])) for row in rows]

    async def front_page_of(self, actor: Actor, *, after: Position, limit: int) -> list[tuple[str, Position]]:
        """Returns the same for the actor."""
        viewer = Viewer.of(actor)
        rows = await self._database.fetch(_front_page_of_statement(limit), after.key, *viewer.parameters, after.id)
        return [(_presented(row[:_COUNT], viewer), Position(*row[_COUNT:])) for row in rows]

    async def create(
        self, seller_id: int, new: NewListing, *, days: int = 60, limit: NewAccountLimit | None = None
    ) -> int:
        """Create a listing that ends after so many days, and return its id.

        Raises CategoryNotFound, NoLongerAllowed, or NewAccountLimited if the seller's account is new and has made as
        many listings as the limit says.
        """
        if limit is not None:
            async with self._database.transaction() as transaction:
                await _check_limit(transaction, seller_id, limit)
                return await ListingRepository(transaction).create(seller_id, new, days=days)
        values = {name: getattr(new, name) for name in _FIELDS}
        place_id = await self._places.id_of(new.location)
        row = await self._database.fetch_one(_CREATE, seller_id, *values.values(), place_id, indexed(values), days)
        listing_id, is_allowed = row or (None, False)
        if not is_allowed:
            raise NoLongerAllowed
        if listing_id is None:
            raise CategoryNotFound
        return int(listing_id)

    async def change(self, listing_id: int, change: ListingChange, *, by: int) -> None:
        """Change the fields.

        Raises NoLongerAllowed, CategoryNotFound, or ListingNotFound if the listing is now in the trash.
        """
        names = [name for name in _FIELDS if name in change.values]
        while True:
            vector: list[Any] = []
            as_read: list[Any] = []
            if is_searched(names):
                texts = await self._database.fetch_one(_TEXTS, listing_id)
                if texts is None:
                    raise ListingNotFound
                as_read = [texts[0]]
                vector = [indexed({**dict(zip(INDEXED, texts[1:], strict=True)), **change.values})]
            if await self._change(listing_id, change, names, vector, as_read, by):
                return
            # Somebody else has changed the listing meanwhile: the words are made anew, from the texts as they are now.

    async def _change(
        self, listing_id: int, change: ListingChange, names: Sequence[str], vector: Any, as_read: Any, by: int
    ) -> bool:
        """Returns whether the listing is changed. If not, it is no longer as it was read."""
        set_names = list(names)
        checked = [] if change.category_id is None else [change.category_id]
        values = [change.values[name] for name in names]
        if "location" in change.values:
            set_names.append("place_id")
            values.append(await self._places.id_of(change.values["location"]))
        parameters = [by, *checked, *values, *vector, listing_id, *as_read]
        parameters += [by, details_json({"fields": sorted(names)}), by, listing_id]
        row = await self._database.fetch_one(_change_statement(set_names, checks_category=bool(checked)), *parameters)
        category_is_there, is_changed, is_refused = row or (False, False, False)
        if is_refused:
            raise NoLongerAllowed
        if not category_is_there:
            raise CategoryNotFound
        if not is_changed and not as_read:
            raise ListingNotFound
        return bool(is_changed)

    async def trash(self, listing_id: int, *, by: int) -> None:
        """Move the listing to the trash. Raises NoLongerAllowed, or ListingNotFound if it is already there."""
        if not await self._act(_TRASH, listing_id, by):
            raise ListingNotFound

    async def hide(self, listing_id: int, *, until: datetime | None, reason: str | None, by: int) -> None:
        """Hide a listing, or change until when and why.

        Raises NoLongerAllowed, OwnSanction if another one has hidden this listing of the moderator, or ListingNotFound
        if it is now in the trash.
        """
        details = details_json({"until": rfc3339_or_none(until)})
        if not await self._act(_HIDE, listing_id, until, by, reason, details, self._has_mail):
            raise ListingNotFound

    async def show(self, listing_id: int, *, by: int) -> bool:
        """Unhide a listing. Returns whether it was hidden. Raises NoLongerAllowed, or OwnSanction as `hide` does."""
        return await self._act(_SHOW, listing_id, by, self._has_mail)

    async def renew(self, listing_id: int, *, days: int, pause_seconds: float, by: int) -> None:
        """Let the listing end only after so many days from now, and put it on top of the newest ones.

        Raises NoLongerAllowed, RenewedRecently if that was done in the last `pause_seconds`, or ListingNotFound if the
        listing is now in the trash.
        """
        if await self._act(_RENEW, listing_id, by, days, pause_seconds):
            return
        row = await self._database.fetch_one(_RENEWABLE_AT, listing_id, pause_seconds)
        if row is None:
            raise ListingNotFound
        raise RenewedRecently(*row)

    async def _act(self, statement: Statement, *parameters: Any) -> bool:
        """Returns whether the act changed the listing. Raises NoLongerAllowed, or OwnSanction by a third column."""
        row = await self._database.fetch_one(statement, *parameters)
        is_done, is_refused, *is_own_case = row or (False, False)
        if is_refused:
            raise NoLongerAllowed
        if any(is_own_case):
            raise OwnSanction
        return bool(is_done)


async def _check_limit(transaction: Transaction, seller_id: int, limit: NewAccountLimit) -> None:
    """Raises NewAccountLimited. Of one seller's listings at the same time, each waits for the one before."""
    await transaction.fetch_one(_TAKE_TURN, seller_id)
    row = await transaction.fetch_one(_LIMITED, seller_id, limit.most, limit.days)
    if row is not None:
        raise NewAccountLimited(*row)


async def lock_category(transaction: Transaction, category_id: int) -> None:
    """Prevent a category from being deleted until the transaction ends. Raises CategoryNotFound."""
    if await transaction.fetch_one(_LOCK_CATEGORY, category_id) is None:
        raise CategoryNotFound


def _presented(row: Sequence[Any], viewer: Viewer, metres: int | None = None) -> str:
    """Returns the listing's JSON with the fields that not everybody gets.

    Users learn its VIN, and whether it is one of their favourites; the seller learns how many people's it is instead,
    and moderators who else offers the car. Viewers who may know whether it is hidden learn that, and when it ends.
    """
    json, seller_id, is_hidden, until, reason, expires_at, has_ended, vin, same_vin, favourites = row
    more: dict[str, Any] = {}
    if metres is not None:
        more["distance_m"] = metres
    if viewer.user_id is not None:
        if vin is not None:
            more["vin"] = vin
        if seller_id == viewer.user_id:
            more["favourite_count"] = favourites
        else:
            more["favourite"] = bool(favourites)
    if viewer.sees_hidden or seller_id == viewer.user_id:
        more["hidden"] = is_hidden
        if is_hidden:
            more |= {"hidden_until": rfc3339_or_none(until), "hidden_reason": reason}
        more |= {"expires_at": rfc3339(expires_at), "ended": has_ended}
    if same_vin is not None:
        more["same_vin"] = same_vin
    return f"{json[:-1]},{msgspec.json.encode(more).decode()[1:]}" if more else str(json)
