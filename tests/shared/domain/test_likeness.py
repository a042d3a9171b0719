"""Texts that spammers reword, and different texts of honest people."""

# ruff: noqa: RUF001 (the letters that look alike are meant)

from __future__ import annotations

import time

import pytest

from shared.domain.likeness import MAX_SKETCH, Sketch, are_alike, looks_of, packed, unpacked
from shared.domain.messages import MAX_TEXT_LENGTH

OFFER = (
    "Hello Anna, I have a unique offer for you. I sell gold watches far below their price, only this week. "
    "Each costs 250 dollars. Write to me and I tell you more about it."
)


def sketch(text: str) -> Sketch:
    return looks_of(text).sketch


@pytest.mark.parametrize(
    "reworded",
    [
        OFFER,
        OFFER.replace("Anna", "Christopher"),
        OFFER.replace("Hello Anna", "Good evening Mr. Peterson"),
        OFFER.replace("Hello Anna, ", ""),
        OFFER.replace("250", "1,299.00").replace("dollars", "€"),
        OFFER.upper(),
        OFFER.replace(". ", "! 🔥🔥 "),
        "⭐️💰 " + OFFER + " 👍👍👍",
        OFFER.translate(str.maketrans("aeocpx", "аеосрх")),
        OFFER.replace("o", "0").replace("e", "3"),
        "\u200b".join(OFFER),
        OFFER.replace("e", "é").replace("a", "ä"),
        OFFER.replace(" ", "   \n"),
        " ".join(reversed(OFFER.split(". "))),
        OFFER.replace("gold watches", "g o l d watches"),
        OFFER.replace("unique", "special").replace("tell you more", "send you more"),
        OFFER + " Bye, Max",
        "".join(chr(0x1D41A + ord(one) - 97) if "a" <= one <= "z" else one for one in OFFER),
        # Letters that nobody sees, and blanks that are none.
        "\u1160\u3164".join(OFFER),
        "\u2800".join(OFFER),
        "\ufffc".join(OFFER),
    ],
)
def test_a_reworded_text_is_nearly_the_same(reworded: str) -> None:
    assert are_alike(sketch(OFFER), sketch(reworded))


HONEST = (
    "Hi, I saw your old Toyota Camry. Has it had an accident, and when was the last service?",
    "Good morning! Could I come and look at the car on Saturday around noon? I live close by.",
    "Would you take 4,500 for it if I pay in cash and pick it up this week?",
    "Is the tow bar removable, and do the winter tyres belong to it?",
    "Hello, I am looking for a car for my daughter, who has just got her licence. Is yours easy to park?",
    "Does the air conditioning work? The pictures show that the display is off.",
    OFFER,
)


@pytest.mark.parametrize("one", HONEST)
def test_different_texts_are_not_nearly_the_same(one: str) -> None:
    assert [other for other in HONEST if are_alike(sketch(one), sketch(other))] == [one]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "👍",
        "?!",
        "4500",
        "Hi",
        "Is it still available?",
        "日本語のメッセージです。まだありますか？",
        "ünïcödé",
        OFFER,
    ],
)
def test_a_sketch_is_stored_as_it_is(text: str) -> None:
    assert unpacked(packed(sketch(text))) == sketch(text)
    assert are_alike(sketch(text), sketch(text))


def test_long_texts_have_short_sketches_that_tell_them_apart() -> None:
    many = [f"{word}{n}x" for n, word in enumerate(OFFER.split() * 20)]
    long = " ".join(many)[:MAX_TEXT_LENGTH]
    assert len(sketch(long)) == MAX_SKETCH
    assert are_alike(sketch(long), sketch("Dear Bob, " + long + " Yours, Max"))
    assert not are_alike(sketch(long), sketch(" ".join(HONEST)))


@pytest.mark.parametrize(
    ("text", "is_short"),
    [
        ("Is it still available?", True),
        ("Hello, is the car still available? What is your lowest price?", True),
        ("👍", True),
        ("Would you take 4,500?", True),
        (OFFER, False),
        ("See cheap-cars.example", False),
        ("Write to me: max@cars.example", False),
        ("Call +1 (555) 123-4567", False),
        ("https://a.example", False),
        ("w\u200bww.cars.example", False),
    ],
)
def test_a_short_question_leads_nobody_away(text: str, is_short: bool) -> None:
    assert looks_of(text).is_short_question is is_short


@pytest.mark.parametrize("sign", ["ﷺ", "㌖", "각", "ΐ", "🏴\u200d", "\u0344", "a "])
def test_no_text_costs_much_more_than_others_of_its_length(sign: str) -> None:
    """A gateway does nothing else meanwhile, and one character can stand for eighteen."""

    def seconds(text: str) -> float:
        began = time.process_time()
        looks_of(text)
        return time.process_time() - began

    plain, strange = (text[:MAX_TEXT_LENGTH] for text in ("Fünf Äpfel und mehr. " * 400, sign * MAX_TEXT_LENGTH))
    assert min(seconds(strange) for _ in range(5)) < 8 * min(seconds(plain) for _ in range(5))
