"""CONTRIBUTING.md is true: the channel and the route that it adds work as shown, in less than twenty lines each."""

from __future__ import annotations

import re
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
from shared.postgres import Database
from shared.pubsub.memory import MemoryBroker
from shared.settings import Settings
from tests.api.rows import Rows
from tests.end_to_end.faults.load import add_users
from tests.gateway.nodes import Client, start_node

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The Python blocks below a heading."""
    _, _, section = TEXT.partition(f"\n## {heading}\n")
    return re.findall(r"^```python\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("heading", ["Add a channel", "Add a route"])
def test_it_takes_less_than_twenty_lines(heading: str) -> None:
    assert 0 < sum(len([line for line in block.splitlines() if line]) for block in blocks(heading)) < 20


async def test_the_channel_works() -> None:
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


async def test_the_route_works(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, route, schema, operation = blocks("Add a route")
    names: dict[str, Any] = {
        "__name__": "api.handlers.listings",
        "web": web,
        "Call": Call,
        "json_answer": json_answer,
        "datetime": datetime,
        "UTC": UTC,
    }
    exec(compile(handler, "CONTRIBUTING.md", "exec", flags=0), names)
    monkeypatch.setattr(listings, "age", names["age"], raising=False)
    monkeypatch.setattr(answers, "Age", eval(schema.partition(" = ")[2], vars(answers)), raising=False)
    added = eval(route, {"Route": Route, "listings": listings, "Action": Action})
    described = eval(f"{{{operation}}}", {"Operation": Operation, "answers": answers})
    monkeypatch.setattr(api.app, "ROUTES", (*ROUTES, added))
    monkeypatch.setattr(document, "OPERATIONS", {**OPERATIONS, **described})

    # A size of its own: the document of an application is kept by it.
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
