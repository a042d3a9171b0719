"""Every route on one page: method, path, who answers, the action whose permission it needs, and what it takes.

A path that ends in what another one has as a parameter stands before it.
"""

from __future__ import annotations

from api.endpoint import Route
from api.handlers import (
    accounts,
    audit,
    blocks,
    conversations,
    documentation,
    health,
    messages,
    metrics,
    pictures,
    replies,
    reports,
    users,
    web,
)
from api.schemas.accounts import LeaveBody, LoginBody, ProfileBody, RefreshBody, RegisterBody
from api.schemas.fields import PageQuery
from api.schemas.messages import MessageBody, MessagesQuery, ReadBody
from api.schemas.replies import ReplyBody
from api.schemas.reports import ReportBody
from api.schemas.users import BanBody, RoleBody, UsersQuery
from shared.access.policy import Action

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health/live", health.live, Action.SERVICE_READ),
    Route("GET", "/health/ready", health.ready, Action.SERVICE_READ),
    Route("GET", "/metrics", metrics.read, Action.SERVICE_READ),
    # the page
    *(Route("GET", path, web.page, Action.SERVICE_READ) for path in web.PAGES),
    Route("GET", "/web/{version}/{path:.+}", web.asset, Action.SERVICE_READ),
    Route("GET", "/api/openapi.json", documentation.document, Action.SERVICE_READ),
    Route("GET", "/api/docs", documentation.docs, Action.SERVICE_READ),
    # accounts
    Route("POST", "/api/register", accounts.register, Action.ACCOUNT_CREATE, body=RegisterBody),
    Route("POST", "/api/login", accounts.login, Action.SESSION_CREATE, body=LoginBody),
    Route("POST", "/api/token/refresh", accounts.refresh, Action.SESSION_CREATE, body=RefreshBody),
    Route("POST", "/api/logout", accounts.logout, Action.SESSION_END),
    Route("GET", "/api/me", accounts.read, Action.ACCOUNT_READ),
    Route("PATCH", "/api/me", accounts.change, Action.ACCOUNT_CHANGE, body=ProfileBody),
    Route("DELETE", "/api/me", accounts.leave, Action.ACCOUNT_DELETE, body=LeaveBody),
    # users
    Route("GET", "/api/me/blocks", blocks.find, Action.BLOCK_READ, query=PageQuery),
    Route("GET", "/api/users", users.find, Action.USER_LIST, query=UsersQuery),
    Route("GET", "/api/users/{id}", users.read, Action.USER_READ),
    Route("PUT", "/api/users/{id}/role", users.change_role, Action.ROLE_CHANGE, body=RoleBody),
    Route("PUT", "/api/users/{id}/ban", users.ban, Action.BAN_CHANGE, body=BanBody),
    Route("DELETE", "/api/users/{id}/ban", users.unban, Action.BAN_CHANGE),
    Route("PUT", "/api/users/{id}/block", blocks.block, Action.BLOCK_CHANGE),
    Route("DELETE", "/api/users/{id}/block", blocks.unblock, Action.BLOCK_CHANGE),
    # what belongs to a listing
    Route("POST", "/api/listings/{id}/pictures", pictures.add, Action.PICTURE_CHANGE),
    Route("DELETE", "/api/listings/{id}/pictures/{picture_id}", pictures.delete, Action.PICTURE_CHANGE),
    Route("GET", "/api/pictures/{id}", pictures.read, Action.LISTING_READ_PUBLIC),
    Route("GET", "/api/pictures/{id}/thumbnail", pictures.thumbnail, Action.LISTING_READ_PUBLIC),
    Route("GET", "/api/listings/{id}/replies", replies.find, Action.LISTING_READ_PUBLIC, query=PageQuery),
    Route("POST", "/api/listings/{id}/replies", replies.create, Action.REPLY_CREATE, body=ReplyBody),
    Route("DELETE", "/api/replies/{id}", replies.delete, Action.REPLY_DELETE),
    # moderation
    Route("POST", "/api/listings/{id}/reports", reports.create, Action.REPORT_CREATE, body=ReportBody),
    Route("GET", "/api/reports", reports.find, Action.REPORT_READ, query=PageQuery),
    Route("PUT", "/api/reports/{id}/resolved", reports.resolve, Action.REPORT_RESOLVE),
    Route("GET", "/api/audit", audit.find, Action.AUDIT_READ, query=PageQuery),
    # private messages
    Route("POST", "/api/messages", messages.send, Action.MESSAGE_SEND, body=MessageBody),
    Route("GET", "/api/messages", messages.after, Action.MESSAGE_READ, query=MessagesQuery),
    Route("GET", "/api/conversations", conversations.find, Action.CONVERSATION_READ, query=PageQuery),
    Route(
        "GET",
        "/api/conversations/{user_id}/messages",
        conversations.messages,
        Action.CONVERSATION_READ,
        query=PageQuery,
    ),
    Route("PUT", "/api/conversations/{user_id}/read", conversations.mark_read, Action.CONVERSATION_READ, body=ReadBody),
)
