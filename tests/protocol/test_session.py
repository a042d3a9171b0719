"""Tests the session for every state and event. Refs differ from join_refs, so that a test notices a mix-up."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.messages import Message
from gateway.protocol.session import (
    Answer,
    Deliver,
    Ignore,
    Join,
    Joined,
    Leave,
    Replace,
    Session,
    State,
    Wait,
    same_ref,
)

TOPIC = "room:1"
JOIN_REF, JOIN_MESSAGE_REF = "j1", "r1"
UNMATCHED = {"reason": "unmatched topic"}


def new_session(max_channels: int = 100) -> Session[str]:
    return Session(lambda topic: "room" if topic.startswith("room:") else None, max_channels)


def message(event: Any, join_ref: Any = JOIN_REF, ref: Any = "r2", topic: Any = TOPIC, payload: Any = None) -> Message:
    return Message(join_ref, ref, topic, event, payload)


def session_in(state: State, join_ref: Any = JOIN_REF, ref: Any = JOIN_MESSAGE_REF) -> tuple[Session[str], Joined[str]]:
    session = new_session()
    action = session.receive(message("phx_join", join_ref, ref))
    assert type(action) is Join
    if state is not State.JOINING:
        assert session.joined(action.joined) == ()
    if state is State.LEAVING:
        assert type(session.receive(message("phx_leave", join_ref, "leave"))) is Leave
    assert action.joined.state is state
    return session, action.joined


# Absent topics


def test_a_join_of_an_absent_topic_starts_its_channel() -> None:
    session = new_session()
    join = message("phx_join", payload={"a": 1})
    action = session.receive(join)
    assert type(action) is Join
    assert (action.joined.topic, action.joined.route, action.joined.state) == (TOPIC, "room", State.JOINING)
    assert session.topics == {TOPIC: action.joined}


@pytest.mark.parametrize("ref", ["r2", 5, 0, None, {"a": 1}], ids=repr)
@pytest.mark.parametrize("join_ref", ["j1", 7, 0, None], ids=repr)
def test_a_leave_of_an_absent_topic_is_answered_ok_with_the_refs_of_the_leave(join_ref: Any, ref: Any) -> None:
    session = new_session()
    answer = session.receive(message("phx_leave", join_ref, ref))
    assert answer == Answer(join_ref, ref, TOPIC, "ok", {})
    assert type(answer.ref) is type(ref)
    assert session.topics == {}


@pytest.mark.parametrize(
    "event", ["echo", "phx_reply", "phx_close", "phx_error", "heartbeat", "", None, 5, ["phx_join"]]
)
@pytest.mark.parametrize("join_ref", ["j1", None], ids=repr)
def test_any_other_event_of_an_absent_topic_is_unmatched_without_a_join_ref(event: Any, join_ref: Any) -> None:
    session = new_session()
    assert session.receive(message(event, join_ref)) == Answer(None, "r2", TOPIC, "error", UNMATCHED)
    assert session.topics == {}


@pytest.mark.parametrize("topic", ["nosuch:1", "", "phoenix", "room", None, 5, ["room:1"], {"room:1": 1}], ids=repr)
def test_a_join_of_an_unknown_topic_is_unmatched_without_a_join_ref(topic: Any) -> None:
    session = new_session()
    assert session.receive(message("phx_join", topic=topic)) == Answer(None, "r2", topic, "error", UNMATCHED)
    assert session.topics == {}


@pytest.mark.parametrize("ref", ["1", 7, 0, None], ids=repr)
@pytest.mark.parametrize("join_ref", ["j1", None], ids=repr)
@pytest.mark.parametrize("payload", [{}, {"x": 1}, None, []], ids=repr)
def test_a_heartbeat_is_answered_without_a_join_ref(ref: Any, join_ref: Any, payload: Any) -> None:
    heartbeat = Message(join_ref, ref, "phoenix", "heartbeat", payload)
    assert new_session().receive(heartbeat) == Answer(None, ref, "phoenix", "ok", {})


def test_other_events_of_the_phoenix_topic_are_unmatched() -> None:
    assert new_session().receive(message("echo", topic="phoenix")) == Answer(None, "r2", "phoenix", "error", UNMATCHED)


# Topics that are joining or leaving


@pytest.mark.parametrize("state", [State.JOINING, State.LEAVING])
@pytest.mark.parametrize("event", ["phx_join", "phx_leave", "echo"])
@pytest.mark.parametrize("join_ref", [JOIN_REF, None, "stale"], ids=repr)
def test_every_message_waits_while_its_topic_is_joining_or_leaving(state: State, event: str, join_ref: Any) -> None:
    session, joined = session_in(state)
    assert session.receive(message(event, join_ref)) == Wait()
    assert joined.state is state
    assert session.topics == {TOPIC: joined}


@pytest.mark.parametrize("state", [State.JOINING, State.LEAVING])
def test_waiting_messages_are_returned_once_in_order(state: State) -> None:
    session, joined = session_in(state)
    waiting = [message("echo", ref=ref) for ref in ("a", "b", "c")]
    assert [session.receive(one) for one in waiting] == [Wait()] * 3
    assert session.closed(joined) == tuple(waiting)
    assert session.closed(joined) == ()
    assert session.topics == {}


@pytest.mark.parametrize("state", [State.JOINING, State.LEAVING])
def test_returned_messages_can_be_put_back_behind_waiting_ones(state: State) -> None:
    session, joined = session_in(state)
    waiting = [message("echo", ref=ref) for ref in ("a", "b", "c")]
    session.receive(waiting[0])
    assert session.keep_waiting((message("done"), *waiting[1:]), 1)
    assert session.closed(joined) == tuple(waiting)


def test_returned_messages_do_not_wait_for_a_joined_or_absent_topic() -> None:
    session, joined = session_in(State.JOINING)
    push = message("echo")
    session.joined(joined)
    assert not session.keep_waiting((push,), 0)
    session.closed(joined)
    assert not session.keep_waiting((push,), 0)
    assert session.receive(push) == Answer(None, "r2", TOPIC, "error", UNMATCHED)


def test_messages_that_waited_for_a_join_are_delivered_when_it_succeeds() -> None:
    session, joined = session_in(State.JOINING)
    push = message("echo")
    session.receive(push)
    (again,) = session.joined(joined)
    assert session.receive(again) == Deliver(joined)


def test_messages_that_waited_for_a_join_are_unmatched_when_it_fails() -> None:
    session, joined = session_in(State.JOINING)
    session.receive(message("echo"))
    (again,) = session.closed(joined)
    assert session.receive(again) == Answer(None, "r2", TOPIC, "error", UNMATCHED)


def test_a_join_behind_a_leave_joins_after_it() -> None:
    session, joined = session_in(State.LEAVING)
    session.receive(message("phx_join", "j2", "r9"))
    (again,) = session.closed(joined)
    action = session.receive(again)
    assert type(action) is Join
    assert action.joined is not joined


def test_other_topics_do_not_wait() -> None:
    session, _ = session_in(State.JOINING)
    assert type(session.receive(message("phx_join", topic="room:2"))) is Join


# Joined topics


def test_a_push_with_the_current_join_ref_is_delivered() -> None:
    session, joined = session_in(State.JOINED)
    push = message("echo", payload=[1])
    assert session.receive(push) == Deliver(joined)


@pytest.mark.parametrize("event", [None, 5, "", "phx_reply", "phx_error", "phx_close", ["phx_leave"]], ids=repr)
def test_any_event_except_join_and_leave_is_delivered(event: Any) -> None:
    session, joined = session_in(State.JOINED)
    assert session.receive(message(event)) == Deliver(joined)


@pytest.mark.parametrize("event", ["echo", "phx_leave"])
@pytest.mark.parametrize("join_ref", ["stale", "r1", "", 1, 0, False, {}, "j1 "], ids=repr)
def test_a_stale_join_ref_is_ignored(event: str, join_ref: Any) -> None:
    session, joined = session_in(State.JOINED)
    assert type(session.receive(message(event, join_ref))) is Ignore
    assert joined.state is State.JOINED


@pytest.mark.parametrize("joined_with", ["j1", 7, 0, "", None], ids=repr)
def test_a_message_without_join_ref_belongs_to_the_current_join(joined_with: Any) -> None:
    session, joined = session_in(State.JOINED, joined_with)
    assert session.receive(message("echo", None)) == Deliver(joined)
    assert session.receive(message("phx_leave", None)) == Leave(joined)


@pytest.mark.parametrize("join_ref", ["r1", "j1", 0, ""], ids=repr)
def test_after_a_join_without_join_ref_only_null_matches(join_ref: Any) -> None:
    session, _ = session_in(State.JOINED, None)
    assert type(session.receive(message("echo", join_ref))) is Ignore


@pytest.mark.parametrize(
    ("joined_with", "others"), [(1, ["1", 1.0, True]), (0, ["0", False, 0.0, ""]), ("1", [1]), (1.0, [1])], ids=repr
)
def test_refs_match_as_json_values(joined_with: Any, others: list[Any]) -> None:
    session, joined = session_in(State.JOINED, joined_with)
    assert type(session.receive(message("echo", joined_with))) is Deliver
    for other in others:
        assert type(session.receive(message("echo", other))) is Ignore
    assert same_ref(joined.sent_join_ref, joined_with)


@pytest.mark.parametrize("sent", ["j1", 7, 0, ""], ids=repr)
def test_replies_and_pushes_have_the_join_ref_that_was_sent(sent: Any) -> None:
    _, joined = session_in(State.JOINED, sent, "r1")
    assert (joined.sent_join_ref, joined.join_ref) == (sent, sent)


@pytest.mark.parametrize("ref", ["r1", 7, 0, None], ids=repr)
def test_pushes_after_a_join_without_join_ref_have_the_ref_of_the_join(ref: Any) -> None:
    _, joined = session_in(State.JOINED, None, ref)
    assert (joined.sent_join_ref, joined.join_ref) == (None, ref)


def test_pushes_after_a_join_whose_join_ref_is_false_have_the_ref_of_the_join() -> None:
    session, joined = session_in(State.JOINED, False, "r1")
    assert (joined.sent_join_ref, joined.join_ref) == (False, "r1")
    assert session.receive(message("echo", False)) == Deliver(joined)
    assert type(session.receive(message("echo", "r1"))) is Ignore


def test_a_leave_of_a_joined_topic_starts_leaving() -> None:
    session, joined = session_in(State.JOINED)
    leave = message("phx_leave")
    assert session.receive(leave) == Leave(joined)
    assert joined.state is State.LEAVING
    assert session.closed(joined) == ()
    assert session.topics == {}


@pytest.mark.parametrize("join_ref", ["j2", JOIN_REF, None], ids=repr)
def test_a_second_join_with_any_join_ref_replaces_the_first(join_ref: Any) -> None:
    session, earlier = session_in(State.JOINED)
    again = message("phx_join", join_ref, "r3")
    action = session.receive(again)
    assert type(action) is Replace
    assert action.earlier is earlier
    assert action.joined is not earlier
    assert (action.joined.sent_join_ref, action.joined.state) == (join_ref, State.JOINING)
    assert session.topics == {TOPIC: action.joined}


def test_the_end_of_a_replaced_channel_does_not_affect_the_new_one() -> None:
    session, earlier = session_in(State.JOINED)
    action = session.receive(message("phx_join", "j2", "r3"))
    assert type(action) is Replace
    session.closed(earlier)
    assert session.topics == {TOPIC: action.joined}
    session.joined(action.joined)
    assert type(session.receive(message("echo", "j2"))) is Deliver
    assert type(session.receive(message("echo", JOIN_REF))) is Ignore


# The limit of channels


def test_a_join_beyond_the_limit_is_refused() -> None:
    session = new_session(max_channels=2)
    for number in range(2):
        session.receive(message("phx_join", topic=f"room:{number}"))
    refusal = session.receive(message("phx_join", "j3", "r3", topic="room:9"))
    assert refusal == Answer("j3", "r3", "room:9", "error", {"reason": "too many channels joined"})
    assert len(session.topics) == 2


def test_a_second_join_of_a_joined_topic_is_accepted_at_the_limit() -> None:
    session = new_session(max_channels=1)
    action = session.receive(message("phx_join"))
    assert type(action) is Join
    session.joined(action.joined)
    assert type(session.receive(message("phx_join", "j2"))) is Replace


def test_an_ended_topic_makes_room() -> None:
    session = new_session(max_channels=1)
    action = session.receive(message("phx_join"))
    assert type(action) is Join
    session.closed(action.joined)
    assert type(session.receive(message("phx_join", topic="room:2"))) is Join


def test_a_join_of_an_unknown_topic_is_unmatched_at_the_limit_too() -> None:
    session = new_session(max_channels=1)
    session.receive(message("phx_join"))
    assert session.receive(message("phx_join", topic="nosuch")) == Answer(None, "r2", "nosuch", "error", UNMATCHED)
