"""What of a search is asked of the index of words, and what of the rows that it finds."""

from __future__ import annotations

from shared.domain.search import Match
from shared.repositories.listing_ways import keys

RED, SUN, MAKE = Match("'red'"), Match("'sun':*", begins=True), Match("'make=audi'")


def test_each_word_is_a_key_of_its_own() -> None:
    assert keys((RED, SUN, MAKE)) == (["'red'", "'sun':*", "'make=audi'"], [])
    assert keys(None) == ([], [])


def test_what_begins_with_something_is_checked_in_rows_that_have_the_rest() -> None:
    assert keys((RED, SUN, MAKE), checks_beginnings=True) == (["'red'", "'make=audi'"], ["'sun':*"])
    assert keys((SUN,), checks_beginnings=True) == (["'sun':*"], [])


def test_listings_of_better_tiers_are_left_out_by_the_index_unless_they_begin_with_something() -> None:
    by_index, checked = keys((RED, MAKE), [(MAKE,), (RED, SUN)])
    assert by_index == ["'red' & !('make=audi')", "'make=audi'"]
    assert checked == ["!('red' & 'sun':*)"]
