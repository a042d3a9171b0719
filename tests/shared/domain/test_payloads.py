"""Tests how payloads of private chat are checked and parsed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import MAX_ID, parse_id
from shared.domain.messages import InvalidMessage, UnknownRecipient
from shared.domain.payloads import read
from shared.private_chat import EVENTS, Read, Send

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_a_message_is_parsed() -> None:
    payload = {"to": "12", "message": " Hey ", "listing_id": 3, "client_ref": "x", "other": [1]}
    assert read(Send, payload) == Send(to=12, message=" Hey ", listing_id=3, client_ref="x")
    longest = {"to": MAX_ID, "message": "x" * 4000, "listing_id": None}
    assert read(Send, longest) == Send(to=MAX_ID, message="x" * 4000)


@pytest.mark.parametrize(
    "to",
    ["x", "", "0", "-1", "1.0", "01", " 1", "1 ", "+1", "1_0", "1e2", "\u0661", "\uff17", 0, -1, True, 2**63, [], {},
     0.0, -1.0, 38.5, float("nan"), float("inf"), float("-inf"), 2.0**53, 1e300],
)  # fmt: skip
def test_a_malformed_recipient_is_unknown(to: Any) -> None:
    with pytest.raises(UnknownRecipient):
        read(Send, {"to": to, "message": "x"})


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({}, {"to", "message"}),
        ({"to": 1}, {"message"}),
        ({"to": None, "message": "x"}, {"to"}),
        ({"to": 1, "message": ""}, {"message"}),
        ({"to": 1, "message": "\u3000\n"}, {"message"}),
        ({"to": 1, "message": "x" * 4001}, {"message"}),
        ({"to": 1, "message": "\x00"}, {"message"}),
        ({"to": 1, "message": "\ud800"}, {"message"}),
        ({"to": 1, "message": ["x"]}, {"message"}),
        ({"to": 1, "message": "x", "listing_id": 0}, {"listing_id"}),
        ({"to": 1, "message": "x", "client_ref": ""}, {"client_ref"}),
        ({"to": 1, "message": "x", "client_ref": 1}, {"client_ref"}),
        ({"to": 1, "message": 1, "client_ref": 1, "listing_id": 1.5}, {"message", "client_ref", "listing_id"}),
        ([], {"payload"}),
        (None, {"payload"}),
    ],
)
def test_every_wrong_field_is_named(payload: Any, fields: set[str]) -> None:
    with pytest.raises(InvalidMessage) as caught:
        read(Send, payload)
    assert set(caught.value.errors) == fields


@given(
    anything
    | st.fixed_dictionaries(
        {}, optional={"to": anything, "message": anything, "listing_id": anything, "client_ref": anything}
    )
)
def test_any_payload_is_parsed_or_refused(payload: Any) -> None:
    for kind in EVENTS.values():
        with suppress(InvalidMessage, UnknownRecipient):
            assert read(kind, payload)


@given(st.integers(1, 2**53 - 1))
def test_a_double_without_a_fraction_is_an_id(number: int) -> None:
    assert parse_id(float(number)) == number


def test_every_id_of_a_message_may_be_a_double() -> None:
    assert read(Send, {"to": 2.0, "message": "x", "listing_id": 1e2}) == Send(to=2, message="x", listing_id=100)
    new = read(Send, {"to": 2.0, "message": "x", "listing_id": 3.0})
    assert (type(new.to), type(new.listing_id)) == (int, int)
    assert read(Read, {"with": 2.0, "up_to": 38.0}) == Read(with_=2, up_to=38)


@given(st.integers(1, MAX_ID))
def test_an_id_may_be_a_string_of_digits(number: int) -> None:
    assert parse_id(number) == parse_id(str(number)) == number


def test_a_read_event_is_parsed() -> None:
    assert read(Read, {"with": "12", "up_to": 5}) == Read(with_=12, up_to=5)
    with pytest.raises(UnknownRecipient):
        read(Read, {"with": "x", "up_to": 5})
    with pytest.raises(InvalidMessage):
        read(Read, {"with": 1, "up_to": "x"})
