"""Turns a buyer's input into searches, the best first: exact words, plurals, unfinished words, corrections. Pure.

A listing matches if it has every word that is asked for, in its own spelling or in one of its other forms. The tiers of
the results follow from how near the forms are, and from whether the title has them all. Each tier is a query of its
own, which the tiers before it do not answer, so a page continues in the tier in which the page before it ended.

Words are joined and split by shared/domain/analysis.py, which stored text goes through too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, auto
from typing import Any, NamedTuple, TypeVar

from shared.domain.analysis import (
    JOINED,
    TITLE,
    Atom,
    Kind,
    atoms_of_chunk,
    compounds,
    grams,
    joined,
    neighbours,
    signs,
    title_lexeme,
)
from shared.domain.car_names import MOST_ATOMS, CarNames, Phrase
from shared.domain.plurals import other_numbers

MAX_TERMS = 24
"""The first terms of a search are searched for; more would cost more than they tell."""
MAX_GRAMS = 24
"""Of one run without blanks, likewise."""
MAX_COMPLETIONS = 10
"""The most words that complete one word, except the last one of a search."""
LEAST_BEGUN = 3
"""A word of fewer letters begins too many others."""
MAX_CORRECTED = 3
"""The most words of one search that are corrected: the last ones. Looking for similar words is slow."""
COMMON = 5
"""A word that at least this many sellers use is common, and counts as spelled correctly."""

_FILLERS = frozenset({
    "a", "an", "and", "are", "at", "by", "for", "from", "i", "in", "is", "it", "my", "of", "on", "or", "the", "to",
    "with",
})  # fmt: skip


class Nearness(IntEnum):
    """How near the words of a listing are to the typed ones. Each includes those before it."""

    EXACT = 0
    """The word itself, joined to its neighbour or apart from it, or another name of the same make or model."""
    FORM = 1
    """Its other number, or a joined word in pieces."""
    UNFINISHED = 2
    """A word that begins with it."""
    CORRECTED = 3
    """A word that was probably meant."""


class Place(IntEnum):
    """Where the words are."""

    TITLE = 0
    """All are in the title, make, model and year."""
    ANYWHERE = 1


class Match(NamedTuple):
    """One thing that a listing must have, as a tsquery. If it `begins`, any word that begins so will do, which is dear.

    To find the words with a beginning, Postgres collects all listings that have one of them, before it looks further.
    """

    query: str
    begins: bool = False


Matches = tuple[Match, ...]
"""All that a listing must have."""


def written(matches: Matches) -> str:
    """Returns all of it as one tsquery."""
    return " & ".join(one.query for one in matches)


@dataclass(frozen=True, slots=True)
class Tier:
    """Listings that match equally well; lower ranks are better."""

    rank: int
    must: Matches
    """What the listings of this tier have. Those of the tiers before it may have it too."""
    better: tuple[Matches, ...]
    """The same of all tiers before it."""

    @property
    def matches(self) -> str:
        """The tsquery of this tier, which may also find those before it."""
        return written(self.must)

    @property
    def query(self) -> str:
        """The tsquery of this tier alone."""
        return " & ".join([self.matches, *(f"!({written(one)})" for one in self.better)])


def _rank(nearness: Nearness) -> int:
    """Returns the rank of the tier that has such words in the title. The next one has them anywhere; 0 is the title."""
    return 2 * nearness + 1


FIRST_UNFINISHED = _rank(Nearness.UNFINISHED)
"""The rank of the first tier that rests on the completion of a word."""
FIRST_CORRECTED = _rank(Nearness.CORRECTED)
"""The rank of the first tier that rests on a correction."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked for: a word, a compound such as `f-150`, or a run without blanks. `chunk` is as typed."""

    first: int
    """The place of its first atom among all atoms."""
    parts: tuple[Atom, ...]
    chunk: str

    @property
    def spelling(self) -> str:
        return joined(part.text for part in self.parts)

    @property
    def is_word(self) -> bool:
        """True if it is a single word of letters."""
        return len(self.parts) == 1 and self.parts[0].kind is Kind.LETTERS

    @property
    def end(self) -> int:
        return self.first + len(self.parts)


@dataclass(frozen=True, slots=True)
class KnownWord:
    """A word of the vocabulary, and the number of sellers who use it."""

    word: str
    uses: int


class _Form(Enum):
    WORD = auto()
    GRAM = auto()


@dataclass(frozen=True, slots=True)
class _Word:
    """A lexeme without its mark. If it `begins`, it stands for all words that begin with it."""

    text: str
    form: _Form = _Form.WORD
    begins: bool = False


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple[_Node, ...]


_Node = _Word | _All | _Any
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Asked:
    """A search for words. `known` has the words of the vocabulary that a spelling begins."""

    names: CarNames
    atoms: tuple[Atom, ...]
    terms: tuple[Term, ...]
    """All that was typed."""
    required: tuple[Term, ...]
    """Without the fillers, such as "the", if other terms remain."""
    known: Mapping[str, Sequence[KnownWord]] = field(default_factory=dict)
    corrections: Mapping[str, str] = field(default_factory=dict)
    _made: dict[object, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What was made once, because several tiers need it: forms by term, and tsqueries."""

    @classmethod
    def of(cls, typed: str, names: CarNames) -> Asked:
        """Returns the search for what was typed. Without a letter, a digit or a sign, nothing is required."""
        found: list[Atom] = []
        terms: list[Term] = []
        for chunk in typed.split():
            for compound in compounds(atoms_of_chunk(chunk)):
                if len(terms) < MAX_TERMS:
                    terms.append(Term(len(found), tuple(compound), chunk))
                    found += compound
        if not terms:
            found = signs(typed)[:MAX_TERMS]
            terms = [Term(place, (sign,), sign.text) for place, sign in enumerate(found)]
        return cls(names, tuple(found), tuple(terms), _required(terms, found, names))

    @property
    def words(self) -> list[str]:
        """The spellings that the vocabulary may complete, or that may have to be corrected."""
        return [term.spelling for term in self.required if _may_be_begun(term)]

    def knowing(self, words: Iterable[tuple[str, KnownWord]]) -> Asked:
        """Returns the same search with words of the vocabulary, each paired with the spelling that begins it."""
        known: dict[str, list[KnownWord]] = {}
        for spelling, word in words:
            known.setdefault(spelling, []).append(word)
        return replace(self, known=known)

    def words_to_correct(self) -> list[str]:
        """Returns the words to correct: the last `MAX_CORRECTED` that neither are nor begin a common word or a name."""
        words = [
            term.spelling
            for term in self.required
            if term.is_word
            and len(term.spelling) >= LEAST_BEGUN
            and not self.names.names(term.spelling)
            and not any(word.uses >= COMMON for word in self.known.get(term.spelling, ()))
        ]
        return words[-MAX_CORRECTED:]

    def corrected(self, near: Iterable[tuple[str, KnownWord]], *, has_results: bool) -> Asked | None:
        """Returns the search in which the words that `near` resembles are corrected; None if no word is.

        If the search has results as it is, only common words correct it: the others may be mistakes as well.
        """
        resembling: dict[str, list[KnownWord]] = {}
        for spelling, word in near:
            resembling.setdefault(spelling, []).append(word)
        found = {}
        for spelling, words in resembling.items():
            meant = correction(spelling, words, least_uses=COMMON if has_results else 1)
            if meant is not None:
                found[spelling] = meant
        return replace(self, corrections=found) if found else None

    @property
    def corrected_text(self) -> str:
        """What was typed, with the corrections in it."""
        chunks = [term.chunk for term in self.terms]
        words = [
            self.corrections.get(term.spelling, term.chunk if chunks.count(term.chunk) == 1 else term.spelling)
            for term in self.terms
        ]
        return " ".join(words)

    def must(self, nearness: Nearness = Nearness.UNFINISHED) -> Matches:
        """Returns what the listings of all tiers up to a nearness have."""
        return self._must(nearness, Place.ANYWHERE)

    def matches(self, nearness: Nearness = Nearness.UNFINISHED) -> str:
        """Returns the same as one tsquery."""
        return written(self.must(nearness))

    def titled(self) -> Tier:
        """Returns the tier of listings whose title is what was typed."""
        return Tier(0, (Match(quoted(title_lexeme(self.atoms))),), ())

    def best(self) -> Tier:
        """Returns the tier of listings that have the exact words, and maybe others, in the title."""
        return Tier(_rank(Nearness.EXACT), self._must(Nearness.EXACT, Place.TITLE), (self.titled().must,))

    def tiers(self, last: Nearness = Nearness.UNFINISHED) -> list[Tier]:
        """Returns the tiers without corrections, the best first. A tier that can have no listing is left out."""
        found = [self.titled()]
        for nearness in range(Nearness.EXACT, last + 1):
            # The last tier has all words anywhere, so it includes those before it, except for the title of fillers.
            found += self._tiers_of(Nearness(nearness), (found[0].must, found[-1].must))
        return found

    def corrected_tiers(self) -> list[Tier]:
        """Returns the tiers that rest on a correction."""
        return self._tiers_of(Nearness.CORRECTED, (self.titled().must, self.must()))

    def _tiers_of(self, nearness: Nearness, better: tuple[Matches, Matches]) -> list[Tier]:
        anywhere = self._must(nearness, Place.ANYWHERE)
        if anywhere in better:
            return []
        titled = self._must(nearness, Place.TITLE)
        before = tuple(dict.fromkeys(better))
        return [Tier(_rank(nearness), titled, before), Tier(_rank(nearness) + 1, anywhere, (*before, titled))]

    def _must(self, nearness: Nearness, place: Place) -> Matches:
        def make() -> Matches:
            forms = [_sufficient(self._forms(term, nearness)) for term in self.required]
            return tuple(Match(_written(_any(one), place), any(map(_begins, one))) for one in forms)

        return self._once((nearness, place), make)

    def _once(self, name: object, make: Callable[[], _Made]) -> _Made:
        if name not in self._made:
            self._made[name] = make()
        made: _Made = self._made[name]
        return made

    def _forms(self, term: Term, nearness: Nearness) -> list[_Node]:
        forms = list(self._once(("exact", term.first), lambda: self._exact(term)))
        if nearness >= Nearness.FORM:
            forms += self._other_forms(term)
        if nearness >= Nearness.UNFINISHED:
            forms += self._completions(term)
        if nearness >= Nearness.CORRECTED and term.spelling in self.corrections:
            forms.append(_Word(self.corrections[term.spelling]))
        return forms

    def _exact(self, term: Term) -> list[_Node]:
        forms: list[_Node] = []
        if term.parts[0].kind is Kind.RUN:
            forms.append(_run(term.parts[0].text))
            names = self.names.names_in(term.parts[0].text)
            if names:
                each = (_any(list(map(_phrase, self.names.same_as(name) or [name]))) for name in names)
                forms.append(_All(tuple(each)))
        else:
            forms.append(_Word(term.spelling))
            forms += [_Word(word) for word in self._joined_with_neighbours(term)]
        for begin in range(max(0, term.end - MOST_ATOMS), term.first + 1):
            for end in range(term.end, min(len(self.atoms), begin + MOST_ATOMS) + 1):
                forms += [_phrase(one) for one in self._same(self.atoms[begin:end])]
        return forms

    def _joined_with_neighbours(self, term: Term) -> list[str]:
        required = {place for one in self.required for place in range(one.first, one.end)}
        return [
            word
            for begin, end, word in neighbours(self.atoms)
            if begin <= term.first and term.end <= end and required.issuperset(range(begin, end))
        ]

    def _same(self, found: Sequence[Atom]) -> list[Phrase]:
        """Returns the names of what the atoms name, without the one that they are."""
        typed = [atom.text for atom in found]
        return [phrase for phrase in self.names.same_as(found) if [atom.text for atom in phrase] != typed]

    def _other_forms(self, term: Term) -> list[_Node]:
        if len(term.parts) > 1:
            return [_All(tuple(_Word(part.text) for part in term.parts))]
        if not term.is_word:
            return []
        numbers = other_numbers(term.spelling)
        if self.names.names(term.spelling):
            # A name has no plural but this one, and other words are not its forms: "mine" is not the plural of Mini.
            numbers = tuple(number for number in numbers if number == f"{term.spelling}s")
        return [_Word(number) for number in numbers]

    def _completions(self, term: Term) -> list[_Node]:
        if not _may_be_begun(term):
            return []
        # The last word may be unfinished, whatever the vocabulary has.
        if term is self.terms[-1]:
            return [_Word(term.spelling, begins=True)]
        known = [one.word for one in self.known.get(term.spelling, ()) if one.word.startswith(term.spelling)]
        return [_Word(word) for word in known[:MAX_COMPLETIONS]]


def _required(terms: Sequence[Term], found: Sequence[Atom], names: CarNames) -> tuple[Term, ...]:
    """Returns the terms without fillers. A filler stays if it means something: at the end, or as a part of a model."""
    required = []
    for place, term in enumerate(terms):
        is_filler = term.spelling in _FILLERS and len(term.parts) == 1
        if not is_filler or place == len(terms) - 1 or _is_of_a_name(place, terms, found, names):
            required.append(term)
    distinct = {term.spelling: term for term in reversed(required)}
    return tuple(reversed(distinct.values()))


def _is_of_a_name(place: int, terms: Sequence[Term], found: Sequence[Atom], names: CarNames) -> bool:
    term = terms[place]
    following = terms[place + 1]
    if len(term.spelling) == 1 and len(terms) <= 3 and following.parts[0].kind is Kind.DIGITS:
        return True
    begins = range(max(0, term.first - 1), term.first + 1)
    return any(names.names("".join(atom.text for atom in found[begin : term.end + 1])) for begin in begins)


def _may_be_begun(term: Term) -> bool:
    spelling = term.spelling
    is_word = spelling[0].isalnum() and not spelling.isdigit() and term.parts[0].kind is not Kind.RUN
    return is_word and len(spelling) >= LEAST_BEGUN


def _run(run: str) -> _Node:
    pairs = grams(run)[:-1][:MAX_GRAMS]
    if not pairs:
        return _Word(run, _Form.GRAM, begins=True)
    return _All(tuple(_Word(pair, _Form.GRAM) for pair in dict.fromkeys(pairs)))


def _phrase(phrase: Phrase) -> _Node:
    """Returns a name, whose words may be joined or apart."""
    words = tuple(_run(atom.text) if atom.kind is Kind.RUN else _Word(atom.text) for atom in phrase)
    if len(words) == 1:
        return words[0]
    if any(atom.kind is Kind.RUN for atom in phrase):
        return _All(words)
    one_word = _Word(joined(atom.text for atom in phrase))
    # Letters and digits alone are in many texts, far from each other.
    is_telling = any(len(atom.text) >= LEAST_BEGUN and atom.kind is Kind.LETTERS for atom in phrase)
    return _Any((_All(words), one_word)) if is_telling else one_word


def _begins(node: _Node) -> bool:
    return isinstance(node, _Word) and node.begins


def _sufficient(forms: Sequence[_Node]) -> list[_Node]:
    """Returns the forms without the words that an unfinished one of them stands for too."""
    begun = [(form.text, form.form) for form in forms if isinstance(form, _Word) and form.begins]
    return [form for form in forms if not (isinstance(form, _Word) and not form.begins and _is_of(form, begun))]


def _is_of(word: _Word, begun: Sequence[tuple[str, _Form]]) -> bool:
    return any(word.form is form and word.text.startswith(text) for text, form in begun)


def _any(forms: Sequence[_Node]) -> _Node:
    return _Any(tuple(dict.fromkeys(forms)))


def _written(node: _Node, place: Place) -> str:
    """Returns the node in the notation of Postgres's tsquery."""
    match node:
        case _Word(text, form, begins):
            marks = [JOINED] if form is _Form.GRAM else [TITLE, JOINED]
            marks += [""] if place is Place.ANYWHERE else []
            end = ":*" if begins else ""
            return _in_brackets([f"{quoted(mark + text)}{end}" for mark in marks], " | ")
        case _All(parts):
            return _in_brackets([_written(part, place) for part in parts], " & ")
        case _Any(parts):
            return _in_brackets([_written(part, place) for part in parts], " | ")


def _in_brackets(parts: Sequence[str], operator: str) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"


def correction(spelling: str, near: Iterable[KnownWord], *, least_uses: int = 1) -> str | None:
    """Returns the word that was probably meant: the most similar one, and of equals the one that most sellers use.

    None if no word that at least `least_uses` sellers use is similar enough.
    """
    if not spelling.isalpha() or len(spelling) < LEAST_BEGUN:
        return None
    allowed = 1 if len(spelling) < 6 else 2
    best = None
    for known in near:
        if known.uses < least_uses or not known.word.isalpha() or known.word.startswith(spelling):
            continue
        distance = edits(spelling, known.word, allowed)
        if distance <= allowed:
            key = (distance, -known.uses, known.word)
            best = key if best is None else min(best, key)
    return best[2] if best else None


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
    """Returns the lexeme as a quoted literal of a tsquery or a tsvector."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
