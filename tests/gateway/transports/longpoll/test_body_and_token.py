"""What a POST's body holds, and the session's token."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.messages import BadFrame
from gateway.transports.longpoll_body import NDJSON, ClientFrame, frames_of
from gateway.transports.longpoll_token import SessionReference, SessionTokens, new_session_id

SECRET = "a-secret-of-the-tests-a-secret-of-the-tests"


@pytest.mark.parametrize(
    ("content_type", "body", "frames"),
    [
        (NDJSON, b"[1]", [ClientFrame(b"[1]")]),
        (NDJSON, b"[1]\n[2]", [ClientFrame(b"[1]"), ClientFrame(b"[2]")]),
        (NDJSON, b"[1]\r\n[2]\r\n", [ClientFrame(b"[1]"), ClientFrame(b"[2]")]),
        (NDJSON, b"\n\n[1]\n\n", [ClientFrame(b"[1]")]),
        (NDJSON, b"", []),
        (NDJSON, b'{"topic":1}', [ClientFrame(b'{"topic":1}')]),
        (NDJSON, b"AAEC\n[1]", [ClientFrame(b"AAEC", is_binary=True), ClientFrame(b"[1]")]),
        ("application/json", b"[1]\n[2]", [ClientFrame(b"[1]\n[2]")]),
        ("text/plain", b"AAEC", [ClientFrame(b"AAEC")]),
        ("application/octet-stream", b"", [ClientFrame(b"")]),
    ],
)
def test_a_body_is_frames_by_its_content_type(content_type: str, body: bytes, frames: list[ClientFrame]) -> None:
    assert frames_of(content_type, body) == frames


@given(st.binary())
def test_any_line_is_either_base64_or_a_bad_frame(data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        assert isinstance(ClientFrame(data, is_binary=True).binary(), bytes)


def test_a_token_names_its_session_and_its_node() -> None:
    tokens = SessionTokens(SECRET)
    reference = SessionReference("node", new_session_id())
    assert tokens.read(tokens.issue(reference)) == reference
    assert SessionTokens(SECRET).read(tokens.issue(reference)) == reference


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "ä.b.c", "a" * 10_000, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
)
def test_what_is_no_session_token_names_none(token: str) -> None:
    assert SessionTokens(SECRET).read(token) is None


def test_a_token_changed_or_signed_with_another_secret_names_none() -> None:
    tokens = SessionTokens(SECRET)
    token = tokens.issue(SessionReference("node", "session"))
    assert tokens.read(token.replace("session", "another")) is None
    assert tokens.read(token.replace("node", "edon")) is None
    assert tokens.read(token[:-1]) is None
    assert SessionTokens(SECRET[::-1]).read(token) is None


def test_long_polling_without_a_secret_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="secret"):
        SessionTokens("")
