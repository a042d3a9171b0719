"""The events of private chat, each declared once for sockets and REST.

An event is a dataclass. Its fields are the payload that a client pushes, or the body that it posts; `happen` carries
the event out. The gateway's channel accepts all EVENTS; a route accepts one of them (api/private_chat.py).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from shared import tracing
from shared.access.actor import Actor
from shared.domain.declared import Different, Id, Identifier, Label, OtherUser, Text
from shared.domain.messages import (
    MAX_CLIENT_REF_LENGTH,
    MAX_MESSAGE_PICTURES,
    MAX_TEXT_LENGTH,
    NewMessage,
    NotConfirmed,
    UnreadWarning,
)
from shared.events import topics
from shared.events.messages import READ, SEND, message_payload, read_payload, reads_shown, told_topics
from shared.postgres import Database
from shared.repositories.beginnings import BeginningRepository
from shared.repositories.blocks import BlockRepository
from shared.repositories.contacts import ContactRepository
from shared.repositories.message_inserts import MessageInserts
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.repositories.recent_texts import HoldLimits
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Chats:
    """What the events need. Each process has one."""

    messages: MessageRepository
    inserts: MessageInserts
    beginnings: BeginningRepository
    writer: MessageWriter
    blocks: BlockRepository
    contacts: ContactRepository

    @classmethod
    def of(cls, database: Database, settings: Settings) -> Self:
        """Returns what events need of this database. Close the writer before the database."""
        inserts = MessageInserts(database, HoldLimits.of(settings))
        beginnings = BeginningRepository(database, most=settings.new_account_people, days=settings.new_account_days)
        writer_class = MessageWriter
        if tracing.active() is not None:
            from shared.tracing.writer import TracedMessageWriter as writer_class
        return cls(
            messages=MessageRepository(database),
            inserts=inserts,
            beginnings=beginnings,
            writer=writer_class.from_settings(inserts, settings),
            blocks=BlockRepository(database),
            contacts=ContactRepository(database),
        )


class Outcome(NamedTuple):
    """The result of an event: the payload to broadcast, its topics, and the answer to the client."""

    topics: Sequence[str] = ()
    payload: Any = None
    answer: Mapping[str, Any] | None = None
    more: Sequence[tuple[Sequence[str], str, Any]] = ()
    """What else to broadcast then: topics, event and payload of each."""


class Event(ABC):
    """An act of a user in their private chats.

    Every push makes one. Making a frozen dataclass takes three times as long, so events are not frozen.
    """

    __slots__ = ()
    NAME: ClassVar[str]
    """The name of the event that clients push and that is broadcast."""

    @classmethod
    def budget(cls, settings: Settings) -> tuple[float, float]:
        """Returns how often a user may push it: per second in the long run, and at once."""
        return settings.sends_per_second, settings.send_burst

    @abstractmethod
    async def happen(self, chats: Chats, user_id: int) -> Outcome:
        """Carry the event out for this user. Raises MessageRefused or DatabaseUnavailable."""


@dataclass(slots=True, kw_only=True)
class Send(Event):
    """Sends a message: stores it, broadcasts it to both sides in the form of `message_payload`, then answers."""

    NAME = SEND

    to: Annotated[int, OtherUser()]
    message: Annotated[str, Text(MAX_TEXT_LENGTH, unless="pictures"), "With pictures it may be empty."]
    listing_id: Id | None = None
    client_ref: Annotated[str, Label(MAX_CLIENT_REF_LENGTH)] | None = None
    pictures: (
        Annotated[
            list[int],
            Different(Identifier(), MAX_MESSAGE_PICTURES),
            "Ids of pictures that you have uploaded for a message, in their order.",
        ]
        | None
    ) = None

    async def happen(self, chats: Chats, user_id: int) -> Outcome:
        new = NewMessage(user_id, self.to, self.message, self.listing_id, self.client_ref)
        # On return the message is committed. A failure from here on loses nothing: clients that miss the broadcast
        # catch up.
        if self.pictures:
            message = await chats.inserts.insert_with_pictures(new, self.pictures)
        else:
            message = await chats.writer.send(new)
        # A repeated `client_ref` returns the message that was stored first, even if the recipient differs.
        told = message_payload(message)
        answer = {"id": told["id"], "inserted_at": told["inserted_at"]}
        if message.is_held:
            answer["held"] = True
        if message.deleted_at is not None:
            # A repeat of a message that its sender has deleted since does not bring it back.
            answer["deleted_at"] = told["deleted_at"]
        return Outcome(
            told_topics(message), told, answer, reads_shown(message.shows_read) if message.shows_read else ()
        )


@dataclass(slots=True, kw_only=True)
class Read(Event):
    """Notes that the user has read the messages of `with` up to a message id. Both get `{by, with, up_to}`.

    Only the user's own devices get it if one of them has blocked the other, or has not accepted the other's request.
    """

    NAME = READ

    with_: Annotated[int, OtherUser()]
    up_to: Id

    @classmethod
    def budget(cls, settings: Settings) -> tuple[float, float]:
        return settings.reads_per_second, settings.read_burst

    async def happen(self, chats: Chats, user_id: int) -> Outcome:
        marked = await chats.messages.mark_read(user_id, self.with_, self.up_to)
        if marked is None:
            return Outcome()
        up_to, is_told = marked
        told = read_payload(user_id, self.with_, up_to)
        return Outcome(topics.private_chats(self.with_, user_id) if is_told else [topics.private_chat(user_id)], told)


@dataclass(slots=True, kw_only=True)
class Typing(Event):
    """Tells `to` that the user is writing, with `{from, to}`.

    Nobody is told if one of them has blocked the other, or has not accepted the other's request, or if neither has
    written to the other.
    """

    NAME = "typing"

    to: Annotated[int, OtherUser()]

    @classmethod
    def budget(cls, settings: Settings) -> tuple[float, float]:
        return settings.typings_per_second, settings.typing_burst

    async def happen(self, chats: Chats, user_id: int) -> Outcome:
        if not await chats.contacts.are_in_touch(user_id, self.to):
            return Outcome()
        return Outcome([topics.private_chat(self.to)], {"from": str(user_id), "to": str(self.to)})


def is_limited(actor: Actor) -> bool:
    """True if `refuse_beginning` has to look at what the user sends."""
    return actor.must_confirm or actor.new_until > time.time()


async def refuse_beginning(event: Event, chats: Chats, actor: Actor) -> None:
    """Raises NotConfirmed if a user who has to confirm the address writes to somebody who has not written to them.

    It asks whether the address is confirmed by now: a connection may be older than the confirmation. Raises
    TooManyNewPeople if a new account writes first to more people than it may in a day.
    """
    if not isinstance(event, Send):
        return
    if actor.must_confirm and not await chats.messages.may_write(actor.user_id, event.to):
        raise NotConfirmed
    if actor.new_until > time.time():
        await chats.beginnings.begin(actor.user_id, event.to)


async def refuse_warned(event: Event, chats: Chats, user_id: int) -> None:
    """Raises UnreadWarning if a user who was warned writes before having read the warning.

    It asks whether it is read by now: a connection may not know yet.
    """
    if isinstance(event, Send) and await chats.messages.has_warning(user_id):
        raise UnreadWarning


EVENTS: Mapping[str, type[Event]] = MappingProxyType({kind.NAME: kind for kind in (Send, Read, Typing)})
