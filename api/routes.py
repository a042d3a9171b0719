"""Every route on one page: method, path, handler, the action that must be allowed, and the dataclass of its input.

A fixed path must come before a path with a parameter in the same place.
"""

from __future__ import annotations

from api.endpoint import Route
from api.handlers import (
    accounts,
    addresses,
    alerts,
    audit,
    blocks,
    categories,
    conversations,
    devices,
    documentation,
    export,
    favourites,
    feeds,
    findings,
    health,
    holds,
    listings,
    mail,
    message_pictures,
    messages,
    metrics,
    moderation,
    notes,
    pages,
    passkeys,
    password_strength,
    pictures,
    push,
    recovery,
    replies,
    reports,
    sanctions,
    saved_searches,
    second_factor,
    sellers,
    suggestions,
    trash,
    uploads,
    users,
    vin,
    web,
)
from api.mail_links import UNSUBSCRIBE
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RefreshBody, RegisterBody, StrengthBody
from api.schemas.audit import AuditQuery
from api.schemas.categories import CategoryBody, CategoryChangeBody
from api.schemas.listings import HideBody, ListingBody, ListingChangeBody, ListingsQuery
from api.schemas.mail import MailChoiceBody
from api.schemas.messages import ConversationsQuery, MessagesQuery, ReadBody, RequestBody
from api.schemas.moderation import HoldDecisionBody, SeenGroupBody
from api.schemas.pages import PageQuery
from api.schemas.passkeys import PasskeyBody, PasskeyLoginBody, PasskeyOptionsBody
from api.schemas.pictures import PictureOrderBody
from api.schemas.push import PushBody
from api.schemas.recovery import ConfirmBody, ForgottenBody, ResetBody
from api.schemas.replies import ReplyBody
from api.schemas.reports import ReportBody
from api.schemas.sanctions import DecisionBody, NoteBody, ObjectionBody, SuspensionBody, WarningBody
from api.schemas.saved_searches import SearchBody, SearchChangeBody, SeenBody
from api.schemas.second_factor import CodeBody, ConfirmedBody, PasswordBody
from api.schemas.suggestions import SuggestionsQuery
from api.schemas.trash import RestoreBody, TrashQuery
from api.schemas.users import BanBody, RoleBody, UsersQuery
from api.schemas.vin import VinQuery
from shared import private_chat
from shared.access.policy import Action
from shared.domain.pictures import (
    ADDRESS,
    MEDIUM_ADDRESS,
    MESSAGE_PICTURE,
    MESSAGE_PICTURE_MEDIUM,
    MESSAGE_PICTURE_THUMBNAIL,
    MESSAGE_PICTURES,
    PICTURES,
    THUMBNAIL_ADDRESS,
)

PAGE_ROUTES: tuple[Route, ...] = (
    *(Route("GET", path, pages.WITH_CONTENT.get(path, web.page), Action.SERVICE_READ) for path in web.PAGES),
    Route("GET", "/robots.txt", feeds.robots, Action.SERVICE_READ),
    Route("GET", "/sitemap.xml", feeds.sitemaps, Action.SERVICE_READ),
    Route("GET", "/sitemaps/{number}.xml", feeds.sitemap, Action.SERVICE_READ),
    Route("GET", "/feed.atom", feeds.feed, Action.SERVICE_READ),
    *(Route("GET", path, web.file_at_root, Action.SERVICE_READ) for path in web.AT_ROOT),
    Route("GET", "/.well-known/change-password", web.change_password, Action.SERVICE_READ),
    Route("GET", UNSUBSCRIBE, mail.unsubscribe_page, Action.SERVICE_READ),
    Route("POST", UNSUBSCRIBE, mail.unsubscribe, Action.SERVICE_READ),
    Route("GET", "/web/version", web.version, Action.SERVICE_READ),
    Route("GET", "/web/{version}/{path:.+}", web.asset, Action.SERVICE_READ),
)
"""The page, its files and its feeds. The OpenAPI document leaves them out."""

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health/live", health.live, Action.SERVICE_READ),
    Route("GET", "/health/ready", health.ready, Action.SERVICE_READ),
    Route("GET", "/metrics", metrics.read, Action.SERVICE_READ),
    Route("GET", "/api/openapi.json", documentation.document, Action.SERVICE_READ),
    Route("GET", documentation.DOCUMENTATION, documentation.docs, Action.SERVICE_READ),
    # accounts
    Route("POST", "/api/register", accounts.register, Action.ACCOUNT_CREATE, body=RegisterBody, status=201),
    Route("POST", "/api/login", accounts.login, Action.SESSION_CREATE, body=LoginBody),
    Route("POST", "/api/password/strength", password_strength.rate, Action.PASSWORD_RATE, body=StrengthBody),
    Route("POST", "/api/login/passkey/options", passkeys.begin_login, Action.SESSION_CREATE),
    Route("POST", "/api/login/passkey", passkeys.login, Action.SESSION_CREATE, body=PasskeyLoginBody),
    Route(
        "POST",
        "/api/password/forgotten",
        recovery.forgotten,
        Action.ACCOUNT_RECOVER,
        body=ForgottenBody,
        status=202,
    ),
    Route("POST", "/api/password/reset", recovery.reset, Action.ACCOUNT_RECOVER, body=ResetBody),
    Route("POST", "/api/address/confirm", addresses.confirm, Action.ACCOUNT_RECOVER, body=ConfirmBody),
    Route("POST", "/api/me/address/link", addresses.send_again, Action.ACCOUNT_CHANGE, status=202),
    Route("POST", "/api/token/refresh", accounts.refresh, Action.SESSION_CREATE, body=RefreshBody),
    Route("POST", "/api/logout", accounts.logout, Action.SESSION_END),
    Route("GET", "/api/me", accounts.read, Action.ACCOUNT_READ, has_version=True),
    Route("PATCH", "/api/me", accounts.change, Action.ACCOUNT_CHANGE, body=ProfileBody, has_version=True),
    Route("GET", "/api/me/sessions", accounts.sessions, Action.ACCOUNT_READ, query=PageQuery),
    Route("DELETE", "/api/me/sessions", accounts.end_other_sessions, Action.SESSION_END),
    Route("DELETE", "/api/me/sessions/{session_id}", accounts.end_session, Action.SESSION_END),
    Route("GET", "/api/me/second-factor", second_factor.read, Action.ACCOUNT_READ),
    Route(
        "POST",
        "/api/me/second-factor",
        second_factor.begin,
        Action.SECOND_FACTOR_CHANGE,
        body=PasswordBody,
        status=201,
    ),
    Route("PUT", "/api/me/second-factor", second_factor.confirm, Action.SECOND_FACTOR_CHANGE, body=CodeBody),
    Route("DELETE", "/api/me/second-factor", second_factor.remove, Action.SECOND_FACTOR_CHANGE, body=ConfirmedBody),
    Route(
        "POST",
        "/api/me/second-factor/recovery-codes",
        second_factor.new_codes,
        Action.SECOND_FACTOR_CHANGE,
        body=ConfirmedBody,
        status=201,
    ),
    Route("GET", "/api/me/passkeys", passkeys.find, Action.ACCOUNT_READ),
    Route("POST", "/api/me/passkeys/options", passkeys.begin, Action.PASSKEY_CHANGE, body=PasskeyOptionsBody),
    Route("POST", "/api/me/passkeys", passkeys.add, Action.PASSKEY_CHANGE, body=PasskeyBody, status=201),
    Route("DELETE", "/api/me/passkeys/{id}", passkeys.remove, Action.PASSKEY_CHANGE, body=PasswordBody),
    Route("GET", "/api/me/export", export.read, Action.ACCOUNT_READ),
    Route("GET", "/api/me/mail", mail.choices, Action.ACCOUNT_READ),
    Route("PATCH", "/api/me/mail", mail.choose, Action.ACCOUNT_CHANGE, body=MailChoiceBody),
    Route("DELETE", "/api/me", accounts.leave, Action.ACCOUNT_DELETE, body=LeaveBody),
    Route("GET", "/api/me/push", push.read, Action.ACCOUNT_READ),
    Route("POST", "/api/me/push", push.subscribe, Action.ACCOUNT_CHANGE, body=PushBody),
    Route("DELETE", "/api/me/push", push.end, Action.ACCOUNT_CHANGE),
    # users
    Route("GET", "/api/me/blocks", blocks.find, Action.BLOCK_READ, query=PageQuery),
    Route("GET", "/api/sellers/{id}", sellers.read, Action.LISTING_READ_PUBLIC),
    Route("GET", "/api/users", users.find, Action.USER_LIST, query=UsersQuery),
    Route("GET", "/api/users/{id}", users.read, Action.USER_READ),
    Route("PUT", "/api/users/{id}/role", users.change_role, Action.ROLE_CHANGE, body=RoleBody),
    Route("PUT", "/api/users/{id}/ban", users.ban, Action.BAN_CHANGE, body=BanBody),
    Route("DELETE", "/api/users/{id}/ban", users.unban, Action.BAN_CHANGE),
    Route("GET", "/api/users/{id}/sessions", devices.find, Action.SYSTEM_READ, query=PageQuery),
    Route("DELETE", "/api/users/{id}/sessions/{session_id}", devices.disconnect, Action.SYSTEM_CHANGE),
    Route("DELETE", "/api/users/{id}/second-factor", second_factor.remove_of_user, Action.SECOND_FACTOR_REMOVE),
    Route("PUT", "/api/users/{id}/block", blocks.block, Action.BLOCK_CHANGE),
    Route("DELETE", "/api/users/{id}/block", blocks.unblock, Action.BLOCK_CHANGE),
    # categories
    Route("GET", "/api/categories", categories.find, Action.CATEGORY_READ_PUBLIC, query=PageQuery),
    Route(
        "POST",
        "/api/categories",
        categories.create,
        Action.CATEGORY_CREATE,
        body=CategoryBody,
        status=201,
        is_repeatable=True,
    ),
    Route("GET", "/api/categories/{id}", categories.read, Action.CATEGORY_READ_PUBLIC, has_version=True),
    Route(
        "PATCH",
        "/api/categories/{id}",
        categories.change,
        Action.CATEGORY_CHANGE,
        body=CategoryChangeBody,
        has_version=True,
    ),
    Route("DELETE", "/api/categories/{id}", categories.delete, Action.CATEGORY_DELETE, has_version=True),
    # listings
    Route("GET", "/api/listings", listings.find, Action.LISTING_READ_PUBLIC, query=ListingsQuery),
    Route("GET", "/api/listings/facets", listings.facets, Action.LISTING_READ_PUBLIC, query=ListingsQuery),
    Route(
        "POST",
        "/api/listings",
        listings.create,
        Action.LISTING_CREATE,
        body=ListingBody,
        status=201,
        is_repeatable=True,
    ),
    Route("GET", "/api/listings/{id}", listings.read, Action.LISTING_READ_PUBLIC, has_version=True),
    Route(
        "PATCH", "/api/listings/{id}", listings.change, Action.LISTING_EDIT, body=ListingChangeBody, has_version=True
    ),
    Route("DELETE", "/api/listings/{id}", listings.delete, Action.LISTING_DELETE, has_version=True),
    Route("PUT", "/api/listings/{id}/renewed", listings.renew, Action.LISTING_RENEW),
    Route("GET", "/api/suggestions", suggestions.find, Action.LISTING_READ_PUBLIC, query=SuggestionsQuery),
    Route("PUT", "/api/listings/{id}/hidden", listings.hide, Action.LISTING_HIDE, body=HideBody),
    Route("DELETE", "/api/listings/{id}/hidden", listings.show, Action.LISTING_HIDE),
    Route("GET", "/api/vin", vin.read, Action.LISTING_CREATE, query=VinQuery),
    Route("GET", "/api/trash", trash.find, Action.TRASH_READ, query=TrashQuery),
    Route("POST", "/api/trash/{id}/restore", trash.restore, Action.TRASH_RESTORE, body=RestoreBody),
    Route("DELETE", "/api/trash/{id}", trash.delete, Action.TRASH_DELETE),
    # what belongs to a listing
    Route("POST", PICTURES, pictures.add, Action.PICTURE_CHANGE, status=201, is_repeatable=True),
    Route("POST", "/api/listings/{id}/uploads", uploads.create, Action.PICTURE_CHANGE, status=201, is_repeatable=True),
    Route("GET", "/api/uploads/{id}", uploads.read, Action.PICTURE_CHANGE),
    Route("PATCH", "/api/uploads/{id}", uploads.append, Action.PICTURE_CHANGE, status=201),
    Route("DELETE", "/api/uploads/{id}", uploads.end, Action.PICTURE_CHANGE),
    Route(
        "PUT",
        "/api/listings/{id}/pictures/order",
        pictures.arrange,
        Action.PICTURE_CHANGE,
        body=PictureOrderBody,
        has_version=True,
    ),
    Route("DELETE", "/api/listings/{id}/pictures/{picture_id}", pictures.delete, Action.PICTURE_CHANGE),
    Route("GET", ADDRESS, pictures.read, Action.LISTING_READ_PUBLIC),
    Route("GET", MEDIUM_ADDRESS, pictures.medium, Action.LISTING_READ_PUBLIC),
    Route("GET", THUMBNAIL_ADDRESS, pictures.thumbnail, Action.LISTING_READ_PUBLIC),
    Route("GET", "/api/listings/{id}/replies", replies.find, Action.LISTING_READ_PUBLIC, query=PageQuery),
    Route(
        "POST",
        "/api/listings/{id}/replies",
        replies.create,
        Action.REPLY_CREATE,
        body=ReplyBody,
        status=201,
        is_repeatable=True,
    ),
    Route("DELETE", "/api/replies/{id}", replies.delete, Action.REPLY_DELETE),
    # what buyers hear of
    Route("GET", "/api/searches", saved_searches.find, Action.SEARCH_READ, query=PageQuery),
    Route(
        "POST",
        "/api/searches",
        saved_searches.create,
        Action.SEARCH_CHANGE,
        body=SearchBody,
        status=201,
        is_repeatable=True,
    ),
    Route("PATCH", "/api/searches/{id}", saved_searches.change, Action.SEARCH_CHANGE, body=SearchChangeBody),
    Route("DELETE", "/api/searches/{id}", saved_searches.delete, Action.SEARCH_CHANGE),
    Route("GET", "/api/me/favourites", favourites.find, Action.FAVOURITE_READ, query=PageQuery),
    Route("PUT", "/api/listings/{id}/favourite", favourites.add, Action.FAVOURITE_CHANGE),
    Route("DELETE", "/api/listings/{id}/favourite", favourites.remove, Action.FAVOURITE_CHANGE),
    Route("GET", "/api/alerts", alerts.find, Action.ALERT_READ, query=PageQuery),
    Route("PUT", "/api/alerts/seen", alerts.see, Action.ALERT_READ, body=SeenBody),
    # moderation
    Route(
        "POST",
        "/api/listings/{id}/reports",
        reports.create,
        Action.REPORT_CREATE,
        body=ReportBody,
        status=201,
        is_repeatable=True,
    ),
    *(
        Route("POST", path, handler, Action.REPORT_CREATE, body=ReportBody, status=201, is_repeatable=True)
        for path, handler in (
            ("/api/users/{id}/reports", reports.create_about_user),
            ("/api/messages/{id}/reports", reports.create_about_message),
            ("/api/replies/{id}/reports", reports.create_about_reply),
        )
    ),
    Route("GET", "/api/reports", reports.find, Action.REPORT_READ, query=PageQuery),
    Route("PUT", "/api/reports/{id}/resolved", reports.resolve, Action.REPORT_RESOLVE),
    Route("DELETE", "/api/reports/{id}/resolved", reports.reopen, Action.REPORT_RESOLVE),
    Route("GET", "/api/findings", findings.find, Action.REPORT_READ, query=PageQuery),
    Route("PUT", "/api/findings/{id}/resolved", findings.resolve, Action.REPORT_RESOLVE),
    Route("DELETE", "/api/findings/{id}/resolved", findings.reopen, Action.REPORT_RESOLVE),
    Route("GET", "/api/holds", holds.find, Action.REPORT_READ, query=PageQuery),
    Route("PUT", "/api/holds/{id}/decision", holds.decide, Action.REPORT_RESOLVE, body=HoldDecisionBody),
    Route("GET", "/api/reports/{id}/messages", reports.messages, Action.REPORT_READ),
    Route("GET", "/api/moderation/queue", moderation.find, Action.REPORT_READ, query=PageQuery),
    Route("GET", "/api/moderation/queue/listings/{id}", moderation.listing_group, Action.REPORT_READ),
    Route("GET", "/api/moderation/queue/people/{id}", moderation.person_group, Action.REPORT_READ),
    Route(
        "PUT",
        "/api/moderation/queue/listings/{id}/resolved",
        moderation.close_listing_group,
        Action.REPORT_RESOLVE,
        body=SeenGroupBody,
    ),
    Route(
        "PUT",
        "/api/moderation/queue/people/{id}/resolved",
        moderation.close_person_group,
        Action.REPORT_RESOLVE,
        body=SeenGroupBody,
    ),
    Route("GET", "/api/moderation/numbers", moderation.numbers, Action.REPORT_READ),
    Route("GET", "/api/users/{id}/sanctions", sanctions.of_user, Action.SANCTION_READ, query=PageQuery),
    Route(
        "POST",
        "/api/users/{id}/warnings",
        sanctions.warn,
        Action.USER_WARN,
        body=WarningBody,
        status=201,
        is_repeatable=True,
    ),
    Route("PUT", "/api/users/{id}/suspension", sanctions.suspend, Action.USER_SUSPEND, body=SuspensionBody),
    Route("DELETE", "/api/users/{id}/suspension", sanctions.end_suspension, Action.USER_SUSPEND),
    Route("GET", "/api/me/sanctions", sanctions.own, Action.ACCOUNT_READ, query=PageQuery),
    Route("GET", "/api/me/warnings", sanctions.unread, Action.ACCOUNT_READ),
    Route("PUT", "/api/me/warnings/{id}/read", sanctions.read, Action.ACCOUNT_CHANGE),
    Route("POST", "/api/objections", sanctions.object, Action.OBJECTION_CREATE, body=ObjectionBody, status=201),
    Route("GET", "/api/objections", sanctions.objections, Action.OBJECTION_DECIDE, query=PageQuery),
    Route("PUT", "/api/objections/{id}/decision", sanctions.decide, Action.OBJECTION_DECIDE, body=DecisionBody),
    *(
        route
        for kind, find, add in (
            ("users", notes.about_user, notes.add_about_user),
            ("listings", notes.about_listing, notes.add_about_listing),
        )
        for route in (
            Route("GET", f"/api/{kind}/{{id}}/notes", find, Action.NOTE_READ, query=PageQuery),
            Route(
                "POST",
                f"/api/{kind}/{{id}}/notes",
                add,
                Action.NOTE_CREATE,
                body=NoteBody,
                status=201,
                is_repeatable=True,
            ),
        )
    ),
    Route("DELETE", "/api/notes/{id}", notes.delete, Action.NOTE_DELETE),
    Route("GET", "/api/audit", audit.find, Action.AUDIT_READ, query=AuditQuery),
    # private messages
    Route(
        "POST",
        "/api/messages",
        messages.send,
        Action.MESSAGE_SEND,
        body=private_chat.Send,
        status=201,
        is_repeatable=True,
    ),
    Route(
        "POST",
        MESSAGE_PICTURES,
        message_pictures.add,
        Action.PICTURE_CHANGE,
        status=201,
        is_repeatable=True,
    ),
    Route("GET", MESSAGE_PICTURE, message_pictures.read, Action.MESSAGE_READ),
    Route("GET", MESSAGE_PICTURE_MEDIUM, message_pictures.medium, Action.MESSAGE_READ),
    Route("GET", MESSAGE_PICTURE_THUMBNAIL, message_pictures.thumbnail, Action.MESSAGE_READ),
    Route("DELETE", MESSAGE_PICTURE, message_pictures.discard, Action.MESSAGE_DELETE),
    Route("DELETE", "/api/messages/{id}", messages.delete, Action.MESSAGE_DELETE),
    Route("GET", "/api/messages", messages.after, Action.MESSAGE_READ, query=MessagesQuery),
    Route("GET", "/api/conversations", conversations.find, Action.CONVERSATION_READ, query=ConversationsQuery),
    Route(
        "GET",
        "/api/conversations/{user_id}/messages",
        conversations.messages,
        Action.CONVERSATION_READ,
        query=PageQuery,
    ),
    Route(
        "PUT",
        "/api/conversations/{user_id}/request",
        conversations.decide,
        Action.CONVERSATION_READ,
        body=RequestBody,
    ),
    Route("PUT", "/api/conversations/{user_id}/read", conversations.mark_read, Action.CONVERSATION_READ, body=ReadBody),
)
