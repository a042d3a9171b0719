"""The failures of pictures. api/problems.py has the problem that a client gets for each."""

from __future__ import annotations


class PictureRefused(Exception):
    """The upload itself is wrong. `reason` is a sentence for the uploader, without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedPicture(PictureRefused):
    """The content is of no accepted format (`formats`), whatever the file's name or its declared media type says."""


class PictureTooLarge(PictureRefused):
    """The picture has too many bytes or pixels, or needs more memory or time than one picture may take."""


class BrokenPicture(PictureRefused):
    """The content claims to be one of the accepted formats, but cannot be decoded from beginning to end."""


class PicturesBusy(Exception):
    """Too many pictures wait, or none can be processed now: try again later."""


class TooManyPictures(Exception):
    """The account has as many pictures under way as one account may have: try again when one of them is done."""


class StorageUnavailable(Exception):
    """The folder or bucket of the pictures cannot be reached, or refuses. The request may have taken effect."""


class PictureMissing(LookupError):
    """The storage answers, but has no file with this key."""
