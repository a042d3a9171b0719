"""Kills the senders of two hundred mails, at every step of sending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shared.settings import Settings
from tests.support.attack_figures import FIGURES
from tests.support.killed_senders import kill_senders
from tests.support.mail_server import STEPS

KILLS = 200


async def test_two_hundred_killed_senders_lose_no_mail(
    settings: Settings, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = await kill_senders(settings, tmp_path, KILLS)
    assert outcome.kills == dict.fromkeys(STEPS, KILLS // len(STEPS))
    assert [len(ids) for ids in outcome.ids_of_mails] == [1] * KILLS
    assert outcome.left == 0
    assert outcome.arrivals == KILLS + outcome.kills["250"]
    record_property(FIGURES, f"{KILLS} senders of mail killed: {outcome.arrivals} arrivals of {KILLS} mails, none lost")
