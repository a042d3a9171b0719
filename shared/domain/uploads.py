"""A picture's file that arrives in parts, so that it can go on after a lost connection. Pure.

The parts and the words are those of draft-ietf-httpbis-resumable-upload: offset, length, complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

PARTIAL = "application/partial-upload"
"""The media type of bytes that are appended."""

MAX_UPLOADS = 12
"""The most uploads of one user that are kept. The one that has stood still for longest ends when another begins."""

LEAST_APPENDED = 16 * 1024
"""The fewest bytes that are appended at once, unless the file ends with them: this bounds the number of parts."""

STEP_BYTES = 512 * 1024
"""While bytes arrive, so many at a time are stored: a process that dies loses fewer."""

QUIET_SECONDS = 0.3
"""When nothing has arrived for so long, what there is is stored. The line may have been cut without a sign, as it is
when a phone changes networks, and the client asks soon how much has arrived."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload of a user to a listing. Offset and length are in bytes: how many have arrived, and of how many."""

    id: int
    user_id: int
    listing_id: int
    length: int
    offset: int
    picture_id: int | None
    expires_at: datetime

    @property
    def is_complete(self) -> bool:
        """True if the file was made a picture."""
        return self.picture_id is not None


class UploadNotFound(Exception):
    """There is no such upload of this user, or its time is over."""


class UploadsFull(Exception):
    """The unfinished uploads of all users have as many bytes as they may have together."""


class CompletedUpload(Exception):
    """The file was made a picture already."""


class MismatchingOffset(Exception):
    """The bytes begin elsewhere than where those that have arrived end, which is at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload is at {offset}")
        self.offset = offset


class InconsistentLength(Exception):
    """There are more or fewer bytes than the upload's length says."""
