"""The client of clients/javascript, on the npm package `phoenix`, against the real API and real gateway nodes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist
from tests.support.client import Person
from tests.support.database import query, sent_messages
from tests.support.node import find_node
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(__file__).parent / "js" / "private_chat.js"

_refs = itertools.count(1)


class Clients:
    """The JavaScript clients; `told` has the reports of each one by its name."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: dict[str, list[dict[str, Any]]] = {}

    async def until(self, happened: Callable[[], bool]) -> None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not happened():
                    line = await self._process.stdout.readline()
                    assert line, "the clients ended"
                    told = json.loads(line)
                    self.told.setdefault(told.pop("name"), []).append(told)
        except TimeoutError:
            raise AssertionError(f"it did not happen; reports so far: {self.told}") from None

    def all(self, name: str, what: str) -> list[Any]:
        return [told[what] for told in self.told.get(name, []) if what in told]

    async def caught_up(self, *names: str, times: int = 1) -> None:
        await self.until(lambda: all(len(self.all(name, "caughtUp")) >= times for name in names))

    async def send(self, name: str, to: Person, message: str) -> str:
        """Have a client send a message; returns its client_ref."""
        assert self._process.stdin is not None
        ref = f"ref-{next(_refs)}"
        line = {"name": name, "send": {"to": str(to.id), "message": message, "client_ref": ref}}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()
        return ref

    async def answer(self, name: str, ref: str) -> dict[str, Any]:
        await self.until(lambda: any(told.get("ref") == ref for told in self.told.get(name, [])))
        return next(told for told in self.told[name] if told.get("ref") == ref)

    def texts(self, name: str) -> list[str]:
        """The texts of the shown messages, in order. Checks that no message is shown twice."""
        ids = [message["id"] for message in self.all(name, "message")]
        assert len(set(ids)) == len(ids)
        return [message["message"] for message in self.all(name, "message")]


@asynccontextmanager
async def clients(*the_clients: dict[str, Any]) -> AsyncIterator[Clients]:
    found = find_node()
    assert found is not None, "no Node 18 or newer: `make test` brings one"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        found.node, SCRIPT, json.dumps(the_clients), stdin=pipe, stdout=pipe, limit=2**20
    )
    try:
        yield Clients(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def client(name: str, person: Person, *urls: str, **options: Any) -> dict[str, Any]:
    """A client that connects to these addresses in turn."""
    given = [url.removesuffix("/websocket") for url in urls]
    return {"name": name, "user": person.id, "token": person.token, "urls": given, **options}


def sent_texts(settings: Settings, *people: Person) -> list[str]:
    """The texts of the messages that these people sent."""
    return [text for *_, text in sent_messages(settings.database_url, *(person.id for person in people))]


def store(settings: Settings, sender: Person, to: Person, texts: Sequence[str]) -> None:
    """Store messages that were sent an hour ago."""
    query(
        settings.database_url,
        """INSERT INTO messages (from_id, to_id, text, inserted_at)
           SELECT %s, %s, unnest(%s), now() - interval '1 h'""",
        *(sender.id, to.id, list(texts)),
    )


async def two(daveslist: Daveslist) -> tuple[Person, Person]:
    return await daveslist.rest.register("Ann"), await daveslist.rest.register("Bob")


async def test_two_clients_on_two_nodes_chat(daveslist: Daveslist, deployment: Settings) -> None:
    ann, bob = await two(daveslist)
    here, there = (gateway.socket_url for gateway in daveslist.gateways)
    async with clients(client("ann", ann, here), client("bob", bob, there)) as the_clients:
        await the_clients.caught_up("ann", "bob")
        answer = await the_clients.answer("ann", await the_clients.send("ann", bob, "Hey How are you"))
        await the_clients.until(lambda: the_clients.texts("bob") == the_clients.texts("ann") == ["Hey How are you"])
        [message] = the_clients.all("bob", "message")
        assert message["id"] == answer["stored"]["id"]
        assert (message["from"], message["to"]) == (str(ann.id), str(bob.id))
        await the_clients.answer("bob", await the_clients.send("bob", ann, "Fine."))
        await the_clients.until(lambda: the_clients.texts("ann") == ["Hey How are you", "Fine."])
        refused = await the_clients.answer("ann", await the_clients.send("ann", replace(bob, id=999_999_999), "hello?"))
        assert refused["failed"] == "user not found"
        refused = await the_clients.answer("ann", await the_clients.send("ann", bob, " "))
        assert (refused["failed"], list(refused["errors"])) == ("invalid message", ["message"])
    assert sent_texts(deployment, ann, bob) == ["Hey How are you", "Fine."]


async def test_two_devices_of_a_user_on_two_nodes_show_incoming_and_outgoing_messages(daveslist: Daveslist) -> None:
    ann, bob = await two(daveslist)
    here, there = (gateway.socket_url for gateway in daveslist.gateways)
    devices = client("phone", ann, here), client("laptop", ann, there)
    async with clients(*devices, client("bob", bob, here)) as the_clients:
        await the_clients.caught_up("phone", "laptop", "bob")
        await the_clients.answer("phone", await the_clients.send("phone", bob, "from my phone"))
        await the_clients.answer("bob", await the_clients.send("bob", ann, "to both"))
        expected = ["from my phone", "to both"]
        await the_clients.until(lambda: all(the_clients.texts(name) == expected for name in ("phone", "laptop", "bob")))


async def test_a_client_with_an_invalid_token_or_for_a_foreign_topic_never_joins(daveslist: Daveslist) -> None:
    ann, bob = await two(daveslist)
    stranger = replace(ann, token="no.good.token")
    here = daveslist.gateways[0].socket_url
    # Bob's topic, with Ann's valid token.
    curious = client("curious", replace(bob, token=ann.token), here)
    async with clients(client("stranger", stranger, here), curious) as the_clients:
        await the_clients.until(
            lambda: len(the_clients.all("stranger", "error")) >= 3 and len(the_clients.all("curious", "refused")) >= 2
        )
        assert the_clients.all("stranger", "caughtUp") == the_clients.all("curious", "caughtUp") == []
        assert set(the_clients.all("curious", "refused")) == {"unauthorized"}


@pytest.mark.parametrize("by_rest", [True, False])
async def test_more_missed_messages_than_one_answer_holds_are_all_read(
    daveslist: Daveslist, deployment: Settings, by_rest: bool
) -> None:
    ann, bob = await two(daveslist)
    past = [f"{number}" for number in range(450)]
    store(deployment, ann, bob, past)
    api = daveslist.api.url if by_rest else None
    async with clients(client("bob", bob, daveslist.gateways[0].socket_url, api=api)) as the_clients:
        await the_clients.caught_up("bob")
        assert the_clients.texts("bob") == past
        assert the_clients.all("bob", "caughtUp") == [the_clients.all("bob", "message")[-1]["id"]]


async def test_a_client_whose_node_is_killed_goes_on_at_another_node_and_misses_nothing(
    daveslist: Daveslist, deployment: Settings
) -> None:
    ann, bob = await two(daveslist)
    victim = await daveslist.processes.gateway()
    other = daveslist.gateways[0].socket_url
    async with clients(client("ann", ann, victim.socket_url, other), client("bob", bob, other)) as the_clients:
        await the_clients.caught_up("ann", "bob")
        await the_clients.answer("bob", await the_clients.send("bob", ann, "before"))
        await the_clients.until(lambda: the_clients.texts("ann") == ["before"])
        victim.kill()
        kept = await the_clients.send("ann", bob, "handed in while nothing is connected")
        missed = await the_clients.send("bob", ann, "sent while ann is away")
        await the_clients.answer("bob", missed)
        await the_clients.answer("ann", kept)
        await the_clients.caught_up("ann", times=2)
        await the_clients.until(lambda: len(the_clients.texts("ann")) == len(the_clients.texts("bob")) == 3)
    assert sorted(sent_texts(deployment, ann, bob)) == [
        "before",
        "handed in while nothing is connected",
        "sent while ann is away",
    ]


async def test_a_send_whose_answer_was_lost_is_repeated_and_stored_once(
    daveslist: Daveslist, deployment: Settings
) -> None:
    ann, bob = await two(daveslist)
    first, other = (gateway.socket_url for gateway in daveslist.gateways)
    async with (
        Proxy(daveslist.gateways[0].port) as proxy,
        clients(client("ann", ann, proxy.socket_url, other), client("bob", bob, first)) as the_clients,
    ):
        await the_clients.caught_up("ann", "bob")
        proxy.cut_answers()
        ref = await the_clients.send("ann", bob, "did you get this?")
        # The message has arrived, but its sender cannot know this.
        await the_clients.until(lambda: the_clients.texts("bob") == ["did you get this?"])
        answer = await the_clients.answer("ann", ref)
        assert answer["stored"]["id"] == the_clients.all("bob", "message")[0]["id"]
        await the_clients.until(lambda: the_clients.texts("ann") == ["did you get this?"])
    assert sent_texts(deployment, ann) == ["did you get this?"]
