"""Places, points on the earth, and distances as people write them. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MAX_DISTANCE_METRES = 20_100_000.0
"""A little more than half of the way around the earth."""
METRES_OF = {"km": 1000.0, "mi": 1609.344}

_POINT = re.compile(r"\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,15})?)\s*,\s*([+-]?[0-9]{1,3}(?:\.[0-9]{1,15})?)\s*\Z", re.ASCII)
_DISTANCE = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(km|mi)\s*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A town, or the area of a ZIP code."""

    id: int
    """The number of GeoNames; of a ZIP code the code, below zero."""
    name: str
    region: str
    """The state, province or the like: the code that people use, or else GeoNames'; "" if it is not known."""
    country: str
    """The code of ISO 3166."""
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Point:
    """A point on the earth, in degrees."""

    latitude: float
    longitude: float


def point(text: str) -> Point | None:
    """Returns the point of `latitude,longitude`; None for any other text.

    Raises ValueError if there is no such latitude or longitude.
    """
    match = _POINT.match(text)
    if match is None:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError("there is no such latitude or longitude")
    return Point(latitude, longitude)


def metres(text: str) -> float | None:
    """Returns the distance of `30 km` or `20mi` in metres; None for any other text, 0, or more than there is."""
    match = _DISTANCE.match(text)
    if match is None:
        return None
    distance = float(match[1]) * METRES_OF[match[2]]
    return distance if 0 < distance <= MAX_DISTANCE_METRES and math.isfinite(distance) else None
