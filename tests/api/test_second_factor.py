"""A second factor: codes of an app, recovery codes, and what the staff may do without one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pyotp
import pytest

from api import second_step
from api.commands import second_factor_off
from shared.access.policy import Action
from shared.access.vault import Locked, Vault
from shared.domain.second_factor import hash_of
from shared.domain.users import NoLongerAllowed, Role
from shared.events.control import CONTROL, DISCONNECT, ROLE_CHANGED
from shared.postgres import Database
from shared.repositories.acting import require
from shared.repositories.second_factors import SecondFactorRepository, lock_anew, vault_of
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, Broadcasts, MakeApi, Person, person
from tests.api.rows import Rows
from tests.support.security_events import events

pytestmark = pytest.mark.usefixtures("at_rest")

PATH = "/api/me/second-factor"
NOW = {"current_password": PASSWORD}


@dataclass
class Phone:
    """An app that makes codes, and the server's clock, which goes on with each of them."""

    seed: str = ""
    now: float = 2_000_000_000.0

    def time(self) -> float:
        return self.now

    def code(self) -> str:
        """The next code: that of the next 30 seconds."""
        self.now += 30
        return pyotp.TOTP(self.seed).at(int(self.now))


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Phone:
    made = Phone()
    monkeypatch.setattr(second_step, "time", made)
    return made


async def turned_on(api: Api, someone: Person, phone: Phone) -> list[str]:
    """Turn the person's second factor on. Returns the recovery codes."""
    begun = await api.call("POST", PATH, 201, who=someone, json=NOW)
    phone.seed = begun["secret"]
    answer = await api.call("PUT", PATH, 200, who=someone, json={"code": phone.code()})
    codes: list[str] = answer["recovery_codes"]
    return codes


async def log_in(api: Api, someone: Person, status: int, code: str | None = None) -> Any:
    body = {"email": someone.email, "password": PASSWORD} | ({} if code is None else {"code": code})
    return await api.call("POST", "/api/login", status, json=body)


async def test_a_log_in_needs_a_code_once_a_second_factor_is_on(api: Api, phone: Phone, broadcasts: Broadcasts) -> None:
    someone = await api.register()
    elsewhere = await api.login(someone)
    off = {"enabled": False, "since": None, "recovery_codes_left": 0, "required": False}
    assert await api.call("GET", PATH, 200, who=someone) == off
    begun = await api.call("POST", PATH, 201, who=someone, json=NOW)
    assert begun["uri"].startswith("otpauth://totp/Daveslist:person1%40example.com?")
    assert begun["secret"] in begun["uri"]
    assert begun["qr"].startswith("M4 4h1v1h-1z")
    assert begun["qr_size"] >= 29
    # It counts from its first code on, and not before.
    await log_in(api, someone, 200)
    phone.seed = begun["secret"]
    assert (await api.call("PUT", PATH, 403, who=someone, json={"code": "000000"}))["type"] == "/problems/wrong-code"
    await log_in(api, someone, 200)
    broadcasts.seen.clear()
    codes = (await api.call("PUT", PATH, 200, who=someone, json={"code": phone.code()}))["recovery_codes"]
    assert len(set(codes)) == 10
    state = await api.call("GET", PATH, 200, who=someone)
    assert (state["enabled"], state["recovery_codes_left"]) == (True, 10)
    # Whoever else was logged in is out.
    await api.call("GET", "/api/me", 401, who=elsewhere)
    assert [seen[:2] for seen in broadcasts.seen] == [(CONTROL, DISCONNECT)]

    assert (await log_in(api, someone, 401))["type"] == "/problems/second-factor-needed"
    for wrong in ("000000", "abcdef", " ", "1" * 64):
        assert (await log_in(api, someone, 403, wrong))["type"] == "/problems/wrong-code"
    code = phone.code()
    answer = await log_in(api, someone, 200, f" {code[:3]} {code[3:]}")
    await api.call("GET", "/api/me", 200, who=person(answer))
    wrong_password = {"email": someone.email, "password": "wrong horse", "code": phone.code()}
    assert (await api.call("POST", "/api/login", 401, json=wrong_password))["type"] == "/problems/wrong-credentials"


async def test_a_code_counts_once_also_for_two_log_ins_at_the_same_time(api: Api, phone: Phone) -> None:
    someone = await api.register()
    await turned_on(api, someone, phone)
    code = phone.code()
    body = {"email": someone.email, "password": PASSWORD, "code": code}
    answers = await asyncio.gather(*(api.client.post("/api/login", json=body) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 403, 403, 403]
    # Nor does one of an earlier step, which was never used.
    late = pyotp.TOTP(phone.seed).at(int(phone.now) - 30)
    await log_in(api, someone, 403, late)
    phone.now += 30
    await log_in(api, someone, 403, code)
    # Two steps late is too late, and two steps early too early.
    for seconds in (-60, 60):
        await log_in(api, someone, 403, pyotp.TOTP(phone.seed).at(int(phone.now) + seconds))
    await log_in(api, someone, 200, pyotp.TOTP(phone.seed).at(int(phone.now) + 30))


async def test_a_recovery_code_replaces_a_lost_phone_once(
    api: Api, phone: Phone, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    someone, other = await api.register(), await api.register()
    codes = await turned_on(api, someone, phone)
    others = await turned_on(api, other, Phone(now=phone.now))
    caplog.clear()
    again = person(await log_in(api, someone, 200, codes[0].upper().replace("-", " ")))
    assert [event for event, _ in events(caplog)] == ["recovery_code_used"]
    assert (await api.call("GET", PATH, 200, who=again))["recovery_codes_left"] == 9
    await log_in(api, someone, 403, codes[0])
    await log_in(api, someone, 403, others[0])
    # The table has only hashes, and the seed is encrypted.
    hashes = await rows.fetch("SELECT hash FROM recovery_codes")
    stored = str([*hashes, *await rows.fetch("SELECT seed FROM second_factors")])
    assert phone.seed not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)
    assert hash_of(someone.id, codes[1]) in stored
    # With the last codes the owner turns it off, or gets new ones.
    body = {**NOW, "code": codes[1]}
    fresh = (await api.call("POST", f"{PATH}/recovery-codes", 201, who=again, json=body))["recovery_codes"]
    await log_in(api, someone, 403, codes[2])
    await api.call("DELETE", PATH, 204, who=again, json={**NOW, "code": fresh[0]})
    await log_in(api, someone, 200)
    assert await rows.fetch("SELECT FROM recovery_codes WHERE user_id = %s", someone.id) == []


async def test_the_second_factor_changes_only_with_the_password_and_a_code(api: Api, phone: Phone) -> None:
    someone = await api.register()
    wrong = {"current_password": "wrong horse"}
    await api.call("POST", PATH, 403, who=someone, json=wrong)
    problem = await api.call("PUT", PATH, 409, who=someone, json={"code": "123456"})
    assert problem["type"] == "/problems/second-factor-off"
    await turned_on(api, someone, phone)
    assert (await api.call("POST", PATH, 409, who=someone, json=NOW))["type"] == "/problems/second-factor-on"
    assert (await api.call("PUT", PATH, 409, who=someone, json={"code": phone.code()}))["type"].endswith("-off")
    for method, path in (("DELETE", PATH), ("POST", f"{PATH}/recovery-codes")):
        await api.call(method, path, 403, who=someone, json={**wrong, "code": phone.code()})
        problem = await api.call(method, path, 403, who=someone, json={**NOW, "code": "000000"})
        assert problem["type"] == "/problems/wrong-code"
        await api.call(method, path, 422, who=someone, json=NOW)
    # A passkey would log in without a code.
    passkey = "/api/me/passkeys/options"
    assert "code" in (await api.call("POST", passkey, 422, who=someone, json=NOW))["errors"]
    problem = await api.call("POST", passkey, 403, who=someone, json={**NOW, "code": "000000"})
    assert problem["type"] == "/problems/wrong-code"
    # The code is right; a site without a host name has no passkeys.
    problem = await api.call("POST", passkey, 409, who=someone, json={**NOW, "code": phone.code()})
    assert problem["type"] == "/problems/no-passkeys-here"
    await log_in(api, someone, 401)
    await api.call("DELETE", PATH, 204, who=someone, json={**NOW, "code": phone.code()})
    assert not (await api.call("GET", PATH, 200, who=someone))["enabled"]


async def test_no_log_in_that_began_before_the_second_factor_was_on_ends_without_a_code(
    api: Api, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = await api.register()
    state = SecondFactorRepository.state
    is_asked, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(self: SecondFactorRepository, user_id: int) -> Any:
        found = await state(self, user_id)
        is_asked.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(SecondFactorRepository, "state", slow)
    logging_in = asyncio.create_task(log_in(api, someone, 401))
    await is_asked.wait()
    await turned_on(api, someone, phone)
    goes_on.set()
    await logging_in


async def test_guesses_at_a_code_are_limited_for_each_account(make_api: MakeApi, phone: Phone) -> None:
    nodes = [await make_api(codes_per_account_minute=3) for _ in range(2)]
    someone, other = await nodes[0].register(), await nodes[0].register()
    await turned_on(nodes[0], someone, phone)
    body = {"email": someone.email, "password": PASSWORD, "code": "000000"}
    statuses = [(await nodes[n % 2].client.post("/api/login", json=body)).status for n in range(5)]
    assert statuses == [403, 403, 403, 429, 429]
    await log_in(nodes[0], someone, 429, phone.code())
    await log_in(nodes[0], other, 200)


async def test_an_admin_or_the_command_line_turns_off_what_somebody_has_lost(
    api: Api, phone: Phone, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    someone, admin = await api.register(), await api.register(role=Role.ADMIN)
    await turned_on(api, someone, phone)
    for _ in range(2):
        await api.call("DELETE", f"/api/users/{someone.id}/second-factor", 204, who=admin)
    await log_in(api, someone, 200)
    acts = (await api.call("GET", "/api/audit", 200, who=admin))["data"]
    assert [(act["action"], act["target"]["id"]) for act in acts] == [("second_factor_remove", someone.id)]
    await turned_on(api, someone, phone)

    class Options:
        email = f" {someone.email.upper()}"

    await second_factor_off(replace(settings), Options())  # type: ignore[arg-type]
    assert capsys.readouterr().out == f"the second factor of user {someone.id} is now off\n"
    await log_in(api, someone, 200)


async def test_the_staff_has_its_rights_only_with_a_second_factor_if_the_site_wants_it_so(
    make_api: MakeApi, phone: Phone, broadcasts: Broadcasts
) -> None:
    api = await make_api(second_factor_for_staff=True)
    user, admin = await api.register(), await api.register(role=Role.ADMIN)
    assert not (await api.call("GET", PATH, 200, who=user))["required"]
    assert (await api.call("GET", PATH, 200, who=admin))["required"]
    for path in ("/api/audit", "/api/users", "/api/reports", "/api/objections"):
        problem = await api.call("GET", path, 403, who=admin)
        assert problem["type"] == "/problems/second-factor-required"
        assert (await api.call("GET", path, 403, who=user))["type"] == "/problems/forbidden"
    await api.call("GET", "/api/listings", 200, who=admin)
    broadcasts.seen.clear()
    await turned_on(api, admin, phone)
    assert (CONTROL, ROLE_CHANGED) in [seen[:2] for seen in broadcasts.seen]
    await api.call("GET", "/api/audit", 200, who=admin)
    await api.call("DELETE", PATH, 204, who=admin, json={**NOW, "code": phone.code()})
    await api.call("GET", "/api/audit", 403, who=admin)


@pytest.mark.parametrize("is_needed", [True, False])
async def test_staff_that_needs_a_second_factor_sees_hidden_listings_only_with_one(
    make_api: MakeApi, rows: Rows, is_needed: bool
) -> None:
    api = await make_api(second_factor_for_staff=is_needed)
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    listing = await rows.listing(seller.id)
    about = {"to": seller.id, "message": "Is it there?", "listing_id": listing}
    await api.call("POST", "/api/messages", 201, who=moderator, json=about)
    await rows.execute("INSERT INTO alerts (user_id, kind, listing_id) VALUES (%s, 'sold', %s)", moderator.id, listing)
    await rows.execute("UPDATE listings SET hidden_at = now() WHERE id = %s", listing)

    async def seen() -> tuple[int, int, bool, int]:
        alerts = await api.call("GET", "/api/alerts", 200, who=moderator)
        [conversation] = (await api.call("GET", "/api/conversations", 200, who=moderator))["data"]
        read = await api.client.get(f"/api/listings/{listing}", headers=moderator.headers)
        sent = await api.client.post("/api/messages", json=about, headers=moderator.headers)
        return read.status, len(alerts["data"]), conversation["listing"] is not None, sent.status

    assert await seen() == ((404, 0, False, 422) if is_needed else (200, 1, True, 201))
    await rows.execute("UPDATE users SET has_second_factor = true WHERE id = %s", moderator.id)
    assert await seen() == (200, 1, True, 201)


async def test_staff_without_the_second_factor_that_it_needs_is_nobody_who_could_decide(
    make_api: MakeApi, rows: Rows, settings: Settings
) -> None:
    api = await make_api(second_factor_for_staff=True)
    bob, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    admin = await api.register(role=Role.ADMIN)
    await rows.execute("UPDATE users SET has_second_factor = true WHERE id = %s", admin.id)
    warning = await api.call("POST", f"/api/users/{bob.id}/warnings", 201, who=admin, json={"reason": "Be kind."})
    [own] = (await api.call("GET", "/api/me/sanctions", 200, who=bob))["data"]
    body = {"token": own["objection_token"], "text": "I was."}
    await api.call("POST", "/api/objections", 201, json=body)
    decision, decided = {"outcome": "kept", "answer": "No."}, f"/api/objections/{warning['id']}/decision"
    await api.call("PUT", decided, 403, who=moderator, json=decision)
    await api.call("PUT", decided, 200, who=admin, json=decision)
    # An act that was admitted before the factor went is refused as well.
    database = Database(replace(settings, second_factor_for_staff=True))
    async with database.transaction() as transaction:
        with pytest.raises(NoLongerAllowed):
            await require(transaction, moderator.id, Action.LISTING_HIDE)
        await require(transaction, admin.id, Action.LISTING_HIDE)
    await database.close()


async def test_seeds_are_encrypted_anew_before_an_old_secret_goes(
    make_api: MakeApi, phone: Phone, settings: Settings, rows: Rows
) -> None:
    old, new = settings.jwt_secrets[0], "another-secret-another-secret-another-secret"
    someone = await (await make_api()).register()
    await turned_on(await make_api(), someone, phone)
    both, later = replace(settings, jwt_secrets=(new, old)), replace(settings, jwt_secrets=(new,))
    await log_in(await make_api(jwt_secrets=(new, old)), someone, 200, phone.code())
    # Too early: the seed is still encrypted with the old secret.
    await log_in(await make_api(jwt_secrets=(new,)), someone, 403, phone.code())
    database = Database(settings)
    for vault in (vault_of(both), vault_of(both), vault_of(later)):
        async with database.transaction() as transaction:
            assert await lock_anew(vault, transaction)
    await database.close()
    await log_in(await make_api(jwt_secrets=(new,)), someone, 200, phone.code())
    [[seed]] = await rows.fetch("SELECT seed FROM second_factors")
    assert vault_of(later).opened(someone.id, seed) == phone.seed


def test_what_a_vault_locks_opens_for_its_owner_and_with_its_secret_only() -> None:
    vault = Vault(("x" * 40, "y" * 40), "test")
    locked = vault.locked(7, "a secret")
    assert vault.opened(7, locked) == "a secret"
    assert vault.locked(7, "a secret") != locked
    changed = locked[:-6] + ("A" if locked[-6] != "A" else "B") + locked[-5:]
    wrong = [(vault, 8, locked), (Vault(("x" * 40,), "other"), 7, locked), (Vault(("z" * 40,), "test"), 7, locked)]
    wrong += [(vault, 7, text) for text in (changed, "", ".", "x.y", "x.\u00e9", locked[:30])]
    for other, owner, text in wrong:
        with pytest.raises(Locked):
            other.opened(owner, text)
    assert Vault(("y" * 40, "x" * 40), "test").opened(7, locked) == "a secret"


async def test_a_second_factor_goes_with_its_account(api: Api, phone: Phone, rows: Rows) -> None:
    someone = await api.register()
    await turned_on(api, someone, phone)
    await api.call("DELETE", "/api/me", 204, who=someone, json=NOW)
    for table in ("second_factors", "recovery_codes"):
        assert await rows.fetch(f"SELECT FROM {table}") == []
