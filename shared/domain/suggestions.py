"""Suggestions while somebody types: makes, models and places, and the beginnings by which each is found. Pure.

Keys have no blanks and no signs, so `f-1`, `f 1` and `F1` begin the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from shared.domain.analysis import Kind as AtomKind
from shared.domain.analysis import atoms, folded
from shared.domain.car_names import CarName

MAX_KEY_LENGTH = 100
MAX_BEGINNINGS = 4
"""The most words of a name at which it can begin."""


class SuggestionKind(StrEnum):
    """What is suggested."""

    MAKE = "make"
    MODEL = "model"
    """With its make before it."""
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggestion: its kind, and the text to search for."""

    kind: SuggestionKind
    text: str

    @property
    def identity(self) -> tuple[SuggestionKind, str]:
        """Equal for spellings that people do not tell apart."""
        return self.kind, folded(self.text)


def key_of(text: str) -> str:
    """Returns the key of a name or of what was typed; "" if nothing of it can begin a name."""
    return "".join(atom.text for atom in atoms(text) if atom.text[0].isalnum())[:MAX_KEY_LENGTH]


def keys_of(text: str, others: Iterable[str] = ()) -> set[str]:
    """Returns the keys of a suggestion: its text from each of its words on, and its other names."""
    found = atoms(text)
    begins = [place for place, atom in enumerate(found) if place == 0 or not atom.is_attached]
    keys = {"".join(atom.text for atom in found[begin:])[:MAX_KEY_LENGTH] for begin in begins[:MAX_BEGINNINGS]}
    keys |= {key_of(other) for other in others}
    # One letter or a number at the end of a name says too little of it.
    return {key for key in keys if len(key) > 1 or any(atom.kind is AtomKind.RUN for atom in found)}


class KnownNames:
    """The names that are suggested although no listing has them: all makes and models that people know."""

    def __init__(self, names: Sequence[CarName]) -> None:
        makes = {name.make: name for name in names if not name.model}
        self._entries = sorted(
            {
                (key, kind.value, name.text)
                for name in names
                for kind in [SuggestionKind.MODEL if name.model else SuggestionKind.MAKE]
                for key in keys_of(name.text, _other_texts(name, makes.get(name.make)))
            }
        )
        self._by_key = {
            (kind, folded(spelling)): name.text
            for name in names
            for kind, spelling in _spellings(name, makes.get(name.make))
        }

    def beginning_with(self, key: str, most: int) -> list[Suggested]:
        """Returns the names of which a key begins so, the shortest keys first."""
        begin = bisect_left(self._entries, (key,))
        found = (entry for entry in islice(self._entries, begin, None))
        matching = []
        for entry in found:
            if not entry[0].startswith(key):
                break
            matching.append(entry)
        matching.sort(key=lambda entry: (entry[1] != SuggestionKind.MAKE, len(entry[0]), entry))
        distinct = dict.fromkeys(Suggested(SuggestionKind(kind), text) for _, kind, text in matching)
        return list(distinct)[:most]

    def own_text(self, suggested: Suggested) -> str | None:
        """Returns how a known make or model is written; None if it is not known."""
        return self._by_key.get((suggested.kind, folded(suggested.text)))


def _other_texts(name: CarName, make: CarName | None) -> list[str]:
    """Returns the other names, of a model also behind each name of its make: `vw golf`."""
    if not name.model or make is None:
        return list(name.others)
    return [*name.others, *(f"{one} {name.model}" for one in make.others)]


def _spellings(name: CarName, make: CarName | None) -> list[tuple[SuggestionKind, str]]:
    if not name.model:
        return [(SuggestionKind.MAKE, one) for one in name.spellings]
    makes = make.spellings if make else (name.make,)
    return [(SuggestionKind.MODEL, name.text), *((SuggestionKind.MODEL, f"{one} {name.model}") for one in makes)]
