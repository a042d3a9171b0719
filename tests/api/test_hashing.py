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


async def test_many_guesses_at_one_account_leave_a_thread_to_other_people() -> None:
    passwords = Passwords(Settings(password_workers=2))
    known = await passwords.hash("correct horse")
    done: list[str] = []

    async def verify(password: str, turn: str) -> None:
        await passwords.verify(known, password, turn=turn)
        done.append(turn)

    try:
        guesses = [asyncio.create_task(verify("wrong horse", "ann")) for _ in range(8)]
        await asyncio.gather(asyncio.create_task(verify("correct horse", "bob")), *guesses)
        assert done.index("bob") <= 2
        assert not passwords._turns
    finally:
        passwords.close()
