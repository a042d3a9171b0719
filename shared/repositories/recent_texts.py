"""SQL that finds to how many people somebody wrote nearly the same of late, and decides which messages are held.

messages.py enters each message to somebody who has never written to its sender, in the statement that stores it. It
asks here only about senders who have written to many, and stores nothing by an answer that is out of date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from shared.domain.likeness import Looks, Sketch, are_alike, unpacked
from shared.domain.messages import NewMessage
from shared.postgres import Database, Statement, Transaction
from shared.settings import Settings

MOST_COMPARED = 500
"""Whoever wrote more messages than this without an answer, within the time that counts, has all further ones held."""
MAX_REMOVED = 1000

_RECENT = Statement(
    "recent_texts_of_senders",
    """SELECT s.from_id, (SELECT max(a.id) FROM recent_texts a WHERE a.from_id = s.from_id), r.to_id, r.sketch
       FROM unnest($1) AS s (from_id) LEFT JOIN LATERAL (
           SELECT r.to_id, r.sketch FROM recent_texts r
           WHERE r.from_id = s.from_id AND r.sent_at > now() - $2 * interval '1 second'
             AND (SELECT true FROM messages m WHERE m.from_id = r.to_id AND m.to_id = r.from_id AND m.held_at IS NULL
                  LIMIT 1) IS NULL
           ORDER BY r.id DESC LIMIT $3
       ) AS r ON true""",
    ("bigint[]", "double precision", "integer"),
)
_ASKED = Statement(
    "recent_texts_asked",
    """SELECT (SELECT true FROM messages m WHERE m.from_id = t.to_id AND m.to_id = t.from_id AND m.held_at IS NULL
               LIMIT 1) IS TRUE,
              (SELECT l.seller_id = t.to_id FROM listings l WHERE l.id = t.listing_id) IS TRUE
       FROM unnest($1, $2, $3) WITH ORDINALITY AS t (from_id, to_id, listing_id, n) ORDER BY t.n""",
    ("bigint[]", "bigint[]", "bigint[]"),
)
_REMOVE_OLD = Statement(
    "recent_texts_remove_old",
    """DELETE FROM recent_texts WHERE id = ANY (ARRAY(
           SELECT id FROM recent_texts WHERE sent_at < now() - $1 * interval '1 second' LIMIT $2))""",
    ("double precision", "integer"),
)


class HoldLimits(NamedTuple):
    """To how many people who have not answered one may write nearly the same within `seconds`; the rest is held."""

    people: int
    questions: int
    """The number for short questions, and for messages about the recipient's own listing."""
    seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Returns the limits of the settings; None if nothing is held."""
        if settings.similar_messages_people == 0 or not settings.rate_limits:
            return None
        people = settings.similar_messages_people
        return cls(people, max(people, settings.similar_questions_people), settings.similar_messages_seconds)


class Judged(NamedTuple):
    """Whether a message is held, and the sender's last text with which it was compared."""

    is_held: bool
    compared_to: int


async def judge(
    database: Database | Transaction, limits: HoldLimits, batch: Sequence[tuple[NewMessage, Looks]]
) -> list[Judged]:
    """Compare each message with what its sender wrote before, also with the earlier ones of the batch."""
    senders = sorted({new.from_id for new, _ in batch})
    last: dict[int, int] = {}
    texts: dict[int, list[tuple[int, Sketch]]] = {sender: [] for sender in senders}
    rows = await database.fetch(_RECENT, senders, limits.seconds, MOST_COMPARED + 1)
    for sender, last_id, to_id, packed in rows:
        last[sender] = last_id or 0
        if to_id is not None:
            texts[sender].append((to_id, unpacked(bytes(packed))))
    asked = await database.fetch(
        _ASKED,
        [new.from_id for new, _ in batch],
        [new.to_id for new, _ in batch],
        [new.listing_id for new, _ in batch],
    )
    judged = []
    for (new, looks), (is_answered, is_about) in zip(batch, asked, strict=True):
        sent = texts[new.from_id]
        is_held = False
        if not is_answered:
            most = limits.questions if is_about or looks.is_short_question else limits.people
            is_held = len(sent) > MOST_COMPARED or _went_to(most, new.to_id, looks.sketch, sent)
            sent.append((new.to_id, looks.sketch))
        judged.append(Judged(is_held, last[new.from_id]))
    return judged


def _went_to(most: int, to_id: int, of: Sketch, sent: Sequence[tuple[int, Sketch]]) -> bool:
    """Returns whether nearly the same text went to as many people as `most`, `to_id` not among them."""
    people: set[int] = set()
    for other_id, other in sent:
        if len(people) >= most:
            break
        if other_id != to_id and other_id not in people and are_alike(of, other):
            people.add(other_id)
    return len(people) >= most


async def remove_old_texts(transaction: Transaction, seconds: float) -> bool:
    """Remove some that are older than this. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, seconds, MAX_REMOVED) < MAX_REMOVED
