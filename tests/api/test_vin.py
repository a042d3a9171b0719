"""The vehicle identification number of a listing: its form, who sees it, and what it says of a car."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.users import Role
from shared.domain.vin import decoded, normal_vin
from shared.events.listings import LISTING_UPDATED
from tests.api.conftest import Api, Broadcasts
from tests.api.rows import Rows
from tests.api.test_listings import new_listing

pytestmark = pytest.mark.usefixtures("at_rest")

VIN = "1HGCM82633A004352"
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"

WRONG = [
    "", VIN[:16], VIN + "1", VIN.replace("H", "I"), VIN.replace("H", "O"), VIN.replace("H", "q"), f" {VIN[:16]}",
    VIN[:16] + "é", VIN[:16] + "٣", VIN[:16] + "-", VIN + "\n", VIN + " ", "x" * 1_000,
]  # fmt: skip


@pytest.mark.parametrize("wrong", [*WRONG, 5, [VIN], {}, True, "1HGCM82633A00435\x00"], ids=lambda one: str(one)[:20])
async def test_a_number_of_the_wrong_form_is_422_and_nothing_is_stored(api: Api, rows: Rows, wrong: Any) -> None:
    seller = await api.register()
    body = {"title": "A car", "content": "It drives.", "category_id": await rows.category(), "vin": wrong}
    problem = await api.call("POST", "/api/listings", 422, who=seller, json=body)
    assert set(problem["errors"]) == {"vin"}
    assert await rows.fetch("SELECT count(*) FROM listings") == [(0,)]
    if isinstance(wrong, str):
        for path in ("/api/listings", "/api/vin"):
            problem = await api.call("GET", path, 422, who=seller, params={"vin": wrong})
            assert set(problem["errors"]) == {"vin"}


async def test_a_number_is_kept_in_capital_letters_and_can_be_erased(api: Api, rows: Rows) -> None:
    seller = await api.register()
    created = await new_listing(api, rows, seller, vin=VIN.lower())
    assert (created["vin"], created["has_vin"]) == (VIN, True)
    path = f"/api/listings/{created['id']}"
    changed = await api.call("PATCH", path, 200, who=seller, json={"vin": None})
    assert (changed.get("vin"), changed["has_vin"]) == (None, False)


async def test_no_answer_and_no_event_shows_the_number_to_visitors(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    seller, other = await api.register(), await api.register()
    created = await new_listing(api, rows, seller, vin=VIN, title="Camry")
    category_id = created["category"]["id"]
    path = f"/api/listings/{created['id']}"
    for asked in (
        path,
        "/api/listings",
        "/api/listings?q=camry",
        f"/api/listings?q={VIN}",
        f"/api/listings?sort=price&category_id={category_id}",
    ):
        shown = await api.call("GET", asked, 200)
        assert VIN not in json.dumps(shown)
        if asked != f"/api/listings?q={VIN}":
            assert '"has_vin": true' in json.dumps(shown)
            assert VIN in json.dumps(await api.call("GET", asked, 200, who=other))
        else:
            # The words of a search do not tell a visitor whose number it is.
            assert shown["data"] == []
    for change in ({"price": 5}, {"vin": VIN}):
        await api.call("PATCH", path, 200, who=seller, json=change)
    told = [payload for _, event, payload in broadcasts.seen if event == LISTING_UPDATED]
    assert [payload["has_vin"] for payload in told] == [True, True]
    assert VIN not in json.dumps([payload for *_, payload in broadcasts.seen])
    await api.call("GET", f"/api/listings?vin={VIN}", 401)
    await api.call("GET", f"/api/vin?vin={VIN}", 401)


async def test_signed_in_people_find_a_car_by_its_number(api: Api, rows: Rows) -> None:
    seller, other = await api.register(), await api.register()
    listing_id = await rows.listing(seller.id, vin=VIN)
    await rows.listing(seller.id, vin=VIN.replace("1H", "2H"))
    await rows.listing(seller.id)
    for sort in ("newest", "price", "-year"):
        page = await api.call("GET", f"/api/listings?vin={VIN.lower()}&sort={sort}", 200, who=other)
        assert [one["id"] for one in page["data"]] == [listing_id]


async def test_only_moderators_are_told_of_the_same_car_of_another_seller(api: Api, rows: Rows) -> None:
    seller, thief = await api.register(), await api.register()
    moderator, admin = await api.register(role=Role.MODERATOR), await api.register(role=Role.ADMIN)
    first, again = await rows.listing(seller.id, vin=VIN), await rows.listing(seller.id, vin=VIN)
    stolen = await rows.listing(thief.id, vin=VIN, hidden_at="now()")
    await rows.listing(thief.id, vin=VIN, trashed_at="now()")
    alone = await rows.listing(thief.id, vin=VIN.replace("1H", "2H"))
    for who in (moderator, admin):
        same = {
            one: (await api.call("GET", f"/api/listings/{one}", 200, who=who))["same_vin"] for one in (first, stolen)
        }
        assert same == {first: [stolen], stolen: [again, first]}
        assert (await api.call("GET", f"/api/listings/{alone}", 200, who=who))["same_vin"] == []
        listed = await api.call("GET", f"/api/listings?seller_id={seller.id}", 200, who=who)
        assert [one["same_vin"] for one in listed["data"]] == [[stolen], [stolen]]
        front = await api.call("GET", "/api/listings", 200, who=who)
        assert [one["same_vin"] for one in front["data"]] == [[], [again, first], [stolen], [stolen]]
    for other in (None, seller, thief):
        for path in (f"/api/listings/{first}", "/api/listings", f"/api/listings?seller_id={thief.id}"):
            assert "same_vin" not in json.dumps(await api.call("GET", path, 200, who=other))


@pytest.mark.parametrize(
    ("vin", "expected"),
    [
        (VIN, {"maker": "Honda", "years": [2003], "check_digit_is_right": True}),
        ("1HGCM82643A004352", {"maker": "Honda", "years": [2003], "check_digit_is_right": False}),
        ("11111111111111111", {"maker": None, "years": [2001], "check_digit_is_right": True}),
        ("WVWZZZ1JZ3W386752", {"maker": "Volkswagen", "years": [2003], "check_digit_is_right": False}),
    ],
)
async def test_a_number_says_maker_year_and_whether_its_check_digit_is_right(
    api: Api, vin: str, expected: dict[str, Any]
) -> None:
    answer = await api.call("GET", f"/api/vin?vin={vin.lower()}", 200, who=await api.register())
    assert answer == {"vin": vin, **expected}


async def test_a_wrong_check_digit_is_no_reason_to_refuse_a_listing(api: Api, rows: Rows) -> None:
    created = await new_listing(api, rows, await api.register(), vin="1HGCM82643A004352")
    assert created["vin"] == "1HGCM82643A004352"


@given(st.text(LETTERS + LETTERS.lower(), min_size=17, max_size=17))
def test_every_number_of_the_right_form_can_be_read(text: str) -> None:
    vin = normal_vin(text)
    assert vin == text.upper()
    told = decoded(vin)
    assert told.vin == vin
    assert all(1980 <= year <= 2060 for year in told.years)


@given(st.text().filter(lambda text: len(text) != 17 or not text.isascii()))
def test_no_other_text_is_a_number(text: str) -> None:
    assert normal_vin(text) is None
