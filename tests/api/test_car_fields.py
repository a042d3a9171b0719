"""What buyers ask about a car: the fields of a listing that are closed lists and numbers, and the filters by them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import psycopg2.errors
import pytest

from shared.domain.cars import ENGINE_STEPS, POWER_STEPS, Fuel
from shared.domain.declared import fields_of
from shared.domain.listings import NewListing
from tests.api.conftest import SHARES_THE_API, Api
from tests.api.rows import Rows
from tests.api.test_listings import new_listing

pytestmark = pytest.mark.usefixtures("at_rest")

CAR: dict[str, Any] = {
    "fuel": "diesel",
    "transmission": "manual",
    "body": "wagon",
    "drive": "all",
    "colour": "green",
    "doors": 5,
    "power_kw": 110,
    "engine_cc": 1968,
    "owners": 2,
    "condition": "good",
    "title_status": "clean",
}
OTHER: dict[str, Any] = {
    "fuel": "electric",
    "transmission": "automatic",
    "body": "sedan",
    "drive": "rear",
    "colour": "white",
    "doors": 4,
    "power_kw": 250,
    "engine_cc": 2500,
    "owners": 0,
    "condition": "new",
    "title_status": "salvage",
}


async def found(api: Api, query: str) -> list[int]:
    return [one["id"] for one in (await api.call("GET", f"/api/listings?{query}", 200))["data"]]


async def test_a_car_is_stored_with_its_facts_and_each_can_be_changed_and_erased(api: Api, rows: Rows) -> None:
    seller = await api.register()
    created = await new_listing(api, rows, seller, **CAR)
    path = f"/api/listings/{created['id']}"
    assert created.items() >= CAR.items()
    assert (await api.call("GET", path, 200)).items() >= CAR.items()
    for name, value in OTHER.items():
        changed = await api.call("PATCH", path, 200, who=seller, json={name: value})
        assert changed.items() >= {name: value}.items()
        assert (await api.call("PATCH", path, 200, who=seller, json={name: None}))[name] is None


async def test_a_client_that_knows_no_facts_makes_and_changes_listings_as_before(api: Api, rows: Rows) -> None:
    seller = await api.register()
    created = await new_listing(api, rows, seller)
    assert [created[name] for name in CAR] == [None] * len(CAR)
    kept = await new_listing(api, rows, seller, **CAR)
    changed = await api.call("PATCH", f"/api/listings/{kept['id']}", 200, who=seller, json={"price": 5})
    assert changed.items() >= CAR.items()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        *((name, ["", "Diesel", "x", 1, ["diesel"], {}]) for name, value in CAR.items() if isinstance(value, str)),
        ("doors", [0, 10, 2.5, "4", True]),
        ("power_kw", [0, 2001, -1, "110"]),
        ("engine_cc", [0, 20_001, 1.6]),
        ("owners", [-1, 21, "2"]),
    ],
)
async def test_a_wrong_fact_is_422_with_its_field(api: Api, rows: Rows, field: str, values: list[Any]) -> None:
    seller = await api.register()
    good = {"title": "A car", "content": "It drives.", "category_id": await rows.category()}
    listing_id = await rows.listing(seller.id)
    for value in values:
        for method, path, body in (
            ("POST", "/api/listings", {**good, field: value}),
            ("PATCH", f"/api/listings/{listing_id}", {field: value}),
        ):
            problem = await api.call(method, path, 422, who=seller, json=body)
            assert set(problem["errors"]) == {field}, value


async def test_each_fact_is_a_filter_with_any_of_several_values(api: Api, rows: Rows) -> None:
    seller = await api.register()
    one, other = await rows.listing(seller.id, **CAR), await rows.listing(seller.id, **OTHER)
    bare = await rows.listing(seller.id)
    for name, value in CAR.items():
        if name in ("power_kw", "engine_cc", "owners"):
            continue
        assert await found(api, f"{name}={value}") == [one]
        assert await found(api, f"{name}={OTHER[name]}") == [other]
        both = f"{name}={value},{OTHER[name]}"
        assert await found(api, both) == await found(api, f"{name}={value}&{name}={OTHER[name]}") == [other, one]
        assert await found(api, f"{both}&{name}={value}&sort=price") == [one, other]
    assert await found(api, "fuel=diesel&body=wagon,sedan&doors=5&colour=green") == [one]
    assert await found(api, "fuel=diesel&body=sedan") == []
    ranges = {
        "power_kw_min=110": [other, one],
        "power_kw_min=111": [other],
        "power_kw_max=110": [one],
        "power_kw_max=109": [],
        "power_kw_min=110&power_kw_max=110": [one],
        "engine_cc_max=1968": [one],
        "engine_cc_min=1969": [other],
        "engine_cc_min=0": [other, one],
        "owners_max=0": [other],
        "owners_max=2": [other, one],
    }
    for query, expected in ranges.items():
        assert await found(api, query) == expected, query
    assert bare not in await found(api, "owners_max=20&status=any")


@pytest.mark.parametrize(("name", "steps"), [("power_kw", POWER_STEPS), ("engine_cc", ENGINE_STEPS)])
async def test_ranges_are_exact_at_every_step(api: Api, rows: Rows, name: str, steps: tuple[int, ...]) -> None:
    seller = await api.register()
    values = sorted({value + more for value in steps for more in (-1, 0, 1)})
    category = await rows.category()
    for value in values:
        car: dict[str, Any] = {name: value}
        await rows.listing(seller.id, category, **car)
    for value in values:
        for query, expected in (
            (f"{name}_min={value}", [one for one in values if one >= value]),
            (f"{name}_max={value}", [one for one in values if one <= value]),
        ):
            page = await api.call("GET", f"/api/listings?{query}&limit=100", 200)
            assert [one[name] for one in reversed(page["data"])] == expected, query


@SHARES_THE_API
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("fuel=", "fuel"),
        ("fuel=coal", "fuel"),
        ("fuel=diesel,", "fuel"),
        ("fuel=diesel&fuel=coal", "fuel"),
        ("fuel=" + ",".join(["diesel"] * 51), "fuel"),
        ("doors=four", "doors"),
        ("doors=0", "doors"),
        ("doors=4,99", "doors"),
        ("condition=Good", "condition"),
        ("title_status=clean%00", "title_status"),
        ("power_kw_min=x", "power_kw_min"),
        ("owners_max=-1", "owners_max"),
        ("owners_max=1&owners_max=2", "owners_max"),
        ("fuel_min=1", "fuel_min"),
        ("year_min=2010&year_max=2009", "year_max"),
        ("price_min=2&price_max=1", "price_max"),
        ("power_kw_min=100&power_kw_max=99", "power_kw_max"),
        ("engine_cc_min=2000&engine_cc_max=1000", "engine_cc_max"),
    ],
)
async def test_a_wrong_filter_is_422_with_its_field(shared_api: Api, query: str, field: str) -> None:
    problem = await shared_api.call("GET", f"/api/listings?{query}", 422)
    assert set(problem["errors"]) == {field}


@SHARES_THE_API
async def test_the_document_has_the_closed_lists(shared_api: Api) -> None:
    described = await shared_api.call("GET", "/api/openapi.json", 200)
    fuels = [fuel.value for fuel in Fuel]
    for name in ("ListingBody", "ListingChangeBody", "Listing"):
        assert described["components"]["schemas"][name]["properties"]["fuel"]["enum"] == [*fuels, None]
    asked = {one["name"]: one for one in described["paths"]["/api/listings"]["get"]["parameters"]}
    assert asked["fuel"]["schema"]["items"]["enum"] == fuels
    assert (asked["fuel"]["explode"], asked["fuel"]["style"]) == (True, "form")
    assert asked["doors"]["schema"]["items"] == {"type": "integer", "minimum": 1, "maximum": 9}


async def test_the_database_takes_every_value_of_the_closed_lists_and_no_other(rows: Rows, api: Api) -> None:
    seller = await api.register()
    category = await rows.category()
    lists = {
        field.name: field.kind for field in fields_of(NewListing) if field.name in CAR and issubclass(field.kind, Enum)
    }
    assert len(lists) == 7
    for name, kind in lists.items():
        for one in kind:
            await rows.listing(seller.id, category, **{name: one.value})
        with pytest.raises(psycopg2.errors.CheckViolation):
            await rows.listing(seller.id, category, **{name: "unknown"})
