"""Tests the channel of private messages without sockets and Postgres: what it stores, broadcasts and replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.channels.own_topic import CATCH_UP_LIMIT
from gateway.channels.private_chat import PrivateChat
from gateway.channels.rate_limit import UserBuckets
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.access.admission import BadToken
from shared.domain.messages import Blocked, Message, NewMessage, TooManyNewPeople
from shared.domain.users import Role
from shared.events.messages import SEND
from shared.postgres import DatabaseUnavailable
from shared.private_chat import EVENTS, Read, Typing
from shared.repositories.messages import CaughtUp
from shared.repositories.shared_reads import SharedReads
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import Client, actor, broadcast, crashed, reply, start_node
from tests.shared.domain.test_text import INVISIBLE

ANN, BOB, EVE, NOBODY = 1, 2, 3, 99
READ, TYPING = Read.NAME, Typing.NAME
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Post:
    """Stands for Postgres, with users 1 to 3. It fails while `is_away`. Eve has blocked everybody."""

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.read: dict[tuple[int, int], int] = {}
        self.is_away = False
        self.is_limited = False
        self.has_warning_to_read = False
        self.asked_for: list[tuple[int, int]] = []
        self.deleted: tuple[Sequence[int], bool] = ((), False)
        self.tokens: dict[str, Actor] = {}
        self.context = SimpleNamespace(
            settings=Settings(),
            admission=SimpleNamespace(admit=self.admit, is_registered=self.is_registered),
            chats=SimpleNamespace(
                contacts=SimpleNamespace(are_in_touch=self.are_in_touch),
                messages=SimpleNamespace(
                    mark_read=self.mark_read, may_write=self.may_write, has_warning=self.has_warning
                ),
                beginnings=SimpleNamespace(begin=self.begin),
                writer=SimpleNamespace(send=self.send),
            ),
            budgets=None,
            join_budget=None,
            catch_ups=SharedReads(self.catch_ups, most=50),
        )

    def fail_if_away(self) -> None:
        if self.is_away:
            raise DatabaseUnavailable("away")

    async def is_registered(self, user_id: int) -> bool:
        self.fail_if_away()
        return user_id != NOBODY

    async def are_in_touch(self, one_id: int, other_id: int) -> bool:
        self.fail_if_away()
        return EVE not in (one_id, other_id)

    async def may_write(self, from_id: int, to_id: int) -> bool:
        self.fail_if_away()
        return any((one.from_id, one.to_id) == (to_id, from_id) for one in self.stored)

    async def has_warning(self, user_id: int) -> bool:
        self.fail_if_away()
        return self.has_warning_to_read

    async def begin(self, user_id: int, other_id: int) -> None:
        if self.is_limited:
            raise TooManyNewPeople(NOW, 60)

    async def send(self, new: NewMessage) -> Message:
        self.fail_if_away()
        if new.to_id == EVE:
            raise Blocked
        message = Message(len(self.stored) + 1, new.from_id, new.to_id, new.text, new.listing_id, NOW, None)
        self.stored.append(message)
        return message

    async def catch_ups(self, asked: Sequence[tuple[int, int]]) -> dict[tuple[int, int], CaughtUp]:
        self.fail_if_away()
        self.asked_for += asked
        found = {}
        for user_id, after_id in asked:
            messages = [one for one in self.stored if user_id in (one.from_id, one.to_id) and one.id > after_id]
            found[user_id, after_id] = CaughtUp(
                messages[:CATCH_UP_LIMIT], len(messages) <= CATCH_UP_LIMIT, *self.deleted
            )
        return found

    async def mark_read(self, user_id: int, other_id: int, up_to: int) -> tuple[int, bool] | None:
        self.fail_if_away()
        if self.read.get((user_id, other_id), 0) >= up_to:
            return None
        self.read[user_id, other_id] = up_to
        return up_to, EVE not in (user_id, other_id)

    async def admit(self, token: str) -> Actor:
        self.fail_if_away()
        try:
            return self.tokens[token]
        except KeyError:
            raise BadToken("bad") from None


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def node(post: Post) -> AsyncIterator[Endpoint]:
    endpoint = await start_node({"private_chat:*": PrivateChat}, context=post.context)
    yield endpoint
    await endpoint.stop()


async def chatting(node: Endpoint, user_id: int) -> Client:
    client = Client(node, user_id)
    await client.joins(f"private_chat:{user_id}")
    return client


def says(client: Client, event: str, payload: Any, ref: str = "r1") -> None:
    client.says("j1", ref, f"private_chat:{client.actor.user_id}", event, payload)


def answer(client: Client, response: Any = None, status: str = "ok", ref: str = "r1") -> Any:
    return reply(ref, response, status, topic=f"private_chat:{client.actor.user_id}")


def refusal(client: Client, reason: str, ref: str = "r1") -> Any:
    return answer(client, {"reason": reason}, "error", ref)


# Joining


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (f"private_chat:{BOB}", "unauthorized"),
        (f"private_chat:{NOBODY}", "user not found"),
        ("private_chat:x", "user not found"),
        ("private_chat:", "user not found"),
    ],
)
async def test_a_user_can_join_only_their_own_topic(node: Endpoint, topic: str, reason: str) -> None:
    client = Client(node, ANN)
    client.says("j1", "r1", topic, "phx_join")
    assert await client.gets(1) == [reply("r1", {"reason": reason}, "error", topic=topic)]


@pytest.mark.parametrize("params", [{}, [], None, 5, "x", {"after_id": None}])
async def test_a_join_without_after_id_gets_no_messages(node: Endpoint, post: Post, params: Any) -> None:
    client = Client(node, ANN)
    client.says("j1", "r1", f"private_chat:{ANN}", "phx_join", params)
    assert client.take() == [answer(client)]
    assert post.asked_for == []


@pytest.mark.parametrize(
    ("deleted", "has_more", "more"),
    [
        ((), False, {}),
        ((5, 2), False, {"deleted": [5, 2]}),
        ((5, 2), True, {"deleted": [5, 2], "more_deleted": True}),
    ],
)
async def test_the_reply_to_a_join_names_deleted_messages_only_if_there_are_any(
    node: Endpoint, post: Post, deleted: Sequence[int], has_more: bool, more: dict[str, Any]
) -> None:
    post.deleted = (deleted, has_more)
    client = Client(node, ANN)
    client.says("j1", "r1", f"private_chat:{ANN}", "phx_join", {"after_id": 7})
    assert await client.gets(1) == [answer(client, {"messages": [], "complete": True, **more})]


@pytest.mark.parametrize(("after_id", "ids"), [(0, [1, 2, 3]), ("0", [1, 2, 3]), (1, [2, 3]), ("2", [3]), (3, [])])
async def test_the_reply_to_a_join_contains_the_missed_messages(
    node: Endpoint, post: Post, after_id: Any, ids: list[int]
) -> None:
    ann = await chatting(node, ANN)
    for text in ("one", "two", "three"):
        says(ann, SEND, {"to": str(BOB), "message": text})
    bob = Client(node, BOB)
    bob.says("j1", "r1", f"private_chat:{BOB}", "phx_join", {"after_id": after_id})
    [joined] = await bob.gets(1)
    assert [message["id"] for message in joined.payload["response"]["messages"]] == ids
    assert joined.payload["response"]["complete"] is True
    assert post.asked_for == [(BOB, int(after_id))]


@pytest.mark.parametrize("after_id", [False, True, -1, "", "x", [], {}, 2**63])
async def test_a_join_with_a_malformed_after_id_is_refused(node: Endpoint, after_id: Any) -> None:
    client = Client(node, ANN)
    client.says("j1", "r1", f"private_chat:{ANN}", "phx_join", {"after_id": after_id})
    assert client.take() == [refusal(client, "invalid after_id")]


# Sending


async def test_a_message_is_stored_then_broadcast_to_both_users_then_answered(node: Endpoint, post: Post) -> None:
    phone, laptop, bob, eve = [await chatting(node, user_id) for user_id in (ANN, ANN, BOB, EVE)]
    says(phone, SEND, {"to": str(BOB), "message": "Hi"})
    [stored] = post.stored
    assert (stored.from_id, stored.to_id, stored.text) == (ANN, BOB, "Hi")
    payload = {
        "id": 1,
        "from": "1",
        "to": "2",
        "message": "Hi",
        "listing_id": None,
        "inserted_at": "2026-01-02T03:04:05.000000Z",
        "read_at": None,
    }
    inserted_at = payload["inserted_at"]
    own = broadcast(SEND, payload, topic=f"private_chat:{ANN}")
    assert phone.take() == [own, answer(phone, {"id": 1, "inserted_at": inserted_at})]
    assert laptop.take() == [own]
    assert bob.take() == [broadcast(SEND, payload, topic=f"private_chat:{BOB}")]
    assert eve.take() == []


async def test_a_message_to_oneself_arrives_once(node: Endpoint) -> None:
    ann = await chatting(node, ANN)
    says(ann, SEND, {"to": str(ANN), "message": "milk"})
    assert ann.events() == [SEND, "r1"]


async def test_a_refused_message_gets_the_reason_and_is_not_broadcast(node: Endpoint, post: Post) -> None:
    ann, eve = await chatting(node, ANN), await chatting(node, EVE)
    says(ann, SEND, {"to": str(EVE), "message": "Hi"})
    assert ann.take() == [refusal(ann, "blocked")]
    blank = [{"to": str(BOB), "message": text} for text in INVISIBLE.values()]
    for payload in ({}, {"to": str(BOB)}, {"to": str(BOB), "message": 5}, *blank):
        says(ann, SEND, payload)
        [refused] = ann.take()
        assert refused.payload["status"] == "error"
        assert refused.payload["response"]["reason"] in ("invalid message", "user not found")
    assert post.stored == []
    assert eve.take() == []


async def test_who_was_warned_writes_to_nobody_until_the_warning_is_read(node: Endpoint, post: Post) -> None:
    bob = await chatting(node, BOB)
    ann = Client(node, msgspec.structs.replace(actor(ANN), has_warning=True))
    await ann.joins(f"private_chat:{ANN}")
    post.has_warning_to_read = True
    says(ann, SEND, {"to": str(BOB), "message": "Hi"})
    assert ann.take() == [refusal(ann, "unread warning")]
    assert post.stored == []
    # Whoever was not warned is not even asked about.
    says(bob, SEND, {"to": str(ANN), "message": "Hi"})
    assert bob.events() == [SEND, "r1"]
    ann.take()
    # It is read by now, and this node does not know yet.
    post.has_warning_to_read = False
    says(ann, SEND, {"to": str(BOB), "message": "Hello"})
    assert ann.events() == [SEND, "r1"]


async def test_who_has_to_confirm_the_address_answers_and_does_not_write_first(node: Endpoint, post: Post) -> None:
    bob = await chatting(node, BOB)
    ann = Client(node, msgspec.structs.replace(actor(ANN), must_confirm=True))
    await ann.joins(f"private_chat:{ANN}")
    says(ann, SEND, {"to": str(BOB), "message": "Hi"})
    assert ann.take() == [refusal(ann, "not confirmed")]
    assert post.stored == []
    says(bob, SEND, {"to": str(ANN), "message": "Hi"})
    bob.take()
    ann.take()
    says(ann, SEND, {"to": str(BOB), "message": "Hello"})
    assert ann.events() == [SEND, "r1"]


async def test_a_new_account_that_has_written_to_enough_people_is_told_when_it_may_again(
    node: Endpoint, post: Post
) -> None:
    ann = Client(node, msgspec.structs.replace(actor(ANN), new_until=2**40))
    await ann.joins(f"private_chat:{ANN}")
    says(ann, SEND, {"to": str(BOB), "message": "Hi"})
    assert ann.events() == [SEND, "r1"]
    post.is_limited = True
    says(ann, SEND, {"to": str(BOB), "message": "Hi"})
    again = {"reason": "too many new people", "again_at": "2026-01-02T03:04:05.000000Z"}
    assert ann.take() == [answer(ann, again, "error")]
    # A moderator has no such limit.
    assert actor(ANN).with_role(Role.MODERATOR).new_until == 0
    assert msgspec.structs.replace(actor(ANN), new_until=9).with_role(Role.MODERATOR).new_until == 0
    assert msgspec.structs.replace(actor(ANN), new_until=9).with_role(Role.USER).new_until == 9


# Reading and typing


async def test_reading_is_told_only_to_the_readers_devices_if_the_two_are_apart(
    node: Endpoint,
) -> None:
    reader, own_device, eve = await chatting(node, ANN), await chatting(node, ANN), await chatting(node, EVE)
    says(reader, READ, {"with": str(EVE), "up_to": 5})
    told = broadcast(READ, {"by": str(ANN), "with": str(EVE), "up_to": 5}, topic=f"private_chat:{ANN}")
    assert (reader.take(), own_device.take()) == ([told, answer(reader)], [told])
    assert eve.take() == []


async def test_reading_is_broadcast_once_to_both_users(node: Endpoint) -> None:
    ann, bob = await chatting(node, ANN), await chatting(node, BOB)
    says(bob, READ, {"with": str(ANN), "up_to": 5})
    told = {"by": "2", "with": "1", "up_to": 5}
    assert ann.take() == [broadcast(READ, told, topic=f"private_chat:{ANN}")]
    assert bob.take() == [broadcast(READ, told, topic=f"private_chat:{BOB}"), answer(bob)]
    says(bob, READ, {"with": str(ANN), "up_to": 4})
    assert (ann.take(), bob.take()) == ([], [answer(bob)])


async def test_typing_reaches_the_other_user_if_the_two_are_in_touch(node: Endpoint) -> None:
    ann, bob, eve = [await chatting(node, user_id) for user_id in (ANN, BOB, EVE)]
    says(ann, TYPING, {"to": str(BOB)})
    says(ann, TYPING, {"to": str(EVE)}, "r2")
    assert bob.take() == [broadcast(TYPING, {"from": "1", "to": "2"}, topic=f"private_chat:{BOB}")]
    assert ann.take() == [answer(ann), answer(ann, ref="r2")]
    assert eve.take() == []
    says(ann, TYPING, {"to": "x"})
    assert ann.take() == [refusal(ann, "user not found")]


@pytest.mark.parametrize("event", list(EVENTS))
@pytest.mark.parametrize("payload", [{}, [], None, "x", 5])
async def test_whatever_lacks_what_it_needs_is_an_invalid_message(node: Endpoint, event: str, payload: Any) -> None:
    ann = await chatting(node, ANN)
    says(ann, event, payload)
    [refused] = ann.take()
    assert refused.payload["status"] == "error"
    assert refused.payload["response"]["reason"] == "invalid message"
    assert refused.payload["response"]["errors"]


# Every event


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (SEND, {"to": str(BOB), "message": "Hi"}),
        (READ, {"with": str(BOB), "up_to": 1}),
        (TYPING, {"to": str(BOB)}),
        ("access_token", {"access_token": "x"}),
    ],
)
async def test_without_the_database_every_event_is_answered_try_again(
    node: Endpoint, post: Post, event: str, payload: Any
) -> None:
    ann = await chatting(node, ANN)
    post.is_away = True
    says(ann, event, payload)
    assert ann.take() == [refusal(ann, "try again")]
    post.is_away = False
    other = Client(node, BOB)
    post.is_away = True
    other.says("j1", "r1", f"private_chat:{ANN}", "phx_join", {})
    assert other.take() == [reply("r1", {"reason": "try again"}, "error", topic=f"private_chat:{ANN}")]


@pytest.mark.parametrize("event", [SEND, READ, TYPING])
async def test_each_event_has_its_own_budget(node: Endpoint, post: Post, event: str) -> None:
    post.context.budgets = {name: UserBuckets(0.001, 2) for name in (SEND, READ, TYPING)}
    payloads = {
        SEND: {"to": str(BOB), "message": "Hi"},
        READ: {"with": str(BOB), "up_to": 1},
        TYPING: {"to": str(BOB)},
    }
    ann, tablet = await chatting(node, ANN), await chatting(node, ANN)
    for client in (ann, tablet, ann):
        says(client, event, payloads[event])
    assert ann.take()[-1] == refusal(ann, "too many requests")
    for other in payloads.keys() - {event}:
        says(ann, other, payloads[other])
        assert ann.take()[-1].payload["status"] == "ok"


async def test_an_unknown_event_crashes_only_its_own_channel(node: Endpoint) -> None:
    ann, bob = await chatting(node, ANN), await chatting(node, BOB)
    says(ann, "no such event", {})
    assert ann.take() == [crashed(topic=f"private_chat:{ANN}")]
    assert counted(node.counts.channel_crashes) == {"PrivateChatclient": 1}
    says(bob, TYPING, {"to": str(ANN)})
    assert bob.take() == [answer(bob)]


# A fresh access token


async def test_a_fresh_token_of_the_same_user_renews_the_connection(node: Endpoint, post: Post) -> None:
    ann = await chatting(node, ANN)
    post.tokens = {"hers": actor(ANN, "s2"), "his": actor(BOB, "s3")}
    for token in ("his", "nobody's", "", None, 5, ["hers"]):
        says(ann, "access_token", {"access_token": token})
        assert ann.take() == [refusal(ann, "invalid token")]
        assert ann.actor.session_id == "s"
    says(ann, "access_token", {"access_token": "hers"})
    assert ann.take() == [answer(ann)]
    assert ann.actor == post.tokens["hers"]


async def test_fresh_tokens_count_in_the_budget_of_joins(node: Endpoint, post: Post) -> None:
    post.context.join_budget = UserBuckets(0.001, 2)
    ann = await chatting(node, ANN)
    for number in range(3):
        says(ann, "access_token", {"access_token": "x"}, f"r{number}")
    assert ann.take() == [
        refusal(ann, "invalid token", "r0"),
        refusal(ann, "invalid token", "r1"),
        refusal(ann, "too many requests", "r2"),
    ]
