"""Tests which versions of the protocol are served, and by which serializer."""

from __future__ import annotations

import pytest

from gateway.protocol.serializer import negotiate

ACCEPTED = {
    None: "1.0.0",
    "1.0.0": "1.0.0",
    "1.0.1": "1.0.0",
    "1.0.99": "1.0.0",
    "2.0.0": "2.0.0",
    "2.0.5": "2.0.0",
    "2.0.123456": "2.0.0",
}
REFUSED = [
    *("", "2", "2.0", "2.0.", "2.0.0.0", "2.1.0", "1.1.0", "0.0.0", "3.0.0", "10.0.0", "abc", "a.b.c", "v2.0.0"),
    *("2.0.0-rc1", "2.0.x", "-2.0.0", "+2.0.0", " 2.0.0", "2.0.0 ", "2.0.0\n", "2..0", "2,0,0"),
    *("02.0.0", "2.00.0", "2.0.01"),
    "\u0662.\u0660.\u0660",  # Arabic digits
    "2.0." + "9" * 5000,
]


@pytest.mark.parametrize(("asked", "spoken"), ACCEPTED.items(), ids=map(str, ACCEPTED))
def test_a_served_version_selects_its_serializer(asked: str | None, spoken: str) -> None:
    serializer = negotiate(asked)
    assert serializer is not None
    assert serializer.vsn == spoken


@pytest.mark.parametrize("asked", REFUSED, ids=lambda asked: repr(asked[:12]))
def test_any_other_version_is_refused(asked: str) -> None:
    assert negotiate(asked) is None
