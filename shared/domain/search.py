"""Turns a buyer's input into a search: completes unfinished words and corrects misspelled ones. Pure.

A listing matches if it has every word, in its own spelling or in one of its variants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_WORDS = 12
MAX_CORRECTED = 3
"""The most words of one search that are corrected: the last ones. Looking for similar words is slow."""
COMMON = 5
"""A word that at least this many sellers use is common, and counts as spelled correctly."""

_WORD = re.compile(r"[^\W_]+")
_COMPOUND = re.compile(r"[^\W_]+(?:[-./'][^\W_]+)+")
_MAX_WORD_LENGTH = 40

_FILLERS = frozenset({
    "a", "an", "and", "are", "at", "by", "for", "from", "i", "in", "is", "it", "my", "of", "on", "or", "the", "to",
    "with",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the input between blanks: `spelling` as one word, and `parts` if it can be several words (`f-150`)."""

    spelling: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownWord:
    """A word of the vocabulary, and the number of sellers who use it."""

    word: str
    uses: int


def terms(folded: str) -> list[Term]:
    """Returns the terms of an input in lower case without accents. Drops fillers like "the" if other terms remain."""
    found: list[Term] = []
    for chunk in folded.split():
        position = 0
        for compound in _COMPOUND.finditer(chunk):
            found += map(Term, _WORD.findall(chunk[position : compound.start()]))
            parts = tuple(_WORD.findall(compound.group()))
            found.append(Term("".join(parts), parts))
            position = compound.end()
        found += map(Term, _WORD.findall(chunk[position:]))
    found = [term for term in dict.fromkeys(found) if len(term.spelling) <= _MAX_WORD_LENGTH]
    return ([term for term in found if term.spelling not in _FILLERS] or found)[:MAX_WORDS]


def joined(typed: Sequence[Term]) -> list[str]:
    """Returns neighbouring terms joined into one word: `mazda 3` can also be `mazda3`."""
    return [one_word for name, number in pairwise(typed) if (one_word := _one_word(name, number))]


def _one_word(name: Term, number: Term) -> str | None:
    if name.spelling.isalpha() and number.spelling.isdigit():
        return name.spelling + number.spelling
    return None


def words_to_correct(typed: Sequence[Term], known: Iterable[tuple[str, KnownWord]]) -> list[str]:
    """Returns the words to correct: the last `MAX_CORRECTED` that neither are nor begin a common word.

    `known` has the words of the vocabulary that each spelling begins.
    """
    common = {spelling for spelling, word in known if word.uses >= COMMON}
    words = [term.spelling for term in typed if term.spelling not in common and _may_be_corrected(term.spelling)]
    return words[-MAX_CORRECTED:]


def _may_be_corrected(spelling: str) -> bool:
    return spelling.isalpha() and len(spelling) >= 3


def tsquery(typed: Sequence[Term], known: Iterable[tuple[str, KnownWord]]) -> str:
    """Returns the search in the notation of Postgres's tsquery.

    `known` pairs each spelling, also those of `joined`, with the words of the vocabulary that it begins or resembles.
    """
    near: dict[str, list[KnownWord]] = {}
    for spelling, word in known:
        near.setdefault(spelling, []).append(word)
    last = typed[-1] if typed else None
    parts = [_variants(term, near.get(term.spelling, []), term is last) for term in typed]
    for index, (name, number) in enumerate(pairwise(typed)):
        one_word = _one_word(name, number)
        if one_word and any(known.word == one_word for known in near.get(one_word, ())):
            parts[index : index + 2] = ["", f"({parts[index]} & {parts[index + 1]} | {quoted(one_word)})"]
    return " & ".join(filter(None, parts))


def _variants(term: Term, near: Sequence[KnownWord], is_last: bool) -> str:
    spelling = term.spelling
    completions = [known.word for known in near if known.word.startswith(spelling)]
    uses = max((known.uses for known in near if known.word == spelling), default=0)
    # The beginning of a common word is probably that word, unfinished.
    is_begun = any(known.uses >= COMMON for known in near if known.word.startswith(spelling))
    corrected = [] if is_begun else corrections(spelling, near, uses)
    # The last word may be unfinished, whatever the vocabulary has. A word of one or two letters begins too many.
    is_open = is_last and len(spelling) > 2 and not spelling.isdigit()
    alternatives = [quoted(word) for word in dict.fromkeys((spelling, *(() if is_open else completions), *corrected))]
    if is_open:
        alternatives[0] += ":*"
    if term.parts:
        alternatives.append(f"({' & '.join(map(quoted, term.parts))})")
    return f"({' | '.join(alternatives)})"


def corrections(spelling: str, near: Sequence[KnownWord], uses: int = 0) -> list[str]:
    """Returns the words that were probably meant: the most similar ones, if they are similar enough.

    `uses` is how often the spelling itself is used. A common word needs no correction. A rare word may be a mistake
    that other people made too, so only common words correct it.
    """
    if uses >= COMMON or not _may_be_corrected(spelling):
        return []
    allowed = 1 if len(spelling) < 6 else 2
    least_uses = COMMON if uses else 1
    distances = {
        known.word: edits(spelling, known.word, allowed)
        for known in near
        if known.uses >= least_uses and known.word.isalpha() and not known.word.startswith(spelling)
    }
    nearest = min(distances.values(), default=allowed + 1)
    return [word for word, distance in distances.items() if distance == nearest <= allowed]


def edits(first: str, second: str, most: int) -> int:
    """Returns how many letters must be added, removed, replaced or swapped with the next.

    A result above `most` only means that there are more than `most`.
    """
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


def quoted(lexeme: str) -> str:
    """Returns the lexeme as a quoted literal of a tsquery."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
