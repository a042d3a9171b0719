"""Settings that cannot be used end the start with one line that names the variable."""

from __future__ import annotations

import pytest

from shared.settings import InvalidSettings, Settings


def test_a_session_outlives_its_access_tokens() -> None:
    """Or the row that remembers a log-out would be swept while a token of that session is still good."""
    with pytest.raises(
        InvalidSettings, match=r"^REFRESH_TOKEN_SECONDS: at least ACCESS_TOKEN_SECONDS, 3600, not 3599$"
    ):
        Settings.from_environment({"REFRESH_TOKEN_SECONDS": "3599"})
    with pytest.raises(InvalidSettings, match=r"^REFRESH_TOKEN_SECONDS: [^\n]+, 2592001, not 2592000$"):
        Settings.from_environment({"ACCESS_TOKEN_SECONDS": "2592001"})
    same = Settings.from_environment({"REFRESH_TOKEN_SECONDS": "60", "ACCESS_TOKEN_SECONDS": "60"})
    assert same.refresh_token_seconds == same.access_token_seconds == 60
