"""The file of makes and models is well formed, and every name in it names something."""

from __future__ import annotations

from collections import Counter

from shared.domain.analysis import atoms, folded
from shared.domain.car_names import MOST_ATOMS, joined
from shared.makes import NAMES

ALL = NAMES.all


def test_there_are_some_hundred_makes_and_models() -> None:
    assert len(ALL) > 300
    assert len({name.make for name in ALL}) > 60


def test_each_make_and_each_model_has_one_line_and_every_model_belongs_to_a_make_of_the_file() -> None:
    lines = Counter((folded(name.make), folded(name.model)) for name in ALL)
    assert [line for line, count in lines.items() if count > 1] == []
    makes = {name.make for name in ALL if not name.model}
    assert {name.make for name in ALL} == makes


def test_every_name_has_words_is_written_once_and_can_be_looked_up() -> None:
    for name in ALL:
        assert all(spelling == spelling.strip() for spelling in (name.make, name.model, *name.others)), name
        phrases = [atoms(spelling) for spelling in name.spellings]
        assert all(0 < len(phrase) <= MOST_ATOMS for phrase in phrases), name
        keys = [joined(phrase) for phrase in phrases]
        assert all(NAMES.names(key) for key in keys), name
        assert len(set(name.spellings)) == len(name.spellings), name
        # A make and each of its models have different names, or a search for the make would find one model only.
        assert not name.model or joined(atoms(name.make)) not in keys, name


def test_the_names_of_a_make_are_found_from_each_of_them() -> None:
    for typed in ("vw", "Volkswagen", "Фольксваген", "フォルクスワーゲン"):
        found = {joined(phrase) for phrase in NAMES.same_as(atoms(typed))}
        assert {"vw", "volkswagen", "фольксваген", "フォルクスワーゲン"} <= found
    assert NAMES.same_as(atoms("sunroof")) == []


def test_a_run_is_split_into_the_names_that_it_consists_of() -> None:
    assert [joined(phrase) for phrase in NAMES.names_in("トヨタカローラ")] == ["トヨタ", "カローラ"]
    assert NAMES.names_in("トヨタ") == []
    assert NAMES.names_in("新車トヨタ") == []
