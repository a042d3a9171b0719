"""What the OpenAPI document says about each route in addition to `routes`: summary, answer, the route's own problems.

`document` adds the problems that follow from the route itself: from a token, a path id, a body, a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from api import problems
from api.problems import Problem
from api.schemas import answers
from shared.domain.pictures import MAX_PICTURES
from shared.domain.text import in_words
from shared.events.messages import Message

JSON = "application/json"
IMAGES = ("image/jpeg", "image/webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`example` is a body that the API accepts; `files` are the media types of an answer that is not JSON."""

    needs_body: bool = True
    """For a route with a body: whether the client must send one, even if it is only `{}`."""
    summary: str
    status: int = 200
    answer: type | None = None
    is_page: bool = False
    """True if the answer is a page of objects of the type `answer`."""
    files: tuple[str, ...] = ()
    problems: tuple[type[Problem], ...] = ()
    example: Mapping[str, Any] | None = None


def _page(summary: str, kind: type, *own: type[Problem]) -> Operation:
    return Operation(summary=summary, answer=kind, is_page=True, problems=own)


def _no_content(summary: str, *own: type[Problem], example: Mapping[str, Any] | None = None) -> Operation:
    return Operation(summary=summary, status=204, problems=own, example=example)


PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "after_id": "Only messages with a greater id; 0 reads from the first one.",
        "banned": "true: only users who are banned now; false: only the others.",
        "category_id": "Only this category.",
        "cursor": "`next_cursor` of the previous page.",
        "hidden": "For moderators. true: only hidden listings; false: only the others.",
        "limit": "Items on a page.",
        "make": "Only this make; case and accents are ignored.",
        "mileage_max": "At most this many miles.",
        "model": "Only this model; case and accents are ignored.",
        "price_max": "At most this price, in whole units.",
        "price_min": "At least this price, in whole units.",
        "role": "Only users with this role.",
        "seller_id": "Only listings of this user.",
        "sort": "The order; listings without the value come last.",
        "status": "Only available listings, only sold ones, or both.",
        "user_ids": "Only conversations with these users: at most 100 ids, separated by commas.",
        "year_max": "This year or earlier.",
        "year_min": "This year or later.",
    }
)
"""The descriptions of query parameters by name. Only `q` differs between routes; each operation describes it."""

PASSWORD = "correct horse battery"

OPERATIONS: Mapping[tuple[str, str], Operation] = MappingProxyType(
    {
        ("GET", "/health/live"): Operation(summary="Whether the process runs", answer=answers.Health),
        ("GET", "/health/ready"): Operation(
            summary="Whether the process can serve: if not, 503 with the reasons", answer=answers.Health
        ),
        ("GET", "/metrics"): Operation(summary="Numbers for Prometheus", files=("text/plain",)),
        ("GET", "/api/openapi.json"): Operation(summary="This document", files=(JSON,)),
        ("GET", "/api/docs"): Operation(summary="This document as a page to read and try", files=("text/html",)),
        # accounts
        ("POST", "/api/register"): Operation(
            summary="Register, and be logged in",
            status=201,
            answer=answers.SignedIn,
            problems=(problems.EmailTaken,),
            example={"email": "dave@example.com", "password": PASSWORD, "name": "Dave"},
        ),
        ("POST", "/api/login"): Operation(
            summary="Log in",
            answer=answers.SignedIn,
            problems=(problems.WrongCredentials, problems.BannedUser),
            example={"email": "dave@example.com", "password": PASSWORD},
        ),
        ("POST", "/api/token/refresh"): Operation(
            summary="Exchange a refresh token for new tokens; using it again later ends its session",
            answer=answers.SignedIn,
            problems=(problems.InvalidRefreshToken, problems.BannedUser),
            example={"refresh_token": "the one that the last log-in or refresh gave"},
        ),
        ("POST", "/api/logout"): _no_content("Log out: the session, its tokens and its sockets end"),
        ("GET", "/api/me"): Operation(summary="Your profile", answer=answers.Profile),
        ("PATCH", "/api/me"): Operation(
            summary="Change your profile; a new password ends your other sessions",
            answer=answers.Profile,
            problems=(problems.WrongPassword, problems.EmailTaken),
            example={"name": "David"},
        ),
        ("DELETE", "/api/me"): _no_content(
            "Delete your account: your listings go to the trash, and the other side keeps your messages",
            problems.WrongPassword,
            problems.LastAdmin,
            example={"current_password": PASSWORD},
        ),
        # users
        ("GET", "/api/me/blocks"): _page("The users whom you have blocked, latest first", answers.BlockedProfile),
        ("GET", "/api/users"): _page(
            "All users, newest first, with e-mail address and ban; `q` is a part of the name or the address",
            answers.FullProfile,
        ),
        ("GET", "/api/users/{id}"): Operation(summary="A user's public profile", answer=answers.PublicProfile),
        ("PUT", "/api/users/{id}/role"): Operation(
            summary="Give or take a role",
            answer=answers.FullProfile,
            problems=(problems.LastAdmin,),
            example={"role": "moderator"},
        ),
        ("PUT", "/api/users/{id}/ban"): Operation(
            summary="Ban a user, for a time or permanently: tokens and sockets end at once",
            answer=answers.FullProfile,
            problems=(problems.Conflict,),
            example={"reason": "sells what is not his"},
        ),
        ("DELETE", "/api/users/{id}/ban"): _no_content("End a ban"),
        ("PUT", "/api/users/{id}/block"): Operation(
            summary="Refuse this user's messages", answer=answers.PublicProfile, problems=(problems.Conflict,)
        ),
        ("DELETE", "/api/users/{id}/block"): _no_content("Accept this user's messages again"),
        # categories
        ("GET", "/api/categories"): _page("Categories by name; private ones for users only", answers.Category),
        ("POST", "/api/categories"): Operation(
            summary="Add a category",
            status=201,
            answer=answers.Category,
            problems=(problems.CategoryNameTaken,),
            example={"name": "Convertibles", "visibility": "public"},
        ),
        ("GET", "/api/categories/{id}"): Operation(summary="A category", answer=answers.Category),
        ("PATCH", "/api/categories/{id}"): Operation(
            summary="Rename a category, or change who sees it",
            answer=answers.Category,
            problems=(problems.CategoryNameTaken,),
            example={"visibility": "private"},
        ),
        ("DELETE", "/api/categories/{id}"): _no_content("Delete a category; its listings go to the trash"),
        # listings
        ("GET", "/api/listings"): _page(
            "Find listings; `q` looks at title, content, make and model, and forgives misspellings",
            answers.Listing,
            problems.Forbidden,
        ),
        ("POST", "/api/listings"): Operation(
            summary="Offer a car",
            status=201,
            answer=answers.Listing,
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
            },
        ),
        ("GET", "/api/listings/{id}"): Operation(summary="A listing", answer=answers.Listing),
        ("PATCH", "/api/listings/{id}"): Operation(
            summary="Change a listing", answer=answers.Listing, example={"status": "sold", "price": 9000}
        ),
        ("DELETE", "/api/listings/{id}"): _no_content("Put a listing into the trash"),
        ("PUT", "/api/listings/{id}/hidden"): Operation(
            summary="Hide a listing, for a time or until it is shown again",
            needs_body=False,
            answer=answers.Listing,
            example={"reason": "looks like fraud", "until": "2099-01-01T00:00:00Z"},
        ),
        ("DELETE", "/api/listings/{id}/hidden"): _no_content("Show a hidden listing again"),
        # trash
        ("GET", "/api/trash"): _page("The listings in the trash, latest first", answers.TrashedListing),
        ("POST", "/api/trash/{id}/restore"): Operation(
            summary="Take a listing out of the trash",
            needs_body=False,
            answer=answers.Listing,
            problems=(problems.Conflict,),
            example={"category_id": 1},
        ),
        ("DELETE", "/api/trash/{id}"): _no_content("Delete a listing permanently, with its pictures and replies"),
        # pictures
        ("POST", "/api/listings/{id}/pictures"): Operation(
            summary=f"Add a picture (JPEG, PNG or WebP), at most {in_words(MAX_PICTURES)} to a listing",
            status=201,
            answer=answers.Picture,
            problems=(problems.ListingIsFull, problems.BadRequest),
        ),
        ("DELETE", "/api/listings/{id}/pictures/{picture_id}"): _no_content("Remove a picture"),
        ("GET", "/api/pictures/{id}"): Operation(summary="A picture", files=IMAGES),
        ("GET", "/api/pictures/{id}/thumbnail"): Operation(summary="A picture's thumbnail", files=IMAGES),
        # replies
        ("GET", "/api/listings/{id}/replies"): _page("The replies under a listing, oldest first", answers.Reply),
        ("POST", "/api/listings/{id}/replies"): Operation(
            summary="Reply to a listing that is at most a year old",
            status=201,
            answer=answers.Reply,
            problems=(problems.ListingTooOld,),
            example={"text": "Is it still available?"},
        ),
        ("DELETE", "/api/replies/{id}"): _no_content("Remove your own reply; an admin can remove any"),
        # moderation
        ("POST", "/api/listings/{id}/reports"): Operation(
            summary="Tell the moderators about a listing, once",
            status=201,
            answer=answers.Report,
            problems=(problems.AlreadyReported,),
            example={"reason": "sold", "text": "I bought it last week."},
        ),
        ("GET", "/api/reports"): _page("Open reports; the most reported listing's come first", answers.QueuedReport),
        ("PUT", "/api/reports/{id}/resolved"): Operation(summary="Close a report", answer=answers.Report),
        ("GET", "/api/audit"): _page("Acts of moderators and admins, latest first", answers.Act),
        # private messages
        ("POST", "/api/messages"): Operation(
            summary="Send a private message, as over the socket",
            status=201,
            answer=Message,
            problems=(problems.Blocked,),
            example={"to": 2, "message": "Hey, how are you?", "client_ref": "my-first-message"},
        ),
        ("GET", "/api/messages"): _page("Your messages, sent and received, after an id, oldest first", Message),
        ("GET", "/api/conversations"): _page(
            "Your conversations, latest first or in the order of the other user's id", answers.Conversation
        ),
        ("GET", "/api/conversations/{user_id}/messages"): _page("Your messages with a user, newest first", Message),
        ("PUT", "/api/conversations/{user_id}/read"): _no_content(
            "Mark this user's messages as read, up to a message", example={"up_to": 1}
        ),
    }
)
