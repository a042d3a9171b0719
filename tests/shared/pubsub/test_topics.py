"""Tests, without a server, which topics a node subscribes and unsubscribes next, and which callers are answered."""

from __future__ import annotations

import asyncio

import pytest
from redis.crc import key_slot

from shared.pubsub.topics import Topics

MOST = 500


@pytest.fixture
async def topics() -> Topics:
    """The topics of a server whose first link has just begun."""
    topics = Topics(asyncio.Event())
    topics.link_began()
    return topics


async def confirmed(topics: Topics, *channels: bytes) -> None:
    for channel in channels:
        topics.want(channel)
    assert topics.next_to_subscribe(MOST) == list(channels)
    for channel in channels:
        topics.subscribed(channel)


async def test_a_link_without_topics_is_complete_at_once(topics: Topics) -> None:
    assert topics.all_confirmed.is_set()
    assert (topics.next_to_subscribe(MOST), topics.next_to_unsubscribe(MOST)) == ([], [])


async def test_callers_of_one_topic_share_one_subscription_and_all_get_its_confirmation(topics: Topics) -> None:
    waiting = [asyncio.create_task(topics.want(b"a").wait(10)) for _ in range(3)]
    await asyncio.sleep(0)
    assert topics.next_to_subscribe(MOST) == [b"a"]
    assert topics.is_unconfirmed
    late = asyncio.create_task(topics.want(b"a").wait(10))
    await asyncio.sleep(0)
    assert topics.next_to_subscribe(MOST) == []
    topics.subscribed(b"a")
    await asyncio.gather(*waiting, late)
    assert not topics.is_unconfirmed


async def test_topics_are_subscribed_in_batches_and_in_order(topics: Topics) -> None:
    channels = [b"%d" % number for number in range(5)]
    for channel in channels:
        topics.want(channel)
    assert [topics.next_to_subscribe(2) for _ in range(4)] == [channels[:2], channels[2:4], channels[4:], []]


async def test_a_topic_is_unsubscribed_when_its_last_caller_goes(topics: Topics) -> None:
    await confirmed(topics, b"a")
    topics.want(b"a")
    topics.unwant(b"a")
    assert topics.next_to_unsubscribe(MOST) == []
    topics.unwant(b"a")
    assert topics.next_to_unsubscribe(MOST) == [b"a"]
    assert len(topics) == 0


async def test_a_new_caller_prevents_an_unsubscription_that_is_not_written_yet(
    topics: Topics,
) -> None:
    await confirmed(topics, b"a")
    topics.unwant(b"a")
    assert topics.want(b"a").confirmed
    assert (topics.next_to_unsubscribe(MOST), topics.next_to_subscribe(MOST)) == ([], [])


async def test_an_unwanted_topic_is_unsubscribed_only_after_its_confirmation(topics: Topics) -> None:
    topics.want(b"a")
    assert topics.next_to_subscribe(MOST) == [b"a"]
    topics.unwant(b"a")
    assert topics.next_to_unsubscribe(MOST) == []
    topics.subscribed(b"a")
    assert topics.next_to_unsubscribe(MOST) == [b"a"]


async def test_a_topic_that_is_unwanted_before_it_is_written_is_never_subscribed(topics: Topics) -> None:
    topics.want(b"a")
    topics.unwant(b"a")
    assert topics.next_to_unsubscribe(MOST) == [b"a"]
    assert topics.next_to_subscribe(MOST) == []


async def test_a_new_link_subscribes_all_wanted_topics_and_is_complete_when_they_are_confirmed(topics: Topics) -> None:
    await confirmed(topics, b"a", b"b", b"c")
    topics.unwant(b"c")
    topics.link_ended()
    assert not topics.is_confirmed(b"a")
    topics.link_began()
    assert topics.next_to_subscribe(MOST) == [b"a", b"b"]
    topics.subscribed(b"a")
    assert not topics.all_confirmed.is_set()
    topics.subscribed(b"b")
    assert topics.all_confirmed.is_set()
    assert len(topics) == 2


async def test_a_caller_of_an_ended_link_gets_the_confirmation_of_the_next_link(topics: Topics) -> None:
    waiting = asyncio.create_task(topics.want(b"a").wait(10))
    await asyncio.sleep(0)
    topics.next_to_subscribe(MOST)
    topics.link_ended()
    topics.link_began()
    assert topics.next_to_subscribe(MOST) == [b"a"]
    topics.subscribed(b"a")
    await waiting


async def test_callers_of_a_topic_that_the_server_does_not_serve_get_an_error_and_the_link_is_complete(
    topics: Topics,
) -> None:
    topics.link_ended()
    topic = topics.want(b"a")
    topics.link_began()
    waiting = asyncio.create_task(topic.wait(10))
    await asyncio.sleep(0)
    assert topics.next_to_subscribe(MOST) == [b"a"]
    assert topics.unconfirmed_in(key_slot(b"a")) == [b"a"]
    assert topics.unconfirmed_in(key_slot(b"a") + 1) == []
    assert topics.drop(b"a")
    with pytest.raises(TimeoutError):
        await waiting
    assert topics.all_confirmed.is_set()
    assert not topics.is_unconfirmed
    # The failed caller gives up its own topic, and not the new one of the same name.
    topics.want(b"a")
    topics.unwant(b"a", topic)
    assert topics.next_to_subscribe(MOST) == [b"a"]


async def test_work_is_announced_only_if_there_is_some() -> None:
    work = asyncio.Event()
    topics = Topics(work)
    topics.link_began()
    topics.want(b"a")
    assert work.is_set()
    topics.next_to_subscribe(MOST)
    work.clear()
    topics.want(b"a")
    topics.unwant(b"a")
    assert not work.is_set()
    topics.subscribed(b"a")
    work.clear()
    topics.unwant(b"a")
    assert work.is_set()
