"""Names have one spelling and nothing invisible, and nobody passes for the staff by letters that look alike."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import INVISIBLE, MIXED, name_fault, skeleton, sounds_like_staff, tidied

STAFF = [
    "Adm1n",
    "|admin|",
    "Pat (admin)",
    "Support",
    "Supp0rt Team",
    "Daveslist",
    "Dave's List",
    "D a v e s l i s t",
    "Daveslist Support",
    "moderator_7",
    "M0derat0r",
    "rnoderator",
    "AdminTeam",
    "Staff",
    "Customer-Support",
    "Administr\u00e1tor",
    "A\u0301dmin",
    "Admin\u0131strator",
    "\uff33\uff55\uff50\uff50\uff4f\uff52\uff54",
    "$upport",
]
ORDINARY = [
    "Admin",
    "ADMIN",
    "admin",
    "Admin1",
    "Admin 7",
    "Moderator",
    "Mod",
    "Ann",
    "Ann Smith",
    "Badminton Bob",
    "Stafford",
    "Modesta",
    "Zo\u00eb O'Neil",
    "Max Admiraal",
    "\u0130pek",
    "user1",
    "\u0418\u0432\u0430\u043d \u041f\u0435\u0442\u0440\u043e\u0432",
    "\u0421\u0430\u0440\u0430",
    "\u039d\u03af\u03ba\u03bf\u03c2",
    "\u0394\u03b7\u03bc\u03ae\u03c4\u03c1\u03b7\u03c2 (Dimitri)",
    "\u5c71\u7530 Taro",
    "\u0645\u062d\u0645\u062f",
    "\u0938\u0941\u0928\u0940\u0924\u093e",
    "\u0110or\u0111e",
    "Dave \U0001f697",
    "Ann \u2764\ufe0f",
    "J. R. R. T.",
]
MIXED_WORDS = [
    "\u0410nn",
    "\u0410dmin",
    "\u0455u\u0440\u0440\u043ert",
    "M\u043eder\u0430tor",
    "\u0391nna Smith",
    "Ann Sm\u0456th",
    "\u0421\u0430ra",
]
INVISIBLES = [
    "a\u200bb",
    "\u202eabc",
    "abc\u202c",
    "a\x07b",
    "a\u00adb",
    "a\u2066b\u2069",
    "\u3164x",
    "a\ue000",
    "a\u200db",
    "\ufeffa",
    "a\u2800b",
    "a\U000e0041b",
    "a\u034fb",
    "a\x7f",
    "a\u061cb",
]


@pytest.mark.parametrize("name", STAFF)
def test_a_name_that_looks_like_one_of_the_staff_is_recognized(name: str) -> None:
    assert sounds_like_staff(tidied(name))


@pytest.mark.parametrize(
    "name", ["\u0410dmin", "\u0455u\u0440\u0440\u043ert", "M\u043eder\u0430tor", "\u0391DM\u0399\u039d"]
)
def test_letters_of_other_alphabets_do_not_hide_such_a_name(name: str) -> None:
    assert sounds_like_staff(name)
    assert name_fault(name) == MIXED


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_of_many_languages_are_accepted(name: str) -> None:
    assert name_fault(tidied(name)) is None
    assert not sounds_like_staff(tidied(name))


@pytest.mark.parametrize("name", MIXED_WORDS)
def test_a_word_of_several_alphabets_is_refused(name: str) -> None:
    assert name_fault(tidied(name)) == MIXED


@pytest.mark.parametrize("name", INVISIBLES)
def test_characters_that_nobody_sees_or_that_turn_the_text_around_are_refused(name: str) -> None:
    assert name_fault(tidied(name)) == INVISIBLE


def test_a_name_is_stored_in_one_spelling() -> None:
    assert tidied("  Ann \u00a0\n  Smith ") == "Ann Smith"
    assert tidied("Zoe\u0308") == tidied("Zo\u00eb") == "Zo\u00eb"
    assert tidied("\uff21nn") == "Ann"
    assert name_fault(tidied("\ufdfa" * 10)) == "Longer than 100 characters."
    assert name_fault(tidied("\u2003")) == "Must not be blank."


@given(st.text(max_size=120))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    name = tidied(text)
    assert tidied(name) == name
    fault = name_fault(name)
    assert isinstance(sounds_like_staff(name), bool)
    assert skeleton(skeleton(name)) == skeleton(name) or not name.isascii()
    if fault is None:
        assert 0 < len(name) <= 100
        assert not any(unicodedata.category(one) in ("Cc", "Cf") for one in name)
