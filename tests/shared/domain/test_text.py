"""Tests which texts are blank, because they contain no visible character."""

from __future__ import annotations

import unicodedata

import pytest

from shared.domain.text import in_words, is_blank, text_fault

INVISIBLE = {
    "nothing": "",
    "space": " ",
    "line ends": "\r\n\t\v\f\x1c\x85",
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
    "line and paragraph separators": "\u2028\u2029",
    "zero width space": "\u200b",
    "joiners alone": "\u200c\u200d",
    "marks of direction": "\u200e\u200f\u061c",
    "bidi controls": "\u202a\u202b\u202d\u202e\u202c\u2066\u2067\u2068\u2069",
    "word joiner": "\u2060",
    "invisible operators": "\u2061\u2062\u2063\u2064",
    "deprecated controls": "\u206a\u206f",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "mongolian vowel separator": "\u180e",
    "mongolian variation selectors": "\u180b\u180c\u180d\u180f",
    "braille blank": "\u2800",
    "hangul fillers": "\u3164\uffa0\u115f\u1160",
    "khmer inherent vowels": "\u17b4\u17b5",
    "variation selectors": "\ufe00\ufe0f\U000e0100\U000e01ef",
    "tags": "\U000e0001\U000e0020\U000e007f",
    "annotation marks": "\ufff9\ufffa\ufffb",
    "musical controls": "\U0001d159\U0001d173\U0001d17a",
    "shorthand controls": "\U0001bca0\U0001bca3",
    "egyptian blanks": "\U00013441\U00013442",
    "the place of an object": "\ufffc",
    "what is no character": "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff",
    "control characters": "\x01\x08\x1b\x7f\x80\x9f",
    "combining marks on nothing": "\u0301\u20e3",
    "all kinds among spaces": " \u200b\u2800 \u00ad\n\u3164\u2060\ufeff\u180e\ufe0f\u202e ",
}
VISIBLE = [
    "a", ".", "0", "?", "\u00e9", "e\u0301", "\u200ba", "a\u200b", "\U0001f44d", "\u2764\ufe0f", "1\ufe0f\u20e3",
    "\U0001f468\u200d\U0001f469", "\u05d0", "\u202eabc", "\u0915\u094d", "\u4e2d", "\u2801", "\u1100", "\u0600",
    "\U0001f1e9\U0001f1ea", "\ufffd", "\u0903",
]  # fmt: skip


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE.keys())
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)
    assert text_fault(text, 1000) == "Must not be blank."


@pytest.mark.parametrize("text", VISIBLE)
def test_visible_text_is_not_blank(text: str) -> None:
    assert not is_blank(text)
    assert text_fault(text, 1000) is None


def test_every_letter_and_digit_except_the_fillers_is_visible() -> None:
    letters = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point))[0] in "LNP"]
    fillers = set("\u115f\u1160\u3164\uffa0\U00013441\U00013442")
    assert {letter for letter in letters if is_blank(letter)} <= fillers


def test_numbers_up_to_twelve_are_words_and_others_are_digits() -> None:
    assert [in_words(number) for number in (0, 1, 10, 12, 13, 1000)] == ["no", "one", "ten", "twelve", "13", "1,000"]
