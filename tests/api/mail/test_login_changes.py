"""Whoever's account can be logged in to in another way is told so by mail, at the address that counts."""

from __future__ import annotations

from typing import Any

import pytest

from api.commands import second_factor_off
from api.services import SERVICES
from shared.domain.mails import SWITCHES, MailKind
from shared.domain.users import Role
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows
from tests.api.test_passkeys import HOST, SITE, add
from tests.api.test_second_factor import NOW, PATH, Phone, phone, turned_on
from tests.support.authenticator import Authenticator

__all__ = ["phone"]


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that sends mails only when a test says so."""
    return await make_api(site_url=SITE, rate_limits=False)


async def told(rows: Rows) -> list[Any]:
    """The mails that wait: to whom, and of what."""
    found = await rows.fetch(
        "SELECT user_id, address, facts ->> 'what' FROM outbox WHERE kind = 'login_changed' ORDER BY id"
    )
    await rows.execute("DELETE FROM outbox")
    return found


async def test_every_change_of_how_one_logs_in_is_told(api: Api, rows: Rows, phone: Phone) -> None:
    ann, admin = await api.register("Ann"), await api.register(role=Role.ADMIN)

    def of(what: str) -> list[tuple[int, str, str]]:
        return [(ann.id, ann.email, what)]

    assert await told(rows) == []
    await add(api, ann, Authenticator(SITE, HOST))
    assert await told(rows) == of("passkey_added")
    begun = await api.call("POST", PATH, 201, who=ann, json=NOW)
    await api.call("PUT", PATH, 403, who=ann, json={"code": "000000"})
    # What was only begun is not on, and nobody is told that it is off.
    await api.call("DELETE", f"/api/users/{ann.id}/second-factor", 204, who=admin)
    assert await told(rows) == []
    assert begun["secret"]
    await turned_on(api, ann, phone)
    assert await told(rows) == of("second_factor_on")
    confirmed = {**NOW, "code": phone.code()}
    await api.call("POST", f"{PATH}/recovery-codes", 201, who=ann, json=confirmed)
    assert await told(rows) == of("recovery_codes")
    await api.call("DELETE", PATH, 204, who=ann, json={**NOW, "code": phone.code()})
    assert await told(rows) == of("second_factor_off")
    await turned_on(api, ann, phone)
    await told(rows)
    for expected in (of("second_factor_off"), []):
        await api.call("DELETE", f"/api/users/{ann.id}/second-factor", 204, who=admin)
        assert await told(rows) == expected
    await turned_on(api, ann, phone)
    await told(rows)

    class Options:
        email = ann.email

    await second_factor_off(api.settings, Options())  # type: ignore[arg-type]
    assert await told(rows) == of("second_factor_off")


async def test_an_address_that_has_to_be_confirmed_first_is_not_told(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await rows.execute("UPDATE users SET must_confirm = true")
    await add(api, ann, Authenticator(SITE, HOST))
    assert await told(rows) == []


async def test_nothing_is_written_where_no_mail_is_sent_and_nobody_switches_it_off(
    make_api: MakeApi, rows: Rows
) -> None:
    silent = await make_api(site_url=SITE, environment="production", rate_limits=False)
    assert not silent.settings.has_mail
    ann: Person = await silent.register("Ann")
    await add(silent, ann, Authenticator(SITE, HOST))
    assert await told(rows) == []
    assert MailKind.LOGIN_CHANGED not in SWITCHES


async def test_a_mail_of_a_later_release_is_left_to_that_release(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await rows.execute("DELETE FROM outbox")
    later = "INSERT INTO outbox (user_id, kind, address, facts) VALUES (%s, 'of_later', %s, '{}')"
    await rows.execute(later, ann.id, ann.email)
    await add(api, ann, Authenticator(SITE, HOST))
    taken = await api.client.app[SERVICES].outbox.take(10, seconds=60.0, give_up_seconds=60.0)
    assert [one.mail.kind for one in taken] == [MailKind.LOGIN_CHANGED]
    assert await rows.fetch("SELECT attempts FROM outbox WHERE kind = 'of_later'") == [(0,)]
