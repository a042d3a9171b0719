"""Tests that the limits in README.md are those of the code."""

from __future__ import annotations

from shared.domain.listings import MAX_CONTENT_LENGTH
from shared.domain.messages import MAX_TEXT_LENGTH
from shared.domain.pictures import MAX_PICTURES
from shared.domain.replies import MAX_REPLY_LENGTH
from shared.settings import Settings
from tests.support.processes import CHECKOUT


def test_the_readme_has_the_limits_of_peoples_input() -> None:
    text = " ".join((CHECKOUT / "README.md").read_text(encoding="utf-8").split())
    assert f"A message has at most {MAX_TEXT_LENGTH:,} characters, a reply {MAX_REPLY_LENGTH}" in text
    mebibytes = Settings(jwt_secret="x" * 32).max_picture_bytes // 2**20
    assert f"text {MAX_CONTENT_LENGTH:,}; a listing has at most {MAX_PICTURES} pictures of {mebibytes} MiB" in text
