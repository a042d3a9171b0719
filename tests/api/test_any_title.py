"""A title of any script is found by all of it, and by any two of its words."""

# ruff: noqa: RUF001 (letters of other alphabets are meant)

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.analysis import VERSION, atoms
from shared.domain.indexed import INDEXED, indexed
from shared.domain.search import Asked
from shared.domain.text import is_blank, tidied
from shared.makes import NAMES
from shared.postgres.schema import SCHEMA
from tests.support.database import query

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzßæøłđıßéüñçåžşğ", "ABCXYZÄÖÜİŠŒ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёїєґ", "αβγδεζηθικλμνξοπρσςτυφχψωάέ",
    "אבגדהוזחטיכלמנסעפצקרשתםןךףץ", "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةأإآؤئءپچژگک",
    "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह\u093c\u093e\u093f\u0940\u0941\u0947\u094b\u094d\u0902",
    "অআকখগঘঙচছ\u09be\u09bf\u09cd", "கஙசஞடணதநபம\u0bbe\u0bbf\u0bcd",
    "กขคงจฉชซญดตถทธนบปผพฟมยรลวศสหอฮะาำเแโใไ\u0e31\u0e34\u0e35\u0e48\u0e49",
    "ກຂຄງຈຊຍດຕ\u0eb1\u0eb4\u0ec8", "កខគឃង\u17b6\u17b7\u17d2", "ကခဂဃင\u102d\u1031\u1039",
    "アイウエオカキクケコガギグパピプー・ャュョッン", "あいうえおかきくけこがぎぐぱぴぷ", "ｱｲｳｴｵｶｷｸｹｺﾞﾟｰ",
    "丰田卡罗拉汉兰达日産車新豊",
    "가나다라마바사아자차카타파하쏘나타", "ᄀᄂ다ᅣᆨ", "აბგდევზთ", "ԱԲԳԴաբգդև", "ሀሁሂሃለሉ", "𝐓𝐨𝐲𝐨𝐭𝐚𝟏𝟐", "0123456789",
    "٠١٢٣٤٥٦٧٨٩۰۱۲", "०१२३४५", "²³¹₀₁₂①②Ⅳ½", "-./'’&+,:;()!?*_#%\"\\|<>",
    "\u200c\u200d\u00ad\ufe0f\u0301\u0308\u20e3", "🚗🏎€$°™",
)  # fmt: skip


def a_word() -> st.SearchStrategy[str]:
    def of(alphabet: str) -> st.SearchStrategy[str]:
        return st.text(alphabet, min_size=1, max_size=8)

    plain = st.sampled_from(ALPHABETS).flatmap(of)
    mixed = st.lists(plain, min_size=1, max_size=3).map("".join)
    anything = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
    return st.one_of(plain, mixed, anything)


TITLES = st.lists(a_word(), min_size=1, max_size=8).map(" ".join)


@st.composite
def title_and_two(draw: st.DrawFn) -> tuple[str, str]:
    """A title as it is stored, and two of its words, in any order."""
    title = tidied(draw(TITLES.filter(lambda title: not is_blank(title) and "\x00" not in title)))[:80]
    words = title.split()
    two = draw(st.lists(st.sampled_from(words), min_size=2, max_size=2))
    return title, " ".join(two)


FORMS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFC", text),
    str.upper,
    lambda text: f"  {text}\u3000",
)

MATCH = """SELECT made.place, made.form FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[])
           AS made (place, form, search, asked) WHERE made.search::tsvector @@ made.asked::tsquery"""


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(title_and_two(), min_size=50, max_size=50))
def test_a_title_is_found_by_all_of_it_and_by_any_two_of_its_words(
    database_url: str, found: list[tuple[str, str]]
) -> None:
    asked: dict[tuple[int, int], tuple[str, str, str]] = {}
    for place, (title, two) in enumerate(found):
        search = indexed({**dict.fromkeys(INDEXED), "title": title, "content": "It drives."})
        for form, typed in enumerate([*(form(title) for form in FORMS), two, two.upper()]):
            searched = Asked.of(typed, NAMES)
            # Two words that are only signs are no words of a title that has others.
            if searched.required and (form < len(FORMS) or _has_word(title, two)):
                asked[place, form] = (title, search, f"({searched.titled().query}) | ({searched.matches()})")
    assert len(asked) > len(found)
    rows = query(
        database_url,
        MATCH,
        [place for place, _ in asked],
        [form for _, form in asked],
        [search for _, search, _ in asked.values()],
        [tsquery for _, _, tsquery in asked.values()],
    )
    assert [(asked[key], key) for key in asked.keys() - {(row[0], row[1]) for row in rows}] == []


def _has_word(title: str, two: str) -> bool:
    """True if what was typed has letters or digits, or the title has none either."""
    return _has_letters(two) or not _has_letters(title)


def _has_letters(text: str) -> bool:
    # A word may begin with a mark.
    return any(one.isalnum() for atom in atoms(text) for one in atom.text)


def test_the_version_of_the_analysis_is_that_of_the_schema() -> None:
    assert f"listings_to_analyse_{VERSION} ON listings (id) WHERE analysis <> {VERSION};" in SCHEMA.read_text("utf-8")
