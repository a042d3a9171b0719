"""Tests CONTRIBUTING.md: its recipes work as they stand; a channel and a route take less than twenty lines each."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

import api.app
from api.app import create_app
from api.call import Call
from api.documentation.document import build_document
from api.endpoint import Route
from api.handlers import listings
from api.routes import ROUTES
from shared.access.policy import Action
from shared.domain.declared import Number
from shared.domain.listings import MAX_SHORT_TEXT_LENGTH
from shared.postgres import Database, Statement
from shared.pubsub.memory import MemoryBroker
from shared.settings import Settings
from tests.api.rows import Rows
from tests.gateway.nodes import Client, start_node
from tests.support.client import Rest, Socket
from tests.support.database import add_users
from tests.support.node_tests import run_tests
from tests.support.processes import CHECKOUT, Processes, base_environment, environment_of
from tests.support.roles import as_owner
from tests.support.secret import JWT_SECRET

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str = "python") -> list[str]:
    """The code blocks below a heading."""
    _, _, section = TEXT.partition(f"\n## {heading}\n")
    return re.findall(rf"^```{language}\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("heading", ["Add a channel", "Add a route"])
def test_an_example_takes_less_than_twenty_lines(heading: str) -> None:
    assert 0 < sum(len([line for line in block.splitlines() if line]) for block in blocks(heading)) < 20


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+(?:\.[a-z]+)?)`", TEXT))
    assert {"shared/private_chat.py", "api/routes.py", "api/web/facts.js"} <= named
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []


async def test_the_example_of_a_channel_works() -> None:
    names: dict[str, Any] = {}
    [channel] = blocks("Add a channel")
    exec(compile(channel, "CONTRIBUTING.md", "exec"), names)
    node = await start_node({"room:*": names["Room"]})
    ann, bob = Client(node), Client(node, user=2)
    await ann.joins("room:cars")
    await bob.joins("room:cars")
    ann.says("j1", "1", "room:cars", "shout", {"text": "Sold!"})
    [broadcast] = await bob.gets(1)
    assert (broadcast.event, broadcast.payload) == ("shout", {"text": "Sold!"})
    assert ann.events() == ["shout", "1"]
    await node.stop()


async def test_the_example_of_a_route_works(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, route = blocks("Add a route")
    names: dict[str, Any] = {
        "__name__": "api.handlers.listings",
        "Call": Call,
        "Number": Number,
        "dataclass": dataclass,
        "datetime": datetime,
        "UTC": UTC,
    }
    exec(compile(handler, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    monkeypatch.setattr(listings, "age", names["age"], raising=False)
    added = eval(route, {"Route": Route, "listings": listings, "Action": Action})
    monkeypatch.setattr(api.app, "ROUTES", (*ROUTES, added))

    # A size that no other test uses, because the OpenAPI document is cached by this size.
    settings = Settings(database_url=database_url, jwt_secrets=(JWT_SECRET,), rate_limits=False, max_picture_bytes=4711)
    database = Database(settings)
    rows = Rows(database)
    [seller] = add_users(database_url, 1)
    listing_id = await rows.listing(seller, created_at="now() - interval '3 days'")
    async with TestClient(TestServer(create_app(settings, MemoryBroker()))) as client:
        async with client.get(f"/api/listings/{listing_id}/age") as response:
            assert (response.status, await response.json()) == (200, {"days": 3})
        async with client.get(f"/api/listings/{listing_id + 1}/age") as response:
            assert response.status == 404
    await database.close()
    described = build_document((*ROUTES, added), picture_bytes=1)
    operation = described["paths"]["/api/listings/{id}/age"]["get"]
    assert operation["summary"] == "How old it is"
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Age"
    }
    assert described["components"]["schemas"]["Age"]["properties"] == {"days": {"type": "integer", "minimum": 0}}


@pytest.mark.servers
async def test_a_field_of_a_listing_needs_a_column_and_one_line(changed: Changed) -> None:
    [column] = blocks("Add a field to a listing", "sql")
    line, condition, filtering = blocks("Add a field to a listing")
    changed.put("schema.sql", column, above="CREATE INDEX IF NOT EXISTS listings_of_seller")
    changed.put("shared/domain/listings.py", line, above="    location: ShortText | None = None\n")
    changed.put("shared/domain/listings.py", condition, above="    year_min: ")
    same = '    """Add the filter\'s equal values."""\n'
    changed.put("shared/repositories/listing_conditions.py", filtering, below=same)
    changed.put("shared/repositories/listing_conditions.py", '    "upholstery",\n', above='    "hidden_until",')
    changed.apply_schema()

    api_node = await changed.processes.api()
    async with Rest(api_node.url) as rest:
        seller = await rest.register("Ann")
        database = await Database.connect(changed.processes.settings)
        await database.execute(Statement("", "INSERT INTO categories (id, name) VALUES (1, 'Sedans')"))
        await database.close()
        given = {"title": "A car", "content": "It drives.", "category_id": 1, "upholstery": "leather"}
        made = await rest.call("POST", "/api/listings", 201, who=seller, body=given)
        path = f"/api/listings/{made['id']}"
        assert (await rest.call("GET", path, 200))["upholstery"] == "leather"
        for upholstery, found in (("leather", [made["id"]]), ("cloth", [])):
            page = await rest.call("GET", "/api/listings", 200, upholstery=upholstery)
            assert [one["id"] for one in page["data"]] == found
        gateway = await changed.processes.gateway()
        async with await Socket.connect(gateway.socket_url, seller.token) as socket:
            assert (await socket.join(f"listing:{made['id']}"))["status"] == "ok"
            for change in ("cloth", None):
                changed_listing = await rest.call("PATCH", path, 200, who=seller, body={"upholstery": change})
                assert changed_listing["upholstery"] == change
                assert (await socket.event("listing_updated"))["upholstery"] == change
        too_long = {"upholstery": "x" * (MAX_SHORT_TEXT_LENGTH + 1)}
        problem = await rest.call("PATCH", path, 422, who=seller, body=too_long)
        assert problem["errors"] == {"upholstery": [f"Longer than {MAX_SHORT_TEXT_LENGTH} characters."]}
        described = await rest.call("GET", "/api/openapi.json", 200)
        for name in ("ListingBody", "ListingChangeBody", "Listing", "TrashedListing"):
            assert "upholstery" in described["components"]["schemas"][name]["properties"]
        [asked] = [
            one for one in described["paths"]["/api/listings"]["get"]["parameters"] if one["name"] == "upholstery"
        ]
        assert asked["description"] == "Only with this upholstery."


@pytest.mark.servers
async def test_an_event_of_private_chat_is_pushed_and_posted(changed: Changed) -> None:
    event, handler, route = blocks("Add an event to private chat")
    declared, events = event.split("EVENTS", 1)
    changed.put("shared/private_chat.py", declared, above="EVENTS: Mapping")
    changed.replace("shared/private_chat.py", "EVENTS" + events.replace(", Wave", ""), "EVENTS" + events)
    changed.put("api/handlers/messages.py", f"{handler}\n\n", above="async def after")
    changed.put("api/routes.py", f"    {route.strip()},\n", above='    Route("GET", "/api/messages"')

    api_node, gateway = await changed.processes.api(), await changed.processes.gateway()
    async with Rest(api_node.url) as rest:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
        async with (
            await Socket.connect(gateway.socket_url, ann.token) as hers,
            await Socket.connect(gateway.socket_url, bob.token) as his,
        ):
            for socket, person in ((hers, ann), (his, bob)):
                assert (await socket.join(person.topic))["status"] == "ok"
            told = {"from": str(ann.id), "to": str(bob.id)}
            answer = await hers.push(ann.topic, "wave", {"to": str(bob.id)})
            assert answer == {"status": "ok", "response": {}}
            assert await hers.event("wave") == await his.event("wave") == told
            refused = await hers.push(ann.topic, "wave", {})
            assert refused["response"] == {"reason": "invalid message", "errors": {"to": ["Missing."]}}

            await rest.call("POST", "/api/waves", 204, who=ann, body={"to": bob.id})
            assert await hers.event("wave") == await his.event("wave") == told
            for body, errors in (
                ({}, {"to": ["Missing."]}),
                ({"to": "x"}, {"to": ["User not found."]}),
                ({"to": bob.id, "more": 1}, {"more": ["Unknown field."]}),
            ):
                assert (await rest.call("POST", "/api/waves", 422, who=ann, body=body))["errors"] == errors
            await rest.call("POST", "/api/waves", 401, body={"to": bob.id})
            operation = (await rest.call("GET", "/api/openapi.json", 200))["paths"]["/api/waves"]["post"]
            assert operation["summary"] == "Greet somebody"
            assert "204" in operation["responses"]


@pytest.mark.servers
async def test_the_page_receives_and_pushes_the_event(changed: Changed) -> None:
    hook, method = blocks("Add an event to private chat", "js")
    inbox = "api/web/realtime/inbox.js"
    changed.put(inbox, hook, above="        sanction: ")
    changed.put(inbox, f"{method}\n", above="  close() {")
    changed.write(
        "wave.test.mjs",
        """
        import assert from "node:assert/strict";
        import { test } from "node:test";
        import { Inbox } from "./api/web/realtime/inbox.js";

        test("a wave is announced, and pushed", () => {
          const announced = [], pushed = [];
          let options;
          const chat = { unanswered: [], push: (...given) => pushed.push(given) };
          const connection = { chat: (_, given) => ((options = given), chat) };
          const inbox = new Inbox({ connection, announce: (text) => announced.push(text) });
          inbox.open(7);
          options.on.wave({ from: "8", to: "7" });
          inbox.wave(8);
          assert.deepEqual([announced, pushed], [["8 waves."], [["wave", { to: "8" }]]]);
        });
        """,
    )
    await run_tests(changed.checkout / "wave.test.mjs")


@pytest.mark.servers
async def test_the_page_shows_the_field_in_its_form_and_among_the_facts(changed: Changed) -> None:
    [line] = blocks("Add a field to a listing", "js")
    changed.put("api/web/facts.js", line, above='  { name: "location"')
    changed.write(
        "facts.test.mjs",
        """
        import assert from "node:assert/strict";
        import { test } from "node:test";
        import { FACTS } from "./api/web/facts.js";

        test("it is one of the facts", () => assert.ok(FACTS.some(({ label }) => label === "Upholstery")));
        """,
    )
    await run_tests(changed.checkout / "facts.test.mjs")


class Changed:
    """A copy of the product's code, which a test changes by a recipe, and processes that run it."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.checkout = directory / "checkout"
        for folder in ("api", "clients", "gateway", "shared"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / folder, self.checkout / folder, ignore=ignored)
        for name in ("schema.sql", "grants.sql"):
            shutil.copy(CHECKOUT / name, self.checkout)
        self.processes = Processes(settings, directory, self.checkout)

    def apply_schema(self) -> None:
        settings = self.processes.settings
        given = {**environment_of(settings), "DATABASE_URL": as_owner(settings.database_url)}
        command = [sys.executable, "-m", "api", "schema"]
        subprocess.run(command, cwd=self.checkout, env={**base_environment(), **given}, check=True)

    def put(self, path: str, lines: str, *, above: str = "", below: str = "") -> None:
        """Put lines above or below a text that occurs once in the file."""
        self.replace(path, above or below, lines + above if above else below + lines)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.checkout / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(path, text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        (self.checkout / path).write_text(text, encoding="utf-8")


@pytest.fixture
async def changed(settings: Settings, tmp_path: Path) -> AsyncIterator[Changed]:
    made = Changed(settings, tmp_path)
    try:
        yield made
    finally:
        await made.processes.stop()
