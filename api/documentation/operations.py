"""What the OpenAPI document says about a route in addition to its handler: the route's own problems, an example.

A route needs a line here only for these. `document` adds the problems that follow from the route itself: from a token,
a path id, a body, a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from api import problems
from api.problems import Problem
from api.schemas.answers import pictures as answers
from shared.health import HealthState

JSON = "application/json"
IMAGES = ("image/jpeg", "image/webp")


@dataclass(frozen=True, slots=True)
class Header:
    """`words` says what it is for, and `pattern` is a regular expression of its values."""

    name: str
    words: str
    pattern: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`example` is a body that the API accepts."""

    needs_body: bool = True
    """For a route with a body: whether the client must send one, even if it is only `{}`."""
    problems: tuple[type[Problem], ...] = ()
    example: Mapping[str, Any] | None = None
    answer: type | None = None
    """For a handler that returns a response: the class of its JSON."""
    headers: tuple[Header, ...] = ()
    """Headers that the client must send."""
    may_be_empty: bool = False
    """Whether a successful answer may also be 204."""
    files: tuple[str, ...] = ()
    """For a handler that returns a response: its media types, if it is not JSON."""


PASSWORD = "correct horse battery"

OPERATIONS: Mapping[tuple[str, str], Operation] = MappingProxyType(
    {
        ("GET", "/health/live"): Operation(answer=HealthState),
        ("GET", "/health/ready"): Operation(answer=HealthState),
        ("GET", "/metrics"): Operation(files=("text/plain",)),
        ("GET", "/api/openapi.json"): Operation(files=(JSON,)),
        ("GET", "/api/docs"): Operation(files=("text/html",)),
        # accounts
        ("POST", "/api/register"): Operation(
            problems=(problems.EmailTaken,), example={"email": "dave@example.com", "password": PASSWORD, "name": "Dave"}
        ),
        ("POST", "/api/login"): Operation(
            problems=(
                *(problems.WrongCredentials, problems.SecondFactorNeeded),
                *(problems.WrongCode, problems.BannedUser),
            ),
            example={"email": "dave@example.com", "password": PASSWORD},
        ),
        ("POST", "/api/password/strength"): Operation(example={"password": PASSWORD, "name": "Dave"}),
        ("POST", "/api/password/forgotten"): Operation(
            problems=(problems.NoMail,), example={"email": "dave@example.com"}
        ),
        ("POST", "/api/password/reset"): Operation(
            problems=(problems.InvalidLink,), example={"token": "what the link in the mail has", "password": PASSWORD}
        ),
        ("POST", "/api/address/confirm"): Operation(
            problems=(problems.InvalidLink, problems.EmailTaken), example={"token": "what the link in the mail has"}
        ),
        ("POST", "/api/me/address/link"): Operation(problems=(problems.Conflict, problems.NoMail)),
        ("POST", "/api/token/refresh"): Operation(
            problems=(problems.InvalidRefreshToken, problems.BannedUser),
            example={"refresh_token": "the one that the last log-in or refresh gave"},
        ),
        ("PATCH", "/api/me"): Operation(
            problems=(problems.WrongPassword, problems.EmailTaken), example={"name": "David"}
        ),
        ("DELETE", "/api/me"): Operation(
            problems=(
                problems.WrongPassword,
                problems.LastAdmin,
            ),
            example={"current_password": PASSWORD},
        ),
        ("POST", "/api/me/passkeys/options"): Operation(
            problems=(problems.WrongPassword, problems.WrongCode, problems.NoPasskeysHere),
            example={"current_password": PASSWORD},
        ),
        ("POST", "/api/me/passkeys"): Operation(
            problems=(problems.PasskeyKnown, problems.TooManyPasskeys, problems.NoPasskeysHere),
            example={"name": "My phone", "credential": {"id": "...", "type": "public-key", "response": {}}},
        ),
        ("DELETE", "/api/me/passkeys/{id}"): Operation(
            problems=(problems.WrongPassword,), example={"current_password": PASSWORD}
        ),
        ("POST", "/api/login/passkey/options"): Operation(problems=(problems.NoPasskeysHere,)),
        ("POST", "/api/login/passkey"): Operation(
            problems=(problems.PasskeyRefused, problems.BannedUser, problems.NoPasskeysHere),
            example={"credential": {"id": "...", "type": "public-key", "response": {}}},
        ),
        ("GET", "/api/me/export"): Operation(files=(JSON,)),
        ("POST", "/api/me/second-factor"): Operation(
            problems=(problems.WrongPassword, problems.SecondFactorOn), example={"current_password": PASSWORD}
        ),
        ("PUT", "/api/me/second-factor"): Operation(
            problems=(problems.WrongCode, problems.SecondFactorOff, problems.Conflict), example={"code": "123456"}
        ),
        **{
            (method, f"/api/me/second-factor{rest}"): Operation(
                problems=(problems.WrongPassword, problems.WrongCode, problems.SecondFactorOff),
                example={"current_password": PASSWORD, "code": "123456"},
            )
            for method, rest in (("DELETE", ""), ("POST", "/recovery-codes"))
        },
        ("POST", "/api/me/push"): Operation(
            problems=(problems.PushOff, problems.Conflict),
            example={
                "endpoint": "https://push.example.com/one",
                "keys": {
                    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
                },
            },
        ),
        ("PATCH", "/api/me/mail"): Operation(example={"kind": "reply", "choice": "never"}),
        # users
        ("PUT", "/api/users/{id}/role"): Operation(problems=(problems.LastAdmin,), example={"role": "moderator"}),
        ("PUT", "/api/users/{id}/ban"): Operation(
            problems=(problems.Conflict,), example={"reason": "sells what is not his"}
        ),
        ("PUT", "/api/users/{id}/block"): Operation(problems=(problems.Conflict,)),
        # categories
        ("POST", "/api/categories"): Operation(
            problems=(problems.CategoryNameTaken,), example={"name": "Convertibles", "visibility": "public"}
        ),
        ("PATCH", "/api/categories/{id}"): Operation(
            problems=(problems.CategoryNameTaken,), example={"visibility": "private"}
        ),
        # listings
        ("GET", "/api/listings"): Operation(problems=(problems.Forbidden,)),
        ("GET", "/api/listings/facets"): Operation(problems=(problems.Forbidden,)),
        ("POST", "/api/listings"): Operation(
            example={
                "title": "2015 Toyota Camry",
                "content": "One owner, no accidents.",
                "category_id": 1,
                "visibility": "public",
                "make": "Toyota",
                "model": "Camry",
                "year": 2015,
                "mileage": 82000,
                "price": 9500,
                "location": "Scranton, PA",
            }
        ),
        ("PATCH", "/api/listings/{id}"): Operation(example={"status": "sold", "price": 9000}),
        ("PUT", "/api/listings/{id}/hidden"): Operation(
            needs_body=False,
            problems=(problems.Conflict,),
            example={"reason": "looks like fraud", "until": "2099-01-01T00:00:00Z"},
        ),
        ("DELETE", "/api/listings/{id}/hidden"): Operation(problems=(problems.Conflict,)),
        ("PUT", "/api/listings/{id}/renewed"): Operation(problems=(problems.RenewedRecently,)),
        # trash
        ("POST", "/api/trash/{id}/restore"): Operation(
            needs_body=False, problems=(problems.Conflict,), example={"category_id": 1}
        ),
        # pictures
        ("POST", "/api/listings/{id}/pictures"): Operation(problems=(problems.ListingIsFull, problems.BadRequest)),
        ("POST", "/api/listings/{id}/uploads"): Operation(
            answer=answers.Upload,
            problems=(problems.TooLarge,),
            headers=(
                Header("Upload-Length", "How many bytes the file has.", "^[0-9]{1,15}$", "5000000"),
                Header("Upload-Complete", "That nothing of it is in this request.", r"^\?0$", "?0"),
            ),
        ),
        ("GET", "/api/uploads/{id}"): Operation(answer=answers.Upload),
        ("PATCH", "/api/uploads/{id}"): Operation(
            answer=answers.Picture,
            may_be_empty=True,
            problems=(
                *(problems.BadRequest, problems.TooSlow, problems.InconsistentLength),
                *(problems.MismatchingOffset, problems.ListingIsFull, problems.CompletedUpload),
                *(problems.TooLarge, problems.WrongMediaType),
            ),
            headers=(
                Header(
                    "Upload-Offset",
                    "Which byte of the file comes first: as many have arrived.",
                    "^[0-9]{1,15}$",
                    "1048576",
                ),
                Header(
                    "Upload-Complete",
                    "`?1` if the file ends with these bytes, and `?0` if more follow.",
                    r"^\?[01]$",
                    "?1",
                ),
            ),
        ),
        ("PUT", "/api/listings/{id}/pictures/order"): Operation(example={"pictures": [2, 1]}),
        ("GET", "/api/pictures/{id}"): Operation(files=IMAGES),
        ("GET", "/api/pictures/{id}/medium"): Operation(files=IMAGES),
        ("GET", "/api/pictures/{id}/thumbnail"): Operation(files=IMAGES),
        # replies
        ("POST", "/api/listings/{id}/replies"): Operation(
            problems=(problems.ListingTooOld, problems.Blocked, problems.Blocking),
            example={"text": "Is it still available?"},
        ),
        # what buyers hear of
        ("POST", "/api/searches"): Operation(
            problems=(problems.TooManySearches,),
            example={"name": "Camry up to $10,000", "query": {"q": "camry", "price_max": "10000"}},
        ),
        ("PATCH", "/api/searches/{id}"): Operation(example={"name": "A Camry"}),
        ("PUT", "/api/listings/{id}/favourite"): Operation(problems=(problems.TooManyFavourites, problems.Conflict)),
        ("PUT", "/api/alerts/seen"): Operation(example={"up_to": 1}),
        # moderation
        ("POST", "/api/listings/{id}/reports"): Operation(
            problems=(problems.AlreadyReported, problems.Conflict),
            example={"reason": "sold", "text": "I bought it last week."},
        ),
        **{
            ("POST", f"/api/{kind}/{{id}}/reports"): Operation(
                problems=(problems.AlreadyReported, problems.Conflict),
                example={"reason": "fraud", "text": "Pay first."},
            )
            for kind in ("users", "messages", "replies")
        },
        **{
            ("PUT", f"/api/moderation/queue/{kind}/{{id}}/resolved"): Operation(
                example={"up_to": "2026-11-26T12:00:00.000001Z"}
            )
            for kind in ("listings", "people")
        },
        ("PUT", "/api/holds/{id}/decision"): Operation(example={"decision": "let_go"}),
        ("POST", "/api/users/{id}/warnings"): Operation(
            problems=(problems.Conflict,), example={"reason": "Please write only to people about their cars."}
        ),
        ("PUT", "/api/users/{id}/suspension"): Operation(
            problems=(problems.Conflict, problems.LastAdmin),
            example={"reason": "Sends the same offer to everybody.", "days": 7},
        ),
        ("POST", "/api/objections"): Operation(
            problems=(problems.InvalidLink, problems.AlreadyObjected),
            example={"token": "the token of the sanction", "text": "It was my brother."},
        ),
        ("PUT", "/api/objections/{id}/decision"): Operation(
            problems=(problems.Conflict, problems.AlreadyDecided),
            example={"outcome": "lifted", "answer": "You are right, and we are sorry."},
        ),
        **{
            ("POST", f"/api/{kind}/{{id}}/notes"): Operation(example={"text": "Has two accounts, it seems."})
            for kind in ("users", "listings")
        },
        ("DELETE", "/api/reports/{id}/resolved"): Operation(problems=(problems.AlreadyReported,)),
        # private messages
        ("POST", "/api/messages"): Operation(
            problems=(problems.Blocked, problems.Blocking, problems.NoRequests),
            example={"to": 2, "message": "Hey, how are you?", "client_ref": "my-first-message"},
        ),
        ("POST", "/api/messages/pictures"): Operation(problems=(problems.Conflict, problems.BadRequest)),
        **{
            ("GET", f"/api/messages/pictures/{{id}}{size}"): Operation(files=IMAGES)
            for size in ("", "/medium", "/thumbnail")
        },
        ("PUT", "/api/conversations/{user_id}/request"): Operation(example={"state": "accepted"}),
        ("PUT", "/api/conversations/{user_id}/read"): Operation(example={"up_to": 1}),
    }
)
