"""Vehicle identification numbers, for the form of somebody who offers a car."""

from __future__ import annotations

from api.call import Call
from api.schemas.answers import listings as answers
from api.schemas.vin import VinQuery
from shared.domain.vin import decoded


async def read(call: Call) -> answers.Vin:
    """What a VIN says of its car."""
    return answers.decoded_vin(decoded(call.query(VinQuery).vin))
