"""Every failure that a REST client can see, as RFC 9457 problem details.

PROBLEM_OF says which problem a client gets for each failure of the domain. Handlers do not catch these failures, unless
one means something else on their route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from api.passkey_ceremonies import NoHostName
from api.pictures import errors as picture_errors
from api.schemas.answers import common as answers
from shared.access import admission, vault
from shared.domain import (
    alerts,
    findings,
    holds,
    listings,
    mails,
    messages,
    moderation,
    passkeys,
    pictures,
    push,
    repeats,
    replies,
    reports,
    sanctions,
    second_factor,
    uploads,
    users,
)
from shared.domain.alerts import MAX_FAVOURITES, MAX_SEARCHES
from shared.domain.passkeys import MAX_PASSKEYS
from shared.domain.pictures import MAX_PICTURES
from shared.domain.text import in_words
from shared.domain.times import in_words as time_in_words
from shared.domain.times import rfc3339
from shared.postgres import DatabaseUnavailable
from shared.security_events import SecurityEvent

Errors = Mapping[str, Any]

MOST_NAMES = 10
"""The most unknown or repeated names that an answer lists, so that a long request gets a short answer."""
LONGEST_NAME = 100
"""The most characters of such a name that an answer has."""


def name_errors(names: Iterable[str], sentence: str) -> dict[str, list[str]]:
    """Returns the sentence as the error of the first MOST_NAMES names, each cut after LONGEST_NAME characters."""
    return {name[:LONGEST_NAME]: [sentence] for name in islice(names, MOST_NAMES)}


class Problem(Exception):
    """An error answer. Any code below a handler may raise it. Each subclass is one kind, with its status and `type`."""

    status = 500
    slug = "internal-error"
    title = "Internal error"
    event: ClassVar[SecurityEvent | None] = None
    """The security event that is counted and logged with each such problem; None if it does not concern security."""
    about: Mapping[str, object] = MappingProxyType({})
    """More fields of the event's log line. They have no secrets."""

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Errors | None = None,
        headers: Mapping[str, str] | None = None,
        again_at: str | None = None,
        objection_token: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.again_at = again_at
        self.objection_token = objection_token
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        body = answers.Problem(
            type=f"/problems/{self.slug}",
            title=self.title,
            status=self.status,
            detail=self.detail or self.title + ".",
            errors=answers.ABSENT if self.errors is None else _encodable(self.errors),
            again_at=self.again_at or answers.ABSENT,
            objection_token=self.objection_token or answers.ABSENT,
        )
        return web.Response(
            body=msgspec.json.encode(body),
            status=self.status,
            headers=self.headers,
            content_type="application/problem+json",
        )


class NotJson(Problem):
    status, slug, title = 400, "not-json", "The body is not JSON"


class BadRequest(Problem):
    status, slug, title = 400, "bad-request", "Bad request"


class Unauthorized(Problem):
    status, slug, title = 401, "unauthorized", "Authentication needed"

    def __init__(self, detail: str = "", *, token_is_bad: bool = False) -> None:
        challenge = 'Bearer error="invalid_token"' if token_is_bad else "Bearer"
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class WrongCredentials(Problem):
    status, slug, title = 401, "wrong-credentials", "Wrong e-mail address or password"
    event = SecurityEvent.LOGIN_FAILED

    def __init__(self, account_id: int | None = None) -> None:
        """`account_id` is the user with the address, if there is one; the client is not told."""
        super().__init__(headers={"WWW-Authenticate": "Bearer"})
        self.about = {"account_id": account_id}


class SecondFactorNeeded(Problem):
    """The password was right. The request has to be sent again with a code."""

    status, slug, title = 401, "second-factor-needed", "A code of your second factor is needed"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class WrongCode(Problem):
    status, slug, title = 403, "wrong-code", "The code is wrong, or was used before"
    event = SecurityEvent.LOGIN_FAILED


class SecondFactorRequired(Problem):
    """The user's role would allow it, but this site asks its staff for a second factor."""

    status, slug, title = 403, "second-factor-required", "Your role needs a second factor"
    event = SecurityEvent.ACCESS_REFUSED


class SecondFactorOn(Problem):
    status, slug, title = 409, "second-factor-on", "You have a second factor already"


class SecondFactorOff(Problem):
    status, slug, title = 409, "second-factor-off", "There is no second factor"


class PasskeyRefused(Problem):
    status, slug, title = 401, "passkey-refused", "The passkey was refused"
    event = SecurityEvent.LOGIN_FAILED

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class PasskeyKnown(Problem):
    status, slug, title = 409, "passkey-known", "This passkey is known already"


class TooManyPasskeys(Problem):
    status, slug, title = 409, "too-many-passkeys", f"You have {MAX_PASSKEYS} passkeys, which is the most"


class NoPasskeysHere(Problem):
    status, slug, title = 409, "no-passkeys-here", "Passkeys need an address with a host name"


class InvalidRefreshToken(Problem):
    status, slug, title = 401, "invalid-refresh-token", "The refresh token is invalid or has expired"
    event = SecurityEvent.LOGIN_FAILED

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "Not allowed"
    event = SecurityEvent.ACCESS_REFUSED


class WrongPassword(Problem):
    status, slug, title = 403, "wrong-password", "The current password is wrong"
    event = SecurityEvent.LOGIN_FAILED


class BannedUser(Problem):
    """Also of a suspended user, whose ban a moderator has given for a time. api/banned.py says why."""

    status, slug, title = 403, "banned", "You are banned"
    event = SecurityEvent.ACCESS_REFUSED

    def __init__(self, detail: str = "", *, what: str = "banned", objection_token: str | None = None) -> None:
        super().__init__(detail, objection_token=objection_token)
        self.title = f"You are {what}"


class Blocked(Problem):
    status, slug, title = 403, "blocked", "The recipient has blocked you"


class Blocking(Problem):
    status, slug, title = 403, "blocking", "You have blocked this person"


class NoRequests(Problem):
    status, slug, title = 403, "only-about-listings", "This person takes messages only about their listings"


class NotConfirmed(Problem):
    status, slug, title = 403, "address-not-confirmed", "Confirm your e-mail address first"

    def __init__(self) -> None:
        super().__init__("Open the link in the mail that we sent you. Your account's page sends it again.")


class UnreadWarning(Problem):
    status, slug, title = 403, "unread-warning", "There is a message from the site that you have to read first"

    def __init__(self) -> None:
        super().__init__("Read the warnings at /api/me/warnings, and confirm that you have read them.")


class StaffProtected(Forbidden):
    def __init__(self) -> None:
        super().__init__("Only admins warn or suspend moderators and admins.")


class AnotherDecides(Forbidden):
    def __init__(self) -> None:
        super().__init__("You have given this sanction yourself, so somebody else decides about the objection.")


class AlreadyObjected(Problem):
    status, slug, title = 409, "already-objected", "You have objected to this already"


class AlreadyDecided(Problem):
    status, slug, title = 409, "already-decided", "Somebody has decided about this objection already"


class CategoryNameTaken(Problem):
    status, slug, title = 409, "category-name-taken", "Another category has this name"


class ListingTooOld(Problem):
    status, slug, title = 403, "listing-too-old", "The listing is more than a year old"


class NotFound(Problem):
    status, slug, title = 404, "not-found", "Not found"


class MethodNotAllowed(Problem):
    status, slug, title = 405, "method-not-allowed", "Method not allowed"


class TooSlow(Problem):
    # Not 408: browsers repeat such a request by themselves, and send a large picture twice in vain.
    status, slug, title = 400, "too-slow", "The body came too slowly"

    def response(self) -> web.Response:
        response = super().response()
        # The rest of the body may still arrive on this connection.
        response.force_close()
        return response


class Conflict(Problem):
    status, slug, title = 409, "conflict", "Conflict"


class EmailTaken(Problem):
    status, slug, title = 409, "email-taken", "The e-mail address is taken"


class RenewedRecently(Problem):
    """`again_at` says when it can be renewed again, and so does `Retry-After`, in seconds."""

    status, slug, title = 409, "renewed-recently", "The listing was renewed a short while ago"

    def __init__(self, renewed: listings.RenewedRecently) -> None:
        again_at = rfc3339(renewed.again_at)
        detail = f"It can be renewed again from {again_at} on."
        super().__init__(detail, headers={"Retry-After": str(renewed.seconds)}, again_at=again_at)


class NewAccountLimited(Problem):
    """`again_at` says when it can be done again, and so does `Retry-After`, in seconds."""

    status, slug, title = 429, "new-account-limit", "A new account may do this only so often in a day"
    event = SecurityEvent.LIMITED

    def __init__(self, limited: users.NewAccountLimited) -> None:
        again_at = rfc3339(limited.again_at)
        detail = f"You can do it again from {time_in_words(limited.again_at)} on."
        super().__init__(detail, headers={"Retry-After": str(limited.seconds)}, again_at=again_at)
        self.about = {"limit": "new account"}


class AlreadyReported(Problem):
    status, slug, title = 409, "already-reported", "You have reported this already"


class ListingIsFull(Problem):
    status, slug, title = 409, "too-many-pictures", f"A listing has room for {in_words(MAX_PICTURES)} pictures"


class MismatchingOffset(Problem):
    """`Upload-Offset` of the answer says where the upload is. The draft names this type and the next two."""

    status, slug, title = 409, "mismatching-upload-offset", "The upload is at another offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"{offset} bytes have arrived.", headers={"Upload-Offset": str(offset)})


class InconsistentLength(Problem):
    status, slug, title = 400, "inconsistent-upload-length", "The upload has another length"


class CompletedUpload(Problem):
    status, slug, title = 410, "completed-upload", "The upload is complete"


class TooManySearches(Problem):
    status, slug, title = 409, "too-many-searches", f"You have {MAX_SEARCHES} saved searches, which is the most"


class TooManyFavourites(Problem):
    status, slug, title = 409, "too-many-favourites", f"You have {MAX_FAVOURITES} favourites, which is the most"


class KeyInUse(Problem):
    status, slug, title = (
        409,
        "idempotency-key-in-use",
        "The first request with this Idempotency-Key is still under way",
    )

    def __init__(self) -> None:
        super().__init__("Repeat it soon, to get its answer.", headers={"Retry-After": "1"})


class PushOff(Problem):
    status, slug, title = 409, "push-off", "This service sends no push messages"


class LastAdmin(Problem):
    status, slug, title = 409, "last-admin", "The last admin must stay"


class ChangedMeanwhile(Problem):
    status, slug, title = 412, "changed-meanwhile", "It has been changed since you read it"


class TooLarge(Problem):
    status, slug, title = 413, "too-large", "The body is too large"


class WrongMediaType(Problem):
    status, slug, title = 415, "wrong-media-type", "Wrong media type"


class UnknownExpectation(Problem):
    status, slug, title = 417, "unknown-expectation", "Only `Expect: 100-continue` is known"


class Invalid(Problem):
    """`errors` has a list of sentences for each field; for a nested object it has such a mapping again."""

    status, slug, title = 422, "invalid", "Wrong values"

    def __init__(self, errors: Errors) -> None:
        super().__init__("Some values are wrong: see errors.", errors=errors)


class KeyReused(Problem):
    status, slug, title = 422, "idempotency-key-reused", "Another request had this Idempotency-Key"

    def __init__(self) -> None:
        errors = {"Idempotency-Key": ["Belongs to another request: choose a new one for each."]}
        super().__init__("Nothing was changed.", errors=errors)


class TooManyRequests(Problem):
    status, slug, title = 429, "too-many-requests", "Too many requests"
    event = SecurityEvent.LIMITED

    def __init__(self, retry_after_seconds: int, limit: str) -> None:
        """`limit` is the name of the limit that is used up, for the operator."""
        super().__init__("Try again later.", headers={"Retry-After": str(retry_after_seconds)})
        self.about = {"limit": limit}


class HeadTooLarge(Problem):
    status, slug, title = 431, "head-too-large", "The address or a header is too long"


class InvalidLink(Problem):
    status, slug, title = 410, "link-invalid", "The link was used already, or has expired"


class NoMail(Problem):
    status, slug, title = 503, "no-mail", "This server sends no mail"

    def __init__(self) -> None:
        super().__init__("Ask whoever runs it.", headers={"Retry-After": "86400"})


class InternalError(Problem):
    pass


class Unavailable(Problem):
    status, slug, title = 503, "unavailable", "Not available right now"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail or "Try again soon.", headers={"Retry-After": str(retry_after_seconds)})


def _encodable(value: Any) -> Any:
    """Returns the value without lone surrogates: `errors` repeats names of unknown fields, which may have some."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case Mapping():
            return {_encodable(str(key)): _encodable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_encodable(inner) for inner in value]
        case _:
            return value


def _is(kind: Callable[[], Problem]) -> Callable[[Any], Problem]:
    return lambda _: kind()


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


PROBLEM_OF: Mapping[type[Exception], Callable[[Any], Problem]] = {
    DatabaseUnavailable: lambda _: Unavailable("The database is away. Try again soon."),
    admission.BadToken: lambda _: Unauthorized("The token is invalid or has expired.", token_is_bad=True),
    admission.UserGone: lambda _: Unauthorized("The session has ended.", token_is_bad=True),
    admission.SessionEnded: lambda _: Unauthorized("The session has ended.", token_is_bad=True),
    admission.Banned: _is(BannedUser),
    users.UserNotFound: _is(NotFound),
    users.SessionNotFound: _is(NotFound),
    users.EmailTaken: _is(EmailTaken),
    mails.TooManyLinks: lambda _: Conflict("Enough mails are on their way. Try again in some days."),
    users.PasswordChanged: _is(WrongPassword),
    users.NotConfirmed: _is(NotConfirmed),
    users.UnreadWarning: _is(UnreadWarning),
    second_factor.SecondFactorOn: _is(SecondFactorOn),
    second_factor.SecondFactorOff: _is(SecondFactorOff),
    second_factor.WrongCode: _is(WrongCode),
    passkeys.PasskeyRefused: _is(PasskeyRefused),
    passkeys.PasskeyKnown: _is(PasskeyKnown),
    passkeys.PasskeyNotFound: _is(NotFound),
    passkeys.TooManyPasskeys: _is(TooManyPasskeys),
    NoHostName: _is(NoPasskeysHere),
    vault.Locked: lambda _: Conflict("The seed cannot be read any more. Begin again."),
    users.LastAdmin: _is(LastAdmin),
    users.NewAccountLimited: NewAccountLimited,
    users.NoLongerAllowed: _is(Forbidden),
    mails.LinkUsed: _is(InvalidLink),
    messages.Blocked: _is(Blocked),
    messages.Blocking: _is(Blocking),
    messages.NoRequests: _is(NoRequests),
    messages.NoConversation: _is(NotFound),
    messages.MessageNotFound: _is(NotFound),
    messages.TooManyUnsentPictures: lambda _: Conflict(
        f"{messages.MAX_UNSENT_PICTURES} pictures wait to be sent. Send them, or delete some."
    ),
    messages.NotConfirmed: _is(NotConfirmed),
    messages.UnreadWarning: _is(UnreadWarning),
    listings.ListingNotFound: _is(NotFound),
    listings.CategoryNotFound: _is(NotFound),
    listings.CategoryNameTaken: _is(CategoryNameTaken),
    listings.CategoryNeeded: lambda _: Invalid({"category_id": ["Required, because the listing's category is gone."]}),
    listings.RenewedRecently: RenewedRecently,
    listings.SellerGone: lambda _: Conflict("The seller has left."),
    alerts.TooManySearches: _is(TooManySearches),
    alerts.SearchNotFound: _is(NotFound),
    alerts.TooManyFavourites: _is(TooManyFavourites),
    alerts.OwnListing: lambda _: Conflict("It is your own listing."),
    push.NoSession: lambda _: Conflict("The session has ended, or the token is of none."),
    repeats.KeyInUse: _is(KeyInUse),
    repeats.KeyReused: _is(KeyReused),
    replies.ReplyNotFound: _is(NotFound),
    findings.FindingNotFound: _is(NotFound),
    holds.HoldNotFound: _is(NotFound),
    reports.ReportNotFound: _is(NotFound),
    moderation.NothingWaits: _is(NotFound),
    reports.AlreadyReported: _is(AlreadyReported),
    reports.OwnReported: lambda _: Conflict("It is about yourself."),
    sanctions.StaffProtected: _is(StaffProtected),
    sanctions.OwnSanction: lambda _: Conflict("It is about yourself."),
    sanctions.BannedAlready: lambda _: Conflict("The user is banned, which is more."),
    sanctions.SanctionNotFound: _is(NotFound),
    sanctions.AlreadyObjected: _is(AlreadyObjected),
    sanctions.AlreadyDecided: _is(AlreadyDecided),
    sanctions.AnotherDecides: _is(AnotherDecides),
    sanctions.NoteNotFound: _is(NotFound),
    pictures.PictureNotFound: _is(NotFound),
    pictures.NotItsPictures: lambda error: Invalid(
        {"pictures": [f"Not pictures of this listing: {', '.join(map(str, error.ids))}."]}
    ),
    pictures.ListingIsFull: _is(ListingIsFull),
    pictures.FilesGivenUp: lambda _: Unavailable("It took too long. Try again.", retry_after_seconds=5),
    uploads.UploadNotFound: _is(NotFound),
    uploads.UploadsFull: lambda _: Unavailable("Too many uploads are unfinished.", retry_after_seconds=60),
    uploads.CompletedUpload: _is(CompletedUpload),
    uploads.MismatchingOffset: lambda error: MismatchingOffset(error.offset),
    uploads.InconsistentLength: _is(InconsistentLength),
    picture_errors.PictureMissing: _is(NotFound),
    picture_errors.UnsupportedPicture: lambda error: WrongMediaType(_sentence(error.reason)),
    picture_errors.PictureTooLarge: lambda error: TooLarge(_sentence(error.reason)),
    picture_errors.BrokenPicture: lambda error: Invalid({"picture": [_sentence(error.reason)]}),
    picture_errors.PicturesBusy: lambda error: Unavailable(_sentence(str(error)), retry_after_seconds=5),
    picture_errors.TooManyPictures: lambda _: TooManyRequests(5, "pictures at once"),
    picture_errors.StorageUnavailable: lambda _: Unavailable(
        "The picture storage is away. Try again soon.", retry_after_seconds=5
    ),
}
"""Each failure's class -> its problem. A class that is not listed has the problem of its nearest listed base class."""


def problem_of(error: Exception) -> Problem | None:
    """Returns the problem that a client gets for a failure; None for an unexpected failure."""
    for kind in type(error).__mro__:
        if kind in PROBLEM_OF:
            return PROBLEM_OF[kind](error)
    return None
