"""Who is logged in on a new device is told by mail, unless they do not want it."""

from __future__ import annotations

from typing import Any

from api.mail.letters import recipient
from tests.api.conftest import PASSWORD, Api, MakeApi, Person
from tests.api.rows import Rows
from tests.support.authenticator import Authenticator

SITE, HOST = "https://cars.example.com", "cars.example.com"


async def told(rows: Rows, who: Person) -> list[Any]:
    """The facts of the mails about log-ins, which are then gone."""
    sql = "DELETE FROM outbox WHERE user_id = %s AND kind = 'new_login' RETURNING facts"
    return [facts for (facts,) in await rows.fetch(sql, who.id)]


async def test_a_log_in_on_a_new_device_is_told_and_one_on_a_known_device_is_not(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    assert await told(rows, ann) == []
    body = {"email": ann.email, "password": PASSWORD}
    headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    answer = await api.call("POST", "/api/login", 200, json=body, headers=headers)
    [facts] = await told(rows, ann)
    assert facts.items() >= {"name": "Ann", "device": "Firefox on Linux", "address": "127.0.0.1"}.items()
    assert facts["at"].endswith("Z")
    await api.call("POST", "/api/login", 200, json={**body, "device_id": answer["device_id"]})
    await api.call("POST", "/api/login", 401, json={**body, "password": "wrong horse"})
    assert await told(rows, ann) == []
    # Somebody else's device is a new one, and a refresh is no log-in.
    other = await api.call("POST", "/api/login", 200, json={"email": bob.email, "password": PASSWORD})
    await api.call("POST", "/api/login", 200, json={**body, "device_id": other["device_id"]})
    await api.call("POST", "/api/token/refresh", 200, json={"refresh_token": answer["refresh_token"]})
    assert len(await told(rows, ann)) == 1
    choice = {"kind": "new_login", "choice": "never"}
    await api.call("PATCH", "/api/me/mail", 200, who=ann, json=choice)
    await api.login(ann)
    assert await told(rows, ann) == []


async def test_so_is_one_with_a_passkey(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(site_url=SITE)
    ann, device = await api.register(), Authenticator(SITE, HOST)
    now = {"current_password": PASSWORD}
    asked = (await api.call("POST", "/api/me/passkeys/options", 200, who=ann, json=now))["options"]
    await api.call("POST", "/api/me/passkeys", 201, who=ann, json={"name": "Phone", "credential": device.create(asked)})
    device_id = None
    counts = []
    for _ in range(2):
        asked = (await api.call("POST", "/api/login/passkey/options", 200))["options"]
        body = {"credential": device.get(asked), "device_id": device_id}
        device_id = (await api.call("POST", "/api/login/passkey", 200, json=body))["device_id"]
        counts.append(len(await told(rows, ann)))
    assert counts == [1, 0]


def test_a_mail_goes_to_the_domain_that_the_address_names() -> None:
    found = [
        recipient(f"ann@{domain}").domain for domain in ("fa\u00df.de", "fass.de", "m\u00fcnchen.de", "EXAMPLE.com")
    ]
    assert [domain.lower() for domain in found] == ["xn--fa-hia.de", "fass.de", "xn--mnchen-3ya.de", "example.com"]
