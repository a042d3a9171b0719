"""What buyers ask about a car: closed lists, limits, and the steps of power and engine size. Pure.

The values of the lists are the product's words: they are in the database, in the REST API and in addresses of searches.
"""

from __future__ import annotations

from enum import StrEnum

MAX_DOORS = 9
MAX_OWNERS = 20
MAX_POWER_KW = 2_000
"""In kilowatts."""
MAX_ENGINE_CC = 20_000
"""In cubic centimetres."""


class Fuel(StrEnum):
    """What drives the engine."""

    GASOLINE = "gasoline"
    DIESEL = "diesel"
    HYBRID = "hybrid"
    PLUG_IN_HYBRID = "plug_in_hybrid"
    ELECTRIC = "electric"
    FLEX_FUEL = "flex_fuel"
    LPG = "lpg"
    CNG = "cng"
    HYDROGEN = "hydrogen"
    OTHER = "other"


class Transmission(StrEnum):
    """How the gears are changed."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    SEMI_AUTOMATIC = "semi_automatic"
    CVT = "cvt"


class Body(StrEnum):
    """The shape of the car."""

    SEDAN = "sedan"
    HATCHBACK = "hatchback"
    WAGON = "wagon"
    SUV = "suv"
    COUPE = "coupe"
    CONVERTIBLE = "convertible"
    PICKUP = "pickup"
    MINIVAN = "minivan"
    VAN = "van"
    OTHER = "other"


class Drive(StrEnum):
    """The wheels that the engine drives."""

    FRONT = "front"
    REAR = "rear"
    ALL = "all"
    FOUR = "four"
    """All four wheels, switched on by the driver."""


class Colour(StrEnum):
    """The main colour outside."""

    BLACK = "black"
    WHITE = "white"
    SILVER = "silver"
    GREY = "grey"
    BLUE = "blue"
    RED = "red"
    GREEN = "green"
    BROWN = "brown"
    BEIGE = "beige"
    YELLOW = "yellow"
    ORANGE = "orange"
    GOLD = "gold"
    PURPLE = "purple"
    OTHER = "other"


class Condition(StrEnum):
    """How well the car is kept."""

    NEW = "new"
    LIKE_NEW = "like_new"
    GOOD = "good"
    FAIR = "fair"
    NEEDS_WORK = "needs_work"
    FOR_PARTS = "for_parts"


class TitleStatus(StrEnum):
    """What the papers of the car say of its past, and of who owns it."""

    CLEAN = "clean"
    REBUILT = "rebuilt"
    SALVAGE = "salvage"
    LIEN = "lien"
    MISSING = "missing"


POWER_STEPS = (40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600)
"""In kilowatts. A search by power reads the cars between two steps, and looks at the numbers of these cars only."""
ENGINE_STEPS = (800, 1_000, 1_200, 1_400, 1_600, 1_800, 2_000, 2_500, 3_000, 4_000, 5_000, 6_500)
"""The same, in cubic centimetres."""
