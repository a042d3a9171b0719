"""An operator sees an attack: each event has a line that says who did what, and a counter."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from typing import Any

import pytest

from shared.domain.users import Role
from shared.lines_per_minute import LINES_PER_MINUTE
from shared.security_events import SecurityEvent, SecurityEvents
from tests.api.conftest import PASSWORD, Api, MakeApi
from tests.api.test_metrics import samples
from tests.support.security_events import events


async def counted(api: Api, event: str) -> float:
    return (await samples(api))["daveslist_security_events_total", frozenset({("event", event)})]


async def test_each_event_has_a_line_with_who_and_what_and_is_counted(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(trusted_proxies=(ip_network("127.0.0.0/8"),), logins_per_account_minute=1)
    admin, user = await api.register(role=Role.ADMIN), await api.register()
    here = {"X-Forwarded-For": "203.0.113.7"}
    who: dict[str, Any] = {"user_id": None, "network": "203.0.113.0/24", "method": "POST", "path": "/api/login"}

    wrong = {"email": user.email, "password": "wrong horse"}
    for status in (401, 429):
        await api.call("POST", "/api/login", status, json=wrong, headers=here)
    assert events(caplog) == [
        ("login_failed", {**who, "account_id": user.id}),
        ("limited", {**who, "limit": "login-account"}),
    ]
    caplog.clear()

    unknown = {"email": "nobody@example.com", "password": "wrong horse"}
    await api.call("POST", "/api/login", 401, json=unknown, headers=here)
    await api.call("POST", "/api/token/refresh", 401, json={"refresh_token": "a.1.b"}, headers=here)
    await api.call("DELETE", "/api/me", 403, who=user, json={"current_password": "wrong horse"}, headers=here)
    assert events(caplog) == [
        ("login_failed", {**who, "account_id": None}),
        ("login_failed", {**who, "path": "/api/token/refresh"}),
        ("login_failed", {**who, "user_id": user.id, "method": "DELETE", "path": "/api/me"}),
    ]
    caplog.clear()

    await api.call("GET", "/api/audit", 403, who=user, headers=here)
    assert events(caplog) == [("access_refused", {**who, "user_id": user.id, "method": "GET", "path": "/api/audit"})]
    caplog.clear()

    path = f"/api/users/{user.id}/role"
    for _ in range(2):
        await api.call("PUT", path, 200, who=admin, json={"role": "moderator"}, headers=here)
    by_admin = {**who, "user_id": admin.id, "method": "PUT", "path": path}
    assert events(caplog) == [("role_changed", {**by_admin, "of_user_id": user.id, "role": Role.MODERATOR})]
    caplog.clear()

    body = {"current_password": PASSWORD, "password": "a new passphrase"}
    other = await api.register()
    await api.call("PATCH", "/api/me", 200, who=other, json=body, headers=here)
    await api.call("PATCH", "/api/me", 200, who=other, json={"name": "Other"}, headers=here)
    changed = {**who, "user_id": other.id, "method": "PATCH", "path": "/api/me"}
    assert events(caplog) == [("password_changed", changed)]

    seen = {event.value: await counted(api, event) for event in SecurityEvent}
    once = dict.fromkeys(("access_refused", "limited", "password_changed", "role_changed"), 1)
    assert {event: count for event, count in seen.items() if count} == {"login_failed": 4, **once}
    assert "wrong horse" not in caplog.text


def test_an_attack_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    told = SecurityEvents(lambda: now)
    for _ in range(1000):
        told.tell(SecurityEvent.LIMITED, {}, {})
    told.tell(SecurityEvent.ROLE_CHANGED, {}, {})
    assert len(caplog.records) == LINES_PER_MINUTE + 1
    now = 61.0
    told.tell(SecurityEvent.LIMITED, {}, {})
    assert caplog.messages[-2:] == ["more of these events", "limited"]
    assert vars(caplog.records[-2])["fields"] == {"of": "limited", "count": 1000 - LINES_PER_MINUTE}
    assert all(one.levelno == logging.WARNING for one in caplog.records)
