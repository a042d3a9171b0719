"""Names of users: tidied at registration and in the profile, and refused if they pass for the staff."""

from __future__ import annotations

import pytest

from shared.domain.names import INVISIBLE, MIXED, OF_STAFF
from shared.domain.users import Role
from tests.api.conftest import PASSWORD, Api
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")


async def test_a_name_is_stored_and_answered_tidied(api: Api) -> None:
    someone = await api.register("  Ann\u00a0\u00a0Smi\uff54h ")
    assert (await api.call("GET", "/api/me", 200, who=someone))["name"] == "Ann Smith"
    changed = await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Zoe\u0308"})
    assert changed["name"] == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Adm1n", OF_STAFF), ("Daveslist Supp0rt", OF_STAFF), ("\u0410nn", MIXED), ("\u202ennA", INVISIBLE),
        ("A\u200bdmin", INVISIBLE), ("\ufdfa" * 10, "Longer than 100 characters."), ("\u2003", "Must not be blank."),
    ],
)  # fmt: skip
async def test_such_a_name_is_refused_with_a_reason_and_changes_nothing(
    api: Api, rows: Rows, name: str, fault: str
) -> None:
    body = {"email": "new@example.com", "password": PASSWORD, "name": name}
    problem = await api.call("POST", "/api/register", 422, json=body)
    assert problem["errors"] == {"name": [fault]}
    assert await rows.fetch("SELECT id FROM users") == []
    someone = await api.register("Ann")
    problem = await api.call("PATCH", "/api/me", 422, who=someone, json={"name": name})
    assert problem["errors"] == {"name": [fault]}
    assert (await api.call("GET", "/api/me", 200, who=someone))["name"] == "Ann"


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.ADMIN])
async def test_moderators_and_admins_may_have_a_name_of_the_staff(api: Api, role: Role) -> None:
    someone = await api.register("Ann", role)
    changed = await api.call("PATCH", "/api/me", 200, who=someone, json={"name": "Ann, Daveslist Support"})
    assert changed["name"] == "Ann, Daveslist Support"
    await api.call("PATCH", "/api/me", 422, who=someone, json={"name": "A\u200bnn"})


async def test_a_name_from_before_these_rules_stays_also_if_a_form_sends_it_again(api: Api, rows: Rows) -> None:
    someone = await api.register("Ann")
    old = "\u202eSupport  \u0410dmin"
    await rows.execute("UPDATE users SET name = %s WHERE id = %s", old, someone.id)
    body = {"name": old, "email": "elsewhere@example.com", "current_password": PASSWORD}
    assert (await api.call("PATCH", "/api/me", 200, who=someone, json=body))["name"] == old
    await api.call("PATCH", "/api/me", 422, who=someone, json={"name": f"{old}!"})
