"""Tests that SECURITY.md names settings that exist, and every limit that has a rate."""

from __future__ import annotations

import re
from dataclasses import fields

from shared.settings import Settings
from tests.support.processes import CHECKOUT

NAMES = {field.name.upper() for field in fields(Settings)}
RATE = re.compile(r"_PER_(\w+_)?(SECOND|MINUTE)$")


def named() -> set[str]:
    limits = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8").partition("## Limits")[2]
    return set(re.findall(r"`([A-Z_]+)`", limits))


def test_every_limit_in_the_table_is_a_setting() -> None:
    assert len(named()) > 30
    assert named() <= NAMES


def test_every_rate_and_every_bound_by_user_is_in_the_table() -> None:
    assert {name for name in NAMES if RATE.search(name) or name.endswith("_PER_USER")} <= named()
