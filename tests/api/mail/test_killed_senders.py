"""A mail that was committed arrives, also if the process that sends it is killed at any step; twice only by one id."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.killed_senders import kill_senders
from tests.support.mail_server import STEPS


@pytest.mark.servers
async def test_every_mail_arrives_though_its_sender_is_killed_at_any_step(settings: Settings, tmp_path: Path) -> None:
    """`make attacks` kills two hundred."""
    outcome = await kill_senders(settings, tmp_path, 2 * len(STEPS))
    assert outcome.kills == dict.fromkeys(STEPS, 2)
    assert [len(ids) for ids in outcome.ids_of_mails] == [1] * (2 * len(STEPS))
    assert outcome.left == 0
    # Only a process that dies after the server's answer makes a mail arrive twice.
    assert outcome.arrivals == 2 * len(STEPS) + outcome.kills["250"]
