"""The answers as dataclasses. Each becomes JSON unchanged, and describes that JSON in the OpenAPI document.

Below each class is the function that makes it from the domain's object. Only listings come as JSON from the database
(shared/repositories/listings.py), with the fields of shared/domain/listings.py; `Listing` describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from functools import partial
from typing import Annotated, Any, TypedDict, TypeVar, get_type_hints

from marshmallow import fields
from msgspec import UNSET

from api.password_rules import Strength
from shared.domain import (
    alerts,
    findings,
    holds,
    listings,
    messages,
    moderation,
    passkeys,
    pictures,
    replies,
    reports,
    sanctions,
    sellers,
    uploads,
    users,
    vin,
)
from shared.domain.alerts import AlertKind
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.findings import FindingKind
from shared.domain.holds import HoldDecision
from shared.domain.listings import NewListing, Status, Visibility
from shared.domain.mails import SWITCHES, Choice, MailKind
from shared.domain.moderation import EntryKind, SubjectKind
from shared.domain.reports import ReportReason
from shared.domain.sanctions import Outcome, SanctionKind
from shared.domain.second_factor import SecondFactor as SecondFactorState
from shared.domain.suggestions import SuggestionKind
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.domain.users import Role
from shared.events.messages import Message, message_payload
from shared.repositories import audit, blocks, listing_facets, trash

Kind = TypeVar("Kind")

ABSENT: Any = UNSET
"""The default of a field that is left out when it has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Problem details (RFC 9457). `errors` comes with 422: a list of sentences for each field. `again_at` comes with a
    renewal that is too early: when it can be made. With `banned` comes `objection_token`, for an objection.
    """

    type: Annotated[str, partial(fields.String, metadata={"example": "/problems/invalid"})]
    title: str
    status: int
    detail: str
    errors: dict[str, Any] = ABSENT
    again_at: Timestamp = ABSENT
    objection_token: str = ABSENT


@dataclass(frozen=True, slots=True)
class Person:
    """A user in other objects. `name` is "" if the account was deleted."""

    id: Id
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicProfile:
    """The profile that every user sees."""

    id: Id
    name: str
    role: Role
    created_at: Timestamp


def public_profile(user: users.PublicUser) -> PublicProfile:
    return PublicProfile(**_public(user))


def _public(user: users.PublicUser | users.User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "role": user.role, "created_at": rfc3339(user.created_at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetProfile(PublicProfile):
    """`blocked` says whether you have blocked this user."""

    blocked: bool


def met_profile(user: users.PublicUser, *, is_blocked: bool) -> MetProfile:
    return MetProfile(**_public(user), blocked=is_blocked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedProfile(PublicProfile):
    blocked_at: Timestamp


def blocked_profile(blocked: blocks.BlockedUser) -> BlockedProfile:
    return BlockedProfile(**_public(blocked.user), blocked_at=rfc3339(blocked.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(PublicProfile):
    """The profile that only the user and admins see.

    `confirmed` says whether the user has confirmed `email` by a link in a mail. With `must_confirm` they may neither
    publish nor write first until they have. `new_email` replaces `email` when it is confirmed. With `has_warning` there
    is a message from the site, and they can neither publish nor write until they have read it. `takes_requests` says
    whether people may write to the user about anything, or first only about a listing of the user.
    """

    email: str
    confirmed: bool
    must_confirm: bool
    new_email: str | None
    has_warning: bool
    takes_requests: bool


def profile(user: users.User) -> Profile:
    return Profile(**_own(user))


def _own(user: users.User) -> dict[str, Any]:
    own = {"email": user.email, "confirmed": user.is_confirmed, "must_confirm": user.must_confirm}
    own |= {"new_email": user.new_email, "has_warning": user.has_warning, "takes_requests": user.takes_requests}
    return {**_public(user), **own}


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordStrength:
    """`reason` is a sentence for the person if the password would be refused."""

    strength: Strength
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session. `current` is true of the one that asks.

    `used_at` is when it was refreshed last, or began; `device` and `address` are where that was, "" if unknown. Of an
    IPv6 address only the network is kept.
    """

    id: str
    created_at: Timestamp
    expires_at: Timestamp
    used_at: Timestamp
    device: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A session of somebody, as admins see it: without the address. `device` is "" if it is unknown."""

    id: str
    created_at: Timestamp
    used_at: Timestamp
    device: str


def device(session: users.Session) -> Device:
    return Device(
        id=session.id,
        created_at=rfc3339(session.created_at),
        used_at=rfc3339(session.used_at),
        device=session.place.device,
    )


def session(session: users.Session, own_id: str) -> Session:
    return Session(
        id=session.id,
        created_at=rfc3339(session.created_at),
        expires_at=rfc3339(session.expires_at),
        used_at=rfc3339(session.used_at),
        device=session.place.device,
        address=session.place.address,
        current=session.id == own_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """`since` is null while it is off. `required`: your role may do less without it on this site."""

    enabled: bool
    since: Timestamp | None
    recovery_codes_left: Number
    required: bool


def second_factor(state: SecondFactorState, *, is_required: bool) -> SecondFactor:
    return SecondFactor(
        enabled=state.since is not None,
        since=rfc3339_or_none(state.since),
        recovery_codes_left=state.codes_left,
        required=is_required,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecondFactor:
    secret: str
    uri: str
    qr: str
    qr_size: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyOptions:
    """What `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` takes."""

    options: Annotated[dict[str, Any], fields.Dict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    id: Id
    name: str
    created_at: Timestamp
    used_at: Timestamp | None


def passkey(one: passkeys.Passkey) -> Passkey:
    return Passkey(id=one.id, name=one.name, created_at=rfc3339(one.created_at), used_at=rfc3339_or_none(one.used_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkeys:
    data: list[Passkey]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    recovery_codes: Annotated[list[str], partial(fields.List, fields.String())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """`suspension`: a moderator gave it, for a time."""

    since: Timestamp
    until: Timestamp | None
    reason: str
    suspension: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FullProfile(Profile):
    """The profile that admins see."""

    ban: Ban | None


def full_profile(user: users.User) -> FullProfile:
    ban = None
    if user.ban is not None:
        ban = Ban(
            since=rfc3339(user.ban.since),
            until=rfc3339_or_none(user.ban.until),
            reason=user.ban.reason,
            suspension=user.ban.is_suspension,
        )
    return FullProfile(**_own(user), ban=ban)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """`expires_in` is the lifetime of the access token in seconds."""

    user: Profile
    access_token: str
    refresh_token: str
    expires_in: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn(SignedIn):
    """`device_id` is for the next log-in from this device."""

    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationListing:
    """A listing in brief. `thumbnail_url` is that of its first picture; visitors may see it if `for_anyone`."""

    id: Id
    title: str
    price: int | None
    status: Status
    thumbnail_url: str | None
    for_anyone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """`listing` is the one that the last message about a listing names; null if you may not see it (any more).

    `blocked` says whether you have blocked this user. `request` is null for a conversation in the inbox, `open` if this
    user asks to write to you, and `declined` if you do not want that.
    """

    user: Person
    last_message: Message
    unread_count: Number
    listing: ConversationListing | None
    blocked: bool
    request: messages.RequestState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How a seller answers: of the latest people (at most 50, of the last 90 days) whose first message was about one of
    the seller's listings, the share to whom the seller wrote back within 24 hours, in percent; and how many people that
    is. Whoever wrote less than a day ago and still waits does not count.
    """

    within_a_day: Number
    people: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """`member_since` is a month. `listing_count` counts what visitors see, up to 1,000. `answers` is null if fewer than
    three people have asked. `confirmed_address` is null where the service confirms no addresses.
    """

    id: Id
    name: str
    member_since: Annotated[str, partial(fields.String, metadata={"example": "2026-11"})]
    listing_count: Number
    answers: Answers | None
    confirmed_address: bool | None


def seller(seller: sellers.Seller, *, confirms_addresses: bool) -> Seller:
    percent = seller.answered_percent
    return Seller(
        id=seller.id,
        name=seller.name,
        member_since=seller.member_since,
        listing_count=seller.listing_count,
        answers=None if percent is None else Answers(within_a_day=percent, people=seller.askers),
        confirmed_address=seller.has_confirmed_address if confirms_addresses else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesPage:
    """`deleted` and `more_deleted` are there only if they say something. `deleted` has the ids of messages up to
    `after_id` that were deleted shortly before its time or later; clients that still have them drop their texts. It has
    the latest ones; if `more_deleted` is true, read the conversations that are kept again.
    """

    data: list[Message]
    next_cursor: str | None
    deleted: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))] = ABSENT
    more_deleted: bool = ABSENT


def messages_page(
    found: Sequence[messages.Message], next_cursor: str | None, deleted: Sequence[int], *, has_more_deleted: bool
) -> MessagesPage:
    return MessagesPage(
        data=[message_payload(message) for message in found],
        next_cursor=next_cursor,
        deleted=list(deleted) or ABSENT,
        more_deleted=has_more_deleted or ABSENT,
    )


def conversation(conversation: messages.Conversation) -> Conversation:
    return Conversation(
        user=Person(conversation.user_id, conversation.user_name),
        last_message=message_payload(conversation.last_message),
        unread_count=conversation.unread_count,
        listing=_in_brief(conversation.listing),
        blocked=conversation.is_blocked,
        request=conversation.request,
    )


def _in_brief(listing: messages.ConversationListing | None) -> ConversationListing | None:
    if listing is None:
        return None
    return ConversationListing(
        id=listing.id,
        title=listing.title,
        price=listing.price,
        status=Status(listing.status),
        thumbnail_url=listing.thumbnail_url,
        for_anyone=listing.is_for_anyone,
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    id: Id
    name: str
    visibility: Visibility
    created_at: Timestamp


def category(category: listings.Category) -> Category:
    return Category(
        id=category.id, name=category.name, visibility=category.visibility, created_at=rfc3339(category.created_at)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryName:
    id: Id
    name: str


def _with_fields_of_a_listing(answer: type[Kind]) -> type[Kind]:
    """Returns the dataclass with the fields of NewListing added.

    The category is shown with its name, and the VIN not to everybody.
    """
    declared = get_type_hints(NewListing, include_extras=True).items()
    shown = [(name, hint) for name, hint in declared if name not in ("category_id", "vin")]
    made: type[Kind] = make_dataclass(
        answer.__name__, shown, bases=(answer,), namespace={"__doc__": answer.__doc__}, kw_only=True, frozen=True
    )
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPrice:
    """A price that a listing had, and until when."""

    price: int | None
    until: Timestamp


@_with_fields_of_a_listing
@dataclass(frozen=True, kw_only=True)
class Listing:
    """`price_history` has at most 20 prices, the latest last. `distance_m` comes with searches near a place: how far
    the listing's town is from it, in metres. `vin` and `favourite` are only for users: the car's VIN, if it has one,
    and whether the listing is one of theirs. Instead of `favourite` the seller gets `favourite_count`. `same_vin`, the
    other sellers' listings with the same VIN, is only for moderators and admins. The last five fields are only for the
    seller, moderators and admins; from `expires_at` on, nobody else sees the listing.
    """

    id: Id
    category: CategoryName
    seller: Person
    created_at: Timestamp
    updated_at: Timestamp
    reply_count: Number
    pictures: list[Picture]
    has_vin: bool
    distance_m: Number = ABSENT
    vin: str = ABSENT
    same_vin: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))] = ABSENT
    price_history: list[PastPrice]
    favourite: bool = ABSENT
    favourite_count: Number = ABSENT
    hidden: bool = ABSENT
    hidden_until: Timestamp | None = ABSENT
    hidden_reason: str | None = ABSENT
    expires_at: Timestamp = ABSENT
    ended: bool = ABSENT


Corrected = TypedDict("Corrected", {"from": str, "to": str})
"""What was typed, and what was searched for instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundListings:
    """A page of a search. It has `corrected` if some of its listings rest on a correction of what was typed."""

    data: list[Listing]
    next_cursor: str | None
    corrected: Corrected = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What may have been meant by the beginning of a word. `text` can be searched for."""

    kind: SuggestionKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """`value` is what the parameter of the search takes."""

    value: str
    count: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """`name` is the parameter of the search; the values with the most listings come first."""

    name: str
    values: list[FacetValue]
    at_least: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    total: Number
    total_at_least: bool
    facets: list[Facet]


def facets(counts: listing_facets.FacetCounts) -> Facets:
    return Facets(
        total=counts.total,
        total_at_least=counts.total_is_at_least,
        facets=[
            Facet(
                name=facet.name,
                values=[FacetValue(value=one.value, count=one.count) for one in facet.values],
                at_least=facet.is_at_least,
            )
            for facet in counts.facets
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vin:
    """What a VIN says. `years` are the model years that it can stand for, the latest first. A wrong check digit is a
    typing mistake if the car was made for North America or China; other makers do not fill it in.
    """

    vin: str
    maker: str | None
    years: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))]
    check_digit_is_right: bool


def decoded_vin(told: vin.DecodedVin) -> Vin:
    return Vin(vin=told.vin, maker=told.maker, years=list(told.years), check_digit_is_right=told.check_digit_is_right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashing:
    """When, by whom and why the listing went to the trash. If its category is gone, a restore has to name another.

    Its seller can restore it before `until`, which is null if they cannot.
    """

    at: Timestamp
    by: Person | None
    reason: str | None
    category_is_gone: bool
    until: Timestamp | None


def trashing(trashed: trash.TrashedListing) -> Trashing:
    by = None if trashed.by_id is None else Person(trashed.by_id, trashed.by_name or "")
    return Trashing(
        at=rfc3339(trashed.at),
        by=by,
        reason=trashed.reason,
        category_is_gone=trashed.category_is_gone,
        until=rfc3339_or_none(trashed.until),
    )


@dataclass(frozen=True, kw_only=True)
class TrashedListing(Listing):
    trashed: Trashing


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """`query` has the parameters of `GET /api/listings` as text. `unseen` counts new alerts, up to 100."""

    id: Id
    name: str
    query: Mapping[str, str]
    created_at: Timestamp
    unseen: Number


def saved_search(search: alerts.SavedSearch) -> SavedSearch:
    return SavedSearch(
        id=search.id,
        name=search.name,
        query=search.query,
        created_at=rfc3339(search.created_at),
        unseen=search.unseen,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchName:
    id: Id
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReply:
    id: Id
    author: Person
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What you are told on `alerts:{your id}`. `search` comes with a `match`, `reply` with a `reply`; `listing` is null
    if it is gone or ended.

    `price` is that of the moment; `price_before` is the one before it became cheaper, else null. `until` is when your
    own listing ends, else null.
    """

    id: Id
    kind: AlertKind
    told_at: Timestamp
    seen_at: Timestamp | None
    search: SearchName | None
    listing_id: Id
    title: str
    price: int | None
    price_before: int | None
    reply: AlertReply | None
    until: Timestamp | None
    listing: Listing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPage:
    """`unseen` counts all new alerts, up to 1,000."""

    data: list[Alert]
    next_cursor: str | None
    unseen: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    unseen: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSent:
    """If there is an account with this address, a mail with a link that works for `valid_seconds` is on its way."""

    valid_seconds: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """`public_key` is the service's key in base64url; null if the service sends no push messages."""

    public_key: str | None
    is_on: bool
    """Whether the browser of this session is told."""
    shows_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSwitch:
    """A kind of mail. `about` finishes the sentence "Mail me about ..."; `choice` is one of `choices`."""

    kind: MailKind
    about: str
    choice: Choice
    choices: Annotated[list[Choice], partial(fields.List, fields.Enum(Choice, by_value=True))]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoices:
    """`on` says whether this server sends mail at all."""

    on: bool
    data: list[MailSwitch]


def mail_choices(chosen: Mapping[MailKind, Choice], *, is_on: bool) -> MailChoices:
    switches = [
        MailSwitch(kind=kind, about=SWITCHES[kind].about, choice=choice, choices=list(SWITCHES[kind].choices))
        for kind, choice in chosen.items()
    ]
    return MailChoices(on=is_on, data=switches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    id: Id
    listing_id: Id
    author: Person
    text: str
    created_at: Timestamp


def reply(reply: replies.Reply) -> Reply:
    return Reply(
        id=reply.id,
        listing_id=reply.listing_id,
        author=Person(reply.author_id, reply.author_name),
        text=reply.text,
        created_at=rfc3339(reply.created_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """About a listing, or a person: one of their messages (`message_id`), one of their replies, or all they do."""

    id: Id
    listing_id: int | None
    user_id: int | None
    message_id: int | None
    reply_id: int | None
    reporter_id: Id
    reason: ReportReason
    text: str | None
    created_at: Timestamp
    resolved_at: Timestamp | None
    resolved_by: int | None


def report(report: reports.Report) -> Report:
    return Report(**_reported(report))


def _reported(report: reports.Report) -> dict[str, Any]:
    subject = report.subject
    return {
        "id": report.id,
        "listing_id": report.listing_id,
        "user_id": subject and subject.user_id,
        "message_id": subject and subject.message_id,
        "reply_id": subject and subject.reply_id,
        "reporter_id": report.reporter_id,
        "reason": report.reason,
        "text": report.text,
        "created_at": rfc3339(report.created_at),
        "resolved_at": rfc3339_or_none(report.resolved_at),
        "resolved_by": report.resolved_by,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedListing(ConversationListing):
    trashed: bool
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedReport(Report):
    """`person` is the one whom it is about: of a listing, its seller. `quote` is the text of the message or the reply.

    `listing` is the reported one, or the one that the reply is under. `report_count` is the number of open reports
    about the listing or the person when the first page of the queue was read.
    """

    reporter: Person
    listing: ReportedListing | None
    person: Person
    quote: str | None
    report_count: Number


@dataclass(frozen=True, slots=True)
class ReportsPage:
    """`open` is the number of all open reports."""

    data: list[QueuedReport]
    next_cursor: str | None
    open: Number


@dataclass(frozen=True, slots=True)
class ReportedMessages:
    """`people` are the reported one and the one who reported; `quote` is the reported message as it was then, or null.

    `data` has the reported message, `message_id`, with the ten nearest of its conversation, oldest first.
    """

    report_id: Id
    message_id: Id
    quote: str | None
    people: list[Person]
    data: list[Message]


def reported_messages(found: reports.ReportedMessages) -> ReportedMessages:
    subject = found.report.subject
    assert subject is not None
    assert subject.message_id is not None
    return ReportedMessages(
        found.report.id,
        subject.message_id,
        subject.quote,
        [Person(*one) for one in found.people],
        [message_payload(message) for message in found.messages],
    )


def _reported_listing(shown: reports.ReportedListing | None) -> ReportedListing | None:
    return None if shown is None else _listing_of(shown)


def _listing_of(shown: reports.ReportedListing) -> ReportedListing:
    return ReportedListing(
        id=shown.id,
        title=shown.title,
        price=shown.price,
        status=Status(shown.status),
        thumbnail_url=shown.thumbnail_url,
        for_anyone=shown.is_for_anyone,
        trashed=shown.is_trashed,
        hidden=shown.is_hidden,
    )


def queued_report(queued: reports.QueuedReport) -> QueuedReport:
    about = queued.report
    return QueuedReport(
        **_reported(about),
        reporter=Person(about.reporter_id, queued.reporter_name),
        listing=_reported_listing(queued.listing),
        person=Person(queued.person_id, queued.person_name),
        quote=None if about.subject is None else about.subject.quote,
        report_count=queued.count,
    )


@dataclass(frozen=True, slots=True)
class TitledListing:
    id: Id
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnObjection:
    """What somebody said against a sanction. `outcome` and what follows it are null until somebody has decided."""

    text: str
    made_at: Timestamp
    outcome: Outcome | None
    answer: str | None
    decided_at: Timestamp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSanction:
    """What was done to you, as you are told of it. `listing` is the hidden one; null also if it was deleted for good.

    `ended_at` says when it was lifted, replaced by another one, or passed; `read_at` when you confirmed that you have
    read the warning. `objection_token` is for an objection; null if you have objected.
    """

    id: Id
    kind: SanctionKind
    reason: str | None
    listing: TitledListing | None
    given_at: Timestamp
    until: Timestamp | None
    ended_at: Timestamp | None
    read_at: Timestamp | None
    objection: OwnObjection | None
    objection_token: str | None


def own_sanction(sanction: sanctions.Sanction, token_of: Callable[[int], str]) -> OwnSanction:
    said = sanction.objection
    objection = None if said is None else OwnObjection(**_said(said))
    token = None if said is not None else token_of(sanction.id)
    return OwnSanction(**_done(sanction), objection=objection, objection_token=token)


def _done(sanction: sanctions.Sanction) -> dict[str, Any]:
    listing = None
    if sanction.listing_id is not None:
        listing = TitledListing(sanction.listing_id, sanction.listing_title or "")
    return {
        "id": sanction.id,
        "kind": sanction.kind,
        "reason": sanction.reason,
        "listing": listing,
        "given_at": rfc3339(sanction.given_at),
        "until": rfc3339_or_none(sanction.until),
        "ended_at": rfc3339_or_none(sanction.ended_at),
        "read_at": rfc3339_or_none(sanction.read_at),
    }


def _said(objection: sanctions.Objection) -> dict[str, Any]:
    return {
        "text": objection.text,
        "made_at": rfc3339(objection.made_at),
        "outcome": objection.outcome,
        "answer": objection.answer,
        "decided_at": rfc3339_or_none(objection.decided_at),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Warnings:
    data: list[OwnSanction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection(OwnObjection):
    decided_by: Person | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanction:
    """What was done to somebody, as moderators see it. `by` is null if it is not known who did it."""

    id: Id
    kind: SanctionKind
    person: Person
    by: Person | None
    reason: str | None
    listing: TitledListing | None
    given_at: Timestamp
    until: Timestamp | None
    ended_at: Timestamp | None
    read_at: Timestamp | None
    objection: Objection | None


def sanction(sanction: sanctions.Sanction) -> Sanction:
    said, objection = sanction.objection, None
    if said is not None:
        objection = Objection(**_said(said), decided_by=_person(said.decided_by, said.decided_by_name))
    return Sanction(
        **_done(sanction),
        person=Person(sanction.user_id, sanction.user_name),
        by=_person(sanction.by_id, sanction.by_name),
        objection=objection,
    )


def _person(user_id: int | None, name: str | None) -> Person | None:
    return None if user_id is None else Person(user_id, name or "")


@dataclass(frozen=True, slots=True)
class ObjectionsPage:
    """`open` is the number of all objections that nobody has decided."""

    data: list[Sanction]
    next_cursor: str | None
    open: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a moderator wrote about a person (`user_id`) or a listing (`listing_id`)."""

    id: Id
    user_id: int | None
    listing_id: int | None
    author: Person
    text: str
    created_at: Timestamp


def note(note: sanctions.Note) -> Note:
    return Note(
        id=note.id,
        user_id=note.user_id,
        listing_id=note.listing_id,
        author=Person(note.author_id, note.author_name),
        text=note.text,
        created_at=rfc3339(note.created_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One thing that waits. `by` is who reported it; null if the program found it.

    `quote` is the text of a message or reply; of a reply, `listing_id` and `listing_title` say where it is. Of what
    the program found (`same_picture`, `same_vin`) they say which earlier listing, of somebody else, has the same, and
    `finding` has both. Of `held_messages`, `id` is that of the hold, `quote` the first text that waits, and `people` to
    how many it was sent.
    """

    kind: EntryKind
    id: Id
    created_at: Timestamp
    reason: str
    text: str | None
    quote: str | None
    message_id: int | None
    reply_id: int | None
    by: Person | None
    listing_id: int | None
    listing_title: str | None
    people: int | None
    finding: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a moderator or admin did: `listing_id` is the person's listing that it was done to."""

    id: Id
    action: str
    reason: str | None
    created_at: Timestamp
    by: Person
    listing_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What waits about the listing or person `id`; `person` owns the listing.

    `weight` decides the order: the gravest reason of each reporter, and what was `done` to the person before.
    `reporters` is the number of people who reported it, `size` that of all entries; `entries` has the latest of them,
    and `deeds` the latest that was done. A group is closed up to `newest_at`.
    """

    kind: SubjectKind
    id: Id
    weight: Number
    reporters: Number
    size: Number
    since: Timestamp
    newest_at: Timestamp
    person: Person
    listing: ReportedListing | None
    done: Mapping[str, int]
    entries: list[QueueEntry]
    deeds: list[Deed]


def group(group: moderation.Group) -> Group:
    return Group(
        kind=group.subject.kind,
        id=group.subject.id,
        weight=group.weight,
        reporters=group.sources,
        size=group.size,
        since=rfc3339(group.since),
        newest_at=rfc3339(group.newest_at),
        person=Person(group.person_id, group.person_name),
        listing=_reported_listing(group.listing),
        done=group.done,
        entries=[_queue_entry(entry) for entry in group.entries],
        deeds=[_deed(deed) for deed in group.deeds],
    )


def _queue_entry(entry: moderation.Entry) -> QueueEntry:
    return QueueEntry(
        kind=entry.kind,
        id=entry.id,
        created_at=rfc3339(entry.created_at),
        reason=entry.reason,
        text=entry.text,
        quote=entry.quote,
        message_id=entry.message_id,
        reply_id=entry.reply_id,
        by=None if entry.by_id is None else Person(entry.by_id, entry.by_name or ""),
        listing_id=entry.listing_id,
        listing_title=entry.listing_title,
        people=entry.people,
        finding=None if entry.finding is None else finding(entry.finding),
    )


def _deed(deed: moderation.Deed) -> Deed:
    return Deed(
        id=deed.id,
        action=deed.action,
        reason=deed.reason,
        created_at=rfc3339(deed.created_at),
        by=Person(deed.by_id, deed.by_name),
        listing_id=deed.listing_id,
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """`open` is the number of all open reports, `groups` that of all groups."""

    data: list[Group]
    next_cursor: str | None
    open: Number
    groups: Number


@dataclass(frozen=True, slots=True)
class Closed:
    """The reports, and what the program had found, that were open and are now resolved."""

    report_ids: list[int]
    finding_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationWeek:
    """A week from Monday `since`, in UTC. `median_seconds`, from report to resolution, is of those resolved in it."""

    since: Timestamp
    made: Number
    resolved: Number
    median_seconds: float | None
    by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ModerationNumbers:
    """The last weeks, this one first."""

    weeks: list[ModerationWeek]


def moderation_numbers(weeks: Sequence[moderation.Week]) -> ModerationNumbers:
    return ModerationNumbers(
        [
            ModerationWeek(
                since=rfc3339(week.since),
                made=week.made,
                resolved=week.resolved,
                median_seconds=week.median_seconds,
                by_reason={reason.value: n for reason, n in week.by_reason.items()},
            )
            for week in weeks
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A listing that has the picture or the VIN of an earlier listing of somebody else.

    `person` is the seller of `listing`, and `earlier_person` the seller of `earlier_listing`. `picture_url` and
    `earlier_picture_url` are the pictures that look alike, small; null of those that were deleted, and of a VIN.
    """

    id: Id
    kind: FindingKind
    created_at: Timestamp
    resolved_at: Timestamp | None
    resolved_by: Id | None
    person: Person
    listing: ReportedListing
    earlier_person: Person
    earlier_listing: ReportedListing
    picture_url: str | None
    earlier_picture_url: str | None


def finding(one: findings.Finding) -> Finding:
    return Finding(
        id=one.id,
        kind=one.kind,
        created_at=rfc3339(one.created_at),
        resolved_at=rfc3339_or_none(one.decided_at),
        resolved_by=one.decided_by,
        person=Person(one.found.seller_id, one.found.seller_name),
        listing=_listing_of(one.found.listing),
        earlier_person=Person(one.earlier.seller_id, one.earlier.seller_name),
        earlier_listing=_listing_of(one.earlier.listing),
        picture_url=one.found.picture_url,
        earlier_picture_url=one.earlier.picture_url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Messages of `person` that wait because the same or nearly the same text went to many who have not answered.

    `messages` of them wait, to `people` different people; `texts` are the latest different ones, at most five.
    `decision` is null until a moderator has decided, or until the rule has let all go.
    """

    id: Id
    person: Person
    created_at: Timestamp
    messages: Number
    people: Number
    texts: list[str]
    decision: HoldDecision | None
    decided_at: Timestamp | None
    decided_by: Id | None


def hold(one: holds.Hold) -> Hold:
    return Hold(
        id=one.id,
        person=Person(one.user_id, one.user_name),
        created_at=rfc3339(one.created_at),
        messages=one.messages,
        people=one.people,
        texts=list(one.texts),
        decision=one.decision,
        decided_at=rfc3339_or_none(one.decided_at),
        decided_by=one.decided_by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`name` is that of a user or category, or a listing's title, as it is now; null for anything else."""

    type: str
    id: Id
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act of a moderator or an admin."""

    id: Id
    actor: Person
    action: str
    target: Target
    reason: str | None
    details: Mapping[str, Any]
    created_at: Timestamp


def act(act: audit.Act) -> Act:
    return Act(
        id=act.id,
        actor=Person(act.actor_id, act.actor_name),
        action=act.action,
        target=Target(type=act.target_type, id=act.target_id, name=act.target_name),
        reason=act.reason,
        details=act.details,
        created_at=rfc3339(act.created_at),
    )
