"""A mail that was committed arrives, also if its API is killed at any step; twice only under one Message-ID."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.killed_apis import MOMENTS, expected_kills, kill_apis


@pytest.mark.servers
async def test_every_mail_arrives_though_its_api_is_killed_at_any_step(settings: Settings, tmp_path: Path) -> None:
    """`make attacks` kills two hundred."""
    outcome = await kill_apis(settings, tmp_path, len(MOMENTS))
    assert outcome.kills == expected_kills(len(MOMENTS))
    assert [len(ids) for ids in outcome.ids_of_mails] == [1] * len(MOMENTS)
    # Only an API that dies after the server's answer makes a mail arrive twice.
    assert outcome.arrivals == len(MOMENTS) + outcome.kills["250"]
