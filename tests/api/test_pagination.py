"""Cursors: a position is encoded and decoded without change, and an impossible position is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.pagination import decode_cursor, encode_cursor
from api.problems import Invalid


def test_a_decoded_cursor_is_the_encoded_position() -> None:
    position = (datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC), 2**63 - 1)
    assert decode_cursor(encode_cursor(position), tuple[datetime, int]) == position


@pytest.mark.parametrize(
    ("position", "kind"),
    [
        (("0001-01-01T00:00:00+23:59", 1), tuple[datetime, int]),
        (("9999-12-31T23:59:59-23:59", 1), tuple[datetime, int]),
        (("2026-01-31T23:59:59", 1), tuple[datetime, int]),
        (("2026-01-31T23:59:59Z", 2**63), tuple[datetime, int]),
        (("2026-01-31T23:59:59Z",), tuple[datetime, int]),
        (True, int),
        ("a\x00", str),
    ],
)
def test_a_position_that_no_row_can_have_is_refused(position: Any, kind: Any) -> None:
    with pytest.raises(Invalid):
        decode_cursor(encode_cursor(position), kind)
