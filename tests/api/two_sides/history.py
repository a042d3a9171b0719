"""One history: what a few people do to each other, and what each of them must be shown after it.

The ledger knows what was answered: which message was stored, and whether its recipient's devices may be told of it.
Everything that a person is shown is compared with it, and with each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.api.conftest import PASSWORD, Person
from tests.api.two_sides.screen import Payload, Screen, without_text
from tests.api.two_sides.town import Device, Town
from tests.support.waiting import until

PEOPLE = 4
STEADY, SHAKY = 0, 1
"""Each person has a device that always stays connected to the one node, which misses nothing; and one on the other."""

Step = tuple[Any, ...]

OFFER = "Dear neighbour, I sell gold watches for {} euros, far below their price. Write to me for more of them."


@dataclass
class Sent:
    """A message that was stored."""

    from_id: int
    to_id: int
    text: str
    is_told: bool | None
    """Whether the recipient's devices are told of it; None if it was sent at the same time as a decision about it."""
    is_deleted: bool = False
    held: str | None = None
    """Of a held message, what becomes of it: WAITS, GOES, STAYS or UNSURE; None if it is not held."""
    is_old: bool = False
    """Whether it has been held for so long that it goes without a moderator."""
    was_id: int | None = None
    """The id under which it was held, if it was."""


WAITS, GOES, STAYS = "waits for a moderator", "let go by a moderator", "stays with its sender"
UNSURE = "unsure"
"""Sent or judged at the same time as something else."""


class History:
    def __init__(self, town: Town, people: Sequence[Person], moderator: Person, cars: Sequence[int]) -> None:
        self.town = town
        self.people = list(people)
        self.moderator = moderator
        self.cars = cars
        self.sent: dict[int, Sent] = {}
        self.left: set[int] = set()
        self.declined: dict[tuple[int, int], bool | None] = {}
        """(who decided, about whom): whether they are declined; None if that is not known."""
        self.decided: dict[int, list[tuple[str, str]]] = {person.id: [] for person in people}
        self.devices: dict[tuple[int, int], Device] = {}
        self.delivered = 0
        """How many held messages were delivered."""
        self._is_at_once = False
        self._may_be_refused = False
        """Whether anything happened for which a held message may be refused when it is its turn."""
        self._texts = 0

    async def begin(self) -> None:
        for person in self.people:
            for node in (STEADY, SHAKY):
                self.devices[person.id, node] = await self.town.device(person, node, Screen(person.id))

    def end(self) -> None:
        for device in self.devices.values():
            device.crash()

    async def take(self, step: Step) -> None:
        name, *arguments = step
        await getattr(self, f"do_{name}")(*arguments)

    # What people do. Numbers stand for whatever there is.

    async def do_send(self, who: int, to: int, about: int | None, ref: int | None, way: int) -> None:
        """Write by the one or the other device, or by REST if there is no such device."""
        await self._send("text {}", who, to, about, ref, way)

    async def do_offer(self, who: int, ref: int | None, way: int) -> None:
        """Write nearly the same to all others; to most of those who have never written to this person it is held."""
        for to in range(PEOPLE):
            if to != who:
                await self._send(OFFER, who, to, None, None if ref is None else PEOPLE * ref + to, way)

    async def _send(self, form: str, who: int, to: int, about: int | None, ref: int | None, way: int) -> None:
        sender, recipient = self.people[who], self.people[to]
        self._texts += 1
        text = form.format(self._texts)
        body: Payload = {"to": recipient.id, "message": text}
        if about is not None:
            body["listing_id"] = self.cars[about]
        if ref is not None:
            body["client_ref"] = f"ref {ref}"
        device = self.devices.get((sender.id, way))
        if device is not None and not device.gone:
            answer = await device.push("send", body)
            if answer["status"] != "ok":
                return
            answered = answer["response"]
        else:
            status, answered = await self.town.ask(sender, "POST", "/api/messages", body)
            if status != 201:
                return
        if answered["id"] in self.sent:
            assert ref is not None
            return
        self._stored(answered["id"], sender.id, recipient.id, text, is_held="held" in answered)

    def _stored(self, message_id: int, sender: int, recipient: int, text: str, *, is_held: bool) -> None:
        if is_held:
            # Nothing has changed between the two.
            self.sent[message_id] = Sent(sender, recipient, text, False, held=UNSURE if self._is_at_once else WAITS)
            return
        self.sent[message_id] = Sent(sender, recipient, text, self._is_told(sender, recipient))
        # An answer takes a refusal back.
        self.declined[sender, recipient] = None if self._is_at_once else False

    def _is_told(self, sender: int, recipient: int) -> bool | None:
        """Whether the recipient's devices are told of a message that is delivered now; None if that is not known."""
        is_declined = False if sender == recipient else self.declined.get((recipient, sender), False)
        return None if self._is_at_once or is_declined is None else not is_declined

    async def do_judge(self, who: int, decision: str) -> None:
        """A moderator lets go what is held of a person, or keeps it back."""
        person = self.people[who]
        for hold in await self.town.pages(self.moderator, "/api/holds?", 2):
            if hold["person"]["id"] != person.id:
                continue
            held = [sent for sent in self.sent.values() if sent.from_id == person.id and sent.held]
            waiting = [sent for sent in held if sent.held == WAITS]
            path = f"/api/holds/{hold['id']}/decision"
            status, answer = await self.town.ask(self.moderator, "PUT", path, {"decision": decision})
            assert status == 200
            if not self._is_at_once:
                assert answer["decision"] == decision
                if not any(sent.held == UNSURE for sent in held):
                    assert hold["messages"] == len([sent for sent in waiting if not sent.is_deleted])
            for sent in waiting:
                sent.held = UNSURE if self._is_at_once else GOES if decision == "let_go" else STAYS

    async def do_wait(self, who: int) -> None:
        """So much time goes by that what is held of a person is delivered without a moderator."""
        sender = self.people[who].id
        old = "UPDATE held_messages SET held_at = held_at - interval '25 hours' WHERE from_id = %s"
        await self.town.rows.execute(old, sender)
        for sent in self.sent.values():
            sent.is_old |= sent.from_id == sender and sent.held is not None

    async def do_tell(self) -> None:
        """Messages go that a moderator has let go, or that the rule lets go."""
        await self.town.tell()
        if not self._is_at_once:
            await self._note_delivered()

    async def _note_delivered(self) -> None:
        """Enter the new ids of the held messages that were delivered, as their senders know them."""
        gone = []
        for person in self.people:
            if person.id in self.left or not any(s.from_id == person.id and s.held for s in self.sent.values()):
                continue
            for message in await self.town.pages(person, "/api/messages", 100):
                sent = self.sent.get(message.get("was_id", 0))
                if sent is None or sent.from_id != person.id or sent.held is None:
                    continue
                gone.append(sent)
                del self.sent[message["was_id"]]
                is_told = self._is_told(sent.from_id, sent.to_id)
                self.sent[message["id"]] = replace(sent, is_told=is_told, held=None, was_id=message["was_id"])
                self.declined[sent.from_id, sent.to_id] = None if self._is_at_once else False
        # One that is delivered to somebody whose own message waits is what lets that one go.
        for sent in gone:
            assert sent.held != STAYS
            assert self._may_go(sent) or sent.held == UNSURE or self._is_at_once
        self.delivered += len(gone)
        for sent in self.sent.values():
            if sent.held in (WAITS, GOES) and self._may_go(sent) and not self._is_at_once:
                # It was its turn, and it was refused.
                assert self._may_be_refused or sent.is_deleted
                sent.held = STAYS

    def _may_go(self, sent: Sent) -> bool:
        is_answered = any((s.from_id, s.to_id, s.held) == (sent.to_id, sent.from_id, None) for s in self.sent.values())
        return sent.held == GOES or sent.is_old or is_answered

    async def do_decide(self, who: int, other: int, state: str) -> None:
        me, them = self.people[who], self.people[other]
        path = f"/api/conversations/{them.id}/request"
        status, _ = await self.town.ask(me, "PUT", path, {"state": state})
        if status == 204:
            self.declined[me.id, them.id] = None if self._is_at_once else state == "declined"
            self.decided[me.id].append((str(them.id), state))

    async def do_block(self, who: int, other: int) -> None:
        self._may_be_refused = True
        await self.town.ask(self.people[who], "PUT", f"/api/users/{self.people[other].id}/block")

    async def do_unblock(self, who: int, other: int) -> None:
        await self.town.ask(self.people[who], "DELETE", f"/api/users/{self.people[other].id}/block")

    async def do_choose(self, who: int, takes_requests: bool) -> None:
        self._may_be_refused = True
        await self.town.ask(self.people[who], "PATCH", "/api/me", {"takes_requests": takes_requests})

    async def do_delete(self, who: int, number: int) -> None:
        person = self.people[who]
        mine = [message_id for message_id, sent in self.sent.items() if sent.from_id == person.id]
        if mine:
            message_id = mine[number % len(mine)]
            sent = self.sent[message_id]
            status, _ = await self.town.ask(person, "DELETE", f"/api/messages/{message_id}")
            if status == 404 and sent.held and self._is_at_once:
                # It was delivered meanwhile, and has another id.
                return
            assert (status == 204) is (person.id not in self.left)
            if status == 204:
                sent.is_deleted = True

    async def do_read(self, who: int, other: int, number: int, way: int) -> None:
        me, them = self.people[who], self.people[other]
        theirs = [
            message_id for message_id, sent in self.sent.items() if (sent.from_id, sent.to_id) == (them.id, me.id)
        ]
        if not theirs:
            return
        up_to = theirs[number % len(theirs)]
        device = self.devices.get((me.id, way))
        if device is not None and not device.gone:
            await device.push("read", {"with": str(them.id), "up_to": up_to})
        else:
            await self.town.ask(me, "PUT", f"/api/conversations/{them.id}/read", {"up_to": up_to})

    async def do_report(self, who: int, number: int) -> None:
        """Report a message; a moderator looks, and sees what the two see."""
        me = self.people[who]
        got = [
            message_id
            for message_id, sent in self.sent.items()
            if sent.to_id == me.id != sent.from_id and sent.held is None
        ]
        if not got:
            return
        message_id = got[number % len(got)]
        path = f"/api/messages/{message_id}/reports"
        status, report = await self.town.ask(me, "POST", path, {"reason": "spam"})
        if status == 201:
            seen = await self.town.read(self.moderator, f"/api/reports/{report['id']}/messages")
            sides = {me.id, self.sent[message_id].from_id}
            assert message_id in [message["id"] for message in seen["data"]]
            for message in seen["data"]:
                assert {int(message["from"]), int(message["to"])} == sides
                if not self._is_at_once:
                    assert message["message"] == self._text_of(message["id"])

    async def do_leave(self, who: int) -> None:
        """Delete the account."""
        me = self.people[who]
        status, _ = await self.town.ask(me, "DELETE", "/api/me", {"current_password": PASSWORD})
        if status == 204:
            self._may_be_refused = True
            self.left.add(me.id)

    async def do_crash(self, who: int) -> None:
        """The second device loses its connection, with all that is on its way."""
        self.devices[self.people[who].id, SHAKY].crash()

    async def do_join(self, who: int, node: int) -> None:
        """The second device connects again, to any node, or joins again on the connection that it has."""
        person = self.people[who]
        device = self.devices[person.id, SHAKY]
        if person.id in self.left:
            return
        if device.gone:
            self.devices[person.id, SHAKY] = await self.town.device(person, node, device.screen)
        else:
            device.screen.lost()
            device.screen.joined(await device.join(device.screen.after_id))

    async def do_deafen(self) -> None:
        """What other nodes publish does not reach the second node."""
        self.town.nodes[SHAKY].ear.deafen()

    async def do_hear(self) -> None:
        self.town.nodes[SHAKY].ear.hear()

    async def do_settle(self) -> None:
        await self.town.settle(list(self.devices.values()))

    async def do_at_once(self, *steps: Step) -> None:
        self._is_at_once = True
        await asyncio.gather(*map(self.take, steps))
        if any(name == "tell" for name, *_ in steps):
            await self._note_delivered()
        self._is_at_once = False

    # What they are shown

    def _text_of(self, message_id: int) -> str:
        sent = self.sent[message_id]
        return "" if sent.is_deleted else sent.text

    async def compare(self) -> None:
        """Everything that anybody is shown now is the same."""
        await self.do_settle()
        for person in self.people:
            if person.id not in self.left:
                await self._compare_for(person)
        left = [self.devices[user_id, STEADY] for user_id in self.left]
        await until(lambda: all(device.gone for device in left))

    async def _compare_for(self, me: Person) -> None:
        told = await self.town.pages(me, "/api/messages", 100)
        by_id = {message["id"]: message for message in told}
        assert list(by_id) == sorted(by_id)
        assert len(by_id) == len(told)
        self._is_what_was_sent(me, by_id)
        whole = await self._compare_conversations(me, by_id)
        if self.devices[me.id, SHAKY].gone:
            await self.do_join(self.people.index(me), SHAKY)
        for node in (STEADY, SHAKY):
            same(self.devices[me.id, node].screen.messages, by_id)
        await self._compare_catching_up(me, by_id)
        self._compare_steady(me, by_id, whole)

    def _is_what_was_sent(self, me: Person, told: dict[int, Payload]) -> None:
        expected = {number for number, sent in self.sent.items() if sent.from_id == me.id}
        expected |= {number for number, sent in self.sent.items() if sent.to_id == me.id and sent.is_told}
        unknown = {number for number, sent in self.sent.items() if sent.to_id == me.id and sent.is_told is None}
        assert told.keys() - unknown == expected - unknown
        for message_id, message in told.items():
            sent = self.sent[message_id]
            assert (int(message["from"]), int(message["to"])) == (sent.from_id, sent.to_id)
            assert message["message"] == self._text_of(message_id)
            assert ("deleted_at" in message) is sent.is_deleted
            assert ("held" in message) is (sent.held is not None)
            assert message.get("was_id") == sent.was_id

    async def _compare_conversations(self, me: Person, told: dict[int, Payload]) -> dict[int, Any]:
        """The pages of each conversation, and the lists of conversations. Returns the conversations by other user."""
        lists = {
            state: await self.town.pages(me, f"/api/conversations?{query}", 2)
            for state, query in ((None, ""), ("open", "request=open"), ("declined", "request=declined"))
        }
        for state, found in lists.items():
            query = "" if state is None else f"&request={state}"
            by_user = await self.town.pages(me, f"/api/conversations?sort=user{query}", 2)
            assert sorted(found, key=lambda one: one["user"]["id"]) == by_user
            last = [one["last_message"]["id"] for one in found]
            assert last == sorted(last, reverse=True)
            assert {one["request"] for one in found} <= {state}
        whole = {one["user"]["id"]: one for found in lists.values() for one in found}
        assert len(whole) == sum(map(len, lists.values()))
        shown: set[int] = set()
        for other in self.people:
            history = await self.town.pages(me, f"/api/conversations/{other.id}/messages?", 3)
            ids = [message["id"] for message in history]
            assert ids == sorted(set(ids), reverse=True)
            assert bool(history) is (other.id in whole)
            if not history:
                continue
            shown |= set(ids)
            for message in history:
                if message["id"] in told:
                    assert message == told[message["id"]]
                else:
                    # What a declined person writes is found here alone.
                    assert int(message["from"]) == other.id
                    assert self.sent[message["id"]].is_told is not True
                    assert message["message"] == self._text_of(message["id"])
            one = whole[other.id]
            assert one["last_message"] == history[0]
            unread = [m for m in history if int(m["from"]) == other.id and not m["read_at"] and "deleted_at" not in m]
            assert one["unread_count"] <= len(unread)
        assert told.keys() <= shown
        mine = {
            number
            for number, sent in self.sent.items()
            if sent.from_id == me.id or (sent.to_id == me.id and sent.held is None)
        }
        assert shown == mine
        return whole

    async def _compare_catching_up(self, me: Person, told: dict[int, Payload]) -> None:
        """Whatever a device has seen, from any id on it is brought to the same."""
        device = self.devices[me.id, SHAKY]
        ids = list(told)
        for after_id in (0, *ids, max(ids, default=0) + 1):
            # At worst it has missed every deletion.
            screen = Screen(me.id)
            screen.messages = {one: {**told[one], "message": self.sent[one].text} for one in ids if one <= after_id}
            for message in screen.messages.values():
                message.pop("deleted_at", None)
            # A sender may have seen a message while it was held, and not that it was delivered.
            for message in told.values():
                if message["from"] == str(me.id) and message["id"] > after_id >= message.get("was_id", after_id + 1):
                    held = {**message, "id": message["was_id"], "held": True}
                    del held["was_id"]
                    screen.messages[held["id"]] = held
            answer = await device.join(after_id)
            for message in answer["messages"]:
                assert message == told[message["id"]]
            assert {one for one in ids if one > after_id} <= {message["id"] for message in answer["messages"]}
            screen.joined(answer)
            same(screen.messages, told)
            if after_id in (*ids[:: max(1, len(ids) // 3)], 0):
                by_rest = await self.town.read(me, f"/api/messages?after_id={after_id}&limit=100")
                assert by_rest["data"] == answer["messages"]
                assert sorted(by_rest.get("deleted", ())) == sorted(answer.get("deleted", ()))
                read_on = await self.town.pages(me, f"/api/messages?after_id={after_id}", 3)
                assert [one for one in read_on if one["id"] > after_id] == [told[one] for one in ids if one > after_id]

    def _compare_steady(self, me: Person, told: dict[int, Payload], whole: dict[int, Any]) -> None:
        """The device that missed nothing knows all that REST says, also of requests and of what others have read."""
        screen = self.devices[me.id, STEADY].screen
        assert sorted(screen.decided) == sorted(self.decided[me.id])
        for other, state in screen.requests.items():
            assert whole[int(other)]["request"] == state
        for message_id, message in told.items():
            if message["from"] != str(me.id) or message["to"] == str(me.id) or "deleted_at" in message:
                continue
            if "held" in message:
                assert message["read_at"] is None
                continue
            is_read, is_told = message["read_at"] is not None, message_id <= screen.read_by_others.get(message["to"], 0)
            assert is_told is is_read, message


def same(shown: dict[int, Payload], told: dict[int, Payload]) -> None:
    """Both show the same messages, with the same content. When something was read comes by another way."""
    assert shown.keys() == told.keys()
    for message_id, message in told.items():
        on_screen = shown[message_id]
        if "deleted_at" in on_screen and on_screen["deleted_at"] is None:
            on_screen = without_text(on_screen, message.get("deleted_at"))
        assert {**on_screen, "read_at": message["read_at"]} == message
