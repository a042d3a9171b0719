"""The site's currency and unit of distance, and how its pages write them: as Intl does for "en-US" (api/web/format.js).

The modules then write them as the reader's own language does, which the server does not know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from shared.domain.geography import METRES_OF
from shared.settings import Settings

ASK = "Ask for the price"
DISTANCES = (5, 25, 50, 75, 150, 300)
"""How far from a place the page's filters offer to search, in the site's unit."""

# By their codes of ISO 4217, from Unicode's CLDR. All others are written as their code and a space that does not break.
_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "AUD": "A$", "BRL": "R$", "CAD": "CA$", "CNY": "CN¥", "EUR": "€", "GBP": "£", "HKD": "HK$", "ILS": "₪",
        "INR": "₹", "JPY": "¥", "KRW": "₩", "MXN": "MX$", "NZD": "NZ$", "PHP": "₱", "TWD": "NT$", "USD": "$",
        "VND": "₫", "XAF": "FCFA\xa0", "XCD": "EC$", "XOF": "F\u202fCFA\xa0", "XPF": "CFPF\xa0",
    }
)  # fmt: skip
_CODES = {"km": "KMT", "mi": "SMI"}


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """One of each for the whole site: what is stored has none.

    An object equals only itself, because many keys have it in them.
    """

    currency: str
    """Its code of ISO 4217."""
    distance: str
    """"mi" or "km"."""

    @classmethod
    def of(cls, settings: Settings) -> Units:
        return _units(settings.currency, settings.distance_unit)

    @property
    def distance_code(self) -> str:
        """The unit as schema.org wants it (UN/CEFACT Recommendation 20)."""
        return _CODES[self.distance]

    @property
    def distances(self) -> tuple[tuple[str, str], ...]:
        """The distances of a filter: values of the parameter `within`, each with its words."""
        return ("", "Any distance"), *((f"{one}{self.distance}", f"{one} {self.distance}") for one in DISTANCES)

    def price(self, value: int | None) -> str:
        """Returns a price in words."""
        if value is None:
            return ASK
        return _SYMBOLS.get(self.currency, self.currency + "\xa0") + f"{value:,}"

    def mileage(self, value: int) -> str:
        """Returns how far a car was driven, in words."""
        return f"{value:,} {self.distance}"

    def away(self, metres: int) -> str:
        """Returns a distance from a place, in words."""
        return f"{math.floor(metres / METRES_OF[self.distance] + 0.5):,} {self.distance} away"


@cache
def _units(currency: str, distance: str) -> Units:
    return Units(currency, distance)
