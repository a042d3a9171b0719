"""Private chat on real processes, with plain WebSocket and REST clients: messages arrive, or are refused."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist
from tests.support.client import Person, Socket
from tests.support.database import sent_messages
from tests.support.secret import JWT_SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = {"status": "ok", "response": {}}


async def connected(daveslist: Daveslist, person: Person, node: int, params: Any = None) -> Socket:
    """A socket that has joined its person's own topic."""
    socket = await Socket.connect(daveslist.gateways[node].socket_url, person.token)
    assert (await socket.join(person.topic, params))["status"] == "ok"
    return socket


async def test_a_message_reaches_the_other_node_and_the_database(daveslist: Daveslist, deployment: Settings) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await connected(daveslist, ann, 0) as anns, await connected(daveslist, bob, 1) as bobs:
        reply = await anns.push(ann.topic, "send", {"to": str(bob.id), "message": "Is it still there? ✓"})
        incoming, outgoing = await bobs.event("send"), await anns.event("send")
        assert incoming == outgoing
        assert reply == {
            "status": "ok",
            "response": {"id": incoming["id"], "inserted_at": incoming["inserted_at"]},
        }
        assert incoming == {
            "id": incoming["id"],
            "from": str(ann.id),
            "to": str(bob.id),
            "message": "Is it still there? ✓",
            "listing_id": None,
            "inserted_at": incoming["inserted_at"],
            "read_at": None,
            # Bob has never written to Ann.
            "request": True,
        }
        await bobs.push(bob.topic, "send", {"to": ann.id, "message": "It is."})
        assert (await anns.event("send"))["message"] == "It is."
    assert [row[1:] for row in sent_messages(deployment.database_url, ann.id)] == [
        (ann.id, bob.id, "Is it still there? ✓")
    ]
    assert [row[1:] for row in sent_messages(deployment.database_url, bob.id)] == [(bob.id, ann.id, "It is.")]


async def test_every_device_of_a_user_sees_incoming_and_outgoing(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with (
        await connected(daveslist, ann, 0) as phone,
        await connected(daveslist, ann, 1) as laptop,
        await connected(daveslist, bob, 0) as bobs,
    ):
        await phone.push(ann.topic, "send", {"to": str(bob.id), "message": "from my phone"})
        for socket in (phone, laptop, bobs):
            assert (await socket.event("send"))["message"] == "from my phone"
        await bobs.push(bob.topic, "send", {"to": str(ann.id), "message": "to both"})
        for socket in (phone, laptop, bobs):
            assert (await socket.event("send"))["message"] == "to both"


async def test_a_message_to_oneself_arrives_once(daveslist: Daveslist) -> None:
    ann = await daveslist.rest.register("Ann")
    async with await connected(daveslist, ann, 0) as socket:
        await socket.push(ann.topic, "send", {"to": ann.id, "message": "note"})
        await socket.event("send")
        assert (await socket.push(ann.topic, "read", {"with": ann.id, "up_to": 1}))["status"] == "ok"
        assert [frame[3] for frame in socket.frames] == ["read"]


async def test_a_plain_client_without_vsn_speaks_version_1_with_numbers_as_refs(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    anns = await Socket.connect(daveslist.gateways[0].socket_url, ann.token, vsn=None)
    bobs = await Socket.connect(daveslist.gateways[1].socket_url, bob.token, vsn=None)
    async with anns, bobs:
        for socket, person in ((anns, ann), (bobs, bob)):
            await socket.send({"topic": person.topic, "event": "phx_join", "payload": {}, "ref": 111})
            assert await socket.take() == {
                "event": "phx_reply",
                "payload": {"response": {}, "status": "ok"},
                "ref": 111,
                "topic": person.topic,
            }
        payload = {"to": str(bob.id), "message": "Hey How are you"}
        await anns.send({"topic": ann.topic, "event": "send", "payload": payload, "ref": 111})
        frame = await bobs.take()
        assert set(frame) == {"event", "payload", "ref", "topic"}
        assert (frame["event"], frame["ref"], frame["topic"]) == ("send", None, bob.topic)
        assert {key: frame["payload"][key] for key in ("to", "from", "message")} == {**payload, "from": str(ann.id)}
        reply = await anns.take(lambda frame: frame["event"] == "phx_reply")
        assert (reply["ref"], reply["payload"]["status"]) == (111, "ok")


async def test_messages_by_rest_arrive_on_sockets_and_messages_by_socket_show_in_rest(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await connected(daveslist, ann, 0) as anns, await connected(daveslist, bob, 1) as bobs:
        body = {"to": str(bob.id), "message": "by REST", "client_ref": "one"}
        message = await daveslist.rest.call("POST", "/api/messages", 201, who=ann, body=body)
        assert await bobs.event("send") == message
        assert await anns.event("send") == message
        again = await bobs.push(bob.topic, "send", {"to": str(ann.id), "message": "by socket", "client_ref": "two"})
        listed = await daveslist.rest.call("GET", "/api/messages", 200, who=ann, after_id=message["id"])
        # The answer repeats messages that are a little older, since they may have been committed late.
        assert [entry["message"] for entry in listed["data"]] == ["by REST", "by socket"]
        assert listed["data"][1]["id"] == again["response"]["id"]
        await daveslist.rest.call(
            "PUT", f"/api/conversations/{bob.id}/read", 204, who=ann, body={"up_to": again["response"]["id"]}
        )
        assert (await bobs.event("read"))["up_to"] == again["response"]["id"]


async def test_a_send_repeated_by_another_connection_or_by_rest_is_one_message(
    daveslist: Daveslist, deployment: Settings
) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    payload = {"to": str(bob.id), "message": "once", "client_ref": "ref-1"}
    async with await connected(daveslist, ann, 0) as first, await connected(daveslist, ann, 1) as second:
        one = await first.push(ann.topic, "send", payload)
        two = await second.push(ann.topic, "send", payload)
        three = await daveslist.rest.call("POST", "/api/messages", 201, who=ann, body=payload)
        assert one == two
        assert three["id"] == one["response"]["id"]
    assert len(sent_messages(deployment.database_url, ann.id)) == 1


async def test_typing_reaches_the_other_user_unless_a_stranger_types_or_they_block_the_sender(
    daveslist: Daveslist,
) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await connected(daveslist, ann, 0) as anns, await connected(daveslist, bob, 1) as bobs:
        assert await anns.push(ann.topic, "typing", {"to": str(bob.id)}) == OK
        await anns.push(ann.topic, "send", {"to": str(bob.id), "message": "Hello"})
        assert (await bobs.event("send"))["request"] is True
        assert await anns.push(ann.topic, "typing", {"to": str(bob.id)}) == OK
        await bobs.push(bob.topic, "send", {"to": str(ann.id), "message": "Who are you?"})
        await bobs.event("send")
        assert "typing" not in [frame[3] for frame in bobs.frames]
        assert await anns.push(ann.topic, "typing", {"to": str(bob.id)}) == OK
        assert await bobs.event("typing") == {"from": str(ann.id), "to": str(bob.id)}
        await daveslist.rest.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
        assert await anns.push(ann.topic, "typing", {"to": str(bob.id)}) == OK
        refused = await anns.push(ann.topic, "send", {"to": str(bob.id), "message": "hello?"})
        assert refused == {"status": "error", "response": {"reason": "blocked"}}
        await bobs.push(bob.topic, "send", {"to": str(bob.id), "message": "a last frame"})
        await bobs.event("send")
        assert all(frame[3] == "phx_reply" for frame in bobs.frames)


async def test_a_join_answers_with_missed_messages_oldest_first(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await connected(daveslist, ann, 0) as anns:
        sent = [
            (await anns.push(ann.topic, "send", {"to": str(bob.id), "message": f"{number}"}))["response"]["id"]
            for number in range(60)
        ]
    async with await Socket.connect(daveslist.gateways[1].socket_url, bob.token) as bobs:
        answer = (await bobs.join(bob.topic, {"after_id": sent[9]}))["response"]
        # The answer repeats messages that are a little older, since they may have been committed late.
        assert [message["id"] for message in answer["messages"]] == sent
        assert answer["complete"] is True
        for number, after_id in enumerate((0, str(sent[-1]), sent[-1])):
            answer = (await bobs.join(bob.topic, {"after_id": after_id}, join_ref=f"again{number}"))["response"]
            assert [message["id"] for message in answer["messages"]] == sent
        unreadable: tuple[Any, ...] = (-1, "x", True, 1.5, [], 2**63)
        for bad in unreadable:
            refused = await bobs.join(bob.topic, {"after_id": bad}, join_ref=f"bad{bad}")
            assert refused == {"status": "error", "response": {"reason": "invalid after_id"}}


@pytest.mark.parametrize(
    ("payload", "response"),
    [
        ({"to": "999999999", "message": "hi"}, {"reason": "user not found"}),
        ({"to": "abc", "message": "hi"}, {"reason": "user not found"}),
        ({"to": 0, "message": "hi"}, {"reason": "user not found"}),
        ({"to": 2**70, "message": "hi"}, {"reason": "user not found"}),
        ({"to": "BOB", "message": ""}, "message"),
        ({"to": "BOB", "message": " \n\t "}, "message"),
        ({"to": "BOB", "message": "x" * 4001}, "message"),
        ({"to": "BOB", "message": 7}, "message"),
        ({"to": "BOB", "message": "a\u0000b"}, "message"),
        ({"to": "BOB"}, "message"),
        ({"message": "hi"}, "to"),
        ({"to": "BOB", "message": "hi", "client_ref": 5}, "client_ref"),
        ({"to": "BOB", "message": "hi", "listing_id": "x"}, "listing_id"),
        ({"to": "BOB", "message": "hi", "listing_id": 424242}, "listing_id"),
        ([], "payload"),
        (None, "payload"),
        ("hi", "payload"),
    ],
)
async def test_a_wrong_send_is_answered_with_its_reason_and_stores_nothing(
    daveslist: Daveslist, deployment: Settings, payload: Any, response: Any
) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    if isinstance(payload, dict) and payload.get("to") == "BOB":
        payload = {**payload, "to": str(bob.id)}
    async with await connected(daveslist, ann, 0) as socket:
        answer = await socket.push(ann.topic, "send", payload)
        assert answer["status"] == "error"
        if isinstance(response, dict):
            assert answer["response"] == response
        else:
            assert answer["response"]["reason"] == "invalid message"
            assert list(answer["response"]["errors"]) == [response]
        assert (await socket.push(ann.topic, "typing", {"to": str(bob.id)}))["status"] == "ok"
    assert sent_messages(deployment.database_url, ann.id) == []


async def test_a_user_can_join_only_their_own_topic(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await Socket.connect(daveslist.gateways[0].socket_url, ann.token) as socket:
        for topic, reason in (
            (bob.topic, "unauthorized"),
            ("private_chat:999999999", "user not found"),
            ("private_chat:", "user not found"),
            ("private_chat:abc", "user not found"),
            (f"private_chat:0{ann.id}", "user not found"),
            ("nosuch:1", "unmatched topic"),
        ):
            answer = await socket.join(topic, join_ref=f"join {topic}")
            assert answer == {"status": "error", "response": {"reason": reason}}


async def test_a_client_without_a_valid_token_cannot_connect(daveslist: Daveslist) -> None:
    ann = await daveslist.rest.register("Ann")
    tokens = Tokens((JWT_SECRET,), 600)
    bad = {
        "none": None,
        "empty": "",
        "nonsense": "not.a.token",
        "forged": Tokens(("another-secret-another-secret-another",), 600).issue(ann.id, Role.USER, None),
        "expired": tokens.issue(ann.id, Role.USER, None, seconds=-1),
        "of an unknown user": tokens.issue(999_999_999, Role.USER, None),
        "refresh": ann.refresh_token,
    }
    for token in bad.values():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await Socket.connect(daveslist.gateways[0].socket_url, token)
        assert refused.value.status == 403


async def test_logging_out_closes_the_sockets_of_that_session_on_every_node(daveslist: Daveslist) -> None:
    ann = await daveslist.rest.register("Ann")
    body = {"email": ann.email, "password": "correct horse battery"}
    other = await daveslist.rest.call("POST", "/api/login", 200, body=body)
    second = Person(ann.id, ann.name, ann.email, other["access_token"], other["refresh_token"])
    async with (
        await connected(daveslist, ann, 0) as here,
        await connected(daveslist, ann, 1) as there,
        await connected(daveslist, second, 1) as stays,
    ):
        await daveslist.rest.call("POST", "/api/logout", 204, who=ann)
        assert await here.closed() == 1001
        assert await there.closed() == 1001
        assert (await stays.push(ann.topic, "typing", {"to": ann.id}))["status"] == "ok"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await Socket.connect(daveslist.gateways[0].socket_url, ann.token)
        assert refused.value.status == 403


async def test_an_expired_token_closes_its_socket_unless_the_client_has_sent_a_new_one(daveslist: Daveslist) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    short = Tokens((JWT_SECRET,), 600).issue(ann.id, Role.USER, None, seconds=3)
    ends = await Socket.connect(daveslist.gateways[0].socket_url, short)
    stays = await Socket.connect(daveslist.gateways[0].socket_url, short)
    async with ends, stays:
        await ends.join(ann.topic)
        await stays.join(ann.topic)
        for token in ("nonsense", bob.token, None, 5):
            answer = await stays.push(ann.topic, "access_token", {"access_token": token})
            assert answer == {"status": "error", "response": {"reason": "invalid token"}}
        assert await stays.push(ann.topic, "access_token", {"access_token": ann.token}) == OK
        assert await ends.closed() == 1001
        assert (await stays.push(ann.topic, "send", {"to": ann.id, "message": "still here"}))["status"] == "ok"


@pytest.mark.parametrize("frame", ["", "nonsense", "[]", '{"topic": "t"}', b"\x01\x00", b"\x00\xff"])
async def test_a_malformed_frame_closes_only_its_own_connection(daveslist: Daveslist, frame: Any) -> None:
    ann, bob = await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")
    async with await connected(daveslist, ann, 0) as anns, await connected(daveslist, bob, 0) as bobs:
        await anns.send(frame)
        assert await anns.closed() == 1011
        assert (await bobs.push(bob.topic, "send", {"to": bob.id, "message": "fine"}))["status"] == "ok"


async def test_no_token_password_or_message_is_in_the_logs(daveslist: Daveslist) -> None:
    ann = await daveslist.rest.register("Ann")
    async with await connected(daveslist, ann, 0) as socket:
        await socket.push(ann.topic, "send", {"to": ann.id, "message": "a private word"})
        await socket.send("no frame")
        await socket.closed()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await Socket.connect(daveslist.gateways[0].socket_url, ann.token + "x")
    for process in (daveslist.api, *daveslist.gateways):
        log = process.output()
        for secret in (ann.token, ann.refresh_token, "correct horse battery", "a private word", JWT_SECRET, "token="):
            assert secret not in log
        for line in log.splitlines():
            assert json.loads(line)["event"]


async def test_a_line_in_the_log_names_its_connection(daveslist: Daveslist) -> None:
    ann = await daveslist.rest.register("Ann")
    for _ in range(2):
        async with await connected(daveslist, ann, 0) as socket:
            await socket.send("no frame")
            await socket.closed()
    lines = [json.loads(line) for line in daveslist.gateways[0].output().splitlines()]
    ids = [line["connection_id"] for line in lines if line["event"] == "bad frame" and line["user_id"] == ann.id]
    assert len(ids) == len(set(ids)) == 2
