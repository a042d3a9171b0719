"""Facts about a seller: what visitors and others may know, and how answers are counted."""

from __future__ import annotations

import json
import re

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def ask(rows: Rows, seller: Person, asker: Person, listing_id: int | None, **times: str) -> None:
    """The asker writes first, some hours ago; the seller answers after `answered` hours, if that is given."""
    begun = times.get("begun", "30 hours")
    insert = "INSERT INTO messages (from_id, to_id, text, listing_id, inserted_at) VALUES (%s, %s, 'x', %s, "
    await rows.execute(f"{insert} now() - interval '{begun}')", asker.id, seller.id, listing_id)
    if "answered" in times:
        after = f"now() - interval '{begun}' + interval '{times['answered']}')"
        await rows.execute(insert + after, seller.id, asker.id, None)


async def test_a_visitor_learns_four_facts_about_a_seller_of_whom_they_see_a_listing(api: Api, rows: Rows) -> None:
    seller = await api.register("Dave")
    await api.call("GET", f"/api/sellers/{seller.id}", 404)
    hidden = await rows.listing(seller.id, visibility="private")
    await rows.listing(seller.id, hidden_at="now()")
    await api.call("GET", f"/api/sellers/{seller.id}", 404)
    await rows.execute("UPDATE users SET created_at = '2024-03-31 23:30:00+00' WHERE id = %s", seller.id)
    await rows.execute("UPDATE listings SET visibility = 'public' WHERE id = %s", hidden)
    found = await api.call("GET", f"/api/sellers/{seller.id}", 200)
    assert found == {
        "id": seller.id,
        "name": "Dave",
        "member_since": "2024-03",
        "listing_count": 1,
        "answers": None,
        "confirmed_address": None,
    }
    for who in (seller, await api.register(), await api.register(role=Role.ADMIN)):
        assert await api.call("GET", f"/api/sellers/{seller.id}", 200, who=who) == found
    # People who are signed in see profiles of everybody.
    other = await api.register("Eve")
    assert (await api.call("GET", f"/api/sellers/{other.id}", 200, who=seller))["listing_count"] == 0
    for wrong in ("0", "x", "99999", str(2**63)):
        await api.call("GET", f"/api/sellers/{wrong}", 404, who=seller)
    await api.call("GET", f"/api/sellers/{seller.id}?x=1", 422)
    await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", seller.id)
    await api.call("GET", f"/api/sellers/{seller.id}", 404)


@pytest.mark.parametrize("is_confirmed", [True, False])
async def test_a_confirmed_address_is_a_fact_only_where_addresses_are_confirmed(
    make_api: MakeApi, rows: Rows, is_confirmed: bool
) -> None:
    api = await make_api(smtp_url="smtp://127.0.0.1:1", mail_from="Daveslist <cars@example.com>")
    assert api.settings.confirms_addresses
    seller = await api.register()
    await rows.listing(seller.id)
    await rows.execute(f"UPDATE users SET confirmed_at = {'now()' if is_confirmed else 'NULL'}")
    found = await api.call("GET", f"/api/sellers/{seller.id}", 200)
    assert found["confirmed_address"] is is_confirmed
    assert "@" not in json.dumps(found)


async def test_answers_are_the_share_of_askers_to_whom_the_seller_wrote_back_within_a_day(api: Api, rows: Rows) -> None:
    seller, other = await api.register(), await api.register()
    mine, theirs = await rows.listing(seller.id), await rows.listing(other.id)
    askers = [await api.register() for _ in range(9)]

    async def answers() -> object:
        return (await api.call("GET", f"/api/sellers/{seller.id}", 200))["answers"]

    await ask(rows, seller, askers[0], mine, answered="23 hours 59 minutes")
    await ask(rows, seller, askers[1], mine, answered="24 hours 1 minute")
    # Two people are too few: that would tell how one of them was answered.
    assert await answers() is None
    await ask(rows, seller, askers[2], mine)
    assert await answers() == {"within_a_day": 33, "people": 3}
    # Whoever still waits counts after a day, and whoever was answered at once.
    await ask(rows, seller, askers[3], mine, begun="23 hours")
    assert await answers() == {"within_a_day": 33, "people": 3}
    await ask(rows, seller, askers[4], mine, begun="1 hour", answered="1 minute")
    assert await answers() == {"within_a_day": 50, "people": 4}
    # These do not count: no car of the seller, long ago, and the seller wrote first.
    await ask(rows, seller, askers[5], None)
    await ask(rows, seller, askers[6], theirs)
    await ask(rows, seller, askers[7], mine, begun="91 days")
    await ask(rows, askers[8], seller, None, begun="40 hours")
    await ask(rows, seller, askers[8], mine)
    assert await answers() == {"within_a_day": 50, "people": 4}
    # Many messages of one person are one person.
    await ask(rows, seller, askers[2], mine, answered="25 hours")
    assert await answers() == {"within_a_day": 50, "people": 4}


async def test_the_page_of_a_seller_has_the_facts_and_the_answer_for_its_script(api: Api, rows: Rows) -> None:
    seller = await api.register("Dave")
    private = await api.register("Eve")
    listing_id = await rows.listing(seller.id)
    await rows.listing(private.id, visibility="private")
    for number in range(3):
        asker = await api.register()
        await ask(rows, seller, asker, listing_id, **({"answered": "1 hour"} if number else {}))
    await rows.execute("UPDATE users SET created_at = '2024-03-31 23:30:00+00'")
    page = await (await api.client.get(f"/?seller_id={seller.id}")).text()
    [facts] = re.findall(r'<ul class="seller-facts quiet">(.*?)</ul>', page, re.S)
    assert re.findall(r"<li>(.*?)</li>", facts) == [
        "Member since Mar 2024",
        "1 car on Daveslist",
        "Answers 67% of first messages within a day",
    ]
    assert '"/api/sellers/{id}":{"id":' in page
    for address in (f"/?seller_id={private.id}", "/?seller_id=99999", "/"):
        page = await (await api.client.get(address)).text()
        assert 'class="seller-facts' not in page
        assert '"/api/sellers' not in page
