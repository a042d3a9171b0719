"""A listing as schema.org describes cars, for search engines: https://schema.org/Car. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.pages.units import Units

_AVAILABILITY = {"available": "https://schema.org/InStock", "sold": "https://schema.org/SoldOut"}


def car(listing: Mapping[str, Any], origin: str, units: Units) -> dict[str, Any]:
    """Returns the JSON-LD of a listing. With an empty origin it has no addresses."""
    mileage, price, year, make, model = (listing[name] for name in ("mileage", "price", "year", "make", "model"))
    address = {"url": f"{origin}/listings/{listing['id']}"} if origin else {}
    described = {
        "@context": "https://schema.org",
        "@type": "Car",
        "name": listing["title"],
        "description": listing["content"],
        **address,
        "offers": {
            "@type": "Offer",
            "availability": _AVAILABILITY[listing["status"]],
            "itemCondition": "https://schema.org/UsedCondition",
            **({} if price is None else {"price": price, "priceCurrency": units.currency}),
            **address,
        },
    }
    if origin and listing["pictures"]:
        described["image"] = [origin + picture["url"] for picture in listing["pictures"]]
    if make:
        described["brand"] = {"@type": "Brand", "name": make}
    if model:
        described["model"] = model
    if year is not None:
        described["vehicleModelDate"] = str(year)
    if mileage is not None:
        described["mileageFromOdometer"] = {
            "@type": "QuantitativeValue",
            "value": mileage,
            "unitCode": units.distance_code,
        }
    return described
