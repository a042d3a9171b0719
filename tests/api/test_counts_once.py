"""What counts once counts once, also for requests that reach two APIs at the same moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest

from api.services import SERVICES, Services
from shared.domain.mails import Purpose
from tests.api.conftest import PASSWORD, Api, MakeApi, Person
from tests.api.rows import Rows

AT_ONCE = 4
"""Requests to each API."""

Request = tuple[str, str, dict[str, Any]]
Make = Callable[[Api, Person, Rows], Awaitable[tuple[Request, set[int]]]]
"""Prepares something that counts once. Returns the request that uses it, and the statuses of all but the first."""


async def turned_on(api: Api, who: Person) -> tuple[pyotp.TOTP, list[str]]:
    begun = await api.call("POST", "/api/me/second-factor", 201, who=who, json={"current_password": PASSWORD})
    totp = pyotp.TOTP(begun["secret"])
    code = {"code": totp.at(int(time.time()))}
    answer = await api.call("PUT", "/api/me/second-factor", 200, who=who, json=code)
    return totp, answer["recovery_codes"]


def log_in(who: Person, code: str) -> Request:
    return "POST", "/api/login", {"email": who.email, "password": PASSWORD, "code": code}


async def code_of_app(api: Api, who: Person, rows: Rows) -> tuple[Request, set[int]]:
    totp, _ = await turned_on(api, who)
    # That of the next step, which counts as well and was not used.
    return log_in(who, totp.at(int(time.time()) + 30)), {403}


async def recovery_code(api: Api, who: Person, rows: Rows) -> tuple[Request, set[int]]:
    _, codes = await turned_on(api, who)
    return log_in(who, codes[0]), {403}


async def seed_of(rows: Rows, kind: str) -> str:
    [*_, (seed,)] = await rows.fetch("SELECT facts->>'seed' FROM outbox WHERE kind = %s ORDER BY id", kind)
    return str(seed)


async def link_of_password(api: Api, who: Person, rows: Rows) -> tuple[Request, set[int]]:
    services: Services = api.client.app[SERVICES]
    await api.call("POST", "/api/password/forgotten", 202, json={"email": who.email})
    await services.mailing.answer_forgotten()
    token = services.mail_links.token(Purpose.PASSWORD_RESET, await seed_of(rows, "password_reset"))
    return ("POST", "/api/password/reset", {"token": token, "password": "another good battery"}), {410}


async def link_of_address(api: Api, who: Person, rows: Rows) -> tuple[Request, set[int]]:
    services: Services = api.client.app[SERVICES]
    token = services.mail_links.token(Purpose.ADDRESS, await seed_of(rows, "address_confirm"))
    return ("POST", "/api/address/confirm", {"token": token}), {410}


@pytest.mark.parametrize("make", [code_of_app, recovery_code, link_of_password, link_of_address])
async def test_what_counts_once_counts_once_for_requests_at_the_same_moment(
    make_api: MakeApi, rows: Rows, make: Make
) -> None:
    apis = [await make_api(rate_limits=False, confirm_addresses="on") for _ in range(2)]
    ann = await apis[0].register("Ann")
    (method, path, body), others = await make(apis[0], ann, rows)

    async def use(api: Api) -> int:
        async with api.client.request(method, path, json=body) as response:
            return int(response.status)

    statuses = await asyncio.gather(*(use(api) for api in apis * AT_ONCE))
    fine = [status for status in statuses if status < 300]
    assert len(fine) == 1, statuses
    assert {status for status in statuses if status >= 300} == others
