"""The weights that are kept of the moderators' queue are those that the rows have, after any history."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any

import psycopg2.errors
import pytest

from shared.domain.moderation import DEEDS, FINDING_WEIGHTS, HOLD_WEIGHT, MAX_WEIGHT_OF_DEEDS, WEIGHTS, GroupPosition
from shared.domain.reports import ReportReason
from shared.postgres import Database, Statement
from shared.repositories.moderation_queue import ModerationQueue
from shared.repositories.queue_weights import QueueWeights
from tests.support.waiting import eventually

MODERATOR = 2
LISTINGS = 8
PEOPLE = range(3, 9)
"""Who offers cars, and is reported. All ten report."""
WRITERS, WEIGHERS = 4, 2
KEPT = """SELECT listing_id, user_id, person_id, weight, since FROM queue_groups
          ORDER BY -weight, since, listing_id, user_id"""

Key = tuple[int, int]
Kept = tuple[int, int, int, int, datetime]

CHANGES = (
    """INSERT INTO reports (listing_id, reporter_id, reason) SELECT {listing}, {who}, '{reason}'
       WHERE EXISTS (SELECT FROM listings WHERE id = {listing}) ON CONFLICT DO NOTHING""",
    """INSERT INTO reports (listing_id, reporter_id, reason) SELECT {listing}, {who}, '{reason}'
       WHERE EXISTS (SELECT FROM listings WHERE id = {listing}) ON CONFLICT DO NOTHING""",
    """INSERT INTO reports (user_id, reporter_id, message_id, reason) VALUES ({person}, {who}, {n}, '{reason}')
       ON CONFLICT DO NOTHING""",
    "UPDATE reports SET resolved_at = now(), resolved_by = 1 WHERE id %% 3 = {n} %% 3 AND resolved_at IS NULL",
    "UPDATE reports SET resolved_at = NULL, resolved_by = NULL WHERE id %% 11 = {n} AND resolved_at IS NOT NULL",
    """INSERT INTO findings (kind, user_id, listing_id, other_listing_id) SELECT '{finding}', l.seller_id, l.id, o.id
       FROM listings l, listings o WHERE l.id = {listing} AND o.id = {other} AND l.id <> o.id ON CONFLICT DO NOTHING""",
    "UPDATE findings SET decided_at = CASE WHEN decided_at IS NULL THEN now() END WHERE id %% 5 = {n}",
    """WITH hold AS (INSERT INTO holds (user_id) VALUES ({person}) ON CONFLICT DO NOTHING RETURNING id)
       INSERT INTO held_messages (message_id, hold_id, from_id, to_id) SELECT id, id, {person}, {who} FROM hold""",
    """INSERT INTO held_messages (message_id, hold_id, from_id, to_id)
       SELECT 1000 + 100 * {n} + id, id, user_id, {who} FROM holds WHERE decided_at IS NULL AND user_id = {person}
       ON CONFLICT DO NOTHING""",
    "DELETE FROM held_messages WHERE from_id = {person}",
    "UPDATE holds SET decided_at = now(), decision = 'kept' WHERE user_id = {person} AND decided_at IS NULL",
    """WITH done AS (INSERT INTO audit (actor_id, action, target_type, target_id)
           VALUES (1, '{deed}', 'user', {person}) RETURNING target_id)
       INSERT INTO sanctions (kind, user_id, by_id) SELECT 'warning', target_id, 1 FROM done""",
    """WITH done AS (INSERT INTO audit (actor_id, action, target_type, target_id)
           SELECT 1, 'listing_hide', 'listing', id FROM listings WHERE id = {listing} RETURNING target_id)
       INSERT INTO sanctions (kind, user_id, listing_id, by_id)
       SELECT 'hiding', l.seller_id, l.id, 1 FROM done JOIN listings l ON l.id = done.target_id""",
    """UPDATE sanctions SET objection = 'No', objected_at = now(), outcome = 'lifted', answer = 'Right',
           decided_at = now(), decided_by = 1 WHERE id %% 4 = {n} AND outcome IS NULL""",
)
"""What changes a weight, or what is shown of the queue."""
RARE = ("DELETE FROM listings WHERE id = {listing}",)


def change(random: Random) -> str:
    """A statement of a history."""
    return random.choice(RARE if random.random() < 0.01 else CHANGES).format(
        listing=random.randint(1, LISTINGS),
        other=random.randint(1, LISTINGS),
        person=random.choice(PEOPLE),
        who=random.randint(1, 10),
        reason=random.choice(list(ReportReason)).value,
        finding=random.choice(list(FINDING_WEIGHTS)).value,
        deed=random.choice([name for name in DEEDS if name != "listing_hide"]),
        n=random.randrange(11),
    )


async def begin(database: Database) -> None:
    sellers = "ARRAY[" + ", ".join(map(str, PEOPLE)) + "]"
    await database.execute(Statement("", "INSERT INTO categories (id, name) VALUES (1, 'Cars')"))
    await database.execute(
        Statement(
            "",
            f"""INSERT INTO listings (id, seller_id, category_id, title, content)
                SELECT n, ({sellers})[1 + n %% {len(PEOPLE)}], 1, 'Car', 'Good'
                FROM generate_series(1, {LISTINGS}) AS n""",
        )
    )


async def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return await database.fetch(Statement("", sql))


async def weighed(database: Database, as_of: datetime | None = None) -> list[Kept]:
    """What the queue has to keep, in its order: weighed from nothing. As it was at the time `as_of`, if it is given."""

    def is_then(made: datetime, closed: datetime | None) -> bool:
        if as_of is None:
            return closed is None
        return made <= as_of and (closed is None or closed > as_of)

    entries: list[tuple[Key, int, int, datetime, bool]] = []
    """The group, who reported it, the weight, when it was made, and whether it is open."""
    for listing, user, reporter, reason, made, closed in await rows(
        database, "SELECT listing_id, user_id, reporter_id, reason, created_at, resolved_at FROM reports"
    ):
        if is_then(made, closed):
            key = (listing or 0, user or 0)
            entries.append((key, reporter, WEIGHTS[ReportReason(reason)], made, closed is None))
    found = await rows(database, "SELECT listing_id, kind, created_at, decided_at FROM findings")
    weights = {kind.value: weight for kind, weight in FINDING_WEIGHTS.items()}
    entries += [((one, 0), 0, weights[kind], made, not end) for one, kind, made, end in found if is_then(made, end)]
    held = await rows(
        database,
        """SELECT o.user_id, o.created_at, o.decided_at FROM holds o
           WHERE o.decided_at IS NOT NULL OR o.id IN (SELECT hold_id FROM held_messages)""",
    )
    entries += [((0, who), 0, HOLD_WEIGHT, made, not end) for who, made, end in held if is_then(made, end)]

    sellers = dict(await rows(database, "SELECT id, seller_id FROM listings"))
    lifted = await rows(database, "SELECT user_id, given_at, decided_at FROM sanctions WHERE outcome = 'lifted'")
    deeds: dict[int, int] = defaultdict(int)
    for action, kind, target, at in await rows(
        database, "SELECT action, target_type, target_id, created_at FROM audit"
    ):
        person = target if kind == "user" else sellers.get(target)
        stands = not any(
            (user, given) == (person, at) and (as_of is None or decided <= as_of) for user, given, decided in lifted
        )
        if person is not None and stands and (as_of is None or at <= as_of):
            deeds[person] += DEEDS[action]

    groups = []
    for key in {entry[0] for entry in entries}:
        own = [entry for entry in entries if entry[0] == key]
        worst: dict[int, int] = defaultdict(int)
        for _, source, weight, _, _ in own:
            worst[source] = max(worst[source], weight)
        if any(is_open for *_, is_open in own):
            person = key[1] or sellers[key[0]]
            total = sum(worst.values()) + min(deeds[person], MAX_WEIGHT_OF_DEEDS)
            groups.append((*key, person, total, min(made for _, _, _, made, _ in own)))
    return sorted(groups, key=lambda one: (-one[3], one[4], one[0], one[1]))


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_after_changes_at_the_same_time_is_what_is_weighed_from_nothing(
    database: Database, seed: int
) -> None:
    await begin(database)
    weights, is_done = QueueWeights(database), asyncio.Event()

    async def write(random: Random) -> None:
        for _ in range(60):
            with suppress(Undone, psycopg2.errors.IntegrityError):
                async with database.transaction() as transaction:
                    await transaction.execute(Statement("", change(random)))
                    # Somebody who is slow to commit, so that others are weighed meanwhile.
                    await transaction.execute(Statement("", "SELECT pg_sleep(%s)"), random.random() / 100)
                    if random.random() < 0.1:
                        raise Undone

    async def weigh(random: Random) -> None:
        while not is_done.is_set():
            await weights.weigh(random.randint(1, 5))

    weighing = [asyncio.create_task(weigh(Random(seed))) for _ in range(WEIGHERS)]
    await asyncio.gather(*(write(Random(WRITERS * seed + number)) for number in range(WRITERS)))
    is_done.set()
    await asyncio.gather(*weighing)
    while await weights.weigh(100):
        pass
    kept = await rows(database, KEPT)
    assert len(kept) >= 3
    assert kept == await weighed(database)


async def test_who_weighs_later_is_not_overtaken_by_who_began_before(database: Database) -> None:
    await begin(database)
    weights = QueueWeights(database)
    reported = "INSERT INTO reports (user_id, reporter_id, reason) VALUES (3, %s, 'spam')"

    async def are_waiting(number: int) -> bool:
        locks = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(await rows(database, locks)) == number

    async with database.transaction() as holder:
        async with database.transaction() as late:
            # The first change is committed last.
            await late.execute(Statement("", reported), 1)
            await database.execute(Statement("", reported), 2)
            await holder.execute(Statement("", "SELECT FROM queue_changes FOR UPDATE"))
            early = asyncio.create_task(weights.weigh(1))
            assert await eventually(lambda: are_waiting(1))
        after = asyncio.create_task(weights.weigh(1))

        async def has_its_turn_or_waits() -> bool:
            return after.done() or await are_waiting(2)

        assert await eventually(has_its_turn_or_waits)
    assert [await early, await after] == [1, 1]
    assert await rows(database, KEPT) == await weighed(database)


class Undone(Exception):
    """A transaction that is not committed."""


@pytest.mark.parametrize("seed", range(4))
async def test_each_page_has_the_groups_as_they_were_whatever_is_weighed_meanwhile(
    database: Database, seed: int
) -> None:
    await begin(database)
    random, queue, weights = Random(seed), ModerationQueue(database), QueueWeights(database)
    shown = 0
    for _ in range(25):
        after: GroupPosition | None = None
        while True:
            for _ in range(random.randint(0, 4)):
                with suppress(psycopg2.errors.UniqueViolation):
                    await database.execute(Statement("", change(random)))
            if random.random() < 0.5:
                await weights.weigh(random.randint(1, 10))
            page = await queue.page(after, 2, by=MODERATOR + 1)
            if not page:
                break
            as_of = page[0][1].as_of
            expected = [one for one in await weighed(database, as_of) if one[2] != MODERATOR + 1]
            if after is not None:
                seen = (-after.weight, after.since, after.listing_id, after.user_id)
                expected = [one for one in expected if (-one[3], one[4], one[0], one[1]) > seen]
            assert [(at.listing_id, at.user_id, group.person_id, group.weight, group.since) for group, at in page] == (
                expected[:2]
            )
            shown += len(page)
            after = page[-1][1]
    assert shown >= 50


async def test_weights_of_another_version_are_not_believed_and_made_anew(database: Database) -> None:
    await begin(database)
    for number in range(40):
        await database.execute(
            Statement(
                "",
                CHANGES[2 * (number % 2)].format(
                    listing=1 + number % LISTINGS,
                    person=PEOPLE[number % len(PEOPLE)],
                    who=1 + number % 10,
                    n=1,
                    reason="spam",
                ),
            )
        )
    weights, queue = QueueWeights(database), ModerationQueue(database)
    while await weights.weigh(7):
        pass
    right = await rows(database, KEPT)
    pages = [group.subject for group, _ in await queue.page(None, 50, by=MODERATOR)]
    for version in ("version - 1", "version + 1"):
        wrong = f"UPDATE queue_groups SET weight = 50 - weight, version = {version} WHERE user_id = 0"
        await database.execute(Statement("", wrong))
        assert [group.subject for group, _ in await queue.page(None, 50, by=MODERATOR)] == pages
        while await weights.weigh(2):
            pass
        # A process of a later version has its own weights, and keeps them.
        assert (await rows(database, KEPT) == right) is (version == "version - 1")
