"""Stores private messages: chooses the statement that a batch needs, and tells what its rows say of each message."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from shared.domain.likeness import Looks, looks_of, packed
from shared.domain.messages import (
    Blocked,
    Blocking,
    InvalidMessage,
    Message,
    MessageRefused,
    NewMessage,
    NoRequests,
    ReadShown,
    SenderGone,
    UnknownRecipient,
    UnreadWarning,
)
from shared.postgres import Database, Statement, Transaction
from shared.repositories.message_columns import COLUMNS, WIDTH
from shared.repositories.message_insert_statements import INSERT, INSERT_COMPARED, INSERT_SETTLED, REFUSAL
from shared.repositories.message_pictures import attach, take
from shared.repositories.recent_texts import HoldLimits, Judged, judge

_BY_CLIENT_REF = Statement(
    "messages_by_client_ref",
    f"""SELECT {COLUMNS}, m.client_ref FROM unnest($1, $2) AS asked (from_id, client_ref)
        JOIN messages m ON m.from_id = asked.from_id AND m.client_ref = asked.client_ref""",
    ("bigint[]", "text[]"),
)


class MessageInserts:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, holds: HoldLimits | None = None) -> None:
        """`holds` says what is held when it is stored; None: nothing is."""
        self._database = database
        self._holds = holds
        self.stored = 0
        """Messages that have been stored, held ones too. Refused ones and repeats do not count."""

    async def insert_with_pictures(self, new: NewMessage, picture_ids: Sequence[int]) -> Message:
        """Store a message and attach pictures that its sender has uploaded, together. It has committed on return.

        A repeat of a `client_ref` returns what was stored first, as it is. Raises MessageRefused.
        """
        async with self._database.transaction() as transaction:
            within = MessageInserts(transaction, self._holds)
            # Pictures are locked before the insert takes its turn: a second request that names them waits here.
            pictures = await take(transaction, new.from_id, picture_ids)
            if pictures is None:
                first = (
                    None
                    if new.client_ref is None
                    else (await within._by_client_ref([new])).get((new.from_id, new.client_ref))
                )
                if first is None:
                    raise InvalidMessage({"pictures": ["Not pictures that you have uploaded and not sent yet."]})
                return first
            answer = await within._insert_one(new)
            if isinstance(answer, MessageRefused):
                raise answer
            shown = await attach(transaction, answer.id, pictures)
        self.stored += within.stored
        return answer if shown is None else replace(answer, pictures=shown)

    async def _insert_one(self, new: NewMessage) -> Message | MessageRefused:
        """Store a message within a transaction.

        The first insert takes the lock of all messages, and keeps it until the commit. So the text is compared before,
        although most texts need not be.
        """
        if self._holds is None:
            [answer] = await self.insert_many([new])
            return answer
        looks = {0: looks_of(new.text)}
        rows = await self._insert_part([new], [0], looks, {0}, self._holds)
        if any(row[REFUSAL] == "to compare" for row in rows):
            # The sender has sent more meanwhile, but cannot any more.
            rows = await self._insert_part([new], [0], looks, {0}, self._holds)
        [answer] = await self._answers([new], rows)
        return answer

    async def insert_many(self, batch: Sequence[NewMessage]) -> list[Message | MessageRefused]:
        """Store the messages that may be stored; each has committed on return.

        A batch of people who know each other needs less looking up than one with a first message or an answer to it.
        All are stored by one statement, unless a sender wrote to so many people of late that texts have to be compared.

        Returns the stored message or the refusal of each, in the order of the batch. If a sender has used a
        `client_ref` before, the message that was stored first is returned, marked if it would now be refused.
        """
        rows = await self._database.fetch(INSERT_SETTLED, *_columns(batch), self._holds is not None)
        unsettled = {row[0] - 1 for row in rows if row[REFUSAL] == "not settled"}
        if not unsettled:
            return await self._answers(batch, rows)
        if self._holds is None:
            rows = await self._database.fetch(INSERT, *_columns(batch), False, [], [], [], [], [], 0, 0, 0.0)
            return await self._answers(batch, rows)
        looks: dict[int, Looks] = {}
        for index in sorted(unsettled):
            looks[index] = looks_of(batch[index].text)
            # That takes milliseconds for a long text, and others have their turn in between.
            await asyncio.sleep(0)
        compared: set[int] = set()
        answers: list[Message | MessageRefused] = []
        while len(answers) < len(batch):
            part = _part(batch, len(answers), compared)
            rows = await self._insert_part(batch, part, looks, compared, self._holds)
            suspects = {batch[part[row[0] - 1]].from_id for row in rows if row[REFUSAL] == "to compare"}
            if suspects:
                compared |= {index for index in unsettled if batch[index].from_id in suspects}
            else:
                answers += await self._answers([batch[index] for index in part], rows)
        return answers

    async def _insert_part(
        self,
        batch: Sequence[NewMessage],
        part: Sequence[int],
        looks: Mapping[int, Looks],
        compared: Set[int],
        limits: HoldLimits,
    ) -> list[tuple[Any, ...]]:
        """Store the messages with these indices, after comparing those of `compared`."""
        asked = [index for index in part if index in compared]
        judged: dict[int, Judged] = {}
        if asked:
            found = await judge(self._database, limits, [(batch[index], looks[index]) for index in asked])
            judged = dict(zip(asked, found, strict=True))
        of_sender: defaultdict[int, set[int]] = defaultdict(set)
        earlier = []
        for index in part:
            people = of_sender[batch[index].from_id]
            earlier.append(len(people - {batch[index].to_id}))
            if index in looks:
                people.add(batch[index].to_id)
        return await self._database.fetch(
            INSERT_COMPARED if judged else INSERT,
            *_columns([batch[index] for index in part]),
            True,
            [packed(looks[index].sketch).hex() if index in looks else None for index in part],
            [index in looks and looks[index].is_short_question for index in part],
            earlier,
            [index in judged and judged[index].is_held for index in part],
            [judged[index].compared_to if index in judged else None for index in part],
            limits.people,
            limits.questions,
            limits.seconds,
        )

    async def _answers(
        self, batch: Sequence[NewMessage], rows: Sequence[tuple[Any, ...]]
    ) -> list[Message | MessageRefused]:
        """Returns what the rows of an insert say of each message."""
        refused: dict[int, str] = {}
        shown: list[ReadShown] = []
        # Ids are assigned in the order of the batch, which tells messages without a `client_ref` apart.
        plain: list[tuple[Any, ...]] = []
        by_ref: dict[tuple[int, str], tuple[Any, ...]] = {}
        for row in rows:
            if row[REFUSAL] == "read shown":
                shown.append(ReadShown(row[1], row[8], row[0]))
            elif row[REFUSAL] is not None:
                refused[row[0] - 1] = row[REFUSAL]
            elif row[2] is None:
                plain.append(row)
            else:
                by_ref[row[1], row[2]] = row
        self.stored += len(plain) + len(by_ref)
        answers: dict[int, Message | MessageRefused] = {}
        repeated: list[int] = []
        next_plain = iter(plain)
        for index, new in enumerate(batch):
            if index in refused:
                answers[index] = _refusal(refused[index])
                # A repeat of a stored message succeeds, even if the recipient has deleted the account since.
                if new.client_ref is not None:
                    repeated.append(index)
            elif new.client_ref is None:
                answers[index] = _stored(new, next(next_plain))
            elif (new.from_id, new.client_ref) in by_ref:
                answers[index] = _stored(new, by_ref.pop((new.from_id, new.client_ref)))
            else:
                repeated.append(index)
        if repeated:
            firsts = await self._by_client_ref([batch[index] for index in repeated])
            for index in repeated:
                first = firsts.get((batch[index].from_id, batch[index].client_ref or ""))
                if first is not None:
                    answers[index] = replace(first, only_for_sender=True) if index in refused else first
        for read in shown:
            _attach(read, batch, answers)
        return [answers[index] for index in range(len(batch))]

    async def _by_client_ref(self, batch: Sequence[NewMessage]) -> dict[tuple[int, str], Message]:
        """Returns stored messages by sender and `client_ref`. A new statement sees rows that the insert waited for."""
        pairs = list({(new.from_id, new.client_ref) for new in batch})
        rows = await self._database.fetch(_BY_CLIENT_REF, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return {(row[1], row[WIDTH]): Message(*row[:WIDTH]) for row in rows}


def _stored(new: NewMessage, row: tuple[Any, ...]) -> Message:
    return Message(
        row[0],
        new.from_id,
        new.to_id,
        new.text,
        new.listing_id,
        row[3],
        is_request=row[4],
        is_held=row[6],
        is_declined=row[5],
    )


def _attach(read: ReadShown, batch: Sequence[NewMessage], answers: dict[int, Message | MessageRefused]) -> None:
    """Attach what is shown to the first message between the two that was stored."""
    for index, new in enumerate(batch):
        answer = answers[index]
        if {new.from_id, new.to_id} == {read.by_id, read.other_id} and isinstance(answer, Message):
            answers[index] = replace(answer, shows_read=(*answer.shows_read, read))
            return


def _columns(batch: Sequence[NewMessage]) -> tuple[list[Any], ...]:
    return (
        [new.from_id for new in batch],
        [new.to_id for new in batch],
        [new.text for new in batch],
        [new.listing_id for new in batch],
        [new.client_ref for new in batch],
    )


def _part(batch: Sequence[NewMessage], start: int, compared: Set[int]) -> list[int]:
    """Returns the indices of the messages from `start` that one statement may store.

    Whether a message is held may depend on an earlier one of the two people: that one must be stored before.
    """
    part: list[int] = []
    pairs: dict[frozenset[int], bool] = {}
    for index in range(start, len(batch)):
        pair = frozenset((batch[index].from_id, batch[index].to_id))
        if pair in pairs and (pairs[pair] or index in compared):
            break
        pairs[pair] = pairs.get(pair, False) or index in compared
        part.append(index)
    return part


def _refusal(reason: str) -> MessageRefused:
    match reason:
        case "user not found":
            return UnknownRecipient()
        case "blocked":
            return Blocked()
        case "blocking":
            return Blocking()
        case "no requests":
            return NoRequests()
        case "sender gone":
            return SenderGone()
        case "unread warning":
            return UnreadWarning()
        case _:
            return InvalidMessage({"listing_id": ["No such listing."]})
