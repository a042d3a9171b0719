"""Which spellings are one e-mail address, and how it is kept and sent to."""

from __future__ import annotations

import pytest

from shared.domain.email_addresses import InvalidAddress, account_of, deliverable, kept

ONE = ["ann@xn--mnchen-3ya.de", "Ann@M\u00fcnchen.de", " ann@mu\u0308nchen.de\n", "ANN@m\u00fcnchen\uff0ede"]
APART = ["ann@fass.de", "ann@fa\u00df.de", "ann+cars@fass.de", "a.nn@fass.de", "an\u00f1@fass.de"]


def test_spellings_of_one_address_are_one_account() -> None:
    assert {account_of(spelling) for spelling in ONE} == {"ann@xn--mnchen-3ya.de"}
    assert {kept(spelling) for spelling in ONE[1:]} == {
        "Ann@m\u00fcnchen.de",
        "ann@m\u00fcnchen.de",
        "ANN@m\u00fcnchen.de",
    }
    assert kept(f" {ONE[0]}") == ONE[0]
    assert {deliverable(spelling).lower() for spelling in ONE} == {"ann@xn--mnchen-3ya.de"}


def test_different_addresses_are_different_accounts() -> None:
    assert len({account_of(one) for one in APART}) == len(APART)


@pytest.mark.parametrize(
    "text", ["", "ann", "ann\u200b@fass.de", "ann@fass.de\x00", "x" * 300 + "@fass.de", "a@b\ud800.de"]
)
def test_other_text_is_no_address_but_can_be_looked_up(text: str) -> None:
    with pytest.raises(InvalidAddress):
        kept(text)
    assert account_of(text.upper()) == account_of(text)
    assert deliverable(text) == text
