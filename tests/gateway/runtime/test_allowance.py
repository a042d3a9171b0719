"""On all connections together, a user may send a burst, and after it a certain number of bytes a second."""

from __future__ import annotations

import pytest

from gateway.runtime.allowance import Allowances
from shared.settings import Settings

SETTINGS = Settings(frames_per_second=10.0, bytes_per_second=1000, traffic_burst_seconds=2.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_may_come_at_once_and_then_so_much_a_second(clock: Clock) -> None:
    allowance = Allowances(SETTINGS, clock).of(1)
    assert (allowance.left, allowance.per_frame) == (2000.0, 100.0)
    allowance.left -= 2500
    assert allowance.seconds() == pytest.approx(0.5)
    clock.now += 0.5
    assert allowance.seconds() == 0.0
    clock.now += 60.0
    allowance.seconds()
    assert allowance.left == 2000.0


def test_a_long_debt_is_waited_for_in_short_parts(clock: Clock) -> None:
    allowance = Allowances(SETTINGS, clock).of(1)
    allowance.left -= 1_000_000
    assert allowance.seconds() == 1.0


def test_a_user_who_reconnects_has_no_more_than_before(clock: Clock) -> None:
    allowances = Allowances(SETTINGS, clock)
    allowances.of(1).left -= 5000
    assert allowances.of(1).left == -3000.0
    assert allowances.of(2).left == 2000.0


def test_the_users_who_have_spent_something_are_remembered_and_the_others_forgotten(clock: Clock) -> None:
    allowances = Allowances(SETTINGS, clock)
    for user_id in range(10_000):
        allowances.of(user_id).left -= 5000 if user_id % 100 == 0 else 0
    assert len(allowances) <= 2000
    assert allowances.of(0).left == -3000.0


def test_the_allowance_of_an_open_connection_is_that_of_all_further_ones(clock: Clock) -> None:
    allowances = Allowances(SETTINGS, clock)
    held = allowances.of(1)
    held.connections += 1
    for user_id in range(2, 1000):
        allowances.of(user_id)
    assert allowances.of(1) is held
    held.connections -= 1
    for user_id in range(1000, 2000):
        allowances.of(user_id)
    assert len(allowances) < 10
