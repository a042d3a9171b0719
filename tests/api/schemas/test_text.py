"""Text that people type is kept composed and without blanks at its ends; its length counts as it is kept."""

from __future__ import annotations

import time

import pytest
from marshmallow import ValidationError

from api.schemas.fields import Text


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Toyota\t", "Toyota"),
        ("\u3000Camry\u00a0\n", "Camry"),
        ("Citroe\u0308n", "Citro\u00ebn"),
        ("two  blanks\nto stay", "two  blanks\nto stay"),
        ("H₂O", "H₂O"),
        ("  " + "x" * 20 + " " * 30, "x" * 20),
    ],
)
def test_text_is_kept_composed_and_without_blanks_at_its_ends(typed: str, kept: str) -> None:
    assert Text(longest=20).deserialize(typed) == kept


@pytest.mark.parametrize("typed", ["", "   ", "\u200b", "x" * 21, "\u0958" * 11])
def test_text_that_is_blank_or_too_long_when_it_is_kept_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        Text(longest=20).deserialize(typed)


def test_long_text_is_refused_before_it_is_composed() -> None:
    started = time.process_time()
    with pytest.raises(ValidationError):
        Text(longest=5000).deserialize("a" + "\u0301\u0323" * 30_000)
    assert time.process_time() - started < 0.5
