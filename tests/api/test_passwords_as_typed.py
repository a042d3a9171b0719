"""A password typed on one system works on another that writes the same characters with other code points."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import pytest

from api import passwords
from api.passwords import Passwords, hash_now
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, MakeApi, person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

TYPED = "gr\u00fc\u00dfe aus k\u00f6ln 7"
ON_A_MAC = unicodedata.normalize("NFD", TYPED)
WITH_OTHER_SPACES = TYPED.replace(" ", "\u00a0", 1).replace(" ", "\u3000")


def registration(password: str) -> dict[str, Any]:
    return {"email": "ann@example.com", "password": password, "name": "Somebody"}


def body(password: str) -> dict[str, Any]:
    return {"email": "ann@example.com", "password": password}


async def test_a_password_works_however_its_characters_are_written(api: Api) -> None:
    await api.call("POST", "/api/register", 201, json=registration(ON_A_MAC))
    for again in (TYPED, ON_A_MAC, WITH_OTHER_SPACES):
        await api.call("POST", "/api/login", 200, json=body(again))
    for other in (TYPED.upper(), TYPED + " ", "\uff47" + TYPED[1:], TYPED.replace("\u00fc", "u")):
        await api.call("POST", "/api/login", 401, json=body(other))


async def test_a_password_is_asked_for_and_changed_in_any_writing(api: Api) -> None:
    await api.call("POST", "/api/register", 201, json=registration(TYPED))
    headers = {
        "Authorization": f"Bearer {(await api.call('POST', '/api/login', 200, json=body(TYPED)))['access_token']}"
    }
    new = "caf\u00e9 und kuchen 9"
    change = {"current_password": ON_A_MAC, "password": unicodedata.normalize("NFD", new)}
    await api.call("PATCH", "/api/me", 200, headers=headers, json=change)
    await api.call("POST", "/api/login", 200, json=body(new))
    await api.call("DELETE", "/api/me", 204, headers=headers, json={"current_password": new})


@pytest.mark.parametrize("stored", [ON_A_MAC, WITH_OTHER_SPACES])
async def test_a_password_stored_before_works_as_typed_and_is_then_stored_anew(
    api: Api, rows: Rows, stored: str
) -> None:
    await api.call("POST", "/api/register", 201, json=registration(PASSWORD))
    old = passwords._hasher.hash(stored)
    await rows.execute("UPDATE users SET password_hash = %s", old)
    await api.call("POST", "/api/login", 401, json=body(TYPED))
    await api.call("POST", "/api/login", 200, json=body(stored))
    assert await rows.fetch("SELECT FROM users WHERE password_hash = %s", old) == []
    for again in (TYPED, ON_A_MAC, WITH_OTHER_SPACES):
        await api.call("POST", "/api/login", 200, json=body(again))


CONTROLS = (
    *("tab\tin a password", "line\nin a password", "\x1bescape in it", "\x85next line 77"),
    *("separated\u2028lines", "separated\u2029paragraphs"),
)
INVISIBLE = (
    *("zero\u200bwidth space", "soft\u00adhyphen in it", "turned\u202eround again"),
    *("a hangul\u3164filler", "tagged\U000e0061 password", "grapheme\u034fjoiner in it"),
)
# Not assigned by Unicode, which may make something of it one day; never to be assigned; of private use.
NOT_DEFINED = (
    *("not assigned \u0378 yet", "not assigned \U000530ff yet"),
    *("never a character \uffff", "never a character \U0010fffe", "a private one \ue000", "another \U00100000 one"),
)
REFUSED = (
    *(("Contains control characters.", one) for one in CONTROLS),
    *(("Contains invisible characters.", one) for one in INVISIBLE),
    *(("Contains characters that are not defined.", one) for one in NOT_DEFINED),
)


async def test_a_new_password_with_characters_that_nobody_can_type_again_is_refused_wherever_it_is_set(
    make_api: MakeApi, rows: Rows
) -> None:
    api = await make_api(rate_limits=False)
    ann = person(await api.call("POST", "/api/register", 201, json=registration(PASSWORD)))
    for reason, password in REFUSED:
        problem = await api.call("POST", "/api/register", 422, json=registration(password))
        assert problem["errors"] == {"password": [reason]}
        rated = await api.call("POST", "/api/password/strength", 200, json={"password": password})
        assert (rated["strength"], rated["reason"]) == ("refused", reason)
        change = {"password": password, "current_password": PASSWORD}
        assert (await api.call("PATCH", "/api/me", 422, who=ann, json=change))["errors"] == {"password": [reason]}
        reset = {"token": "any", "password": password}
        problem = await api.call("POST", "/api/password/reset", 422, json=reset)
        assert problem["errors"] == {"password": [reason]}
        # Who has such a password from before goes on with it.
        await rows.execute("UPDATE users SET password_hash = %s", hash_now(password))
        await api.call("POST", "/api/login", 200, json=body(password))
        back = {"password": PASSWORD, "current_password": password}
        await api.call("PATCH", "/api/me", 200, who=ann, json=back)


async def test_a_new_password_may_have_the_joiners_that_keyboards_type(api: Api, rows: Rows) -> None:
    for password in (
        "\u2764\ufe0f my red car",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 in a van",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06cc\u06a9",
    ):
        await api.call("POST", "/api/register", 201, json=registration(password))
        await api.call("POST", "/api/login", 200, json=body(password))
        await rows.execute("UPDATE users SET email = id || '@example.com'")


async def test_the_length_of_a_password_counts_as_it_is_kept(api: Api) -> None:
    password = unicodedata.normalize(
        "NFD", "g\u00e9\u00e0\u00fc\u00f1\u00e7 \u00f6\u00eb\u00ef\u00e2\u00f4 \u00fb" * 10
    )
    assert len(unicodedata.normalize("NFC", password)) < 200 < len(password)
    await api.call("POST", "/api/register", 201, json=registration(password + "q\u00f8"))
    password += "q\u00f8"
    await api.call("POST", "/api/login", 200, json=body(password))
    # Seven characters are too few, also if they are typed as fourteen.
    short = "\u00e4\u00eb\u00ef\u00f6\u00fcx\u00ff"
    problem = await api.call("POST", "/api/register", 422, json=registration(unicodedata.normalize("NFD", short)))
    assert problem["errors"] == {"password": ["At least 8 characters."]}


@pytest.mark.usefixtures("real_hashes")
@pytest.mark.parametrize("typed", [TYPED, ON_A_MAC])
async def test_a_wrong_password_takes_as_long_for_an_unknown_account_in_any_writing(
    settings: Settings, typed: str
) -> None:
    checker = Passwords(settings)
    known = hash_now("something else")
    times: dict[str | None, list[float]] = {known: [], None: []}
    for _ in range(5):
        for stored, taken in times.items():
            started = time.process_time()
            assert not await checker.verify(stored, typed, turn="")
            taken.append(time.process_time() - started)
    checker.close()
    assert 0.5 < min(times[None]) / min(times[known]) < 2


async def test_both_writings_are_compared_also_for_an_unknown_account(settings: Settings, compared: list[str]) -> None:
    checker = Passwords(settings)
    seen = {}
    for stored in (hash_now("something else"), None):
        for typed in (TYPED, ON_A_MAC):
            compared.clear()
            await checker.verify(stored, typed, turn="")
            seen[stored is None, typed] = list(compared)
    checker.close()
    assert seen == {
        (False, TYPED): [TYPED],
        (True, TYPED): [TYPED],
        (False, ON_A_MAC): [TYPED, ON_A_MAC],
        (True, ON_A_MAC): [TYPED, ON_A_MAC],
    }
