"""The server isolates people's text in titles as the page's modules do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.pages.isolate import isolated

KNOWN: list[list[str]] = json.loads((Path(__file__).parents[1] / "isolates.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("text", "wanted"), KNOWN)
def test_a_text_that_could_turn_others_round_is_isolated(text: str, wanted: str) -> None:
    assert isolated(text) == wanted
