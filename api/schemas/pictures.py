"""Bodies about pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from shared.domain.declared import Different, Identifier
from shared.domain.pictures import MAX_PICTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrderBody:
    """The order of a listing's pictures."""

    pictures: Annotated[
        list[int], Different(Identifier(), MAX_PICTURES), "Ids of pictures of this listing, the cover first."
    ]
