"""Names of users: one spelling, nothing invisible in them, and nobody who passes for the staff. Pure.

`tidied` and `name_fault` follow Unicode's security mechanisms (UTS #39): compatibility forms become plain letters, and
a word has letters of one alphabet. `skeleton` folds letters that look alike, as UTS #39, section 4 does. It knows the
letters of Latin, Cyrillic, Greek and Armenian that look like a-z in Unicode's confusables.txt (version 14.0), and the
digits that people write for letters.
"""

# ruff: noqa: RUF001 (the letters that look alike are meant)

from __future__ import annotations

import re
import unicodedata

from shared.domain.text import has_invisible, text_fault
from shared.domain.users import MAX_NAME_LENGTH

INVISIBLE = "Contains invisible characters, or characters that change the direction of text."
MIXED = "Mixes letters of several alphabets in one word."
OF_STAFF = "Only moderators and admins may have a name that sounds like the staff of Daveslist."

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
"""Those with letters that look alike. Others, such as Japanese, are mixed with Latin in ordinary names."""
_REFUSED = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Categories: control and format characters, private use, surrogates, unassigned, separators of lines."""

# Each letter, and those that look like it. Capitals have their own, because some only look alike as capitals.
_LOOK_ALIKES = {
    "a": "АΑаαɑ", "b": "ВΒвβЬƄɓƀ", "c": "СсϹϲçÇҫҪȼ", "d": "ԁɗɖđĐÐ", "e": "ЕΕеεҽєɇɛ", "f": "Ϝƒք",
    "g": "ԌցɡɠǥǤƍ", "h": "НΗнһհҺħĦћ", "i": "іιΙІıɪɩɨ", "j": "Јјϳɉ", "k": "КΚкκƙ", "l": "Ӏӏ|łŁɭƚƖ",
    "m": "МΜмϺ", "n": "Νηпոռɳƞ", "o": "ОΟоοσօՕøØɵөӨθΘѳѲ", "p": "РΡрρƥ", "q": "ԛգզ", "r": "гɼɽɍꭇ",
    "s": "ЅѕՏƽʂ", "t": "ТΤтτŧŦȾƭ", "u": "υսՍʋцμ", "v": "ѴѵνՎ", "w": "ԜԝѡωшϢաɯ", "x": "ХΧхχҳҲ", "y": "УуΥγүҮɣʏұҰƴ",
    "z": "ΖʐƶƵ",
}  # fmt: skip
_FOLD = str.maketrans({odd: letter for letter, all_odd in _LOOK_ALIKES.items() for odd in all_odd})
# After all letters are small: an i, an l and a 1 look alike, so all three become an l.
_SMALL_FOLD = str.maketrans({
    "i": "l", "1": "l", "!": "l", "0": "o", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t", "9": "g",
})  # fmt: skip
_LONGER = (("rn", "m"), ("vv", "w"))

_WORDS = ("admin", "admins", "mod", "mods", "staff", "sysadmin", "helpdesk", "webmaster", "support")
"""Refused as a word of a name."""
_PARTS = (
    "daveslist",
    "administrator",
    "administration",
    "moderator",
    "customersupport",
    "supportteam",
    "daveslistteam",
)
"""Refused anywhere in a name, also with spaces and signs between the letters."""

_PLAIN_ROLE = re.compile(r"(admin|administrator|moderator|mod) ?[0-9]*", re.ASCII | re.IGNORECASE)
"""A role's plain name, perhaps with a number. Anybody may have it: the first admin registers before having the role."""

_WORD_ENDS = re.compile(r"[\W_]+")


def tidied(name: str) -> str:
    """Returns the name as it is stored: without compatibility forms (NFKC), with single spaces and none at the ends."""
    # A variation selector asks for the coloured form of a sign, which is the usual one anyway.
    return " ".join(unicodedata.normalize("NFKC", name.replace("\ufe0f", "")).split())


def name_fault(name: str) -> str | None:
    """Returns why nobody may have the tidied name; None if it is fine."""
    fault = text_fault(name, MAX_NAME_LENGTH)
    if fault:
        return fault
    if has_invisible(name) or any(unicodedata.category(character) in _REFUSED for character in name):
        return INVISIBLE
    return MIXED if any(len(_alphabets_of(word)) > 1 for word in _WORD_ENDS.split(name)) else None


def sounds_like_staff(name: str) -> bool:
    """True if the name, or a word of it, looks like one that only the staff may have."""
    if _PLAIN_ROLE.fullmatch(name):
        return False
    apart = "".join(f" {one}" if one.isupper() and not before.isupper() else one for before, one in _pairs(name))
    # Some signs are written for letters, and others end a word.
    words = {word for text in (name, apart) for word in (*text.split(), *_WORD_ENDS.split(text))}
    # A number behind a word is no letter: Admin1.
    folded = {skeleton(form) for word in words for form in (word, word.strip("0123456789"))}
    joined = skeleton(_WORD_ENDS.sub("", name))
    return not _STAFF_WORDS.isdisjoint({*folded, joined}) or any(part in joined for part in _STAFF_PARTS)


def skeleton(text: str) -> str:
    """Returns a text that is equal for texts that look alike. It is only for comparing, and not for reading."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text.translate(_FOLD))
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    folded = text.translate(_FOLD).casefold().translate(_SMALL_FOLD)
    for several, one in _LONGER:
        folded = folded.replace(several, one)
    return folded


def _alphabets_of(word: str) -> set[str]:
    names = (unicodedata.name(letter, "") for letter in word if letter.isalpha())
    return {alphabet for name in names for alphabet in _ALPHABETS if name.startswith(alphabet)}


def _pairs(text: str) -> list[tuple[str, str]]:
    """Returns each character with the one before it; before the first is a space."""
    return list(zip(f" {text}", text, strict=False))


_STAFF_WORDS = frozenset(map(skeleton, _WORDS))
_STAFF_PARTS = tuple(map(skeleton, _PARTS))
