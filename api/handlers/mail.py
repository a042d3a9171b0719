"""Which mails a person wants, and the page by which anybody who has got one can end its kind without a log-in."""

from __future__ import annotations

from aiohttp import hdrs, web
from markupsafe import Markup

from api.assets.files import assets
from api.call import Call
from api.mail_links import MAX_TOKEN_LENGTH
from api.pages.rendering import rendered
from api.problems import NotFound
from api.schemas.answers import notices as answers
from api.schemas.mail import MailChoiceBody
from shared.domain.mails import SWITCHES, Choice, MailKind


async def choices(call: Call) -> answers.MailChoices:
    """Which kinds of mail you get, and what you can choose for each."""
    call.query()
    return await _choices(call)


async def choose(call: Call) -> answers.MailChoices:
    """Choose when you get one kind of mail."""
    body = await call.body(MailChoiceBody)
    await call.services.mail_choices.choose(call.user.user_id, body.kind, body.choice)
    return await _choices(call)


async def _choices(call: Call) -> answers.MailChoices:
    chosen = await call.services.mail_choices.of_user(call.user.user_id)
    return answers.mail_choices(chosen, is_on=call.services.settings.has_mail)


async def unsubscribe_page(call: Call) -> web.Response:
    """A page with a button, because programs that check mails open the links in them."""
    _, kind = _of_link(call)
    return _page(call, kind, is_done=False)


async def unsubscribe(call: Call) -> web.Response:
    """End the mails of the link's kind, also by one click in a mail program (RFC 8058), which needs no log-in."""
    user_id, kind = _of_link(call)
    await call.services.mail_choices.choose(user_id, kind, Choice.NEVER)
    return _page(call, kind, is_done=True)


def _of_link(call: Call) -> tuple[int, MailKind]:
    call.input_checked = True
    token = call.request.query.get("t", "")
    found = call.services.mail_links.switch_in(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if found is None:
        raise NotFound
    return found


def _page(call: Call, kind: MailKind, *, is_done: bool) -> web.Response:
    """Returns the page, which needs no script."""
    files = assets(call.services.settings)
    values = {"style": Markup(files.style), "about": SWITCHES[kind].about, "is_done": is_done}
    policy = f"default-src 'none'; style-src {files.style_source}; form-action 'self'; frame-ancestors 'none'"
    return web.Response(
        body=rendered("unsubscribe.html", values),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": policy, hdrs.CACHE_CONTROL: "no-store"},
    )
