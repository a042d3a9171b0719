"""The other number of a word: its plurals if it is a singular, its singulars if it is a plural. Pure.

Nobody says in which language a listing is, so the rules of several languages are applied together. They give some words
that do not exist, which cost little and find nothing. Only endings of numbers are changed: "drive" is not "driver".
Words are folded, as by shared/domain/analysis.py, so they have no accents.
"""

# ruff: noqa: RUF001 (letters of other alphabets are meant)

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class _Rule(NamedTuple):
    """An ending of a singular and that of its plural, after at least `least` letters; only where both words end so."""

    singular: str
    plural: str
    least: int


_RULES = (
    # English, French, Spanish, Portuguese, Dutch, German: trucks, batteries, coches, bateaux, caminhões.
    _Rule("", "s", 2),
    *(_Rule(one, f"{one}es", 1) for one in ("us", "ss", "as", "x", "z", "ch", "sh", "o", "n", "l", "r", "d", "j")),
    *(_Rule(f"{before}y", f"{before}ies", 1) for before in "bcdfghjklmnprstvz"),
    *(_Rule(f"{before}f", f"{before}ves", 2) for before in "lar"),
    _Rule("fe", "ves", 2),
    _Rule("z", "ces", 2),
    _Rule("al", "aux", 3),
    _Rule("u", "ux", 3),
    _Rule("ao", "oes", 3),
    _Rule("ao", "aes", 2),
    _Rule("m", "ns", 4),
    *(_Rule(f"{before}l", f"{before}is", 4) for before in "aeou"),
    # German, Dutch: Limousinen, Batterien, Sitze, Türen, Winterräder.
    _Rule("e", "en", 4),
    *(_Rule(one, f"{one}e", 2) for one in ("tz", "ck", "ur", "el", "er", "or", "st")),
    *(_Rule(one, f"{one}en", 2) for one in ("tz", "ck", "ur", "el", "er", "or", "st")),
    _Rule("ie", "ien", 3),
    _Rule("ad", "ader", 3),
    # Italian, Polish: macchine, motori, carri, opony.
    *(_Rule(one, other, 4) for one, other in (("a", "e"), ("o", "i"), ("io", "i"), ("e", "i"), ("a", "y"))),
    # Russian, Ukrainian: машины, грузовики, двигатели, колёса.
    *(_Rule(one, f"{one}ы", 2) for one in "бвдзклмнпрстфц"),
    *(_Rule(one, f"{one}и", 2) for one in "гкхжшщч"),
    *(_Rule(one, "ы", 3) for one in "а"),
    *(_Rule(one, "и", 3) for one in "аяь"),
    *(_Rule(one, other, 3) for one, other in (("о", "а"), ("е", "я"))),
    # Greek, Arabic, Hebrew, Hindi.
    *(_Rule(one, other, 3) for one, other in (("ο", "α"), ("οσ", "οι"), ("α", "εσ"), ("η", "εσ"))),
    *(_Rule(one, other, 2) for one, other in (("ه", "ات"), ("ה", "ות"), ("", "ים"))),
    *(_Rule(one, other, 2) for one, other in (("ी", "ियां"), ("ी", "ियाँ"), ("ा", "े"))),
)
_ALPHABETS = (("a", "z"), ("а", "я"), ("א", "ת"), ("α", "ω"), ("ء", "ي"), ("ऀ", "ॿ"))
_NOT_PLURAL = ("ss", "us")
"""Ends of singulars, as of glass and bus."""


@lru_cache(maxsize=4_096)
def other_numbers(word: str) -> tuple[str, ...]:
    """Returns the words that may be the plurals or the singulars of a word, without the word itself."""
    found: list[str] = []
    for rule in _RULES:
        found += _as_plural(word, rule)
        found += _as_singular(word, rule)
    return tuple(one for one in dict.fromkeys(found) if one != word)


def _as_plural(word: str, rule: _Rule) -> list[str]:
    """Returns the singular, if the word may be a plural of this rule."""
    stem = word[: len(word) - len(rule.plural)]
    is_plain = rule.plural == "s"
    if not word.endswith(rule.plural) or len(stem) < rule.least + is_plain or (is_plain and word.endswith(_NOT_PLURAL)):
        return []
    return [stem + rule.singular]


def _as_singular(word: str, rule: _Rule) -> list[str]:
    """Returns the plural, if the word may be a singular of this rule."""
    stem = word[: len(word) - len(rule.singular)]
    has_another = rule.plural == "s" and word.endswith(("s", "x", "z"))
    if not word.endswith(rule.singular) or len(stem) < rule.least or has_another or not _is_of(rule.plural, word):
        return []
    return [stem + rule.plural]


def _is_of(ending: str, word: str) -> bool:
    """True if the last letters of both are of the same alphabet."""
    return any(first <= ending[-1] <= last and first <= word[-1] <= last for first, last in _ALPHABETS)
