"""From what a buyer typed to what is looked up: words begun are completed, misspelled ones corrected. Pure.

Every word has to be in a listing, in its own spelling or in one of its variants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_WORDS = 12
COMMON = 5
"""So many uses make a word common: it is spelled right."""

_WORD = re.compile(r"[^\W_]+")
_COMPOUND = re.compile(r"[^\W_]+(?:[-./'][^\W_]+)+")
_MAX_WORD_LENGTH = 40

_FILLERS = frozenset({
    "a", "an", "and", "are", "at", "by", "for", "from", "i", "in", "is", "it", "my", "of", "on", "or", "the", "to",
    "with",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that was typed: `spelling` as one word, `parts` if it can be read as several (`f-150`)."""

    spelling: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownWord:
    """A word of the vocabulary, and how often it is used, counted to `COMMON`."""

    word: str
    uses: int


def terms(folded: str) -> list[Term]:
    """What was typed, folded to lower case without accents, as terms. Fillers are left out if there is more."""
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


def joined(given: Sequence[Term]) -> list[str]:
    """What may be one word to others: `mazda 3` is `mazda3`, too, where the vocabulary has that."""
    return [one_word for name, number in pairwise(given) if (one_word := _one_word(name, number))]


def _one_word(name: Term, number: Term) -> str | None:
    if name.spelling.isalpha() and number.spelling.isdigit():
        return name.spelling + number.spelling
    return None


def tsquery(given: Sequence[Term], known: Iterable[tuple[str, KnownWord]]) -> str:
    """A tsquery in Postgres's notation. `known` has, for a spelling or what is `joined`, words that it begins or
    resembles."""
    near: dict[str, list[KnownWord]] = {}
    for spelling, word in known:
        near.setdefault(spelling, []).append(word)
    last = given[-1] if given else None
    parts = [_variants(term, near.get(term.spelling, []), term is last) for term in given]
    for index, (name, number) in enumerate(pairwise(given)):
        one_word = _one_word(name, number)
        if one_word and any(known.word == one_word for known in near.get(one_word, ())):
            parts[index : index + 2] = ["", f"({parts[index]} & {parts[index + 1]} | {quoted(one_word)})"]
    return " & ".join(filter(None, parts))


def _variants(term: Term, near: Sequence[KnownWord], is_last: bool) -> str:
    spelling = term.spelling
    completions = [known.word for known in near if known.word.startswith(spelling)]
    uses = max((known.uses for known in near if known.word == spelling), default=0)
    # What a common word begins with is about to become that word.
    is_begun = any(known.uses >= COMMON for known in near if known.word.startswith(spelling))
    corrected = [] if is_begun else corrections(spelling, near, uses)
    alternatives = [quoted(word) for word in dict.fromkeys((spelling, *completions, *corrected))]
    if is_last and not completions and len(spelling) > 2 and not spelling.isdigit():
        # Not a word of titles: perhaps one that only descriptions have, and still being typed.
        alternatives[0] += ":*"
    if term.parts:
        alternatives.append(f"({' & '.join(map(quoted, term.parts))})")
    return f"({' | '.join(alternatives)})"


def corrections(spelling: str, near: Sequence[KnownWord], uses: int = 0) -> list[str]:
    """The words that were probably meant: the nearest ones, if near enough. `uses` is that of the spelling itself.

    A common word is what was meant. A rare one may be somebody else's mistake: then only common words correct it.
    """
    if uses >= COMMON or not spelling.isalpha() or len(spelling) < 3:
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
    """How many letters have to be added, removed, replaced or swapped with the next one; above `most` only that."""
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
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
