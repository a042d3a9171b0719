"""Tests that README.md, the private chat client and the page have the limits of the code."""

from __future__ import annotations

import re

from api.pagination import MAX_LIMIT
from shared.domain.listings import MAX_CONTENT_LENGTH
from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH
from shared.domain.pictures import MAX_PICTURES
from shared.domain.replies import MAX_REPLY_LENGTH
from shared.settings import Settings
from tests.support.processes import CHECKOUT
from tests.support.secret import JWT_SECRET


def test_the_readme_has_the_limits_of_the_code() -> None:
    text = " ".join((CHECKOUT / "README.md").read_text(encoding="utf-8").split())
    assert f"A message has at most {MAX_TEXT_LENGTH:,} characters, a reply {MAX_REPLY_LENGTH}" in text
    settings = Settings(jwt_secrets=(JWT_SECRET,))
    mebibytes = settings.max_picture_bytes // 2**20
    assert f"text {MAX_CONTENT_LENGTH:,}; a listing has at most {MAX_PICTURES} pictures of {mebibytes} MiB" in text
    assert f"a long-poll body have at most {settings.max_message_bytes // 2**20} MiB each" in text
    assert f"a JSON body of REST {settings.max_body_bytes // 2**10} KiB" in text
    assert f"a connection joins at most {settings.max_channels_per_connection} topics" in text


def test_the_client_has_the_limits_of_the_server() -> None:
    """The client has its own copy of the limits, because other people copy the client."""
    client = CHECKOUT / "clients" / "javascript" / "private_chat"
    text = (client / "sendable.js").read_text(encoding="utf-8")
    numbers = {name: _int(number) for name, number in re.findall(r"const (MAX_\w+) = ([\d_]+)", text)}
    assert numbers == {"MAX_TEXT_LENGTH": MAX_TEXT_LENGTH, "MAX_CLIENT_REF_LENGTH": MAX_CLIENT_REF_LENGTH}
    [asked] = re.findall(r"limit: (\d+)", (client / "by_rest.js").read_text(encoding="utf-8"))
    assert int(asked) == MAX_LIMIT


def test_the_page_has_no_limit_in_its_code() -> None:
    """The page reads its limits from the OpenAPI document (api/web/limits.js)."""
    modules = [path for path in (CHECKOUT / "api" / "web").rglob("*.js") if "vendor" not in path.parts]
    lines = [line for path in modules for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if re.search(r"length[=:]\s*[\"']?\d", line)] == []
    limits = {MAX_TEXT_LENGTH, MAX_REPLY_LENGTH, MAX_CONTENT_LENGTH, MAX_PICTURES, MAX_LIMIT}
    durations = re.compile("_MS|setTimeout")
    numbers = re.compile(r"(?<![\w.#-])\d[\d_]*(?![\w.])")
    assert [
        line for line in lines if not durations.search(line) and limits & set(map(_int, numbers.findall(line)))
    ] == []


def _int(digits: str) -> int:
    return int(digits.replace("_", ""))
