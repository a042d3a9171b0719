"""The user's own account: registration, log-in and log-out, profile, deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api.answers import Page
from api.banned import banned
from api.call import Call
from api.first_step import take_first_step
from api.mail_links import new_link
from api.pagination import decode_cursor, page
from api.password_rules import account_fault
from api.places import place_of
from api.problems import (
    Invalid,
    InvalidRefreshToken,
    SecondFactorNeeded,
    WrongCredentials,
    WrongPassword,
)
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RefreshBody, RegisterBody
from api.schemas.answers import accounts as answers
from api.schemas.pages import PageQuery
from api.second_step import check_code_if_on
from api.services import Services
from api.versions import as_seen
from shared.access.tokens import InvalidToken, new_session_id
from shared.domain.mails import MailKind
from shared.domain.names import OF_STAFF, name_fault, sounds_like_staff, tidied
from shared.domain.times import rfc3339
from shared.domain.users import PasswordChanged, Role, User
from shared.logs import log_of
from shared.repositories.sessions import Refresh
from shared.repositories.users import KeptToken
from shared.security_events import SecurityEvent

log = log_of(__name__)


async def register(call: Call) -> answers.LoggedIn:
    """Register, and be logged in."""
    body = await call.body(RegisterBody)
    services = call.services
    name = _new_name(body.name, Role.USER)
    refuse_password_of(body.password, name, body.email)
    password_hash = await services.passwords.hash(body.password)
    settings = services.settings
    link = new_link(settings.address_link_seconds) if settings.has_mail else None
    must_confirm = settings.confirms_addresses
    user = await services.users.create(body.email, name, password_hash, link=link, must_confirm=must_confirm)
    services.realtime.came_back(user)
    return await begin_session(call, user, password_hash, services.devices.issue(user.id), is_new_device=False)


async def login(call: Call) -> answers.LoggedIn:
    """Log in.

    An account with a second factor needs `code` as well: without it, a right password is answered with
    `second-factor-needed`.
    """
    body = await call.body(LoginBody)
    services = call.services
    step = await take_first_step(call, body.email, body.password, body.device_id)
    user, password_hash, device = step.user, step.password_hash, step.device
    call.is_of(user.id)
    if user.ban is not None:
        raise await banned(services, user.id)
    has_factor = await check_code_if_on(call, user.id, body.code, without=SecondFactorNeeded())
    if services.passwords.is_outdated(password_hash, step.match):
        new_hash = await services.passwords.hash(body.password)
        if await services.users.replace_password_hash(user.id, password_hash, new_hash):
            password_hash = new_hash
    # The device keeps its name. Its id is signed anew, because the secret that signed it may be on its way out.
    device_id = services.devices.issue(user.id) if device is None else services.devices.id_of(device)
    try:
        return await begin_session(
            call, user, password_hash, device_id, is_new_device=device is None, needs_no_code=has_factor
        )
    except PasswordChanged:
        raise WrongCredentials(user.id) from None


async def refresh(call: Call) -> answers.SignedIn:
    """Exchange a refresh token for new tokens; using it again later ends its session."""
    body = await call.body(RefreshBody)
    services = call.services
    try:
        session_id, generation = services.tokens.read_refresh(body.refresh_token)
    except InvalidToken:
        await services.rate_limits.bad_refresh(call.request)
        raise InvalidRefreshToken from None
    await services.rate_limits.refresh(session_id)
    settings = services.settings
    result = await services.sessions.refresh(
        session_id,
        generation,
        settings.refresh_token_seconds,
        longest_seconds=settings.session_seconds,
        grace_seconds=settings.refresh_grace_seconds,
        place=place_of(call.request, settings.trusted_proxies),
    )
    if result.user_id:
        call.is_of(result.user_id)
    match result.outcome:
        case Refresh.ROTATED:
            user = await services.users.by_id(result.user_id)
            return answers.SignedIn(**_tokens(services, user, session_id, result.generation, result.seconds_left))
        case Refresh.BANNED:
            raise await banned(services, result.user_id)
        case Refresh.REUSED:
            log.warning("refresh token reused", user_id=result.user_id)
            services.realtime.disconnect(result.user_id, session_id)
            raise InvalidRefreshToken
        case Refresh.ENDED:
            raise InvalidRefreshToken


async def logout(call: Call) -> None:
    """Log out: the session, its tokens and its sockets end."""
    call.query()
    user, services = call.user, call.services
    until = datetime.fromtimestamp(user.token_expires_at, UTC)
    await services.sessions.revoke(user.session_id, user.user_id, until, "logged out")
    services.realtime.disconnect(user.user_id, user.session_id)


async def read(call: Call) -> answers.Profile:
    """Your profile."""
    call.query()
    return answers.profile(await call.services.users.by_id(call.user.user_id))


async def change(call: Call) -> answers.Profile:
    """Change your profile; a new password ends your other sessions and tokens.

    Where addresses have to be confirmed, a new one counts when the link in a mail to it has been used; until then it is
    `new_email`, and is forgotten with a new password, or when the present address is given again. An account gets few
    such mails.
    """
    body = await call.body(ProfileBody)
    user_id, services, settings = call.user.user_id, call.services, call.services.settings
    checked_hash = None
    if body.current_password is not None and (body.email is not None or body.password is not None):
        checked_hash = await check_password(call, body.current_password)
    name, password_hash = body.name, None
    if name is not None or body.password is not None:
        now = await services.users.by_id(user_id)
        # A name from before these rules stays, also if a form sends it again.
        if name is not None and name != now.name:
            name = _new_name(name, now.role)
        if body.password is not None:
            refuse_password_of(body.password, name or now.name, body.email or now.email)
            password_hash = await services.passwords.hash(body.password)

    async def as_shown(services: Services) -> answers.Profile:
        return answers.profile(await services.users.by_id(user_id))

    async with as_seen(call, "users", user_id, as_shown) as within:
        user = await within.users.update(
            user_id,
            kept=own_token(call),
            name=name,
            email=body.email,
            password_hash=password_hash,
            checked_hash=checked_hash,
            link=new_link(settings.address_link_seconds) if settings.has_mail else None,
            most_links=settings.max_address_links,
            must_confirm=settings.confirms_addresses,
            takes_requests=body.takes_requests,
        )
    services.realtime.came_back(user)
    if password_hash is not None:
        call.tell(SecurityEvent.PASSWORD_CHANGED)
        services.realtime.disconnect(user_id, kept_session_id=call.user.session_id)
    return answers.profile(user)


async def sessions(call: Call) -> Page[answers.Session]:
    """Where you are logged in, latest first: the device, its address, and when it was used last."""
    query = call.query(PageQuery)
    before = decode_cursor(query.cursor, tuple[datetime, str])
    found = await call.services.sessions.of_user(call.user.user_id, before=before, limit=query.limit + 1)
    own = call.user.session_id
    return page(found, query.limit, lambda one: answers.session(one, own), lambda one: (one.created_at, one.id))


async def end_session(call: Call) -> None:
    """Log out somewhere else: one of your sessions, its tokens and its sockets end.

    A session that is not yours, or has ended, is a 404.
    """
    session_id = call.path_session_id()
    call.query()
    await call.services.sessions.end(call.user.user_id, session_id)
    call.services.realtime.disconnect(call.user.user_id, session_id)


async def end_other_sessions(call: Call) -> None:
    """Log out everywhere else: all other sessions, tokens and sockets of yours end."""
    call.query()
    await call.services.sessions.end_others(call.user.user_id, own_token(call))
    call.services.realtime.disconnect(call.user.user_id, kept_session_id=call.user.session_id)


def own_token(call: Call) -> KeptToken:
    return KeptToken(call.user.session_id, call.user.token_expires_at)


async def leave(call: Call) -> None:
    """Delete your account: your listings go to the trash, and the other side keeps your messages.

    Your name, address and password are erased at once. Moderators see your listings in the trash until these are erased
    for good, with their pictures, as many days later as the server's ERASE_AFTER_DAYS says (30 by default). Messages,
    and replies to other people's listings, stay without your name.
    """
    body = await call.body(LeaveBody)
    user_id, services = call.user.user_id, call.services
    checked_hash = await check_password(call, body.current_password)
    await services.users.delete(user_id, checked_hash=checked_hash)
    services.realtime.disconnect(user_id)
    services.realtime.seller_changed(user_id)


async def begin_session(
    call: Call, user: User, checked_hash: str, device_id: str, *, is_new_device: bool, needs_no_code: bool = False
) -> answers.LoggedIn:
    """Returns the answer with the tokens of a new session. Of one on a new device the user is told by mail.

    Raises PasswordChanged as `SessionRepository.begin` does.
    """
    call.is_of(user.id)
    services = call.services
    session_id = new_session_id()
    seconds = min(services.settings.refresh_token_seconds, services.settings.session_seconds)
    place = place_of(call.request, services.settings.trusted_proxies)
    checked: dict[str, Any] = {"checked_hash": checked_hash, "needs_no_code": needs_no_code, "place": place}
    if is_new_device:
        facts = {"name": user.name, "device": place.device, "address": place.address}
        async with services.database.transaction() as transaction:
            within = services.within(transaction)
            await within.sessions.begin(session_id, user.id, seconds, **checked)
            await within.outbox.add(MailKind.NEW_LOGIN, user.id, {**facts, "at": rfc3339(datetime.now(UTC))})
    else:
        await services.sessions.begin(session_id, user.id, seconds, **checked)
    return answers.LoggedIn(**_tokens(services, user, session_id, 0, seconds), device_id=device_id)


def _tokens(services: Services, user: User, session_id: str, generation: int, seconds_left: float) -> dict[str, Any]:
    """Returns the fields of SignedIn. No token outlives its session, which lasts for `seconds_left`."""
    seconds = min(services.tokens.access_seconds, int(seconds_left))
    return {
        "user": answers.profile(user),
        "access_token": services.tokens.issue(user.id, user.role, session_id, seconds=seconds),
        "refresh_token": services.tokens.issue_refresh(session_id, generation),
        "expires_in": seconds,
    }


async def check_password(call: Call, password: str) -> str:
    """Returns the hash that the password was compared with. Raises WrongPassword."""
    services = call.services
    session_id = call.user.session_id
    password_hash = await services.users.password_hash(call.user.user_id)

    async def check() -> bool:
        return await services.passwords.verify(password_hash, password, turn=f"session {session_id}") is not None

    if not await services.rate_limits.guess_in_session(session_id, check):
        raise WrongPassword
    return password_hash


def _new_name(given: str, role: Role) -> str:
    """Returns the name as it is stored. Raises Invalid if nobody, or nobody of this role, may have it."""
    name = tidied(given)
    fault = name_fault(name)
    if fault is None and role is Role.USER and sounds_like_staff(name):
        fault = OF_STAFF
    if fault:
        raise Invalid({"name": [fault]})
    return name


def refuse_password_of(password: str, name: str, email: str) -> None:
    """Raises Invalid if somebody who knows the account could guess the new password."""
    fault = account_fault(password, (name, email))
    if fault:
        raise Invalid({"password": [fault]})
