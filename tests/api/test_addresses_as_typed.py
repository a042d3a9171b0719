"""One e-mail address is one account, however it is typed: blanks around it, its case, the spelling of its domain."""

from __future__ import annotations

from typing import Any

import pytest

from api.passwords import hash_now
from shared.domain.email_addresses import account_of
from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.address_names import name_accounts
from shared.settings import Settings
from tests.api.attempts import log_in
from tests.api.conftest import PASSWORD, Api, MakeApi
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

MUNICH = "Ann@M\u00fcnchen.example.com"
SPELLINGS = [
    "Ann@M\u00fcnchen.example.com",
    " ann@m\u00fcnchen.example.com\t",
    "\u3000ANN@XN--MNCHEN-3YA.EXAMPLE.COM\u00a0",
    "ann@mu\u0308nchen.example.com",
    "ann@m\u00fcnchen\u3002example.com",
    "ann@M\u00dcNCHEN.ex\uff41mple.com",
]
INVISIBLE = [
    "ann\u200b@example.com",
    "ann@ex\u200bample.com",
    "ann@ex\u00adample.com",
    "\u202eann@example.com",
    "ann\u2060@example.com",
    "ann@example\ufeff.com",
    "\ufeffann@example.com",
    "ann\u3164@example.com",
    "ann@exa\u200dmple.com",
]

NO_ADDRESSES = [
    "",
    " ",
    "ann",
    "@example.com",
    "ann@",
    "a b@example.com",
    "ann@example",
    "ann@-example.com",
    "ann@[127.0.0.1]",
    "Ann <ann@example.com>",
    "ann@example.com, bob@example.com",
    "ann@exa mple.com",
    "ann@example.com\nbcc: x@y.de",
    "ann@\u2603.com",
    f"ann@{'x' * 64}.com",
]


def registration(email: str) -> dict[str, Any]:
    return {"email": email, "password": PASSWORD, "name": "Somebody"}


async def test_every_spelling_of_an_address_is_one_account_on_every_route(api: Api) -> None:
    registered = await api.call("POST", "/api/register", 201, json=registration(f"  {MUNICH} "))
    assert registered["user"]["email"] == "Ann@m\u00fcnchen.example.com"
    admin, other = await api.register(role=Role.ADMIN), await api.register()
    for spelling in SPELLINGS:
        answer = await api.call("POST", "/api/login", 200, json={"email": spelling, "password": PASSWORD})
        assert answer["user"]["id"] == registered["user"]["id"]
        problem = await api.call("POST", "/api/register", 409, json=registration(spelling))
        assert problem["type"] == "/problems/email-taken"
        change = {"email": spelling, "current_password": PASSWORD}
        await api.call("PATCH", "/api/me", 409, who=other, json=change)
        found = await api.call("GET", "/api/users", 200, who=admin, params={"q": spelling})
        assert [user["id"] for user in found["data"]] == [registered["user"]["id"]], ascii(spelling)


async def test_a_changed_address_is_one_account_in_every_spelling_too(api: Api) -> None:
    someone = await api.register()
    for spelling in SPELLINGS:
        change = {"email": spelling, "current_password": PASSWORD}
        changed = await api.call("PATCH", "/api/me", 200, who=someone, json=change)
        assert account_of(changed["email"]) == "ann@xn--mnchen-3ya.example.com"
        for typed in SPELLINGS:
            await api.call("POST", "/api/login", 200, json={"email": typed, "password": PASSWORD})
    await api.call("POST", "/api/login", 401, json={"email": someone.email, "password": PASSWORD})


async def test_an_address_with_an_invisible_character_is_refused_on_every_route(api: Api) -> None:
    someone = await api.register()
    await api.call("POST", "/api/register", 201, json=registration("ann@example.com"))
    for email in INVISIBLE:
        problem = await api.call("POST", "/api/register", 422, json=registration(email))
        assert problem["errors"] == {"email": ["Contains invisible characters."]}, ascii(email)
        change = {"email": email, "current_password": PASSWORD}
        problem = await api.call("PATCH", "/api/me", 422, who=someone, json=change)
        assert set(problem["errors"]) == {"email"}
        await api.call("POST", "/api/login", 401, json={"email": email, "password": PASSWORD})


async def test_what_is_no_address_is_refused(make_api: MakeApi) -> None:
    api = await make_api(rate_limits=False)
    for email in NO_ADDRESSES:
        problem = await api.call("POST", "/api/register", 422, json=registration(email))
        assert set(problem["errors"]) == {"email"}, ascii(email)


async def test_no_spelling_of_a_domain_has_an_allowance_of_its_own(make_api: MakeApi) -> None:
    api = await make_api(logins_per_account_minute=3)
    await api.call("POST", "/api/register", 201, json=registration(MUNICH))
    statuses = [await log_in(api, spelling, "wrong horse") for spelling in SPELLINGS]
    assert statuses == [401] * 3 + [429] * 3


async def test_addresses_from_before_this_rule_get_it_and_two_that_become_one_stay_two_accounts(
    api: Api, rows: Rows, settings: Settings
) -> None:
    olds = ["Ann@M\u00fcnchen.de", "ann@xn--mnchen-3ya.de", "bob@M\u00fcnchen.de", "eve@ex\u200bample.com"]
    ids = [await _of_before(rows, email) for email in olds]
    database = Database(settings)
    # Again and again, as each API tries it every hour.
    for _ in range(2):
        async with database.transaction() as transaction:
            assert await name_accounts(transaction)
    await database.close()
    for number, email in zip(ids, olds, strict=True):
        answer = await api.call("POST", "/api/login", 200, json={"email": email, "password": PASSWORD})
        assert answer["user"]["id"] == number
    answer = await api.call("POST", "/api/login", 200, json={"email": "BOB@xn--mnchen-3ya.de", "password": PASSWORD})
    assert answer["user"]["id"] == ids[2]
    # Neither of the two accounts can be registered again.
    for email in ("ann@m\u00fcnchen.de", "ann@xn--mnchen-3ya.de", "ANN@M\u00dcNCHEN.DE"):
        await api.call("POST", "/api/register", 409, json=registration(email))
    found = await rows.fetch("SELECT email_account FROM users ORDER BY id")
    assert [one for (one,) in found] == ["ann@m\u00fcnchen.de", account_of(olds[1]), account_of(olds[2]), olds[3]]


async def test_an_address_that_an_earlier_version_stores_meanwhile_works_as_well(api: Api, rows: Rows) -> None:
    number = await _of_before(rows, "Ann@example.com")
    await rows.execute("UPDATE users SET email = 'Anna@M\u00fcnchen.de' WHERE id = %s", number)
    answer = await api.call("POST", "/api/login", 200, json={"email": "anna@m\u00fcnchen.de", "password": PASSWORD})
    assert answer["user"]["id"] == number
    await api.call("POST", "/api/register", 201, json=registration("ann@example.com"))


async def _of_before(rows: Rows, email: str) -> int:
    """A row as an earlier version stores it."""
    sql = "INSERT INTO users (email, name, password_hash) VALUES (%s, 'Somebody', %s) RETURNING id"
    [[number]] = await rows.fetch(sql, email, hash_now(PASSWORD))
    return int(number)
