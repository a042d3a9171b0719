"""Makes and models with all the names that people call them by: which words mean the same car. Pure.

The names themselves are in shared/makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.analysis import Atom, Kind, atoms, folded

MOST_ATOMS = 4
"""The most atoms of a name that are looked for in a search."""

Phrase = tuple[Atom, ...]
"""The atoms of one name."""


@dataclass(frozen=True, slots=True)
class CarName:
    """A make, or a model of one, and what else people call it. `model` is "" for a make."""

    make: str
    model: str
    others: tuple[str, ...]

    @property
    def text(self) -> str:
        """The name as it is suggested: the make, and the model behind it."""
        return self.model if folded(self.model).startswith(folded(self.make)) else f"{self.make} {self.model}".strip()

    @property
    def spellings(self) -> tuple[str, ...]:
        """Its own name first, without the make, and then the others."""
        return (self.model or self.make, *self.others)


def parsed(lines: Iterable[str]) -> list[CarName]:
    """Returns the names in lines of a make, a model and other names, with tabs between them. Raises ValueError."""
    found = []
    for line in lines:
        make, model, others = line.split("\t")
        found.append(CarName(make, model, tuple(name.strip() for name in others.split(",") if name.strip())))
    return found


class CarNames:
    """Finds the other names of a name. A name is looked up by its atoms joined: `c class` is found by `cclass`."""

    def __init__(self, names: Sequence[CarName]) -> None:
        self.all = tuple(names)
        self._phrases: dict[str, dict[str, Phrase]] = {}
        for name in names:
            phrases = {joined(phrase): phrase for phrase in map(_phrase, name.spellings)}
            for key in phrases:
                self._phrases.setdefault(key, {}).update(phrases)

    def same_as(self, found: Sequence[Atom]) -> list[Phrase]:
        """Returns all names of what the atoms name; none if they name nothing, or it has no other name."""
        phrases = self._phrases.get(joined(found), {})
        return list(phrases.values()) if len(phrases) > 1 else []

    def names(self, word: str) -> bool:
        """True if the folded word alone is a name of a make or a model."""
        return word in self._phrases

    def names_in(self, run: str) -> list[Phrase]:
        """Returns the names that a run without blanks consists of, as トヨタカローラ does; none if it does not."""
        found: list[Phrase] = []
        place = 0
        while place < len(run):
            ends = (end for end in range(len(run), place, -1) if run[place:end] in self._phrases)
            end = next(ends, None)
            if end is None:
                return []
            found.append((Atom(run[place:end], Kind.RUN, False),))
            place = end
        return found if len(found) > 1 else []


def joined(phrase: Sequence[Atom]) -> str:
    """Returns the key of a name."""
    return "".join(atom.text for atom in phrase)


def _phrase(name: str) -> Phrase:
    return tuple(atoms(name))
