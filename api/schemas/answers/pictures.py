"""Pictures, and uploads that go on after a lost connection."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain import pictures, uploads
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.times import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSize:
    """A smaller size of a picture: its path on this host, and its width in pixels."""

    url: str
    width: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The URLs are paths on this host; width and height are in pixels.

    `sizes` has the smaller ones, the smallest first. The thumbnail is one of them. Pictures that were stored by an
    earlier version have none but the thumbnail, and `sizes` is empty.
    """

    id: Id
    url: str
    thumbnail_url: str
    width: Number
    height: Number
    sizes: list[PictureSize]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How much of a picture's file has arrived, in bytes. `picture` was made of it, unless it was removed since."""

    id: Id
    url: str
    length: Number
    offset: Number
    is_complete: bool
    expires_at: Timestamp
    picture: Picture | None


def upload(upload: uploads.Upload, picture_: pictures.Picture | None) -> Upload:
    return Upload(
        id=upload.id,
        url=f"/api/uploads/{upload.id}",
        length=upload.length,
        offset=upload.offset,
        is_complete=upload.is_complete,
        expires_at=rfc3339(upload.expires_at),
        picture=None if picture_ is None else picture(picture_),
    )


def picture(picture: pictures.Picture) -> Picture:
    return Picture(
        id=picture.id,
        url=pictures.ADDRESS.format(id=picture.id),
        thumbnail_url=pictures.THUMBNAIL_ADDRESS.format(id=picture.id),
        width=picture.width,
        height=picture.height,
        sizes=[
            PictureSize(url=address.format(id=picture.id), width=width)
            for address, width in (
                (pictures.THUMBNAIL_ADDRESS, picture.thumbnail_width),
                (pictures.MEDIUM_ADDRESS, picture.medium_width),
            )
            if width is not None
        ],
    )
