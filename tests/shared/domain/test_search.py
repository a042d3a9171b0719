"""Tests how the text of a search becomes a tsquery, with completions and corrections of words."""

from __future__ import annotations

import pytest

from shared.domain.search import COMMON, KnownWord, Term, corrections, edits, joined, terms, tsquery, words_to_correct


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("toyota camry", [Term("toyota"), Term("camry")]),
        ("f-150", [Term("f150", ("f", "150"))]),
        ("(f-150), red!", [Term("f150", ("f", "150")), Term("red")]),
        ("a car with a sunroof", [Term("car"), Term("sunroof")]),
        ("with the", [Term("with"), Term("the")]),
        ("camry camry", [Term("camry")]),
        ("!!! -- '", []),
        ("x" * 41, []),
        ("été", [Term("été")]),
    ],
)
def test_the_text_of_a_search_is_split_into_terms(typed: str, expected: list[Term]) -> None:
    assert terms(typed) == expected


def test_only_the_first_twelve_words_are_searched() -> None:
    assert len(terms(" ".join(f"word{n}" for n in range(50)))) == 12


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("camry", "camry", 0), ("toyta", "toyota", 1), ("carmy", "camry", 1), ("cmary", "camry", 1), ("abc", "xyz", 3)],
)
def test_the_distance_counts_added_removed_replaced_and_swapped_letters(first: str, second: str, distance: int) -> None:
    assert edits(first, second, 2) == distance
    assert edits(second, first, 2) == distance


def test_a_misspelled_word_is_corrected_by_the_nearest_words() -> None:
    near = [KnownWord("toyota", COMMON), KnownWord("toytas", 1), KnownWord("tacoma", COMMON)]
    assert corrections("toyta", near) == ["toyota"]
    assert corrections("toyotta", near) == ["toyota"]
    assert corrections("tyoa", near) == []


def test_a_rare_word_is_corrected_by_common_words_and_a_common_word_is_not() -> None:
    near = [KnownWord("gold", COMMON), KnownWord("wolf", 1)]
    assert corrections("golf", near, uses=COMMON) == []
    assert corrections("golf", near, uses=1) == ["gold"]


@pytest.mark.parametrize("spelling", ["x5", "m3", "150", "ab"])
def test_numbers_and_models_are_not_corrected(spelling: str) -> None:
    assert corrections(spelling, [KnownWord("x3", COMMON), KnownWord("m5", COMMON), KnownWord("155", COMMON)]) == []


def test_every_word_must_match_in_one_of_its_variants() -> None:
    known = [
        ("toyta", KnownWord("toyota", COMMON)),
        ("cam", KnownWord("camry", COMMON)),
        ("cam", KnownWord("camaro", 2)),
    ]
    assert tsquery(terms("toyta cam"), known) == "('toyta' | 'toyota') & ('cam':*)"
    assert tsquery(terms("f-150"), []) == "('f150':* | ('f' & '150'))"


def test_the_last_word_may_be_incomplete_unless_it_is_a_number() -> None:
    assert tsquery(terms("leather sunr"), []) == "('leather') & ('sunr':*)"
    assert tsquery(terms("camry 201"), []) == "('camry') & ('201')"
    assert tsquery(terms("toyo ca"), [("toyo", KnownWord("toyota", 2))]) == "('toyo' | 'toyota') & ('ca')"


def test_the_vocabulary_does_not_decide_whether_the_last_word_may_be_incomplete() -> None:
    for known in ([], [("secr", KnownWord("secret", 2))], [("secr", KnownWord("secr", COMMON))]):
        assert tsquery(terms("secr"), known) == "('secr':*)"


def test_the_last_three_words_that_are_not_common_are_corrected() -> None:
    typed = terms("alpha beta toyo gamma x5 42 delta at")
    known = [("beta", KnownWord("beta", 1)), ("toyo", KnownWord("toyota", COMMON))]
    assert words_to_correct(typed, known) == ["beta", "gamma", "delta"]
    assert words_to_correct(terms("toyota"), [("toyota", KnownWord("toyota", COMMON))]) == []


def test_a_name_and_its_number_also_match_as_one_known_word() -> None:
    given = terms("mazda 3 2016")
    assert joined(given) == ["mazda3"]
    assert tsquery(given, [("mazda3", KnownWord("mazda3", 1))]) == "(('mazda') & ('3') | 'mazda3') & ('2016')"
    assert tsquery(given, [("mazda3", KnownWord("mazda323", 1))]) == "('mazda') & ('3') & ('2016')"


def test_the_beginning_of_a_common_word_is_not_corrected() -> None:
    camry, camaro, ram = KnownWord("camry", COMMON), KnownWord("camaro", 1), KnownWord("ram", COMMON)
    assert tsquery(terms("cam"), [("cam", ram), ("cam", camry)]) == "('cam':*)"
    assert tsquery(terms("cam"), [("cam", ram), ("cam", camaro)]) == "('cam':* | 'ram')"
