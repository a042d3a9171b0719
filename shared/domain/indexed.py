"""What of a listing is searched, as the tsvector that is stored with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.analysis import atoms, listing_words, name_lexeme, title_lexeme
from shared.domain.search import quoted

INDEXED = ("title", "content", "make", "model", "year", "location")
"""The fields of a listing that are searched. A change of one of them needs a new tsvector."""


def indexed(values: Mapping[str, object]) -> str:
    """Returns the tsvector, in Postgres's notation, of the values of the fields; None stands for an unknown value."""
    make, model = values["make"], values["model"]
    # People say the make and the model in one breath: `mazda3`.
    name = " ".join(str(one) for one in (make, model) if one is not None)
    lexemes = [title_lexeme(atoms(str(values["title"])))]
    lexemes += listing_words((values["title"], name, values["year"]), (values["content"], values["location"]))
    if make is not None:
        lexemes.append(name_lexeme("make", str(make)))
    if model is not None:
        lexemes.append(name_lexeme("model", str(model)))
    return " ".join(map(quoted, lexemes))
