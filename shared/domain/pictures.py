"""Pictures of a listing as the database stores them: keys of files, sizes, media types. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_PICTURES = 10
"""The most pictures that one listing may have."""


PICTURES = "/api/listings/{id}/pictures"
ADDRESS = "/api/pictures/{id}"
MEDIUM_ADDRESS = ADDRESS + "/medium"
THUMBNAIL_ADDRESS = ADDRESS + "/thumbnail"
"""The paths at which the API takes and serves the files."""

MESSAGE_PICTURES = "/api/messages/pictures"
MESSAGE_PICTURE = MESSAGE_PICTURES + "/{id}"
MESSAGE_PICTURE_MEDIUM = MESSAGE_PICTURE + "/medium"
MESSAGE_PICTURE_THUMBNAIL = MESSAGE_PICTURE + "/thumbnail"
"""The same of pictures of private messages."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is kept of a picture to find its copies (api/pictures/likeness.py)."""

    print: bytes
    """The picture in a few grey pixels, and its coarse colours."""
    frequencies: tuple[float, ...]
    """Its lowest frequencies. Each is at most about 1: the contrast of the picture does not count."""
    indexed: tuple[float, ...]
    """The frequencies by which an index finds the picture."""
    reach: tuple[float, ...]
    """How far a crop can move each of these, divided by two: a copy has a reach of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallerSizes:
    """The smaller sizes of a picture, before its row names them. The extensions of the keys match the media types.

    Sizes of files are in bytes, widths and heights in pixels.
    """

    medium_key: str
    medium_content_type: str
    medium_size: int
    medium_width: int
    thumbnail_key: str
    thumbnail_content_type: str
    thumbnail_size: int
    thumbnail_width: int
    likeness: Likeness | None = None
    """None if there is nothing on it that could be recognised."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all the files."""
        return self.medium_key, self.thumbnail_key


class LikenessState(StrEnum):
    """Whether the likeness of a picture is kept, or why there is none."""

    KEPT = "kept"
    BLANK = "blank"
    """Nothing on the picture can be recognised."""
    MISSING = "missing"
    """The storage has no file of it."""
    UNREADABLE = "unreadable"

    @classmethod
    def of(cls, likeness: Likeness | None) -> LikenessState:
        """Returns the state of a picture that was processed."""
        return cls.BLANK if likeness is None else cls.KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPicture(SmallerSizes):
    """A picture in its three sizes before it has a row."""

    key: str
    content_type: str
    size: int
    width: int
    height: int

    @property
    def keys(self) -> tuple[str, ...]:
        return self.key, self.medium_key, self.thumbnail_key


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a listing; widths and heights are in pixels.

    Pictures that were stored before there was a medium size have none until api/pictures/missing_sizes.py makes it, and
    the width of their thumbnail is unknown.
    """

    id: int
    listing_id: int
    key: str
    content_type: str
    width: int
    height: int
    medium_key: str | None
    medium_content_type: str | None
    medium_width: int | None
    thumbnail_key: str
    thumbnail_content_type: str
    thumbnail_width: int | None


@dataclass(frozen=True, slots=True)
class MessagePicture:
    """A picture for a private message; widths and heights are in pixels."""

    id: int
    key: str
    content_type: str
    width: int
    height: int
    medium_key: str
    medium_content_type: str
    medium_width: int
    thumbnail_key: str
    thumbnail_content_type: str
    thumbnail_width: int


class PictureNotFound(Exception):
    """There is no such picture, or it belongs to another listing."""


class NotItsPictures(Exception):
    """Some of the pictures that a new order names are not of this listing."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(f"not pictures of this listing: {ids}")
        self.ids = ids


class FilesGivenUp(Exception):
    """The row came too late: the files had been given up and are deleted."""


class ListingIsFull(Exception):
    """The listing already has MAX_PICTURES pictures."""
