"""The search in the address of the list of cars. Pure.

Anybody can write such an address. What the page does not know in it, such as a campaign's parameters or values that no
list has, changes nothing; what makes no sense in a field is shown with its error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from marshmallow import ValidationError
from multidict import MultiMapping

from api.pages.facts import FACTS
from api.pages.isolate import isolated
from api.pages.numbers import read_number
from api.schemas.derived import limits_of, lists_of, load
from api.schemas.listings import ListingsQuery
from shared.domain import cars
from shared.domain.listings import ListingFilter

PAGE_ITEMS = 24
"""The cars on a page of the list, as api/web/views/browse.js asks for them."""
SORTS = (
    ("newest", "Newest first"),
    ("price", "Price: low to high"),
    ("-price", "Price: high to low"),
    ("mileage", "Lowest mileage"),
    ("-year", "Newest model year"),
)
STATUSES = (("", "For sale"), ("sold", "Sold"), ("any", "All"))
BEST = ("relevance", "Best match")
NEAREST = ("distance", "Nearest first")
TEXTS = (("make", "Make"), ("model", "Model"))
NUMBERS = (
    (("year_min", "Min year"), ("year_max", "Max year")),
    (("price_min", "Min price"), ("price_max", "Max price")),
    (("mileage_max", "Max mileage"),),
    (("power_kw_min", "Min power (kW)"), ("owners_max", "Max owners")),
)
_LISTS: tuple[tuple[str, Iterable[object]], ...] = (
    ("fuel", cars.Fuel),
    ("transmission", cars.Transmission),
    ("body", cars.Body),
    ("drive", cars.Drive),
    ("colour", cars.Colour),
    ("doors", range(1, cars.MAX_DOORS + 1)),
    ("condition", cars.Condition),
    ("title_status", cars.TitleStatus),
)
BOXES = tuple(
    (name, FACTS[name][0], tuple((str(value), FACTS[name][1](value)) for value in values)) for name, values in _LISTS
)
"""The filters of which several values may be chosen: name, label, and the values with their words."""
_NOT_FOR_VISITORS = frozenset({"hidden", "vin"})
_PARAMETERS = (*(field.name for field in fields(ListingFilter) if field.name not in _NOT_FOR_VISITORS), "sort")
INPUTS = frozenset(
    {"category_id", "near", "within", "status", "sort"}
    | {name for name, _ in (*TEXTS, *(one for row in NUMBERS for one in row))}
    | {name for name, _, _ in BOXES}
)
"""The parameters that the form of filters asks for. It keeps all others."""
OTHERS = {
    "q": "Words",
    "seller_id": "Person",
    "power_kw_max": "Power",
    "engine_cc_min": "Engine size",
    "engine_cc_max": "Engine size",
    "vin": "VIN",
}
"""What people call those that only an address can have, and that can be wrong: as in api/web/views/browse.js."""
_IDS = frozenset({"category_id", "seller_id"})
_ID = re.compile("[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was asked: its parameters as text, in one order, without those that say nothing."""

    values: Mapping[str, str]
    cursor: str | None

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The parameters that the form of filters sends along unchanged."""
        return [(name, value) for name, value in self.values.items() if name not in INPUTS]

    @property
    def kept_by_search(self) -> list[tuple[str, str]]:
        """The parameters that the search in the header sends along unchanged."""
        return [(name, value) for name, value in self.values.items() if name != "q"]

    @property
    def sorts(self) -> tuple[tuple[str, str], ...]:
        """The orders that this search can have, the usual one first."""
        best = (BEST,) if "q" in self.values else ()
        return *best, *SORTS, *((NEAREST,) if "near" in self.values else ())

    def chosen(self, name: str) -> list[str]:
        """Returns the values of a list."""
        return self.values.get(name, "").split(",")

    def shown(self, name: str) -> str:
        """Returns a number as its field shows it: with commas between thousands, but not in years."""
        text = self.values.get(name, "")
        is_number = text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 15
        return f"{int(text):,}" if is_number and not name.startswith("year") else text

    @property
    def is_narrowed(self) -> bool:
        return any(name != "sort" for name in self.values)

    @property
    def answers_key(self) -> str:
        """The name of the answer in the page, by which its modules know it (api/web/first_answers.js)."""
        parameters = {**self.values, **({"cursor": self.cursor} if self.cursor else {})}
        return "?".join(
            filter(None, ("/api/listings", "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))))
        )

    def changed(self, **values: str) -> Asked:
        """Returns the search from its beginning, with these values changed."""
        return Asked({**self.values, **values}, None)

    def without(self, *names: str) -> Asked:
        """Returns the search from its beginning, without these parameters, and without an order that needs one."""
        values = {name: value for name, value in self.values.items() if name not in names}
        if {BEST[0]: "q", NEAREST[0]: "near"}.get(values.get("sort", "")) in names:
            del values["sort"]
        return Asked(values, None)

    @property
    def nothing_found(self) -> str:
        """What to say if no car is like that: api/web/views/browse.js says the same."""
        asked = set(self.values) - {"sort", "verbatim"}
        if not asked:
            return "No cars yet. Be the first to sell one."
        if asked == {"q"}:
            return f"Nothing is found for “{isolated(self.values['q'])}”. Check the spelling, or try other words."
        if asked <= {"seller_id", "status"}:
            return "There are no cars of this person now."
        return "No car is like that. Try fewer filters."

    def path(self, *, cursor: str | None = None, base: str = "/") -> str:
        """Returns the address of the search, from its beginning or from a cursor on."""
        parameters = {**self.values, **({"cursor": cursor} if cursor else {})}
        return f"{base}?{urlencode(parameters)}" if parameters else base

    def query(self, limit: int = PAGE_ITEMS) -> ListingsQuery:
        """Returns the query of the API. Raises ValidationError, whose messages have the errors by parameter."""
        more: dict[str, Any] = {"limit": str(limit), **({"cursor": self.cursor} if self.cursor else {})}
        return load(ListingsQuery, {**self.values, **more})


NOTHING = Asked({}, None)


_LIMITS = limits_of(ListingsQuery)
_LISTS_OF_VALUES = lists_of(ListingsQuery)


def _meant(name: str, texts: list[str], distance_unit: str) -> str:
    """Returns what an address asks with a parameter: numbers in digits, and of a closed list only what is on it,
    as an id only digits."""
    limits = _LIMITS.get(name, {})
    options = limits.get("options")
    if name == "verbatim":
        return "true" if "true" in texts else ""
    if name in _LISTS_OF_VALUES:
        known = options or [str(number) for number in range(limits["min"], limits["max"] + 1)]
        return ",".join(dict.fromkeys(one for text in texts for one in text.split(",") if one in known))
    # A parameter that is given twice is a text with a comma, which has its error.
    text = ",".join(texts)
    if options is not None:
        return text if text in options else ""
    if name in _IDS:
        return text if _ID.fullmatch(text) else ""
    number = (
        read_number(text, {"mileage_max": distance_unit, "power_kw_min": "kW"}.get(name, ""))
        if "min" in limits
        else None
    )
    return text if number is None else str(number)


def asked(parameters: MultiMapping[str], distance_unit: str = "mi") -> Asked:
    """Returns the search in the parameters of an address, as api/web/views/browse.js reads it."""
    given = {name: [one for one in parameters.getall(name, ()) if one.strip()] for name in _PARAMETERS}
    values = {name: text for name, texts in given.items() if texts and (text := _meant(name, texts, distance_unit))}
    if "near" not in values:
        values.pop("within", None)
    usual = (BEST if "q" in values else SORTS[0])[0]
    needed = {BEST[0]: "q", NEAREST[0]: "near"}.get(values.get("sort", ""))
    if values.get("sort") == usual or (needed is not None and needed not in values):
        del values["sort"]
    return Asked(values, parameters.get("cursor") or None)


def errors_of(error: ValidationError) -> dict[str, str]:
    """Returns the errors as one sentence or more for each parameter."""
    messages: Any = error.messages
    return {str(name): " ".join(map(str, sentences)) for name, sentences in messages.items()}
