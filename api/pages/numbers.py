"""Whole numbers as people write them: "12,500", "12 500 €", "$9,500.00", "12.500". Pure.

api/web/numbers.js reads the same texts in the same way, and explains it. The server does not know the reader's locale,
so before a "k" it takes a dot for the decimal sign.
"""

# ruff: noqa: RUF001 (signs and digits that look alike are meant)

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from functools import cache

LONGEST = 60
"""Characters of a text that may be a number."""

_SIGN = "[-+]"
_MONEY = (
    r"(?:[^\W\d_]{0,3}¤|¤[^\W\d_]{0,3}|(?:us|ca|au|nz|hk|sg)d|chf|fr\.|eur|euros?|gbp|pounds?|dollars?|jpy|inr|rs\.?|"
    r"kr\.?|sek|nok|dkk|pln|zł|czk|kč|huf|ft|brl|mxn|円|元)"
)
_UNITS: Mapping[str, str] = {
    "mi": r"(?:mi\.?|miles?)",
    "km": r"(?:km|kms|kilomet(?:er|re)s?)",
    "kW": "kw",
    "cc": r"(?:ccm?|cm3)",
}
_BODY = r"[0-9](?:[0-9 ,.'_٬٫]*[0-9])?"
_NO_CENTS = r"(?:[,.:]-{1,2}|/-|[.,])?"
_SIGNS = str.maketrans(dict.fromkeys("’‘ʼ´`", "'") | dict.fromkeys("–—‒−", "-") | {"،": ","})


def read_number(text: str, unit: str = "") -> int | None:
    """Returns the number that a text means, rounded to a whole one; None if it means none.

    `unit` is the one that the field asks for, "mi", "km", "kW" or "cc": it may stand behind the number.
    """
    if len(text) > LONGEST:
        return None
    found = _pattern(unit).fullmatch(_with_plain_signs(text))
    if found is None or (found["sign"] and found["other"]):
        return None
    number = _read(found["body"], "." if found["thousands"] else None)
    if number is None:
        return None
    # Half counts as one, as JavaScript rounds.
    whole = math.floor(number * (1000 if found["thousands"] else 1) + 0.5)
    return -whole if "-" in (found["sign"] or found["other"] or "") else whole


def _with_plain_signs(text: str) -> str:
    """Returns the text with ASCII digits, one sign for all currencies, and without invisible characters."""
    return " ".join("".join(map(_plain, unicodedata.normalize("NFKC", text))).translate(_SIGNS).split())


def _plain(one: str) -> str:
    match unicodedata.category(one):
        case "Cf":
            return ""
        case "Nd":
            return str(int(one))
        case "Sc":
            return "¤"
    return one


@cache
def _pattern(unit: str) -> re.Pattern[str]:
    units = _UNITS.get(unit)
    behind = f"(?:{units}|{_MONEY})" if units else _MONEY
    return re.compile(
        f"(?P<sign>{_SIGN})?(?:{_MONEY} ?)?(?P<other>{_SIGN})?(?P<body>{_BODY}){_NO_CENTS}"
        f"(?: ?(?P<thousands>k)(?![a-z]))?(?: ?{behind})?{_NO_CENTS}",
        re.IGNORECASE,
    )


def _read(body: str, decimal_sign: str | None) -> float | None:
    kinds = [kind for kind in (".", ",", "٫") if kind in body]
    decimal = None
    if "٫" in kinds:
        decimal = "٫"
    elif len(kinds) == 2:
        decimal = "." if body.rindex(".") > body.rindex(",") else ","
    elif len(kinds) == 1 and body.count(kinds[0]) == 1:
        is_open = re.fullmatch(r"[1-9][0-9]{0,2}[.,][0-9]{3}", body)
        if re.search("[ '_٬]", body) or not is_open or decimal_sign == kinds[0]:
            decimal = kinds[0]
    groups, *fractions = body.split(decimal) if decimal else [body]
    whole = _ungrouped(groups)
    fraction = fractions[0] if fractions else ""
    longest = 3 if decimal_sign else 2
    if whole is None or len(fractions) > 1 or not re.fullmatch(f"[0-9]{{0,{longest}}}", fraction):
        return None
    return float(f"{whole}.{fraction or 0}")


def _ungrouped(text: str) -> str | None:
    if text.isdecimal():
        return text
    is_right = re.fullmatch(r"[0-9]{1,3}([ '_٬.,])[0-9]{3}(?:\1[0-9]{3})*", text) or re.fullmatch(
        r"[0-9]{1,2},(?:[0-9]{2},)*[0-9]{3}", text
    )
    return re.sub("[^0-9]", "", text) if is_right else None
