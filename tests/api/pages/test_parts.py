"""What a search asks, in words: the server and the page's modules say the same, and lead to the same addresses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from multidict import MultiDict

from api.pages.asked import asked
from api.pages.parts import parts_of
from api.pages.units import Units
from tests.support.node import find_node

MILES = Units("USD", "mi")
CHECKOUT = Path(__file__).parents[3]
QUERIES = (
    "",
    "q=golf&verbatim=true&sort=relevance",
    "q=golf&make=VW&model=Golf&category_id=3&sort=-price",
    "category_id=99&status=any",
    "year_min=2010&year_max=2015&price_min=5000&mileage_max=90000&status=sold",
    "year_max=2015&price_max=9007199254740991&engine_cc_max=2000&power_kw_min=100",
    "fuel=diesel,plug_in_hybrid&body=suv&transmission=cvt&drive=four&colour=grey&condition=like_new&title_status=lien",
    "doors=3,5&owners_max=1",
    "owners_max=2&near=Ulm&within=30km&sort=distance",
    "near=10115&seller_id=7",
    "price_min=cheap&year_max=12345678901234567890&within=30km",
    "q=%3Cb%3E%E2%80%AE&make=a%20b",
)
SCRIPT = """
import { partsOf } from %r;
const categories = [{ id: 3, name: "Trucks" }];
console.log(JSON.stringify(%s.map((query) => partsOf(query, categories).map(({ names, words }) => [names[0], words]))));
"""


@pytest.mark.servers
async def test_the_server_says_the_same_of_a_search_as_the_page_does() -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    searches = [asked(MultiDict(parse_qsl(query))) for query in QUERIES]
    module = str(CHECKOUT / "api" / "web" / "search_name.js")
    script = SCRIPT % (module, json.dumps([dict(search.values) for search in searches]))
    process = await asyncio.create_subprocess_exec(
        node.node, "--input-type=module", "--eval", script, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    names = ["Trucks" if search.values.get("category_id") == "3" else None for search in searches]
    said = [
        [[part.name, part.words] for part in parts_of(search, name, MILES)]
        for search, name in zip(searches, names, strict=True)
    ]
    assert json.loads(output) == said


def test_each_part_can_be_taken_away_with_the_order_that_needs_it() -> None:
    search = asked(MultiDict(parse_qsl("q=golf&verbatim=true&near=Ulm&within=30km&sort=distance&price_max=9")))
    assert [(part.name, part.path) for part in parts_of(search, None, MILES)] == [
        ("q", "/?price_max=9&near=Ulm&within=30km&sort=distance"),
        ("price_min", "/?q=golf&verbatim=true&near=Ulm&within=30km&sort=distance"),
        ("near", "/?q=golf&verbatim=true&price_max=9"),
    ]
