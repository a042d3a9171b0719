"""Tests how the body of a POST is divided into frames, and the token of a session."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.messages import BadFrame
from gateway.transports.longpoll_body import NDJSON, ClientFrame, frames_of
from gateway.transports.longpoll_token import SessionReference, SessionTokens, new_session_id
from tests.support.secret import JWT_SECRET


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
def test_a_body_is_divided_into_frames_by_its_content_type(
    content_type: str, body: bytes, frames: list[ClientFrame]
) -> None:
    assert frames_of(content_type, body) == frames


@given(st.binary())
def test_a_binary_line_is_decoded_or_raises_bad_frame(data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        assert isinstance(ClientFrame(data, is_binary=True).binary(), bytes)


def test_a_token_contains_its_session_and_its_node() -> None:
    tokens = SessionTokens((JWT_SECRET,))
    reference = SessionReference("node", new_session_id())
    assert tokens.read(tokens.issue(reference)) == reference
    assert SessionTokens((JWT_SECRET,)).read(tokens.issue(reference)) == reference


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "ä.b.c", "a" * 10_000, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    assert SessionTokens((JWT_SECRET,)).read(token) is None


def test_a_changed_token_and_a_token_of_another_secret_are_refused() -> None:
    tokens = SessionTokens((JWT_SECRET,))
    token = tokens.issue(SessionReference("node", "session"))
    assert tokens.read(token.replace("session", "another")) is None
    assert tokens.read(token.replace("node", "edon")) is None
    assert tokens.read(token[:-1]) is None
    assert SessionTokens((JWT_SECRET[::-1],)).read(token) is None


def test_a_token_of_a_node_with_the_old_secret_first_is_read_by_one_with_the_new_first() -> None:
    old, new = JWT_SECRET, JWT_SECRET[::-1]
    reference = SessionReference("node", "session")
    late, early = SessionTokens((old, new)), SessionTokens((new, old))
    assert late.read(early.issue(reference)) == early.read(late.issue(reference)) == reference
    assert SessionTokens((old,)).read(early.issue(reference)) is None


def test_long_polling_without_a_secret_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="secret"):
        SessionTokens(())
