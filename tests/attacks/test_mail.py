"""Kills two hundred APIs between the commit of a mail and the mail server's answer, at every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shared.settings import Settings
from tests.support.attack_figures import FIGURES
from tests.support.killed_apis import expected_kills, kill_apis

KILLS = 200


async def test_two_hundred_killed_apis_lose_no_mail(
    settings: Settings, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = await kill_apis(settings, tmp_path, KILLS)
    assert outcome.kills == expected_kills(KILLS)
    assert [len(ids) for ids in outcome.ids_of_mails] == [1] * KILLS
    assert outcome.arrivals == KILLS + outcome.kills["250"]
    record_property(FIGURES, f"{KILLS} APIs killed: {outcome.arrivals} arrivals of {KILLS} mails, none lost")
