"""An address counts when it was confirmed by the link in a mail; until then a person reads, and answers."""

from __future__ import annotations

from typing import Any

import pytest

from api.services import SERVICES, Services
from shared.domain.mails import Purpose
from tests.api.conftest import PASSWORD, Api, MakeApi, Person, person
from tests.api.rows import Rows

NEW = "another good battery"


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that wants addresses to be confirmed, and sends no mail by itself."""
    return await make_api(confirm_addresses="on", rate_limits=False)


def services_of(api: Api) -> Services:
    services: Services = api.client.app[SERVICES]
    return services


async def mails(rows: Rows, kind: str = "address_confirm") -> list[tuple[str, str | None]]:
    """The address and the seed of each mail of this kind, oldest first."""
    found = await rows.fetch("SELECT address, facts->>'seed' FROM outbox WHERE kind = %s ORDER BY id", kind)
    return [(address, seed) for address, seed in found]


async def last_token(api: Api, rows: Rows) -> str:
    seed = (await mails(rows))[-1][1]
    assert seed is not None
    return services_of(api).mail_links.token(Purpose.ADDRESS, seed)


async def confirm(api: Api, token: str, status: int = 204) -> Any:
    return await api.call("POST", "/api/address/confirm", status, json={"token": token})


async def profile(api: Api, who: Person) -> tuple[str, bool, bool, str | None]:
    me = await api.call("GET", "/api/me", 200, who=who)
    return me["email"], me["confirmed"], me["must_confirm"], me["new_email"]


async def test_until_the_address_is_confirmed_a_person_neither_publishes_nor_writes_first(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    assert await profile(api, ann) == (ann.email, False, True, None)
    [bob_id] = (
        await rows.fetch(
            "INSERT INTO users (name, email, password_hash) VALUES ('Bob', 'b@b.example', 'x') RETURNING id"
        )
    )[0]
    bobs, own, ended = (
        await rows.listing(bob_id),
        await rows.listing(ann.id, visibility="private"),
        await rows.listing(ann.id, expires_at="now()"),
    )
    requests: list[tuple[str, str, Any, int]] = [
        (
            "POST",
            "/api/listings",
            {"title": "A car", "content": "It drives.", "category_id": await rows.category()},
            201,
        ),
        ("PATCH", f"/api/listings/{own}", {"visibility": "public"}, 200),
        ("PUT", f"/api/listings/{ended}/renewed", None, 200),
        ("POST", f"/api/listings/{bobs}/replies", {"text": "Hi"}, 201),
        ("POST", "/api/messages", {"to": bob_id, "message": "Hi"}, 201),
    ]
    for method, path, body, _ in requests:
        problem = await api.call(method, path, 403, who=ann, json=body)
        assert problem["type"] == "/problems/address-not-confirmed", path
    assert await rows.fetch("SELECT id FROM messages") == []
    # Reading, searching, their own listing and what they like need no confirmed address.
    await api.call("GET", f"/api/listings/{bobs}", 200, who=ann)
    await api.call("PATCH", f"/api/listings/{own}", 200, who=ann, json={"title": "New"})
    await api.call("PUT", f"/api/listings/{bobs}/favourite", 204, who=ann)
    await confirm(api, await last_token(api, rows))
    assert await profile(api, ann) == (ann.email, True, False, None)
    for method, path, body, status in requests:
        await api.call(method, path, status, who=ann, json=body)


async def test_who_is_written_to_may_answer(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await rows.execute("INSERT INTO messages (from_id, to_id, text) VALUES (%s, %s, 'Hi')", bob.id, ann.id)
    await api.call("POST", "/api/messages", 201, who=ann, json={"to": bob.id, "message": "Hello"})
    await api.call("POST", "/api/messages", 201, who=bob, json={"to": ann.id, "message": "How are you?"})


async def test_a_link_confirms_once_and_only_the_address_that_it_was_sent_to(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    assert [address for address, _ in await mails(rows)] == [ann.email]
    token = await last_token(api, rows)
    body = {"email": "new@example.com", "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=body)
    await confirm(api, token, 410)
    await confirm(api, await last_token(api, rows))
    await confirm(api, await last_token(api, rows), 410)
    assert await profile(api, ann) == ("new@example.com", True, False, None)
    for wrong in ("x", token[:-1], services_of(api).mail_links.token(Purpose.PASSWORD_RESET, "seed")):
        await confirm(api, wrong, 410)


async def test_a_changed_address_counts_when_it_is_confirmed_and_the_old_one_is_told(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await confirm(api, await last_token(api, rows))
    body = {"email": "New@Example.com", "current_password": PASSWORD}
    changed = await api.call("PATCH", "/api/me", 200, who=ann, json=body)
    assert (changed["email"], changed["new_email"]) == (ann.email, "New@Example.com")
    assert await profile(api, ann) == (ann.email, True, False, "New@Example.com")
    assert await mails(rows, "address_changed") == [(ann.email, None)]
    assert (await mails(rows))[-1][0] == "New@Example.com"
    await api.call("POST", "/api/login", 401, json={"email": "new@example.com", "password": PASSWORD})
    waiting = "INSERT INTO outbox (user_id, kind, address, facts) VALUES (%s, 'message', %s, '{}')"
    await rows.execute(waiting, ann.id, ann.email)
    await confirm(api, await last_token(api, rows))
    # What waits for the mail server follows the person.
    assert [address for address, _ in await mails(rows, "message")] == ["New@Example.com"]
    await api.call("POST", "/api/login", 200, json={"email": "new@example.com", "password": PASSWORD})
    await api.call("POST", "/api/login", 401, json={"email": ann.email, "password": PASSWORD})
    assert [address for address, _ in await mails(rows, "address_changed")] == [ann.email] * 2


async def test_another_spelling_of_the_same_address_counts_at_once(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await confirm(api, await last_token(api, rows))
    body = {"email": ann.email.capitalize(), "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=body)
    assert await profile(api, ann) == (ann.email.capitalize(), True, False, None)
    assert await mails(rows, "address_changed") == []


async def test_an_address_that_somebody_else_takes_meanwhile_stays_theirs(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    body = {"email": bob.email.upper(), "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 409, who=ann, json=body)
    await api.call("PATCH", "/api/me", 200, who=ann, json=body | {"email": "new@example.com"})
    token = await last_token(api, rows)
    await api.call("POST", "/api/register", 201, json={"email": "new@example.com", "password": PASSWORD, "name": "Eve"})
    assert (await confirm(api, token, 409))["type"] == "/problems/email-taken"
    assert (await profile(api, ann))[0] == ann.email


async def test_the_mail_is_sent_again_a_few_times(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    for _ in range(4):
        await api.call("POST", "/api/me/address/link", 202, who=ann)
    await api.call("POST", "/api/me/address/link", 409, who=ann)
    assert [address for address, _ in await mails(rows)] == [ann.email] * 5
    await confirm(api, await last_token(api, rows))
    await api.call("POST", "/api/me/address/link", 409, who=ann)
    assert await rows.fetch("SELECT * FROM mail_links WHERE hash NOT LIKE 'spent %%'") == []


async def test_where_nobody_has_to_confirm_everything_goes_on_at_once(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api()
    ann, bob = await api.register("Ann"), await api.register("Bob")
    assert await profile(api, ann) == (ann.email, False, False, None)
    await api.call("POST", "/api/messages", 201, who=ann, json={"to": bob.id, "message": "Hi"})
    body = {"email": "new@example.com", "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=body)
    assert await profile(api, ann) == ("new@example.com", False, False, None)
    assert await mails(rows, "address_changed") == [(ann.email, None)]
    await confirm(api, await last_token(api, rows))
    assert await profile(api, ann) == ("new@example.com", True, False, None)


async def test_without_mail_addresses_count_as_confirmed(make_api: MakeApi) -> None:
    api = await make_api(environment="production")
    ann = await api.register("Ann")
    assert await profile(api, ann) == (ann.email, True, False, None)
    assert (await api.call("POST", "/api/me/address/link", 503, who=ann))["type"] == "/problems/no-mail"


async def test_who_had_to_confirm_is_let_go_when_that_is_switched_off(api: Api, make_api: MakeApi) -> None:
    ann = await api.register("Ann")
    await services_of(api).chores.do()
    assert (await profile(api, ann))[2] is True
    other = await make_api()
    await services_of(other).chores.do()
    assert (await profile(api, ann))[2] is False


async def test_a_new_password_by_mail_needs_no_confirmed_address(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await api.call("POST", "/api/password/forgotten", 202, json={"email": ann.email})
    await services_of(api).mailing.answer_forgotten()
    assert [address for address, _ in await mails(rows, "password_reset")] == [ann.email]


async def reset(api: Api, rows: Rows, email: str) -> None:
    """Choose a new password by the mail to this address."""
    await api.call("POST", "/api/password/forgotten", 202, json={"email": email})
    await services_of(api).mailing.answer_forgotten()
    [*_, (_, seed)] = await mails(rows, "password_reset")
    assert seed is not None
    token = services_of(api).mail_links.token(Purpose.PASSWORD_RESET, seed)
    await api.call("POST", "/api/password/reset", 204, json={"token": token, "password": NEW})


async def test_whoever_gets_the_mail_at_an_unconfirmed_address_gets_the_account_without_its_makers_keys(
    api: Api, rows: Rows
) -> None:
    """Somebody may register the address of somebody else, and wait until that person takes the account over."""
    eve = await api.register("Eve")
    columns = "user_id, credential_id, public_key, sign_count, name"
    await rows.execute(f"INSERT INTO passkeys ({columns}) VALUES (%s, 'id', 'key', 0, 'Mine')", eve.id)
    await rows.execute("INSERT INTO second_factors (user_id, seed, confirmed_at) VALUES (%s, 'seed', now())", eve.id)
    await rows.execute("INSERT INTO recovery_codes (user_id, hash) VALUES (%s, 'hash')", eve.id)
    change = {"email": "eve@example.com", "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=eve, json=change)
    of_eve = await last_token(api, rows)
    await reset(api, rows, eve.email)
    # The link has shown whose address it is.
    owner = person(await api.call("POST", "/api/login", 200, json={"email": eve.email, "password": NEW}))
    assert await profile(api, owner) == (eve.email, True, False, None)
    assert await api.call("GET", "/api/me/passkeys", 200, who=owner) == {"data": []}
    assert (await api.call("GET", "/api/me/second-factor", 200, who=owner))["since"] is None
    await confirm(api, of_eve, 410)
    assert (await profile(api, owner))[0] == eve.email


async def test_a_new_password_by_mail_leaves_the_second_step_and_the_keys_of_a_confirmed_account(
    api: Api, rows: Rows
) -> None:
    ann = await api.register("Ann")
    await confirm(api, await last_token(api, rows))
    await rows.execute("INSERT INTO second_factors (user_id, seed, confirmed_at) VALUES (%s, 'seed', now())", ann.id)
    await rows.execute("INSERT INTO recovery_codes (user_id, hash) VALUES (%s, 'hash')", ann.id)
    await reset(api, rows, ann.email)
    problem = await api.call("POST", "/api/login", 401, json={"email": ann.email, "password": NEW})
    assert problem["type"] == "/problems/second-factor-needed"


@pytest.mark.parametrize("way", ["by the mail", "on the page", "the old address again"])
async def test_a_change_of_address_that_waits_is_undone(api: Api, rows: Rows, way: str) -> None:
    """Who is told of a change that somebody else has begun chooses a new password; who has mistyped an address goes
    back to the old one. Nobody at the new one then gets the account by its link."""
    ann = await api.register("Ann")
    await confirm(api, await last_token(api, rows))
    change = {"email": "eve@example.com", "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=change)
    of_eve = await last_token(api, rows)
    body = {"current_password": PASSWORD}
    match way:
        case "by the mail":
            await reset(api, rows, ann.email)
        case "on the page":
            await api.call("PATCH", "/api/me", 200, who=ann, json=body | {"password": NEW})
        case _:
            await api.call("PATCH", "/api/me", 200, who=ann, json=body | {"email": f" {ann.email.upper()} "})
    await confirm(api, of_eve, 410)
    found = await rows.fetch("SELECT lower(email), new_email FROM users WHERE id = %s", ann.id)
    assert found == [(ann.email, None)]


async def test_a_new_address_and_a_new_password_may_be_chosen_together(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    # The link to the first address goes on working until another address is wanted.
    body = {"current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=body | {"password": NEW})
    await confirm(api, await last_token(api, rows))
    body = {"current_password": NEW, "email": "new@example.com", "password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=ann, json=body)
    await confirm(api, await last_token(api, rows))
    assert (await profile(api, ann))[0] == "new@example.com"


async def test_a_block_is_taken_over_when_the_address_is_confirmed_and_not_before(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await confirm(api, await last_token(api, rows))
    await api.call("PUT", f"/api/users/{bob.id}/block", 200, who=ann)
    await api.call("DELETE", "/api/me", 204, who=bob, json={"current_password": PASSWORD})
    body = {"email": bob.email, "password": PASSWORD, "name": "Bob again"}
    again = await api.call("POST", "/api/register", 201, json=body)
    blocked = "SELECT blocked_id FROM blocks WHERE address_hash IS NULL"
    assert await rows.fetch(blocked) == []
    await confirm(api, await last_token(api, rows))
    assert await rows.fetch(blocked) == [(again["user"]["id"],)]


async def test_one_account_sends_few_mails_to_addresses_that_it_may_not_own(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await confirm(api, await last_token(api, rows))
    change = {"current_password": PASSWORD}
    for number in range(5):
        # The links that were used do not count; but they begin no new count either.
        await api.call("PATCH", "/api/me", 200, who=ann, json=change | {"email": f"own{number}@example.com"})
        await confirm(api, await last_token(api, rows))
        await api.call("PATCH", "/api/me", 200, who=ann, json=change | {"email": f"victim{number}@example.com"})
    problem = await api.call("PATCH", "/api/me", 409, who=ann, json=change | {"email": "victim5@example.com"})
    assert problem["type"] == "/problems/conflict"
    assert await profile(api, ann) == ("own4@example.com", True, False, "victim4@example.com")
    await api.call("POST", "/api/me/address/link", 409, who=ann)
    assert [address for address, _ in await mails(rows) if "victim" in address] == [
        f"victim{number}@example.com" for number in range(5)
    ]
    await rows.execute("UPDATE mail_links SET expires_at = now()")
    await api.call("PATCH", "/api/me", 200, who=ann, json=change | {"email": "own2@example.com"})


async def test_an_address_that_has_to_be_confirmed_gets_no_more_than_that_takes_and_nothing_that_its_owner_wrote(
    api: Api, rows: Rows
) -> None:
    eve = await api.register("Look at www.evil.example")
    for number in range(3):
        change = {"current_password": f"battery number {number}" if number else PASSWORD}
        await api.call("PATCH", "/api/me", 200, who=eve, json=change | {"password": f"battery number {number + 1}"})
    await api.login(eve, "battery number 3")
    await api.call("POST", "/api/password/forgotten", 202, json={"email": eve.email})
    await services_of(api).mailing.answer_forgotten()
    found = await rows.fetch("SELECT kind, facts::text FROM outbox ORDER BY id")
    assert [kind for kind, _ in found] == ["address_confirm", "password_reset"]
    assert "evil" not in str(found)
    change = {"current_password": "battery number 3", "email": "another@example.com"}
    await api.call("PATCH", "/api/me", 200, who=eve, json=change)
    found = await rows.fetch("SELECT kind, facts::text FROM outbox ORDER BY id")
    assert [kind for kind, _ in found] == ["address_confirm", "password_reset", "address_confirm"]
    assert "evil" not in str(found)
