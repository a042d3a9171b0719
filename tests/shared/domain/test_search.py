"""Tests how the text of a search becomes tiers of tsqueries, with completions and corrections of words."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from shared.domain.search import COMMON, Asked, KnownWord, correction, edits
from shared.makes import NAMES


def required(typed: str) -> list[str]:
    return [term.spelling for term in Asked.of(typed, NAMES).required]


def words_of(query: str) -> set[str]:
    """The lexemes of a tsquery."""
    return set(re.findall(r"'((?:[^']|'')*)'", query))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Toyota CAMRY", ["toyota", "camry"]),
        ("f-150", ["f150"]),
        ("(f-150), red!", ["f150", "red"]),
        ("a car with a sunroof", ["car", "sunroof"]),
        ("with the", ["the"]),
        ("Ford A", ["ford", "a"]),
        ("A 4", ["a", "4"]),
        ("a class", ["a", "class"]),
        ("camry camry", ["camry"]),
        ("!!! -- '", ["!!!", "--", "'"]),
        ("red !!!", ["red"]),
        ("x" * 41, ["x" * 40]),
        ("été", ["ete"]),
    ],
)
def test_the_text_of_a_search_is_split_into_terms_without_fillers(typed: str, expected: list[str]) -> None:
    assert required(typed) == expected


def test_only_the_first_words_are_searched() -> None:
    assert len(required(" ".join(f"word{n}" for n in range(99)))) == 24


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("camry", "camry", 0), ("toyta", "toyota", 1), ("carmy", "camry", 1), ("cmary", "camry", 1), ("abc", "xyz", 3)],
)
def test_the_distance_counts_added_removed_replaced_and_swapped_letters(first: str, second: str, distance: int) -> None:
    assert edits(first, second, 2) == distance
    assert edits(second, first, 2) == distance


def test_a_misspelled_word_is_corrected_by_the_nearest_word_of_the_most_sellers() -> None:
    near = [KnownWord("toyota", COMMON), KnownWord("toytas", 1), KnownWord("tacoma", COMMON)]
    assert correction("toyta", near) == "toyota"
    assert correction("toyotta", near) == "toyota"
    assert correction("tyoa", near) is None
    assert correction("gulf", [KnownWord("golf", 2), KnownWord("gulp", 3)]) == "gulp"


def test_only_common_words_correct_a_word_that_exists() -> None:
    near = [KnownWord("gold", COMMON), KnownWord("wolf", 1)]
    assert correction("golf", near, least_uses=COMMON) == "gold"
    assert correction("golf", near[1:], least_uses=COMMON) is None


@pytest.mark.parametrize("spelling", ["x5", "m3", "150", "ab"])
def test_numbers_and_models_are_not_corrected(spelling: str) -> None:
    assert correction(spelling, [KnownWord("x3", COMMON), KnownWord("m5", COMMON), KnownWord("155", COMMON)]) is None


def test_the_last_three_words_that_are_neither_common_nor_names_are_corrected() -> None:
    asked = Asked.of("alpha beta toyo gamma golf x5 42 theta at the", NAMES)
    known = [("beta", KnownWord("beta", 1)), ("toyo", KnownWord("toyota", COMMON))]
    assert asked.knowing(known).words_to_correct() == ["gamma", "theta", "the"]
    assert Asked.of("mini", NAMES).words_to_correct() == []


def test_the_corrected_text_has_the_corrections_in_it() -> None:
    asked = Asked.of("Blue TOYTA, f-150", NAMES).corrected([("toyta", KnownWord("toyota", 9))], has_results=False)
    assert asked is not None
    assert asked.corrected_text == "Blue toyota f-150"
    assert Asked.of("toyta", NAMES).corrected([("toyta", KnownWord("tram", 9))], has_results=False) is None


def test_the_tiers_are_the_title_then_exact_words_then_plurals_then_unfinished_words() -> None:
    tiers = Asked.of("blue wagon", NAMES).tiers()
    assert [tier.rank for tier in tiers] == [0, 1, 2, 3, 4, 5, 6]
    assert tiers[0].query == "'title=blue wagon'"
    assert words_of(tiers[1].matches) == {"^blue", "+blue", "^wagon", "+wagon", "^bluewagon", "+bluewagon"}
    assert words_of(tiers[2].matches) >= {"blue", "wagon", "bluewagon"}
    assert "^wagons" in words_of(tiers[3].matches) - words_of(tiers[2].matches)
    assert "'wagon':*" in tiers[6].matches
    assert "'blue':*" not in tiers[6].matches
    for before, tier in pairwise(tiers):
        assert f"!({before.matches})" in tier.query


def test_a_tier_that_can_have_no_listing_is_left_out() -> None:
    assert [tier.rank for tier in Asked.of("911", NAMES).tiers()] == [0, 1, 2]
    assert [tier.rank for tier in Asked.of("f150", NAMES).tiers()] == [0, 1, 2, 3, 4, 5, 6]
    assert [tier.rank for tier in Asked.of("トヨタ", NAMES).tiers()] == [0, 1, 2]


def test_the_last_word_may_be_incomplete_unless_it_is_a_number() -> None:
    assert "'sunr':*" in Asked.of("leather sunr", NAMES).matches()
    assert ":*" not in Asked.of("camry 201", NAMES).matches()
    asked = Asked.of("toyo ca", NAMES)
    assert asked.words == ["toyo"]
    assert "^toyota" in words_of(asked.knowing([("toyo", KnownWord("toyota", 2))]).matches())


def test_the_vocabulary_does_not_decide_whether_the_last_word_may_be_incomplete() -> None:
    asked = Asked.of("secr", NAMES)
    for known in ([], [("secr", KnownWord("secret", 2))], [("secr", KnownWord("secr", COMMON))]):
        assert asked.knowing(known).matches() == asked.matches()


def test_quotes_of_what_was_typed_stay_data() -> None:
    assert words_of(Asked.of("' | & ! ( :* \\", NAMES).titled().query) == {"title='' | & ! ( :* \\\\"}


def test_a_word_that_begins_with_an_unfinished_one_is_not_asked_for_twice() -> None:
    [match] = Asked.of("wagon", NAMES).must()
    assert match.begins
    assert words_of(match.query) == {"^wagon", "+wagon", "wagon"}
    assert match.query.count("'wagon'") == match.query.count("'wagon':*") == 1
