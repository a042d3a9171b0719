"""Tests CONTRIBUTING.md: its examples work, and a channel and a route take less than twenty lines each."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import api.app
from api.answers import json_answer
from api.app import create_app
from api.call import Call
from api.documentation import document
from api.documentation.operations import OPERATIONS, Operation
from api.endpoint import Route
from api.handlers import listings
from api.routes import ROUTES
from api.schemas import answers
from shared.access.policy import Action
from shared.domain.listings import MAX_SHORT_TEXT_LENGTH
from shared.postgres import Database, Statement
from shared.pubsub.memory import MemoryBroker
from shared.settings import Settings
from tests.api.rows import Rows
from tests.end_to_end.faults.load import add_users
from tests.gateway.nodes import Client, start_node
from tests.support.client import Rest
from tests.support.processes import CHECKOUT, Processes

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str = "python") -> list[str]:
    """The code blocks below a heading."""
    _, _, section = TEXT.partition(f"\n## {heading}\n")
    return re.findall(rf"^```{language}\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("heading", ["Add a channel", "Add a route"])
def test_an_example_takes_less_than_twenty_lines(heading: str) -> None:
    assert 0 < sum(len([line for line in block.splitlines() if line]) for block in blocks(heading)) < 20


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
    answer, handler, route, operation = blocks("Add a route")
    exec(compile(answer, "CONTRIBUTING.md", "exec"), vars(answers))
    names: dict[str, Any] = {
        "__name__": "api.handlers.listings",
        "web": web,
        "Call": Call,
        "json_answer": json_answer,
        "answers": answers,
        "datetime": datetime,
        "UTC": UTC,
    }
    exec(compile(handler, "CONTRIBUTING.md", "exec", flags=0), names)
    monkeypatch.setattr(listings, "age", names["age"], raising=False)
    added = eval(route, {"Route": Route, "listings": listings, "Action": Action})
    described = eval(f"{{{operation}}}", {"Operation": Operation, "answers": answers})
    monkeypatch.setattr(api.app, "ROUTES", (*ROUTES, added))
    monkeypatch.setattr(document, "OPERATIONS", {**OPERATIONS, **described})

    # A size that no other test uses, because the OpenAPI document is cached by this size.
    settings = Settings(database_url=database_url, jwt_secret="x" * 32, rate_limits=False, max_picture_bytes=4711)
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
    paths = document.build_document((*ROUTES, added), picture_bytes=1)["paths"]
    assert paths["/api/listings/{id}/age"]["get"]["summary"] == "How old it is"


@pytest.mark.servers
async def test_a_field_of_a_listing_needs_a_column_and_one_line(settings: Settings, tmp_path: Path) -> None:
    [column], [line] = blocks("Add a field to a listing", "sql"), blocks("Add a field to a listing")
    checkout = scratch_copy(tmp_path / "checkout")
    insert_line(checkout / "schema.sql", column, above="CREATE INDEX IF NOT EXISTS listings_of_seller")
    insert_line(checkout / "shared" / "domain" / "listings.py", line, above="    location: ShortText | None = None\n")

    processes = Processes(settings, tmp_path, checkout)
    try:
        api_node = await processes.api()
        async with Rest(api_node.url) as rest:
            seller = await rest.register("Ann")
            database = await Database.connect(settings)
            await database.execute(Statement("", "INSERT INTO categories (id, name) VALUES (1, 'Sedans')"))
            await database.close()
            given = {"title": "A car", "content": "It drives.", "category_id": 1, "colour": "red"}
            made = await rest.call("POST", "/api/listings", 201, who=seller, body=given)
            path = f"/api/listings/{made['id']}"
            assert (await rest.call("GET", path, 200))["colour"] == "red"
            for colour in ("blue", None):
                changed = await rest.call("PATCH", path, 200, who=seller, body={"colour": colour})
                assert changed["colour"] == colour
            too_long = {"colour": "x" * (MAX_SHORT_TEXT_LENGTH + 1)}
            problem = await rest.call("PATCH", path, 422, who=seller, body=too_long)
            assert problem["errors"] == {"colour": [f"Longer than {MAX_SHORT_TEXT_LENGTH} characters."]}
            schemas = (await rest.call("GET", "/api/openapi.json", 200))["components"]["schemas"]
            for name in ("ListingBody", "ListingChangeBody", "Listing", "TrashedListing"):
                assert "colour" in schemas[name]["properties"]
    finally:
        await processes.stop()


def scratch_copy(to: Path) -> Path:
    """A copy of the product's code, which the test may change."""
    for folder in ("api", "gateway", "shared"):
        shutil.copytree(CHECKOUT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "schema.sql", to)
    return to


def insert_line(path: Path, line: str, *, above: str) -> None:
    """Insert a line into a file, above another line that is there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(above) == 1
    path.write_text(text.replace(above, line + above), encoding="utf-8")
