"""The headers of every answer: safe by default, and readable by pages of the allowed origins only."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from aiohttp import hdrs

from tests.api.conftest import Api, MakeApi

pytestmark = pytest.mark.usefixtures("at_rest")

ORIGIN = "https://cars.example"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/api/me", 401),
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/me", 405),
        ("POST", "/api/login", 415),
        ("HEAD", "/health/live", 200),
        ("OPTIONS", "/api/me", 405),
    ],
)
async def test_every_answer_has_the_safe_headers(api: Api, method: str, path: str, status: int) -> None:
    response = await api.client.request(method, path)
    assert response.status == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Server"] == "daveslist"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Origin"
    assert "Strict-Transport-Security" not in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_page_of_an_allowed_origin_may_send_requests_and_read_answers(make_api: MakeApi) -> None:
    api = await make_api(allowed_origins=(ORIGIN,))
    preflight = await api.client.options(
        "/api/me", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
    )
    assert preflight.status == 204
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert int(preflight.headers["Access-Control-Max-Age"]) > 0
    for response in (preflight, await api.client.get("/api/me", headers={"Origin": ORIGIN})):
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Vary"] == "Origin"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


async def test_a_page_of_another_origin_may_neither_send_requests_nor_read_answers(make_api: MakeApi) -> None:
    api = await make_api(allowed_origins=(ORIGIN,))
    evil = {"Origin": "https://evil.example"}
    preflight = await api.client.options("/api/me", headers={**evil, "Access-Control-Request-Method": "PATCH"})
    assert preflight.status == 405
    for response in (preflight, await api.client.get("/health/live", headers=evil)):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
        assert response.headers["Vary"] == "Origin"


async def test_in_production_only_the_same_origin_is_allowed_by_default(make_api: MakeApi) -> None:
    api = await make_api(environment="production")
    own = f"http://{api.client.host}:{api.client.port}"
    response = await api.client.get("/health/live", headers={"Origin": own})
    assert response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] == own
    response = await api.client.get("/health/live", headers={"Origin": ORIGIN})
    assert hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in response.headers


async def test_in_production_behind_tls_browsers_are_told_to_keep_using_tls(make_api: MakeApi) -> None:
    secure = {"X-Forwarded-Proto": "https"}
    behind = await make_api(environment="production", trusted_proxies=(ip_network("127.0.0.0/8"),))
    assert "max-age=" in (await behind.client.get("/health/live", headers=secure)).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in (await behind.client.get("/health/live")).headers
    alone = await make_api(environment="production")
    assert "Strict-Transport-Security" not in (await alone.client.get("/health/live", headers=secure)).headers
