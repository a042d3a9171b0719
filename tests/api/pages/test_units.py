"""Prices and mileages have the currency and the unit of the site, everywhere the same."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from api.pages.units import Units
from tests.api.conftest import MakeApi
from tests.api.pages.reader import look
from tests.api.rows import Rows
from tests.support.node import find_node

CURRENCIES = ("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "EUR", "GBP", "HKD", "ILS", "INR", "JPY", "KRW", "MXN", "NZD",
              "PHP", "PLN", "SEK", "TWD", "USD", "VND", "XAF", "XCD", "XOF", "XPF", "ZAR")  # fmt: skip
NUMBERS = (0, 950, 9500, 2**53 - 1)
SCRIPT = """
const written = (currency) => new Intl.NumberFormat("en-US", { style: "currency", currency, maximumFractionDigits: 0 });
console.log(JSON.stringify(%s.map((one) => %s.map((value) => written(one).format(value)))));
"""


@pytest.mark.servers
async def test_the_server_writes_prices_as_a_browser_for_english_does() -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    script = SCRIPT % (json.dumps(CURRENCIES), json.dumps(NUMBERS))
    process = await asyncio.create_subprocess_exec(node.node, "--eval", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert json.loads(output) == [[Units(one, "mi").price(value) for value in NUMBERS] for one in CURRENCIES]


async def test_every_page_feed_and_description_has_the_currency_and_the_unit_of_the_settings(
    make_api: MakeApi, rows: Rows
) -> None:
    api = await make_api(currency="EUR", distance_unit="km")
    seller = await api.register()
    number = await rows.listing(
        seller.id,
        title="A Golf",
        price=9500,
        mileage=82000,
        price_history='[{"price": 9900, "until": "2026-01-02T03:04:05.000006Z"}]',
    )
    car = await look(api, f"/listings/{number}")
    assert car.words(".price") == "€9,500, was €9,900"
    assert "82,000 km" in car.words(".facts")
    assert car.meta("description").startswith("€9,500 · 82,000 km")
    assert car.meta("og:description").startswith("€9,500 · 82,000 km")
    data = car.data('script[type="application/ld+json"]')
    assert (data["offers"]["price"], data["offers"]["priceCurrency"]) == (9500, "EUR")
    assert data["mileageFromOdometer"] == {"@type": "QuantitativeValue", "value": 82000, "unitCode": "KMT"}
    cars = await look(api, "/?price_max=10000&mileage_max=90000")
    assert cars.words(".card .price") == "€9,500, was €9,900"
    assert "82,000 km" in cars.words(".card-text")
    assert "up to €10,000" in cars.text
    assert "up to 90,000 km" in cars.text
    offered = [option.attributes["value"] for option in cars.all("#filters-within option")]
    limits = json.loads(cars.meta("limits"))
    assert offered == ["", *(f"{one}km" for one in limits["distances"])]
    assert (limits["currency"], limits["distance_unit"]) == ("EUR", "km")
    assert "A Golf · €9,500" in await (await api.client.get("/feed.atom")).text()
    described = await api.call("GET", "/api/openapi.json", 200)
    assert "Prices are in EUR (ISO 4217), mileages in kilometres" in described["info"]["description"]
    for page in (car, cars):
        assert "$" not in page.words("main")
        assert not re.search(r"[0-9] mi\b", page.words("main"))
    # What is stored and what the API answers stays as it is.
    shown = await api.call("GET", f"/api/listings/{number}", 200)
    assert (shown["price"], shown["mileage"]) == (9500, 82000)
