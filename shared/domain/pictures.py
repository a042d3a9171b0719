"""Pictures of a listing, as the database knows them: keys of files, sizes, media types. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PICTURES = 10
"""Of one listing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPicture:
    """Two files on their way to a row; media types are also told by the keys' endings."""

    key: str
    content_type: str
    size: int
    """In bytes."""
    width: int
    height: int
    thumbnail_key: str
    thumbnail_content_type: str
    thumbnail_size: int

    @property
    def keys(self) -> tuple[str, str]:
        return self.key, self.thumbnail_key


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a listing; sizes of the picture itself in pixels."""

    id: int
    listing_id: int
    key: str
    content_type: str
    width: int
    height: int
    thumbnail_key: str
    thumbnail_content_type: str


class PictureNotFound(Exception):
    """No such picture, or not of this listing."""


class FilesGivenUp(Exception):
    """The row came so late that its files were, or are being, deleted as nobody's."""


class ListingIsFull(Exception):
    """The listing has as many pictures as one may have."""
