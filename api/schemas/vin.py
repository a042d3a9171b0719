"""The query about a vehicle identification number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.derived import Query
from shared.domain.declared import VehicleNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class VinQuery(Query):
    vin: Annotated[str, VehicleNumber(), "The number."]
