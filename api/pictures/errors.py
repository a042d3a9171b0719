"""Every failure of a picture, named once; api/problems.py has the problem that a client gets for each."""

from __future__ import annotations


class PictureRefused(Exception):
    """The upload itself is wrong; `reason` is a sentence for the person who sent it, without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedPicture(PictureRefused):
    """The content is not JPEG, PNG or WebP, whatever the file's name or its declared media type says."""


class PictureTooLarge(PictureRefused):
    """The picture has too many bytes or pixels, or needs more memory or time than one picture may take."""


class BrokenPicture(PictureRefused):
    """The content claims to be one of the accepted formats, but cannot be decoded from beginning to end."""


class PicturesBusy(Exception):
    """Too many pictures wait, or none can be processed at the moment: try again later."""


class StorageUnavailable(Exception):
    """The folder or bucket with the pictures cannot be reached, or refuses: the request may or may not have worked."""


class PictureMissing(LookupError):
    """The storage answers, and has no file with this key."""
