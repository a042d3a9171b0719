"""A session ends SESSION_SECONDS after its log-in by the database's clock, however often it is refreshed."""

from __future__ import annotations

import jwt
import pytest

from shared.settings import Settings
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

DAY = 24 * 3600


async def gets_older(rows: Rows, seconds: float) -> None:
    """Let the database's clock say that all log-ins were that much earlier. Refreshes have kept the sessions alive."""
    await rows.execute("UPDATE sessions SET created_at = created_at - make_interval(secs => %s)", seconds)


async def refreshed(api: Api, token: str, status: int = 200) -> dict[str, object]:
    answer: dict[str, object] = await api.call("POST", "/api/token/refresh", status, json={"refresh_token": token})
    return answer


async def seconds_left(rows: Rows, someone: Person) -> float:
    [(left,)] = await rows.fetch(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM sessions WHERE user_id = %s", someone.id
    )
    return float(left)


async def test_a_session_ends_90_days_after_its_log_in_whatever_is_refreshed(api: Api, rows: Rows) -> None:
    someone = await api.register()
    token = someone.refresh_token
    for _ in range(3):
        await gets_older(rows, 29 * DAY)
        token = str((await refreshed(api, token))["refresh_token"])
    # 87 days are over: the refresh token lasts for the three that are left, and not for 30.
    assert 3 * DAY - 600 < await seconds_left(rows, someone) <= 3 * DAY
    await gets_older(rows, 3 * DAY)
    problem = await refreshed(api, token, 401)
    assert problem["type"] == "/problems/invalid-refresh-token"
    await api.login(someone)


async def test_no_token_outlives_its_session(api: Api, rows: Rows, settings: Settings) -> None:
    someone = await api.register()
    await gets_older(rows, 90 * DAY - 600)
    answer = await refreshed(api, someone.refresh_token)
    claims = jwt.decode(str(answer["access_token"]), settings.jwt_secrets[0], algorithms=["HS256"])
    lasts = claims["exp"] - claims["iat"]
    assert answer["expires_in"] == lasts
    assert 1 <= lasts <= 600
    # A second use of the same refresh token, within its grace period, gets no longer tokens either.
    again = await refreshed(api, someone.refresh_token)
    assert isinstance(again["expires_in"], int)
    assert again["expires_in"] <= 600


async def test_a_session_may_be_shorter_than_its_tokens_would_be(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(session_seconds=120)
    someone = await api.register()
    assert (await refreshed(api, someone.refresh_token))["expires_in"] in range(100, 121)
    assert await seconds_left(rows, someone) <= 120


async def test_a_session_from_before_the_setting_was_lowered_ends_too(make_api: MakeApi, rows: Rows) -> None:
    someone = await (await make_api()).register()
    await gets_older(rows, 2 * DAY)
    await refreshed(await make_api(session_seconds=DAY), someone.refresh_token, 401)
