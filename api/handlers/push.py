"""Push messages to the browser of a session: what it needs to subscribe, and whether it is told."""

from __future__ import annotations

from api.call import Call
from api.problems import Invalid, PushOff
from api.push.endpoints import endpoint_fault
from api.schemas.answers import notices as answers
from api.schemas.push import PushBody
from shared.domain.push import Subscription


async def read(call: Call) -> answers.Push:
    """Whether this session's browser is told of news while you are away, and the key with which it subscribes."""
    call.query()
    services, actor = call.services, call.user
    shows_text = await services.pushes.shows_text(actor.session_id, actor.user_id)
    return _push(call, shows_text)


async def subscribe(call: Call) -> answers.Push:
    """Tell this session's browser of news while you are away, until the session ends."""
    body = await call.body(PushBody)
    services, actor = call.services, call.user
    if services.vapid is None:
        raise PushOff
    fault = endpoint_fault(body.endpoint, allows_private=services.settings.push_private_endpoints)
    if fault:
        raise Invalid({"endpoint": [fault]})
    subscription = Subscription(endpoint=body.endpoint, p256dh=body.p256dh, auth=body.auth, shows_text=body.shows_text)
    await services.pushes.subscribe(actor.session_id, actor.user_id, subscription)
    return _push(call, body.shows_text)


async def end(call: Call) -> None:
    """Tell this session's browser of nothing more."""
    call.query()
    await call.services.pushes.end(call.user.session_id, call.user.user_id)


def _push(call: Call, shows_text: bool | None) -> answers.Push:
    vapid = call.services.vapid
    return answers.Push(
        public_key=vapid.public_key if vapid else None,
        is_on=vapid is not None and shows_text is not None,
        shows_text=bool(shows_text),
    )
