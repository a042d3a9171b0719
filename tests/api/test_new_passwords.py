"""A new password that anybody could guess is refused with a reason. Passwords from before these rules go on working."""

from __future__ import annotations

from typing import Any

import pytest

from api.common_passwords import COMMON_PASSWORDS
from api.password_rules import ABOUT_THE_ACCOUNT, TOO_COMMON, Strength, account_fault, common_fault, strength
from api.passwords import hash_now
from tests.api.conftest import PASSWORD, Api, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

COMMON = [
    "password",
    "12345678",
    "PASSWORD",
    "Password123",
    "P@ssw0rd2026!",
    "dragon1985",
    "letmein123",
    "qwertyuiop",
    "1qaz2wsx",
    "iloveyou!",
    "trustno1",
    "summer2026!!",
    "daveslist2026",
    "DavesList!",
    "football",
    "!!superman!!",
    "aaaaaaaa",
    "abababab",
    "abcabcabcabc",
    "horse horse horse",
    "abcdefghij",
    "99887766",
    "11112222",
    "\uff50\uff41ssword",
    "Password12345678",
    "letmein7777777777",
    "1234567dragon",
]
FINE = [
    PASSWORD,
    "another horse battery",
    "Tr0ub4dor&3",
    "zq8#kd9!",
    "a new passphrase",
    "\u043d\u043e\u0432\u044b\u0439 \u0433\u043e\u0434 7",
    "\U0001f697\U0001f40e\U0001f50b\U0001f9f7\U0001f697\U0001f69c\u2708\U0001f6f5",
    "k2vN" * 3 + "x7",
]
OWN = [
    "ann.smith42@example.com",
    "ANN.Smith42",
    "annsmith",
    "Ann Smith!",
    "AnnSmith1985",
    "smith123456",
    "ann_smith_42",
    "htims nna",
    "htimsnna",
]
NAME, EMAIL = "Ann Smith", "ann.smith42@example.com"


@pytest.mark.parametrize("password", COMMON)
def test_a_password_that_many_people_use_is_refused(password: str) -> None:
    assert common_fault(password) == TOO_COMMON


@pytest.mark.parametrize("password", FINE)
def test_any_other_password_is_accepted(password: str) -> None:
    assert common_fault(password) is None
    assert account_fault(password, (NAME, EMAIL)) is None


@pytest.mark.parametrize("password", OWN)
def test_the_accounts_own_name_and_address_are_refused(password: str) -> None:
    assert account_fault(password, (NAME, EMAIL)) == ABOUT_THE_ACCOUNT


def test_a_longer_password_of_rarer_parts_is_rated_higher() -> None:
    rated = [strength(one) for one in ("zq8#kd9!", "a horse 77 x", "a new passphrase", PASSWORD)]
    assert rated == [Strength.FAIR, Strength.FAIR, Strength.GOOD, Strength.STRONG]


async def test_the_meter_says_what_a_form_with_this_password_would_be_answered(api: Api) -> None:
    account = {"name": NAME, "email": EMAIL}
    for password in (*COMMON, *OWN, *FINE):
        rated = await api.call("POST", "/api/password/strength", 200, json={"password": password, **account})
        faults = (common_fault(password), account_fault(password, (NAME, EMAIL)))
        assert rated["reason"] == next((fault for fault in faults if fault), None)
        assert (rated["strength"] == "refused") is (rated["reason"] is not None)
    alone = await api.call("POST", "/api/password/strength", 200, json={"password": OWN[3]})
    assert alone["strength"] != "refused"


def test_the_list_has_more_than_the_3000_most_frequent_passwords_that_are_long_enough() -> None:
    """OWASP ASVS 5.0, 6.2.4."""
    assert sum(len(one) >= 8 for one in COMMON_PASSWORDS) > 3000
    assert all(one == one.casefold() for one in COMMON_PASSWORDS)


async def refused(api: Api, method: str, path: str, body: dict[str, Any], who: Person | None = None) -> list[str]:
    problem = await api.call(method, path, 422, who=who, json=body)
    assert set(problem["errors"]) == {"password"}
    errors: list[str] = problem["errors"]["password"]
    return errors


async def test_registration_refuses_such_a_password_and_registers_nobody(api: Api, rows: Rows) -> None:
    body = {"email": EMAIL, "name": NAME}
    assert await refused(api, "POST", "/api/register", {**body, "password": "Password123"}) == [TOO_COMMON]
    for password in ("annsmith1985", EMAIL):
        assert await refused(api, "POST", "/api/register", {**body, "password": password}) == [ABOUT_THE_ACCOUNT]
    assert await rows.fetch("SELECT id FROM users") == []


async def test_a_change_refuses_such_a_password_and_changes_nothing(api: Api) -> None:
    someone = await api.register("Jane Doering")
    body = {"current_password": PASSWORD}
    assert await refused(api, "PATCH", "/api/me", {**body, "password": "iloveyou!"}, someone) == [TOO_COMMON]
    for change in (
        {"password": "JaneDoering1"},
        {"password": someone.email},
        {"password": "newname 2026", "name": "Newname"},
        {"password": "new.address", "email": "new.address@example.com"},
    ):
        assert await refused(api, "PATCH", "/api/me", {**body, **change}, someone) == [ABOUT_THE_ACCOUNT]
    profile = await api.call("GET", "/api/me", 200, who=someone)
    assert (profile["name"], profile["email"]) == ("Jane Doering", someone.email)
    await api.login(someone)


async def test_a_password_from_before_these_rules_goes_on_working(api: Api, rows: Rows) -> None:
    someone = await api.register()
    await rows.execute("UPDATE users SET password_hash = %s WHERE id = %s", hash_now("password"), someone.id)
    again = await api.login(someone, "password")
    body = {"current_password": "password", "email": "other@example.com"}
    await api.call("PATCH", "/api/me", 200, who=again, json=body)
    await api.call("PATCH", "/api/me", 200, who=again, json={"current_password": "password", "password": PASSWORD})
