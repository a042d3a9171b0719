"""A seal shows that a text comes from this service and is meant for this place, whatever text and place are."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.seal import NotSealed, Seal
from shared.access.secret import keys_for
from shared.settings import Settings

OLD, NEW = b"o" * 32, b"n" * 32
PLACES = st.text()


@given(PLACES, st.binary())
def test_a_sealed_text_is_opened_at_its_place(place: str, text: bytes) -> None:
    seal = Seal([NEW])
    assert seal.opened(place, seal.sealed(place, text)) == text


@given(PLACES, st.binary(), PLACES)
def test_a_sealed_text_fits_no_other_place(place: str, text: bytes, other: str) -> None:
    seal = Seal([NEW])
    sealed = seal.sealed(place, text)
    if other != place:
        with pytest.raises(NotSealed):
            seal.opened(other, sealed)


def test_no_end_of_a_place_can_become_the_beginning_of_a_text() -> None:
    seal = Seal([NEW])
    sealed = seal.sealed("room:1", b"text")
    for place, text in (("room:", b"1text"), ("room:1t", b"ext"), ("", b"room:1text"), ("6:room:1", b"text")):
        with pytest.raises(NotSealed):
            seal.opened(place, text + sealed[len(b"text") :])


def test_while_a_secret_is_replaced_both_are_accepted_and_the_first_seals() -> None:
    before, during, after = Seal([OLD]), Seal([NEW, OLD]), Seal([NEW])
    assert during.opened("p", before.sealed("p", b"x")) == b"x"
    assert after.opened("p", during.sealed("p", b"x")) == b"x"
    with pytest.raises(NotSealed):
        after.opened("p", before.sealed("p", b"x"))


def test_a_node_with_the_old_secret_first_and_one_with_the_new_first_understand_each_other() -> None:
    old, new = "o" * 32, "n" * 32
    late, early = (Seal.of(Settings(jwt_secrets=both), "messages") for both in ((old, new), (new, old)))
    assert late.opened("p", early.sealed("p", b"x")) == early.opened("p", late.sealed("p", b"x")) == b"x"
    assert early.sealed("p", b"x") == Seal.of(Settings(jwt_secrets=(new,)), "messages").sealed("p", b"x")
    for unaware in (Seal.of(Settings(jwt_secrets=(old,)), "messages"), Seal.of(Settings(), "messages")):
        with pytest.raises(NotSealed):
            unaware.opened("p", early.sealed("p", b"x"))


def test_each_purpose_and_each_secret_has_its_own_key() -> None:
    settings, others = Settings(jwt_secrets=("s" * 32,)), Settings(jwt_secrets=("t" * 32,))
    keys = [keys_for(one.jwt_secrets, purpose)[0] for one in (settings, others) for purpose in ("presence", "messages")]
    assert len({*keys}) == 4
    assert keys_for(settings.jwt_secrets, "presence")[0] == keys[0]
    assert all(len(key) == 32 for key in keys)


def test_without_a_secret_no_key_can_be_guessed() -> None:
    own = Seal(keys_for((), "p"))
    assert Seal(keys_for((), "p")).opened("x", own.sealed("x", b"t")) == b"t"
    for guess in (b"", b"\0" * 32):
        derived = hmac.digest(guess, b"daveslist p", "sha256")
        with pytest.raises(NotSealed):
            own.opened("x", Seal([derived]).sealed("x", b"t"))
