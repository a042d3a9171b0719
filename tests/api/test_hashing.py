"""Passwords are hashed on threads of their own, which let requests go first."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from api.passwords import NICENESS, Match, Passwords
from shared.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority")


async def test_hashing_has_a_lower_priority_than_requests() -> None:
    passwords = Passwords(Settings())
    before = os.getpriority(os.PRIO_PROCESS, 0)
    others = {thread.native_id for thread in threading.enumerate()}
    try:
        assert await passwords.verify(await passwords.hash("correct horse"), "correct horse", turn="") is Match.PREPARED
        hashing = [thread for thread in threading.enumerate() if thread.native_id not in others]
        assert hashing
        for thread in hashing:
            assert os.getpriority(os.PRIO_PROCESS, thread.native_id or 0) == min(before + NICENESS, 19)
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
    finally:
        passwords.close()


async def test_many_guesses_at_one_account_leave_a_thread_to_other_people(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def match(password_hash: str, typed: str) -> Match | None:
        if typed == "wrong horse":
            may_end.wait()
            return None
        return Match.PREPARED

    monkeypatch.setattr("api.passwords._match", match)
    passwords = Passwords(Settings(password_workers=2))
    try:
        guesses = [asyncio.create_task(passwords.verify("a hash", "wrong horse", turn="ann")) for _ in range(8)]
        async with asyncio.timeout(30):
            # A task begins after those that were made before it.
            bobs = asyncio.create_task(passwords.verify("a hash", "correct horse", turn="bob"))
            assert await bobs is Match.PREPARED
        assert not any(guess.done() for guess in guesses)
        may_end.set()
        assert await asyncio.gather(*guesses) == [None] * 8
        assert not passwords._turns
    finally:
        may_end.set()
        passwords.close()
