"""Every way in which a picture can fail, named once; api/problems.py says what each is to a client."""

from __future__ import annotations


class PictureRefused(Exception):
    """The upload itself is at fault; `reason` is a sentence for the person who sent it, without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedPicture(PictureRefused):
    """Its content is not JPEG, PNG or WebP, whatever its name or its declared media type says."""


class PictureTooLarge(PictureRefused):
    """Too many bytes or pixels, or more memory or time needed than one picture may take."""


class BrokenPicture(PictureRefused):
    """It says that it is one of the accepted formats, but cannot be decoded from beginning to end."""


class PicturesBusy(Exception):
    """The server is at fault, and for a while: too many pictures wait, or none can be processed now. Try again."""


class StorageUnavailable(Exception):
    """The folder or bucket with the pictures cannot be reached or refuses; nothing is known about the picture."""


class PictureMissing(LookupError):
    """The storage answers, and has no file by this key."""
