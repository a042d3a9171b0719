"""A listing as schema.org describes cars, for search engines: https://schema.org/Car. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.pages.units import Units

_AVAILABILITY = {"available": "https://schema.org/InStock", "sold": "https://schema.org/SoldOut"}


def car(listing: Mapping[str, Any], origin: str, units: Units) -> dict[str, Any]:
    """Returns the JSON-LD of a listing. With an empty origin it has no addresses."""
    mileage, price, year = listing["mileage"], listing["price"], listing["year"]
    offer = {
        "@type": "Offer",
        "availability": _AVAILABILITY[listing["status"]],
        "itemCondition": "https://schema.org/UsedCondition",
        "price": price,
        "priceCurrency": None if price is None else units.currency,
        "url": f"{origin}/listings/{listing['id']}" if origin else None,
    }
    described = {
        "@context": "https://schema.org",
        "@type": "Car",
        "name": listing["title"],
        "description": listing["content"],
        "url": offer["url"],
        "image": [origin + picture["url"] for picture in listing["pictures"]] if origin else None,
        "brand": {"@type": "Brand", "name": listing["make"]} if listing["make"] else None,
        "model": listing["model"],
        "vehicleModelDate": None if year is None else str(year),
        "mileageFromOdometer": (
            None
            if mileage is None
            else {"@type": "QuantitativeValue", "value": mileage, "unitCode": units.distance_code}
        ),
        "offers": _known(offer),
    }
    return _known(described)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [])}
