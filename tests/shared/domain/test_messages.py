"""Tests how payloads of `send` and `read` are checked and parsed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import MAX_ID, parse_id
from shared.domain.messages import InvalidMessage, NewMessage, UnknownRecipient, parse_read, parse_send

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_a_message_is_parsed() -> None:
    payload = {"to": "12", "message": " Hey ", "listing_id": 3, "client_ref": "x", "other": [1]}
    assert parse_send(7, payload) == NewMessage(7, 12, " Hey ", 3, "x")
    assert parse_send(7, {"to": MAX_ID, "message": "x" * 4000, "listing_id": None}) == NewMessage(7, MAX_ID, "x" * 4000)


@pytest.mark.parametrize(
    "to",
    ["x", "", "0", "-1", "1.0", "01", " 1", "1 ", "+1", "1_0", "1e2", "\u0661", "\uff17", 0, -1, True, 2**63, [], {},
     0.0, -1.0, 38.5, float("nan"), float("inf"), float("-inf"), 2.0**53, 1e300],
)  # fmt: skip
def test_a_malformed_recipient_is_unknown(to: Any) -> None:
    with pytest.raises(UnknownRecipient):
        parse_send(7, {"to": to, "message": "x"})


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
        parse_send(7, payload)
    assert set(caught.value.errors) == fields


@given(
    anything
    | st.fixed_dictionaries(
        {}, optional={"to": anything, "message": anything, "listing_id": anything, "client_ref": anything}
    )
)
def test_any_payload_is_parsed_or_refused(payload: Any) -> None:
    for parse in (lambda: parse_send(7, payload), lambda: parse_read(payload)):
        with suppress(InvalidMessage, UnknownRecipient):
            assert parse()


@given(st.integers(1, 2**53 - 1))
def test_a_double_without_a_fraction_is_an_id(number: int) -> None:
    assert parse_id(float(number)) == number


def test_every_id_of_a_message_may_be_a_double() -> None:
    assert parse_send(7, {"to": 2.0, "message": "x", "listing_id": 1e2}) == NewMessage(7, 2, "x", 100)
    new = parse_send(7, {"to": 2.0, "message": "x", "listing_id": 3.0})
    assert (type(new.to_id), type(new.listing_id)) == (int, int)
    assert parse_read({"with": 2.0, "up_to": 38.0}) == (2, 38)


@given(st.integers(1, MAX_ID))
def test_an_id_may_be_a_string_of_digits(number: int) -> None:
    assert parse_id(number) == parse_id(str(number)) == number


def test_a_read_event_is_parsed() -> None:
    assert parse_read({"with": "12", "up_to": 5}) == (12, 5)
    with pytest.raises(UnknownRecipient):
        parse_read({"with": "x", "up_to": 5})
    with pytest.raises(InvalidMessage):
        parse_read({"with": 1, "up_to": "x"})
